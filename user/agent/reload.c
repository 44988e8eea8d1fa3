// SPDX-License-Identifier: Apache-2.0
/* reload: see reload.h. Which options may change stands in the table of options.c. */
#include "agent/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/log.h"
#include "base/mem.h"

int reload_access_log(struct agent *agent, struct err *err)
{
	const char *path = agent->options->access_log;
	int fd;

	if (!path)
		return 0;
	if (strcmp(path, "-") == 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_set_os(err, -errno, "cannot open access log '%s'", path);
	if (agent->access_log_fd >= 0)
		close(agent->access_log_fd);
	agent->access_log_fd = fd;
	return 0;
}

static bool is_same_settings(const struct options *a, const struct options *b)
{
	if (a->settings.len != b->settings.len)
		return false;
	for (size_t i = 0; i < a->settings.len; i++)
		if (!str_eq(a->settings.at[i].key, b->settings.at[i].key) ||
		    !str_eq(a->settings.at[i].value, b->settings.at[i].value))
			return false;
	return true;
}

/* The options that were in force until now are borrowed by nobody any more. */
static void use(struct agent *agent, struct options *fresh)
{
	bool has_new_settings = !is_same_settings(agent->options, fresh);

	if (agent->reloaded) {
		options_release_reloaded(agent->reloaded);
		mem_free(agent->reloaded);
	}
	agent->reloaded = fresh;
	agent->options = fresh;
	log_set_level(fresh->log_level);
	links_send_settings(&agent->links);
	protection_reload(&agent->protection);
	if (has_new_settings)
		reconcile_use_settings(&agent->reconcile);
}

void reload(struct agent *agent)
{
	struct options *fresh = mem_new(1, sizeof(*fresh));
	struct err err = { 0 };
	struct buf fixed;

	buf_init(&fixed, 0);
	if (options_reload(agent->options, fresh, &fixed, &err)) {
		log_error("agent", "SIGHUP: nothing is changed: %s", err.text);
		mem_free(fresh);
	} else {
		use(agent, fresh);
		log_info("agent", "SIGHUP: the configuration is read again");
	}
	if (fixed.len)
		log_warning("agent", "SIGHUP: stays as it is until a restart or SIGUSR2: %.*s",
			    (int)fixed.len, fixed.at);
	buf_release(&fixed);
	if (reload_access_log(agent, &err))
		log_error("agent", "%s", err.text);
	else
		links_send_access_log(&agent->links);
}
