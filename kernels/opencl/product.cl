#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and GEMM. Weights lie in lines of 64 bytes, [16 channels][4 inputs], so one line takes
 * four inputs of a pixel to 16 accumulators; an item does PIXELS pixels with each line.
 *
 * Built twice: plainly, and with FACET_TILE for processors with AVX-512 VNNI. That instruction
 * multiplies unsigned by signed bytes: inputs are raised by 128, which the bias takes back.
 */
#define PIXELS 4

#ifdef FACET_TILE
#define TARGET	    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define ACCUMULATOR int16
#define CLEAR(a)    a = (int16)(0)
#define WEIGHTS(w)  line_t weights = *(__global const line_t *)(w)
#define STEP(a, x)                                                                                 \
	do {                                                                                       \
		line_t raised = (line_t)((x) ^ (int)0x80808080);                                   \
		__asm__("vpdpbusd %2, %1, %0" : "+v"(a) : "v"(raised), "v"(weights));              \
	} while (0)
#define SUM(a) a
#else
/* Products of even and odd inputs are summed in pairs: the shape that vpmaddwd has. */
struct pairs {
	int8 a, b, c, d;
};
#define TARGET
#define ACCUMULATOR struct pairs
#define CLEAR(p)    p.a = p.b = p.c = p.d = (int8)(0)
#define WEIGHTS(w)                                                                                 \
	short16 wa = convert_short16(vload16(0, w)), wb = convert_short16(vload16(1, w)),          \
		wc = convert_short16(vload16(2, w)), wd = convert_short16(vload16(3, w))
#define PAIR(w, x)                                                                                 \
	(convert_int8(w.even) * convert_int8(x.even) + convert_int8(w.odd) * convert_int8(x.odd))
#define STEP(p, dword)                                                                             \
	do {                                                                                       \
		short4 four = convert_short4(as_char4(dword));                                     \
		short16 x = (short16)(four, four, four, four);                                     \
		p.a += PAIR(wa, x);                                                                \
		p.b += PAIR(wb, x);                                                                \
		p.c += PAIR(wc, x);                                                                \
		p.d += PAIR(wd, x);                                                                \
	} while (0)
#define SUM(p) ((int16)(p.a.even + p.a.odd, p.b.even + p.b.odd, p.c.even + p.c.odd, p.d.even + p.d.odd))
#endif

int four_bytes(bytes_in x)
{
	return as_int(vload4(0, x));
}

/* The last one to three inputs of a pixel; their weights are padded with zeros. */
int some_bytes(bytes_in x, int n)
{
	return (int)((uint)(uchar)x[0] | (n > 1 ? (uint)(uchar)x[1] << 8 : 0u) |
		     (n > 2 ? (uint)(uchar)x[2] << 16 : 0u));
}

/* Where the input of output pixel m begins: its image and the first tap's place. */
struct place {
	ulong image;
	int y, x;
};

struct place place_of(struct cl_product p, int m)
{
	struct place at;
	int row = m / p.ow;

	at.x = (m - row * p.ow) * p.stride_w - p.pad_left;
	at.y = row % p.oh * p.stride_h - p.pad_top;
	at.image = (ulong)(row / p.oh) * p.h * p.w * p.c;
	return at;
}

bytes_in tap_of(struct cl_product p, bytes_in x, bytes_in padding, struct place at, int ky, int kx)
{
	int ty = at.y + ky * p.dilation_h, tx = at.x + kx * p.dilation_w;

	if (ty < 0 || ty >= p.h || tx < 0 || tx >= p.w)
		return padding;
	return x + at.image + ((ulong)ty * p.w + tx) * p.c;
}

/* Item (b, t): pixels b * PIXELS .. of the 16 channels of tile t. */
TARGET KERNEL void PRODUCT(struct cl_product p, bytes_in x, ulong x_at, bytes_in packed,
			     __global const int *bias, __global const float *scales,
			     bytes_in residual, ulong residual_at, __global char *y, ulong y_at,
			     __global uint *checksum, ulong checksum_at FLIP_ARGUMENTS)
{
	int t = (int)get_global_id(1), group = t / p.tiles, tile = t - group * p.tiles;
	int first = (int)get_global_id(0) * PIXELS, last = p.pixels - 1;
	int full = p.group_in / 4, rest = p.group_in % 4;
	int channel = group * p.group_out + tile * 16;
	int n = min(16, p.group_out - tile * 16);
	bytes_in w = packed + (ulong)t * p.kh * p.kw * ((p.group_in + 3) / 4) * 64;
	bytes_in in = x + x_at + group * p.group_in, padding = packed + p.pad_at;
	struct place at0 = place_of(p, first), at1 = place_of(p, min(first + 1, last)),
		     at2 = place_of(p, min(first + 2, last)), at3 = place_of(p, min(first + 3, last));
	ACCUMULATOR a0, a1, a2, a3;

	if (first > last)
		return;
	CLEAR(a0);
	CLEAR(a1);
	CLEAR(a2);
	CLEAR(a3);
	for (int ky = 0; ky < p.kh; ky++) {
		for (int kx = 0; kx < p.kw; kx++) {
			bytes_in x0 = tap_of(p, in, padding, at0, ky, kx),
				 x1 = tap_of(p, in, padding, at1, ky, kx),
				 x2 = tap_of(p, in, padding, at2, ky, kx),
				 x3 = tap_of(p, in, padding, at3, ky, kx);

			for (int i = 0; i < full; i++, w += 64) {
				WEIGHTS(w);
				STEP(a0, four_bytes(x0 + i * 4));
				STEP(a1, four_bytes(x1 + i * 4));
				STEP(a2, four_bytes(x2 + i * 4));
				STEP(a3, four_bytes(x3 + i * 4));
			}
			if (rest) {
				WEIGHTS(w);
				STEP(a0, some_bytes(x0 + full * 4, rest));
				STEP(a1, some_bytes(x1 + full * 4, rest));
				STEP(a2, some_bytes(x2 + full * 4, rest));
				STEP(a3, some_bytes(x3 + full * 4, rest));
				w += 64;
			}
		}
	}
#define FINISH(i, a)                                                                               \
	if (first + i <= last) {                                                                   \
		int16 acc = SUM(a) + vload16(t, bias);                                             \
		FLIP(acc, first + i, channel);                                                     \
		finish(p.q, acc, n, scales + t * 32, residual + residual_at, y + y_at,             \
		       (ulong)(first + i) * p.oc + channel,                                        \
		       checksum + checksum_at / 4 + (p.q.checksum ? first + i : 0));               \
	}
	FINISH(0, a0)
	FINISH(1, a1)
	FINISH(2, a2)
	FINISH(3, a3)
}
