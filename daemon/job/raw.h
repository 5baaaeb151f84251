/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gemm or conv2d of a client: its operands in host memory, prepared for the CPU, and perhaps on one
 * board beside it (raw_place.c). Slices are rows of a GEMM, images of a convolution, wherever each is
 * done (pass_raw.c). Internal to the job room.
 */
#ifndef FACET_DAEMON_JOB_RAW_H
#define FACET_DAEMON_JOB_RAW_H

#include "daemon/job/service.h"

struct raw_place;

struct raw_job {
	struct device_command command; /* of the whole */
	bool conv;
	const int8_t *x, *w, *residual;
	const int32_t *bias;
	void *y;
	uint64_t macs;
	uint64_t x_bytes, w_bytes, r_bytes, y_bytes;
	uint32_t rows; /* slices cut here: m, or n */
	struct device_weights *weights;
	struct device_buffer *in, *extra, *out;
	struct raw_place *place; /* NULL: the CPU alone does it */
};

static inline struct raw_job *raw_of(const struct sched_job *sched)
{
	return job_of(sched)->user;
}

/* The command for rows [begin, begin + n), without weights and operands. */
void raw_command(const struct raw_job *raw, uint64_t n, struct device_command *command);

/* ---- on a board -------------------------------------------------------------------------------------- */
/* A board that is worth it; NULL: the CPU alone. */
struct fleet_device *raw_place_choose(struct service *service, const struct raw_job *raw);
/* 0 or -ENOMEM; then make() on the boards' errand thread, then made() on the control thread. */
int raw_place_create(struct service *service, struct fleet_device *device, struct raw_job *raw);
void raw_place_make(struct raw_job *raw);
void raw_place_made(struct raw_job *raw);
/* What it holds is freed on that thread; the job may end before. */
void raw_place_drop(struct raw_job *raw);
/* May it take rows now, and does it leave the CPU none? */
bool raw_place_usable(const struct raw_place *place);
bool raw_place_alone(const struct raw_place *place);
uint32_t raw_place_device(const struct raw_place *place);

/* One slice of it: the operands go up, the result comes down. */
int raw_part_create(struct service *service, const struct raw_job *raw, struct slice *slice);
/* The slice is over. */
void raw_part_done(struct raw_job *raw, struct slice *slice);

#endif
