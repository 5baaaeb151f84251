/* SPDX-License-Identifier: Apache-2.0 */
/* Detector and landmark network run in float in this process, as an engine of libfacet-face. */
#ifndef FACET_FACETCTL_FLOAT_ENGINE_H
#define FACET_FACETCTL_FLOAT_ENGINE_H

#include "host/face/face.h"

/* Models are named by the paths of their ONNX files. Landmark networks with one channel take
 * pixel / 256, all others (pixel - 127) / 128. */
int float_engine_create(struct facet_face_engine *engine);

#endif
