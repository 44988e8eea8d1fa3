// SPDX-License-Identifier: Apache-2.0
/*
 * Arbitrary bytes as path and as host. A key fits the room that was promised, holds no byte that a
 * key may not hold, and is its own key.
 */
#include <errno.h>

#include "base/mem.h"
#include "image/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static bool has_dot_segment(struct str key)
{
	struct str part;

	while (str_take_part(&key, '/', &part))
		if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return true;
	return false;
}

static void try_path(struct str path)
{
	size_t room_bytes = path.len * PATH_KEY_GROWTH;
	char *room = mem_new(room_bytes, 1);
	struct str key, again;
	int rc = path_key(path, room, room_bytes, &key);

	require(rc == 0 || rc == -EINVAL);
	if (rc == 0) {
		size_t again_bytes = key.len * PATH_KEY_GROWTH;
		char *again_room = mem_new(again_bytes, 1);

		require(key.len > 0 && key.at[0] == '/');
		require(!has_dot_segment(key));
		for (size_t i = 0; i < key.len; i++)
			require(key.at[i] > ' ' && key.at[i] < 0x7f);
		for (size_t i = 1; i < key.len; i++)
			require(key.at[i - 1] != '/' || key.at[i] != '/');
		require(path_key(key, again_room, again_bytes, &again) == 0);
		require(str_eq(key, again));
		mem_free(again_room);
	}
	mem_free(room);
}

static void try_host(struct str host)
{
	char room[HOST_KEY_MAX], again_room[HOST_KEY_MAX];
	struct str key, again;

	if (host_key(host, room, &key) == 0) {
		require(key.len > 0 && key.len <= HOST_KEY_MAX);
		require(host_key(key, again_room, &again) == 0 && again.at == key.at);
	}
	if (host_key_of_rule(host, room, &key) == 0) {
		require(key.len > 0 && key.len <= HOST_KEY_MAX);
		require(host_key_of_rule(key, again_room, &again) == 0 && again.at == key.at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size); /* bytes as text */

	try_path(text);
	try_host(text);
	return 0;
}
