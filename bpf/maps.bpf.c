// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * maps: the maps alone, without a program.
 *
 * The loader makes the maps from this object, before and independently of the
 * programs that use them: a kernel that refuses one program still has the maps
 * for the others.
 */
#include "maps.h"

char program_license[] SEC("license") = "Dual BSD/GPL";
