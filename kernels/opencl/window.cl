#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that slide a window over each channel alone. Item (m, b): 16 channels of output pixel m. */

/* packed: [taps][channels padded to 16], then a pixel of padding. */
KERNEL void conv2d_depthwise(struct cl_product p, bytes_in x, ulong x_at, bytes_in packed,
			       __global const int *bias, __global const float *scales,
			       bytes_in residual, ulong residual_at, __global char *y, ulong y_at,
			       __global uint *checksum, ulong checksum_at FLIP_ARGUMENTS)
{
	int m = (int)get_global_id(0), b = (int)get_global_id(1), channel = b * 16;
	int n = min(16, p.c - channel), row = m / p.ow, line = p.tiles * 16;
	int x0 = (m - row * p.ow) * p.stride_w - p.pad_left;
	int y0 = row % p.oh * p.stride_h - p.pad_top;
	bytes_in image = x + x_at + (ulong)(row / p.oh) * p.h * p.w * p.c + channel;
	short16 padding = convert_short16(vload16(0, packed + p.pad_at));
	int16 acc;

	if (m >= p.pixels)
		return;
	acc = vload16(b, bias);
	for (int ky = 0; ky < p.kh; ky++) {
		for (int kx = 0; kx < p.kw; kx++) {
			int ty = y0 + ky * p.dilation_h, tx = x0 + kx * p.dilation_w;
			short16 w = convert_short16(
				vload16(0, packed + (ulong)(ky * p.kw + kx) * line + channel));
			short16 v = padding;

			if (ty >= 0 && ty < p.h && tx >= 0 && tx < p.w)
				v = convert_short16(
					load_some(image + ((ulong)ty * p.w + tx) * p.c, n));
			acc += convert_int16(v * w);
		}
	}
	FLIP(acc, m, channel);
	finish(p.q, acc, n, scales + b * 32, residual + residual_at, y + y_at,
	       (ulong)m * p.c + channel, checksum + checksum_at / 4 + (p.q.checksum ? m : 0));
}

/* scale: by divisor, or by the number of taps inside. */
KERNEL void pool2d(struct cl_pool p, bytes_in x, ulong x_at, __global char *y, ulong y_at,
		     __global const float *scale)
{
	int m = (int)get_global_id(0), channel = (int)get_global_id(1) * 16;
	int n = min(16, p.c - channel), row = m / p.ow;
	int x0 = (m - row * p.ow) * p.stride_w - p.pad_left;
	int y0 = row % p.oh * p.stride_h - p.pad_top;
	int x1 = min(x0 + p.kw, p.w), y1 = min(y0 + p.kh, p.h);
	bytes_in image = x + x_at + (ulong)(row / p.oh) * p.h * p.w * p.c + channel;
	char16 best = (char16)(-128);
	int16 acc = (int16)(0);

	if (m >= p.pixels)
		return;
	x0 = max(x0, 0);
	y0 = max(y0, 0);
	for (int iy = y0; iy < y1; iy++) {
		for (int ix = x0; ix < x1; ix++) {
			char16 v = load_some(image + ((ulong)iy * p.w + ix) * p.c, n);

			best = max(best, v);
			acc += convert_int16(v) - p.z_x;
		}
	}
	if (p.average)
		best = to_bytes(convert_float16(acc) *
					scale[p.divisor ? 0 : (y1 - y0) * (x1 - x0)],
				p.z, p.lo, p.hi);
	store_some(best, y + y_at + (ulong)m * p.c + channel, n);
}
