/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on command: what there is, how it is asked for, and when it strikes. */
#include "boards/virtual/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kind {
	const char *name, *what, *keys; /* keys besides unit, after, every, count */
	/* Some are a state rather than an event: set at once, and taken back. */
	int (*apply)(struct board *board, const struct fault *fault);
	void (*clear)(struct board *board);
};

/* ---- faults that are a state; board.lock is held ---------------------------------------------- */

static int apply_gone(struct board *board, const struct fault *fault)
{
	(void)fault;
	board->gone = true;
	board->bus.master = false;
	for (uint32_t i = 0; i < board->config.units; i++)
		pthread_cond_broadcast(&board->unit[i].wake);
	return 0;
}

static void clear_gone(struct board *board)
{
	board->gone = false;
	board_power_cycle(board);
}

static int apply_slow_link(struct board *board, const struct fault *fault)
{
	board->bus.rate = fault->rate ? fault->rate : 1000000;
	return 0;
}

static void clear_slow_link(struct board *board)
{
	board->bus.rate = 0;
}

static void set_link(struct board *board, uint32_t generation, uint32_t lanes)
{
	const struct board_config *config = &board->config;

	*board_reg(board, SHELL_R_LINK) =
		generation | lanes << 8 | config->link_generation << 16 | config->link_lanes << 24;
	pci_link(board, generation, lanes);
	registers_cause(board, SHELL_INT_LINK);
}

static int apply_narrow_link(struct board *board, const struct fault *fault)
{
	const struct board_config *config = &board->config;

	if (fault->lanes > config->link_lanes || fault->generation > config->link_generation)
		return -EINVAL;
	set_link(board, fault->generation ? (uint32_t)fault->generation : config->link_generation,
		 fault->lanes ? (uint32_t)fault->lanes : 1);
	return 0;
}

static void clear_narrow_link(struct board *board)
{
	set_link(board, board->config.link_generation, board->config.link_lanes);
}

static struct bank *bank_of(struct board *board, const struct fault *fault, uint64_t address)
{
	if (fault->bank >= board->config.banks || address >= board->bank[fault->bank].bytes)
		return NULL;
	return &board->bank[fault->bank];
}

static int apply_bad_cell(struct board *board, const struct fault *fault)
{
	struct bank *bank = bank_of(board, fault, fault->address);
	bool coupled = fault->with != UINT64_MAX;

	if (!bank || fault->bit > 63 || fault->with_bit > 63 || bank->cells == BANK_CELLS ||
	    (coupled && !bank_of(board, fault, fault->with)))
		return -EINVAL;
	pthread_mutex_lock(&bank->lock);
	bank->cell[bank->cells++] = (struct bank_cell){
		.address = fault->address & ~7ull,
		.bit = (uint32_t)fault->bit,
		.coupled = coupled,
		.stuck = fault->value & 1,
		.with = fault->with & ~7ull,
		.with_bit = (uint32_t)fault->with_bit,
	};
	bank->faulty = true;
	pthread_mutex_unlock(&bank->lock);
	return 0;
}

static int apply_stuck_line(struct board *board, const struct fault *fault)
{
	struct bank *bank = bank_of(board, fault, 0);

	if (!bank || fault->bit < 3 || fault->bit > 47 || 1ull << fault->bit >= bank->bytes)
		return -EINVAL;
	pthread_mutex_lock(&bank->lock);
	bank->stuck_lines |= 1ull << fault->bit;
	if (fault->value & 1)
		bank->stuck_values |= 1ull << fault->bit;
	bank->faulty = true;
	pthread_mutex_unlock(&bank->lock);
	return 0;
}

static void heal(struct bank *bank)
{
	bank->faulty = bank->cells || bank->stuck_lines;
}

static void clear_bad_cell(struct board *board)
{
	for (uint32_t i = 0; i < board->config.banks; i++) {
		pthread_mutex_lock(&board->bank[i].lock);
		board->bank[i].cells = 0;
		heal(&board->bank[i]);
		pthread_mutex_unlock(&board->bank[i].lock);
	}
}

