/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions and matrix products, with the activation, sum and clamp that follow them. */
#include "host/compile/lower.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>

/* What one op does beside the product. */
struct fusion {
	uint32_t output;	      /* the graph tensor that comes out at the end */
	const struct graph_node *act; /* before the sum: RELU, LEAKY, PRELU; or NULL */
	uint32_t residual;	      /* or GRAPH_NONE */
	double least, most;	      /* clamp at the end */
	bool clamps;
};

/* Slopes a channel are along axis 1, which is the product's column only for ranks 2 and 4. */
static bool is_scale_act(const struct graph *g, const struct graph_node *n, uint32_t channels)
{
	if (n->kind == GRAPH_PRELU)
		return g->tensor[n->input[1]].count == 1 ||
		       (g->tensor[n->input[1]].count == channels &&
			g->tensor[n->input[0]].rank != 3);
	return n->kind == GRAPH_RELU || n->kind == GRAPH_LEAKY;
}

static bool is_clamp(const struct graph_node *n)
{
	return n->kind == GRAPH_RELU || n->kind == GRAPH_CLIP;
}

static void take(struct lower *l, struct fusion *f, const struct graph_node *n)
{
	f->output = n->output[0];
	lower_mark_done(l, n);
}

static void take_clamp(struct lower *l, struct fusion *f, const struct graph_node *n)
{
	const float *least = n->kind == GRAPH_CLIP ? graph_floats(l->g, n, 1) : NULL;
	const float *most = n->kind == GRAPH_CLIP ? graph_floats(l->g, n, 2) : NULL;

	f->clamps = true;
	f->least = n->kind == GRAPH_RELU ? 0 : least ? (double)*least : f->least;
	f->most = most ? (double)*most : f->most;
	take(l, f, n);
}

/* The other operand of a sum, if it can be added on the way out. */
static uint32_t residual_of(const struct lower *l, const struct graph_node *n, uint32_t sum)
{
	uint32_t other = n->input[0] == sum ? n->input[1] : n->input[0];

	if (n->kind != GRAPH_ADD || other == sum ||
	    l->place[LOWER_S8][other].tensor == GRAPH_NONE ||
	    l->g->tensor[other].rank != l->g->tensor[sum].rank ||
	    memcmp(l->g->tensor[other].dim, l->g->tensor[sum].dim, sizeof(l->g->tensor[sum].dim)))
		return GRAPH_NONE;
	return other;
}

