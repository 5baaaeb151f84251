/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: a photo's bytes, decoded and, if they are one, resized as for the detector. */
#include <stdint.h>
#include <stdlib.h>
#include "host/face/face.h"

#define PIXELS_MAX (4u << 20) /* larger ones are right, but slow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t out[320 * 240 * 3];
	struct facet_face_image image;
	char text[FACET_FACE_TEXT];

	if (facet_face_image_decode(data, bytes, &image, text) < 0)
		return 0;
	struct facet_face_box whole = {0, 0, (int32_t)image.width, (int32_t)image.height};

	if ((uint64_t)image.width * image.height <= PIXELS_MAX &&
	    facet_face_image_resize(&image, whole, 320, 240, 3, out) < 0)
		abort();
	facet_face_image_free(&image);
	return 0;
}
