// SPDX-License-Identifier: Apache-2.0
/*
 * What a head costs: parsing, and passing it on with fields dropped and three added
 * (make bench-micro). Prints the best of 20 rounds in nanoseconds a call; the best,
 * since whatever else runs can only make a round slower.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wire/h1_chunked.h"
#include "wire/h1_write.h"

enum { ROUNDS = 20, CALLS = 20000 };

static const struct str small = STR_INIT("GET /index.html HTTP/1.1\r\n"
					 "Host: shop.example.com\r\n"
					 "User-Agent: bench/1.0\r\n"
					 "Accept: */*\r\n"
					 "X-Id: 12345678\r\n\r\n");

static const struct str browser = STR_INIT(
	"GET /news/2026/11/23/index.html?from=mail&campaign=winter-2026&id=1234567890 HTTP/1.1\r\n"
	"Host: www.shop.example.com\r\n"
	"Connection: keep-alive\r\n"
	"Cache-Control: max-age=0\r\n"
	"sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\", \"Browser\";v=\"142\"\r\n"
	"sec-ch-ua-mobile: ?0\r\n"
	"sec-ch-ua-platform: \"Linux\"\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	"Chrome/142.0.0.0 Safari/537.36\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
	"image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
	"Sec-Fetch-Site: same-origin\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"Sec-Fetch-User: ?1\r\n"
	"Sec-Fetch-Dest: document\r\n"
	"Referer: https://www.shop.example.com/news/2026/11/22/index.html\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
	"If-None-Match: \"5f3759df-1a2b\"\r\n\r\n");

static const struct str response = STR_INIT("HTTP/1.1 200 OK\r\n"
					    "Server: demo\r\n"
					    "Date: Mon, 23 Nov 2026 05:00:00 GMT\r\n"
					    "Content-Type: text/plain\r\n"
					    "Content-Length: 13\r\n\r\n");

static struct h1_request request;
static struct h1_response answer;
static volatile size_t sink;

static void parse_request(struct str bytes)
{
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	if (h1_request_parse(&request, bytes) != H1_DONE)
		abort();
	sink += request.head.field_count;
}

static void parse_response(struct str bytes)
{
	h1_response_init(&answer, H1_HEAD_BYTES_DEFAULT, false);
	if (h1_response_parse(&answer, bytes) != H1_DONE)
		abort();
	sink += answer.head.field_count;
}

static void pass_on(struct str bytes)
{
	static char room[4096];
	const uint64_t ours = HEADER_BIT(HEADER_X_FORWARDED_FOR) | HEADER_BIT(HEADER_X_REQUEST_ID) |
			      HEADER_BIT(HEADER_HOST);
	struct h1_fields dropped = { 0 };
	struct h1_out out;

	parse_request(bytes);
	h1_fields_select(&dropped, &request.head, ours,
			 H1_FIELD_HOP | H1_FIELD_NAMED | H1_FIELD_UNDERSCORE);
	h1_out_init(&out, room, sizeof(room));
	h1_add(&out, h1_str(&request.head, request.method_text));
	h1_add(&out, STR(" "));
	h1_add(&out, h1_str(&request.head, request.target));
	h1_add(&out, STR(" HTTP/1.1\r\n"));
	h1_add_field(&out, STR("Host"), h1_str(&request.head, request.authority));
	h1_add_kept_fields(&out, &request.head, &dropped);
	h1_add_field(&out, STR("X-Forwarded-For"), STR("192.0.2.1"));
	h1_add_field(&out, STR("X-Request-ID"), STR("0123456789abcdef"));
	h1_add_end(&out);
	if (out.is_cut)
		abort();
	sink += out.len;
}

static void filter_chunks(struct str bytes)
{
	static char room[16384];
	struct h1_chunked chunked;
	struct str kept;
	size_t taken;

	memcpy(room, bytes.at, bytes.len);
	h1_chunked_init(&chunked, H1_CHUNKED_PASS);
	if (h1_chunked_filter(&chunked, room, bytes.len, &kept, &taken) != H1_MORE)
		abort();
	sink += kept.len;
}

static void measure(const char *name, void (*call)(struct str), struct str bytes)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns(), took;

		for (int i = 0; i < CALLS; i++)
			call(bytes);
		took = clock_monotonic_ns() - start;
		best = took < best ? took : best;
	}
	printf("%-32s %5zu bytes %7.1f ns\n", name, bytes.len, (double)best / CALLS);
}

int main(void)
{
	static char chunks[16 * 1024];

	memset(chunks, 'x', sizeof(chunks));
	memcpy(chunks, "4000\r\n", 6);
	measure("request, small", parse_request, small);
	measure("request, browser", parse_request, browser);
	measure("response", parse_response, response);
	measure("request, small, passed on", pass_on, small);
	measure("request, browser, passed on", pass_on, browser);
	measure("16 KiB of one chunk, with a copy", filter_chunks, str_of(chunks, sizeof(chunks)));
	return 0;
}
