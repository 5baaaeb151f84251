/* SPDX-License-Identifier: Apache-2.0 */
/* device virtual: a machine with the virtual board and the kernel driver, for who works on these. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/facetctl/ctl.h"

#define WORDS_MAX 64 /* of the command that is run */

struct input {
	struct ctl_input common;
	const char *kernel, *faults, *memory;
	char **command;
	int words;
};

static const char *const kernels[] = {"um", "6.1", "6.12", "kasan"};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'k':
		for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
			if (!strcmp(kernels[i], arg))
				in->kernel = kernels[i];
		if (in->kernel && !strcmp(in->kernel, arg))
			return 0;
		argp_error(state, "--kernel: um, 6.1, 6.12 or kasan");
		return EINVAL;
	case 'f':
		in->faults = arg;
		return 0;
	case 'm':
		if (!*arg || strspn(arg, "0123456789") != strlen(arg))
			argp_error(state, "--memory: a number of MiB");
		in->memory = arg;
		return 0;
	case ARGP_KEY_ARGS:
		in->command = state->argv + state->next;
		in->words = state->argc - state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The script of Facet's sources that runs such a machine: below FACET_SOURCE, else of the tree that this
 * program was built in, else of this folder's. */
static bool find_script(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *source = getenv("FACET_SOURCE");
	const char *trees[] = {source ? source : "", n > 0 ? dirname(dirname(self)) : "", "."};

	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		if (!trees[i][0])
			continue;
		if (snprintf(path, PATH_MAX, "%s/tests/vm/%s", trees[i], name) < PATH_MAX &&
		    !access(path, X_OK))
			return true;
	}
	return false;
}

static int run(const struct input *in)
{
	bool um = !strcmp(in->kernel, "um");
	const char *name = um ? "um-run" : "qemu-run", *words[WORDS_MAX + 16];
	char path[PATH_MAX];
	int n = 0;

	if (!find_script(name, path))
		return ctl_error("this needs Facet's sources: set FACET_SOURCE to their folder, or "
				 "run it there");
	words[n++] = path;
	words[n++] = "-t";
	words[n++] = "0";
	if (!um) {
		words[n++] = "-K";
		words[n++] = in->kernel;
	} else if (!in->words) {
		words[n++] = "-i";
	}
	if (in->faults) {
		words[n++] = "-f";
		words[n++] = in->faults;
	}
	if (in->memory) {
		words[n++] = "-m";
		words[n++] = in->memory;
	}
	words[n++] = "--";
	for (int i = 0; i < in->words; i++)
		words[n++] = in->command[i];
	if (!in->words)
		words[n++] = "/bin/bash";
	words[n] = NULL;
	execv(path, (char **)words);
	return ctl_error("%s: %s", path, strerror(errno));
}

int cmd_device_virtual(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"kernel", 'k', "KERNEL", 0,
		 "um (the default: User-Mode Linux with KASAN and lockdep), 6.1 or 6.12 (Debian's, "
		 "under QEMU), kasan (under QEMU, two processors wanted)",
		 0},
		{"fault", 'f', "FAULTS", 0, "of the board, from the start (docs/virtual-board.md)",
		 0},
		{"memory", 'm', "MIB", 0, "of the machine", 0},
		{NULL, 0, NULL, 0, NULL, 0}};
	static const struct argp argp = {
		options,
		parse,
		"[-- COMMAND...]",
		"A machine with the virtual board on its PCI bus and "
		"facet.ko loaded, as root: a shell, or COMMAND. "
		"It sees this machine's files, and writes none. Commands for "
		"the board go into $FACET_RUN/board/command, answers come in "
		"$FACET_RUN/board/answer. Works from Facet's sources; the "
		"first time it builds a kernel (some minutes).",
		ctl_children,
		NULL,
		NULL};
	struct input in = {.common = {ctl}, .kernel = "um"};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (in.words > WORDS_MAX)
		return ctl_error("at most %d words of a command", WORDS_MAX);
	if (!in.words && strcmp(in.kernel, "um") != 0)
		return ctl_error("under QEMU a command is needed: -- COMMAND...");
	if (!in.words && !isatty(0))
		return ctl_error("a shell needs a terminal; or give a command: -- COMMAND...");
	return run(&in);
}
