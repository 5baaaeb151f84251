#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the search kernels share: the score of 16 rows, and what becomes of a row that reaches the
 * limit. A kernel appends it to its query's list and counts it in found[]; past the capacity it only
 * counts, and the host repeats with fewer tiles.
 */
#define SIDE_ARGUMENTS                                                                             \
	__global const float *scale, __global const float *bias, __global const ulong *id,         \
		__global const ulong *tags, __global const uint *born, __global const uint *died,  \
		__global const uint *subject, __global const struct cl_query *queries,             \
		volatile __global uint *found, __global struct cl_hit *hits
#define SIDE scale, bias, id, tags, born, died, subject, queries, found, hits

float16 score16(int metric, float16 dot, float16 scales, float16 biases, float q_mul)
{
	if (metric == 1)
		return dot;
	dot = dot * scales;
	return metric == 0 ? dot : dot * q_mul - biases;
}

/* Row `row` of the segment reached the limit of query q with s. */
void offer(uint capacity, uint q, uint row, float s, SIDE_ARGUMENTS)
{
	__global const struct cl_query *query = &queries[q];
	uint at;

	if (row >= query->rows || born[row] > query->epoch || query->epoch >= died[row] ||
	    (tags[row] & query->tag_mask) != query->tag_value)
		return;
	at = atomic_inc(&found[q]);
	if (at < capacity)
		hits[(ulong)q * capacity + at] = (struct cl_hit){s, row, subject[row], 0, id[row]};
}

/* The dot products of a tile's 16 rows with query q, rows' bytes still raised. */
void offer16(struct cl_search p, uint q, uint tile, int16 dot, SIDE_ARGUMENTS)
{
	float16 f = convert_float16(dot - queries[q].raised), scales = (float16)(1.0f),
		biases = (float16)(0.0f);
	float s[16];

	if (p.metric != 1)
		scales = vload16(tile, scale);
	if (p.metric == 2)
		biases = vload16(tile, bias);
	f = score16(p.metric, f, scales, biases, queries[q].q_mul);
	if (!any(f >= queries[q].limit))
		return;
	vstore16(f, 0, s);
	for (uint r = 0; r < 16; r++)
		if (s[r] >= queries[q].limit)
			offer(p.capacity, q, tile * 16 + r, s[r], SIDE);
}
