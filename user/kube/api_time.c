// SPDX-License-Identifier: Apache-2.0
/* api_time: see api_time.h. */
#include "kube/api_time.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"

const char *api_time_now(char text[API_TIME_MAX])
{
	uint64_t now_ns = clock_wall_ns();
	time_t seconds = (time_t)(now_ns / NS_PER_S);
	struct tm tm;
	char date[API_TIME_MAX];

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, API_TIME_MAX, "%.19s.%06uZ", date,
		 (unsigned int)(now_ns % NS_PER_S / NS_PER_US));
	return text;
}
