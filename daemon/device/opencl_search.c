/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search: rounds over some tiles each, with the lists' limits as they are by then. A round finds
 * hits, at most CAPACITY a query; of more than k the device selects the best. Rounds begin small,
 * while nothing bounds what is found, and grow; one that found too much is done again in pieces
 * that cannot.
 */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define CAPACITY    4096u
#define TILES_MIN   (CAPACITY / SEARCH_TILE_ROWS) /* can never overflow */
#define TILES_MAX   (UINT64_C(1) << 24)
#define TILES_FIRST 8u /* while no limit is known every row is a hit */

struct scan {
	struct opencl *cl;
	const struct device_batch *batch;
	const struct device_search *p;
	const struct device_rows *copy;
	enum opencl_kernel kernel;
	uint32_t queries; /* in whole blocks */
};

/* ---- memory ---- */

static uint32_t groups_of(const struct device_search *p)
{
	return search_padded_dim(p->rows->dim) / 4;
}

/* Room for the most that any search brings along; made by the first one. */
static int room(struct opencl *cl)
{
	struct opencl_session *s = cl->session;
	const struct {
		cl_mem *memory;
		uint64_t bytes;
	} parts[] = {
		{&s->search.x, (uint64_t)OPENCL_QUERIES_MAX * SEARCH_DIM_MAX},
		{&s->search.query, OPENCL_QUERIES_MAX * sizeof(struct cl_query)},
		{&s->search.found, OPENCL_QUERIES_MAX * sizeof(uint32_t)},
		{&s->search.hits, (uint64_t)OPENCL_QUERIES_MAX * CAPACITY * sizeof(struct cl_hit)},
		{&s->search.best, (uint64_t)OPENCL_QUERIES_MAX * CAPACITY * sizeof(struct cl_hit)},
	};
	int err = 0;

	if (s->search.queries)
		return 0;
	for (size_t i = 0; !err && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!*parts[i].memory)
			err = opencl_memory(cl, CL_MEM_READ_WRITE, parts[i].bytes, NULL,
					    parts[i].memory, &s->scratch);
	if (!err)
		s->search.queries = OPENCL_QUERIES_MAX;
	return err;
}

/* ---- queries ---- */

/* Steps of a block: so many products a line, and no fewer than hide the latency of one. */
#define STEPS(queries) ((queries) < 4 ? 4 : (queries))

/* The kernel that takes the fewest steps, and how many queries its blocks make. */
static enum opencl_kernel choose_block(const struct opencl *cl, uint32_t count, uint32_t *queries)
{
	const struct opencl_variant *v = cl->variant;
	enum opencl_kernel kernel = v->block[0].kernel;
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < sizeof(v->block) / sizeof(v->block[0]) && v->block[i].queries; i++) {
		uint32_t block = v->block[i].queries, blocks = (count + block - 1) / block;
		uint32_t steps = blocks * STEPS(block);

		if (cl->session->kernel[v->block[i].kernel] &&
		    (steps < least || (steps == least && blocks * block <= *queries))) {
			kernel = v->block[i].kernel;
			*queries = blocks * block;
			least = steps;
		}
	}
	return kernel;
}

/* [groups of 4 dimensions][queries]: a line of the tiles meets all queries' four bytes of it. */
static int put_queries(const struct scan *scan)
{
	static const int8_t none[SEARCH_DIM_MAX];
	const struct device_search *p = scan->p;
	uint32_t groups = groups_of(p);
	int32_t x[OPENCL_QUERIES_MAX];
	struct opencl *cl = scan->cl;
	int err = 0;

	for (uint32_t g = 0; !err && g < groups; g++) {
		for (uint32_t q = 0; q < scan->queries; q++) {
			const int8_t *from = q < p->count ? p->queries[q].x : none;
			uint32_t left = p->rows->dim - g * 4;

			x[q] = 0;
			memcpy(&x[q], from + (size_t)g * 4, left < 4 ? left : 4);
		}
		memcpy((char *)scan->cl->staged + (size_t)g * scan->queries * 4, x,
		       scan->queries * 4);
	}
	return opencl_put(cl, cl->session->queue, cl->session->search.x, 0, cl->staged,
			  (uint64_t)groups * scan->queries * 4, cl->deadline);
}

