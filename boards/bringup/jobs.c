/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts, DMA, kernels, load and resets: tests that give the card jobs. */
#include "boards/bringup/bringup.h"
#include "daemon/device/selftest.h"
#include "daemon/device/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 5000u

static const char *why(const struct shell_call *call)
{
	return call->status ? "a status" : strerror(-call->error);
}

/* ---- interrupts ----------------------------------------------------------------------------------- */

static uint64_t take_irqs(struct bringup *b, uint32_t vector)
{
	int fd = b->bus->ops->irq_fd(b->bus, vector);
	uint64_t count = 0;

	if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

void bringup_vectors(struct bringup *b, struct bringup_result *r)
{
	for (uint32_t v = 0; v < b->info.vectors; v++) {
		uint64_t count = 0;

		if (b->bus->ops->irq_fd(b->bus, v) < 0) {
			bringup_cannot(r, "there is no way to see interrupts here");
			return;
		}
		take_irqs(b, v);
		b->bus->ops->write(b->bus, SHELL_R_INT_TEST, v);
		for (int i = 0; i < 100 && !count; i++) {
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
			count = take_irqs(b, v);
		}
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		count += take_irqs(b, v);
		if (count != 1)
			bringup_fail(r, "vector %u was asked for once and came %llu times", v,
				     (unsigned long long)count);
	}
}

static int echo(struct bringup *b, uint32_t unit, struct shell_call *call)
{
	const struct shell_echo args = {0};

	*call = (struct shell_call){.operands = 2};
	shell_call_op(call, SHELL_OP_ECHO, &args, sizeof(args));
	card_call(b->card, unit, call, WAIT_MS);
	return call->error;
}

void bringup_unit_interrupts(struct bringup *b, struct bringup_result *r)
{
	enum { JOBS = 20 };
	struct shell_call call;

	for (uint32_t unit = 0; unit < b->info.units; unit++) {
		uint64_t before = card_irqs(b->card, unit), came = 0;

		if (!(b->info.unit[unit].ops >> SHELL_OP_ECHO & 1))
			continue;
		for (int i = 0; i < JOBS; i++)
			if (echo(b, unit, &call))
				bringup_fail(r, "a job of %s failed: %s", b->info.unit[unit].name,
					     why(&call));
		for (int i = 0; i < 50 && came < JOBS; i++) {
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
			came = card_irqs(b->card, unit) - before;
		}
		if (came < JOBS)
			bringup_fail(r, "%s: %d jobs, %llu interrupts", b->info.unit[unit].name,
				     JOBS, (unsigned long long)came);
	}
}

/* ---- DMA ------------------------------------------------------------------------------------------- */

struct route {
	struct shell_memory *host, *bank;
};

static int route_open(struct bringup *b, uint32_t bank, uint64_t bytes, struct route *route)
{
	struct shell_port *port = card_port(b->card);
	int err = port->ops->memory_create(port, SHELL_PLACE_HOST, 2 * bytes, &route->host);

	if (err)
		return err;
	err = card_bank_memory(b->card, bank, bytes, &route->bank);
	if (err)
		port->ops->memory_free(port, route->host);
	return err;
}

static void route_close(struct bringup *b, struct route *route)
{
	struct shell_port *port = card_port(b->card);

	port->ops->memory_free(port, route->bank);
	port->ops->memory_free(port, route->host);
}

static uint32_t dma_unit(const struct bringup *b)
{
	for (uint32_t i = 0; i < b->info.units; i++)
		if (b->info.unit[i].kind == SHELL_UNIT_DMA)
			return i;
	return 0;
}

static int copy(struct bringup *b, struct shell_extent to, struct shell_extent from,
		struct shell_call *call)
{
	const struct shell_copy args = {to.length, 1, to.length, to.length};

	*call = (struct shell_call){.operands = 2, .operand = {to, from}};
	shell_call_op(call, SHELL_OP_COPY, &args, sizeof(args));
	card_call(b->card, dma_unit(b), call, WAIT_MS);
	return call->error;
}

/* There and back, from any host address; what lies beside it stays. */
static void there_and_back(struct bringup *b, struct route *route, uint64_t bytes, uint64_t offset,
			   struct bringup_result *r)
{
	uint8_t *out = route->host->map, *back = out + route->host->bytes / 2;
	struct shell_call call;

	for (uint64_t i = 0; i < bytes + 16; i++)
		out[offset + i] = (uint8_t)(i * 167 + bytes);
	memset(back, 0xee, route->host->bytes / 2);
	if (copy(b, (struct shell_extent){route->bank, 0, bytes},
		 (struct shell_extent){route->host, offset, bytes}, &call) ||
	    copy(b, (struct shell_extent){route->host, route->host->bytes / 2 + offset, bytes},
		 (struct shell_extent){route->bank, 0, bytes}, &call))
		bringup_fail(r, "a copy of %llu bytes failed: %s", (unsigned long long)bytes,
			     why(&call));
	else if (memcmp(out + offset, back + offset, bytes) != 0)
		bringup_fail(r, "a copy of %llu bytes came back with other bytes",
			     (unsigned long long)bytes);
	else if (back[offset + bytes] != 0xee || (offset && back[offset - 1] != 0xee))
		bringup_fail(r, "a copy of %llu bytes wrote beside its place",
			     (unsigned long long)bytes);
}

void bringup_dma(struct bringup *b, struct bringup_result *r)
{
	static const uint64_t sizes[] = {1,   2,   3,	7,    63,   64,	  65,	 255,	 256,
					 511, 512, 513, 4095, 4096, 4097, 65537, 1 << 20};

	for (uint32_t bank = 0; bank < b->info.banks; bank++) {
		struct route route;

		if (route_open(b, bank, (1 << 20) + 4096, &route)) {
			bringup_cannot(r, "no memory for a copy in %s", b->info.bank[bank].name);
			return;
		}
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (uint64_t offset = 0; offset < 16; offset += s < 8 ? 1 : 5)
				there_and_back(b, &route, sizes[s], offset, r);
		route_close(b, &route);
	}
}

void bringup_dma_rate(struct bringup *b, struct bringup_result *r)
{
	struct route route;
	struct shell_call call;

	if (route_open(b, 0, 8 << 20, &route)) {
		bringup_cannot(r, "no memory for copies of 8 MiB");
		return;
	}
	r->plot = "bytes, MB/s to the card";
	for (uint64_t bytes = 64; bytes <= 8 << 20; bytes *= 4) {
		double begin = bringup_now(), seconds;
		int n = 0;

		do {
			if (copy(b, (struct shell_extent){route.bank, 0, bytes},
				 (struct shell_extent){route.host, 0, bytes}, &call))
				bringup_fail(r, "a copy failed: %s", why(&call));
			n++;
			seconds = bringup_now() - begin;
		} while (seconds < 0.05 && r->verdict == BRINGUP_PASSED);
		bringup_plot(r, (double)bytes, (double)bytes * n / seconds * 1e-6);
	}
	bringup_measure(r, "rate of 8 MiB", r->point[r->points - 1].y, "MB/s", true);
	bringup_note(r, "%.0f MB/s at 8 MiB%s", r->point[r->points - 1].y,
		     b->info.kind == SHELL_KIND_MODEL ? ", of a MODEL" : "");
	route_close(b, &route);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bringup_latency(struct bringup *b, struct bringup_result *r)
{
	enum { JOBS = 400 };
	double took[JOBS];
	struct shell_call call;

	for (int i = 0; i < JOBS; i++) {
		double begin = bringup_now();

		if (echo(b, dma_unit(b), &call))
			bringup_fail(r, "an empty job failed: %s", why(&call));
		took[i] = (bringup_now() - begin) * 1e6;
	}
	qsort(took, JOBS, sizeof(took[0]), by_value);
	r->plot = "share of jobs, us";
	for (int p = 0; p <= 20; p++)
		bringup_plot(r, p * 5, took[p == 20 ? JOBS - 1 : p * JOBS / 20]);
	bringup_measure(r, "empty job, median", took[JOBS / 2], "us", false);
	bringup_note(r, "%.0f us median, %.0f us at 99 %%%s", took[JOBS / 2], took[JOBS * 99 / 100],
		     b->info.kind == SHELL_KIND_MODEL ? ", of a MODEL" : "");
}

/* ---- kernels ---------------------------------------------------------------------------------------- */

/* A device over the card's port for the time of the test, which does not close the card. */
static void keep_open(struct shell_port *port)
{
	(void)port;
}

void bringup_kernels(struct bringup *b, struct bringup_result *r)
{
	static const struct device_ops ops = SHELL_DEVICE_OPS("card", NULL);
	struct shell_port *port = card_port(b->card);
	const struct shell_port_ops *own = port->ops;
	struct shell_port_ops lent = *own;
	struct device *device;
	char text[BRINGUP_TEXT] = "";
	int rounds = b->run == BRINGUP_QUICK ? 4 : b->run == BRINGUP_MEDIUM ? 50 : 1000;

	lent.close = keep_open;
	port->ops = &lent;
	if (shell_device_create(&ops, port, &(struct device_config){0}, &device)) {
		bringup_cannot(r, "no memory for a device");
	} else {
		for (int i = 0; i < rounds; i++)
			if (selftest(device, text, sizeof(text)))
				bringup_fail(r, "%s", text);
		device->ops->close(device);
	}
	port->ops = own;
}

/* ---- load ------------------------------------------------------------------------------------------- */

static uint32_t expected_sum(uint64_t seed)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < SHELL_BURN_ROUND; i++) {
		sum += (uint32_t)((int32_t)(int8_t)seed * (int8_t)(seed >> 8));
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
	}
	return sum;
}

