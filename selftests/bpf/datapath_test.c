// SPDX-License-Identifier: Apache-2.0
/*
 * datapath: opening, taking over, refusing, and keeping the maps (datapath.h),
 * against the running kernel. Two veth interfaces stand for network cards; their
 * other ends are in this namespace too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <linux/if_link.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "datapath/datapath.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"

enum { WORKERS = 2, MANY_HOSTS = 10000, MANY_HOSTS_MAX_MS = 500, ONE_HOST_MAX_MS = 50 };

#define TEXT_OF(number)  #number
#define VALUE_OF(number) TEXT_OF(number)
#define THIS_SCHEMA      VALUE_OF(CONTRACT_SCHEMA)

static const uint16_t cpus[WORKERS] = { 0, 0 };
static const char *const interfaces[] = { "slu0", "slu1.5" };
static struct datapath_listener listeners[2];

static struct datapath_options options(enum xdp_mode mode)
{
	return (struct datapath_options){ .bpf_dir = LAB_BPF_DIR,
					  .xdp = mode,
					  .interfaces = interfaces,
					  .interface_count = 2,
					  .listeners = listeners,
					  .listener_count = 2,
					  .worker_cpus = cpus,
					  .worker_count = WORKERS,
					  .flows_capacity = 1024 };
}

static struct datapath *open_with(const struct datapath_options *wanted)
{
	struct datapath *datapath = NULL;
	struct err err = { 0 };

	if (datapath_open(wanted, &datapath, &err))
		fail_msg("%s", err.text);
	return datapath;
}

static struct datapath *open_mode(enum xdp_mode mode)
{
	struct datapath_options wanted = options(mode);

	return open_with(&wanted);
}

/* Opens what must not be had, and checks what it says. */
static void expect_refusal(const struct datapath_options *wanted, int code, const char *text)
{
	struct datapath *datapath = NULL;
	struct err err = { 0 };
	int got = datapath_open(wanted, &datapath, &err);

	assert_null(datapath);
	if (got != code || !strstr(err.text, text))
		fail_msg("code %d, '%s'; expected %d, '%s'", got, err.text, code, text);
}

static int enter(void **state)
{
	(void)state;
	lab_enter();
	for (int i = 0; i < 2; i++) {
		char peer[IF_NAMESIZE];

		snprintf(peer, sizeof(peer), "peer%d", i);
		if (lab_command("ip", "link", "add", interfaces[i], "type", "veth", "peer", "name",
				peer))
			return -1;
		lab_up(interfaces[i]);
		lab_up(peer);
	}
	addr_parse_ip(STR("0.0.0.0"), &listeners[0].addr);
	addr_parse_ip(STR("::"), &listeners[1].addr);
	listeners[0].addr.port = listeners[1].addr.port = 80;
	listeners[0].protocol = listeners[1].protocol = LISTENER_PROTOCOL_HTTP;
	listeners[1].id = 1;
	return 0;
}

static int leave_nothing(void **state)
{
	(void)state;
	return datapath_remove(LAB_BPF_DIR, NULL);
}

static uint32_t program_on(const char *interface)
{
	uint32_t id = 0;

	bpf_xdp_query_id((int)if_nametoindex(interface), 0, &id);
	return id;
}

static int open_pin(const struct datapath *datapath, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", datapath_pin_dir(datapath), name);
	return bpf_obj_get(path);
}

/* ---- open ----------------------------------------------------------------------------------- */

static void attaches_in_each_mode(void **state)
{
	static const enum xdp_mode modes[] = { XDP_MODE_NATIVE, XDP_MODE_GENERIC, XDP_MODE_AUTO };
	static const enum xdp_mode got[] = { XDP_MODE_NATIVE, XDP_MODE_GENERIC, XDP_MODE_NATIVE };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct datapath *datapath = open_mode(modes[i]);

		assert_int_equal(datapath_interface_count(datapath), 2);
		for (size_t n = 0; n < 2; n++) {
			assert_int_equal(datapath_interface(datapath, n)->mode, got[i]);
			assert_string_equal(datapath_interface(datapath, n)->text, "");
			assert_true(program_on(interfaces[n]) != 0);
		}
		datapath_detach(datapath);
		assert_int_equal(program_on(interfaces[0]), 0);
		assert_int_equal(program_on(interfaces[1]), 0);
	}
}

