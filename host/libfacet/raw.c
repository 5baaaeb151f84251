/* SPDX-License-Identifier: Apache-2.0 */
/* Raw kernels. The sizes of what is sent are worked out here, so they are checked here. */
#include "host/libfacet/client.h"

struct raw {
	Facet__Wire__Requant q;
	Facet__Wire__Bulk s_pos, s_neg, a, b, bias, residual;
};

static int bad(struct facet *c, const char *op)
{
	return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
			   "%s: an extent is 0 or too large, or a matrix or scale is missing", op);
}

/* False for a product over 2^40, which nothing here may reach. */
static bool times(uint64_t *product, uint64_t factor)
{
	return !__builtin_mul_overflow(*product, factor, product) && *product <= 1ull << 40;
}

static uint32_t out_bytes(enum facet_out out)
{
	return out == FACET_OUT_S8 ? 1 : 4;
}

static void requant_put(struct client_request *r, struct raw *raw, const struct facet_requant *q,
			enum facet_out out, uint32_t channels)
{
	facet__wire__requant__init(&raw->q);
	raw->q.s_r = q->s_r;
	raw->q.z_r = q->z_r;
	raw->q.z = q->z;
	raw->q.lo = q->lo;
	raw->q.hi = q->hi;
	if (out == FACET_OUT_S32)
		return;
	client_bulk_put(r, &raw->s_pos, q->s_pos, 4ull * channels);
	client_bulk_put(r, &raw->s_neg, q->s_neg, 4ull * channels);
	raw->q.s_pos = &raw->s_pos;
	raw->q.s_neg = &raw->s_neg;
}

static bool has_scales(const struct facet_requant *q, enum facet_out out)
{
	return out == FACET_OUT_S32 || (q->s_pos && q->s_neg);
}

/* out y; arg bytes */
static int finish(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_PRODUCT)
		return client_nonsense(call);
	return client_bulk_copy(call, reply, reply->body->product, call->out[0], call->arg[0]);
}

static int submit(struct facet *c, struct client_request *r, void *y, uint64_t bytes,
		  const struct facet_call *call, uint64_t *id)
{
	r->finish = finish;
	r->out[0] = y;
	r->arg[0] = bytes;
	return client_submit(c, r, call, id);
}

/* ---- GEMM ---------------------------------------------------------------------------------------- */
size_t facet_gemm_bytes(const struct facet_gemm *p)
{
	uint64_t bytes = out_bytes(p->out);

	return times(&bytes, p->m) && times(&bytes, p->n) ? bytes : 0;
}

int facet_submit_gemm_s8(struct facet *c, const struct facet_gemm *given, void *y,
			 const struct facet_call *call, uint64_t *id)
{
	Facet__Wire__Gemm gemm = FACET__WIRE__GEMM__INIT;
	struct client_request r;
	struct facet_gemm p;
	struct raw raw;
	uint64_t a, b;
	int err = client_params(c, &p, sizeof(p), given);

	if (err)
		return err;
	a = p.m;
	b = p.n;
	if (!p.a || !p.b || !facet_gemm_bytes(&p) || !p.k || !times(&a, p.k) || !times(&b, p.k) ||
	    !has_scales(&p.q, p.out))
		return bad(c, "GEMM");
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_GEMM);
	r.wire.gemm = &gemm;
	requant_put(&r, &raw, &p.q, p.out, p.n);
	client_bulk_put(&r, &raw.a, p.a, a);
	client_bulk_put(&r, &raw.b, p.b, b);
	gemm.m = p.m;
	gemm.n = p.n;
	gemm.k = p.k;
	gemm.out = (Facet__Wire__Out)p.out;
	gemm.q = &raw.q;
	gemm.a = &raw.a;
	gemm.b = &raw.b;
	if (p.bias) {
		client_bulk_put(&r, &raw.bias, p.bias, 4ull * p.n);
		gemm.bias = &raw.bias;
	}
	if (p.residual) {
		client_bulk_put(&r, &raw.residual, p.residual, (uint64_t)p.m * p.n);
		gemm.residual = &raw.residual;
	}
	return submit(c, &r, y, facet_gemm_bytes(&p), call, id);
}

