/* SPDX-License-Identifier: Apache-2.0 */
/* A search over the fault device's own rows: flips in queries, in rows and in hits. */
#include "daemon/device/fault_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one search is turned into. */
struct strike {
	struct device_command command;
	struct search_query queries[SEARCH_BATCH_MAX];
	int8_t x[SEARCH_DIM_MAX];		     /* of the query that is flipped */
	struct search_list *lists[SEARCH_BATCH_MAX]; /* of the hits that are flipped */
};

static int load_inner(struct fault *fault, struct device_rows *rows, uint64_t begin, uint64_t end)
{
	struct device_command command = {.op = DEVICE_LOAD};

	command.load = (struct device_load){rows->inner, begin, end};
	return rows->inner ? fault_inner(fault, &command) : 0;
}

int fault_load(struct fault *fault, const struct device_command *command)
{
	const struct device_load *load = &command->load;
	int err;

	if (!load->to || load->to->device != &fault->base)
		return -EINVAL;
	err = fault_rows_load(load->to, load->tile_begin, load->tile_end);
	return err ? err : load_inner(fault, load->to, load->tile_begin, load->tile_end);
}

int fault_unload(struct fault *fault, const struct device_command *command)
{
	const struct device_unload *unload = &command->unload;
	struct device_command inner = *command;

	if (!unload->from || unload->from->device != &fault->base || !unload->to)
		return -EINVAL;
	if (!unload->from->inner)
		return fault_rows_unload(unload->from, unload->tile_begin, unload->tile_end,
					 unload->to);
	inner.unload.from = unload->from->inner;
	return fault_inner(fault, &inner);
}

/* ---- rows ---- */

/* Row r's value i, for i < dim, where it lies in the tiles. */
static uint8_t *row_value(const struct search_rows *rows, uint64_t r, uint32_t i)
{
	bool head = i < rows->head;
	const uint8_t *tiles = head ? rows->head_tiles : rows->tail_tiles;
	uint32_t width = head ? rows->head : search_padded_dim(rows->dim) - rows->head;
	uint32_t at = head ? i : i - rows->head;
	uint64_t line = r / SEARCH_TILE_ROWS * (width / 4) + at / 4;

	return (uint8_t *)tiles + line * 64 + r % SEARCH_TILE_ROWS * 4 + at % 4;
}

static bool row_alive(const struct search_rows *rows, uint64_t r)
{
	return rows->died[r] && rows->born[r] <= rows->died[r];
}

/* A row within the search that lives; false if a few hundred tries find none. */
static bool choose_row(const struct device_search *s, struct fault_rule *rule, uint64_t *row)
{
	uint64_t first = s->tile_begin * SEARCH_TILE_ROWS;
	uint64_t end = s->tile_end * SEARCH_TILE_ROWS;

	for (int tries = 0; first < end && tries < 500; tries++) {
		*row = first + fault_random(rule) % (end - first);
		if (*row < s->queries[0].rows && row_alive(&s->resident->shadow, *row))
			return true;
	}
	return false;
}

static int flip_rows(struct fault *fault, struct fault_rule *rule, const struct device_search *s)
{
	const struct search_rows *shadow = &s->resident->shadow;
	uint64_t row;

	if (!choose_row(s, rule, &row))
		return 0;
	for (uint32_t i = 0; i < rule->bits; i++) {
		uint64_t random = fault_random(rule);

		*row_value(shadow, row, (uint32_t)(random >> 3) % shadow->dim) ^=
			(uint8_t)(1u << random % 8);
	}
	fault_count(fault, rule);
	return load_inner(fault, s->resident, row / SEARCH_TILE_ROWS, row / SEARCH_TILE_ROWS + 1);
}

/* ---- queries ---- */

static void flip_query(struct fault *fault, struct fault_rule *rule, struct strike *strike)
{
	struct device_search *s = &strike->command.search;
	uint32_t which = (uint32_t)(fault_random(rule) % s->count);

	memcpy(strike->queries, s->queries, s->count * sizeof(*s->queries));
	memcpy(strike->x, strike->queries[which].x, s->rows->dim);
	fault_flip(fault, rule, strike->x, s->rows->dim);
	strike->queries[which].x = strike->x;
	s->queries = strike->queries;
}

