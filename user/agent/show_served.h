/* SPDX-License-Identifier: Apache-2.0 */
/* show_served: cells that several views of routes and endpoints have in common. */
#ifndef SLUICE_AGENT_SHOW_SERVED_H
#define SLUICE_AGENT_SHOW_SERVED_H

#include "agent/publisher.h"
#include "agent/view.h"

/* "default/web-service:80" */
void cell_backend(struct view *view, const struct image *image,
		  const struct image_backend *backend);
/* "shop/web" */
void cell_ingress(struct view *view, const struct image *image, const struct image_source *source);
/* "shop.yaml:12" */
void cell_source(struct view *view, const struct image *image, const struct image_source *source);

/* Endpoints of @backend that new requests may go to. */
uint32_t count_ready(const struct endpoints *endpoints, const struct image_backend *backend);
/* A table "endpoints" of one backend, or of all. */
void show_endpoint_table(struct view *view, const struct publisher *publisher,
			 const struct image_backend *backends, uint32_t count);

#endif