static void pins_with_modes_of_their_own(void **state)
{
	static const char *const pins[] = { "listeners",
					    "hosts",
					    "flows",
					    "workers",
					    "steer_cpus",
					    "worker_socks",
					    "stats",
					    "host_stats",
					    "events",
					    "schema",
					    "prog_xdp_steer",
					    "prog_sk_select",
					    "link_xdp_steer-slu0",
					    "link_xdp_steer-slu1%2e5" };
	struct datapath *datapath = open_mode(XDP_MODE_NATIVE);
	char path[512];
	struct stat found;

	(void)state;
	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", datapath_pin_dir(datapath), pins[i]);
		if (stat(path, &found))
			fail_msg("no pin '%s'", path);
		assert_int_equal(found.st_mode & 07777, 0640);
	}
	assert_int_equal(stat(datapath_pin_dir(datapath), &found), 0);
	assert_int_equal(found.st_mode & 07777, 0750);
	snprintf(path, sizeof(path), "%s", datapath_pin_dir(datapath));
	datapath_detach(datapath);
	assert_int_equal(stat(path, &found), -1);
}

static void is_off_when_told(void **state)
{
	struct datapath *datapath = open_mode(XDP_MODE_OFF);

	(void)state;
	assert_int_equal(program_on(interfaces[0]), 0);
	assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_OFF);
	assert_false(datapath_can_dispatch(datapath));
	assert_true(open_pin(datapath, "prog_xdp_steer") < 0);
	datapath_detach(datapath);
}

static void refuses_wrong_options(void **state)
{
	static const uint16_t far_cpu[] = { 60000 };
	static const char *const nowhere[] = { "nowhere0" };
	struct datapath_options wanted = options(XDP_MODE_OFF);

	(void)state;
	wanted.worker_count = 0;
	expect_refusal(&wanted, -EINVAL, "0 workers");
	wanted.worker_count = 1;
	wanted.worker_cpus = far_cpu;
	expect_refusal(&wanted, -EINVAL, "CPU 60000");
	wanted = options(XDP_MODE_NATIVE);
	wanted.interfaces = nowhere;
	wanted.interface_count = 1;
	expect_refusal(&wanted, -ENODEV, "no interface 'nowhere0'");
	wanted = options(XDP_MODE_OFF);
	wanted.bpf_dir = "relative";
	expect_refusal(&wanted, -EINVAL, "'relative'");
}

/* ---- take over ------------------------------------------------------------------------------ */

static void takes_over_what_is_pinned(void **state)
{
	struct datapath *first = open_mode(XDP_MODE_NATIVE), *second;
	struct datapath_worker worker = { .state = WORKER_STATE_ACTIVE, .connections = 7 };
	struct host_hash_key key = datapath_hash_key(first);
	struct flow_key flow = { .client_port = 1 };
	struct flow_value flow_value = { .worker = 1, .state = FLOW_STATE_STEERED };
	uint32_t old_program = program_on(interfaces[0]), row = 1;
	struct worker_value worker_value;
	int flows, workers;

	(void)state;
	assert_false(datapath_is_taken_over(first));
	flows = open_pin(first, "flows");
	assert_int_equal(bpf_map_update_elem(flows, &flow, &flow_value, 0), 0);
	assert_int_equal(datapath_set_worker(first, 1, &worker, NULL), 0);
	close(flows);
	datapath_close(first);
	assert_int_equal(program_on(interfaces[0]), old_program);

	second = open_mode(XDP_MODE_NATIVE);
	assert_true(datapath_is_taken_over(second));
	assert_true(program_on(interfaces[0]) != old_program);
	assert_int_equal(datapath_hash_key(second).k0, key.k0);
	assert_int_equal(datapath_hash_key(second).k1, key.k1);
	flows = open_pin(second, "flows");
	assert_int_equal(bpf_map_lookup_elem(flows, &flow, &flow_value), 0);
	assert_int_equal(flow_value.worker, 1);
	workers = open_pin(second, "workers");
	assert_int_equal(bpf_map_lookup_elem(workers, &row, &worker_value), 0);
	assert_int_equal(worker_value.connections, 7);
	assert_int_equal(worker_value.state, WORKER_STATE_ACTIVE);
	close(flows);
	close(workers);
	datapath_detach(second);
}

