/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/boards.h"
#include "daemon/job/check.h"
#include "daemon/job/service.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define DEVICE_IN_FLIGHT 2 /* one runs, one waits: the device is never idle between two */
#define ECHO_NS_GUESS	 1000u
#define RAW_NS_GUESS	 1000000u

uint64_t service_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t service_clock(void *user)
{
	(void)user;
	return service_now();
}

/* Where the pool is pinned, its processors need not be those this thread was started on. */
static int device_open_pinned(const struct device_config *config, struct device **device)
{
	cpu_set_t own, all;
	bool widen = config->pin && sched_getaffinity(0, sizeof(own), &own) == 0;
	int err;

	if (widen) {
		memset(&all, 0xff, sizeof(all));
		sched_setaffinity(0, sizeof(all), &all);
	}
	err = device_open("cpu", config, device);
	if (widen)
		sched_setaffinity(0, sizeof(own), &own);
	return err;
}

static int service_device(struct service *service, char text[CONFIG_TEXT])
{
	const struct config *c = service->config;
	struct device_config config = {
		.threads = (uint32_t)c->threads,
		.queue = (uint32_t)c->device_queue,
		.pin = c->pin,
		.isa = c->isa,
	};
	int err = device_open_pinned(&config, &service->device);

	if (err) {
		snprintf(text, CONFIG_TEXT,
			 "the cpu device: %s; check threads, pin and isa in [device cpu]",
			 strerror(-err));
		return err;
	}
	fleet_opened(fleet_add(&service->fleet, "cpu", "cpu"), service->device);
	service->caps = service->fleet.device[FLEET_CPU].caps;
	service->fleet.device[FLEET_CPU].metrics =
		metrics_device(&service->metrics, "cpu", service->device->ops->kind);
	return 0;
}

static int service_sched(struct service *service)
{
	const struct config *c = service->config;
	struct sched_config config = {
		.fleet = &service->fleet,
		.bell = &service->bell,
		.clock = service_clock,
		.queue = (uint32_t)c->queue,
		.in_flight = DEVICE_IN_FLIGHT,
		.delay_ns = c->delay_us * 1000,
		.slice_ns = c->slice_us * 1000,
		.check = check_slice,
		.check_user = service,
	};

	service->echo = (struct sched_target){
		.kind = &pass_echo, .units_max = PASS_UNITS_MAX, .unit_ns = ECHO_NS_GUESS};
	service->raw =
		(struct sched_target){.kind = &pass_raw, .units_max = 1, .unit_ns = RAW_NS_GUESS};
	return sched_create(&config, &service->sched);
}

int service_start(struct service *service, const struct config *config, const char *state,
		  const char *checker, const uint8_t *key, char text[CONFIG_TEXT])
{
	int err;

	service->config = config;
	service->state = state;
	service->started_ns = service_now();
	if (getrandom(&service->instance, sizeof(service->instance), 0) < 0)
		service->instance = service->started_ns;
	service->galleries_config = (struct gallery_config){
		.root = state,
		.checker = checker,
		.disk_reserve = config->disk_reserve,
		.purge_seconds = (uint32_t)config->purge_seconds,
		.key = key,
	};
	snprintf(service->cache, sizeof(service->cache), "%.240s/programs", state);
	snprintf(service->libexec, sizeof(service->libexec), "%.*s",
		 (int)(strrchr(checker, '/') ? strrchr(checker, '/') - checker : 0), checker);
	snprintf(text, CONFIG_TEXT, "out of memory or descriptors");
	err = bell_init(&service->bell);
	if (!err)
		err = tenants_create(config, getuid(), &service->tenants);
	if (!err)
		err = errands_start(&service->bell, &service->errands);
	if (!err)
		err = service_device(service, text);
	if (!err)
		err = service_sched(service);
	if (!err)
		err = boards_start(service);
	if (!err)
		err = galleries_start(service, text);
	if (!err) {
		err = models_start(service);
		if (err)
			snprintf(text, CONFIG_TEXT, "%.200s/models: %s", state, strerror(-err));
	}
	return err;
}

static void lists_free(struct service *service)
{
	for (uint32_t by = 0; by < 2; by++)
		for (uint32_t size = 0; size < SERVICE_LIST_SIZES; size++)
			for (uint32_t i = 0; i < service->lists[by][size].count; i++)
				search_list_free(service->lists[by][size].list[i]);
}

void service_stop(struct service *service)
{
	errands_stop(service->errands);
	bell_drain(&service->bell);
	boards_stop(service);
	galleries_stop(service);
	models_stop(service);
	sched_free(service->sched);
	if (service->device)
		service->device->ops->close(service->device);
	bell_drain(&service->bell); /* a last change of a gallery's state */
	job_store_free(service);
	lists_free(service);
	tenants_free(service->tenants);
	bell_close(&service->bell);
}

void service_reload(struct service *service, const struct config *config)
{
	if (tenants_reload(service->tenants, config))
		log_write(&service->log, LOG_LEVEL_ERROR, "reload", "text=\"out of memory\"");
	service->config = config;
	sched_set_limits(service->sched, (uint32_t)config->queue, config->delay_us * 1000,
			 config->slice_us * 1000);
	for (struct gallery_entry *e = service->galleries; e; e = e->next)
		e->target.units_max = (uint32_t)config->batch;
}

bool service_ready(const struct service *service)
{
	if (service->draining || service->models_loading)
		return false;
	for (const struct gallery_entry *e = service->galleries; e; e = e->next) {
		struct gallery_status status;

		if (e->hidden || !e->gallery)
			continue;
		gallery_status(e->gallery, &status);
		if (status.state == GALLERY_CHECKING || status.state == GALLERY_LOADING)
			return false;
	}
	return true;
}

uint32_t service_percent(const struct service *service)
{
	uint32_t count = 0;
	uint32_t sum = 0;

	for (const struct gallery_entry *e = service->galleries; e; e = e->next) {
		struct gallery_status status;

		if (e->hidden || !e->gallery)
			continue;
		gallery_status(e->gallery, &status);
		sum += status.state == GALLERY_CHECKING || status.state == GALLERY_LOADING
			       ? status.percent
			       : 100;
		count++;
	}
	return count ? sum / count : 100;
}
