// SPDX-License-Identifier: Apache-2.0
/*
 * host: the code that XDP runs, compiled natively (bpf/host.h).
 *
 * The hash has an oracle of its own: SipHash-2-4 of base/ over the name in lower
 * case. Each payload is copied into memory of exactly its size, so that ASan sees
 * a byte too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "bpf/host_http.h"
#include "bpf/host_tls.h"
#include "datapath/datapath.h"
#include "selftests/bpf/builder.h"

static const struct host_hash_key key = { 0x0123456789abcdefull, 0xfedcba9876543210ull };

/* Reads the host of @bytes and returns it as text, "" for none, and its wildcard beside it. */
static void read_host(int (*read)(const struct payload *, struct window *), struct str bytes,
		      char name_text[300], char wildcard_text[300])
{
	uint8_t *copy = mem_new(bytes.len ? bytes.len : 1, 1);
	struct payload payload = { .source = copy, .pos = 0, .end = (uint32_t)bytes.len };
	static struct window window;

	memset(&window, 0xee, sizeof(window)); /* what stood there before must not matter */
	memcpy(copy, bytes.at, bytes.len);
	name_text[0] = wildcard_text[0] = 0;
	if (read(&payload, &window) == 0) {
		snprintf(name_text, 300, "%.*s", (int)window.name.len,
			 (const char *)window.name.words);
		if (window_to_wildcard(&window) == 0)
			snprintf(wildcard_text, 300, "%.*s", (int)window.name.len,
				 (const char *)window.name.words);
	}
	mem_free(copy);
}

static void check(const char *case_name, int (*read)(const struct payload *, struct window *),
		  struct str bytes, const char *host, const char *wildcard)
{
	char name[300], wild[300];

