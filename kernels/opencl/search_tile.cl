#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for processors with AVX-512 VNNI: an item takes a tile; a line of 16 rows is one
 * register, the accumulators of a block of queries are the others. OpenCL compilers on processors
 * have no builtin for the instruction that they can be trusted with, hence the assembly.
 */
#define DP(k) __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(a##k) : "v"(line), "m"(y[k]))

#define EACH1(M)  M(0)
#define EACH4(M)  EACH1(M) M(1) M(2) M(3)
#define EACH12(M) EACH4(M) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11)
#define EACH16(M) EACH12(M) M(12) M(13) M(14) M(15)
#define EACH24(M) EACH16(M) M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23)

#define TILE_CLEAR(k) line_t a##k = (line_t)(0);
#define TILE_DOT(k)   DP(k);
#define TILE_OFFER(k) offer16(p, q + k, tile, (int16)(a##k), SIDE);

#define TILE_GROUPS(EACH, lines, from, count)                                                      \
	do {                                                                                       \
		__global const line_t *at = lines;                                                 \
		__global const int *y = x + (ulong)(from) * p.queries + q;                         \
		for (uint g = 0; g < count; g++, at++, y += p.queries) {                           \
			line_t line = *at;                                                         \
			EACH(TILE_DOT)                                                             \
		}                                                                                  \
	} while (0)

#define SEARCH_TILE(Q)                                                                             \
	__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) KERNEL void                \
	search_tile##Q(struct cl_search p, __global const line_t *head,                            \
		       __global const line_t *tail, __global const int *x, SIDE_ARGUMENTS)         \
	{                                                                                          \
		uint tile = p.first + (uint)get_global_id(0);                                      \
		if (tile >= p.first + p.tiles)                                                     \
			return;                                                                    \
		for (uint q = 0; q < p.queries; q += Q) {                                          \
			EACH##Q(TILE_CLEAR)                                                        \
			TILE_GROUPS(EACH##Q, head + (ulong)tile * p.head4, 0, p.head4);            \
			TILE_GROUPS(EACH##Q, tail + (ulong)tile * p.tail4, p.head4, p.tail4);      \
			EACH##Q(TILE_OFFER)                                                        \
		}                                                                                  \
	}

SEARCH_TILE(1)
SEARCH_TILE(4)
SEARCH_TILE(12)
SEARCH_TILE(16)
SEARCH_TILE(24)
