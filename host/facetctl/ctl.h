/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all commands of facetctl share: global options, the connection, errors, exit codes.
 *
 * A command is a function of struct ctl and its own arguments; it returns an exit code. Its argp
 * has ctl_argp as child, so the global options are taken anywhere on the line.
 */
#ifndef FACET_FACETCTL_CTL_H
#define FACET_FACETCTL_CTL_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "host/facetctl/output.h"
#include "host/libfacet/facet.h"

enum { CTL_OK = 0, CTL_NO_MATCH = 1, CTL_ERROR = 2 };

struct ctl {
	const char *socket;
	enum output_format format;
	double timeout; /* seconds, 0: none */
	uint64_t trace; /* 0: none */
	bool quiet, yes, dry_run;
	bool takes_file; /* compile: an -o that is no format names the file to write */
	const char *file;
	struct facet *c; /* after ctl_connect() */
	struct output *out;
};

/* Parses a command's line; arguments that are no options go to its parser as ARGP_KEY_ARG. input is
 * the command's own; opens ctl->out. */
void ctl_parse(struct ctl *ctl, const struct argp *argp, int argc, char **argv, void *input);
extern const struct argp ctl_argp;
extern const struct argp_child ctl_children[]; /* for a command's argp.children */
/* Its input: what a command's parser does at ARGP_KEY_INIT. */
#define CTL_INIT(state) ((state)->child_inputs[0] = ((struct ctl_input *)(state)->input)->ctl)

/* Every command's own input begins with this. */
struct ctl_input {
	struct ctl *ctl;
};

/* Connects with the global options. 0, or CTL_ERROR after printing why. */
int ctl_connect(struct ctl *ctl);
/* The usual course of a command: connect, work, print, close. single as of output_finish(). */
int ctl_run(struct ctl *ctl, bool single, int (*work)(struct ctl *ctl, void *input), void *input);
/* Prints and closes, for commands with a course of their own; returns status. */
int ctl_end(struct ctl *ctl, bool single, int status);
/* Prints a failed call's error, and what to do; returns CTL_ERROR. */
int ctl_failed(const struct ctl *ctl, const char *what);
/* "facetctl: " and a line; returns CTL_ERROR. */
int ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A destructive command may go on: --yes, or the person says y on a terminal. */
bool ctl_confirm(const struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Set by the first SIGINT or SIGTERM; long work looks at it. The second one ends the process. */
bool ctl_interrupted(void);

/* A whole command line argument as a number within bounds, else argp's usage error. */
uint64_t ctl_count(struct argp_state *state, const char *option, const char *text, uint64_t low,
		   uint64_t high);
double ctl_real(struct argp_state *state, const char *option, const char *text);

typedef int (*ctl_command)(struct ctl *ctl, int argc, char **argv);

int cmd_ping(struct ctl *ctl, int argc, char **argv);
int cmd_ready(struct ctl *ctl, int argc, char **argv);
int cmd_info(struct ctl *ctl, int argc, char **argv);
int cmd_top(struct ctl *ctl, int argc, char **argv);
int cmd_doctor(struct ctl *ctl, int argc, char **argv);
int cmd_monitor(struct ctl *ctl, int argc, char **argv);
int cmd_compile(struct ctl *ctl, int argc, char **argv);
int cmd_model_create(struct ctl *ctl, int argc, char **argv);
int cmd_model_list(struct ctl *ctl, int argc, char **argv);
int cmd_model_show(struct ctl *ctl, int argc, char **argv);
int cmd_model_delete(struct ctl *ctl, int argc, char **argv);
int cmd_gallery_create(struct ctl *ctl, int argc, char **argv);
int cmd_gallery_list(struct ctl *ctl, int argc, char **argv);
int cmd_gallery_show(struct ctl *ctl, int argc, char **argv);
int cmd_gallery_delete(struct ctl *ctl, int argc, char **argv);
int cmd_gallery_export(struct ctl *ctl, int argc, char **argv);
int cmd_gallery_import(struct ctl *ctl, int argc, char **argv);
int cmd_enrol(struct ctl *ctl, int argc, char **argv);
int cmd_identify(struct ctl *ctl, int argc, char **argv);
int cmd_verify(struct ctl *ctl, int argc, char **argv);
int cmd_compare(struct ctl *ctl, int argc, char **argv);
int cmd_subject_list(struct ctl *ctl, int argc, char **argv);
int cmd_subject_show(struct ctl *ctl, int argc, char **argv);
int cmd_subject_delete(struct ctl *ctl, int argc, char **argv);
int cmd_template_delete(struct ctl *ctl, int argc, char **argv);
int cmd_plan(struct ctl *ctl, int argc, char **argv);
int cmd_device_validate(struct ctl *ctl, int argc, char **argv);
int cmd_device_virtual(struct ctl *ctl, int argc, char **argv);
int cmd_device_list(struct ctl *ctl, int argc, char **argv);
int cmd_device_show(struct ctl *ctl, int argc, char **argv);
int cmd_device_drain(struct ctl *ctl, int argc, char **argv);
int cmd_device_enable(struct ctl *ctl, int argc, char **argv);
int cmd_device_reset(struct ctl *ctl, int argc, char **argv);
int cmd_device_remove(struct ctl *ctl, int argc, char **argv);
int cmd_evaluate(struct ctl *ctl, int argc, char **argv);
int cmd_bench(struct ctl *ctl, int argc, char **argv);

#endif