static void clear_stuck_line(struct board *board)
{
	for (uint32_t i = 0; i < board->config.banks; i++) {
		pthread_mutex_lock(&board->bank[i].lock);
		board->bank[i].stuck_lines = board->bank[i].stuck_values = 0;
		heal(&board->bank[i]);
		pthread_mutex_unlock(&board->bank[i].lock);
	}
}

static int sensor_named(const struct board *board, const char *name)
{
	for (uint32_t i = 0; i < board->config.sensors; i++)
		if (!strncmp(board->config.sensor[i].name, name, BOARD_LABEL_BYTES))
			return (int)i;
	return -ENOENT;
}

static int apply_hot(struct board *board, const struct fault *fault)
{
	int sensor = fault->sensor[0] ? sensor_named(board, fault->sensor) : 0;

	if (sensor < 0 || !board->config.sensors)
		return -EINVAL;
	registers_sensor(board, (uint32_t)sensor,
			 fault->value ? (int32_t)fault->value : board->config.sensor[sensor].limit);
	return 0;
}

static void clear_hot(struct board *board)
{
	for (uint32_t i = 0; i < board->config.sensors; i++)
		registers_sensor(board, i, board->config.sensor[i].value);
}

static int apply_wrong_image(struct board *board, const struct fault *fault)
{
	board->page[SHELL_R_IMAGE_HASH / 4] ^= fault->value ? (uint32_t)fault->value : 1;
	return 0;
}

static void clear_wrong_image(struct board *board)
{
	memcpy(board_reg(board, SHELL_R_IMAGE_HASH), board->config.hash, BOARD_HASH_BYTES);
}

static int apply_wrong_register(struct board *board, const struct fault *fault)
{
	if (board->lies == BOARD_LIES || fault->address >= SHELL_BAR_BYTES || fault->address % 4)
		return -EINVAL;
	board->lie[board->lies].offset = (uint32_t)fault->address;
	board->lie[board->lies].value = (uint32_t)fault->value;
	board->lies++;
	return 0;
}

static void clear_wrong_register(struct board *board)
{
	board->lies = 0;
}

static int apply_spurious(struct board *board, const struct fault *fault)
{
	irq_want(board, (uint32_t)fault->vector);
	return 0;
}

static int apply_storm(struct board *board, const struct fault *fault)
{
	board->storm = *fault;
	board->storm_next = board_clock_ns();
	pthread_cond_signal(&board->wake);
	return 0;
}

static void clear_storm(struct board *board)
{
	board->storm.armed = false;
}

static int apply_self_reset(struct board *board, const struct fault *fault)
{
	if (fault->unit == FAULT_ANY && !fault->after && fault->us == 1)
		board_reset(board); /* now=1 */
	return 0;
}

static int apply_resident(struct board *board, const struct fault *fault)
{
	struct bank *bank;

	if (fault->where != FAULT_RESIDENT)
		return 0;
	bank = bank_of(board, fault, fault->address);
	if (!bank)
		return -EINVAL;
	bank->memory[fault->address] ^= (uint8_t)(1u << fault->bit % 8);
	return 0;
}

/* ---- the table -------------------------------------------------------------------------------- */

