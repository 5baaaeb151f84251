/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of BAR 0: what they read as and what writing them does. docs/shell.md. */
#include "boards/virtual/internal.h"

#include <limits.h>
#include <string.h>

#define UNIT_TABLE    0x1000u
#define UNIT_STRIDE   0x100u
#define BANK_TABLE    0x3000u
#define BANK_STRIDE   0x40u
#define SENSOR_TABLE  0x4000u
#define SENSOR_STRIDE 0x40u
#define JOB_LOG2      12u
#define TIME_HZ	      1000000000u

_Static_assert(UNIT_TABLE + SHELL_UNITS_MAX * UNIT_STRIDE <= BANK_TABLE, "units fit");
_Static_assert(BANK_TABLE + SHELL_BANKS_MAX * BANK_STRIDE <= SENSOR_TABLE, "banks fit");

/* ---- identity --------------------------------------------------------------------------------- */

static void init_unit(struct board *board, uint32_t i)
{
	const struct board_unit_config *config = &board->config.unit[i];
	uint32_t *r = board_reg(board, UNIT_TABLE + i * UNIT_STRIDE);

	board->unit[i].r = r;
	r[SHELL_U_VERSION / 4] = SHELL_VERSION_MAJOR << 16;
	r[SHELL_U_KIND / 4] = config->kind;
	memcpy(r + SHELL_U_OPS_LO / 4, &config->ops, 8);
	memcpy(r + SHELL_U_BANKS_LO / 4, &config->banks, 8);
	r[SHELL_U_CLOCK_KHZ / 4] = config->clock_khz;
	r[SHELL_U_MACS / 4] = config->macs;
	r[SHELL_U_VECTOR / 4] = SHELL_VECTOR_NONE;
	memcpy(r + SHELL_U_NAME / 4, config->name, BOARD_LABEL_BYTES);
}

static void init_bank(struct board *board, uint32_t i)
{
	const struct board_bank_config *config = &board->config.bank[i];
	uint32_t *r = board_reg(board, BANK_TABLE + i * BANK_STRIDE);

	r[SHELL_B_KIND / 4] = config->kind;
	r[SHELL_B_CHANNELS / 4] = config->channels;
	memcpy(r + SHELL_B_SIZE_LO / 4, &config->bytes, 8);
	r[SHELL_B_RATE / 4] = config->rate_mib;
	r[SHELL_B_STATUS / 4] = SHELL_BSTATUS_READY;
	memcpy(r + SHELL_B_NAME / 4, config->name, BOARD_LABEL_BYTES);
}

static void init_sensor(struct board *board, uint32_t i)
{
	const struct board_sensor_config *config = &board->config.sensor[i];
	uint32_t *r = board_reg(board, SENSOR_TABLE + i * SENSOR_STRIDE);

	r[SHELL_S_KIND / 4] = config->kind;
	r[SHELL_S_LOW / 4] = (uint32_t)config->low;
	r[SHELL_S_WARN / 4] = (uint32_t)config->warn;
	r[SHELL_S_LIMIT / 4] = (uint32_t)config->limit;
	memcpy(r + SHELL_S_NAME / 4, config->name, BOARD_LABEL_BYTES);
	r[SHELL_S_STATUS / 4] = SHELL_SSTATUS_VALID;
	r[SHELL_S_VALUE / 4] = (uint32_t)config->value;
}

void registers_init(struct board *board)
{
	const struct board_config *config = &board->config;
	uint32_t *page = board->page;

	page[SHELL_R_MAGIC / 4] = SHELL_MAGIC;
	page[SHELL_R_VERSION / 4] = SHELL_VERSION_MAJOR << 16 | SHELL_VERSION_MINOR;
	page[SHELL_R_KIND / 4] = config->kind;
	page[SHELL_R_COUNTS / 4] =
		config->units | config->banks << 8 | config->sensors << 16 | config->vectors << 24;
	page[SHELL_R_UNIT_TABLE / 4] = UNIT_TABLE | UNIT_STRIDE << 20;
	page[SHELL_R_BANK_TABLE / 4] = BANK_TABLE | BANK_STRIDE << 20;
	page[SHELL_R_SENSOR_TABLE / 4] = SENSOR_TABLE | SENSOR_STRIDE << 20;
	page[SHELL_R_LIMITS / 4] = config->ring_log2 | config->sg_log2 << 8 | JOB_LOG2 << 16 |
				   config->align_log2 << 24;
	page[SHELL_R_CAPS / 4] = config->caps;
	page[SHELL_R_ADDRESS_BITS / 4] = 64;
	page[SHELL_R_IMAGE_DATE / 4] = config->image_date;
	memcpy(page + SHELL_R_SERIAL_LO / 4, &config->serial, 8);
	page[SHELL_R_TIME_HZ / 4] = TIME_HZ;
	memcpy(page + SHELL_R_IMAGE_HASH / 4, config->hash, BOARD_HASH_BYTES);
	memcpy(page + SHELL_R_BOARD_NAME / 4, config->name, BOARD_NAME_BYTES);
	memcpy(page + SHELL_R_IMAGE_NAME / 4, config->image, BOARD_NAME_BYTES);
	page[SHELL_R_LINK / 4] = config->link_generation | config->link_lanes << 8 |
				 config->link_generation << 16 | config->link_lanes << 24;
	page[SHELL_R_STATUS / 4] = SHELL_STATUS_READY;
	for (uint32_t i = 0; i < config->units; i++)
		init_unit(board, i);
	for (uint32_t i = 0; i < config->banks; i++)
		init_bank(board, i);
	for (uint32_t i = 0; i < config->sensors; i++)
		init_sensor(board, i);
	registers_reset(board);
}

