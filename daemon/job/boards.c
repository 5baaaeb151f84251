/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/boards.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/health.h"
#include "daemon/job/model_place.h"
#include "daemon/job/placement.h"
#include "daemon/device/host_memory.h"
#include "daemon/device/selftest.h"

enum board_work { WORK_NONE, WORK_OPEN, WORK_RESET, WORK_CLOSE };

struct board {
	struct service *service;
	struct fleet_device *device;
	struct config_device config; /* its own: a reload frees the daemon's */
	struct health health;
	enum board_work want;  /* once nothing of ours is on the device */
	enum board_work doing; /* on the errand thread */
	bool trial;	       /* the reset is health's */
	/* of the errand */
	struct errand errand;
	struct device *closing; /* nobody else knows it any more */
	struct device *opened;
	int err;
	char why[FLEET_TEXT];
};

static void board_log(const struct board *board, enum log_level level, const char *what)
{
	log_write(&board->service->log, level, "device", "name=%s kind=%s state=%s text=\"%s\"",
		  board->device->name, board->device->kind, fleet_state_name(board->device), what);
}

static bool board_clear(struct service *service, struct fleet_device *device)
{
	bool models = model_place_clear(service, device);

	return placement_clear(service, device) && models;
}

void boards_fill(struct service *service)
{
	placement_follow_all(service);
	model_place_follow_all(service);
}

/* ---- health ------------------------------------------------------------------------------------- */
static const enum metrics_state metrics_states[HEALTH_STATES] = {
	[HEALTH_OK] = METRICS_OK,
	[HEALTH_SUSPECT] = METRICS_SUSPECT,
	[HEALTH_QUARANTINED] = METRICS_QUARANTINED,
	[HEALTH_RECOVERING] = METRICS_RECOVERING,
	[HEALTH_DEAD] = METRICS_DEAD,
};

static void health_changed(const struct health *health, enum health_state from,
			   enum health_reason reason)
{
	const struct board *board = health->config.user;
	struct fleet_device *device = board->device;

	if (!health_usable(health))
		board_clear(board->service, device);

	device->metrics->state = metrics_states[health->state];
	snprintf(device->text, sizeof(device->text), "%s",
		 health->state == HEALTH_OK ? "" : health_reason_name(reason));
	log_write(&board->service->log,
		  health->state == HEALTH_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "device",
		  "name=%s state=%s was=%s reason=\"%s\"", device->name,
		  health_state_name(health->state), health_state_name(from),
		  health_reason_name(reason));
}

/* ---- on the errand thread ----------------------------------------------------------------------- */
static int work_open(struct board *board)
{
	const struct config_device *c = &board->config;
	const struct device_config config = {
		.queue = (uint32_t)c->queue,
		.isa = c->variant,
		.memory = c->memory,
		.select = c->select,
		.image = c->image,
		.cache = board->service->cache,
		.libexec = board->service->libexec,
		.timeout_ms = (uint32_t)c->timeout_ms,
		.fault = c->fault,
		.why = board->why,
		.why_bytes = sizeof(board->why),
	};
	int err = device_open(c->kind, &config, &board->opened);

	if (err)
		return err;
	err = selftest(board->opened, board->why, sizeof(board->why));
	if (err) {
		board->opened->ops->close(board->opened);
		board->opened = NULL;
	}
	return err;
}

static int work_reset(struct board *board)
{
	struct device *device = board->device->device;
	int err = device->ops->reset(device);

	if (err) {
		snprintf(board->why, sizeof(board->why), "its reset failed: %s", strerror(-err));
		return err;
	}
	return selftest(device, board->why, sizeof(board->why));
}

static void work(struct errand *errand)
{
	struct board *board = errand->user;

	board->why[0] = '\0';
	board->opened = NULL;
	if (board->doing == WORK_RESET) {
		board->err = work_reset(board);
		return;
	}
	if (board->closing)
		board->closing->ops->close(board->closing);
	board->closing = NULL;
	board->err = board->doing == WORK_OPEN ? work_open(board) : 0;
	if (board->err && !board->why[0])
		snprintf(board->why, sizeof(board->why), "%s", strerror(-board->err));
}