static const struct kind kinds[FAULT_KINDS] = {
	[FAULT_HANG] = {"hang", "a job never ends; with progress=1 it seems to get on", "progress",
			NULL, NULL},
	[FAULT_SLOW] = {"slow", "a job takes us= longer, and gets on", "us", NULL, NULL},
	[FAULT_FAIL] = {"fail", "a job ends with status= (INTERNAL)", "status", NULL, NULL},
	[FAULT_LOST_IRQ] = {"lost-irq", "a unit's interrupt is not sent", "", NULL, NULL},
	[FAULT_LATE_IRQ] = {"late-irq", "a unit's interrupt comes us= later", "us", NULL, NULL},
	[FAULT_SPURIOUS_IRQ] = {"spurious-irq", "one interrupt of vector= now", "vector",
				apply_spurious, NULL},
	[FAULT_STORM] = {"storm", "vector= every us= (10), count= times (0: until cleared)",
			 "vector us", apply_storm, clear_storm},
	[FAULT_WRONG_SEQUENCE] = {"wrong-sequence", "a completion carries value= added", "value",
				  NULL, NULL},
	[FAULT_LOST_COMPLETION] = {"lost-completion", "HEAD moves, no completion is written", "",
				   NULL, NULL},
	[FAULT_DMA_OUTSIDE] = {"dma-outside", "an access goes to address= instead", "address", NULL,
			       NULL},
	[FAULT_BUS_ERROR] = {"bus-error", "the host does not answer an access", "", NULL, NULL},
	[FAULT_GONE] = {"gone", "the board is pulled: ones everywhere; clear puts it back", "",
			apply_gone, clear_gone},
	[FAULT_SELF_RESET] = {"self-reset", "the board resets itself in mid-job, or now=1", "us",
			      apply_self_reset, NULL},
	[FAULT_STUCK_RESET] = {"stuck-reset",
			       "a unit's reset never ends (any unit: the device's neither)", "",
			       NULL, NULL},
	[FAULT_UNIT_STOP] = {"unit-stop", "a unit stops with its own fault", "", NULL, NULL},
	[FAULT_FLIP] = {"flip",
			"bit= of where=output, input, accumulator; or resident: bank=, address=",
			"where bit bank address", apply_resident, NULL},
	[FAULT_ECC] = {"ecc", "a job meets a memory error in bank= at address=", "bank address",
		       NULL, NULL},
	[FAULT_SLOW_LINK] = {"slow-link", "rate= bytes a second (1M)", "rate", apply_slow_link,
			     clear_slow_link},
	[FAULT_NARROW_LINK] = {"narrow-link", "lanes= (1), generation=", "lanes generation",
			       apply_narrow_link, clear_narrow_link},
	[FAULT_BAD_CELL] =
		{"bad-cell",
		 "bank= address= bit= is stuck at value=, or inverted when with= with-bit= "
		 "rises",
		 "bank address bit value with with-bit", apply_bad_cell, clear_bad_cell},
	[FAULT_STUCK_LINE] = {"stuck-line", "address line bit= of bank= is always value=",
			      "bank bit value", apply_stuck_line, clear_stuck_line},
	[FAULT_HOT] = {"hot", "sensor= (the first) reads value= (its limit)", "sensor value",
		       apply_hot, clear_hot},
	[FAULT_WRONG_IMAGE] = {"wrong-image", "the image's hash is another", "value",
			       apply_wrong_image, clear_wrong_image},
	[FAULT_WRONG_REGISTER] = {"wrong-register", "the register at address= reads as value=",
				  "address value", apply_wrong_register, clear_wrong_register},
};

void fault_init(struct faults *faults)
{
	pthread_mutex_init(&faults->lock, NULL);
}

const char *board_fault_name(unsigned int i, const char **what)
{
	if (i >= FAULT_KINDS)
		return NULL;
	if (what)
		*what = kinds[i].what;
	return kinds[i].name;
}

static int kind_named(const char *name, size_t length)
{
	for (int i = 0; i < FAULT_KINDS; i++)
		if (strlen(kinds[i].name) == length && !memcmp(kinds[i].name, name, length))
			return i;
	return -ENOENT;
}

