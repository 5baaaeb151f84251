/* SPDX-License-Identifier: Apache-2.0 */
/* device list, show, drain, enable, reset, remove. */
#include <string.h>
#include <time.h>

#include "host/facetctl/ctl.h"

struct input {
	struct ctl_input common;
	const char *name;
	enum facet_device_action action;
};

static error_t parse_name(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
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

static struct json_object *row_of(const struct facet_device *d)
{
	struct json_object *row = output_row_new();

	output_text(row, "name", d->name);
	output_text(row, "kind", d->kind);
	output_text(row, "state", d->state);
	output_count(row, "copies", d->copy_count);
	output_count(row, "models", d->model_count);
	output_count(row, "batches", (int64_t)d->batches);
	output_count(row, "failed", (int64_t)d->failed);
	output_number(row, "busy_s", (double)d->busy_ns / 1e9, 1);
	output_text(row, "hardware", d->text[0] ? d->text : d->hardware);
	return row;
}

static void show_copies(struct json_object *row, const struct facet_device *d)
{
	for (uint32_t i = 0; i < d->copy_count; i++) {
		const struct facet_device_copy *copy = &d->copies[i];
		char key[80], line[96];

		snprintf(key, sizeof(key), "gallery %s", copy->gallery);
		snprintf(line, sizeof(line), "rows %llu to %llu, %s",
			 (unsigned long long)copy->row_begin, (unsigned long long)copy->row_end,
			 copy->current ? "current" : "loading");
		output_text(row, key, line);
	}
}

static void show_models(struct json_object *row, const struct facet_device *d)
{
	for (uint32_t i = 0; i < d->model_count; i++) {
		const struct facet_device_model *model = &d->models[i];
		char key[80], line[96];

		snprintf(key, sizeof(key), "model %s", model->model);
		snprintf(line, sizeof(line), "%u of its %u ops, %.1f MiB", model->ops, model->of,
			 (double)model->bytes / 1048576);
		output_text(row, key, line);
	}
}

static struct json_object *whole_row(const struct facet_device *d)
{
	struct json_object *row = output_row_new();

	output_text(row, "name", d->name);
	output_text(row, "kind", d->kind);
	output_text(row, "state", d->state);
	if (d->text[0])
		output_text(row, "reason", d->text);
	output_flag(row, "works", d->works);
	output_text(row, "hardware", d->hardware);
	output_text(row, "detail", d->detail);
	output_count(row, "batches", (int64_t)d->batches);
	output_count(row, "failed", (int64_t)d->failed);
	output_count(row, "repeated", (int64_t)d->repeated);
	output_count(row, "resets", (int64_t)d->resets);
	output_number(row, "busy_s", (double)d->busy_ns / 1e9, 3);
	output_count(row, "queued", d->queued);
	output_count(row, "memory_mib", (int64_t)(d->memory_bytes >> 20));
	output_count(row, "used_mib", (int64_t)(d->memory_used >> 20));
	output_count(row, "checked", (int64_t)d->checks);
	output_count(row, "wrong", (int64_t)d->mismatches);
	output_count(row, "bytes_up", (int64_t)d->bytes_up);
	output_count(row, "bytes_down", (int64_t)d->bytes_down);
	output_count(row, "bytes_direct", (int64_t)d->bytes_direct);
	show_copies(row, d);
	show_models(row, d);
	return row;
}

static int list(struct ctl *ctl, void *input)
{
	const struct input *in = input;
	struct facet_devices *devices;

	if (facet_device_list(ctl->c, in->name, &devices) != 0)
		return ctl_failed(ctl, in->name ? in->name : "device list");
	for (uint32_t i = 0; i < devices->count; i++)
		output_row(ctl->out,
			   in->name ? whole_row(&devices->items[i]) : row_of(&devices->items[i]));
	facet_free(devices);
	return CTL_OK;
}

int cmd_device_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {NULL,	       parse_name, "",	"The daemon's devices.",
					 ctl_children, NULL,	   NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.name)
		return ctl_error("device list takes no name; device show NAME does");
	return ctl_run(ctl, false, list, &in);
}