static int32_t raised(const struct device_search *p, uint32_t q)
{
	int32_t sum = 0;

	for (uint32_t d = 0; d < p->rows->dim; d++)
		sum += p->queries[q].x[d];
	return 128 * sum;
}

static uint32_t rows_in(const struct opencl_segment *segment, uint64_t rows)
{
	uint64_t first = segment->begin * SEARCH_TILE_ROWS, all;

	if (rows <= first)
		return 0;
	all = (segment->end - segment->begin) * SEARCH_TILE_ROWS;
	return (uint32_t)(rows - first < all ? rows - first : all);
}

static int put_parameters(const struct scan *scan, const struct opencl_segment *segment)
{
	const struct device_search *p = scan->p;
	struct opencl *cl = scan->cl;
	struct cl_query query[OPENCL_QUERIES_MAX];

	for (uint32_t i = 0; i < scan->queries; i++) {
		const struct search_query *q = &p->queries[i];

		/* What fills the last block finds nothing. */
		query[i] = (struct cl_query){.limit = INFINITY};
		if (i >= p->count)
			continue;
		/* A list by subject holds k subjects, which says nothing of the k-th template. */
		query[i] = (struct cl_query){
			.tag_mask = q->tag_mask,
			.tag_value = q->tag_value,
			.limit = fmaxf(q->limit, search_list_limit(p->lists[i])),
			.q_mul = q->q_mul,
			.raised = raised(p, i),
			.epoch = q->epoch,
			.rows = rows_in(segment, q->rows),
			.select = q->by_subject || q->k >= CAPACITY ? 0 : q->k,
		};
	}
	return opencl_put(cl, cl->session->queue, cl->session->search.query, 0, query,
			  scan->queries * sizeof(query[0]), cl->deadline);
}

/* ---- a round ---- */

#define A OPENCL_ARGUMENT

static cl_mem part_of(const struct opencl_segment *segment, int part)
{
	return segment->part[part] ? segment->part[part] : segment->part[PART_HEAD];
}

static int launch(const struct scan *scan, const struct opencl_segment *segment, uint64_t begin,
		  uint64_t end)
{
	struct opencl *cl = scan->cl;
	struct opencl_session *s = cl->session;
	const struct cl_search p = {.first = (uint32_t)(begin - segment->begin),
				    .tiles = (uint32_t)(end - begin),
				    .head4 = scan->copy->head / 4,
				    .tail4 = groups_of(scan->p) - scan->copy->head / 4,
				    .metric = (int)scan->copy->metric,
				    .queries = scan->queries,
				    .capacity = CAPACITY};
	uint64_t items = (end - begin) * (SEARCH_TILE_ROWS / cl->variant->rows_per_item);
	cl_mem part[PARTS];
	uint32_t capacity = CAPACITY;
	int err = opencl_fill(cl, s->queue, s->search.found, 0, scan->queries * 4, 0);

	for (int i = 0; i < PARTS; i++)
		part[i] = part_of(segment, i);
	if (!err)
		err = OPENCL_LAUNCH(cl, scan->kernel, items, 1, A(p), A(part[PART_HEAD]),
				    A(part[PART_TAIL]), A(s->search.x), A(part[PART_SCALE]),
				    A(part[PART_BIAS]), A(part[PART_ID]), A(part[PART_TAGS]),
				    A(part[PART_BORN]), A(part[PART_DIED]), A(part[PART_SUBJECT]),
				    A(s->search.query), A(s->search.found), A(s->search.hits));
	if (!err)
		err = OPENCL_LAUNCH(cl, KERNEL_SELECT, (uint64_t)scan->p->count * cl->items, 1,
				    A(capacity), A(s->search.query), A(s->search.found),
				    A(s->search.hits), A(s->search.best));
	return err;
}

/* The device's word is not taken for where a row is. */
static int offer(const struct scan *scan, const struct opencl_segment *segment, uint32_t q,
		 const struct cl_hit *hits, uint32_t count)
{
	uint32_t rows = rows_in(segment, scan->p->queries[q].rows);

	for (uint32_t i = 0; i < count; i++) {
		struct search_hit hit = {.s = hits[i].s};

		if (hits[i].row >= rows || isnan(hit.s))
			return -EIO;
		hit.row = segment->begin * SEARCH_TILE_ROWS + hits[i].row;
		hit.id = scan->p->rows->id[hit.row];
		hit.subject = scan->p->rows->subject[hit.row];
		search_list_offer(scan->p->lists[q], &hit);
	}
	return 0;
}

