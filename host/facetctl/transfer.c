/* SPDX-License-Identifier: Apache-2.0 */
/* gallery import, export: vectors from and to files. */
#include "host/facetctl/ctl.h"
#include "host/facetctl/stream.h"
#include "host/facetctl/vectors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LABELS = 0x100 };

struct input {
	struct ctl_input common;
	const char *arg[2];
	int count;
	const char *labels;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case KEY_LABELS:
		in->labels = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (in->count == 2)
			return ARGP_ERR_UNKNOWN;
		in->arg[in->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"labels", KEY_LABELS, "FILE", 0, "a subject a line, one for each vector", 0}, {0}};

/* ---- import --------------------------------------------------------------------------------- */
static int import(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct stream_file file;
	struct json_object *row;
	uint64_t done;
	double seconds;
	int status;

	if (stream_open(in->arg[1], in->labels, &file) != CTL_OK)
		return CTL_ERROR;
	seconds = output_now();
	status = stream_enrol(ctl, in->arg[0], &file, &done);
	seconds = output_now() - seconds;
	row = output_row_new();
	output_count(row, "vectors", (int64_t)file.vectors.count);
	output_count(row, "enrolled", (int64_t)done);
	output_number(row, "seconds", seconds, 2);
	output_number(row, "per_second", done ? (double)done / seconds : 0, 0);
	output_row(ctl->out, row);
	stream_close(&file);
	return status;
}

int cmd_gallery_import(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {options,
					 parse,
					 "NAME FILE.npy|FILE.fvecs",
					 "Enrol vectors from a file, durably, in chunks of 1,000.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.count != 2 || !in.labels)
		return ctl_error("gallery import wants NAME, FILE and --labels FILE");
	return ctl_run(ctl, true, import, &in);
}

/* ---- export --------------------------------------------------------------------------------- */
/* Appends one page; rows without originals are int8 and become floats. */
static int write_page(const struct facet_page *page, struct npy_writer *npy, FILE *labels)
{
	uint64_t values = (uint64_t)page->count * page->dim;
	float *converted = NULL;
	int error;

	if (page->type == FACET_S8) {
		converted = malloc(values * sizeof(float) + 1);
		if (!converted)
			return -ENOMEM;
		for (uint64_t i = 0; i < values; i++)
			converted[i] = ((const int8_t *)page->vectors)[i];
	}
	error = npy_append(npy, converted ? converted : page->vectors, page->count);
	for (uint32_t i = 0; !error && labels && i < page->count; i++)
		if (fprintf(labels, "%s\n", page->subjects[i]) < 0)
			error = -errno;
	free(converted);
	return error;
}

static int export_pages(struct ctl *ctl, struct input *in, struct npy_writer *npy, FILE *labels,
			uint64_t total)
{
	uint64_t cursor = 0, done = 0;
	bool more = true;

	while (more) {
		struct facet_page *page;
		int error;

		if (ctl_interrupted())
			return ctl_error("interrupted");
		if (facet_export(ctl->c, in->arg[0], cursor, 0, &page) != 0)
			return ctl_failed(ctl, "export");
		error = write_page(page, npy, labels);
		cursor = page->cursor;
		more = page->more;
		done += page->count;
		facet_free(page);
		if (error)
			return ctl_error("%s: %s", in->arg[1], strerror(-error));
		output_progress(ctl->out, "exported", done, done > total ? done : total);
	}
	output_note(ctl->out, "%" PRIu64 " templates exported", done);
	return CTL_OK;
}

static int export(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_galleries *galleries;
	struct npy_writer *npy;
	FILE *labels = NULL;
	uint64_t total;
	uint32_t dim;
	int status, error;

	if (facet_gallery_list(ctl->c, in->arg[0], &galleries) != 0)
		return ctl_failed(ctl, in->arg[0]);
	if (galleries->count != 1 || !galleries->items[0].space) {
		facet_free(galleries);
		return ctl_error("no gallery '%s' here", in->arg[0]);
	}
	total = galleries->items[0].templates;
	dim = galleries->items[0].space->dim;
	facet_free(galleries);
	if (in->labels && !(labels = fopen(in->labels, "we")))
		return ctl_error("%s: %s", in->labels, strerror(errno));
	npy = npy_create(in->arg[1], dim);
	if (!npy) {
		if (labels)
			fclose(labels);
		return ctl_error("%s: %s", in->arg[1], strerror(errno));
	}
	status = export_pages(ctl, in, npy, labels, total);
	error = npy_finish(npy);
	if (labels && fclose(labels) != 0 && !error)
		error = -errno;
	return error && !status ? ctl_error("%s: %s", in->arg[1], strerror(-error)) : status;
}

int cmd_gallery_export(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		"NAME FILE.npy",
		"Write all templates to a file (float32), and their subjects with --labels.",
		ctl_children,
		NULL,
		NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.count != 2)
		return ctl_error("gallery export wants NAME and FILE.npy");
	return ctl_run(ctl, true, export, &in);
}