void registers_reset(struct board *board)
{
	static const uint32_t zeroed[] = {
		SHELL_R_FEATURES,    SHELL_R_SCRATCH,	 SHELL_R_CONTROL,   SHELL_R_INT_CAUSE,
		SHELL_R_INT_VECTOR,  SHELL_R_ERR_CAUSE,	 SHELL_R_ERR_INFO,  SHELL_R_ERR_ADDR_LO,
		SHELL_R_ERR_ADDR_HI, SHELL_R_ERR_JOB_LO, SHELL_R_ERR_JOB_HI};

	for (size_t i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++)
		*board_reg(board, zeroed[i]) = 0;
	*board_reg(board, SHELL_R_ERR_UNIT) = FAULT_ANY;
	*board_reg(board, SHELL_R_INT_MASK) = UINT32_MAX;
}

/* ---- causes and errors ------------------------------------------------------------------------ */

static void raise_causes(struct board *board)
{
	if (*board_reg(board, SHELL_R_INT_CAUSE) & ~*board_reg(board, SHELL_R_INT_MASK))
		irq_want(board, *board_reg(board, SHELL_R_INT_VECTOR));
}

void registers_cause(struct board *board, uint32_t bits)
{
	uint32_t before = *board_reg(board, SHELL_R_INT_CAUSE);

	*board_reg(board, SHELL_R_INT_CAUSE) |= bits;
	if (bits & ~before)
		raise_causes(board);
}

void registers_error(struct board *board, enum shell_error cause, uint32_t unit, uint32_t info,
		     uint64_t address, uint64_t sequence)
{
	++*board_reg(board, SHELL_R_ERR_COUNT);
	if (*board_reg(board, SHELL_R_ERR_CAUSE))
		return;
	*board_reg(board, SHELL_R_ERR_CAUSE) = cause;
	*board_reg(board, SHELL_R_ERR_UNIT) = unit;
	*board_reg(board, SHELL_R_ERR_INFO) = info;
	memcpy(board_reg(board, SHELL_R_ERR_ADDR_LO), &address, 8);
	memcpy(board_reg(board, SHELL_R_ERR_JOB_LO), &sequence, 8);
	/* An error of the interrupt itself must not ask for one. */
	if (cause != SHELL_ERROR_VECTOR)
		registers_cause(board, SHELL_INT_ERROR);
	else
		*board_reg(board, SHELL_R_INT_CAUSE) |= SHELL_INT_ERROR;
}

void board_error(struct board *board, enum shell_error cause, uint32_t unit, uint32_t info,
		 uint64_t address, uint64_t sequence)
{
	pthread_mutex_lock(&board->lock);
	registers_error(board, cause, unit, info, address, sequence);
	pthread_mutex_unlock(&board->lock);
}

static uint32_t sensor_status(const struct board_sensor_config *config, int32_t value)
{
	uint32_t status = SHELL_SSTATUS_VALID;

	if (config->low != INT_MIN && value < config->low)
		status |= SHELL_SSTATUS_LOW;
	if (config->warn != INT_MAX && value >= config->warn)
		status |= SHELL_SSTATUS_WARN;
	if (config->limit != INT_MAX && value >= config->limit)
		status |= SHELL_SSTATUS_LIMIT;
	return status;
}

/* All sensors together: does one say hot, or too hot? */
static bool any_sensor(struct board *board, uint32_t bit)
{
	for (uint32_t i = 0; i < board->config.sensors; i++)
		if (board->page[(SENSOR_TABLE + i * SENSOR_STRIDE + SHELL_S_STATUS) / 4] & bit)
			return true;
	return false;
}

