/* SPDX-License-Identifier: Apache-2.0 */
/* container: from an embedded struct (a watch, a timer, a task) to what it serves. */
#ifndef SLUICE_BASE_CONTAINER_H
#define SLUICE_BASE_CONTAINER_H

#include <stddef.h>

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#endif
