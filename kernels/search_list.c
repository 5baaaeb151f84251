/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best k of one query: a heap whose root is the worst hit held, so that a candidate costs one
 * comparison, and one that gets in O(log k). By subject, an open-addressing table finds the hit of
 * a subject; entries never move, so only the heap's order changes, not the table.
 */
#include "kernels/ops.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct search_hit hit;
	uint32_t place; /* where in the heap */
};

struct search_list {
	uint32_t capacity, k, held;
	bool by_subject;
	uint32_t mask; /* slots of the table in use, less one */
	float limit;   /* of the root, once k are held */
	uint64_t limit_id;
	struct entry *entries; /* [capacity] */
	uint32_t *heap;	       /* [capacity] entries, the worst first */
	uint32_t *table;       /* entry + 1 or 0, by subject; at most half full */
};

static uint32_t table_slots(uint32_t k)
{
	uint32_t slots = 16;

	while (slots < 2 * k)
		slots *= 2;
	return slots;
}

struct search_list *search_list_create(uint32_t k, bool by_subject)
{
	struct search_list *list;

	if (k == 0 || k > SEARCH_K_MAX)
		return NULL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return NULL;
	list->capacity = k;
	list->entries = malloc(k * sizeof(*list->entries));
	list->heap = malloc(k * sizeof(*list->heap));
	list->table = malloc(table_slots(k) * sizeof(*list->table));
	if (!list->entries || !list->heap || !list->table) {
		search_list_free(list);
		return NULL;
	}
	search_list_reset(list, k, by_subject);
	return list;
}

void search_list_free(struct search_list *list)
{
	if (!list)
		return;
	free(list->table);
	free(list->heap);
	free(list->entries);
	free(list);
}

void search_list_reset(struct search_list *list, uint32_t k, bool by_subject)
{
	assert(k > 0 && k <= list->capacity);
	list->k = k;
	list->held = 0;
	list->by_subject = by_subject;
	list->limit = -INFINITY;
	list->limit_id = UINT64_MAX;
	if (by_subject) {
		list->mask = table_slots(k) - 1;
		memset(list->table, 0, (list->mask + 1) * sizeof(*list->table));
	}
}

float search_list_limit(const struct search_list *list)
{
	return list->limit;
}

uint64_t search_list_limit_id(const struct search_list *list)
{
	return list->limit_id;
}

/* ---- the order, and the heap over it ---- */

static bool worse(const struct search_hit *a, const struct search_hit *b)
{
	return a->s < b->s || (a->s == b->s && a->id > b->id);
}

static void place_at(struct search_list *list, uint32_t place, uint32_t entry)
{
	list->heap[place] = entry;
	list->entries[entry].place = place;
}

static void sift_up(struct search_list *list, uint32_t place)
{
	uint32_t entry = list->heap[place];

	while (place > 0) {
		uint32_t parent = (place - 1) / 2;

		if (!worse(&list->entries[entry].hit, &list->entries[list->heap[parent]].hit))
			break;
		place_at(list, place, list->heap[parent]);
		place = parent;
	}
	place_at(list, place, entry);
}

static void sift_down(struct search_list *list, uint32_t place)
{
	uint32_t entry = list->heap[place];
	uint32_t child;

	while ((child = 2 * place + 1) < list->held) {
		if (child + 1 < list->held && worse(&list->entries[list->heap[child + 1]].hit,
						    &list->entries[list->heap[child]].hit))
			child++;
		if (!worse(&list->entries[list->heap[child]].hit, &list->entries[entry].hit))
			break;
		place_at(list, place, list->heap[child]);
		place = child;
	}
	place_at(list, place, entry);
}

/* ---- the table of subjects: linear probing, deletion by shifting back ---- */

static uint32_t home_slot(const struct search_list *list, uint32_t subject)
{
	return (uint32_t)((subject * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & list->mask;
}

/* The slot that holds the subject, or the empty one where it would go. */
static uint32_t find_slot(const struct search_list *list, uint32_t subject)
{
	uint32_t slot = home_slot(list, subject);

	while (list->table[slot] && list->entries[list->table[slot] - 1].hit.subject != subject)
		slot = (slot + 1) & list->mask;
	return slot;
}

static void remove_subject(struct search_list *list, uint32_t subject)
{
	uint32_t hole = find_slot(list, subject);
	uint32_t slot = hole;

	assert(list->table[hole]);
	for (;;) {
		uint32_t home;

		slot = (slot + 1) & list->mask;
		if (!list->table[slot])
			break;
		home = home_slot(list, list->entries[list->table[slot] - 1].hit.subject);
		/* May it move back? Only if its home does not lie between the hole and it. */
		if (((slot - home) & list->mask) < ((slot - hole) & list->mask))
			continue;
		list->table[hole] = list->table[slot];
		hole = slot;
	}
	list->table[hole] = 0;
}

/* ---- offers ---- */

static void update_limit(struct search_list *list)
{
	const struct search_hit *worst = &list->entries[list->heap[0]].hit;

	if (list->held < list->k)
		return;
	list->limit = worst->s;
	list->limit_id = worst->id;
}

/* True if the subject was held already, whether or not the hit improved it. */
static bool offer_to_subject(struct search_list *list, const struct search_hit *hit)
{
	uint32_t entry = list->table[find_slot(list, hit->subject)];

	if (!entry)
		return false;
	entry--;
	if (worse(&list->entries[entry].hit, hit)) {
		list->entries[entry].hit = *hit;
		sift_down(list, list->entries[entry].place);
	}
	return true;
}

static void insert(struct search_list *list, const struct search_hit *hit)
{
	bool full = list->held == list->k;
	uint32_t entry = full ? list->heap[0] : list->held;

	if (list->by_subject) {
		if (full)
			remove_subject(list, list->entries[entry].hit.subject);
		list->table[find_slot(list, hit->subject)] = entry + 1;
	}
	list->entries[entry].hit = *hit;
	if (full) {
		sift_down(list, 0);
	} else {
		place_at(list, list->held++, entry);
		sift_up(list, entry);
	}
}

void search_list_offer(struct search_list *list, const struct search_hit *hit)
{
	if (isnan(hit->s))
		return;
	if (list->held == list->k && !worse(&list->entries[list->heap[0]].hit, hit))
		return;
	if (!list->by_subject || !offer_to_subject(list, hit))
		insert(list, hit);
	update_limit(list);
}

void search_list_merge(struct search_list *into, const struct search_list *from)
{
	for (uint32_t i = 0; i < from->held; i++)
		search_list_offer(into, &from->entries[i].hit);
}

/* ---- the answer ---- */

static void sift_hits(struct search_hit *hits, uint32_t count, uint32_t place)
{
	struct search_hit hit = hits[place];
	uint32_t child;

	while ((child = 2 * place + 1) < count) {
		if (child + 1 < count && worse(&hits[child + 1], &hits[child]))
			child++;
		if (!worse(&hits[child], &hit))
			break;
		hits[place] = hits[child];
		place = child;
	}
	hits[place] = hit;
}

/* A heap with the worst first is half of a heapsort that ends with the best first. */
uint32_t search_list_sorted(const struct search_list *list, struct search_hit *out)
{
	for (uint32_t i = 0; i < list->held; i++)
		out[i] = list->entries[list->heap[i]].hit;
	for (uint32_t left = list->held; left > 1; left--) {
		struct search_hit last = out[left - 1];

		out[left - 1] = out[0];
		out[0] = last;
		sift_hits(out, left - 1, 0);
	}
	return list->held;
}