int cmd_device_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_name,
		"NAME",	      "One device: state, counters, galleries and models on it.",
		ctl_children, NULL,
		NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.name)
		return ctl_error("device show wants one NAME");
	return ctl_run(ctl, true, list, &in);
}

/* ---- changes: they are started, then watched -------------------------------------------------- */
static const struct change {
	const char *verb, *what, *until[6]; /* states in which it is over */
	bool destroys;
} changes[] = {
	[FACET_DEVICE_DRAIN] = {"drain",
				"Give a device no more work; its galleries move.",
				{"drained"},
				false},
	[FACET_DEVICE_ENABLE] = {"enable",
				 "Let a device work again, or open it again.",
				 {"ok", "suspect", "absent", "quarantined", "dead"},
				 false},
	[FACET_DEVICE_RESET] = {"reset",
				"Reset a device; what it works on is done elsewhere.",
				{"ok", "lost", "quarantined", "dead", "drained"},
				true},
	[FACET_DEVICE_REMOVE] = {"remove",
				 "Drain and close a device, so that it can be taken out.",
				 {"removed"},
				 true},
};

static bool is_over(const struct change *change, const char *state)
{
	for (size_t i = 0; i < 6 && change->until[i]; i++)
		if (!strcmp(change->until[i], state))
			return true;
	return false;
}

static bool ended_well(enum facet_device_action action, const struct facet_device *d)
{
	return action == FACET_DEVICE_DRAIN || action == FACET_DEVICE_REMOVE ||
	       !strcmp(d->state, "ok") || !strcmp(d->state, "drained");
}

static int wait_for(struct ctl *ctl, const struct input *in)
{
	const struct change *change = &changes[in->action];
	struct facet_devices *devices;
	int status = CTL_OK;

	for (;;) {
		if (facet_device_list(ctl->c, in->name, &devices) != 0)
			return ctl_failed(ctl, in->name);
		if (is_over(change, devices->items[0].state) || ctl_interrupted())
			break;
		facet_free(devices);
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	output_row(ctl->out, row_of(&devices->items[0]));
	if (!ended_well(in->action, &devices->items[0]))
		status = ctl_error("%s is %s: %s", in->name, devices->items[0].state,
				   devices->items[0].text);
	facet_free(devices);
	return status;
}

static int run_change(struct ctl *ctl, void *input)
{
	const struct input *in = input;

	if (facet_device_change(ctl->c, in->name, in->action, NULL) != 0)
		return ctl_failed(ctl, in->name);
	return wait_for(ctl, in);
}

static int cmd_change(struct ctl *ctl, int argc, char **argv, enum facet_device_action action)
{
	const struct change *change = &changes[action];
	const struct argp argp = {NULL, parse_name, "NAME", change->what, ctl_children, NULL, NULL};
	struct input in = {.common = {ctl}, .action = action};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.name)
		return ctl_error("device %s wants one NAME", change->verb);
	if (change->destroys && !ctl_confirm(ctl, "%s device %s?", change->verb, in.name))
		return CTL_ERROR;
	return ctl_run(ctl, true, run_change, &in);
}

int cmd_device_drain(struct ctl *ctl, int argc, char **argv)
{
	return cmd_change(ctl, argc, argv, FACET_DEVICE_DRAIN);
}

int cmd_device_enable(struct ctl *ctl, int argc, char **argv)
{
	return cmd_change(ctl, argc, argv, FACET_DEVICE_ENABLE);
}

int cmd_device_reset(struct ctl *ctl, int argc, char **argv)
{
	return cmd_change(ctl, argc, argv, FACET_DEVICE_RESET);
}

int cmd_device_remove(struct ctl *ctl, int argc, char **argv)
{
	return cmd_change(ctl, argc, argv, FACET_DEVICE_REMOVE);
}
