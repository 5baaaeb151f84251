/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm and conv2d of kernels/ops.h on a client's data. Parameters are checked by op_*_check() before
 * anything is read, data is checked against the shapes they give, weights are packed on the errand
 * thread, for a board too where one is worth it, and the work is cut into slices (pass_raw.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "daemon/device/product.h"
#include "daemon/job/raw.h"

/* ---- before and after ---------------------------------------------------------------------------- */
static void raw_free(struct job *job, struct raw_job *raw)
{
	const struct device_ops *ops = job->service->device->ops;

	if (raw->in)
		ops->buffer_free(raw->in);
	if (raw->extra)
		ops->buffer_free(raw->extra);
	if (raw->out)
		ops->buffer_free(raw->out);
	if (raw->weights)
		ops->weights_free(raw->weights);
	raw->in = raw->extra = raw->out = NULL;
	raw->weights = NULL;
}

/* Called by job_end() through the job's cleanup, so that a cancelled job frees them too. */
static void raw_cleanup(struct job *job)
{
	raw_place_drop(job->user);
	raw_free(job, job->user);
}

static void raw_ran(struct job *job)
{
	struct raw_job *raw = job->user;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	struct job_out out = {.count = 0};

	if (job_put(job, &out, raw->y, raw->y_bytes, &reply.product))
		return;
	reply.body_case = FACET__WIRE__REPLY__BODY_PRODUCT;
	job_send(job, &out, &reply);
}

static void raw_prepare(struct job *job)
{
	struct raw_job *raw = job->user;
	struct device *device = job->service->device;
	const struct device_ops *ops = device->ops;
	int err = device_product_weights(device, &raw->command, raw->w, raw->bias, &raw->weights);

	if (!err)
		err = ops->buffer_import(device, (void *)raw->x, raw->x_bytes, &raw->in);
	if (!err && raw->residual)
		err = ops->buffer_import(device, (void *)raw->residual, raw->r_bytes, &raw->extra);
	if (!err)
		err = ops->buffer_import(device, raw->y, raw->y_bytes, &raw->out);
	job->error = err;
}

static void raw_place_work(struct job *job)
{
	raw_place_make(job->user);
}

static void raw_placed(struct job *job)
{
	raw_place_made(job->user);
	job_schedule(job, &job->service->raw, 1, raw_ran);
}

static void raw_prepared(struct job *job)
{
	struct service *service = job->service;
	struct raw_job *raw = job->user;
	struct fleet_device *board;

	if (job->error) {
		job_fail_errno(job, job->error, NULL);
		return;
	}
	board = raw_place_choose(service, raw);
	if (board && !raw_place_create(service, board, raw))
		job_errand_on(job, service->board_errands, raw_place_work, raw_placed);
	else
		job_schedule(job, &service->raw, 1, raw_ran);
}

/* ---- the request ------------------------------------------------------------------------------- */
static int raw_scales(struct job *job, const Facet__Wire__Requant *q, uint32_t channels,
		      enum op_out out, struct op_requant *requant)
{
	const void *s_pos = NULL;
	const void *s_neg = NULL;
	uint64_t bytes = (uint64_t)channels * sizeof(float);

	memset(requant, 0, sizeof(*requant));
	if (out == OP_OUT_S32 && !q)
		return 0;
	if (!q)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"no requantisation; send q, or ask for OUT_S32");
	if (q->s_pos && job_bulk(job, q->s_pos, bytes, 4, "s_pos", &s_pos))
		return -1;
	if (q->s_neg && job_bulk(job, q->s_neg, bytes, 4, "s_neg", &s_neg))
		return -1;
	*requant = (struct op_requant){.s_pos = s_pos,
				       .s_neg = s_neg ? s_neg : s_pos,
				       .s_r = q->s_r,
				       .z_r = q->z_r,
				       .z = q->z,
				       .lo = q->lo,
				       .hi = q->hi};
	if (out != OP_OUT_S32 && !s_pos)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"no scales; send s_pos, one float a channel");
	return 0;
}

static int raw_bound(struct job *job, const struct raw_job *raw)
{
	if (raw->macs <= job->service->config->raw_macs)
		return 0;
	return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			"%" PRIu64 " multiply-accumulates; limits.raw_macs allows %" PRIu64
			" at once, send it in parts",
			raw->macs, job->service->config->raw_macs);
}

struct raw_bulks {
	const Facet__Wire__Bulk *x, *w, *bias, *residual;
	uint32_t channels;
};

