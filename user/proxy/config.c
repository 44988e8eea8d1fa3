// SPDX-License-Identifier: Apache-2.0
/* config: see config.h. */
#include "proxy/config.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/mem.h"

static int open_kind(enum config_kind kind, struct config_segment *segment, struct err *err)
{
	int rc = -EINVAL;

	switch (kind) {
	case CONFIG_IMAGE:
		rc = image_open(segment->bytes, &segment->image, err);
		segment->generation = rc < 0 ? 0 : segment->image.generation;
		break;
	case CONFIG_ENDPOINTS:
		rc = endpoints_open(segment->bytes, &segment->endpoints, err);
		segment->generation = rc < 0 ? 0 : segment->endpoints.generation;
		break;
	case CONFIG_CERTS:
		rc = certs_open(segment->bytes, &segment->certs, err);
		segment->generation = rc < 0 ? 0 : segment->certs.generation;
		break;
	case CONFIG_SOURCES:
		rc = sources_open(segment->bytes, &segment->sources, err);
		segment->generation = rc < 0 ? 0 : segment->sources.generation;
		break;
	case CONFIG_KIND_COUNT:
		break;
	}
	return rc;
}

int config_segment_open(enum config_kind kind, int fd, uint64_t generation,
			struct config_segment **segment, struct err *err)
{
	struct config_segment *opened = mem_try_new(1, sizeof(*opened));
	int rc;

	if (!opened)
		return err_set(err, -ENOMEM, "no memory for a segment");
	rc = memfd_map_sealed(fd, &opened->bytes, err);
	if (rc < 0)
		goto err_segment;
	rc = open_kind(kind, opened, err);
	if (rc < 0)
		goto err_mapping;
	if (opened->generation != generation) {
		rc = err_set(err, -EINVAL, "generation is %" PRIu64 ", announced as %" PRIu64,
			     opened->generation, generation);
		goto err_mapping;
	}
	opened->fd = fd;
	opened->users = 1;
	*segment = opened;
	return 0;

err_mapping:
	memfd_unmap(opened->bytes.at, opened->bytes.len);
err_segment:
	mem_free(opened);
	return rc;
}

void config_segment_put(struct config_segment *segment)
{
	if (!segment || --segment->users > 0)
		return;
	memfd_unmap(segment->bytes.at, segment->bytes.len);
	close(segment->fd);
	mem_free(segment);
}

void config_rest(struct config *config)
{
	for (int i = 0; i < CONFIG_KIND_COUNT; i++) {
		struct config_segment *segment = config->segments[i];

		if (!segment || segment->is_at_rest)
			continue;
		segment->is_at_rest = true;
		memfd_use_huge_pages(segment->bytes);
	}
}

struct config *config_new(const struct config *old)
{
	struct config *config = mem_try_new(1, sizeof(*config));

	if (!config)
		return NULL;
	if (old)
		*config = *old;
	config->serial++;
	config->next = NULL;
	for (int i = 0; i < CONFIG_KIND_COUNT; i++)
		if (config->segments[i])
			config->segments[i]->users++;
	return config;
}

void config_set(struct config *config, enum config_kind kind, struct config_segment *segment)
{
	config_segment_put(config->segments[kind]);
	config->segments[kind] = segment;
	segment->users++;
	switch (kind) {
	case CONFIG_IMAGE:
		config->image = &segment->image;
		break;
	case CONFIG_ENDPOINTS:
		config->endpoints = &segment->endpoints;
		break;
	case CONFIG_CERTS:
		config->certs = &segment->certs;
		break;
	case CONFIG_SOURCES:
		config->sources = &segment->sources;
		break;
	case CONFIG_KIND_COUNT:
		break;
	}
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (int i = 0; i < CONFIG_KIND_COUNT; i++)
		config_segment_put(config->segments[i]);
	explicit_bzero(config->ticket_keys, sizeof(config->ticket_keys));
	mem_free(config);
}
