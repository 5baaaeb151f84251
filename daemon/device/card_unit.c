/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's sequences: start, stop, reset, one job of a unit (docs/shell.md). */
#include "daemon/device/card_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RING_LOG2_MAX 4u
#define SPIN_NS	      20000u
#define LOOK_MS	      20 /* between looks while no interrupt comes */
#define HARD_MS	      600000u

/* Limits by kind: silicon, an image under bring-up, a model. */
static const struct {
	uint32_t ready_ms, reset_ms, job_ms;
} patience[] = {{10000, 2000, 2000}, {60000, 20000, 60000}, {60000, 20000, 30000}};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned int kind_of(const struct card *card)
{
	return card->info.kind <= SHELL_KIND_MODEL ? card->info.kind : SHELL_KIND_BRINGUP;
}

static uint32_t unit_reg(const struct card *card, uint32_t unit, uint32_t reg)
{
	return card->info.unit_at + unit * card->info.unit_stride + reg;
}

static uint32_t ring_log2(const struct card_info *info)
{
	return info->ring_log2 < RING_LOG2_MAX ? info->ring_log2 : RING_LOG2_MAX;
}

/* ---- the arena: of each unit its ring, its completions, a job block an entry ---- */

static uint64_t unit_bytes(const struct card_info *info)
{
	return (uint64_t)(2 * 64 + (1u << info->job_log2)) << ring_log2(info);
}

uint64_t card_arena_bytes(const struct card_info *info)
{
	return info->units * unit_bytes(info);
}

static void unit_lay(struct card *card, uint32_t index)
{
	struct card_unit *unit = &card->unit[index];
	uint64_t ring = (uint64_t)64 << ring_log2(&card->info);
	uint64_t at = index * unit_bytes(&card->info);
	uint8_t *map = (uint8_t *)card->arena.map + at;

	unit->ring = (void *)map;
	unit->done = (void *)(map + ring);
	unit->job = map + 2 * ring;
	unit->ring_at = card->arena.address + at;
	unit->done_at = unit->ring_at + ring;
	unit->job_at = unit->done_at + ring;
	memset(map, 0, 2 * ring);
}

/* ---- start, stop, reset ---- */