/* A mode, an interface, a listener that is no longer wanted is gone after the next start. */
static void follows_changed_options(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	struct datapath *datapath = open_with(&wanted);
	struct listener_key key = { .port = 80 };
	struct listener_value value;
	int fd;

	(void)state;
	datapath_close(datapath);
	wanted = options(XDP_MODE_GENERIC);
	wanted.interface_count = 1;
	wanted.listener_count = 1;
	datapath = open_with(&wanted);
	assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_GENERIC);
	assert_int_equal(program_on(interfaces[1]), 0);
	fd = open_pin(datapath, "listeners");
	assert_true(bpf_map_lookup_elem(fd, &key, &value) != 0); /* [::]:80 */
	key.address[10] = key.address[11] = 0xff;
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
	close(fd);
	datapath_close(datapath);
	datapath = open_mode(XDP_MODE_OFF);
	assert_int_equal(program_on(interfaces[0]), 0);
	datapath_detach(datapath);
}

static int count_listeners(int fd)
{
	struct listener_key key, *last = NULL;
	int count = 0;

	for (; bpf_map_get_next_key(fd, last, &key) == 0; count++)
		last = &key;
	return count;
}

/* More than the map has room for. */
static void add_many_addresses(void)
{
	const char *path = "/tmp/addresses";
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	for (uint32_t i = 0; i <= LISTENER_KEYS_MAX; i++)
		fprintf(file, "address add 10.9.%u.%u/32 dev %s\n", i >> 8, i & 255, interfaces[0]);
	fclose(file);
	assert_int_equal(lab_command("ip", "-batch", path), 0);
}

/* Where a Service IP of IPVS is an address each, there are more of them than entries. */
static void serves_with_more_addresses_than_entries(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	struct listener_key key = { .port = 80 };
	struct listener_value value;
	struct datapath *datapath;
	int fd;

	(void)state;
	add_many_addresses();
	wanted.wants_early_dispatch = true;
	datapath = open_with(&wanted);
	fd = open_pin(datapath, "listeners");
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0); /* [::]:80 */
	key.address[10] = key.address[11] = 0xff;
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
	assert_int_equal(count_listeners(fd), LISTENER_KEYS_MAX);
	close(fd);
	datapath_detach(datapath);
	assert_int_equal(lab_command("ip", "-4", "address", "flush", "dev", interfaces[0]), 0);
}

static bool has_entry(int fd, const char *ip)
{
	struct listener_key key = { .port = 80 };
	struct listener_value value;
	struct addr addr;

	assert_int_equal(addr_parse_ip(str_from_c(ip), &addr), 0);
	memcpy(key.address, addr.ip, sizeof(key.address));
	return bpf_map_lookup_elem(fd, &key, &value) == 0;
}

static void add_address(const char *ip, const char *interface)
{
	assert_int_equal(lab_command("ip", "address", "add", ip, "dev", interface), 0);
}

/* As kube-proxy's IPVS keeps Service IPs: they are not ours to answer. */
static void leaves_interfaces_that_are_down_alone(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	struct datapath *datapath;
	int fd;

	(void)state;
	assert_int_equal(lab_command("ip", "link", "add", "down0", "type", "veth", "peer", "name",
				     "down1"),
			 0);
	add_address("10.96.0.1/32", "down0");
	add_address("10.9.0.1/32", interfaces[0]);
	wanted.wants_early_dispatch = true;
	datapath = open_with(&wanted);
	fd = open_pin(datapath, "listeners");
	assert_true(has_entry(fd, "0.0.0.0"));
	assert_true(has_entry(fd, "10.9.0.1"));
	assert_false(has_entry(fd, "10.96.0.1"));
	close(fd);
	datapath_detach(datapath);
	assert_int_equal(lab_command("ip", "link", "del", "down0"), 0);
	assert_int_equal(lab_command("ip", "-4", "address", "flush", "dev", interfaces[0]), 0);
}

