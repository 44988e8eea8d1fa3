/* SPDX-License-Identifier: Apache-2.0 */
/* certs_private: what reader and writer of the certs segment share. */
#ifndef SLUICE_IMAGE_CERTS_PRIVATE_H
#define SLUICE_IMAGE_CERTS_PRIVATE_H

#include "image/certs.h"

extern const struct segment_shape certs_shape;

#endif
