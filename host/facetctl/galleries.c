/* SPDX-License-Identifier: Apache-2.0 */
/* gallery create, list, show, delete. */
#include "host/facetctl/show.h"

#include <inttypes.h>
#include <string.h>

enum { KEY_MODEL = 0x100, KEY_DIM, KEY_METRIC, KEY_SPACE, KEY_KEEP, KEY_HOST };

struct input {
	struct ctl_input common;
	const char *name;
	struct facet_gallery_params params;
};

static error_t parse_create(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case KEY_MODEL:
		in->params.model = arg;
		return 0;
	case KEY_DIM:
		in->params.dim = (uint32_t)ctl_count(state, "--dim", arg, 1, 1024);
		return 0;
	case KEY_SPACE:
		in->params.space = arg;
		return 0;
	case KEY_METRIC:
		if (!strcmp(arg, "cosine"))
			in->params.metric = FACET_COSINE;
		else if (!strcmp(arg, "dot"))
			in->params.metric = FACET_DOT;
		else if (!strcmp(arg, "l2") || !strcmp(arg, "L2"))
			in->params.metric = FACET_L2;
		else
			argp_error(state, "--metric %s: want cosine, dot or l2", arg);
		return 0;
	case KEY_KEEP:
		if (strcmp(arg, "int8") != 0)
			argp_error(state, "--keep %s: want int8 (originals are kept otherwise)",
				   arg);
		in->params.keep_int8_only = true;
		return 0;
	case KEY_HOST:
		if (strcmp(arg, "no") != 0 && strcmp(arg, "yes") != 0)
			argp_error(state, "--host-copy %s: want yes or no", arg);
		in->params.options = strcmp(arg, "no") ? 0 : FACET_GALLERY_NO_HOST_COPY;
		return 0;
	case ARGP_KEY_ARG:
		if (in->name)
			return ARGP_ERR_UNKNOWN;
		in->name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int create(struct ctl *ctl, void *input)
{
	struct input *in = input;

	if (facet_gallery_create(ctl->c, in->name, &in->params) != 0)
		return ctl_failed(ctl, in->name);
	output_note(ctl->out, "gallery %s made", in->name);
	return CTL_OK;
}

int cmd_gallery_create(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"model", KEY_MODEL, "MODEL", 0,
		 "the space is this model's: photos can be enrolled", 0},
		{"dim", KEY_DIM, "D", 0, "for bare vectors: their dimension", 0},
		{"metric", KEY_METRIC, "M", 0, "for bare vectors: cosine, dot or l2", 0},
		{"space", KEY_SPACE, "NAME", 0, "for bare vectors: what made them", 0},
		{"keep", KEY_KEEP, "int8", 0, "do not keep the float16 originals (saves disk)", 0},
		{"host-copy", KEY_HOST, "yes|no", 0,
		 "no: its rows leave the host's memory once devices have them (saves memory)", 0},
		{0},
	};
	static const struct argp argp = {
		options,      parse_create,
		"NAME",	      "Make a gallery, for a model's templates or bare vectors.",
		ctl_children, NULL,
		NULL};
	struct input in = {.common = {ctl}, .params = {.size = sizeof(in.params)}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.name || !in.params.model == !in.params.dim)
		return ctl_error("gallery create wants NAME and either --model MODEL or --dim D");
	return ctl_run(ctl, true, create, &in);
}

/* ---- list, show ----------------------------------------------------------------------------- */
static int list(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_galleries *galleries;
	bool found;

	if (facet_gallery_list(ctl->c, in->name, &galleries) != 0)
		return ctl_failed(ctl, "gallery list");
	found = galleries->count > 0;
	for (uint32_t i = 0; i < galleries->count; i++)
		output_row(ctl->out, show_gallery(&galleries->items[i], in->name != NULL));
	facet_free(galleries);
	return found || !in->name ? CTL_OK : ctl_error("no gallery '%s' here", in->name);
}

int cmd_gallery_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_create, "",	 "The galleries this user may see.",
		ctl_children, NULL,	    NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.name)
		return ctl_error("gallery list takes no name; gallery show NAME does");
	return ctl_run(ctl, false, list, &in);
}

int cmd_gallery_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_create, "NAME", "One gallery: state, size, space, thresholds.",
		ctl_children, NULL,	    NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.name)
		return ctl_error("gallery show wants NAME");
	return ctl_run(ctl, true, list, &in);
}

/* ---- delete --------------------------------------------------------------------------------- */
static int delete (struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_delete_params params = {.size = sizeof(params), .dry_run = ctl->dry_run};
	struct facet_deleted deleted = {.size = sizeof(deleted)};

	if (facet_gallery_delete(ctl->c, in->name, &params, &deleted) != 0)
		return ctl_failed(ctl, in->name);
	output_note(ctl->out, "gallery %s %s: %" PRIu64 " templates of %" PRIu64 " subjects",
		    in->name, ctl->dry_run ? "would go" : "deleted", deleted.templates,
		    deleted.subjects);
	return CTL_OK;
}

int cmd_gallery_delete(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_create, "NAME", "Remove a gallery and all its templates.",
		ctl_children, NULL,	    NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.name)
		return ctl_error("gallery delete wants NAME");
	if (!ctl_confirm(ctl, "Delete gallery %s with all its templates?", in.name))
		return CTL_ERROR;
	return ctl_run(ctl, true, delete, &in);
}