static void survives_an_interface_made_anew(void **state)
{
	struct datapath *datapath = open_mode(XDP_MODE_NATIVE);

	(void)state;
	datapath_close(datapath);
	assert_int_equal(lab_command("ip", "link", "del", interfaces[0]), 0);
	assert_int_equal(lab_command("ip", "link", "add", interfaces[0], "type", "veth", "peer",
				     "name", "peer0"),
			 0);
	assert_int_equal(program_on(interfaces[0]), 0);
	datapath = open_mode(XDP_MODE_NATIVE);
	assert_true(program_on(interfaces[0]) != 0);
	datapath_detach(datapath);
}

/* ---- what others do meanwhile --------------------------------------------------------------- */

static void make_interface_anew(const char *peer)
{
	assert_int_equal(lab_command("ip", "link", "add", interfaces[0], "type", "veth", "peer",
				     "name", peer),
			 0);
}

static void attaches_again_to_an_interface_made_anew(void **state)
{
	struct datapath *datapath = open_mode(XDP_MODE_AUTO);
	const struct datapath_interface *interface = datapath_interface(datapath, 0);

	(void)state;
	datapath_recheck(datapath);
	assert_int_equal(interface->mode, XDP_MODE_NATIVE);
	assert_int_equal(lab_command("ip", "link", "del", interfaces[0]), 0);
	datapath_recheck(datapath);
	assert_int_equal(interface->mode, XDP_MODE_OFF);
	assert_string_equal(interface->text, "the interface is gone");
	datapath_recheck(datapath);
	make_interface_anew("peer0");
	datapath_recheck(datapath);
	assert_int_equal(interface->mode, XDP_MODE_NATIVE);
	assert_string_equal(interface->text, "");
	assert_true(program_on(interfaces[0]) != 0);
	/* Between two looks, too. */
	assert_int_equal(lab_command("ip", "link", "del", interfaces[0]), 0);
	make_interface_anew("peer0");
	datapath_recheck(datapath);
	assert_true(program_on(interfaces[0]) != 0);
	datapath_detach(datapath);
	assert_int_equal(program_on(interfaces[0]), 0);
}

/* Whoever takes XDP off wants it off. */
static void stays_off_where_it_was_taken_off(void **state)
{
	struct datapath *datapath = open_mode(XDP_MODE_AUTO);
	int link = open_pin(datapath, "link_xdp_steer-slu0");

	(void)state;
	assert_int_equal(bpf_link_detach(link), 0);
	close(link);
	for (int i = 0; i < 2; i++) {
		datapath_recheck(datapath);
		assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_OFF);
		assert_string_equal(datapath_interface(datapath, 0)->text,
				    "XDP was taken off while we ran");
		assert_int_equal(program_on(interfaces[0]), 0);
		assert_true(program_on(interfaces[1]) != 0);
	}
	datapath_close(datapath);
	datapath = open_mode(XDP_MODE_AUTO);
	assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_NATIVE);
	datapath_detach(datapath);
}

/* ---- what stands in the way ----------------------------------------------------------------- */

static void never_displaces_a_foreign_program(void **state)
{
	static const enum xdp_mode modes[] = { XDP_MODE_NATIVE, XDP_MODE_GENERIC };
	int foreign = lab_attach_pass(interfaces[1], "foreign_prog", XDP_FLAGS_DRV_MODE);
	uint32_t id = program_on(interfaces[1]);
	struct datapath *datapath;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct datapath_options wanted = options(modes[i]);

		expect_refusal(&wanted, -EBUSY,
			       "'slu1.5' already carries XDP program 'foreign_prog'");
		assert_int_equal(program_on(interfaces[1]), id);
		assert_int_equal(program_on(interfaces[0]),
				 0); /* attached first, taken off again */
	}
	datapath = open_mode(XDP_MODE_AUTO);
	assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_NATIVE);
	assert_int_equal(datapath_interface(datapath, 1)->mode, XDP_MODE_OFF);
	assert_non_null(strstr(datapath_interface(datapath, 1)->text, "foreign_prog"));
	assert_int_equal(program_on(interfaces[1]), id);
	datapath_detach(datapath);
	assert_int_equal(program_on(interfaces[1]), id);
	close(foreign);
}

