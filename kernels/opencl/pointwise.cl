#pragma OPENCL FP_CONTRACT OFF
/* SPDX-License-Identifier: Apache-2.0 */
/* Ops on single elements. Item i of add and dequantize: 16 of them; of the others: one. */

KERNEL void add(struct cl_add p, bytes_in a, ulong a_at, bytes_in b, ulong b_at,
		  __global char *y, ulong y_at, ulong count)
{
	ulong i = (ulong)get_global_id(0) * 16;
	int n = i < count ? (int)min(count - i, (ulong)16) : 0;
	float16 t;

	if (!n)
		return;
	t = convert_float16(convert_int16(load_some(a + a_at + i, n)) - p.z_a) * p.s_a;
	t = t + convert_float16(convert_int16(load_some(b + b_at + i, n)) - p.z_b) * p.s_b;
	store_some(to_bytes(t, p.z, p.lo, p.hi), y + y_at + i, n);
}

KERNEL void dequantize(bytes_in x, ulong x_at, __global float *y, ulong y_at, ulong count,
			 float scale, int z)
{
	ulong i = (ulong)get_global_id(0) * 16;
	int n = i < count ? (int)min(count - i, (ulong)16) : 0;
	float f[16];

	if (!n)
		return;
	float16 t = convert_float16(convert_int16(load_some(x + x_at + i, n)) - z) * scale;
	vstore16(t, 0, f);
	for (int k = 0; k < n; k++)
		y[y_at / 4 + i + k] = f[k];
}

/* Channels [0, c) of each pixel of x into channels [first, first + c) of y, of `all` channels. */
KERNEL void table(bytes_in x, ulong x_at, bytes_in tables, ulong tables_at, uint per_channel,
		    uint c, __global char *y, ulong y_at, uint first, uint all, ulong count)
{
	ulong i = get_global_id(0), pixel = i / c;
	uint channel = (uint)(i - pixel * c);

	if (i >= count)
		return;
	y[y_at + pixel * all + first + channel] =
		tables[tables_at + (per_channel ? channel * 256u : 0u) + (uint)(x[x_at + i] + 128)];
}

/* Item (r, i): bytes 16 * i .. of block r of `rows`; in y the blocks begin `pitch` bytes apart. */
KERNEL void blocks(bytes_in x, ulong x_at, __global char *y, ulong y_at, ulong rows, ulong bytes,
		   ulong pitch)
{
	ulong r = get_global_id(0), i = (ulong)get_global_id(1) * 16;

	if (r < rows)
		store_some(load_some(x + x_at + r * bytes + i, (int)min(bytes - i, (ulong)16)),
			   y + y_at + r * pitch + i, (int)min(bytes - i, (ulong)16));
}

/* stride: [rank], from: the input's first element, all in elements. */
KERNEL void strided(bytes_in x, ulong x_at, __global char *y, ulong y_at, uint element_bytes,
		      uint rank, uint8 extent, long8 stride, ulong count)
{
	ulong i = get_global_id(0), rest = i;
	uint extents[8];
	long strides[8], at = 0;

	if (i >= count)
		return;
	vstore8(extent, 0, extents);
	vstore8(stride, 0, strides);
	for (uint d = rank; d-- > 0; rest /= extents[d])
		at += (long)(rest % extents[d]) * strides[d];
	for (uint b = 0; b < element_bytes; b++)
		y[y_at + i * element_bytes + b] = x[(long)x_at + at * element_bytes + b];
}