/* ---- back on the control thread ------------------------------------------------------------------ */
static void opened(struct board *board)
{
	struct fleet_device *device = board->device;
	char text[FLEET_TEXT + 200];

	if (board->err) {
		device->state = FLEET_ABSENT;
		memcpy(device->text, board->why, sizeof(device->text));
		device->metrics->state = METRICS_DEAD;
		board_log(board, LOG_LEVEL_ERROR, board->why);
		return;
	}
	fleet_opened(device, board->opened);
	health_init(&board->health,
		    &(struct health_config){
			    .failures = health_config_default.failures,
			    .window_ns = health_config_default.window_ns,
			    .backoff_ns = health_config_default.backoff_ns,
			    .backoff_max_ns = health_config_default.backoff_max_ns,
			    .probation_ns = health_config_default.probation_ns,
			    .quarantines = health_config_default.quarantines,
			    .changed = health_changed,
			    .user = board,
		    },
		    service_now());
	device->health = &board->health;
	device->metrics->state = METRICS_OK;
	snprintf(text, sizeof(text), "%s, %s", device->caps.name, device->caps.detail);
	board_log(board, LOG_LEVEL_INFO, text);
}

static void was_reset(struct board *board)
{
	struct fleet_device *device = board->device;

	device->metrics->resets++;
	device->state = FLEET_OPEN;
	if (board->trial)
		health_tested(&board->health, !board->err, service_now());
	board->trial = false;
	if (board->err) {
		memcpy(device->text, board->why, sizeof(device->text));
		board_log(board, LOG_LEVEL_ERROR, board->why);
		if (health_usable(&board->health))
			device->state = FLEET_LOST;
	} else {
		board_log(board, LOG_LEVEL_INFO, "it was reset");
	}
}

static void done(struct errand *errand)
{
	struct board *board = errand->user;
	enum board_work work = board->doing;

	board->doing = WORK_NONE;
	if (work == WORK_OPEN) {
		opened(board);
	} else if (work == WORK_RESET) {
		was_reset(board);
	} else {
		board->device->state = FLEET_REMOVED;
		board->device->metrics->state = METRICS_REMOVED;
		board_log(board, LOG_LEVEL_INFO, "it was closed on request");
	}
	board_step(board->device);
	boards_fill(board->service);
}

/* What is wanted begins when no batch of ours, no gallery and no model is on the device. */
void board_step(struct fleet_device *device)
{
	struct board *board = device->board;

	if (!board || board->doing || !board->want)
		return;
	if (device->device && (device->in_flight || !board_clear(board->service, device)))
		return;
	board->doing = board->want;
	board->want = WORK_NONE;
	if (board->doing == WORK_RESET)
		device->state = FLEET_RESETTING;
	else if (board->doing == WORK_OPEN)
		device->state = FLEET_OPENING;
	if (board->doing != WORK_RESET) {
		fleet_ask(device);
		board->closing = device->device;
		device->device = NULL;
		device->health = NULL;
	}
	board->errand = (struct errand){.work = work, .done = done, .user = board};
	boards_errand(board->service, &board->errand);
}

void boards_errand(struct service *service, struct errand *errand)
{
	errands_submit(service->board_errands, errand);
}

/* ---- the operator ------------------------------------------------------------------------------- */
static int enable(struct board *board)
{
	struct fleet_device *device = board->device;

	device->drained = false;
	device->metrics->state = METRICS_OK;
	if (device->state != FLEET_OPEN)
		board->want = WORK_OPEN;
	else if (!health_usable(&board->health))
		health_enable(&board->health, service_now());
	boards_fill(board->service);
	return 0;
}

