/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/bringup/bringup.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

enum {
	RUNG_BUS,
	RUNG_REGISTERS,
	RUNG_SENSORS,
	RUNG_START,
	RUNG_IRQ,
	RUNG_DMA,
	RUNG_MEMORY,
	RUNG_KERNELS,
	RUNG_LOAD,
	RUNG_RESET
};

const struct bringup_test bringup_tests[] = {
	{"FB-101", "config", "ids, class, BARs and capabilities in config space",
	 "reseat the card; is the right image loaded, does the firmware see it (lspci -vv)?",
	 RUNG_BUS, true, bringup_config},
	{"FB-102", "link", "speed and width of the link, against its best",
	 "another slot or riser; clean the contacts; look at the slot's own width", RUNG_BUS, false,
	 bringup_link},
	{"FB-201", "identity", "every register of identity makes sense",
	 "the image is not of this shell's version: load one that is", RUNG_REGISTERS, true,
	 bringup_identity},
	{"FB-202", "scratch", "what is written to a register is read back",
	 "register path of the shell, or the bus: repeat after a cold start", RUNG_REGISTERS, true,
	 bringup_scratch},
	{"FB-203", "image", "the image is the one that is expected",
	 "load the expected image, or state the hash of this one", RUNG_REGISTERS, false,
	 bringup_image},
	{"FB-301", "sensors", "each sensor is valid and within its limits",
	 "cooling and supply; let the card cool, then reset it", RUNG_SENSORS, true,
	 bringup_sensors},
	{"FB-311", "start", "it comes out of a reset and takes its rings",
	 "power-cycle the machine; look at STATUS and the error registers", RUNG_START, true,
	 bringup_start},
	{"FB-321", "vectors", "each interrupt vector arrives, once",
	 "MSI-X table or its routing: is interrupt remapping in the way?", RUNG_IRQ, false,
	 bringup_vectors},
	{"FB-322", "interrupts", "each job of each unit interrupts",
	 "the unit's interrupt is lost on the card: the image, or its timing", RUNG_IRQ, false,
	 bringup_unit_interrupts},
	{"FB-401", "dma", "copies of many sizes and places, with their data checked",
	 "data is damaged between host and bank: link errors (AER), DMA engine, first bank",
	 RUNG_DMA, false, bringup_dma},
	{"FB-402", "dma-rate", "rate of copies by size", "compare with a good card's baseline",
	 RUNG_DMA, false, bringup_dma_rate},
	{"FB-403", "latency", "time of an empty job", "compare with a good card's baseline",
	 RUNG_DMA, false, bringup_latency},
	{"FB-501", "lines", "address lines of each bank",
	 "a line is stuck or shorted: the bank's memory", RUNG_MEMORY, false, bringup_lines},
	{"FB-502", "march", "March C- over each bank", "bad cells, at the places that are listed",
	 RUNG_MEMORY, false, bringup_march},
	{"FB-503", "moving", "moving inversions over each bank",
	 "cells that disturb each other, at the places that are listed", RUNG_MEMORY, false,
	 bringup_moving},
	{"FB-504", "prbs", "random words over each bank", "memory, or its controller", RUNG_MEMORY,
	 false, bringup_prbs},
	{"FB-601", "kernels", "a product and a search, against the reference's bytes",
	 "the kernels' bits are wrong: timing, or the wrong image", RUNG_KERNELS, false,
	 bringup_kernels},
	{"FB-701", "burn", "all multipliers, in steps of load, with sensors watched",
	 "supply or cooling does not carry the load", RUNG_LOAD, false, bringup_burn},
	{"FB-801", "resets", "it works after each of some resets",
	 "the reset's handshake: the image, or the board's reset line", RUNG_RESET, false,
	 bringup_resets},
};
const uint32_t bringup_count = sizeof(bringup_tests) / sizeof(bringup_tests[0]);

/* ---- for tests ----------------------------------------------------------------------------------- */

double bringup_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The first failure is the one that is told. */
void bringup_fail(struct bringup_result *r, const char *format, ...)
{
	va_list args;

	if (r->verdict == BRINGUP_FAILED)
		return;
	r->verdict = BRINGUP_FAILED;
	r->next = r->test->remedy;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

void bringup_cannot(struct bringup_result *r, const char *format, ...)
{
	va_list args;

	r->verdict = BRINGUP_COULD_NOT_RUN;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

void bringup_note(struct bringup_result *r, const char *format, ...)
{
	va_list args;

	if (r->verdict != BRINGUP_PASSED)
		return;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

void bringup_measure(struct bringup_result *r, const char *name, double value, const char *unit,
		     bool more_is_better)
{
	struct bringup_figure *f = &r->figure[r->figures];

	if (r->figures == BRINGUP_FIGURES)
		return;
	r->figures++;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->unit, sizeof(f->unit), "%s", unit);
	f->value = value;
	f->more_is_better = more_is_better;
}

void bringup_plot(struct bringup_result *r, double x, double y)
{
	if (r->points < BRINGUP_POINTS)
		r->point[r->points++] = (struct bringup_point){x, y};
}

const char *bringup_verdict_name(enum bringup_verdict verdict)
{
	static const char *const names[] = {
		[BRINGUP_PASSED] = "passed",
		[BRINGUP_FAILED] = "FAILED",
		[BRINGUP_COULD_NOT_RUN] = "could not run",
		[BRINGUP_NOT_RUN] = "not run",
	};

	return names[verdict];
}

/* ---- the ladder ----------------------------------------------------------------------------------- */

static bool wanted(const struct bringup_test *test, const char *only)
{
	return !only || !strcmp(only, test->name) || !strcmp(only, test->id);
}

bool bringup_known(const char *only)
{
	for (uint32_t i = 0; i < bringup_count; i++)
		if (wanted(&bringup_tests[i], only))
			return true;
	return false;
}

/* Starting the card belongs to everything above it. */
static bool needed(const struct bringup_test *test, const char *only)
{
	const struct bringup_test *asked = NULL;

	for (uint32_t i = 0; only && i < bringup_count; i++)
		if (wanted(&bringup_tests[i], only))
			asked = &bringup_tests[i];
	return wanted(test, only) ||
	       (asked && asked->rung > RUNG_START &&
		(test->run == bringup_identity || test->run == bringup_start));
}

static void run_one(struct bringup *b, const struct bringup_test *test, struct bringup_result *r)
{
	double begin = bringup_now();

	r->verdict = BRINGUP_PASSED;
	test->run(b, r);
	r->seconds = bringup_now() - begin;
}

void bringup_run(struct bringup *b, const char *only, struct bringup_result *results)
{
	uint32_t broken = UINT32_MAX;

	for (uint32_t i = 0; i < bringup_count; i++) {
		const struct bringup_test *test = &bringup_tests[i];
		struct bringup_result *r = &results[i];

		*r = (struct bringup_result){.test = test, .verdict = BRINGUP_NOT_RUN};
		if (!needed(test, only))
			continue;
		if (test->rung > broken) {
			snprintf(r->text, sizeof(r->text), "a rung below is broken");
		} else {
			run_one(b, test, r);
			if (r->verdict == BRINGUP_FAILED && test->breaks && test->rung < broken)
				broken = test->rung;
		}
		if (b->progress)
			b->progress(r, b->user);
	}
	if (b->card)
		card_close(b->card);
	else if (b->bus)
		b->bus->ops->close(b->bus);
	b->card = NULL;
	b->bus = NULL;
}