int facet_gemm_s8(struct facet *c, const struct facet_gemm *p, void *y)
{
	uint64_t id = 0;
	int err = facet_submit_gemm_s8(c, p, y, NULL, &id);

	return client_sync(c, err, id);
}

/* ---- convolution --------------------------------------------------------------------------------- */
/* 0 where no window fits */
static uint64_t extent(uint64_t in, uint64_t pad, uint64_t kernel, uint64_t dilation,
		       uint64_t stride)
{
	uint64_t window = kernel ? (kernel - 1) * dilation + 1 : 0;

	return window && stride && in + pad >= window ? (in + pad - window) / stride + 1 : 0;
}

/* Elements of y, 0 for nonsense. */
static uint64_t conv2d_elements(const struct facet_conv2d *p)
{
	uint64_t oh = extent(p->h, (uint64_t)p->pad_top + p->pad_bottom, p->kh, p->dilation_h,
			     p->stride_h);
	uint64_t ow = extent(p->w, (uint64_t)p->pad_left + p->pad_right, p->kw, p->dilation_w,
			     p->stride_w);
	uint64_t elements = p->n;

	return times(&elements, oh) && times(&elements, ow) && times(&elements, p->oc) ? elements
										       : 0;
}

size_t facet_conv2d_bytes(const struct facet_conv2d *p)
{
	return conv2d_elements(p) * out_bytes(p->out);
}

static bool conv2d_sizes(const struct facet_conv2d *p, uint64_t *x, uint64_t *weights)
{
	*x = p->n;
	*weights = p->oc;
	if (!p->groups || !p->c || p->c % p->groups || !conv2d_elements(p))
		return false;
	return times(x, p->h) && times(x, p->w) && times(x, p->c) && times(weights, p->kh) &&
	       times(weights, p->kw) && times(weights, p->c / p->groups);
}

static void conv2d_put(Facet__Wire__Conv2d *conv, const struct facet_conv2d *p)
{
	facet__wire__conv2d__init(conv);
	conv->n = p->n;
	conv->h = p->h;
	conv->w = p->w;
	conv->c = p->c;
	conv->oc = p->oc;
	conv->kh = p->kh;
	conv->kw = p->kw;
	conv->groups = p->groups;
	conv->stride_h = p->stride_h;
	conv->stride_w = p->stride_w;
	conv->dilation_h = p->dilation_h;
	conv->dilation_w = p->dilation_w;
	conv->pad_top = p->pad_top;
	conv->pad_left = p->pad_left;
	conv->pad_bottom = p->pad_bottom;
	conv->pad_right = p->pad_right;
	conv->z_x = p->z_x;
	conv->out = (Facet__Wire__Out)p->out;
}

int facet_submit_conv2d_s8(struct facet *c, const struct facet_conv2d *given, void *y,
			   const struct facet_call *call, uint64_t *id)
{
	Facet__Wire__Conv2d conv;
	struct client_request r;
	struct facet_conv2d p;
	struct raw raw;
	uint64_t x, weights;
	int err = client_params(c, &p, sizeof(p), given);

	if (err)
		return err;
	if (!p.x || !p.weights || !conv2d_sizes(&p, &x, &weights) || !has_scales(&p.q, p.out))
		return bad(c, "convolution");
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_CONV2D);
	conv2d_put(&conv, &p);
	r.wire.conv2d = &conv;
	requant_put(&r, &raw, &p.q, p.out, p.oc);
	client_bulk_put(&r, &raw.a, p.x, x);
	client_bulk_put(&r, &raw.b, p.weights, weights);
	conv.q = &raw.q;
	conv.x = &raw.a;
	conv.weights = &raw.b;
	if (p.bias) {
		client_bulk_put(&r, &raw.bias, p.bias, 4ull * p.oc);
		conv.bias = &raw.bias;
	}
	if (p.residual) {
		client_bulk_put(&r, &raw.residual, p.residual, conv2d_elements(&p));
		conv.residual = &raw.residual;
	}
	return submit(c, &r, y, facet_conv2d_bytes(&p), call, id);
}

int facet_conv2d_s8(struct facet *c, const struct facet_conv2d *p, void *y)
{
	uint64_t id = 0;
	int err = facet_submit_conv2d_s8(c, p, y, NULL, &id);

	return client_sync(c, err, id);
}