static void burn(struct bringup *b, uint32_t unit, uint32_t duty, uint32_t ms,
		 struct shell_memory *report, struct bringup_result *r)
{
	const struct shell_burn args = {
		.milliseconds = ms, .duty = duty, .seed = 77, .expected = expected_sum(77)};
	struct shell_call call = {.operands = 1};

	call.operand[0] = (struct shell_extent){report, 0, sizeof(struct shell_burn_report)};
	shell_call_op(&call, SHELL_OP_BURN, &args, sizeof(args));
	card_call(b->card, unit, &call, ms + WAIT_MS);
	if (call.error)
		bringup_fail(r, "%s at a load of %u/256 failed: %s", b->info.unit[unit].name, duty,
			     why(&call));
	else if (call.value)
		bringup_fail(r, "%s at a load of %u/256: %llu rounds gave another sum",
			     b->info.unit[unit].name, duty, (unsigned long long)call.value);
}

void bringup_burn(struct bringup *b, struct bringup_result *r)
{
	static const uint32_t ms[] = {20, 500, 60000};
	struct shell_port *port = card_port(b->card);
	struct shell_memory *report;

	if (port->ops->memory_create(port, SHELL_PLACE_HOST, sizeof(struct shell_burn_report),
				     &report)) {
		bringup_cannot(r, "no memory for its report");
		return;
	}
	for (uint32_t duty = 64; duty <= 256 && r->verdict == BRINGUP_PASSED; duty += 64)
		for (uint32_t unit = 0; unit < b->info.units; unit++)
			if (b->info.unit[unit].ops >> SHELL_OP_BURN & 1)
				burn(b, unit, duty, ms[b->run], report, r);
	/* Stops by itself: what a sensor says after each step counts. */
	bringup_sensors(b, r);
	port->ops->memory_free(port, report);
}

/* ---- resets ------------------------------------------------------------------------------------------ */

void bringup_resets(struct bringup *b, struct bringup_result *r)
{
	static const int cycles[] = {5, 100, 5000};
	struct shell_port *port = card_port(b->card);
	struct shell_call call;
	double begin = bringup_now();

	for (int i = 0; i < cycles[b->run] && r->verdict == BRINGUP_PASSED; i++) {
		int err = port->ops->reset(port);

		if (err)
			bringup_fail(r, "reset %d: %s", i + 1, strerror(-err));
		for (uint32_t unit = 0; !err && unit < b->info.units; unit++)
			if (b->info.unit[unit].ops >> SHELL_OP_ECHO & 1 && echo(b, unit, &call))
				bringup_fail(r, "after reset %d a job of %s failed: %s", i + 1,
					     b->info.unit[unit].name, why(&call));
	}
	bringup_measure(r, "reset", (bringup_now() - begin) / cycles[b->run] * 1e3, "ms", false);
}
