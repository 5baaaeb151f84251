/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that move bytes and look at none. */
#include "daemon/device/cpu.h"

#include <string.h>

static uint8_t *at(const struct device_span *span)
{
	return span->buffer->base.data + span->offset;
}

int cpu_run_copy(struct cpu *cpu, const struct device_command *command)
{
	(void)cpu;
	memcpy(at(&command->out), at(&command->in[0]), command->out.bytes);
	return 0;
}

int cpu_run_upload(struct cpu *cpu, const struct device_command *command)
{
	(void)cpu;
	memcpy(at(&command->out), command->host, command->out.bytes);
	return 0;
}

int cpu_run_download(struct cpu *cpu, const struct device_command *command)
{
	(void)cpu;
	memcpy(command->host, at(&command->in[0]), command->in[0].bytes);
	return 0;
}

int cpu_run_echo(struct cpu *cpu, const struct device_command *command)
{
	return command->out.buffer ? cpu_run_copy(cpu, command) : 0;
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

	(void)cpu;
	gather(p, at(&command->in[0]), command->out.bytes / p->element_bytes, at(&command->out));
	return 0;
}

int cpu_run_join(struct cpu *cpu, const struct device_command *command)
{
	const struct device_join *p = &command->join;
	uint64_t row = command->out.bytes / p->outer;
	uint8_t *out = at(&command->out);

	(void)cpu;
	for (uint32_t i = 0; i < p->inputs; i++) {
		const uint8_t *in = at(&command->in[i]);
		uint64_t block = p->inner[i] * p->element_bytes;

		for (uint64_t o = 0; o < p->outer; o++)
			memcpy(out + o * row, in + o * block, block);
		out += block;
	}
	return 0;
}
