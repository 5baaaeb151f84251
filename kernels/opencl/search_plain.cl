#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/* The search for any device: an item takes a tile, four queries at a time. */
typedef __global const uchar *tiles_in;

/* Products in pairs, as vpmaddwd makes them: 8 rows of 4 dimensions are 16 sums. */
#define PLAIN_QUERY(k)                                                                             \
	do {                                                                                       \
		short4 four = convert_short4(as_char4(x[(first + g) * p.queries + q + k]));        \
		short16 y = (short16)(four, four, four, four);                                     \
		int8 even = convert_int8(y.even), odd = convert_int8(y.odd);                       \
		a##k += convert_int8(ra.even) * even + convert_int8(ra.odd) * odd;                 \
		b##k += convert_int8(rb.even) * even + convert_int8(rb.odd) * odd;                 \
		c##k += convert_int8(rc.even) * even + convert_int8(rc.odd) * odd;                 \
		d##k += convert_int8(rd.even) * even + convert_int8(rd.odd) * odd;                 \
	} while (0)

#define PLAIN_GROUPS(lines, from, count)                                                           \
	do {                                                                                       \
		tiles_in line = lines;                                                             \
		uint first = from;                                                                 \
		for (uint g = 0; g < count; g++, line += 64) {                                     \
			short16 ra = convert_short16(vload16(0, line)),                            \
				rb = convert_short16(vload16(1, line)),                            \
				rc = convert_short16(vload16(2, line)),                            \
				rd = convert_short16(vload16(3, line));                            \
			PLAIN_QUERY(0);                                                            \
			PLAIN_QUERY(1);                                                            \
			PLAIN_QUERY(2);                                                            \
			PLAIN_QUERY(3);                                                            \
		}                                                                                  \
	} while (0)

#define PLAIN_CLEAR(k) int8 a##k = 0, b##k = 0, c##k = 0, d##k = 0
#define PLAIN_OFFER(k)                                                                             \
	offer16(p, q + k, tile,                                                                    \
		(int16)(a##k.even + a##k.odd, b##k.even + b##k.odd, c##k.even + c##k.odd,          \
			d##k.even + d##k.odd),                                                     \
		SIDE)

KERNEL void search_plain(struct cl_search p, tiles_in head, tiles_in tail, __global const int *x,
			 SIDE_ARGUMENTS)
{
	uint tile = p.first + (uint)get_global_id(0);

	if (tile >= p.first + p.tiles)
		return;
	for (uint q = 0; q < p.queries; q += 4) {
		PLAIN_CLEAR(0);
		PLAIN_CLEAR(1);
		PLAIN_CLEAR(2);
		PLAIN_CLEAR(3);
		PLAIN_GROUPS(head + (ulong)tile * p.head4 * 64, 0, p.head4);
		PLAIN_GROUPS(tail + (ulong)tile * p.tail4 * 64, p.head4, p.tail4);
		PLAIN_OFFER(0);
		PLAIN_OFFER(1);
		PLAIN_OFFER(2);
		PLAIN_OFFER(3);
	}
}

/* ---- the best of a list ---- */

/* Larger keys are better; both zeros are one value. */
uint key_of(float s)
{
	uint bits = as_uint(s == 0.0f ? 0.0f : s);

	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/*
 * One digit of a radix selection: the place in the order, counted from the best, of what is sought
 * moves into its bin; the digit is returned. The bins hold counts, `rising` says which end is best.
 */
uint choose(__local uint *bins, uint *sought, int rising)
{
	for (uint i = 0; i < 256; i++) {
		uint bin = rising ? i : 255 - i;

		if (*sought < bins[bin])
			return bin;
		*sought -= bins[bin];
	}
	return 0;
}

/*
 * Group q: if more than queries[q].select rows were found, the best of them, in the order of
 * kernels/ops.h, go to best[], in no order. First the score of the last that gets in is found, a
 * digit a pass, then among its equals the last id.
 */
KERNEL void search_select(uint capacity, __global const struct cl_query *queries, __global const uint *found,
	      __global const struct cl_hit *hits, __global struct cl_hit *best)
{
	__local uint bins[256], taken;
	uint q = (uint)get_group_id(0), item = (uint)get_local_id(0);
	uint select = queries[q].select, count = found[q], sought = select - 1, key = 0;
	__global const struct cl_hit *list = hits + (ulong)q * capacity;
	ulong id = 0;

	if (!select || count <= select || count > capacity)
		return;
	for (int shift = 24; shift >= 0; shift -= 8) {
		for (uint i = item; i < 256; i += FACET_ITEMS)
			bins[i] = 0;
		barrier(CLK_LOCAL_MEM_FENCE);
		for (uint i = item; i < count; i += FACET_ITEMS) {
			uint k = key_of(list[i].s);

			if (shift == 24 || k >> (shift + 8) == key >> (shift + 8))
				atomic_inc(&bins[k >> shift & 255]);
		}
		barrier(CLK_LOCAL_MEM_FENCE);
		key |= choose(bins, &sought, 0) << shift;
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	for (int shift = 56; shift >= 0; shift -= 8) {
		for (uint i = item; i < 256; i += FACET_ITEMS)
			bins[i] = 0;
		barrier(CLK_LOCAL_MEM_FENCE);
		for (uint i = item; i < count; i += FACET_ITEMS)
			if (key_of(list[i].s) == key &&
			    (shift == 56 || list[i].id >> (shift + 8) == id >> (shift + 8)))
				atomic_inc(&bins[(uint)(list[i].id >> shift) & 255]);
		barrier(CLK_LOCAL_MEM_FENCE);
		id |= (ulong)choose(bins, &sought, 1) << shift;
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	if (item == 0)
		taken = 0;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (uint i = item; i < count; i += FACET_ITEMS) {
		uint k = key_of(list[i].s);

		/* Ids are unique among what one search may see; a board that lies stays in bounds. */
		if (k > key || (k == key && list[i].id <= id)) {
			uint at = atomic_inc(&taken);

			if (at < select)
				best[(ulong)q * capacity + at] = list[i];
		}
	}
}
