/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled network in the daemon: a .fct file checked whole, then planned for a device, then run.
 * The file is hostile: nothing of it is used before model_load() has checked all of it.
 */
#ifndef FACET_DAEMON_MODEL_MODEL_H
#define FACET_DAEMON_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/device/device.h"

#define MODEL_GRAPH_MAX (16u << 20)
#define MODEL_FILE_MAX	(1ull << 30)
#define MODEL_IO_MAX	16u
#define MODEL_TEXT	200

enum model_type { MODEL_F32, MODEL_S8, MODEL_U8 };

struct model_tensor {
	const char *name;
	enum model_type type;
	uint32_t rank, shape[4];
	uint64_t bytes; /* of one item */
};

struct model_info {
	const char *name;
	uint8_t digest[32]; /* BLAKE2b-256 of the file */
	bool is_template;
	uint8_t space_digest[32];
	uint32_t dim; /* of the template */
	uint32_t inputs, outputs, ops;
	struct model_tensor input[MODEL_IO_MAX], output[MODEL_IO_MAX];
	uint64_t macs, weight_bytes, arena_bytes;
	float cosine_to_float;
};

struct model;
/* Copies the file. 0; -EINVAL with one line in text; -ENOMEM. */
int model_load(const void *file, size_t bytes, struct model **model, char text[MODEL_TEXT]);
const struct model_info *model_info(const struct model *model);
void model_free(struct model *model); /* after its plans */

/* ---- a plan: the model on one device, weights packed; shared by all runs ------------------------ */
struct model_plan;
int model_plan_create(const struct model *model, struct device *device, struct model_plan **plan);
void model_plan_free(struct model_plan *plan);

/* ---- a run: one item in flight ------------------------------------------------------------------ */
struct model_run;
int model_run_create(const struct model_plan *plan, struct model_run **run);
void model_run_free(struct model_run *run);
int model_run_write(struct model_run *run, uint32_t input, const void *data); /* whole tensor */
int model_run_read(const struct model_run *run, uint32_t output, void *data); /* whole tensor */
/* The commands of one inference, to be put in a device_batch; valid as long as the run. */
const struct device_command *model_run_commands(const struct model_run *run, uint32_t *count);

#endif