/* Fetches the operands, whose sizes are known by now, and goes on. */
static void raw_start(struct job *job, struct raw_job *raw, const struct raw_bulks *bulks)
{
	const void *x = NULL;
	const void *w = NULL;
	const void *bias = NULL;
	const void *residual = NULL;
	void *y;

	if (raw_bound(job, raw) || job_bulk(job, bulks->x, raw->x_bytes, 1, "the input", &x) ||
	    job_bulk(job, bulks->w, raw->w_bytes, 1, "the weights", &w))
		return;
	if (bulks->bias &&
	    job_bulk(job, bulks->bias, (uint64_t)bulks->channels * 4, 4, "bias", &bias))
		return;
	if (bulks->residual &&
	    job_bulk(job, bulks->residual, raw->r_bytes, 1, "the residual", &residual))
		return;
	if (!bulks->bias) { /* the kernels always add one */
		bias = job_need(job, (uint64_t)bulks->channels * 4);
		if (!bias)
			return;
		memset((void *)bias, 0, (size_t)bulks->channels * 4);
	}
	y = job_need(job, raw->y_bytes);
	if (!y)
		return;
	raw->y = y;
	raw->x = x;
	raw->w = w;
	raw->bias = bias;
	raw->residual = residual;
	job->user = raw;
	job->cleanup = raw_cleanup;
	job_errand(job, raw_prepare, raw_prepared);
}

static struct raw_job *raw_create(struct job *job)
{
	struct raw_job *raw = job_need(job, sizeof(*raw));

	if (raw)
		memset(raw, 0, sizeof(*raw));
	return raw;
}

static uint64_t raw_out_bytes(uint64_t elements, enum op_out out)
{
	return elements * (out == OP_OUT_S8 ? 1 : 4);
}

void handle_gemm(struct job *job)
{
	const Facet__Wire__Gemm *m = job->body;
	struct raw_job *raw = raw_create(job);
	struct op_gemm *p;

	if (!raw)
		return;
	p = &raw->command.gemm;
	if ((unsigned)m->out > OP_OUT_S32) {
		job_fail_errno(job, -EINVAL, "out is none of S8, F32, S32");
		return;
	}
	if (raw_scales(job, m->q, m->n <= OP_DIM_MAX ? m->n : 0, (enum op_out)m->out, &p->q))
		return;
	p->m = m->m;
	p->n = m->n;
	p->k = m->k;
	p->out = (enum op_out)m->out;
	raw->command.op = DEVICE_GEMM;
	if (op_gemm_check(p)) {
		job_fail_errno(job, op_gemm_check(p),
			       "a parameter of the gemm is out of range; see kernels/ops.h");
		return;
	}
	raw->rows = p->m;
	raw->macs = (uint64_t)p->m * p->n * p->k;
	raw->x_bytes = (uint64_t)p->m * p->k;
	raw->w_bytes = (uint64_t)p->n * p->k;
	raw->r_bytes = (uint64_t)p->m * p->n;
	raw->y_bytes = raw_out_bytes((uint64_t)p->m * p->n, p->out);
	raw_start(job, raw, &(struct raw_bulks){m->a, m->b, m->bias, m->residual, p->n});
}

static void conv_parameters(const Facet__Wire__Conv2d *m, struct op_conv2d *p)
{
	p->n = m->n;
	p->h = m->h;
	p->w = m->w;
	p->c = m->c;
	p->oc = m->oc;
	p->kh = m->kh;
	p->kw = m->kw;
	p->groups = m->groups;
	p->stride_h = m->stride_h;
	p->stride_w = m->stride_w;
	p->dilation_h = m->dilation_h;
	p->dilation_w = m->dilation_w;
	p->pad_top = m->pad_top;
	p->pad_left = m->pad_left;
	p->pad_bottom = m->pad_bottom;
	p->pad_right = m->pad_right;
	p->z_x = m->z_x;
	p->out = (enum op_out)m->out;
}

void handle_conv2d(struct job *job)
{
	const Facet__Wire__Conv2d *m = job->body;
	struct raw_job *raw = raw_create(job);
	struct op_conv2d *p;
	uint64_t taps, pixels;

	if (!raw)
		return;
	p = &raw->command.conv2d;
	if ((unsigned)m->out > OP_OUT_S32) {
		job_fail_errno(job, -EINVAL, "out is none of S8, F32, S32");
		return;
	}
	if (raw_scales(job, m->q, m->oc <= OP_DIM_MAX ? m->oc : 0, (enum op_out)m->out, &p->q))
		return;
	conv_parameters(m, p);
	raw->command.op = DEVICE_CONV2D;
	raw->conv = true;
	if (op_conv2d_check(p)) {
		job_fail_errno(job, op_conv2d_check(p),
			       "a parameter of the conv2d is out of range; see kernels/ops.h");
		return;
	}
	taps = (uint64_t)p->kh * p->kw * (p->c / p->groups);
	pixels = (uint64_t)p->n * op_conv2d_oh(p) * op_conv2d_ow(p);
	raw->rows = p->n;
	raw->macs = pixels * p->oc * taps;
	raw->x_bytes = (uint64_t)p->n * p->h * p->w * p->c;
	raw->w_bytes = p->oc * taps;
	raw->r_bytes = pixels * p->oc;
	raw->y_bytes = raw_out_bytes(pixels * p->oc, p->out);
	raw_start(job, raw, &(struct raw_bulks){m->x, m->weights, m->bias, m->residual, p->oc});
}
