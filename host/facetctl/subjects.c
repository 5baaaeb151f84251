/* SPDX-License-Identifier: Apache-2.0 */
/* subject list, show, delete; template delete. */
#include "host/facetctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define IDS_MAX 1024

struct input {
	struct ctl_input common;
	const char *gallery, *subject;
	bool wants_ids;
	uint64_t ids[IDS_MAX];
	uint32_t id_count;
	uint64_t limit;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'n':
		in->limit = ctl_count(state, "-n", arg, 1, UINT32_MAX);
		return 0;
	case ARGP_KEY_ARG:
		if (!in->gallery)
			in->gallery = arg;
		else if (in->wants_ids && in->id_count < IDS_MAX)
			in->ids[in->id_count++] = ctl_count(state, "ID", arg, 0, INT64_MAX);
		else if (!in->wants_ids && !in->subject)
			in->subject = arg;
		else
			return ARGP_ERR_UNKNOWN;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- list ----------------------------------------------------------------------------------- */
static int list(struct ctl *ctl, void *input)
{
	struct input *in = input;
	uint64_t cursor = 0, left = in->limit ? in->limit : UINT64_MAX;
	bool more = true;

	while (more && left && !ctl_interrupted()) {
		struct facet_subjects *page;
		uint32_t ask = left < 1000 ? (uint32_t)left : 1000;

		if (facet_subject_list(ctl->c, in->gallery, cursor, ask, &page) != 0)
			return ctl_failed(ctl, in->gallery);
		for (uint32_t i = 0; i < page->count; i++) {
			struct json_object *row = output_row_new();

			output_text(row, "subject", page->items[i].subject);
			output_count(row, "templates", page->items[i].templates);
			output_row(ctl->out, row);
		}
		left -= page->count < left ? page->count : left;
		cursor = page->cursor;
		more = page->more;
		facet_free(page);
	}
	return CTL_OK;
}

int cmd_subject_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {{"count", 'n', "N", 0, "at most N", 0}, {0}};
	static const struct argp argp = {options,      parse, "GALLERY", "The gallery's subjects.",
					 ctl_children, NULL,  NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.gallery || in.subject)
		return ctl_error("subject list wants GALLERY");
	return ctl_run(ctl, false, list, &in);
}

/* ---- show ----------------------------------------------------------------------------------- */
static int show(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_subjects *found;

	if (facet_subject_show(ctl->c, in->gallery, in->subject, &found) != 0)
		return ctl_failed(ctl, in->subject);
	for (uint32_t s = 0; s < found->count; s++)
		for (uint32_t i = 0; i < found->items[s].item_count; i++) {
			const struct facet_template_info *t = &found->items[s].items[i];
			struct json_object *row = output_row_new();
			char tags[24];

			snprintf(tags, sizeof(tags), "0x%" PRIx64, t->tags);
			output_count(row, "template", (int64_t)t->id);
			output_text(row, "tags", tags);
			output_text(row, "source", t->source);
			output_count(row, "epoch", (int64_t)t->epoch);
			output_row(ctl->out, row);
		}
	facet_free(found);
	return CTL_OK;
}

int cmd_subject_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL, parse, "GALLERY SUBJECT", "One subject's templates.", ctl_children,
		NULL, NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.gallery || !in.subject)
		return ctl_error("subject show wants GALLERY and SUBJECT");
	return ctl_run(ctl, false, show, &in);
}

/* ---- delete --------------------------------------------------------------------------------- */
static int delete (struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_delete_params params = {.size = sizeof(params), .dry_run = ctl->dry_run};
	struct facet_deleted deleted = {.size = sizeof(deleted)};
	int error;

	if (in->wants_ids)
		error = facet_template_delete(ctl->c, in->gallery, in->ids, in->id_count, &params,
					      &deleted);
	else
		error = facet_subject_delete(ctl->c, in->gallery, in->subject, &params, &deleted);
	if (error)
		return ctl_failed(ctl, "delete");
	output_note(ctl->out, "%" PRIu64 " templates, %" PRIu64 " subjects %s", deleted.templates,
		    deleted.subjects, ctl->dry_run ? "would go" : "deleted");
	return CTL_OK;
}

int cmd_subject_delete(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {NULL,
					 parse,
					 "GALLERY SUBJECT",
					 "Delete a subject with all its templates.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.gallery || !in.subject)
		return ctl_error("subject delete wants GALLERY and SUBJECT");
	if (!ctl_confirm(ctl, "Delete %s from %s?", in.subject, in.gallery))
		return CTL_ERROR;
	return ctl_run(ctl, true, delete, &in);
}

int cmd_template_delete(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {NULL,
					 parse,
					 "GALLERY ID...",
					 "Delete single templates (subject show names them).",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}, .wants_ids = true};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.gallery || in.id_count == 0)
		return ctl_error("template delete wants GALLERY and at least one ID");
	if (!ctl_confirm(ctl, "Delete %u templates from %s?", in.id_count, in.gallery))
		return CTL_ERROR;
	return ctl_run(ctl, true, delete, &in);
}
