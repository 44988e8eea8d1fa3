/* SPDX-License-Identifier: Apache-2.0 */
/* image_private: what image's own files share. Nobody outside of this folder includes it. */
#ifndef SLUICE_IMAGE_IMAGE_PRIVATE_H
#define SLUICE_IMAGE_IMAGE_PRIVATE_H

#include "image/image.h"

/* The sections of an image and the size of their elements. */
extern const struct segment_shape image_shape;

/*
 * Everything that the reader relies on and segment_check does not know. @image has its pointers
 * and counts already; nothing behind them is trusted. 0, or -EINVAL with a text.
 */
int image_verify(const struct image *image, uint32_t strings_bytes, struct err *err);

/* The index at which the host table has the rule host of @vhost, or IMAGE_NONE. */
uint32_t image_find_rule(const struct image *image, const struct image_vhost *vhost);

/*
 * The rules of Prefix, for one key: does @prefix (of a rule) stand before @path, whole elements?
 * The trie decides the same from node to node; explain and dump ask it of one route.
 */
bool image_prefix_matches(struct str prefix, struct str path);

#endif