/* Without CAP_SYS_ADMIN, as in a Pod. */
static void says_why_a_holder_has_no_name(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	int foreign = lab_attach_pass(interfaces[1], "foreign_prog", XDP_FLAGS_DRV_MODE);

	(void)state;
	/* Makes bpffs, which is not what a Pod does. */
	datapath_detach(open_mode(XDP_MODE_AUTO));
	lab_use_sys_admin(false);
	expect_refusal(&wanted, -EBUSY, "carries XDP program '(its name needs CAP_SYS_ADMIN)'");
	lab_use_sys_admin(true);
	close(foreign);
}

/* The loopback interface has no XDP in its driver. */
static void falls_back_to_generic(void **state)
{
	static const char *const loopback[] = { "lo" };
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	struct datapath *datapath;

	(void)state;
	wanted.interfaces = loopback;
	wanted.interface_count = 1;
	expect_refusal(&wanted, -EOPNOTSUPP, "interface 'lo' refuses native XDP");
	wanted.xdp = XDP_MODE_AUTO;
	datapath = open_with(&wanted);
	assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_GENERIC);
	assert_non_null(strstr(datapath_interface(datapath, 0)->text, "native"));
	datapath_detach(datapath);
}

static void refuses_maps_of_another_schema(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	struct datapath *datapath = open_with(&wanted);
	struct schema_value value = { .schema = 77 };
	uint32_t row = 0;
	int fd = open_pin(datapath, "schema");

	(void)state;
	assert_int_equal(bpf_map_update_elem(fd, &row, &value, 0), 0);
	close(fd);
	datapath_close(datapath);
	expect_refusal(&wanted, -EPROTO,
		       "holds maps of schema 77, and this is schema " THIS_SCHEMA);
	assert_int_equal(datapath_remove(LAB_BPF_DIR, NULL), 0);
}

/* Beside ours, a directory of another version that still steers. */
static void refuses_links_of_another_schema(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_NATIVE);
	struct datapath *datapath = open_with(&wanted);
	char ours[512], other[520];

	(void)state;
	snprintf(ours, sizeof(ours), "%s", datapath_pin_dir(datapath));
	snprintf(other, sizeof(other), "%.*s78", (int)strlen(ours) - 1, ours);
	datapath_close(datapath);
	assert_int_equal(rename(ours, other), 0);
	expect_refusal(&wanted, -EPROTO, "links of schema 78, and this is schema " THIS_SCHEMA);
	assert_int_equal(rename(other, ours), 0);
	assert_int_equal(datapath_remove(LAB_BPF_DIR, NULL), 0);
	assert_int_equal(program_on(interfaces[0]), 0);
}

static void note_removed(void *arg, const char *text)
{
	snprintf((char *)arg + strlen(arg), 4096 - strlen(arg), "%s\n", text);
}