/* ---- reading a spec --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t offset;
} numbers[] = {
	{"after", offsetof(struct fault, after)},
	{"every", offsetof(struct fault, every)},
	{"count", offsetof(struct fault, count)},
	{"us", offsetof(struct fault, us)},
	{"now", offsetof(struct fault, us)},
	{"bank", offsetof(struct fault, bank)},
	{"address", offsetof(struct fault, address)},
	{"bit", offsetof(struct fault, bit)},
	{"value", offsetof(struct fault, value)},
	{"with", offsetof(struct fault, with)},
	{"with-bit", offsetof(struct fault, with_bit)},
	{"lanes", offsetof(struct fault, lanes)},
	{"generation", offsetof(struct fault, generation)},
	{"rate", offsetof(struct fault, rate)},
	{"vector", offsetof(struct fault, vector)},
	{"progress", offsetof(struct fault, progress)},
	{"status", offsetof(struct fault, status)},
};

static int parse_where(struct fault *fault, const char *value)
{
	static const char *const names[] = {"output", "input", "accumulator", "resident"};

	for (uint64_t i = 0; i < 4; i++)
		if (!strcmp(value, names[i])) {
			fault->where = i;
			return 0;
		}
	return -EINVAL;
}

static int parse_number(struct fault *fault, const char *key, const char *value)
{
	char *end;
	uint64_t number = strtoull(value, &end, 0);

	if (end == value || *end)
		return -EINVAL;
	if (!strcmp(key, "unit")) {
		fault->unit = (uint32_t)number;
		return 0;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(numbers[i].name, key)) {
			*(uint64_t *)((char *)fault + numbers[i].offset) = number;
			return 0;
		}
	return -EINVAL;
}

static bool key_allowed(const struct kind *kind, const char *key)
{
	static const char *const always = " unit after every count now ";
	char wanted[32], keys[96];

	snprintf(wanted, sizeof(wanted), " %s ", key);
	snprintf(keys, sizeof(keys), " %s ", kind->keys);
	return strstr(always, wanted) || strstr(keys, wanted);
}

static int parse_key(struct fault *fault, char *item, char *text, size_t bytes)
{
	char *value = strchr(item, '=');
	int err = -EINVAL;

	if (value)
		*value++ = 0;
	if (!value || !key_allowed(&kinds[fault->kind], item)) {
		snprintf(text, bytes,
			 "%s: no key %.24s, or no value; it has: %s unit after every count",
			 kinds[fault->kind].name, item, kinds[fault->kind].keys);
		return -EINVAL;
	}
	if (!strcmp(item, "sensor"))
		err = snprintf(fault->sensor, sizeof(fault->sensor), "%s", value) < 0;
	else if (!strcmp(item, "where"))
		err = parse_where(fault, value);
	else
		err = parse_number(fault, item, value);
	if (err)
		snprintf(text, bytes, "%s: %.24s=%.24s is not possible", kinds[fault->kind].name,
			 item, value);
	return err;
}

static int parse_one(struct fault *fault, char *spec, char *text, size_t bytes)
{
	char *keys = strchr(spec, ':'), *place = NULL;
	int kind = kind_named(spec, keys ? (size_t)(keys - spec) : strlen(spec));

	if (kind < 0) {
		snprintf(text, bytes, "no fault is called %.32s", spec);
		return -EINVAL;
	}
	*fault = (struct fault){.armed = true,
				.kind = (enum fault_kind)kind,
				.unit = FAULT_ANY,
				.every = 1,
				.count = 1,
				.with = UINT64_MAX,
				.status = SHELL_INTERNAL};
	if (!keys)
		return 0;
	for (char *item = strtok_r(keys + 1, ",", &place); item; item = strtok_r(NULL, ",", &place))
		if (parse_key(fault, item, text, bytes))
			return -EINVAL;
	if (!fault->every)
		fault->every = 1;
	return 0;
}

/* ---- arming ----------------------------------------------------------------------------------- */

static int arm(struct board *board, const struct fault *fault)
{
	struct faults *faults = &board->faults;
	const struct kind *kind = &kinds[fault->kind];
	int err = kind->apply ? kind->apply(board, fault) : 0, place = -1;

	if (err)
		return err;
	pthread_mutex_lock(&faults->lock);
	for (int i = 0; i < FAULTS_MAX && place < 0; i++)
		if (!faults->fault[i].armed)
			place = i;
	if (place >= 0) {
		faults->fault[place] = *fault;
		faults->armed[fault->kind]++;
		/* A state is in force from now on, and is counted now. */
		if (kind->apply && fault->kind != FAULT_SELF_RESET &&
		    (fault->kind != FAULT_FLIP || fault->where == FAULT_RESIDENT))
			faults->injected[fault->kind]++;
	}
	pthread_mutex_unlock(&faults->lock);
	return place < 0 ? -ENOSPC : 0;
}

