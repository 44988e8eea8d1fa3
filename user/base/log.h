/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line to stderr for people.
 *
 *   2026-11-23T05:00:00.123Z info agent: serving generation 7
 *
 * A line is one write(2), so that lines of several threads and of the two
 * processes never mix. The macros check the level before anything is
 * formatted. Workers log only what happens to the process, never per request.
 */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include <stdbool.h>

#include "base/str.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR,
};

/* Default: info. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);
/* "debug", "info", "warning", "error". 0 or -EINVAL. */
int log_level_parse(struct str text, enum log_level *level);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *area, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* @area: the folder or module that speaks, e.g. "agent". */
#define log_at(level, area, ...) (log_is_on(level) ? log_write(level, area, __VA_ARGS__) : (void)0)
#define log_debug(area, ...)     log_at(LOG_LEVEL_DEBUG, area, __VA_ARGS__)
#define log_info(area, ...)      log_at(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_warning(area, ...)   log_at(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_error(area, ...)     log_at(LOG_LEVEL_ERROR, area, __VA_ARGS__)

#endif