/* Beside an agent, of whatever schema, and whatever one that died in the middle left. */
static void takes_everything_away(void **state)
{
	static const char *const said[] = { "took away link_xdp_steer-slu0\n",
					    "took away link_xdp_steer-slu1%2e5\n", "removed ",
					    "/v78\n" };
	struct datapath *datapath = open_mode(XDP_MODE_NATIVE);
	char ours[512], other[520], text[4096] = "";
	struct datapath_removal removal = { .on_removed = note_removed, .arg = text };

	(void)state;
	snprintf(ours, sizeof(ours), "%s", datapath_pin_dir(datapath));
	snprintf(other, sizeof(other), "%.*s78", (int)strlen(ours) - 1, ours);
	assert_int_equal(rename(ours, other), 0);
	snprintf(other, sizeof(other), "%.*s/tmp-torso", (int)(strrchr(ours, '/') - ours), ours);
	assert_int_equal(mkdir(other, 0750), 0);
	assert_int_equal(datapath_take_away(LAB_BPF_DIR, &removal, NULL), 0);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strstr(text, said[i]))
			fail_msg("not said: %s in: %s", said[i], text);
	assert_int_equal(program_on(interfaces[0]), 0);
	assert_int_equal(program_on(interfaces[1]), 0);
	*strrchr(ours, '/') = 0;
	assert_int_equal(access(ours, F_OK), -1);
	text[0] = 0;
	assert_int_equal(datapath_take_away(LAB_BPF_DIR, &removal, NULL), 0);
	assert_string_equal(text, "");
	datapath_recheck(datapath);
	assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_OFF);
	datapath_detach(datapath);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static struct datapath_host *make_hosts(const struct datapath *datapath, size_t count)
{
	struct datapath_host *hosts = mem_new(count, sizeof(*hosts));
	char name[64];

	for (size_t i = 0; i < count; i++) {
		int len = snprintf(name, sizeof(name), "h%05zu.example.com", i);

		hosts[i].key =
			datapath_host_key(datapath_hash_key(datapath), str_of(name, (size_t)len));
		hosts[i].value = (struct host_value){ .host_id = (uint32_t)i, .worker_spread = 1 };
		memcpy(hosts[i].value.name, name, (size_t)len);
	}
	qsort(hosts, count, sizeof(*hosts), datapath_host_compare);
	return hosts;
}

static void sync_and_expect(struct datapath *datapath, const struct datapath_host *hosts,
			    size_t count, struct datapath_sync expected)
{
	static uint32_t generation;
	struct datapath_sync done;
	struct err err = { 0 };

	if (datapath_sync_hosts(datapath, hosts, count, ++generation, &done, &err))
		fail_msg("%s", err.text);
	if (memcmp(&done, &expected, sizeof(done)) != 0)
		fail_msg("%zu added, %zu changed, %zu removed, %zu refused", done.added,
			 done.changed, done.removed, done.refused);
}

static void syncs_hosts_by_difference(void **state)
{
	struct datapath *datapath = open_mode(XDP_MODE_OFF);
	struct datapath_host *hosts = make_hosts(datapath, MANY_HOSTS);
	uint64_t began_ns = clock_monotonic_ns(), took_ms;
	struct host_value value;
	int fd = open_pin(datapath, "hosts");

	(void)state;
	sync_and_expect(datapath, hosts, MANY_HOSTS, (struct datapath_sync){ .added = MANY_HOSTS });
	took_ms = (clock_monotonic_ns() - began_ns) / NS_PER_MS;
	if (took_ms > MANY_HOSTS_MAX_MS)
		fail_msg("%d hosts took %llu ms", MANY_HOSTS, (unsigned long long)took_ms);
	began_ns = clock_monotonic_ns();
	hosts[5000].value.worker_first = 1;
	sync_and_expect(datapath, hosts, MANY_HOSTS, (struct datapath_sync){ .changed = 1 });
	took_ms = (clock_monotonic_ns() - began_ns) / NS_PER_MS;
	if (took_ms > ONE_HOST_MAX_MS)
		fail_msg("one host of %d took %llu ms", MANY_HOSTS, (unsigned long long)took_ms);
	assert_int_equal(bpf_map_lookup_elem(fd, &hosts[5000].key, &value), 0);
	assert_int_equal(value.worker_first, 1);
	assert_int_equal(bpf_map_lookup_elem(fd, &hosts[4999].key, &value), 0);
	assert_int_equal(value.worker_first, 0);
	sync_and_expect(datapath, hosts, MANY_HOSTS, (struct datapath_sync){ 0 });
	sync_and_expect(datapath, hosts + 10, MANY_HOSTS - 20,
			(struct datapath_sync){ .removed = 20 });
	assert_true(bpf_map_lookup_elem(fd, &hosts[9].key, &value) != 0);
	datapath_close(datapath);

	/* The next agent reads back what is there. */
	datapath = open_mode(XDP_MODE_OFF);
	sync_and_expect(datapath, hosts + 10, MANY_HOSTS - 20, (struct datapath_sync){ 0 });
	sync_and_expect(datapath, hosts, 0, (struct datapath_sync){ .removed = MANY_HOSTS - 20 });
	close(fd);
	mem_free(hosts);
	datapath_detach(datapath);
}

