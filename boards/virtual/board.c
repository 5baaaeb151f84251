/* SPDX-License-Identifier: Apache-2.0 */
/* The board as a whole: made and freed, its resets, and the thread that keeps its timers. */
#include "boards/virtual/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STORM_US 10u

uint64_t board_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t board_time(const struct board *board)
{
	return board_clock_ns() - board->time_zero;
}

/* ---- resets ------------------------------------------------------------------------------------ */

void board_reset(struct board *board)
{
	if (board->resetting)
		return;
	board->resetting = true;
	board->stuck = fault_hit(board, FAULT_STUCK_RESET, FAULT_ANY, NULL);
	for (uint32_t i = 0; i < board->config.units; i++)
		unit_reset(&board->unit[i]);
	pthread_cond_signal(&board->wake);
}

/* Config space and the registers' doings are as after power-on when it is over. */
void board_power_cycle(struct board *board)
{
	board->power_cycle = true;
	board_reset(board);
	board->stuck = false;
	pci_reset(board);
}

void board_bus_reset(struct board *board)
{
	pthread_mutex_lock(&board->lock);
	board_power_cycle(board);
	pthread_mutex_unlock(&board->lock);
}

static bool sensors_allow(struct board *board)
{
	for (uint32_t i = 0; i < board->config.sensors; i++)
		if (registers_past_limit(board, i))
			return false;
	return true;
}

/* Once every unit has let go; board.lock is held. */
static void end_reset(struct board *board)
{
	for (uint32_t i = 0; i < board->config.units; i++)
		if (board->unit[i].reset)
			return;
	if (board->power_cycle || !(board->config.caps & SHELL_CAP_MEMORY_KEPT))
		for (uint32_t i = 0; i < board->config.banks; i++)
			bank_forget(&board->bank[i], board->config.poison);
	registers_reset(board);
	++*board_reg(board, SHELL_R_RESETS);
	board->stopped = !sensors_allow(board);
	board->resetting = board->power_cycle = false;
}

/* ---- the service thread ------------------------------------------------------------------------- */

/* Interrupts of a storm that are due; when the next one is. */
static uint64_t storm(struct board *board, uint64_t now)
{
	struct fault *s = &board->storm;

	if (!s->armed)
		return UINT64_MAX;
	if (now >= board->storm_next) {
		irq_want(board, (uint32_t)s->vector);
		board->storm_next = now + (s->us ? s->us : STORM_US) * 1000;
		if (s->count && !--s->count)
			s->armed = false;
	}
	return s->armed ? board->storm_next : UINT64_MAX;
}

/* What is due, and when to look again. board.lock is held. */
static uint64_t serve(struct board *board)
{
	uint64_t now = board_clock_ns(), next = storm(board, now);

	if (board->resetting && !board->stuck)
		end_reset(board);
	for (uint32_t i = 0; i < board->config.units; i++) {
		uint64_t at = unit_timers(&board->unit[i], now);

		next = at < next ? at : next;
	}
	return next;
}

static void sleep_until(struct board *board, uint64_t next)
{
	const struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};

	if (next == UINT64_MAX)
		pthread_cond_wait(&board->wake, &board->lock);
	else
		pthread_cond_timedwait(&board->wake, &board->lock, &until);
}

static void *service_thread(void *argument)
{
	struct board *board = argument;

	pthread_mutex_lock(&board->lock);
	while (!board->quit) {
		uint64_t next = serve(board);

		if (board->irq.wanted) {
			pthread_mutex_unlock(&board->lock);
			irq_serve(board);
			pthread_mutex_lock(&board->lock);
		} else {
			sleep_until(board, next);
		}
	}
	pthread_mutex_unlock(&board->lock);
	return NULL;
}

/* ---- made and freed ------------------------------------------------------------------------------ */

static bool config_ok(const struct board_config *c)
{
	if (!c->units || c->units > SHELL_UNITS_MAX || c->banks > SHELL_BANKS_MAX ||
	    c->sensors > SHELL_SENSORS_MAX || !c->vectors || c->vectors > SHELL_VECTORS_MAX ||
	    c->ring_log2 < 1 || c->ring_log2 > 16 || c->sg_log2 < 4 || c->sg_log2 > 24 ||
	    c->align_log2 < 2 || c->align_log2 > 12)
		return false;
	for (uint32_t i = 0; i < c->units; i++)
		if (!c->unit[i].ops || c->unit[i].ops >> SHELL_OPS)
			return false;
	for (uint32_t i = 0; i < c->banks; i++)
		if (!c->bank[i].bytes || c->bank[i].bytes % 4096 ||
		    c->bank[i].bytes > UINT64_C(1) << 48)
			return false;
	return true;
}

/* A unit that names no bank reaches all. */
static void complete_config(struct board_config *c)
{
	uint64_t all = c->banks == 64 ? UINT64_MAX : (UINT64_C(1) << c->banks) - 1;

	for (uint32_t i = 0; i < c->units; i++)
		c->unit[i].banks = c->unit[i].banks ? c->unit[i].banks & all : all;
}

