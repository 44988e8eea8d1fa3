// SPDX-License-Identifier: Apache-2.0
/*
 * Arbitrary bytes as an image. What image_open accepts is asked about its own names and paths and
 * about strange ones, dumped and explained: none of that may leave the bytes or go round in
 * circles.
 */
#include "base/mem.h"
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16 };

static void ask_all_paths(const struct image *image, struct str host)
{
	static const char *const paths[] = { "/", "/cart", "/cart/", "/a/b/c", "" };
	struct image_match match;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		image_match(image, host, str_from_c(paths[i]), &match);
	for (uint32_t i = 0; i < image->route_count; i++)
		if (image_match(image, host, image_text(image, image->routes[i].path), &match) &&
		    match.backend)
			image_text(image, match.backend->service);
}

static void ask(const struct image *image)
{
	ask_all_paths(image, STR(""));
	ask_all_paths(image, STR("x.example.com"));
	for (uint32_t i = 0; i < image->vhost_count; i++) {
		struct str name = image_vhost_name(image, &image->vhosts[i]);

		/* What the verifier let through is found under its name. */
		if (!(image->vhosts[i].flags & (IMAGE_VHOST_WILDCARD | IMAGE_VHOST_CATCH_ALL)) &&
		    image_find_vhost(image, name) != &image->vhosts[i])
			__builtin_trap();
		ask_all_paths(image, name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = mem_new(size, 1); /* aligned, and watched at both ends */
	struct image image;
	struct err err;
	struct buf out;

	memcpy(copy, data, size);
	if (image_open(str_of(copy, size), &image, &err) == 0) {
		buf_init(&out, TEXT_MAX);
		ask(&image);
		image_dump(&image, &out);
		buf_reset(&out);
		image_explain(&image, STR("Shop.example.com:80"), STR("/cart//x"), &out);
		image_explain(&image, STR("b.example.com"), STR("/any"), &out);
		buf_release(&out);
	}
	mem_free(copy);
	return 0;
}