static void counts_what_a_full_map_refuses(void **state)
{
	struct datapath_options wanted = options(XDP_MODE_OFF);
	struct datapath_host *hosts;
	struct datapath *datapath;

	(void)state;
	wanted.hosts_capacity = 100;
	datapath = open_with(&wanted);
	hosts = make_hosts(datapath, 150);
	sync_and_expect(datapath, hosts, 150,
			(struct datapath_sync){ .added = 100, .refused = 50 });
	sync_and_expect(datapath, hosts, 150, (struct datapath_sync){ .refused = 50 });
	sync_and_expect(datapath, hosts + 100, 50,
			(struct datapath_sync){ .added = 50, .removed = 100 });
	mem_free(hosts);
	datapath_detach(datapath);
}

/* A host that is served but has no room in the map must not be dropped with the unknown ones. */
static void a_full_map_drops_nobody(void **state)
{
	const struct host_key others = datapath_host_key_catch_all();
	struct datapath_options wanted = options(XDP_MODE_OFF);
	struct host_value value;
	struct datapath_host *hosts;
	struct datapath *datapath;
	int fd;

	(void)state;
	wanted.hosts_capacity = 100;
	datapath = open_with(&wanted);
	hosts = make_hosts(datapath, 150);
	fd = open_pin(datapath, "hosts");
	hosts[0].key = others; /* it stays in front */
	hosts[0].value.policy = HOST_POLICY_DROP;
	sync_and_expect(datapath, hosts, 90, (struct datapath_sync){ .added = 90 });
	assert_int_equal(bpf_map_lookup_elem(fd, &others, &value), 0);
	assert_int_equal(value.policy, HOST_POLICY_DROP);
	sync_and_expect(datapath, hosts, 150,
			(struct datapath_sync){ .added = 10, .refused = 50, .removed = 1 });
	assert_int_not_equal(bpf_map_lookup_elem(fd, &others, &value), 0);
	sync_and_expect(datapath, hosts, 90, (struct datapath_sync){ .added = 1, .removed = 10 });
	assert_int_equal(bpf_map_lookup_elem(fd, &others, &value), 0);
	close(fd);
	mem_free(hosts);
	datapath_detach(datapath);
}

/* ---- looking -------------------------------------------------------------------------------- */

static bool note_map(void *arg, const struct datapath_map *map)
{
	struct datapath_map *noted = arg;

	if (strcmp(map->name, noted->name) == 0)
		*noted = *map;
	return true;
}

static void shows_maps_and_flows(void **state)
{
	struct datapath *datapath = open_mode(XDP_MODE_OFF);
	struct datapath_map map = { .name = "flows" };
	struct flow_key key = { .client_port = 40000, .local_port = 80 };
	struct flow_value value = { .worker = 1, .host_id = 5, .state = FLOW_STATE_CLOSING };
	int fd = open_pin(datapath, "flows");
	struct json json;
	struct buf buf;

	(void)state;
	key.client_address[10] = key.client_address[11] = 0xff;
	assert_int_equal(bpf_map_update_elem(fd, &key, &value, 0), 0);
	datapath_each_map(datapath, note_map, &map);
	assert_string_equal(map.type, "lru_hash");
	assert_int_equal(map.capacity, 1024);
	assert_int_equal(map.entries, 1);
	assert_int_equal(map.key_bytes, sizeof(struct flow_key));
	assert_true(map.memory_bytes > 0);
	map = (struct datapath_map){ .name = "listeners" };
	datapath_each_map(datapath, note_map, &map);
	close(fd);
	fd = open_pin(datapath, "listeners");
	assert_int_equal(map.entries, count_listeners(fd));
	assert_true(map.entries >= 2); /* and one for each address that there is */
	buf_init(&buf, 0);
	json_init(&json, &buf);
	datapath_json_flows(datapath, 10, &json, NULL);
	buf_add_char(&buf, 0);
	assert_string_equal(buf.at,
			    "[{\"client\":\"0.0.0.0:40000\",\"local\":\"[::]:80\",\"worker\":1,"
			    "\"host_id\":5,\"state\":\"closing\",\"last_seen_ns\":0}]");
	buf_release(&buf);
	close(fd);
	datapath_detach(datapath);
}

