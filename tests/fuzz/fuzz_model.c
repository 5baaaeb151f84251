/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a compiled network. With an odd first byte the rest is the file; otherwise it is the
 * graph message, and header, hash and weights are made to fit, so that the checks behind the hash
 * are reached.
 */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/model/model.h"

#define WEIGHTS 4096u

static void put64(uint8_t *to, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* proto/model.proto has the layout. */
static size_t compose(uint8_t *file, const uint8_t *graph, size_t bytes)
{
	size_t at = (128 + bytes + 63) / 64 * 64;
	crypto_generichash_state hash;

	memcpy(file, "FACETFCT\1", 9);
	put64(file + 16, bytes);
	put64(file + 24, at);
	put64(file + 32, WEIGHTS);
	memcpy(file + 128, graph, bytes);
	memset(file + at, 1, WEIGHTS);
	crypto_generichash_init(&hash, NULL, 0, 32);
	crypto_generichash_update(&hash, graph, bytes);
	crypto_generichash_update(&hash, file + at, WEIGHTS);
	crypto_generichash_final(&hash, file + 64, 32);
	return at + WEIGHTS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char text[MODEL_TEXT] = "";
	struct model *model = NULL;
	uint8_t *file;
	size_t size;
	int err;

	if (bytes < 1 || bytes > 65536)
		return 0;
	file = calloc(1, bytes + 256 + WEIGHTS);
	if (data[0] & 1) {
		size = bytes - 1;
		memcpy(file, data + 1, size);
	} else {
		size = compose(file, data + 1, bytes - 1);
	}
	err = model_load(file, size, &model, text);
	free(file);
	if (err < 0 && !text[0])
		abort(); /* a refusal says why */
	if (!err)
		model_free(model);
	return 0;
}