/* ---- hits ---- */

static int lists_create(struct strike *strike, const struct device_search *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		strike->lists[i] = search_list_create(s->queries[i].k, s->queries[i].by_subject);
		if (!strike->lists[i])
			return -ENOMEM;
	}
	strike->command.search.lists = strike->lists;
	return 0;
}

/* A bit of its score or its id; never one that makes the score no number, since no list takes it. */
static void flip_hit(struct fault_rule *rule, struct search_hit *hit)
{
	uint64_t random = fault_random(rule);
	uint32_t bits;
	float s;

	memcpy(&bits, &hit->s, sizeof(bits));
	bits ^= 1u << (random >> 1) % 32;
	memcpy(&s, &bits, sizeof(s));
	if (random & 1 && !isnan(s))
		hit->s = s;
	else
		hit->id ^= UINT64_C(1) << (random >> 6) % 64;
}

static int offer_flipped(struct fault *fault, struct fault_rule *rule,
			 const struct search_list *from, uint32_t k, bool flip,
			 struct search_list *to)
{
	struct search_hit *hits = malloc(k * sizeof(*hits));
	uint32_t n;

	if (!hits)
		return -ENOMEM;
	n = search_list_sorted(from, hits);
	if (flip && n) {
		uint32_t which = (uint32_t)(fault_random(rule) % n);

		for (uint32_t i = 0; i < rule->bits; i++)
			flip_hit(rule, &hits[which]);
		fault_count(fault, rule);
	}
	for (uint32_t i = 0; i < n; i++)
		search_list_offer(to, &hits[i]);
	free(hits);
	return 0;
}

static int flip_hits(struct fault *fault, struct fault_rule *rule, struct strike *strike,
		     const struct device_search *s)
{
	uint32_t which = (uint32_t)(fault_random(rule) % s->count);
	int err = lists_create(strike, s);

	if (!err)
		err = fault_inner(fault, &strike->command);
	for (uint32_t i = 0; !err && i < s->count; i++)
		err = offer_flipped(fault, rule, strike->lists[i], s->queries[i].k, i == which,
				    s->lists[i]);
	for (uint32_t i = 0; i < s->count; i++)
		search_list_free(strike->lists[i]);
	return err;
}

/* ---- a search ---- */

/* Parameters that the flips rely on; the inner device checks the rest. */
static bool legal(const struct fault *fault, const struct device_search *s)
{
	if (!s->rows || search_rows_check(s->rows) || !s->queries || !s->lists || s->count < 1 ||
	    s->count > SEARCH_BATCH_MAX || s->tile_begin > s->tile_end)
		return false;
	for (uint32_t i = 0; i < s->count; i++)
		if (!s->lists[i] || search_query_check(&s->queries[i], s->rows))
			return false;
	if (!s->resident)
		return fault->inner_host;
	return s->resident->device == &fault->base && s->tile_begin >= s->resident->tile_begin &&
	       s->tile_end <= s->resident->tile_end;
}

int fault_search(struct fault *fault, const struct device_command *command,
		 const struct fault_strikes *strikes)
{
	const struct device_search *s = &command->search;
	struct strike strike = {.command = *command};
	int err = 0;

	if (!legal(fault, s))
		return -EINVAL;
	if (s->resident) {
		strike.command.search.rows = &s->resident->shadow;
		strike.command.search.resident = s->resident->inner;
	}
	if (strikes->rule[FAULT_FLIP_ROWS] && s->resident)
		err = flip_rows(fault, strikes->rule[FAULT_FLIP_ROWS], s);
	if (err)
		return err;
	if (strikes->rule[FAULT_FLIP_IN])
		flip_query(fault, strikes->rule[FAULT_FLIP_IN], &strike);
	if (strikes->rule[FAULT_FLIP_OUT])
		return flip_hits(fault, strikes->rule[FAULT_FLIP_OUT], &strike, s);
	return fault_inner(fault, &strike.command);
}
