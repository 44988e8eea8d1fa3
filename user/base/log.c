// SPDX-License-Identifier: Apache-2.0
/* log: see log.h. A line longer than LOG_LINE_MAX is cut. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOG_LINE_MAX = 2048 };

static enum log_level level_now = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_ERROR] = "error",
};

void log_set_level(enum log_level level)
{
	level_now = level;
}

bool log_is_on(enum log_level level)
{
	return level >= level_now;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(struct str text, enum log_level *level)
{
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
		if (str_eq_c(text, level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static size_t format_head(char *line, size_t size, enum log_level level, const char *area)
{
	uint64_t wall_ns = clock_wall_ns();
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm utc;
	size_t len;

	gmtime_r(&seconds, &utc);
	len = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	len += (size_t)snprintf(line + len, size - len,
				".%03uZ %s %s: ", (unsigned int)(wall_ns % NS_PER_S / NS_PER_MS),
				level_names[level], area);
	return len;
}

void log_write(enum log_level level, const char *area, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	size_t len = format_head(line, sizeof(line) - 1, level, area);
	va_list args;
	int added;

	va_start(args, format);
	added = vsnprintf(line + len, sizeof(line) - 1 - len, format, args);
	va_end(args);
	if (added > 0)
		len += (size_t)added;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody is left to tell */
}
