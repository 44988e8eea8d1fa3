/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints_private: what reader and writer of the endpoints segment share. */
#ifndef SLUICE_IMAGE_ENDPOINTS_PRIVATE_H
#define SLUICE_IMAGE_ENDPOINTS_PRIVATE_H

#include "image/endpoints.h"

extern const struct segment_shape endpoints_shape;

#endif
