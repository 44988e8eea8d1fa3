// SPDX-License-Identifier: Apache-2.0
/* protection: see protection.h and inotify(7). */
#include "agent/protection.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/container.h"
#include "base/log.h"
#include "base/memfd.h"
#include "image/sources.h"

enum {
	/* A ConfigMap's files are links into a directory that is renamed. */
	WATCH_MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR,
	EVENTS_BYTES_MAX = 4096,
	PATH_BYTES = 4096,
};

/* -------------------------------------------------------------------------------- lists */

static void complain(const struct source_list *list, const char *what)
{
	for (size_t i = 0; i < list->complaints.len; i++)
		log_warning("agent", "%s: %.*s", what, STR_ARG(list->complaints.at[i]));
	if (list->refused_count > list->complaints.len)
		log_warning("agent", "%s: %zu more lines are left out", what,
			    list->refused_count - list->complaints.len);
}

/* Puts what @sources say now into @list; where that cannot be read, @list stays. */
static int read_list(struct source_list *list, const struct str *sources, size_t count,
		     const char *what, struct err *err)
{
	struct source_list fresh;

	if (source_list_read(&fresh, sources, count, err)) {
		source_list_release(&fresh);
		return err_prefix(err, "%s", what);
	}
	source_list_release(list);
	*list = fresh;
	complain(list, what);
	return 0;
}

static int read_deny(struct protection *protection, struct err *err)
{
	const struct options_protect *said = &protection->agent->options->protect;

	return read_list(&protection->deny, said->deny, said->deny_count, "denylist", err);
}

static int read_allow(struct protection *protection, const struct listener *listener,
		      struct err *err)
{
	const struct options_protect *said = &protection->agent->options->protect;
	struct protection_allow *allow = &protection->allow[listener->id];
	struct str sources[OPTIONS_SOURCES_MAX];
	size_t count = 0;
	int rc;

	for (size_t i = 0; i < said->allow_count; i++)
		if (options_is_listener(said->allow[i].listener, listener->protocol,
					&listener->range))
			sources[count++] = said->allow[i].source;
	rc = read_list(&allow->list, sources, count, "allow-sources", err);
	if (!rc)
		allow->is_limited = count > 0;
	return rc;
}

/* Reads every list, those behind one that cannot be read too. 0, or the first failure. */
static int read_all(struct protection *protection, struct err *err)
{
	const struct listeners *listeners = &protection->agent->listeners;
	int rc = read_deny(protection, err);

	for (size_t i = 0; i < listeners->count; i++) {
		struct err next = { 0 };

		if (read_allow(protection, &listeners->at[i], &next) && !rc) {
			*err = next;
			rc = next.code;
		}
	}
	return rc;
}

/* -------------------------------------------------------------------------- the segment */

static void add_list(struct sources_writer *writer, const struct addr *listener,
		     const struct source_list *list)
{
	sources_writer_begin(writer, listener);
	for (size_t i = 0; i < list->entries.len; i++)
		sources_writer_add(writer, &list->entries.at[i].prefix);
}

static int write_segment(struct protection *protection, struct err *err)
{
	const struct listeners *listeners = &protection->agent->listeners;
	struct sources_writer *writer = sources_writer_new(protection->generation + 1);
	struct str bytes;
	int fd;

	if (protection->deny.entries.len)
		add_list(writer, NULL, &protection->deny);
	for (size_t i = 0; i < listeners->count; i++) {
		const struct protection_allow *allow = &protection->allow[listeners->at[i].id];

		if (allow->is_limited)
			add_list(writer, &listeners->at[i].addr, &allow->list);
	}
	fd = sources_writer_finish(writer, &bytes, err);
	if (fd == 0)
		fd = memfd_seal("sluice-sources", bytes, err);
	sources_writer_free(writer);
	if (fd < 0)
		return fd;
	if (protection->sources_fd >= 0)
		close(protection->sources_fd);
	protection->sources_fd = fd;
	protection->generation++;
	return 0;
}

/* ----------------------------------------------------------------------------- the maps */

/* @prefixes borrows @room, which holds as many as @list. */
static void to_prefixes(const struct source_list *list, struct datapath_prefix *room,
			struct datapath_prefixes *prefixes)
{
	for (size_t i = 0; i < list->entries.len; i++) {
		const struct source_entry *entry = &list->entries.at[i];

		room[i] = (struct datapath_prefix){ .bits = entry->prefix.bits,
						    .rule_id = entry->line };
		memcpy(room[i].addr.ip, entry->prefix.ip, sizeof(room[i].addr.ip));
	}
	*prefixes = (struct datapath_prefixes){ room, list->entries.len };
}

static void apply_deny(struct protection *protection)
{
	struct datapath_prefix *room =
		mem_new(protection->deny.entries.len + 1, sizeof(struct datapath_prefix));
	struct datapath_prefixes prefixes;
	struct err err = { 0 };

	to_prefixes(&protection->deny, room, &prefixes);
	if (datapath_set_denylist(protection->agent->steering.datapath, &prefixes, &err))
		log_error("agent", "denylist is not in force in XDP: %s", err.text);
	mem_free(room);
}

