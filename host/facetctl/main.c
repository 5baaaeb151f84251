/* SPDX-License-Identifier: Apache-2.0 */
/* facetctl: the command line. Finds the command of a line and runs it. */
#include "host/facetctl/ctl.h"

#include <stdio.h>
#include <string.h>

static const struct command {
	const char *noun, *verb; /* verb NULL: a hot verb at the top */
	ctl_command run;
	const char *arguments, *what;
} commands[] = {
	{"ping", NULL, cmd_ping, "", "echo through the daemon's whole job path"},
	{"ready", NULL, cmd_ready, "[GALLERY]", "exit 0 when it serves, 1 while it loads"},
	{"info", NULL, cmd_info, "", "version, devices, queues, galleries, models"},
	{"top", NULL, cmd_top, "", "devices, tenants, requests: rates, refreshed"},
	{"monitor", NULL, cmd_monitor, "", "rates and queues, refreshed every second"},
	{"doctor", NULL, cmd_doctor, "", "what this machine has and lacks: cause and remedy"},
	{"plan", NULL, cmd_plan, "--board u55c --gallery ROWS [--rate QPS] [--p99 20ms]",
	 "boards that a gallery wants (a model)"},
	{"compile", NULL, cmd_compile, "NET.onnx -o NET.fct --calibrate DIR", "quantize a network"},
	{"model", "create", cmd_model_create, "NAME NET.fct", "load a compiled network"},
	{"model", "list", cmd_model_list, "", "all models"},
	{"model", "show", cmd_model_show, "NAME", "one model: tensors, space, thresholds"},
	{"model", "delete", cmd_model_delete, "NAME", "unload and remove it"},
	{"gallery", "create", cmd_gallery_create, "NAME --model MODEL | --dim D", "make a gallery"},
	{"gallery", "list", cmd_gallery_list, "", "all galleries"},
	{"gallery", "show", cmd_gallery_show, "NAME", "one gallery"},
	{"gallery", "delete", cmd_gallery_delete, "NAME", "remove it with all its templates"},
	{"gallery", "export", cmd_gallery_export, "NAME FILE.npy --labels FILE", "write templates"},
	{"gallery", "import", cmd_gallery_import, "NAME FILE.npy|.fvecs --labels FILE",
	 "enrol vectors from a file"},
	{"enrol", NULL, cmd_enrol, "GALLERY DIR|--vectors FILE", "photos: subject = folder name"},
	{"enroll", NULL, cmd_enrol, NULL, NULL},
	{"identify", NULL, cmd_identify, "GALLERY PHOTO...|--vectors FILE", "who is it? (1:N)"},
	{"verify", NULL, cmd_verify, "GALLERY SUBJECT PHOTO", "is it this subject? (1:1)"},
	{"compare", NULL, cmd_compare, "PHOTO PHOTO --model MODEL",
	 "are these two the same person?"},
	{"subject", "list", cmd_subject_list, "GALLERY", "subjects and their templates"},
	{"subject", "show", cmd_subject_show, "GALLERY SUBJECT", "one subject's templates"},
	{"subject", "delete", cmd_subject_delete, "GALLERY SUBJECT", "delete all its templates"},
	{"template", "delete", cmd_template_delete, "GALLERY ID...", "delete single templates"},
	{"device", "list", cmd_device_list, "", "all devices"},
	{"device", "show", cmd_device_show, "NAME", "one device: state, counters, galleries on it"},
	{"device", "drain", cmd_device_drain, "NAME", "no more work for it; its galleries move"},
	{"device", "enable", cmd_device_enable, "NAME", "work again, or open it again"},
	{"device", "reset", cmd_device_reset, "NAME", "reset it"},
	{"device", "remove", cmd_device_remove, "NAME", "drain and close it"},
	{"device", "validate", cmd_device_validate, "[-r quick|medium|long] [--report DIR]",
	 "bring-up: is this card sound?"},
	{"device", "virtual", cmd_device_virtual, "[-k KERNEL] [-f FAULTS] [-- COMMAND...]",
	 "a machine with the virtual board and the driver"},
	{"bringup", NULL, cmd_device_validate, NULL, NULL},
	{"evaluate", NULL, cmd_evaluate, "DIR [--model MODEL] [--pairs FILE]",
	 "TAR at FAR, rank-1, thresholds"},
	{"bench", NULL, cmd_bench, "search|gemm|conv|model|echo|enrol", "measure the service"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
	fputs("Usage: facetctl COMMAND [ARGUMENT...] [OPTION...]\n\n", to);
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		char line[128];

		if (!c->what)
			continue;
		snprintf(line, sizeof(line), "%s%s%s %s", c->noun, c->verb ? " " : "",
			 c->verb ? c->verb : "", c->arguments);
		fprintf(to, "  %-50s %s\n", line, c->what);
	}
	fputs("\nEverywhere: -s SOCKET (or FACET_SOCKET), -o table|json|jsonl, --timeout SECONDS,\n"
	      "--trace HEX (the trace id in the daemon's log),\n"
	      "--quiet; what destroys asks first, or takes --yes, and has --dry-run.\n"
	      "Exit: 0 match or done, 1 no match, 2 error. facetctl COMMAND --help says more.\n",
	      to);
}

/* Words of the line that name the command: 1, 2, or 0 when there is no such command. */
static int find_command(int argc, char **argv, const struct command **found)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(argv[1], c->noun) != 0)
			continue;
		if (c->verb && (argc < 3 || strcmp(argv[2], c->verb) != 0))
			continue;
		*found = c;
		return c->verb ? 2 : 1;
	}
	return 0;
}

/* A noun that exists, with a verb that does not: say which it has. */
static void print_verbs(const char *noun)
{
	bool first = true;

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].noun, noun) != 0 || !commands[i].verb)
			continue;
		fprintf(stderr, "%s%s", first ? "; it has: " : ", ", commands[i].verb);
		first = false;
	}
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	const struct command *command;
	char name[64];
	int words, status;

	argp_err_exit_status = CTL_ERROR;
	if (argc < 2) {
		print_help(stderr);
		return CTL_ERROR;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return CTL_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("facetctl " FACET_VERSION);
		return CTL_OK;
	}
	words = find_command(argc, argv, &command);
	if (!words) {
		fprintf(stderr, "facetctl: no command '%s%s%s'", argv[1], argc > 2 ? " " : "",
			argc > 2 ? argv[2] : "");
		print_verbs(argv[1]);
		fputs("; facetctl --help lists all\n", stderr);
		return CTL_ERROR;
	}
	snprintf(name, sizeof(name), "facetctl %s%s%s", command->noun, command->verb ? " " : "",
		 command->verb ? command->verb : "");
	argv[words] = name;
	status = command->run(&ctl, argc - words, argv + words);
	output_free(ctl.out); /* of a line refused before it ran */
	return status;
}
