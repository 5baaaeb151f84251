/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where tensors lie: the largest first, each at the lowest offset that no tensor living at the same
 * time covers. The image lives throughout, so that a run may be repeated.
 */
#include "host/compile/program.h"

#include <stdlib.h>

struct item {
	uint32_t tensor, first, last; /* ops between which it lives */
	uint64_t bytes, offset;
};

static int by_size(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->tensor < y->tensor ? -1 : 1;
}

static int by_offset(const void *a, const void *b)
{
	const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void find_lives(const struct program *p, struct item *items)
{
	for (uint32_t t = 0; t < p->graph.n_tensors; t++)
		items[t] = (struct item){
			.tensor = t, .bytes = (program_tensor_bytes(p, t) + 63) & ~(uint64_t)63};
	for (uint32_t i = 0; i < p->graph.n_ops; i++) {
		const Facet__Model__Op *op = p->graph.ops[i];

		items[op->output].first = items[op->output].last = i;
		for (size_t k = 0; k < op->n_inputs; k++)
			items[op->inputs[k]].last = i;
	}
	for (size_t k = 0; k < p->graph.n_inputs; k++)
		items[p->graph.inputs[k]].last = UINT32_MAX;
	for (size_t k = 0; k < p->graph.n_outputs; k++)
		items[p->graph.outputs[k]].last = UINT32_MAX;
}

/* The lowest offset where item fits among those placed, which are in the order of their offsets. */
static uint64_t lowest(const struct item *item, struct item *const *placed, uint32_t count)
{
	uint64_t offset = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct item *o = placed[i];

		if (o->last < item->first || item->last < o->first)
			continue;
		if (o->offset >= offset + item->bytes)
			break;
		if (o->offset + o->bytes > offset)
			offset = o->offset + o->bytes;
	}
	return offset;
}

int arena_place(struct program *p)
{
	uint32_t count = (uint32_t)p->graph.n_tensors, placed = 0;
	struct item *items = pool_alloc(p->pool, count, sizeof(*items));
	struct item **order = pool_alloc(p->pool, count, sizeof(*order));

	if (!items || !order)
		return pool_exhausted(p->pool);
	find_lives(p, items);
	qsort(items, count, sizeof(*items), by_size);
	p->graph.arena_bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		Facet__Model__Tensor *t = p->graph.tensors[items[i].tensor];

		if (t->is_const)
			continue;
		items[i].offset = lowest(&items[i], order, placed);
		t->arena_offset = items[i].offset;
		order[placed++] = &items[i];
		qsort(order, placed, sizeof(*order), by_offset);
		if (items[i].offset + items[i].bytes > p->graph.arena_bytes)
			p->graph.arena_bytes = items[i].offset + items[i].bytes;
	}
	return 0;
}
