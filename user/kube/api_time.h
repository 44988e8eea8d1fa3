/* SPDX-License-Identifier: Apache-2.0 */
/* api_time: now, as the API writes it: "2026-01-02T03:04:05.000006Z" (MicroTime of meta/v1). */
#ifndef SLUICE_KUBE_API_TIME_H
#define SLUICE_KUBE_API_TIME_H

enum { API_TIME_MAX = 32 };

/* Returns @text. */
const char *api_time_now(char text[API_TIME_MAX]);

#endif
