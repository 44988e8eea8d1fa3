// SPDX-License-Identifier: Apache-2.0
/*
 * remove: takes away what any agent left in this network namespace.
 *
 *   no more SYNs are answered       the lock keeps the agent from starting again
 *   a moment                        for first payloads of those that were
 *   worker_socks is emptied         the kernel chooses among a listener's sockets,
 *                                   and they can go into the next agent's map
 *   XDP, tc_admit                   detached, whoever else holds their links
 *   sk_lookup                       let go: an agent that holds it needs it
 *   pins                            removed, and with them what nobody uses
 *
 * Of other schemas only the names are known: their links and pins go at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "datapath/internal.h"

enum { US_PER_MS = 1000, TEXT_BYTES = 2 * PIN_PATH_MAX };

struct removing {
	const struct datapath_removal *removal;
	struct datapath dp; /* of the schema at hand: its paths */
	size_t pins;
};

static void say(const struct removing *removing, const char *what, const char *subject,
		const char *more)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "%s %s%s", what, subject, more);
	if (removing->removal->on_removed)
		removing->removal->on_removed(removing->removal->arg, text);
}

static bool is_ours(const struct datapath *dp)
{
	char schema[16];
	size_t len = strlen(dp->pin_dir);
	int schema_len = snprintf(schema, sizeof(schema), "/v%d", CONTRACT_SCHEMA);

	return len > (size_t)schema_len && strcmp(dp->pin_dir + len - schema_len, schema) == 0;
}

/* ---- before --------------------------------------------------------------------------------- */

static void stop_answering(struct removing *removing)
{
	struct datapath *dp = &removing->dp;
	struct settings_value value;

	dp->map_fds[MAP_SETTINGS] = pin_open(dp, map_names[MAP_SETTINGS]);
	if (early_read_settings(dp, &value, NULL) == 0 && value.is_answering) {
		value.is_answering = 0;
		memset(value.answering, 0, sizeof(value.answering));
		early_set_settings(dp, &value, NULL);
		usleep(removing->removal->grace_ms * US_PER_MS);
	}
	if (dp->map_fds[MAP_SETTINGS] >= 0)
		close(dp->map_fds[MAP_SETTINGS]);
}

static void empty_worker_socks(const struct datapath *dp)
{
	int fd = pin_open(dp, map_names[MAP_WORKER_SOCKS]);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		for (uint32_t slot = 0; slot < info.max_entries; slot++)
			bpf_map_delete_elem(fd, &slot);
	close(fd);
}

/* ---- links and pins ------------------------------------------------------------------------- */

static bool is_lookup(const char *name)
{
	return strcmp(name, "link_sk_lookup") == 0;
}

static uint32_t id_of_link(int fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* What has become of a link whose pin is gone: nobody holds it, somebody does, or who knows. */
static const char *fate_of_link(uint32_t link_id)
{
	int fd = bpf_link_get_fd_by_id(link_id);

	if (fd < 0 && errno == ENOENT)
		return "";
	if (fd < 0)
		return ", which stays where a sluice still serves by it "
		       "(to see that needs CAP_SYS_ADMIN)";
	close(fd);
	return ", which stays as long as the sluice that serves by it";
}

static void remove_link(void *arg, const char *name)
{
	struct removing *removing = arg;
	uint32_t id;
	int fd;

	if (strncmp(name, "link_", 5) != 0)
		return;
	fd = pin_open(&removing->dp, name);
	if (fd < 0)
		return;
	id = id_of_link(fd);
	if (!is_lookup(name))
		bpf_link_detach(fd);
	pin_remove(&removing->dp, name);
	close(fd);
	say(removing, "took away", name, is_lookup(name) ? fate_of_link(id) : "");
}

static void count_pin(void *arg, const char *name)
{
	struct removing *removing = arg;

	(void)name;
	removing->pins++;
}

static void remove_schema(void *arg, const char *name)
{
	struct removing *removing = arg;
	struct datapath *dp = &removing->dp;
	bool is_schema = name[0] == 'v', is_torso = strncmp(name, "tmp-", 4) == 0;
	char count[64];

	if ((!is_schema && !is_torso) || snprintf(dp->pin_dir, sizeof(dp->pin_dir), "%s/%s",
						  dp->netns_dir, name) >= (int)sizeof(dp->pin_dir))
		return;
	if (is_ours(dp)) {
		stop_answering(removing);
		empty_worker_socks(dp);
	}
	pin_each_name(dp->pin_dir, remove_link, removing);
	removing->pins = 0;
	pin_each_name(dp->pin_dir, count_pin, removing);
	pin_remove_all(dp);
	snprintf(count, sizeof(count), "removed %zu pins of maps and programs in", removing->pins);
	say(removing, count, dp->pin_dir, "");
}

int datapath_take_away(const char *bpf_dir, const struct datapath_removal *removal, struct err *err)
{
	struct removing removing = { .removal = removal };
	int code = pin_paths(&removing.dp, bpf_dir ? bpf_dir : DATAPATH_DIR_DEFAULT, err);
	int lock;

	if (code)
		return code;
	if (access(removing.dp.netns_dir, F_OK))
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_set_os(err, -errno, "cannot look into '%s'",
					    removing.dp.netns_dir);
	lock = pin_lock(&removing.dp, err);
	if (lock < 0)
		return lock;
	pin_each_name(removing.dp.netns_dir, remove_schema, &removing);
	rmdir(removing.dp.netns_dir);
	close(lock);
	return 0;
}