static int take_query(const struct scan *scan, const struct opencl_segment *segment, uint32_t q,
		      uint32_t found)
{
	struct opencl *cl = scan->cl;
	const struct search_query *query = &scan->p->queries[q];
	bool selected = !query->by_subject && query->k < CAPACITY && found > query->k;
	uint32_t count = selected ? query->k : found;
	int err;

	if (!count)
		return 0;
	err = opencl_get(cl, cl->session->queue,
			 selected ? cl->session->search.best : cl->session->search.hits,
			 (uint64_t)q * CAPACITY * sizeof(struct cl_hit), cl->staged,
			 count * sizeof(struct cl_hit), cl->deadline);
	return err ? err : offer(scan, segment, q, cl->staged, count);
}

/* The most found by one query; more than CAPACITY: nothing was taken over. */
static int64_t round_once(const struct scan *scan, const struct opencl_segment *segment,
			  uint64_t begin, uint64_t end)
{
	struct opencl *cl = scan->cl;
	uint32_t found[OPENCL_QUERIES_MAX], most = 0;
	int err = put_parameters(scan, segment);

	if (!err)
		err = launch(scan, segment, begin, end);
	if (!err)
		err = opencl_settle(cl);
	if (!err)
		err = opencl_get(cl, cl->session->queue, cl->session->search.found, 0, found,
				 scan->p->count * sizeof(found[0]), cl->deadline);
	if (err)
		return err;
	for (uint32_t q = 0; q < scan->p->count; q++)
		most = found[q] > most ? found[q] : most;
	for (uint32_t q = 0; most <= CAPACITY && q < scan->p->count; q++) {
		err = take_query(scan, segment, q, found[q]);
		if (err)
			return err;
	}
	return most;
}

/* What bounds a round is what it finds. */
static uint64_t next_tiles(uint64_t tiles, int64_t most)
{
	if (most > CAPACITY / 2)
		return tiles / 2 > TILES_MIN ? tiles / 2 : TILES_MIN;
	return most < CAPACITY / 4 && tiles < TILES_MAX ? tiles * 8 : tiles;
}

static int scan_segment(const struct scan *scan, const struct opencl_segment *segment,
			uint64_t begin, uint64_t end, uint64_t *tiles)
{
	while (begin < end) {
		uint64_t to = end - begin > *tiles ? begin + *tiles : end;
		int64_t most = worker_cancelled(scan->batch) ? -ECANCELED
							     : round_once(scan, segment, begin, to);

		if (most < 0)
			return (int)most;
		if (most > CAPACITY) {
			*tiles = (to - begin) / 2 > TILES_MIN ? (to - begin) / 2 : TILES_MIN;
			continue;
		}
		begin = to;
		*tiles = next_tiles(*tiles, most);
	}
	return 0;
}

static int scan_copy(const struct scan *scan, uint64_t begin, uint64_t end)
{
	uint64_t tiles = TILES_FIRST;
	int err = 0;

	for (uint32_t i = 0; !err && i < scan->copy->count; i++) {
		const struct opencl_segment *segment = &scan->copy->segment[i];
		uint64_t from = begin > segment->begin ? begin : segment->begin;
		uint64_t to = end < segment->end ? end : segment->end;

		if (from < to)
			err = scan_segment(scan, segment, from, to, &tiles);
	}
	return err;
}

int opencl_run_search(struct opencl *cl, const struct device_batch *batch,
		      const struct device_command *command)
{
	const struct device_search *p = &command->search;
	struct scan scan = {.cl = cl, .batch = batch, .p = p, .copy = p->resident};
	int err;

	if (!p->resident || p->resident->device != &cl->base || p->resident->rows != p->rows ||
	    p->tile_begin < p->resident->begin || p->tile_end > p->resident->end)
		return -EINVAL;
	if (p->resident->generation != cl->generation)
		return -ESTALE;
	err = room(cl);
	scan.kernel = choose_block(cl, p->count, &scan.queries);
	if (!err)
		err = put_queries(&scan);
	return err ? err : scan_copy(&scan, p->tile_begin, command_last_tile(p));
}
