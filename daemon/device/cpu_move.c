/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that move bytes and look at none. */
#include "daemon/device/cpu.h"

#include <errno.h>
#include <string.h>

int cpu_run_copy(struct cpu *cpu, const struct device_command *command)
{
	uint64_t bytes = command->out.bytes;
	uint8_t *in, *out;

	if (bytes == 0 || cpu_span(&cpu->base, &command->in[0], bytes, 1, &in) ||
	    cpu_span(&cpu->base, &command->out, bytes, 1, &out) ||
	    cpu_overlap(in, bytes, out, bytes))
		return -EINVAL;
	memcpy(out, in, bytes);
	return 0;
}

int cpu_run_upload(struct cpu *cpu, const struct device_command *command)
{
	uint64_t bytes = command->out.bytes;
	uint8_t *out;

	if (bytes == 0 || !command->host || cpu_span(&cpu->base, &command->out, bytes, 1, &out))
		return -EINVAL;
	memcpy(out, command->host, bytes);
	return 0;
}

int cpu_run_download(struct cpu *cpu, const struct device_command *command)
{
	uint64_t bytes = command->in[0].bytes;
	uint8_t *in;

	if (bytes == 0 || !command->host || cpu_span(&cpu->base, &command->in[0], bytes, 1, &in))
		return -EINVAL;
	memcpy(command->host, in, bytes);
	return 0;
}

int cpu_run_echo(struct cpu *cpu, const struct device_command *command)
{
	if (!command->in[0].buffer && !command->out.buffer)
		return 0;
	return cpu_run_copy(cpu, command);
}

/* ---- strided ---- */

static void gather_row(const uint8_t *in, int64_t at, int64_t stride, uint32_t n,
		       uint32_t element_bytes, uint8_t *out)
{
	if (stride == 1) {
		memcpy(out, in + at * element_bytes, (size_t)n * element_bytes);
	} else if (element_bytes == 1) {
		for (uint32_t i = 0; i < n; i++, at += stride)
			out[i] = in[at];
	} else {
		for (uint32_t i = 0; i < n; i++, at += stride)
			memcpy(out + i * 4, in + at * 4, 4);
	}
}

static void gather(const struct device_strided *p, const uint8_t *in, uint64_t elements,
		   uint8_t *out)
{
	uint32_t index[6] = {0}, last = p->rank - 1, cols = p->extent[last];
	int64_t at = (int64_t)p->offset;

	for (uint64_t done = 0; done < elements; done += cols, out += cols * p->element_bytes) {
		gather_row(in, at, p->stride[last], cols, p->element_bytes, out);
		/* The next row: count up like a clock, the last but one index fastest. */
		for (uint32_t d = last; d-- > 0;) {
			at += p->stride[d];
			if (++index[d] < p->extent[d])
				break;
			at -= p->stride[d] * (int64_t)p->extent[d];
			index[d] = 0;
		}
	}
}

int cpu_run_strided(struct cpu *cpu, const struct device_command *command)
{
	const struct device_strided *p = &command->strided;
	uint64_t in_bytes = command->in[0].bytes, n;
	uint8_t *in, *out;

	if (!p->element_bytes || in_bytes % p->element_bytes)
		return -EINVAL;
	n = device_strided_elements(p, in_bytes / p->element_bytes);
	if (!n || cpu_span(&cpu->base, &command->in[0], in_bytes, p->element_bytes, &in) ||
	    cpu_span(&cpu->base, &command->out, n * p->element_bytes, p->element_bytes, &out) ||
	    cpu_overlap(in, in_bytes, out, n * p->element_bytes))
		return -EINVAL;
	gather(p, in, n, out);
	return 0;
}

/* ---- join ---- */

int cpu_run_join(struct cpu *cpu, const struct device_command *command)
{
	const struct device_join *p = &command->join;
	uint64_t elements = device_join_elements(p), row, block;
	uint8_t *in[DEVICE_INPUTS_MAX], *out;

	if (!elements)
		return -EINVAL;
	row = elements / p->outer * p->element_bytes;
	if (cpu_span(&cpu->base, &command->out, p->outer * row, p->element_bytes, &out))
		return -EINVAL;
	for (uint32_t i = 0; i < p->inputs; i++) {
		block = p->inner[i] * p->element_bytes;
		if (cpu_span(&cpu->base, &command->in[i], p->outer * block, p->element_bytes,
			     &in[i]) ||
		    cpu_overlap(in[i], p->outer * block, out, p->outer * row))
			return -EINVAL;
	}
	for (uint32_t i = 0; i < p->inputs; i++) {
		block = p->inner[i] * p->element_bytes;
		for (uint64_t o = 0; o < p->outer; o++)
			memcpy(out + o * row, in[i] + o * block, block);
		out += block;
	}
	return 0;
}
