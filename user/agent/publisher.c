// SPDX-License-Identifier: Apache-2.0
/* publisher: seal, verify once as the proxy will, keep. */
#include "agent/publisher.h"

#include <errno.h>
#include <unistd.h>

#include "base/memfd.h"

static const struct {
	const char *name; /* of the memfd, seen in /proc/PID/maps */
	enum control_type type;
} kinds[PUBLISHED_COUNT] = {
	[PUBLISHED_ENDPOINTS] = { "sluice-endpoints", CONTROL_ENDPOINTS },
	[PUBLISHED_CERTS] = { "sluice-certs", CONTROL_CERTS },
	[PUBLISHED_IMAGE] = { "sluice-image", CONTROL_IMAGE },
};

enum control_type published_type(enum published_kind kind)
{
	return kinds[kind].type;
}

enum published_kind published_kind_of(uint32_t type)
{
	unsigned int kind = 0;

	while (kind < PUBLISHED_COUNT && kinds[kind].type != type)
		kind++;
	return (enum published_kind)kind;
}

void publisher_init(struct publisher *publisher)
{
	*publisher = (struct publisher){ 0 };
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		publisher->of[i].fd = -1;
}

static void published_release(struct published *published)
{
	if (published->fd < 0)
		return;
	memfd_unmap(published->bytes.at, published->bytes.len);
	close(published->fd);
	*published = (struct published){ .fd = -1 };
}

void publisher_release(struct publisher *publisher)
{
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		published_release(&publisher->of[i]);
}

static int open_view(struct publisher *publisher, enum published_kind kind, struct str bytes,
		     struct err *err)
{
	switch (kind) {
	case PUBLISHED_ENDPOINTS:
		return endpoints_open(bytes, &publisher->endpoints, err);
	case PUBLISHED_CERTS:
		return certs_open(bytes, &publisher->certs, err);
	case PUBLISHED_IMAGE:
		return image_open(bytes, &publisher->image, err);
	case PUBLISHED_COUNT:
		break;
	}
	return err_set(err, -EINVAL, "there is no segment %d", kind);
}

int publisher_set(struct publisher *publisher, enum published_kind kind, struct str bytes,
		  struct err *err)
{
	struct published next;
	int rc;

	next.fd = memfd_seal(kinds[kind].name, bytes, err);
	if (next.fd < 0)
		return next.fd;
	rc = memfd_map_sealed(next.fd, &next.bytes, err);
	if (rc)
		goto err_close;
	rc = open_view(publisher, kind, next.bytes, err);
	if (rc)
		goto err_unmap;
	next.generation = ((const struct segment_header *)(const void *)next.bytes.at)->generation;
	published_release(&publisher->of[kind]);
	publisher->of[kind] = next;
	return 0;

err_unmap:
	memfd_unmap(next.bytes.at, next.bytes.len);
err_close:
	close(next.fd);
	return rc;
}

bool publisher_is_complete(const struct publisher *publisher)
{
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		if (publisher->of[i].fd < 0)
			return false;
	return true;
}

uint64_t publisher_generation(const struct publisher *publisher)
{
	uint64_t newest = 0;

	for (int i = 0; i < PUBLISHED_COUNT; i++)
		if (publisher->of[i].generation > newest)
			newest = publisher->of[i].generation;
	return newest;
}
