/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/virtual/front/command.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#define COMMAND_BYTES 4096

typedef int (*command_fn)(struct board *board, const char *rest, FILE *out);

/* ---- commands ------------------------------------------------------------------------------------------- */
static int do_fault(struct board *board, const char *rest, FILE *out)
{
	char why[200] = "";
	int err = board_fault(board, rest, why, sizeof(why));

	if (err)
		fprintf(out, "%s\n", why);
	return err;
}

static int do_clear(struct board *board, const char *rest, FILE *out)
{
	(void)out;
	return board_fault_clear(board, *rest ? rest : NULL);
}

static int do_count(struct board *board, const char *rest, FILE *out)
{
	int64_t count = board_fault_count(board, rest);

	fprintf(out, "%" PRId64 "\n", count);
	return count < 0 ? -EINVAL : 0;
}

static int do_sensor(struct board *board, const char *rest, FILE *out)
{
	char name[BOARD_LABEL_BYTES + 1];
	int value;

	(void)out;
	if (sscanf(rest, "%16s %d", name, &value) != 2)
		return -EINVAL;
	return board_sensor_set(board, name, value);
}

static int do_figures(struct board *board, const char *rest, FILE *out)
{
	struct board_figures f;

	(void)rest;
	board_figures(board, &f);
	fprintf(out,
		"jobs %" PRIu64 " failed %" PRIu64 " interrupts %" PRIu64 " dropped %" PRIu64
		" read %" PRIu64 " write %" PRIu64 " register_reads %" PRIu64
		" register_writes %" PRIu64 " busy_ns %" PRIu64 " resets %u\n",
		f.jobs, f.failed, f.interrupts, f.dropped, f.read_bytes, f.write_bytes,
		f.register_reads, f.register_writes, f.busy_ns, f.resets);
	return 0;
}

static int do_reset(struct board *board, const char *rest, FILE *out)
{
	(void)rest;
	(void)out;
	board_bus_reset(board);
	return 0;
}

static int do_help(struct board *board, const char *rest, FILE *out);

static const struct {
	const char *name, *what;
	command_fn run;
} commands[] = {
	{"fault", "SPEC: from now on (docs/virtual-board.md, \"Faults\")", do_fault},
	{"clear", "[NAME]: this fault, or all, no more", do_clear},
	{"count", "NAME: how often this fault happened", do_count},
	{"sensor", "NAME VALUE: what it reads", do_sensor},
	{"figures", "what the board has done", do_figures},
	{"bus-reset", "as the bus would", do_reset},
	{"help", "this", do_help},
};

static int do_help(struct board *board, const char *rest, FILE *out)
{
	const char *what, *name;

	(void)rest;
	(void)board;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "%s %s\n", commands[i].name, commands[i].what);
	for (unsigned int i = 0; (name = board_fault_name(i, &what)) != NULL; i++)
		fprintf(out, "  %s: %s\n", name, what);
	return 0;
}

static int run_line(struct board *board, char *line, FILE *out)
{
	char *rest = line + strcspn(line, " ");

	if (*rest)
		*rest++ = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(line, commands[i].name))
			return commands[i].run(board, rest, out);
	fprintf(out, "no such command: %s; help lists them\n", line);
	return -EINVAL;
}

int command_run(struct board *board, const char *text, FILE *out)
{
	char *copy = strdup(text), *save = NULL;
	int err = copy ? 0 : -ENOMEM;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && !err;
	     line = strtok_r(NULL, "\n", &save))
		err = run_line(board, line, out);
	free(copy);
	return err;
}

/* ---- the folder --------------------------------------------------------------------------------------------- */
struct command_folder {
	struct board *board;
	pthread_t thread;
	bool started;
	int seen, quit; /* inotify; eventfd */
	char command[PATH_MAX], answer[PATH_MAX], made[PATH_MAX];
};

static bool was_command(const struct command_folder *folder)
{
	char events[4096] __attribute__((aligned(8)));
	ssize_t n = read(folder->seen, events, sizeof(events));
	bool found = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (const struct inotify_event *)(events + at);

		found |= event->len && !strcmp(event->name, "command");
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return found;
}

static void answer(const struct command_folder *folder, const char *text)
{
	char *said = NULL;
	size_t bytes = 0;
	FILE *words = open_memstream(&said, &bytes), *file = fopen(folder->made, "we");
	int err = words ? command_run(folder->board, text, words) : -ENOMEM;

	if (words)
		fclose(words);
	if (file) {
		fprintf(file, "%s\n%s", err ? "error" : "ok", said ? said : "");
		if (!fclose(file))
			rename(folder->made, folder->answer);
	}
	free(said);
}

static void serve(const struct command_folder *folder)
{
	char text[COMMAND_BYTES];
	size_t n;
	FILE *file;

	if (!was_command(folder))
		return;
	file = fopen(folder->command, "re");
	if (!file)
		return;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	if (n)
		answer(folder, text);
}

static void *serve_thread(void *argument)
{
	const struct command_folder *folder = argument;
	struct pollfd polled[2] = {{.fd = folder->seen, .events = POLLIN},
				   {.fd = folder->quit, .events = POLLIN}};

	do {
		if (poll(polled, 2, -1) > 0 && polled[0].revents)
			serve(folder);
	} while (!polled[1].revents);
	return NULL;
}

static int start(struct command_folder *folder, const char *path)
{
	int err;

	if (folder->seen < 0 || folder->quit < 0 ||
	    inotify_add_watch(folder->seen, path, IN_CLOSE_WRITE) < 0)
		return -errno;
	err = pthread_create(&folder->thread, NULL, serve_thread, folder);
	folder->started = !err;
	return -err;
}

int command_folder_open(const char *path, struct board *board, struct command_folder **folder)
{
	struct command_folder *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->board = board;
	f->seen = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	f->quit = eventfd(0, EFD_CLOEXEC);
	snprintf(f->command, sizeof(f->command), "%s/command", path);
	snprintf(f->answer, sizeof(f->answer), "%s/answer", path);
	snprintf(f->made, sizeof(f->made), "%s/answer.new", path);
	err = start(f, path);
	if (err)
		command_folder_close(f);
	else
		*folder = f;
	return err;
}

void command_folder_close(struct command_folder *folder)
{
	if (!folder)
		return;
	if (folder->started) {
		eventfd_write(folder->quit, 1);
		pthread_join(folder->thread, NULL);
	}
	if (folder->seen >= 0)
		close(folder->seen);
	if (folder->quit >= 0)
		close(folder->quit);
	free(folder);
}
