// SPDX-License-Identifier: Apache-2.0
/*
 * header_names: from a name to its id.
 *
 * The table is sorted by length, and a second one, counted by the compiler out
 * of the same rows, says where each length begins. Names of one length are few
 * (six at most), and first and last letter tell them apart before all bytes are
 * compared. A perfect hash would save two comparisons and cost a generator.
 */
#include "wire/header_names.h"

enum { NAME_BYTES_MAX = 25 }; /* the longest row */

struct row {
	char text[NAME_BYTES_MAX + 1]; /* the NUL of the longest is not needed by anybody */
	uint8_t len;
	uint8_t flags;
};

#define ROW(arg, id, name, flag_set)                                                               \
	[HEADER_##id] = { .text = name, .len = sizeof(name) - 1, .flags = (flag_set) },
static const struct row rows[HEADER_COUNT] = { [HEADER_OTHER] = { .text = "other", .len = 5 },
					       HEADER_NAMES(ROW, ) };
#undef ROW

_Static_assert(HEADER_COUNT <= 64, "a set of names is one uint64_t");
#define ROW_FITS(arg, id, name, flags)                                                             \
	_Static_assert(sizeof(name) - 1 <= NAME_BYTES_MAX, "NAME_BYTES_MAX is too small");
HEADER_NAMES(ROW_FITS, )
#undef ROW_FITS

/* The id of the first name that is not shorter than n: the ids begin at 1. */
#define ADD_IF_SHORTER(n, id, name, flags) +(sizeof(name) - 1 < (n))
#define FIRST(n)                           (uint8_t)(1 HEADER_NAMES(ADD_IF_SHORTER, n))
static const uint8_t first_of_length[NAME_BYTES_MAX + 2] = {
	FIRST(0),  FIRST(1),  FIRST(2),  FIRST(3),  FIRST(4),  FIRST(5),  FIRST(6),
	FIRST(7),  FIRST(8),  FIRST(9),  FIRST(10), FIRST(11), FIRST(12), FIRST(13),
	FIRST(14), FIRST(15), FIRST(16), FIRST(17), FIRST(18), FIRST(19), FIRST(20),
	FIRST(21), FIRST(22), FIRST(23), FIRST(24), FIRST(25), FIRST(26),
};
#undef FIRST
#undef ADD_IF_SHORTER

/*
 * Whether @name is @known but for case. Setting bit 5 makes letters lower case and leaves
 * digits and "-" alone; no other token byte becomes one of these by it.
 */
static bool is_same(const char *name, const char *known, size_t len)
{
	const uint64_t bit5 = 0x2020202020202020;
	uint64_t a, b;

	if (len < sizeof(a)) {
		for (size_t i = 0; i < len; i++) {
			if ((name[i] | 0x20) != known[i])
				return false;
		}
		return true;
	}
	for (size_t i = 0;; i += sizeof(a)) {
		/* The last step overlaps the one before. */
		if (i > len - sizeof(a))
			i = len - sizeof(a);
		memcpy(&a, name + i, sizeof(a));
		memcpy(&b, known + i, sizeof(b));
		if ((a | bit5) != b)
			return false;
		if (i == len - sizeof(a))
			return true;
	}
}

enum header_id header_id_of(struct str name)
{
	if (name.len == 0 || name.len > NAME_BYTES_MAX)
		return HEADER_OTHER;
	for (unsigned id = first_of_length[name.len]; id < first_of_length[name.len + 1]; id++) {
		const struct row *row = &rows[id];

		if ((name.at[0] | 0x20) == row->text[0] &&
		    (name.at[name.len - 1] | 0x20) == row->text[name.len - 1] &&
		    is_same(name.at, row->text, name.len))
			return (enum header_id)id; /* an index of the table the enum was made of */
	}
	return HEADER_OTHER;
}

struct str header_name(enum header_id id)
{
	return str_of(rows[id].text, rows[id].len);
}

unsigned header_flags(enum header_id id)
{
	return rows[id].flags;
}