static int start(struct board *board)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < board->config.banks; i++)
		err = bank_init(&board->bank[i], board->config.bank[i].bytes, board->config.poison);
	if (err)
		return err;
	pci_init(board);
	registers_init(board);
	for (uint32_t i = 0; !err && i < board->config.units; i++)
		err = unit_start(board, i);
	if (!err)
		err = -pthread_create(&board->service, NULL, service_thread, board);
	board->service_started = !err;
	return err;
}

static void init_locks(struct board *board)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&board->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&board->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

int board_create(const struct board_config *config, const struct board_front *front,
		 struct board **out)
{
	struct board *board;
	int err;

	if (!config_ok(config))
		return -EINVAL;
	board = calloc(1, sizeof(*board));
	if (!board)
		return -ENOMEM;
	board->config = *config;
	complete_config(&board->config);
	if (front)
		board->front = *front;
	board->kernels = cpu_kernels_get(config->isa);
	board->time_zero = board_clock_ns();
	init_locks(board);
	irq_init(&board->irq, config->vectors);
	bus_init(&board->bus);
	fault_init(&board->faults);
	err = board->kernels ? start(board) : -EINVAL;
	if (err)
		board_free(board);
	else
		*out = board;
	return err;
}

void board_free(struct board *board)
{
	if (!board)
		return;
	pthread_mutex_lock(&board->lock);
	board->quit = true;
	board->gone = true; /* what runs ends */
	pthread_cond_signal(&board->wake);
	for (uint32_t i = 0; i < board->config.units; i++)
		if (board->unit[i].started)
			unit_kick(&board->unit[i]);
	pthread_mutex_unlock(&board->lock);
	for (uint32_t i = 0; i < board->config.units; i++)
		unit_join(&board->unit[i]);
	if (board->service_started)
		pthread_join(board->service, NULL);
	for (uint32_t i = 0; i < board->config.banks; i++)
		bank_free(&board->bank[i]);
	bus_free(&board->bus);
	pthread_cond_destroy(&board->wake);
	pthread_mutex_destroy(&board->lock);
	free(board);
}

const struct board_config *board_config(const struct board *board)
{
	return &board->config;
}

void board_figures(struct board *board, struct board_figures *figures)
{
	pthread_mutex_lock(&board->lock);
	*figures = (struct board_figures){
		.jobs = board->jobs,
		.failed = board->failed,
		.interrupts = board->irq.raised,
		.dropped = board->irq.dropped,
		.read_bytes = board->bus.read_bytes,
		.write_bytes = board->bus.write_bytes,
		.register_reads = board->register_reads,
		.register_writes = board->register_writes,
		.busy_ns = board->busy_ns,
		.resets = *board_reg(board, SHELL_R_RESETS),
	};
	pthread_mutex_unlock(&board->lock);
}

/* ---- what there is without a file ------------------------------------------------------------------ */

#define OP(name) (UINT64_C(1) << SHELL_OP_##name)

static void preset_units(struct board_config *c)
{
	uint64_t compute = OP(ECHO) | OP(COPY) | OP(FILL) | OP(SEARCH) | OP(CONV2D) | OP(GEMM) |
			   OP(POOL2D) | OP(ADD) | OP(TABLE) | OP(CONCAT) | OP(MEMTEST) | OP(BURN);

	c->units = 3;
	c->unit[0] = (struct board_unit_config){
		"dma0", SHELL_UNIT_DMA, OP(ECHO) | OP(COPY) | OP(FILL), 0, 250000, 0};
	c->unit[1] = (struct board_unit_config){"compute0", SHELL_UNIT_COMPUTE, compute, 0, 250000,
						4096};
	c->unit[2] = (struct board_unit_config){"compute1", SHELL_UNIT_COMPUTE, compute, 0, 250000,
						4096};
}

void board_config_preset(struct board_config *c)
{
	*c = (struct board_config){
		.name = "Facet virtual board",
		.image = "virtual-1",
		.serial = 0x5649525455414cull,
		.kind = SHELL_KIND_MODEL,
		.caps = SHELL_CAPS_KNOWN & ~(SHELL_CAP_MEMORY_KEPT | SHELL_CAP_ECC),
		.ring_log2 = 8,
		.sg_log2 = 16,
		.align_log2 = 6,
		.vectors = 4,
		.link_generation = 3,
		.link_lanes = 16,
		.operand_max = UINT64_C(256) << 20,
		.poison = true,
		.banks = 2,
		.bank = {{"ddr0", SHELL_BANK_DDR, UINT64_C(1) << 30, 1, 19200},
			 {"ddr1", SHELL_BANK_DDR, UINT64_C(1) << 30, 1, 19200}},
		.sensors = 2,
		.sensor = {{"die", SHELL_SENSOR_TEMPERATURE, 45000, INT32_MIN, 90000, 100000},
			   {"power", SHELL_SENSOR_POWER, 25000, INT32_MIN, 70000, 75000}},
	};
	for (uint32_t i = 0; i < BOARD_HASH_BYTES; i++)
		c->hash[i] = (uint8_t)(i * 7 + 1);
	preset_units(c);
}