static void probes_without_traces(void **state)
{
	static const char *const tried[] = { "slu0", "lo", "nowhere0" };
	struct datapath_features features;

	(void)state;
	datapath_probe(tried, 3, &features);
	assert_true(datapath_feature_find(&features, "bpf")->is_there);
	assert_true(datapath_feature_find(&features, "sk_reuseport")->is_there);
	assert_true(datapath_feature_find(&features, "cpumap")->is_there);
	assert_true(datapath_feature_find(&features, "native_xdp:slu0")->is_there);
	assert_false(datapath_feature_find(&features, "native_xdp:lo")->is_there);
	assert_false(datapath_feature_find(&features, "native_xdp:nowhere0")->is_there);
	assert_null(datapath_feature_find(&features, "no such feature"));
	for (size_t i = 0; i < features.len; i++)
		assert_true(features.at[i].text[0] != 0);
	assert_int_equal(program_on("slu0"), 0);
}

/* What is said to be missing is missing, and everything else still opens. */
static void does_without_what_is_hidden(void **state)
{
	static const struct {
		const char *without, *feature;
	} cases[] = {
		{ "cpumap", "cpumap" },
		{ "sk_reuseport", "sk_reuseport" },
		{ "sockmap", "sockmap" },
		{ "x, xdp_load_bytes", "xdp_load_bytes" },
		{ "bpf_loop,kfunc", "bpf_loop" },
		{ "sk_reuseport,cpumap,sockmap,sk_lookup,xdp_load_bytes,kfunc,tcx", "sk_lookup" },
	};
	struct datapath_features features;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct datapath *datapath;

		setenv(DATAPATH_WITHOUT_VARIABLE, cases[i].without, 1);
		datapath_probe(NULL, 0, &features);
		assert_false(datapath_feature_find(&features, cases[i].feature)->is_there);
		assert_true(datapath_feature_find(&features, "ringbuf")->is_there);
		datapath = open_mode(XDP_MODE_AUTO);
		assert_int_equal(datapath_interface(datapath, 0)->mode, XDP_MODE_NATIVE);
		datapath_detach(datapath);
	}
	unsetenv(DATAPATH_WITHOUT_VARIABLE);
	datapath_probe(NULL, 0, &features);
	assert_true(datapath_feature_find(&features, "sk_lookup")->is_there);
	assert_true(datapath_feature_find(&features, "sockmap")->is_there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attaches_in_each_mode),
		cmocka_unit_test(pins_with_modes_of_their_own),
		cmocka_unit_test(is_off_when_told),
		cmocka_unit_test(refuses_wrong_options),
		cmocka_unit_test(takes_over_what_is_pinned),
		cmocka_unit_test(follows_changed_options),
		cmocka_unit_test(serves_with_more_addresses_than_entries),
		cmocka_unit_test(leaves_interfaces_that_are_down_alone),
		cmocka_unit_test(survives_an_interface_made_anew),
		cmocka_unit_test(attaches_again_to_an_interface_made_anew),
		cmocka_unit_test(stays_off_where_it_was_taken_off),
		cmocka_unit_test(never_displaces_a_foreign_program),
		cmocka_unit_test(says_why_a_holder_has_no_name),
		cmocka_unit_test(falls_back_to_generic),
		cmocka_unit_test(refuses_maps_of_another_schema),
		cmocka_unit_test(refuses_links_of_another_schema),
		cmocka_unit_test(takes_everything_away),
		cmocka_unit_test(syncs_hosts_by_difference),
		cmocka_unit_test(counts_what_a_full_map_refuses),
		cmocka_unit_test(a_full_map_drops_nobody),
		cmocka_unit_test(shows_maps_and_flows),
		cmocka_unit_test(probes_without_traces),
		cmocka_unit_test(does_without_what_is_hidden),
	};

	return cmocka_run_group_tests_name("datapath", tests, enter, leave_nothing);
}