int board_fault(struct board *board, const char *spec, char *text, size_t bytes)
{
	char *copy = strdup(spec), *place = NULL;
	int err = copy ? 0 : -ENOMEM;

	text[0] = 0;
	for (char *one = copy ? strtok_r(copy, ";", &place) : NULL; one && !err;
	     one = strtok_r(NULL, ";", &place)) {
		struct fault fault;

		err = parse_one(&fault, one, text, bytes);
		if (err)
			break;
		pthread_mutex_lock(&board->lock);
		err = arm(board, &fault);
		pthread_mutex_unlock(&board->lock);
		if (err)
			snprintf(text, bytes,
				 "%s: this board has no such place, or too many faults",
				 kinds[fault.kind].name);
	}
	free(copy);
	return err;
}

/* Forgets the faults of a kind; is there one? */
static bool disarm(struct faults *faults, int kind)
{
	bool found;

	pthread_mutex_lock(&faults->lock);
	found = faults->armed[kind] > 0;
	for (int i = 0; i < FAULTS_MAX; i++)
		if (faults->fault[i].armed && faults->fault[i].kind == (enum fault_kind)kind)
			faults->fault[i].armed = false;
	faults->armed[kind] = 0;
	pthread_mutex_unlock(&faults->lock);
	return found;
}

int board_fault_clear(struct board *board, const char *name)
{
	bool all = !name || !strcmp(name, "all");
	int one = all ? -1 : kind_named(name, strlen(name)), found = 0;

	if (!all && one < 0)
		return -ENOENT;
	pthread_mutex_lock(&board->lock);
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		if ((!all && kind != one) || !disarm(&board->faults, kind))
			continue;
		found++;
		if (kinds[kind].clear)
			kinds[kind].clear(board);
	}
	pthread_mutex_unlock(&board->lock);
	return all || found ? 0 : -ENOENT;
}

int64_t board_fault_count(struct board *board, const char *name)
{
	int kind = kind_named(name, strlen(name));

	return kind < 0 ? -1 : (int64_t)board->faults.injected[kind];
}

/* ---- striking --------------------------------------------------------------------------------- */

static bool strikes(struct fault *fault)
{
	uint64_t turn = fault->seen++;

	if (turn < fault->after || (turn - fault->after) % fault->every)
		return false;
	fault->injected++;
	return true;
}

static bool hit(struct board *board, enum fault_kind kind, enum fault_where where, uint32_t unit,
		struct fault *copy)
{
	struct faults *faults = &board->faults;
	bool struck = false;

	if (!faults->armed[kind])
		return false;
	pthread_mutex_lock(&faults->lock);
	for (int i = 0; i < FAULTS_MAX && !struck; i++) {
		struct fault *fault = &faults->fault[i];

		if (!fault->armed || fault->kind != kind || fault->where != (uint64_t)where ||
		    (fault->unit != FAULT_ANY && fault->unit != unit))
			continue;
		struck = strikes(fault);
		if (!struck)
			continue;
		faults->injected[kind]++;
		if (copy)
			*copy = *fault;
		if (fault->count && fault->injected >= fault->count) {
			fault->armed = false;
			faults->armed[kind]--;
		}
	}
	pthread_mutex_unlock(&faults->lock);
	return struck;
}

bool fault_hit(struct board *board, enum fault_kind kind, uint32_t unit, struct fault *copy)
{
	return hit(board, kind, FAULT_OUTPUT, unit, copy);
}

bool fault_strikes(struct board *board, enum fault_where where, uint32_t unit, struct fault *copy)
{
	return hit(board, FAULT_FLIP, where, unit, copy);
}

void fault_flip_bit(void *data, uint64_t bytes, uint64_t bit)
{
	if (bytes)
		((uint8_t *)data)[bit / 8 % bytes] ^= (uint8_t)(1u << bit % 8);
}