static int poll_bits(const struct card *card, uint32_t reg, uint32_t mask, uint32_t want,
		     uint32_t limit_ms)
{
	uint64_t until = now_ns() + (uint64_t)limit_ms * 1000000;
	struct timespec pause = {0, 100000};

	for (;;) {
		uint32_t value = card_get(card, reg);

		if (value == SHELL_GONE)
			return -ENODEV;
		if ((value & mask) == want)
			return 0;
		if (now_ns() > until)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

static void set64(const struct card *card, uint32_t reg, uint64_t value)
{
	card_set(card, reg, (uint32_t)value);
	card_set(card, reg + 4, (uint32_t)(value >> 32));
}

static void unit_start(struct card *card, uint32_t index)
{
	struct card_unit *unit = &card->unit[index];

	unit_lay(card, index);
	unit->tail = 0;
	unit->vector = (1 + index) % card->info.vectors;
	set64(card, unit_reg(card, index, SHELL_U_RING_LO), unit->ring_at);
	set64(card, unit_reg(card, index, SHELL_U_DONE_LO), unit->done_at);
	card_set(card, unit_reg(card, index, SHELL_U_RING_LOG2), ring_log2(&card->info));
	card_set(card, unit_reg(card, index, SHELL_U_VECTOR), unit->vector);
	card_set(card, unit_reg(card, index, SHELL_U_MODERATION), 0);
	card_set(card, unit_reg(card, index, SHELL_U_CONTROL), SHELL_CONTROL_ENABLE);
	unit->ready = true;
}

int card_start(struct card *card)
{
	unsigned int kind = kind_of(card);
	int err = poll_bits(card, SHELL_R_STATUS, SHELL_STATUS_READY, SHELL_STATUS_READY,
			    patience[kind].ready_ms);

	if (err)
		return err;
	card->generation++;
	card_set(card, SHELL_R_CONTROL, SHELL_CONTROL_RESET);
	err = poll_bits(card, SHELL_R_CONTROL, SHELL_CONTROL_RESET, 0, patience[kind].reset_ms);
	if (!err)
		err = poll_bits(card, SHELL_R_STATUS, SHELL_STATUS_READY, SHELL_STATUS_READY,
				patience[kind].ready_ms);
	if (err) {
		card->gone = err == -ENODEV;
		return err;
	}
	card_set(card, SHELL_R_FEATURES, card->info.caps);
	card_set(card, SHELL_R_INT_CAUSE, SHELL_INT_KNOWN);
	for (uint32_t i = 0; i < card->info.units; i++)
		unit_start(card, i);
	card_set(card, SHELL_R_CONTROL, SHELL_CONTROL_ENABLE);
	return 0;
}

void card_stop(struct card *card)
{
	if (card->gone || card_get(card, SHELL_R_MAGIC) != SHELL_MAGIC)
		return;
	card_set(card, SHELL_R_CONTROL, SHELL_CONTROL_ENABLE | SHELL_CONTROL_QUIESCE);
	if (poll_bits(card, SHELL_R_STATUS, SHELL_STATUS_QUIET, SHELL_STATUS_QUIET,
		      patience[kind_of(card)].reset_ms))
		card_set(card, SHELL_R_CONTROL, SHELL_CONTROL_RESET);
	else
		card_set(card, SHELL_R_CONTROL, 0);
	poll_bits(card, SHELL_R_CONTROL, SHELL_CONTROL_RESET, 0, patience[kind_of(card)].reset_ms);
}

/* The unit alone where that can be done, else all. */
static void recover(struct card *card, uint32_t unit)
{
	uint32_t control = unit_reg(card, unit, SHELL_U_CONTROL);

	if (card->info.caps & SHELL_CAP_UNIT_RESET) {
		card->unit_resets++;
		card_set(card, control, SHELL_CONTROL_RESET);
		if (!poll_bits(card, control, SHELL_CONTROL_RESET, 0,
			       patience[kind_of(card)].reset_ms)) {
			unit_start(card, unit);
			return;
		}
	}
	card->resets++;
	card_start(card);
}

/* ---- a job ---- */

void card_post(struct card *card, const struct shell_entry *entry, const void *block,
	       struct card_job *job)
{
	struct card_unit *unit = &card->unit[job->unit];
	uint32_t index = unit->tail & ((1u << ring_log2(&card->info)) - 1);
	uint64_t offset = (uint64_t)index << card->info.job_log2;

	job->sequence = ++card->sequence;
	job->generation = card->generation;
	memcpy(unit->job + offset, block, entry->job_bytes);
	unit->ring[index] = *entry;
	unit->ring[index].sequence = job->sequence;
	unit->ring[index].job = unit->job_at + offset;
	unit->tail++;
	__sync_synchronize(); /* all of it before the doorbell */
	card_set(card, unit_reg(card, job->unit, SHELL_U_TAIL), unit->tail);
}

static void count_irqs(struct card *card, uint32_t index)
{
	struct card_unit *unit = &card->unit[index];
	int fd = card->bus->ops->irq_fd(card->bus, unit->vector);
	uint64_t count;

	if (fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count))
		unit->irqs += count;
}

uint64_t card_irqs(struct card *card, uint32_t unit)
{
	uint64_t irqs;

	pthread_mutex_lock(&card->lock);
	count_irqs(card, unit);
	irqs = card->unit[unit].irqs;
	pthread_mutex_unlock(&card->lock);
	return irqs;
}

/* Until an interrupt comes, or for a moment: a lost one costs time, not the job. */
static void pause_for_irq(struct card *card, uint32_t index, uint64_t begun)
{
	struct pollfd fd = {.fd = card->bus->ops->irq_fd(card->bus, card->unit[index].vector),
			    .events = POLLIN};

	if (now_ns() - begun < SPIN_NS)
		return;
	poll(&fd, fd.fd >= 0, fd.fd >= 0 ? LOOK_MS : 1);
	count_irqs(card, index);
}

struct look {
	uint32_t progress;
	uint64_t moved_ns; /* when progress was last seen */
	uint64_t next_ns;
};

/* 0 while all is well. */
static int look_at_unit(struct card *card, uint32_t unit, struct look *look, uint64_t limit_ns)
{
	uint64_t now = now_ns();
	uint32_t status, progress;

	if (now < look->next_ns)
		return 0;
	look->next_ns = now + (uint64_t)LOOK_MS * 1000000;
	status = card_get(card, unit_reg(card, unit, SHELL_U_STATUS));
	if (status == SHELL_GONE)
		return -ENODEV;
	if (status & SHELL_USTATUS_STOPPED)
		return -EIO;
	progress = card_get(card, unit_reg(card, unit, SHELL_U_PROGRESS));
	if (card->info.caps & SHELL_CAP_PROGRESS && progress != look->progress) {
		look->progress = progress;
		look->moved_ns = now;
	}
	return now - look->moved_ns > limit_ns ? -ETIMEDOUT : 0;
}

int card_wait(struct card *card, const struct card_job *job, uint32_t wait_ms,
	      struct shell_completion *completion)
{
	struct card_unit *unit = &card->unit[job->unit];
	uint32_t index = (unit->tail - 1) & ((1u << ring_log2(&card->info)) - 1);
	const shell_le64 *sequence = &unit->done[index].sequence;
	uint64_t limit = (wait_ms ? wait_ms : patience[kind_of(card)].job_ms) * UINT64_C(1000000);
	uint64_t begun = now_ns();
	struct look look = {.moved_ns = begun, .next_ns = begun + SPIN_NS};
	int err = 0;

	while (!err) {
		uint64_t found = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);

		if (job->generation != card->generation)
			return -ECANCELED;
		if (found == job->sequence) {
			*completion = unit->done[index];
			return 0;
		}
		if (found > job->sequence || now_ns() - begun > HARD_MS * UINT64_C(1000000))
			err = found > job->sequence ? -EIO : -ETIMEDOUT;
		else
			err = look_at_unit(card, job->unit, &look, limit);
		if (!err)
			pause_for_irq(card, job->unit, begun);
	}
	card->gone |= err == -ENODEV;
	if (!card->gone)
		recover(card, job->unit);
	return err;
}