static void apply_allow(struct protection *protection, uint16_t id)
{
	const struct protection_allow *allow = &protection->allow[id];
	struct datapath_prefix *room =
		mem_new(allow->list.entries.len + 1, sizeof(struct datapath_prefix));
	struct datapath_prefixes prefixes;
	struct err err = { 0 };

	to_prefixes(&allow->list, room, &prefixes);
	if (datapath_set_allowlist(protection->agent->steering.datapath, id,
				   allow->is_limited ? &prefixes : NULL, &err))
		log_error("agent", "the allow list of listener %u is not in force in XDP: %s", id,
			  err.text);
	mem_free(room);
}

void protection_apply(struct protection *protection)
{
	struct agent *agent = protection->agent;
	struct err err = { 0 };

	links_send_sources(&agent->links);
	if (agent->options->protect.source_rate.per_s && !steering_has_xdp(&agent->steering))
		log_warning("agent", "source-rate is not in force: it is counted in XDP, which no "
				     "interface has");
	if (!agent->steering.datapath)
		return;
	apply_deny(protection);
	for (size_t i = 0; i < agent->listeners.count; i++)
		apply_allow(protection, agent->listeners.at[i].id);
	if (datapath_set_source_rate(agent->steering.datapath, &agent->options->protect.source_rate,
				     &err))
		log_error("agent", "source-rate is not in force: %s", err.text);
}

/* ---------------------------------------------------------------------------- the files */

static void watch_directories_of(const struct protection *protection,
				 const struct source_list *list)
{
	for (size_t i = 0; i < list->files.len; i++) {
		struct str path = str_from_c(list->files.at[i].path);
		char directory[PATH_BYTES] = ".";
		size_t len = path.len;

		while (len > 0 && path.at[len - 1] != '/')
			len--;
		if (len >= sizeof(directory))
			continue;
		if (len > 0)
			memcpy(directory, path.at, len);
		/* The same directory twice is one watch. */
		if (inotify_add_watch(protection->watch.fd, directory, WATCH_MASK) < 0)
			log_warning("agent", "'%s' is not watched; SIGHUP reads it: %s", path.at,
				    strerror(errno));
	}
}

static void watch_files(const struct protection *protection)
{
	if (protection->watch.fd < 0)
		return;
	watch_directories_of(protection, &protection->deny);
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		watch_directories_of(protection, &protection->allow[i].list);
}

static bool is_outdated(const struct protection *protection)
{
	bool is = source_list_is_outdated(&protection->deny);

	for (size_t i = 0; !is && i < LISTENERS_MAX; i++)
		is = source_list_is_outdated(&protection->allow[i].list);
	return is;
}

void protection_reload(struct protection *protection)
{
	struct err err = { 0 };

	if (read_all(protection, &err))
		log_error("agent", "that list stays as it was: %s", err.text);
	if (write_segment(protection, &err))
		log_error("agent", "lists of sources hold in XDP alone: %s", err.text);
	watch_files(protection);
	protection_apply(protection);
	log_info("agent", "denylist: %zu networks", protection->deny.entries.len);
}

static void on_settled(struct loop_timer *timer)
{
	struct protection *protection = CONTAINER_OF(timer, struct protection, timer);

	/* The maps are the next agent's where there is one. Other files change as well. */
	if (!protection->agent->is_superseded && is_outdated(protection))
		protection_reload(protection);
}

static void on_file_event(struct loop_watch *watch, uint32_t events)
{
	struct protection *protection = CONTAINER_OF(watch, struct protection, watch);
	struct loop *loop = &protection->agent->loop;
	char bytes[EVENTS_BYTES_MAX];

	(void)events;
	while (read(watch->fd, bytes, sizeof(bytes)) > 0) {
		/* which one it was is found out by looking at the files */
	}
	loop_timer_set(loop, &protection->timer, loop->now_ms + PROTECTION_SETTLE_MS);
}

int protection_open(struct protection *protection, struct agent *agent, struct err *err)
{
	int rc;

	protection->agent = agent;
	protection->timer.on_due = on_settled;
	protection->watch.on_event = on_file_event;
	rc = read_all(protection, err);
	if (!rc)
		rc = write_segment(protection, err);
	if (rc)
		return rc;
	protection->watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (protection->watch.fd < 0 || loop_watch_level(&agent->loop, &protection->watch))
		log_warning("agent", "files of sources are not watched; SIGHUP reads them");
	watch_files(protection);
	return 0;
}

void protection_close(struct protection *protection)
{
	if (protection->sources_fd >= 0)
		close(protection->sources_fd);
	if (!protection->agent)
		return;
	loop_timer_clear(&protection->agent->loop, &protection->timer);
	if (protection->watch.fd > 0)
		close(protection->watch.fd);
	source_list_release(&protection->deny);
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		source_list_release(&protection->allow[i].list);
}
