#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/* What all kernels share: the requantisation, and bytes at the end of a row. */

typedef __global const char *bytes_in;

#ifdef FACET_TILE
typedef int line_t __attribute__((ext_vector_type(16))); /* what assembly calls a register */
#endif

/* One size of group for all, so that a compiler specialises a kernel once; the last is not full. */
#define KERNEL __kernel __attribute__((reqd_work_group_size(FACET_ITEMS, 1, 1)))

/* To nearest, ties to even, for |t| <= 2^22: the addition leaves no bit below one. */
#define RNE(t) (((t) + 12582912.0f) - 12582912.0f)

/* 16 bytes, or the first few of them and zeros. */
char16 load_some(bytes_in x, int n)
{
	char v[16];

	if (n >= 16)
		return vload16(0, x);
	for (int i = 0; i < 16; i++)
		v[i] = i < n ? x[i] : (char)0;
	return vload16(0, v);
}

void store_some(char16 y, __global char *to, int n)
{
	char v[16];

	if (n >= 16) {
		vstore16(y, 0, to);
		return;
	}
	vstore16(y, 0, v);
	for (int i = 0; i < n; i++)
		to[i] = v[i];
}

/* Clamp, round, add the zero point. */
char16 to_bytes(float16 t, int z, int lo, int hi)
{
	float16 low = (float16)((float)(lo - z)), high = (float16)((float)(hi - z));

	t = t > low ? t : low;
	t = t < high ? t : high;
	return convert_char16(convert_int16(RNE(t)) + z);
}

/*
 * 16 accumulators of one pixel, of which n count, into y; scales: [s_pos of 16][s_neg of 16].
 * The checksum is of the accumulators as they came out of the products.
 */
void finish(struct cl_requant q, int16 acc, int n, __global const float *scales, bytes_in residual,
	    __global char *y, ulong at, __global uint *checksum)
{
	float16 t;
	int v[16];
	float f[16];

	vstore16(acc, 0, v);
	if (q.checksum) {
		uint sum = 0;

		for (int i = 0; i < n; i++)
			sum += (uint)v[i];
		atomic_add(checksum, sum);
	}
	if (q.out == 2) {
		__global int *to = (__global int *)y + at;

		for (int i = 0; i < n; i++)
			to[i] = v[i];
		return;
	}
	t = convert_float16(acc) * (acc < 0 ? vload16(1, scales) : vload16(0, scales));
	if (q.residual)
		t = t + convert_float16(convert_int16(load_some(residual + at, n)) - q.z_r) * q.s_r;
	if (q.out == 0) {
		store_some(to_bytes(t, q.z, q.lo, q.hi), y + at, n);
	} else {
		__global float *to = (__global float *)y + at;

		vstore16(t, 0, f);
		for (int i = 0; i < n; i++)
			to[i] = f[i];
	}
}

#ifdef FACET_FLIP
/* A fault for tests: one bit of one accumulator, between the products and all that follows. */
#define FLIP_ARGUMENTS , uint flip_pixel, uint flip_channel, uint flip_mask
#define FLIP(acc, pixel, channel)                                                                  \
	do {                                                                                       \
		int flip_v[16];                                                                    \
		if ((uint)(pixel) == flip_pixel && flip_channel - (uint)(channel) < 16u) {         \
			vstore16(acc, 0, flip_v);                                                  \
			flip_v[flip_channel - (uint)(channel)] ^= (int)flip_mask;                  \
			acc = vload16(0, flip_v);                                                  \
		}                                                                                  \
	} while (0)
#else
#define FLIP_ARGUMENTS
#define FLIP(acc, pixel, channel)
#endif
