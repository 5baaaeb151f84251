/* SPDX-License-Identifier: Apache-2.0 */
/* What follows the multipliers of search: limits, filters, k-queues, survivors; and the kernel. */
#include "hls/search.h"
#include "hls/search_lane.h"

enum { METRIC, DIM, HEAD, COUNT, TILES, CAPACITY }; /* words of struct shell_search */
enum { Q_MUL, LIMIT, K, EPOCH, ROWS, TAG_MASK = 6, TAG_VALUE = 8, QUERY_WORDS = 12 };
enum { FOUND, STORED, LAST_LIMIT, RESERVED, HEAD_WORDS, SURVIVOR_WORDS = 2 };

_Static_assert(sizeof(struct shell_query) == QUERY_WORDS * 4 &&
		       offsetof(struct shell_query, rows) == ROWS * 4 &&
		       offsetof(struct shell_query, tag_mask) == TAG_MASK * 4 &&
		       offsetof(struct shell_query, tag_value) == TAG_VALUE * 4 &&
		       offsetof(struct shell_query, epoch) == EPOCH * 4 &&
		       offsetof(struct shell_search, capacity) == CAPACITY * 4 &&
		       sizeof(struct shell_survivors) == HEAD_WORDS * 4 &&
		       sizeof(struct shell_survivor) == SURVIVOR_WORDS * 4,
	       "the shell's structures as words");

static uint64_t double_word(const uint32_t *words)
{
	return words[0] | (uint64_t)words[1] << 32;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void open_query(struct search_state *s, uint32_t q, uint32_t dim, const int8_t *x,
		       const uint32_t *parameters)
{
	uint32_t turn = q / HLS_QUERIES, column = q % HLS_QUERIES;
	uint32_t words[QUERY_WORDS];

	for (uint32_t i = 0; i < QUERY_WORDS; i++) {
#pragma HLS PIPELINE II = 1
		words[i] = parameters[i];
	}
	for (uint32_t i = 0; i < s->groups * 4; i++) {
#pragma HLS PIPELINE II = 1
		s->x[turn][i / 4][i % 4][column] = i < dim ? x[i] : 0;
	}
	s->q_mul[q] = hls_float(words[Q_MUL]);
	s->limit[q] = hls_float(words[LIMIT]);
	s->filter[q].k = words[K];
	s->filter[q].epoch = words[EPOCH];
	s->filter[q].rows = double_word(&words[ROWS]);
	s->filter[q].tag_mask = double_word(&words[TAG_MASK]);
	s->filter[q].tag_value = double_word(&words[TAG_VALUE]);
	s->held[q] = 0;
	s->found[q] = 0;
}

void search_open(struct search_state *s, const uint32_t *args, const int8_t *queries,
		 const uint32_t *parameters)
{
	uint32_t dim = args[DIM];

	s->metric = args[METRIC];
	s->count = args[COUNT];
	s->tiles = args[TILES];
	s->capacity = args[CAPACITY];
	s->share = (s->tiles + HLS_CHANNELS - 1) / HLS_CHANNELS;
	s->head_groups = args[HEAD] / 4;
	s->groups = (dim + 3) / 4;
	/* The last turn multiplies whole; what it makes of places without a query is not looked at. */
	for (uint32_t g = 0; g < s->groups; g++)
		for (uint32_t j = 0; j < 4; j++) {
#pragma HLS PIPELINE II = 1
			for (uint32_t q = 0; q < HLS_QUERIES; q++)
				s->x[(s->count - 1) / HLS_QUERIES][g][j][q] = 0;
		}
	for (uint32_t q = 0; q < s->count; q++)
		open_query(s, q, dim, queries + (uint64_t)q * dim, parameters + q * QUERY_WORDS);
}

/* ---- what passes a limit ------------------------------------------------------------------------ */

static bool counts(const struct search_filter *f, const struct search_columns *c, uint64_t row)
{
	if (row >= f->rows)
		return false;
	if (c->born && (c->born[row] > f->epoch || f->epoch >= c->died[row]))
		return false;
	return ((c->tags ? c->tags[row] : 0) & f->tag_mask) == f->tag_value;
}

/* All places at once: each keeps its own, or takes the new one, or that of its better neighbour. */
static float queue_insert(float *queue, uint32_t held, uint32_t k, float s)
{
	for (uint32_t n = 0; n < HLS_K; n++) {
#pragma HLS UNROLL
		uint32_t i = HLS_K - 1 - n;
		bool beats = i >= held || s > queue[i];
		bool moves = i > 0 && (i - 1 >= held || s > queue[i - 1]);

		if (i < k && i <= held && beats)
			queue[i] = moves ? queue[i - 1] : s;
	}
	return held + 1 >= k ? queue[k - 1] : -INFINITY;
}

static void keep(struct search_state *s, uint32_t q, float score)
{
	uint32_t k = s->filter[q].k;
	float limit;

	if (!k || k > HLS_K)
		return;
	limit = queue_insert(s->queue[q], s->held[q], k, score);
	if (s->held[q] < k)
		s->held[q]++;
	if (limit > s->limit[q])
		s->limit[q] = limit;
}

static uint32_t *answer_of(const struct search_state *s, uint32_t *survivors, uint32_t q)
{
	uint64_t words = HEAD_WORDS + (uint64_t)s->capacity * SURVIVOR_WORDS;

	return survivors + q * words;
}

static void take(struct search_state *s, uint32_t q, uint64_t row, float score,
		 const struct search_columns *columns, uint32_t *survivors)
{
	uint32_t *place;

	/* Others of this round may have raised the limit since. */
	if (!(score >= s->limit[q]) || !counts(&s->filter[q], columns, row))
		return;
	keep(s, q, score);
	if (s->found[q]++ >= s->capacity)
		return;
	place = answer_of(s, survivors, q) + HEAD_WORDS +
		(uint64_t)(s->found[q] - 1) * SURVIVOR_WORDS;
	place[0] = (uint32_t)row;
	place[1] = hls_bits(score);
}

static void take_all(struct search_state *s, uint32_t turn, uint64_t first,
		     const struct search_scores *scores, const struct search_columns *columns,
		     uint32_t *survivors)
{
	for (uint32_t q = 0; q < HLS_QUERIES; q++)
		for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++)
			if (scores->passes[q] >> r & 1)
				take(s, turn * HLS_QUERIES + q, first + r, scores->s[q][r], columns,
				     survivors);
}

