/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bring-up: is this card sound? A ladder of tests that begins before any driver works: the bus, the
 * registers, sensors, interrupts, DMA, memory, kernels, load, resets. A rung that is broken ends it
 * where what stands on it would fail for no reason of its own.
 */
#ifndef FACET_BOARDS_BRINGUP_H
#define FACET_BOARDS_BRINGUP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/device/card.h"

#define BRINGUP_TEXT	240
#define BRINGUP_POINTS	32
#define BRINGUP_FIGURES 16

enum bringup_run { BRINGUP_QUICK, BRINGUP_MEDIUM, BRINGUP_LONG, BRINGUP_RUNS };

enum bringup_verdict {
	BRINGUP_PASSED,
	BRINGUP_FAILED,
	BRINGUP_COULD_NOT_RUN, /* something that the test needs is not there: says nothing of the card */
	BRINGUP_NOT_RUN,       /* a rung below is broken, or nobody asked for it */
};

/* A measured value, in words that stay the same from run to run. */
struct bringup_figure {
	char name[40], unit[12];
	double value;
	bool more_is_better;
};

struct bringup_point {
	double x, y;
};

struct bringup_result {
	const struct bringup_test *test;
	enum bringup_verdict verdict;
	char text[BRINGUP_TEXT]; /* what is wrong, or was seen */
	const char *next;	 /* what to do about it */
	double seconds;
	struct bringup_figure figure[BRINGUP_FIGURES];
	uint32_t figures;
	struct bringup_point point[BRINGUP_POINTS]; /* of a plot */
	uint32_t points;
	const char *plot; /* its axes: "bytes, MB/s"; NULL: none */
};

/* What is tested, and what is expected of it. */
struct bringup {
	struct card_bus *bus;
	struct card *card; /* from the rung on that starts it */
	struct card_info info;
	enum bringup_run run;
	uint8_t image[32]; /* the hash that its image should have */
	bool image_known;
	void (*progress)(const struct bringup_result *result, void *user);
	void *user;
};

struct bringup_test {
	const char *id;	    /* stable: FB-102 */
	const char *name;   /* for -t: link */
	const char *what;   /* a line for people */
	const char *remedy; /* when it fails */
	uint32_t rung;
	bool breaks; /* what stands above would fail for no reason of its own */
	void (*run)(struct bringup *b, struct bringup_result *r);
};

extern const struct bringup_test bringup_tests[];
extern const uint32_t bringup_count;

/* Runs the ladder, or of it the tests of that name or id (only, NULL: all); results: [bringup_count]. Takes
 * the bus. */
void bringup_run(struct bringup *b, const char *only, struct bringup_result *results);
bool bringup_known(const char *only);
const char *bringup_verdict_name(enum bringup_verdict verdict);

/* For tests: a verdict with its text; figures and points. */
void bringup_fail(struct bringup_result *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bringup_cannot(struct bringup_result *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bringup_note(struct bringup_result *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bringup_measure(struct bringup_result *r, const char *name, double value, const char *unit,
		     bool more_is_better);
void bringup_plot(struct bringup_result *r, double x, double y);
double bringup_now(void);

/* bus.c, jobs.c, memory.c */
void bringup_config(struct bringup *b, struct bringup_result *r);
void bringup_link(struct bringup *b, struct bringup_result *r);
void bringup_identity(struct bringup *b, struct bringup_result *r);
void bringup_scratch(struct bringup *b, struct bringup_result *r);
void bringup_image(struct bringup *b, struct bringup_result *r);
void bringup_sensors(struct bringup *b, struct bringup_result *r);
void bringup_start(struct bringup *b, struct bringup_result *r);
void bringup_vectors(struct bringup *b, struct bringup_result *r);
void bringup_unit_interrupts(struct bringup *b, struct bringup_result *r);
void bringup_dma(struct bringup *b, struct bringup_result *r);
void bringup_dma_rate(struct bringup *b, struct bringup_result *r);
void bringup_latency(struct bringup *b, struct bringup_result *r);
void bringup_lines(struct bringup *b, struct bringup_result *r);
void bringup_march(struct bringup *b, struct bringup_result *r);
void bringup_moving(struct bringup *b, struct bringup_result *r);
void bringup_prbs(struct bringup *b, struct bringup_result *r);
void bringup_kernels(struct bringup *b, struct bringup_result *r);
void bringup_burn(struct bringup *b, struct bringup_result *r);
void bringup_resets(struct bringup *b, struct bringup_result *r);

/* ---- reports (report*.c) ------------------------------------------------------------------------- */
struct bringup_report {
	const struct bringup *bringup;
	const struct bringup_result *results;
	const char *target;
	double seconds;
	const char *baseline; /* file it is compared with, or NULL */
};

enum bringup_format {
	BRINGUP_AS_TEXT,
	BRINGUP_AS_JSON,
	BRINGUP_AS_JUNIT,
	BRINGUP_AS_TAP,
	BRINGUP_AS_HTML,
	BRINGUP_FORMATS
};

int bringup_format_named(const char *name);		     /* -1: none */
const char *bringup_format_file(enum bringup_format format); /* report.html ... */
void bringup_print(const struct bringup_report *report, enum bringup_format format, FILE *out);
/* Did a test fail? */
bool bringup_failed(const struct bringup_report *report);
/* Figures of an earlier run (its JSON): those that are worse by more than a tenth fail their test. 0, or
 * -errno after writing to text. */
int bringup_compare(struct bringup_result *results, const char *path, char *text, size_t bytes);

#endif
