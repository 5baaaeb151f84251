#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for devices of many lanes: an item is a row, the 16 of a tile read one line together.
 * With FACET_DOT by the packed dot product of cl_khr_integer_dot_product.
 */
#ifdef FACET_DOT
#define DOT4(row, x) dot_4x8packed_us_int((uint)(row), (uint)(x))
#else
int DOT4(uint row, int x)
{
	char4 y = as_char4(x);

	return (int)(row & 255u) * y.x + (int)(row >> 8 & 255u) * y.y +
	       (int)(row >> 16 & 255u) * y.z + (int)(row >> 24) * y.w;
}
#endif

typedef __global const uint *lanes_in;

#define LANE_GROUPS(lines, from, count)                                                            \
	do {                                                                                       \
		lanes_in line = lines;                                                             \
		__global const int *y = x + (ulong)(from) * p.queries + q;                         \
		for (uint g = 0; g < count; g++, line += 16, y += p.queries) {                     \
			uint four = *line;                                                         \
			a += DOT4(four, y[0]);                                                     \
			b += DOT4(four, y[1]);                                                     \
			c += DOT4(four, y[2]);                                                     \
			d += DOT4(four, y[3]);                                                     \
		}                                                                                  \
	} while (0)

void offer1(struct cl_search p, uint q, uint row, int dot, SIDE_ARGUMENTS)
{
	float s = (float)(dot - queries[q].raised);

	if (p.metric != 1)
		s = s * scale[row];
	if (p.metric == 2)
		s = s * queries[q].q_mul - bias[row];
	if (s >= queries[q].limit)
		offer(p.capacity, q, row, s, SIDE);
}

KERNEL void LANE(struct cl_search p, lanes_in head, lanes_in tail, __global const int *x,
		   SIDE_ARGUMENTS)
{
	uint item = (uint)get_global_id(0), lane = item % 16, row = p.first * 16 + item;
	ulong tile = row / 16;

	if (item >= p.tiles * 16)
		return;
	for (uint q = 0; q < p.queries; q += 4) {
		int a = 0, b = 0, c = 0, d = 0;

		LANE_GROUPS(head + tile * p.head4 * 16 + lane, 0, p.head4);
		LANE_GROUPS(tail + tile * p.tail4 * 16 + lane, p.head4, p.tail4);
		offer1(p, q, row, a, SIDE);
		offer1(p, q + 1, row, b, SIDE);
		offer1(p, q + 2, row, c, SIDE);
		offer1(p, q + 3, row, d, SIDE);
	}
}