/* ---- rounds: three stages, each at another tile ----------------------------------------------- */

static void multiply_round(const struct search_state *s,
			   const struct search_tile tile[HLS_CHANNELS],
			   struct search_products products[HLS_CHANNELS])
{
	for (uint32_t n = 0; n < HLS_CHANNELS; n++) {
#pragma HLS UNROLL
		search_lane_multiply(s, &tile[n], &products[n]);
	}
}

static void decide_turn(struct search_state *s, uint32_t turn, uint32_t round,
			const struct search_products products[HLS_CHANNELS],
			const struct search_columns *columns, uint32_t *survivors)
{
	struct search_scores scores[HLS_CHANNELS];
#pragma HLS ARRAY_PARTITION variable = scores complete dim = 1
	bool any[HLS_CHANNELS];

	for (uint32_t n = 0; n < HLS_CHANNELS; n++) {
#pragma HLS UNROLL
		any[n] = search_lane_score(s, turn, &products[n], &scores[n]);
	}
	for (uint32_t n = 0; n < HLS_CHANNELS; n++)
		if (any[n])
			take_all(s, turn, ((uint64_t)n * s->share + round) * SEARCH_TILE_ROWS,
				 &scores[n], columns, survivors);
}

static void decide_round(struct search_state *s, uint32_t round,
			 const struct search_products products[HLS_CHANNELS],
			 const struct search_columns *columns, uint32_t *survivors)
{
	for (uint32_t turn = 0; turn * HLS_QUERIES < s->count; turn++)
		decide_turn(s, turn, round, products, columns, survivors);
}

#define READ(n) search_lane_read(s, n, i, head##n, tail##n, columns, &tile[n]);

void search_rounds(struct search_state *s, uint32_t begin, uint32_t end, uint32_t *survivors,
		   const struct search_columns *columns HLS_EACH(SEARCH_PORT))
{
	for (uint32_t i = begin; i < end; i++) {
#pragma HLS DATAFLOW
		struct search_tile tile[HLS_CHANNELS];
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 1
		struct search_products products[HLS_CHANNELS];
#pragma HLS ARRAY_PARTITION variable = products complete dim = 1

		HLS_EACH(READ)
		multiply_round(s, tile, products);
		decide_round(s, i, products, columns, survivors);
	}
}

uint64_t search_close(const struct search_state *s, uint32_t *survivors)
{
	uint64_t sum = 0;

	for (uint32_t q = 0; q < s->count; q++) {
		uint32_t *head = answer_of(s, survivors, q);

		head[FOUND] = s->found[q];
		head[STORED] = s->found[q] < s->capacity ? s->found[q] : s->capacity;
		head[LAST_LIMIT] = hls_bits(s->limit[q]);
		head[RESERVED] = 0;
		sum += s->found[q];
	}
	return sum;
}

/* ---- the kernel --------------------------------------------------------------------------------- */

#define PORT_PRAGMAS(n)                                                                            \
	HLS_PRAGMA(HLS INTERFACE m_axi port = head##n bundle = tiles##n offset = slave latency =   \
			   64 num_read_outstanding = 32 max_read_burst_length = 64)                \
	HLS_PRAGMA(HLS INTERFACE m_axi port = tail##n bundle = tiles##n offset = slave)
#define PORT(n) , head##n, tail##n

void facet_search(const uint32_t *args, uint64_t *value, uint32_t *survivors, const int8_t *queries,
		  const uint32_t *parameters, const float *scale, const float *bias,
		  const uint32_t *born, const uint32_t *died,
		  const uint64_t *tags HLS_EACH(SEARCH_PORT))
{
#pragma HLS INTERFACE m_axi port = args bundle = control offset = slave
#pragma HLS INTERFACE m_axi port = value bundle = control offset = slave
#pragma HLS INTERFACE m_axi port = survivors bundle = answer offset = slave
#pragma HLS INTERFACE m_axi port = queries bundle = control offset = slave
#pragma HLS INTERFACE m_axi port = parameters bundle = control offset = slave
#pragma HLS INTERFACE m_axi port = scale bundle = scale offset = slave
#pragma HLS INTERFACE m_axi port = bias bundle = bias offset = slave
#pragma HLS INTERFACE m_axi port = born bundle = filter offset = slave
#pragma HLS INTERFACE m_axi port = died bundle = filter offset = slave
#pragma HLS INTERFACE m_axi port = tags bundle = filter offset = slave
	HLS_EACH(PORT_PRAGMAS)
#pragma HLS INTERFACE s_axilite port = return
	static struct search_state s;
#pragma HLS ARRAY_PARTITION variable = s.x complete dim = 3
#pragma HLS ARRAY_PARTITION variable = s.x complete dim = 4
#pragma HLS ARRAY_PARTITION variable = s.queue complete dim = 2
	const struct search_columns columns = {scale, bias, born, died, tags};

	search_open(&s, args, queries, parameters);
	search_rounds(&s, 0, s.share, survivors, &columns HLS_EACH(PORT));
	*value = search_close(&s, survivors);
}
