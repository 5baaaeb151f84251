/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/onednn.h"

#if __has_include(<dnnl.h>)
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>

struct onednn {
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	dnnl_primitive_t primitive;
	dnnl_memory_t memory[4];
	dnnl_exec_arg_t args[4];
};

static const int arg_ids[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};

static dnnl_status_t describe(dnnl_memory_desc_t *d, int n, const dnnl_dims_t dims,
			      dnnl_data_type_t type)
{
	return dnnl_memory_desc_init_by_tag(d, n, dims, type, dnnl_format_tag_any);
}

/* s8 in, s8 out, one scale a channel. */
static dnnl_status_t make_primitive(struct onednn *o, const struct op_conv2d *p)
{
	bool grouped = p->groups > 1;
	dnnl_dim_t g = p->groups;
	dnnl_dims_t x = {p->n, p->c, p->h, p->w}, b = {p->oc};
	dnnl_dims_t y = {p->n, p->oc, op_conv2d_oh(p), op_conv2d_ow(p)};
	dnnl_dims_t w = {p->oc, p->c, p->kh, p->kw};
	dnnl_dims_t gw = {g, p->oc / g, p->c / g, p->kh, p->kw};
	dnnl_dims_t stride = {p->stride_h, p->stride_w}, before = {p->pad_top, p->pad_left};
	dnnl_dims_t after = {p->pad_bottom, p->pad_right};
	dnnl_memory_desc_t dx, dw, db, dy;
	dnnl_convolution_desc_t conv;
	dnnl_primitive_desc_t pd = NULL;
	dnnl_primitive_attr_t attr = NULL;
	const dnnl_query_t query[] = {dnnl_query_src_md, dnnl_query_weights_md,
				      dnnl_query_weights_md, dnnl_query_dst_md};
	const int index[] = {0, 0, 1, 0};
	float *scales = malloc(p->oc * sizeof(*scales));
	dnnl_status_t s;

	for (uint32_t c = 0; c < p->oc; c++)
		scales[c] = 0.001f;
	s = describe(&dx, 4, x, dnnl_s8);
	s = s ? s : describe(&dw, grouped ? 5 : 4, grouped ? gw : w, dnnl_s8);
	s = s ? s : describe(&db, 1, b, dnnl_s32);
	s = s ? s : describe(&dy, 4, y, dnnl_s8);
	s = s ? s
	      : dnnl_convolution_forward_desc_init(&conv, dnnl_forward_inference,
						   dnnl_convolution_direct, &dx, &dw, &db, &dy,
						   stride, before, after);
	s = s ? s : dnnl_primitive_attr_create(&attr);
	s = s ? s : dnnl_primitive_attr_set_output_scales(attr, p->oc, 2, scales);
	s = s ? s : dnnl_primitive_desc_create(&pd, &conv, attr, o->engine, NULL);
	s = s ? s : dnnl_primitive_create(&o->primitive, pd);
	for (int i = 0; i < 4 && !s; i++) {
		s = dnnl_memory_create(&o->memory[i],
				       dnnl_primitive_desc_query_md(pd, query[i], index[i]),
				       o->engine, DNNL_MEMORY_ALLOCATE);
		o->args[i] = (dnnl_exec_arg_t){arg_ids[i], o->memory[i]};
	}
	dnnl_primitive_desc_destroy(pd);
	dnnl_primitive_attr_destroy(attr);
	free(scales);
	return s;
}

struct onednn *onednn_create(const struct op_conv2d *p)
{
	struct onednn *o = calloc(1, sizeof(*o));
	dnnl_status_t s;

	if (!o)
		return NULL;
	s = dnnl_engine_create(&o->engine, dnnl_cpu, 0);
	s = s ? s : dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags);
	s = s ? s : make_primitive(o, p);
	if (!s)
		return o;
	onednn_free(o);
	return NULL;
}

void onednn_free(struct onednn *o)
{
	if (!o)
		return;
	for (int i = 0; i < 4; i++)
		dnnl_memory_destroy(o->memory[i]);
	dnnl_primitive_destroy(o->primitive);
	dnnl_stream_destroy(o->stream);
	dnnl_engine_destroy(o->engine);
	free(o);
}

void onednn_run(struct onednn *o)
{
	dnnl_primitive_execute(o->primitive, o->stream, 4, o->args);
	dnnl_stream_wait(o->stream);
}

const char *onednn_version(void)
{
	static char text[64];
	const dnnl_version_t *v = dnnl_version();

	snprintf(text, sizeof(text), "%d.%d.%d", v->major, v->minor, v->patch);
	return text;
}

#else
struct onednn *onednn_create(const struct op_conv2d *p)
{
	(void)p;
	return NULL;
}

void onednn_free(struct onednn *o)
{
	(void)o;
}

void onednn_run(struct onednn *o)
{
	(void)o;
}

const char *onednn_version(void)
{
	return "NOT COMPARED (libdnnl-dev was not there)";
}
#endif