void registers_sensor(struct board *board, uint32_t sensor, int32_t value)
{
	uint32_t *r = board_reg(board, SENSOR_TABLE + sensor * SENSOR_STRIDE);
	uint32_t before = r[SHELL_S_STATUS / 4],
		 status = sensor_status(&board->config.sensor[sensor], value);

	r[SHELL_S_VALUE / 4] = (uint32_t)value;
	r[SHELL_S_STATUS / 4] = status;
	board->hot = any_sensor(board, SHELL_SSTATUS_WARN);
	if (status != before)
		registers_cause(board, SHELL_INT_SENSOR);
	if (!(status & ~before & SHELL_SSTATUS_LIMIT))
		return;
	board->stopped = true;
	registers_error(board, SHELL_ERROR_SENSOR, FAULT_ANY, sensor, (uint64_t)(int64_t)value, 0);
}

int board_sensor_set(struct board *board, const char *name, int32_t value)
{
	int err = -1;

	pthread_mutex_lock(&board->lock);
	for (uint32_t i = 0; i < board->config.sensors; i++) {
		if (strncmp(board->config.sensor[i].name, name, BOARD_LABEL_BYTES))
			continue;
		registers_sensor(board, i, value);
		err = 0;
	}
	pthread_mutex_unlock(&board->lock);
	return err;
}

/* ---- registers that are not just a word -------------------------------------------------------- */

static uint32_t read_time_lo(struct board *board)
{
	return (uint32_t)board_time(board);
}

static uint32_t read_time_hi(struct board *board)
{
	return (uint32_t)(board_time(board) >> 32);
}

static uint32_t read_status(struct board *board)
{
	uint32_t status = board->page[SHELL_R_STATUS / 4];
	bool quiet = true;

	for (uint32_t i = 0; i < board->config.units; i++)
		quiet &= unit_quiet(&board->unit[i]);
	if (board->power_cycle)
		status &= ~SHELL_STATUS_READY;
	return status | (quiet ? SHELL_STATUS_QUIET : 0) | (board->hot ? SHELL_STATUS_HOT : 0) |
	       (board->stopped ? SHELL_STATUS_STOPPED : 0);
}

static uint32_t read_control(struct board *board)
{
	return board->resetting ? SHELL_CONTROL_RESET : board->page[SHELL_R_CONTROL / 4];
}

static uint32_t read_bytes_lo(struct board *board)
{
	return (uint32_t)board->bus.read_bytes;
}

static uint32_t read_bytes_hi(struct board *board)
{
	return (uint32_t)(board->bus.read_bytes >> 32);
}

static uint32_t write_bytes_lo(struct board *board)
{
	return (uint32_t)board->bus.write_bytes;
}

static uint32_t write_bytes_hi(struct board *board)
{
	return (uint32_t)(board->bus.write_bytes >> 32);
}

static void write_control(struct board *board, uint32_t value)
{
	if (value & SHELL_CONTROL_RESET) {
		board_reset(board);
		return;
	}
	board->page[SHELL_R_CONTROL / 4] = value & (SHELL_CONTROL_ENABLE | SHELL_CONTROL_QUIESCE);
	for (uint32_t i = 0; i < board->config.units; i++)
		unit_kick(&board->unit[i]);
}

static void write_features(struct board *board, uint32_t value)
{
	board->page[SHELL_R_FEATURES / 4] = value & board->config.caps;
}

static void write_scratch(struct board *board, uint32_t value)
{
	board->page[SHELL_R_SCRATCH / 4] = value;
}

static void write_cause(struct board *board, uint32_t value)
{
	board->page[SHELL_R_INT_CAUSE / 4] &= ~value;
	raise_causes(board);
}

static void write_mask(struct board *board, uint32_t value)
{
	board->page[SHELL_R_INT_MASK / 4] = value;
	raise_causes(board);
}

static void write_test(struct board *board, uint32_t value)
{
	irq_want(board, value);
}

static void write_vector(struct board *board, uint32_t value)
{
	board->page[SHELL_R_INT_VECTOR / 4] = value;
}

static void write_ack(struct board *board, uint32_t value)
{
	static const uint32_t kept[] = {SHELL_R_ERR_CAUSE,   SHELL_R_ERR_INFO,
					SHELL_R_ERR_ADDR_LO, SHELL_R_ERR_ADDR_HI,
					SHELL_R_ERR_JOB_LO,  SHELL_R_ERR_JOB_HI};

	(void)value;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		*board_reg(board, kept[i]) = 0;
	*board_reg(board, SHELL_R_ERR_UNIT) = FAULT_ANY;
}