int board_act(struct fleet_device *device, enum board_action action)
{
	struct board *board = device->board;
	int err = 0;

	if (!board)
		return -EOPNOTSUPP;
	if (board->doing || board->want)
		return -EBUSY;
	if (action == BOARD_ENABLE) {
		err = enable(board);
	} else if (device->state != FLEET_OPEN && device->state != FLEET_LOST) {
		err = -ENODEV;
	} else if (action == BOARD_DRAIN) {
		device->drained = true;
		device->metrics->state = METRICS_DRAINING;
		board_clear(board->service, device);
	} else {
		board->want = action == BOARD_RESET ? WORK_RESET : WORK_CLOSE;
		device->state = action == BOARD_RESET ? FLEET_RESETTING : FLEET_CLOSING;
	}
	if (!err)
		board_step(device);
	return err;
}

/* ---- time ----------------------------------------------------------------------------------------- */
void boards_tick(struct service *service)
{
	for (uint32_t i = 1; i < service->fleet.count; i++) {
		struct board *board = service->fleet.device[i].board;

		if (service->fleet.device[i].health && !board->doing && !board->want &&
		    health_tick(&board->health, service_now())) {
			board->trial = true;
			board->want = WORK_RESET;
			board_step(board->device);
		}
	}
}

uint64_t boards_wakeup(const struct service *service)
{
	uint64_t first = 0;

	for (uint32_t i = 1; i < service->fleet.count; i++) {
		const struct health *health = service->fleet.device[i].health;
		uint64_t at = health ? health_wakeup(health) : 0;

		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

/* ---- start and stop ------------------------------------------------------------------------------- */
static void board_free(struct board *board)
{
	if (!board)
		return;
	config_device_clear(&board->config);
	free(board);
}

static int board_add(struct service *service, const struct config_device *config)
{
	struct board *board = calloc(1, sizeof(*board));
	struct fleet_device *device = NULL;

	if (board && !config_device_copy(config, &board->config))
		device = fleet_add(&service->fleet, config->name, config->kind);
	if (!device) {
		board_free(board);
		return -ENOMEM;
	}
	board->service = service;
	board->device = device;
	board->want = WORK_OPEN;
	device->preferred = config->prefer;
	device->board = board;
	device->metrics = metrics_device(&service->metrics, config->name, config->kind);
	board_step(device);
	return 0;
}

/* Known before a gallery is loaded: its rows go where such a board can read them. */
static void expect(const struct config *config)
{
	for (uint32_t i = 0; i < config->device_count; i++)
		if (!strcmp(config->devices[i].kind, device_drm.kind))
			host_memory_want();
}

int boards_start(struct service *service)
{
	const struct config *config = service->config;
	int err;

	if (!config->device_count)
		return 0;
	expect(config);
	err = errands_start(&service->bell, &service->board_errands);
	if (!err)
		err = errands_start(&service->bell, &service->check_errands);
	for (uint32_t i = 0; !err && i < config->device_count; i++)
		err = board_add(service, &config->devices[i]);
	return err;
}

static bool board_quiet(struct service *service, struct fleet_device *device)
{
	return board_clear(service, device) && !device->board->doing && !device->in_flight;
}

void boards_stop(struct service *service)
{
	if (!service->board_errands)
		return;
	for (uint32_t i = 1; i < service->fleet.count; i++) {
		struct fleet_device *device = &service->fleet.device[i];

		device->drained = true;
		device->board->want = WORK_NONE;
		while (!board_quiet(service, device)) {
			struct pollfd bell = {.fd = service->bell.fd, .events = POLLIN};

			poll(&bell, 1, 10);
			bell_drain(&service->bell);
			device->board->want = WORK_NONE;
		}
	}
	errands_stop(service->check_errands);
	errands_stop(service->board_errands);
	bell_drain(&service->bell);
	for (uint32_t i = 1; i < service->fleet.count; i++) {
		struct fleet_device *device = &service->fleet.device[i];

		if (device->device)
			device->device->ops->close(device->device);
		device->health = NULL;
		board_free(device->board);
		device->board = NULL;
	}
}
