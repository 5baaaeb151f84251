/* SPDX-License-Identifier: Apache-2.0 */
/* Calls as jobs of a card's units. */
#include "daemon/device/card_internal.h"

#include <errno.h>
#include <string.h>

#define BLOCK_MAX (SHELL_OPERANDS_MAX * sizeof(struct shell_operand) + SHELL_CALL_ARGS)

struct block {
	_Alignas(8) uint8_t bytes[BLOCK_MAX];
};

/* ---- writing a job down ---- */

static struct shell_operand operand_of(const struct shell_extent *extent, bool out)
{
	const struct card_memory *m = (const struct card_memory *)extent->memory;
	struct shell_operand operand = {0};

	if (!m)
		return operand;
	operand.access = out ? SHELL_ACCESS_WRITE : SHELL_ACCESS_READ;
	operand.length = extent->length;
	if (m->base.place == SHELL_PLACE_HOST) {
		operand.space = SHELL_SPACE_HOST;
		operand.address = m->dma.address + extent->offset;
	} else {
		operand.space = SHELL_SPACE_BANK;
		operand.bank = (uint16_t)m->bank;
		operand.address = m->piece.begin + extent->offset;
	}
	return operand;
}

static int block_fill(const struct card *card, const struct shell_call *call, struct block *block,
		      struct shell_entry *entry)
{
	struct shell_operand *operand = (void *)block->bytes;
	size_t bytes = call->operands * sizeof(*operand);

	for (uint32_t i = 0; i < call->operands; i++) {
		const struct shell_extent *extent = &call->operand[i];

		if (extent->memory && (extent->length > extent->memory->bytes ||
				       extent->offset > extent->memory->bytes - extent->length))
			return -EINVAL;
		if (extent->memory &&
		    card_memory_lost(card, (const struct card_memory *)extent->memory))
			return -ESTALE;
		operand[i] = operand_of(extent, shell_op_writes(call->op) >> i & 1);
	}
	memcpy(block->bytes + bytes, call->args, call->args_bytes);
	*entry = (struct shell_entry){
		.op = (uint16_t)call->op,
		.flags = SHELL_ENTRY_INTERRUPT,
		.job_bytes = (uint32_t)(bytes + call->args_bytes),
		.tag = call->tag,
		.operands = (uint16_t)call->operands,
	};
	return entry->job_bytes <= 1u << card->info.job_log2 ? 0 : -EOPNOTSUPP;
}

/* ---- how it ended ---- */

static const int status_errors[SHELL_STATUSES] = {
	[SHELL_BAD_ENTRY] = -EIO,	   [SHELL_BAD_OP] = -EOPNOTSUPP,
	[SHELL_BAD_ARGS] = -EINVAL,	   [SHELL_BAD_WEIGHTS] = -EOVERFLOW,
	[SHELL_BAD_OPERAND] = -EINVAL,	   [SHELL_BAD_SG] = -EIO,
	[SHELL_BUS_READ] = -EIO,	   [SHELL_BUS_WRITE] = -EIO,
	[SHELL_BANK_RANGE] = -EIO,	   [SHELL_BANK_ECC] = -EIO,
	[SHELL_UNSUPPORTED] = -EOPNOTSUPP, [SHELL_THERMAL] = -EIO,
	[SHELL_INTERNAL] = -EIO,
};

static void call_finish(struct card *card, const struct card_job *job, uint32_t wait_ms,
			struct shell_call *call)
{
	struct shell_completion c;

	call->error = card_wait(card, job, wait_ms, &c);
	if (call->error)
		return;
	call->status = c.status;
	call->value = c.value;
	call->device_ns = (uint64_t)((double)(c.end - c.begin) * 1e9 / (double)card->info.time_hz);
	call->error = c.status < SHELL_STATUSES ? status_errors[c.status] : -EIO;
}

static int call_post(struct card *card, const struct shell_call *call, struct card_job *job)
{
	struct shell_entry entry;
	struct block block = {0};
	int err = card->gone ? -ENODEV : block_fill(card, call, &block, &entry);

	if (!err)
		card_post(card, &entry, block.bytes, job);
	return err;
}

void card_call(struct card *card, uint32_t unit, struct shell_call *call, uint32_t wait_ms)
{
	struct card_job job = {.unit = unit};

	call->status = 0;
	call->value = call->device_ns = 0;
	pthread_mutex_lock(&card->lock);
	call->error = call_post(card, call, &job);
	if (!call->error)
		call_finish(card, &job, wait_ms, call);
	pthread_mutex_unlock(&card->lock);
}

/* ---- which unit ---- */

static uint64_t banks_of(const struct shell_call *call)
{
	uint64_t banks = 0;

	for (uint32_t i = 0; i < call->operands; i++) {
		const struct card_memory *m = (const struct card_memory *)call->operand[i].memory;

		if (m && m->base.place == SHELL_PLACE_BOARD)
			banks |= UINT64_C(1) << m->bank;
	}
	return banks;
}

/* The n-th, counted round, that has the op and reaches the banks; copies go to DMA units where there
 * is one. */
static int unit_choose(const struct card *card, const struct shell_call *call, uint32_t n)
{
	uint32_t fit[SHELL_UNITS_MAX], count = 0;
	uint64_t banks = banks_of(call);

	for (int dma = call->op == SHELL_OP_COPY; dma >= 0 && !count; dma--)
		for (uint32_t i = 0; i < card->info.units; i++) {
			const struct card_unit_info *unit = &card->info.unit[i];

			if (unit->ops >> call->op & 1 && !(banks & ~unit->banks) &&
			    (!dma || unit->kind == SHELL_UNIT_DMA))
				fit[count++] = i;
		}
	return count ? (int)fit[n % count] : -1;
}

/* A round of calls on units that differ; how many they were. */
static uint32_t run_round(struct card *card, struct shell_call *calls, uint32_t count)
{
	struct card_job job[SHELL_UNITS_MAX];
	uint64_t taken = 0;
	uint32_t n;

	for (n = 0; n < count && n < SHELL_UNITS_MAX; n++) {
		int unit = unit_choose(card, &calls[n], n);

		if (unit >= 0 && taken >> unit & 1)
			break;
		calls[n].status = 0;
		calls[n].value = calls[n].device_ns = 0;
		job[n] = (struct card_job){.unit = unit < 0 ? 0 : (uint32_t)unit};
		calls[n].error = unit < 0 ? -EOPNOTSUPP : call_post(card, &calls[n], &job[n]);
		if (!calls[n].error)
			taken |= UINT64_C(1) << unit;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!calls[i].error)
			call_finish(card, &job[i], 0, &calls[i]);
	return n;
}

void card_run_locked(struct shell_port *port, struct shell_call *calls, uint32_t count)
{
	while (count) {
		uint32_t n = run_round(card_of(port), calls, count);

		calls += n;
		count -= n;
	}
}

void card_run(struct shell_port *port, struct shell_call *calls, uint32_t count)
{
	struct card *card = card_of(port);

	pthread_mutex_lock(&card->lock);
	card_run_locked(port, calls, count);
	pthread_mutex_unlock(&card->lock);
}
