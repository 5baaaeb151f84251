/* SPDX-License-Identifier: Apache-2.0 */
/* device validate: bring-up of a card, without a daemon. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boards/bringup/bringup.h"
#include "boards/virtual/board.h"
#include "host/facetctl/ctl.h"

struct input {
	struct ctl_input common;
	const char *target, *faults, *only, *report, *baseline, *image;
	enum bringup_run run;
	int format;
	bool list;
};

static const char *const runs[] = {"quick", "medium", "long"};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'd':
		in->target = arg;
		return 0;
	case 'f':
		in->faults = arg;
		return 0;
	case 'r':
		for (in->run = BRINGUP_QUICK; in->run < BRINGUP_RUNS; in->run++)
			if (!strcmp(runs[in->run], arg))
				return 0;
		argp_error(state, "-r: quick, medium or long");
		return EINVAL;
	case 't':
		in->only = arg;
		return 0;
	case 'F':
		in->format = bringup_format_named(arg);
		if (in->format < 0)
			argp_error(state, "--format: text, json, junit, tap or html");
		return 0;
	case 'R':
		in->report = arg;
		return 0;
	case 'b':
		in->baseline = arg;
		return 0;
	case 'i':
		in->image = arg;
		return 0;
	case 'l':
		in->list = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int print_list(void)
{
	for (uint32_t i = 0; i < bringup_count; i++)
		printf("%-7s %-11s %s\n", bringup_tests[i].id, bringup_tests[i].name,
		       bringup_tests[i].what);
	return CTL_OK;
}

/* 64 hexadecimal digits. */
static bool image_of(const char *text, uint8_t image[32])
{
	if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
		return false;
	for (int i = 0; i < 32; i++) {
		const char two[3] = {text[2 * i], text[2 * i + 1], 0};

		image[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

static void progress(const struct bringup_result *r, void *user)
{
	const struct input *in = user;

	if (!in->common.ctl->quiet && isatty(2))
		fprintf(stderr, "%-7s %-11s %s\n", r->test->id, r->test->name,
			bringup_verdict_name(r->verdict));
}

/* Every format into the folder. */
static int write_reports(const struct bringup_report *report, const char *folder)
{
	if (mkdir(folder, 0777) && errno != EEXIST)
		return ctl_error("%s: %s", folder, strerror(errno));
	for (int f = 0; f < BRINGUP_FORMATS; f++) {
		char path[4096];
		FILE *out;

		snprintf(path, sizeof(path), "%s/%s", folder,
			 bringup_format_file((enum bringup_format)f));
		out = fopen(path, "w");
		if (!out)
			return ctl_error("%s: %s", path, strerror(errno));
		bringup_print(report, (enum bringup_format)f, out);
		if (fclose(out))
			return ctl_error("%s: %s", path, strerror(errno));
	}
	return CTL_OK;
}

static int validate(struct input *in, struct bringup *b)
{
	struct bringup_result *results = calloc(bringup_count, sizeof(*results));
	struct bringup_report report = {
		.bringup = b, .results = results, .target = in->target, .baseline = in->baseline};
	double begin = bringup_now();
	char text[256];
	int status = CTL_OK;

	if (!results)
		return ctl_error("out of memory");
	bringup_run(b, in->only, results);
	report.seconds = bringup_now() - begin;
	if (in->baseline && bringup_compare(results, in->baseline, text, sizeof(text)))
		status = ctl_error("%s", text);
	if (status == CTL_OK && in->report)
		status = write_reports(&report, in->report);
	bringup_print(&report, (enum bringup_format)in->format, stdout);
	if (status == CTL_OK && bringup_failed(&report))
		status = CTL_NO_MATCH;
	free(results);
	return status;
}

int cmd_device_validate(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"device", 'd', "virtual", 0, "the card: so far the virtual board", 0},
		{"fault", 'f', "FAULTS", 0, "of the virtual board (docs/virtual-board.md)", 0},
		{"run", 'r', "LENGTH", 0, "quick (seconds), medium (minutes), long (hours)", 0},
		{"test", 't', "TEST", 0, "this one only, by name or id", 0},
		{"format", 'F', "FORMAT", 0, "on the screen: text, json, junit, tap or html", 0},
		{"report", 'R', "DIR", 0, "all formats into this folder", 0},
		{"baseline", 'b', "FILE", 0,
		 "figures worse by a tenth than in this report.json fail", 0},
		{"image", 'i', "HASH", 0, "BLAKE2b-256 that the image should have", 0},
		{"list", 'l', NULL, 0, "the tests there are", 0},
		{NULL, 0, NULL, 0, NULL, 0}};
	static const struct argp argp = {options,
					 parse,
					 "",
					 "Is this card sound? A ladder of tests, from the bus "
					 "upwards; a broken rung ends it. "
					 "Exit: 0 sound, 1 a test failed, 2 it could not be run.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}, .target = "virtual"};
	struct bringup b = {.progress = progress, .user = &in};
	struct board_config config;
	char text[256] = "";

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.list)
		return print_list();
	if (in.only && !bringup_known(in.only))
		return ctl_error("no test '%s'; device validate --list has all", in.only);
	if (strcmp(in.target, "virtual") != 0)
		return ctl_error(
			"%s: only the virtual board can be reached; cards want VFIO, which is "
			"not there yet",
			in.target);
	board_config_preset(&config);
	memcpy(b.image, config.hash, sizeof(b.image));
	b.image_known = true;
	if (in.image && !image_of(in.image, b.image))
		return ctl_error("--image wants 64 hexadecimal digits");
	b.run = in.run;
	if (card_virtual_open(&config, in.faults, &b.bus, text, sizeof(text)))
		return ctl_error("%s", text);
	return validate(&in, &b);
}
