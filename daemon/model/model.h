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

/* Work of ops [begin, end): multiply-adds, or what takes as long. */
uint64_t model_work(const struct model *model, uint32_t begin, uint32_t end);
enum device_op model_op(const struct model *model, uint32_t op);

/* ---- a plan: the model on one device, weights packed; shared by all runs ------------------------
 * A device that reads host memory (the CPU) takes all ops or there is no plan; a board takes those
 * it can do, at least one (else -EOPNOTSUPP). */
struct model_plan;
int model_plan_create(const struct model *model, struct device *device, struct model_plan **plan);
void model_plan_free(struct model_plan *plan);
uint64_t model_plan_bytes(const struct model_plan *plan); /* on the device, about */
uint32_t model_plan_ops(const struct model_plan *plan);	  /* that it takes */
/* The first op at or behind begin that the device does not take. */
uint32_t model_plan_reach(const struct model_plan *plan, uint32_t begin);

/* ---- a run: one item in flight, on the plan of a device that reads host memory ------------------ */
struct model_run;
int model_run_create(const struct model_plan *plan, struct model_run **run);
void model_run_free(struct model_run *run);
int model_run_write(struct model_run *run, uint32_t input, const void *data); /* whole tensor */
int model_run_read(const struct model_run *run, uint32_t output, void *data); /* whole tensor */
/* The commands of one inference, to be put in a device_batch; valid as long as the run. */
const struct device_command *model_run_commands(const struct model_run *run, uint32_t *count);

/* ---- a part: ops of a run as a batch of a board --------------------------------------------------
 * Ops [begin, end) of a run may be done by its own commands, or as a part on a board whose plan takes
 * them: it reads the run's memory and, when it succeeds, has written there what later ops want. When
 * it fails that memory is spoilt, and the run begins again. An arena serves one part at a time. */
struct model_arena;
int model_arena_create(const struct model_plan *plan, struct model_arena **arena);
void model_arena_free(struct model_arena *arena);
uint64_t model_arena_bytes(const struct model_plan *plan); /* what one takes on the device */

struct model_part_options {
	bool aside; /* results stay beside the run's memory, for model_part_same() */
	uint64_t
		watch_every; /* of so many products one brings the sums of its accumulators; 0: none */
	uint64_t *watch_turn; /* counts products */
};

struct model_part;
/* -EINVAL: the range is empty, or the plan does not take all of it. */
int model_part_create(const struct model_run *run, struct model_arena *arena, uint32_t begin,
		      uint32_t end, const struct model_part_options *options,
		      struct model_part **part);
void model_part_free(struct model_part *part);
const struct device_command *model_part_commands(const struct model_part *part, uint32_t *count);
void model_part_moved(const struct model_part *part, uint64_t *up, uint64_t *down); /* bytes */
bool model_part_is_aside(const struct model_part *part);
/* After the run's own commands of the same ops: did the board, aside, come to the same bytes? */
bool model_part_same(const struct model_part *part);
uint32_t model_part_watched(const struct model_part *part);
/* Are the sums of watched product i (of the op in *op) those of what it read? Slow; any thread. */
bool model_part_sums_right(const struct model_part *part, uint32_t i, uint32_t *op);

#endif