static void fuse(struct lower *l, const struct graph_node *n, uint32_t channels, struct fusion *f)
{
	const struct graph_node *next;

	*f = (struct fusion){.output = n->output[0],
			     .residual = GRAPH_NONE,
			     .least = -INFINITY,
			     .most = INFINITY};
	next = lower_next(l, f->output);
	if (next && is_scale_act(l->g, next, channels)) {
		f->act = next;
		take(l, f, next);
		next = lower_next(l, f->output);
	}
	if (next && next->kind == GRAPH_ADD) {
		f->residual = residual_of(l, next, f->output);
		if (f->residual == GRAPH_NONE)
			return;
		take(l, f, next);
		next = lower_next(l, f->output);
	}
	/* A float output cannot be clamped: the clamp stays an op of its own. */
	if (next && is_clamp(next))
		take_clamp(l, f, next);
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

struct product {
	const struct graph_node *n;
	uint32_t rows, k, columns, taps; /* k = taps * columns; weights are [rows][columns][taps] */
	const float *w, *bias;
	struct lower_quant x;
	bool float_out;
	/* made: */
	int8_t *qw; /* [rows][taps][columns] */
	int32_t *qbias;
	float *pos, *neg;
};

static int product_alloc(struct lower *l, struct product *p)
{
	p->qw = pool_alloc(l->g->pool, (size_t)p->rows * p->k, 1);
	p->qbias = pool_alloc(l->g->pool, p->rows, sizeof(int32_t));
	p->pos = pool_alloc(l->g->pool, p->rows, sizeof(float));
	p->neg = pool_alloc(l->g->pool, p->rows, sizeof(float));
	return p->qw && p->qbias && p->pos && p->neg ? 0 : pool_exhausted(l->g->pool);
}

/* A row's step: its largest weight in 127 steps, wider where the bias would not fit otherwise. */
static double row_step(const struct product *p, uint32_t r)
{
	double top = 0, least = fabs((double)p->bias[r]) / ((double)p->x.scale * 0x1p29);

	for (uint32_t i = 0; i < p->k; i++)
		top = fmax(top, fabs((double)p->w[(size_t)r * p->k + i]));
	top = fmax(top / 127, least);
	return top > 0x1p-60 ? top : 0x1p-20;
}

/* Float slopes below zero, of a row. */
static double slope(const struct graph *g, const struct graph_node *act, uint32_t r)
{
	const struct graph_tensor *t;

	if (!act)
		return 1;
	if (act->kind == GRAPH_RELU)
		return 0;
	if (act->kind == GRAPH_LEAKY)
		return (double)act->alpha;
	t = &g->tensor[act->input[1]];
	return (double)t->f[t->count == 1 ? 0 : r];
}

/* A scale that op_requant_check() takes: what is tinier counts as zero. */
static float legal_scale(double s)
{
	return fabs(s) < 0x1p-100 ? 0.0f : (float)s;
}

/*
 * What rounding a row's weights adds to its sums on average, given the means of its inputs: taken
 * out of the bias again (Nagel et al. 2019, section 4.2).
 */
static double rounding_error(const struct product *p, uint32_t r, double step, const double *mean,
			     uint32_t first)
{
	double error = 0;

	for (uint32_t c = 0; c < p->columns; c++)
		for (uint32_t i = 0; i < p->taps; i++) {
			double w = (double)p->w[(size_t)r * p->k + c * p->taps + i];
			int8_t q = p->qw[(size_t)r * p->k + i * p->columns + c];

			error += (q * step - w) * mean[first + c];
		}
	return error;
}

/* What the image's int8 form adds to a row's sums on average. */
static double image_error(const struct lower *l, const struct product *p, uint32_t r,
			  uint32_t first)
{
	double error = 0;

	for (uint32_t c = 0; c < p->columns; c++)
		for (uint32_t i = 0; i < p->taps; i++)
			error += (double)p->w[(size_t)r * p->k + c * p->taps + i] *
				 l->image_error[first + c];
	return error;
}

static void quantise_row(struct lower *l, struct product *p, uint32_t r, const double *mean,
			 uint32_t groups, const struct fusion *f)
{
	double step = row_step(p, r), unit = step * (double)p->x.scale;
	double out = p->float_out ? 1 : (double)l->quant[f->output].scale;
	double bias = (double)p->bias[r];
	uint32_t first = r / (p->rows / groups) * p->columns;
	int64_t sum = 0, folded;

	for (uint32_t c = 0; c < p->columns; c++)
		for (uint32_t i = 0; i < p->taps; i++) {
			double w = (double)p->w[(size_t)r * p->k + c * p->taps + i] / step;
			int8_t q = (int8_t)fmin(fmax(rint(w), -127), 127);

			p->qw[(size_t)r * p->k + i * p->columns + c] = q;
			sum += q;
		}
	if (mean)
		bias -= rounding_error(p, r, step, mean, first);
	if (p->n->input[0] == l->g->input)
		bias -= image_error(l, p, r, first);
	/* Damaged weights may be anything: what is past the bound stays past it. */
	folded = (int64_t)fmin(fmax(rint(bias / unit), -0x1p40), 0x1p40) - p->x.z * sum;
	folded = folded > OP_BIAS_MAX ? OP_BIAS_MAX : folded < -OP_BIAS_MAX ? -OP_BIAS_MAX : folded;
	p->qbias[r] = (int32_t)folded;
	p->pos[r] = legal_scale(unit / out);
	p->neg[r] = legal_scale(unit / out * slope(l->g, f->act, r));
}

/* ---- messages --------------------------------------------------------------------------------------- */

static Facet__Model__Requant *make_requant(struct lower *l, const struct product *p,
					   const struct fusion *f)
{
	Facet__Model__Requant *q =
		PROGRAM_NEW(l->g->pool, Facet__Model__Requant, facet__model__requant__init);
	const struct lower_quant *y = &l->quant[f->output];
	size_t bytes = p->rows * sizeof(float);

	if (!q)
		return NULL;
	q->s_pos = program_span(l->p, p->pos, bytes);
	q->s_neg = f->act ? program_span(l->p, p->neg, bytes) : q->s_pos;
	q->out = p->float_out ? OP_OUT_F32 : OP_OUT_S8;
	q->lo = -128;
	q->hi = 127;
	if (f->residual != GRAPH_NONE) {
		q->s_r = legal_scale((double)l->quant[f->residual].scale /
				     (p->float_out ? 1 : (double)y->scale));
		q->z_r = l->quant[f->residual].z;
	}
	if (!p->float_out) {
		q->z = y->z;
		q->lo = isfinite(f->least) ? lower_quantise(y, f->least) : -128;
		q->hi = isfinite(f->most) ? lower_quantise(y, f->most) : 127;
	}
	return q->s_pos && q->s_neg ? q : NULL;
}

static Facet__Model__Op *make_op(struct lower *l, struct product *p, const struct fusion *f,
				 Facet__Model__Kind kind, uint32_t x, const uint32_t *order)
{
	enum lower_type type = p->float_out ? LOWER_F32 : LOWER_S8;
	uint32_t inputs[2] = {x}, output;

	if (f->residual != GRAPH_NONE &&
	    lower_dense(l, p->n, f->residual, LOWER_S8, order, &inputs[1]))
		return NULL;
	if (lower_result(l, f->output, type, order, &output))
		return NULL;
	return program_op(l->p, kind, p->n->name, f->residual == GRAPH_NONE ? 1 : 2, inputs,
			  output);
}

/* The sum, the activation and the numbers, common to both. */
static int quantise_product(struct lower *l, struct product *p, uint32_t groups, struct fusion *f)
{
	const struct graph_tensor *x = &l->g->tensor[p->n->input[0]];
	const double *mean = calibrate_channel_mean(l->calibrate, p->n->input[0]);
	int err = product_alloc(l, p);

	if (err)
		return err;
	fuse(l, p->n, p->rows, f);
	p->float_out = l->float_only[f->output] && !f->clamps;
	if (!p->float_out)
		lower_measure(l, f->output);
	if (x->rank == 3 || x->dim[1] != (int64_t)p->columns * groups)
		mean = NULL;
	for (uint32_t r = 0; r < p->rows; r++)
		quantise_row(l, p, r, mean, groups, f);
	return 0;
}

int lower_conv(struct lower *l, struct graph_node *n)
{
	const struct graph_tensor *w = &l->g->tensor[n->input[1]];
	const struct graph_window *win = &n->win;
	Facet__Model__Conv *c =
		PROGRAM_NEW(l->g->pool, Facet__Model__Conv, facet__model__conv__init);
	struct product p = {.n = n,
			    .rows = (uint32_t)w->dim[0],
			    .columns = (uint32_t)w->dim[1],
			    .taps = win->kh * win->kw,
			    .w = w->f,
			    .bias = graph_floats(l->g, n, 2)};
	uint32_t order[GRAPH_RANK], x;
	struct fusion f;
	Facet__Model__Op *op;
	int err;

	p.k = p.columns * p.taps;
	if (p.k > OP_K_MAX)
		return lower_refuse(l, n, "it sums over more than 65,536 products");
	lower_order_nhwc(l->g, n->input[0], order);
	err = c ? lower_dense(l, n, n->input[0], LOWER_S8, order, &x) : pool_exhausted(l->g->pool);
	if (err)
		return err;
	p.x = l->quant[n->input[0]];
	err = quantise_product(l, &p, win->groups, &f);
	if (err)
		return err;
	*c = (Facet__Model__Conv){.base = c->base,
				  .kh = win->kh,
				  .kw = win->kw,
				  .groups = win->groups,
				  .stride_h = win->stride_h,
				  .stride_w = win->stride_w,
				  .dilation_h = win->dilation_h,
				  .dilation_w = win->dilation_w,
				  .pad_top = win->pad_top,
				  .pad_left = win->pad_left,
				  .pad_bottom = win->pad_bottom,
				  .pad_right = win->pad_right,
				  .z_x = p.x.z};
	op = make_op(l, &p, &f, FACET__MODEL__KIND__CONV2D, x, order);
	c->weights = program_span(l->p, p.qw, (size_t)p.rows * p.k);
	c->bias = program_span(l->p, p.qbias, p.rows * sizeof(int32_t));
	c->q = make_requant(l, &p, &f);
	if (!op || !c->weights || !c->bias || !c->q)
		return pool_exhausted(l->g->pool);
	op->params_case = FACET__MODEL__OP__PARAMS_CONV;
	op->conv = c;
	return 0;
}

int lower_gemm(struct lower *l, struct graph_node *n)
{
	const struct graph_tensor *w = &l->g->tensor[n->input[1]];
	Facet__Model__Gemm *m =
		PROGRAM_NEW(l->g->pool, Facet__Model__Gemm, facet__model__gemm__init);
	struct product p = {.n = n,
			    .rows = (uint32_t)w->dim[0],
			    .columns = (uint32_t)w->dim[1],
			    .taps = 1,
			    .w = w->f,
			    .bias = graph_floats(l->g, n, 2)};
	uint32_t order[GRAPH_RANK], x;
	struct fusion f;
	Facet__Model__Op *op;
	int err;

	p.k = p.columns;
	if (p.k > OP_K_MAX)
		return lower_refuse(l, n, "it sums over more than 65,536 products");
	lower_order_plain(order);
	err = m ? lower_dense(l, n, n->input[0], LOWER_S8, order, &x) : pool_exhausted(l->g->pool);
	if (err)
		return err;
	p.x = l->quant[n->input[0]];
	err = quantise_product(l, &p, 1, &f);
	if (err)
		return err;
	op = make_op(l, &p, &f, FACET__MODEL__KIND__GEMM, x, order);
	m->k = p.k;
	m->weights = program_span(l->p, p.qw, (size_t)p.rows * p.k);
	m->bias = program_span(l->p, p.qbias, p.rows * sizeof(int32_t));
	m->q = make_requant(l, &p, &f);
	if (!op || !m->weights || !m->bias || !m->q)
		return pool_exhausted(l->g->pool);
	op->params_case = FACET__MODEL__OP__PARAMS_GEMM;
	op->gemm = m;
	return 0;
}
