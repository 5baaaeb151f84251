/* SPDX-License-Identifier: Apache-2.0 */
/* model create, list, show, delete. */
#include "host/facetctl/show.h"

struct input {
	struct ctl_input common;
	const char *arg[2];
	int count;
};

static error_t parse_names(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
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

static int list_rows(struct ctl *ctl, const struct facet_models *models, bool whole)
{
	for (uint32_t i = 0; i < models->count; i++)
		output_row(ctl->out, show_model(&models->items[i], whole));
	return CTL_OK;
}

static int create(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_models *models = NULL;

	if (facet_model_create(ctl->c, in->arg[0], in->arg[1], &models) != 0)
		return ctl_failed(ctl, in->arg[1]);
	list_rows(ctl, models, true);
	facet_free(models);
	return CTL_OK;
}

int cmd_model_create(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {NULL,
					 parse_names,
					 "NAME NET.fct",
					 "Load a compiled network into the daemon, for good.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.count != 2)
		return ctl_error(
			"model create wants NAME and NET.fct (facetctl compile makes one)");
	return ctl_run(ctl, true, create, &in);
}

static int list(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_models *models;

	if (facet_model_list(ctl->c, in->arg[0], &models) != 0)
		return ctl_failed(ctl, "model list");
	if (in->arg[0] && models->count == 0) {
		facet_free(models);
		return ctl_error("no model '%s' here", in->arg[0]);
	}
	list_rows(ctl, models, in->arg[0] != NULL);
	facet_free(models);
	return CTL_OK;
}

int cmd_model_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {NULL,	       parse_names, "",	 "The daemon's models.",
					 ctl_children, NULL,	    NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.count != 0)
		return ctl_error("model list takes no name; model show NAME does");
	return ctl_run(ctl, false, list, &in);
}

int cmd_model_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_names, "NAME", "One model: tensors, digests, thresholds.",
		ctl_children, NULL,	   NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.count != 1)
		return ctl_error("model show wants one NAME");
	return ctl_run(ctl, true, list, &in);
}

static int delete (struct ctl *ctl, void *input)
{
	struct input *in = input;

	if (facet_model_delete(ctl->c, in->arg[0], ctl->dry_run) != 0)
		return ctl_failed(ctl, in->arg[0]);
	output_note(ctl->out, "model %s %s", in->arg[0], ctl->dry_run ? "would go" : "deleted");
	return CTL_OK;
}

int cmd_model_delete(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_names, "NAME", "Remove a model that no gallery uses.",
		ctl_children, NULL,	   NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.count != 1)
		return ctl_error("model delete wants one NAME");
	if (!ctl_confirm(ctl, "Delete model %s?", in.arg[0]))
		return CTL_ERROR;
	return ctl_run(ctl, true, delete, &in);
}
