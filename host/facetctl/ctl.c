/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_TIMEOUT = 0x1000, KEY_YES, KEY_DRY_RUN, KEY_TRACE };

static const struct argp_option options[] = {
	{"socket", 's', "PATH", 0, "the daemon's socket (FACET_SOCKET)", -2},
	{"output", 'o', "FORMAT", 0, "table, json or jsonl", -2},
	{"timeout", KEY_TIMEOUT, "SECONDS", 0, "give up after that long", -2},
	{"trace", KEY_TRACE, "HEX", 0, "the trace id of its calls, in the daemon's log", -2},
	{"quiet", 'q', NULL, 0, "no progress, no notes", -2},
	{"yes", KEY_YES, NULL, 0, "do not ask", -2},
	{"dry-run", KEY_DRY_RUN, NULL, 0, "only say what would be done", -2},
	{0},
};

static int parse_format(struct ctl *ctl, const char *text)
{
	static const char *const names[] = {"table", "json", "jsonl"};

	for (unsigned int i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			ctl->format = (enum output_format)i;
			return 0;
		}
	if (!ctl->takes_file)
		return -EINVAL;
	ctl->file = text;
	return 0;
}

/* 1 to 16 hexadecimal digits, as the log has them. */
static int parse_trace(struct ctl *ctl, const char *text)
{
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if (!digits || digits > 16 || text[digits])
		return -EINVAL;
	ctl->trace = strtoull(text, NULL, 16);
	return 0;
}

static error_t parse_global(int key, char *arg, struct argp_state *state)
{
	struct ctl *ctl = state->input;

	switch (key) {
	case 's':
		ctl->socket = arg;
		return 0;
	case 'o':
		if (parse_format(ctl, arg) != 0)
			argp_error(state, "-o %s: want table, json or jsonl", arg);
		return 0;
	case KEY_TIMEOUT:
		ctl->timeout = ctl_real(state, "--timeout", arg);
		if (!(ctl->timeout > 0))
			argp_error(state, "--timeout %s: want seconds above 0", arg);
		return 0;
	case KEY_TRACE:
		if (parse_trace(ctl, arg) != 0)
			argp_error(state, "--trace %s: want 1 to 16 hexadecimal digits", arg);
		return 0;
	case 'q':
		ctl->quiet = true;
		return 0;
	case KEY_YES:
		ctl->yes = true;
		return 0;
	case KEY_DRY_RUN:
		ctl->dry_run = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp ctl_argp = {options, parse_global, NULL, NULL, NULL, NULL, NULL};
const struct argp_child ctl_children[] = {{&ctl_argp, 0, "Everywhere:", 90}, {0}};

/* The only state outside main: a signal handler has no other way to say that it was called. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	if (interrupted)
		_exit(128 + number);
	interrupted = 1;
}

bool ctl_interrupted(void)
{
	return interrupted;
}

void ctl_parse(struct ctl *ctl, const struct argp *argp, int argc, char **argv, void *input)
{
	struct sigaction action = {.sa_handler = on_signal};

	argp_parse(argp, argc, argv, 0, NULL, input);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	ctl->out = output_create(ctl->format, ctl->quiet);
	if (!ctl->out) {
		fputs("facetctl: out of memory\n", stderr);
		exit(CTL_ERROR);
	}
}

int ctl_connect(struct ctl *ctl)
{
	struct facet_params params = {.size = sizeof(params),
				      .software = "facetctl " FACET_VERSION};
	struct facet_call call = {.size = sizeof(call), .trace = ctl->trace};

	if (ctl->timeout > 0) {
		params.timeout_ms = (uint32_t)(ctl->timeout * 1e3) + 1;
		params.reconnect_ms = params.timeout_ms;
		call.timeout_ns = (uint64_t)(ctl->timeout * 1e9);
	}
	if (facet_connect(ctl->socket, &params, &ctl->c) != 0) {
		ctl_failed(ctl, "connect");
		fputs("facetctl: is facetd running? Name its socket with -s or FACET_SOCKET.\n",
		      stderr);
		return CTL_ERROR;
	}
	return facet_defaults(ctl->c, &call) == 0 ? 0 : ctl_failed(ctl, "options");
}

int ctl_end(struct ctl *ctl, bool single, int status)
{
	output_finish(ctl->out, single);
	facet_close(ctl->c);
	ctl->out = NULL;
	ctl->c = NULL;
	return status;
}

int ctl_run(struct ctl *ctl, bool single, int (*work)(struct ctl *ctl, void *input), void *input)
{
	int status = ctl_connect(ctl);

	if (status == 0)
		status = work(ctl, input);
	return ctl_end(ctl, single, status);
}

int ctl_failed(const struct ctl *ctl, const char *what)
{
	const struct facet_error *error = facet_error(ctl->c);

	fprintf(stderr, "facetctl: %s: %s (%s)\n", what, error->text, facet_code_name(error->code));
	if (error->retryable && error->retry_after_ms)
		fprintf(stderr, "facetctl: try again in %.1f s\n", error->retry_after_ms / 1e3);
	return CTL_ERROR;
}

int ctl_error(const char *format, ...)
{
	va_list args;

	fputs("facetctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return CTL_ERROR;
}

bool ctl_confirm(const struct ctl *ctl, const char *format, ...)
{
	char answer[8] = "";
	va_list args;

	if (ctl->yes || ctl->dry_run)
		return true;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (!isatty(STDIN_FILENO)) {
		fputs(" Not done: not a terminal, so say --yes.\n", stderr);
		return false;
	}
	fputs(" [y/N] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

uint64_t ctl_count(struct argp_state *state, const char *option, const char *text, uint64_t low,
		   uint64_t high)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text || text[0] == '-' || value < low || value > high)
		argp_error(state, "%s %s: want a whole number from %llu to %llu", option, text,
			   (unsigned long long)low, (unsigned long long)high);
	return value;
}

double ctl_real(struct argp_state *state, const char *option, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || end == text || value != value)
		argp_error(state, "%s %s: want a number", option, text);
	return value;
}