	read_host(read, bytes, name, wild);
	if (strcmp(name, host ? host : "") != 0)
		fail_msg("%s: host '%s', expected '%s'", case_name, name, host ? host : "");
	if (wildcard && strcmp(wild, wildcard) != 0)
		fail_msg("%s: wildcard '%s', expected '%s'", case_name, wild, wildcard);
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

static void reads_http(void **state)
{
#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16
	static const struct {
		const char *name, *request, *host, *wildcard;
	} cases[] = {
		{ "plain", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "a.test", "*.test" },
		{ "letter case of the field", "GET / HTTP/1.1\r\nhOST: a.test\r\n\r\n", "a.test",
		  "*.test" },
		{ "letter case of the name stays", "GET / HTTP/1.1\r\nHost: A.Test\r\n\r\n",
		  "A.Test", "*.Test" },
		{ "no space", "GET / HTTP/1.1\r\nHost:a.test\r\n\r\n", "a.test", NULL },
		{ "many spaces", "GET / HTTP/1.1\r\nHost: \t  a.test\r\n\r\n", "a.test", NULL },
		{ "space behind", "GET / HTTP/1.1\r\nHost: a.test \r\n\r\n", "a.test", NULL },
		{ "port", "GET / HTTP/1.1\r\nHost: a.test:8080\r\n\r\n", "a.test", "*.test" },
		{ "final dot stays for the hash to drop", "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n",
		  "a.test.", "*.test." },
		{ "last field",
		  "POST /x HTTP/1.1\r\nA: b\r\nContent-Length: 3\r\nHost: a.b.test\r\n\r\nabc",
		  "a.b.test", "*.b.test" },
		{ "behind long lines",
		  "GET /" A64 A64 A64 " HTTP/1.1\r\nCookie: " A64 A64 A16
		  "\r\nHost: a.test\r\n\r\n",
		  "a.test", NULL },
		{ "bare newlines", "GET / HTTP/1.1\nHost: a.test\n\n", "a.test", NULL },
		{ "field whose name ends in host",
		  "GET / HTTP/1.1\r\nX-Host: b\r\nHost: a.test\r\n\r\n", "a.test", NULL },
		{ "field whose value has host",
		  "GET / HTTP/1.1\r\nReferer: Host: b.test\r\nHost: a.test\r\n\r\n", "a.test",
		  NULL },
		{ "field that begins with host",
		  "GET / HTTP/1.1\r\nHosts: b\r\nHost: a.test\r\n\r\n", "a.test", NULL },
		{ "absolute form", "GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", "b.test",
		  "*.test" },
		{ "absolute form, https and port",
		  "GET HTTPS://b.test:443/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "b.test", NULL },
		{ "absolute form without a path", "GET http://b.test?q HTTP/1.1\r\n\r\n", "b.test",
		  NULL },
		{ "other scheme", "GET httpx://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "a.test",
		  NULL },
		{ "asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", "a.test", NULL },
		{ "one label has no wildcard", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		  "localhost", "" },
		{ "leading dot has no wildcard", "GET / HTTP/1.1\r\nHost: .test\r\n\r\n", ".test",
		  "" },
		{ "label of 63",
		  "GET / HTTP/1.1\r\nHost: " A16 A16 A16 "aaaaaaaaaaaaaaa.test\r\n\r\n",
		  A16 A16 A16 "aaaaaaaaaaaaaaa.test", "*.test" },
		{ "label too long", "GET / HTTP/1.1\r\nHost: " A64 ".test\r\n\r\n", A64 ".test",
		  "" },
		{ "literal", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[", "" },
		{ "empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", NULL, "" },
		{ "none", "GET / HTTP/1.0\r\nA: b\r\n\r\n", NULL, "" },
		{ "only in the body", "POST / HTTP/1.1\r\nA: b\r\n\r\nx\r\nHost: a.test\r\n", NULL,
		  "" },
		{ "cut in the name", "GET / HTTP/1.1\r\nHost: a.te", NULL, "" },
		{ "cut before the name", "GET / HTTP/1.1\r\nHost:", NULL, "" },
		{ "cut in the field's name", "GET / HTTP/1.1\r\nHo", NULL, "" },
		{ "cut in the request line", "GET /lo", NULL, "" },
		{ "256 bytes", "GET / HTTP/1.1\r\nHost: " A64 A64 A64 A64 "\r\n\r\n", NULL, "" },
		{ "middle of a body", "ello world\r\nHost: a.test\r\n\r\n", NULL, "" },
		{ "method too short", "GE / HTTP/1.1\r\nHost: a.test\r\n\r\n", NULL, "" },
		{ "method too long", A16 "A / HTTP/1.1\r\nHost: a.test\r\n\r\n", NULL, "" },
		{ "behind PROXY v1",
		  "PROXY TCP4 192.0.2.1 198.51.100.1 40000 80\r\nGET / HTTP/1.1\r\nHost: "
		  "a.test\r\n\r\n",
		  "a.test", "*.test" },
		{ "behind the longest PROXY v1",
		  "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535 " A16 A16
		  "abcdefghijklmn\r\n"
		  "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		  "a.test", NULL },
		{ "behind PROXY v1, absolute form",
		  "PROXY UNKNOWN\r\nGET http://b.test/ HTTP/1.1\r\n\r\n", "b.test", NULL },
		{ "PROXY v1 without an end", "PROXY TCP4 192.0.2.1 198.51.100.1 40000 80", NULL,
		  "" },
		{ "PROXY v1 alone", "PROXY UNKNOWN\r\n", NULL, "" },
		{ "HTTP/2 preface behind PROXY v1",
		  "PROXY UNKNOWN\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL, "" },
		{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL, "" },
		{ "TLS on an HTTP port", "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03", NULL, "" },
		{ "nothing", "", NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].name, host_read_http, str_from_c(cases[i].request), cases[i].host,
		      cases[i].wildcard);
}

/* A PROXY header of version 2 has @bytes of addresses and more behind its first 16. */
static size_t put_proxy_v2(char *at, uint16_t bytes)
{
	memcpy(at, "\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
	at[14] = (char)(bytes >> 8);
	at[15] = (char)bytes;
	memset(at + 16, 'H', bytes);
	return 16u + bytes;
}

static void reads_behind_proxy_v2(void **state)
{
	static const uint16_t sizes[] = { 0, 12, 36, 216, 1000 };
	struct frame hello;
	struct str requests[] = { STR("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
				  hello_build(&hello, &(struct hello_spec){ .name = "a.test" }) };
	static char bytes[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int is_tls = 0; is_tls < 2; is_tls++) {
			size_t header = put_proxy_v2(bytes, sizes[i]);
			size_t len = header + requests[is_tls].len;

			memcpy(bytes + header, requests[is_tls].at, requests[is_tls].len);
			check(is_tls ? "ClientHello" : "GET",
			      is_tls ? host_read_tls : host_read_http, str_of(bytes, len), "a.test",
			      "*.test");
			check("the header alone", is_tls ? host_read_tls : host_read_http,
			      str_of(bytes, header), NULL, "");
		}
	}
	/* A length that leads out of the window, or to an old byte of it, gives no host. */
	put_proxy_v2(bytes, 12);
	bytes[14] = bytes[15] = (char)0xff;
	check("a length that lies", host_read_http, str_of(bytes, 60), NULL, "");
}

/* A name of 255 bytes is read; where its end is not seen, it may be longer. */
static void reads_http_longest(void **state)
{
	char request[400], name[256];
	int len;

	(void)state;
	memset(name, 'n', 255);
	name[255] = 0;
	len = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name);
	check("255 bytes", host_read_http, str_of(request, (size_t)len), name, "");
	check("255 bytes, cut behind", host_read_http, str_of(request, (size_t)len - 4), NULL, "");
}

/* Each cut either gives nothing or the whole name, never a part of it. */
static void reads_http_cut_anywhere(void **state)
{
	const char *request = "GET /path HTTP/1.1\r\nAccept: */*\r\nHost: shop.example.com\r\n\r\n";
	size_t whole = (size_t)(strstr(request, ".com\r") - request) + 5;
	char case_name[32];

	(void)state;
	for (size_t len = 0; len <= strlen(request); len++) {
		snprintf(case_name, sizeof(case_name), "%zu bytes", len);
		check(case_name, host_read_http, str_of(request, len),
		      len >= whole ? "shop.example.com" : NULL, NULL);
	}
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static void reads_tls(void **state)
{
	static const struct {
		const char *name;
		struct hello_spec hello;
		const char *host, *wildcard;
	} cases[] = {
		{ "plain", { .name = "a.test" }, "a.test", "*.test" },
		{ "session id and many ciphers",
		  { .name = "a.test", .session_id_bytes = 32, .cipher_bytes = 200 },
		  "a.test",
		  "*.test" },
		{ "behind GREASE", { .name = "a.test", .has_grease = true }, "a.test", NULL },
		{ "of the outer hello, behind ECH",
		  { .name = "a.test", .has_grease = true, .ech_bytes = 250 },
		  "a.test",
		  NULL },
		{ "behind a post-quantum key share, in one segment",
		  { .name = "a.test", .before_bytes = 1216 },
		  "a.test",
		  NULL },
		{ "before a key share that goes on in the next segment",
		  { .name = "a.test", .after_bytes = 1300, .cut = 1400 },
		  "a.test",
		  NULL },
		{ "in the next segment",
		  { .name = "a.test", .before_bytes = 1400, .cut = 1400 },
		  NULL,
		  "" },
		{ "name of 253 bytes",
		  { .name = A64 A64 A64 A16 A16 A16 ".aaaaaaa.test" },
		  A64 A64 A64 A16 A16 A16 ".aaaaaaa.test",
		  "" },
		{ "name of 256 bytes", { .name = A64 A64 A64 A64 }, NULL, "" },
		{ "empty name", { .name = "" }, NULL, "" },
		{ "no server_name", { .name = NULL, .after_bytes = 8 }, NULL, "" },
		{ "no extension behind the first", { .name = NULL }, NULL, "" },
		{ "another type of name", { .name = "a.test", .name_type = 1 }, NULL, "" },
		{ "in the next record",
		  { .name = "a.test", .before_bytes = 100, .record_bytes = 100 },
		  NULL,
		  "" },
		{ "one label", { .name = "localhost" }, "localhost", "" },
	};
	struct frame hello;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].name, host_read_tls, hello_build(&hello, &cases[i].hello),
		      cases[i].host, cases[i].wildcard);
}

static void reads_tls_cut_anywhere(void **state)
{
	const struct hello_spec spec = { .name = "shop.example.com",
					 .session_id_bytes = 32,
					 .has_grease = true,
					 .after_bytes = 40 };
	struct frame hello;
	struct str bytes = hello_build(&hello, &spec);
	size_t whole = bytes.len - 44; /* the padding extension with its header */
	char case_name[32];

	(void)state;
	for (size_t len = 0; len <= bytes.len; len++) {
		snprintf(case_name, sizeof(case_name), "%zu bytes", len);
		check(case_name, host_read_tls, str_of(bytes.at, len),
		      len >= whole ? "shop.example.com" : NULL, NULL);
	}
}

/* Sizes that lie about each other: no name, and no byte read outside. */
static void refuses_tls_sizes_that_lie(void **state)
{
	struct frame hello;
	char name[300], wildcard[300];
	struct str bytes;

	(void)state;
	for (size_t at = 0; at < 120; at++) {
		bytes = hello_build(&hello, &(struct hello_spec){ .name = "a.test" });
		if (at >= bytes.len)
			break;
		hello.at[at] = 0xff;
		read_host(host_read_tls, bytes, name, wildcard);
		if (name[0] && strcmp(name, "a.test") != 0 && strlen(name) != strlen("a.test"))
			fail_msg("byte %zu: host '%s'", at, name);
	}
	bytes = hello_build(&hello, &(struct hello_spec){ .name = "a.test" });
	hello.at[bytes.len - 7] = 200; /* the name is longer than its extension */
	check("name longer than its extension", host_read_tls, bytes, NULL, "");
}

/* ---- the hash ------------------------------------------------------------------------------- */

static uint64_t expected_hash(const char *lower_case)
{
	struct siphash_key oracle = { key.k0, key.k1 };

	return siphash(oracle, str_from_c(lower_case));
}

static void hashes_as_siphash(void **state)
{
	static const struct {
		const char *name, *same_as;
	} cases[] = {
		{ "a", "a" },
		{ "A", "a" },
		{ "shop.example.com", "shop.example.com" },
		{ "SHOP.Example.COM", "shop.example.com" },
		{ "shop.example.com.", "shop.example.com" },
		{ "*.Example.com", "*.example.com" },
		{ "12345678", "12345678" },
		{ "12345678.", "12345678" },
		{ "@[`{az\xc1\xda\xe1\xff",
		  "@[`{az\xc1\xda\xe1\xff" }, /* beside A to Z, and above ASCII */
		{ A64 A64 A64 A16 A16 A16 "aaaaaaaaaaaaaaa",
		  A64 A64 A64 A16 A16 A16 "aaaaaaaaaaaaaaa" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host_key got = datapath_host_key(key, str_from_c(cases[i].name));

		if (got.hash != expected_hash(cases[i].same_as))
			fail_msg("'%s' does not hash as '%s'", cases[i].name, cases[i].same_as);
	}
}

static void hashes_every_length(void **state)
{
	char name[HOST_NAME_MAX_BYTES + 1] = { 0 };

	(void)state;
	for (int len = 1; len <= HOST_NAME_MAX_BYTES; len++) {
		name[len - 1] = (char)('a' + len % 26);
		assert_int_equal(datapath_host_key(key, str_from_c(name)).hash,
				 expected_hash(name));
	}
}

static void hashes_nothing_to_the_catch_all(void **state)
{
	(void)state;
	assert_int_equal(datapath_host_key(key, STR("")).hash, HOST_HASH_CATCH_ALL);
	assert_int_equal(datapath_host_key_catch_all().hash, HOST_HASH_CATCH_ALL);
}

/* The entry written for "*.example.com" is found for each host that it covers. */
static void hashes_the_wildcard_as_written(void **state)
{
	const char *request = "GET / HTTP/1.1\r\nHost: Shop.Example.com:80\r\n\r\n";
	struct payload payload = { (const uint8_t *)request, 0, (uint32_t)strlen(request) };
	static struct window window;

	(void)state;
	assert_int_equal(host_read_http(&payload, &window), 0);
	assert_int_equal(host_hash(key.k0, key.k1, &window.name),
			 datapath_host_key(key, STR("shop.example.com")).hash);
	assert_int_equal(window_to_wildcard(&window), 0);
	assert_int_equal(host_hash(key.k0, key.k1, &window.name),
			 datapath_host_key(key, STR("*.example.com")).hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_http),
		cmocka_unit_test(reads_behind_proxy_v2),
		cmocka_unit_test(reads_http_longest),
		cmocka_unit_test(reads_http_cut_anywhere),
		cmocka_unit_test(reads_tls),
		cmocka_unit_test(reads_tls_cut_anywhere),
		cmocka_unit_test(refuses_tls_sizes_that_lie),
		cmocka_unit_test(hashes_as_siphash),
		cmocka_unit_test(hashes_every_length),
		cmocka_unit_test(hashes_nothing_to_the_catch_all),
		cmocka_unit_test(hashes_the_wildcard_as_written),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