static const struct {
	uint32_t offset;
	uint32_t (*read)(struct board *board);		    /* NULL: the word itself */
	void (*write)(struct board *board, uint32_t value); /* NULL: read only */
} special[] = {
	{SHELL_R_TIME_LO, read_time_lo, NULL},
	{SHELL_R_TIME_HI, read_time_hi, NULL},
	{SHELL_R_STATUS, read_status, NULL},
	{SHELL_R_CONTROL, read_control, write_control},
	{SHELL_R_READ_BYTES_LO, read_bytes_lo, NULL},
	{SHELL_R_READ_BYTES_HI, read_bytes_hi, NULL},
	{SHELL_R_WRITE_BYTES_LO, write_bytes_lo, NULL},
	{SHELL_R_WRITE_BYTES_HI, write_bytes_hi, NULL},
	{SHELL_R_FEATURES, NULL, write_features},
	{SHELL_R_SCRATCH, NULL, write_scratch},
	{SHELL_R_INT_CAUSE, NULL, write_cause},
	{SHELL_R_INT_MASK, NULL, write_mask},
	{SHELL_R_INT_TEST, NULL, write_test},
	{SHELL_R_INT_VECTOR, NULL, write_vector},
	{SHELL_R_ERR_ACK, NULL, write_ack},
};

#define SPECIALS (sizeof(special) / sizeof(special[0]))

/* The unit whose registers lie there, or NULL. */
static struct unit *unit_at(struct board *board, uint32_t offset)
{
	uint32_t unit = (offset - UNIT_TABLE) / UNIT_STRIDE;

	if (offset < UNIT_TABLE || unit >= board->config.units)
		return NULL;
	return &board->unit[unit];
}

static uint32_t read_register(struct board *board, uint32_t offset)
{
	struct unit *unit = unit_at(board, offset);

	for (uint32_t i = 0; i < board->lies; i++)
		if (board->lie[i].offset == offset)
			return board->lie[i].value;
	if (unit)
		return unit_read(unit, (offset - UNIT_TABLE) % UNIT_STRIDE);
	for (size_t i = 0; i < SPECIALS; i++)
		if (special[i].offset == offset && special[i].read)
			return special[i].read(board);
	return board->page[offset / 4];
}

static void write_register(struct board *board, uint32_t offset, uint32_t value)
{
	struct unit *unit = unit_at(board, offset);

	if (board->resetting) /* what is being reset listens to nothing */
		return;
	if (unit) {
		unit_write(unit, (offset - UNIT_TABLE) % UNIT_STRIDE, value);
		return;
	}
	for (size_t i = 0; i < SPECIALS; i++)
		if (special[i].offset == offset && special[i].write)
			special[i].write(board, value);
}

/* ---- accesses --------------------------------------------------------------------------------- */

static bool access_ok(struct board *board, uint64_t offset, unsigned int size)
{
	if (size == 4 && offset % 4 == 0 && offset < SHELL_BAR_BYTES)
		return true;
	registers_error(board, SHELL_ERROR_ACCESS, FAULT_ANY, size, offset, 0);
	return false;
}

uint64_t board_read(struct board *board, unsigned int bar, uint64_t offset, unsigned int size)
{
	uint64_t value = UINT64_MAX;

	board->register_reads++;
	if (board->gone)
		return value;
	if (bar == BOARD_BAR_MSIX && offset < BOARD_BAR_MSIX_BYTES)
		return irq_table_read(&board->irq, offset, size);
	if (bar != BOARD_BAR_REGISTERS)
		return value;
	pthread_mutex_lock(&board->lock);
	if (access_ok(board, offset, size))
		value = read_register(board, (uint32_t)offset);
	pthread_mutex_unlock(&board->lock);
	return value;
}

void board_write(struct board *board, unsigned int bar, uint64_t offset, unsigned int size,
		 uint64_t value)
{
	board->register_writes++;
	if (board->gone)
		return;
	pthread_mutex_lock(&board->lock);
	if (bar == BOARD_BAR_MSIX && offset < BOARD_BAR_MSIX_BYTES)
		irq_table_write(board, offset, size, value);
	else if (bar == BOARD_BAR_REGISTERS && access_ok(board, offset, size))
		write_register(board, (uint32_t)offset, (uint32_t)value);
	pthread_mutex_unlock(&board->lock);
}

bool board_may_run(const struct board *board)
{
	uint32_t control = board->page[SHELL_R_CONTROL / 4];

	return (control & SHELL_CONTROL_ENABLE) && !(control & SHELL_CONTROL_QUIESCE) &&
	       !board->stopped && !board->gone && !board->resetting;
}

bool registers_past_limit(const struct board *board, uint32_t sensor)
{
	return board->page[(SENSOR_TABLE + sensor * SENSOR_STRIDE + SHELL_S_STATUS) / 4] &
	       SHELL_SSTATUS_LIMIT;
}
