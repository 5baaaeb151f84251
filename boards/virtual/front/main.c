/* SPDX-License-Identifier: Apache-2.0 */
/* facet-board: the virtual board on the bus of a virtual machine, which it starts. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boards/virtual/front/command.h"
#include "boards/virtual/front/front.h"

struct options {
	const struct front_kind *kind;
	const char *socket, *control;
	struct board_config config;
	const char *faults[16];
	uint32_t fault_count;
	char **command;
};

#define BANK_MIB_MAX 65536

enum { KEY_CAPS = 256, KEY_BANK };

static const struct argp_option argp_options[] = {
	{"bus", 'b', "um|qemu", 0, "Whose: User-Mode Linux (the default) or QEMU", 0},
	{"socket", 's', "PATH", 0, "Where User-Mode Linux finds the board (vhost-user)", 0},
	{"control", 'c', "DIR", 0,
	 "Folder in which commands are left: DIR/command, answered in DIR/answer", 0},
	{"fault", 'f', "SPEC", 0, "What goes wrong from the start (docs/virtual-board.md)", 0},
	{"serial", 'n', "NUMBER", 0, "Serial number", 0},
	{"without", KEY_CAPS, "BITS", 0, "Capabilities that it has not (SHELL_CAP_*)", 0},
	{"bank", KEY_BANK, "MIB", 0, "Size of each bank", 0},
	{0},
};

static uint64_t number(struct argp_state *state, const char *text, uint64_t most)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || strchr(text, '-') || value > most)
		argp_error(state, "%s: not a number from 0 to %llu", text,
			   (unsigned long long)most);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'b':
		if (strcmp(arg, front_um.name) && strcmp(arg, front_qemu.name))
			argp_error(state, "%s: no such bus: um, qemu", arg);
		o->kind = strcmp(arg, front_um.name) ? &front_qemu : &front_um;
		return 0;
	case 's':
		o->socket = arg;
		return 0;
	case 'c':
		o->control = arg;
		return 0;
	case 'f':
		if (o->fault_count == sizeof(o->faults) / sizeof(o->faults[0]))
			argp_error(state, "too many faults; join them by ;");
		o->faults[o->fault_count++] = arg;
		return 0;
	case 'n':
		o->config.serial = number(state, arg, UINT64_MAX);
		return 0;
	case KEY_CAPS:
		o->config.caps &= ~(uint32_t)number(state, arg, UINT32_MAX);
		return 0;
	case KEY_BANK:
		for (uint32_t i = 0; i < o->config.banks; i++)
			o->config.bank[i].bytes = number(state, arg, BANK_MIB_MAX) << 20;
		return 0;
	case ARGP_KEY_ARGS:
		o->command = state->argv + state->next;
		return 0;
	case ARGP_KEY_END:
		if (o->kind == &front_um && !o->socket)
			argp_error(state, "--socket is needed");
		if (o->kind == &front_qemu && !o->command)
			argp_error(state, "the command of QEMU is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse,
	.args_doc = "[COMMAND...]",
	.doc = "The virtual board on the PCI bus of a virtual machine.\v"
	       "User-Mode Linux: COMMAND is started once the socket is there (the guest, told of "
	       "the "
	       "socket by virtio_uml.device=PATH:1234). Without a command one guest is served.\n\n"
	       "QEMU: COMMAND is its own, with the guest's memory shared (-machine "
	       "q35,memory-backend=m -object memory-backend-memfd,id=m,size=512M,share=on -m "
	       "512M); "
	       "the device and what it needs are added to it.\n\n"
	       "COMMAND's exit status is this program's.",
};

static int fail(const char *what, int err)
{
	fprintf(stderr, "facet-board: %s: %s\n", what, strerror(-err));
	return 1;
}

int front_start(char **command, const int keep[2])
{
	pid_t pid = fork();

	if (pid)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 2; i++)
		if (keep[i] >= 0)
			fcntl(keep[i], F_SETFD, 0);
	execvp(command[0], command);
	fprintf(stderr, "facet-board: %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

static void serve(const struct options *o, struct front *front, pid_t child)
{
	const char *why = "";
	int err;

	do
		err = o->kind->serve(front, &why);
	while (!err);
	if (err != -ECONNRESET)
		fprintf(stderr, "facet-board: %s: %s\n", why, strerror(-err));
	if (err != -ECONNRESET && child > 0)
		kill(child, SIGKILL);
}

static int run(const struct options *o, struct front *front, struct board *board)
{
	int child, status = 0, err;

	signal(SIGPIPE, SIG_IGN);
	err = o->kind->connect(front, board, o->socket, o->command, &child);
	if (err && err != -ECHILD)
		fail(o->kind->name, err);
	if (!err)
		serve(o, front, child);
	if (child <= 0)
		return err != 0;
	if (err && err != -ECHILD)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int faults(const struct options *o, struct board *board)
{
	char why[200];

	for (uint32_t i = 0; i < o->fault_count; i++)
		if (board_fault(board, o->faults[i], why, sizeof(why))) {
			fprintf(stderr, "facet-board: %s\n", why);
			return -EINVAL;
		}
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.kind = &front_um};
	struct command_folder *folder = NULL;
	struct board_front to;
	struct board *board = NULL;
	struct front *front = NULL;
	int err, status = 1;

	board_config_preset(&o.config);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	err = o.kind->create(&front);
	if (err)
		return fail("memory", err);
	to = o.kind->board_front(front);
	err = board_create(&o.config, &to, &board);
	if (err) {
		fail("this board cannot be", err);
		goto out;
	}
	if (faults(&o, board))
		goto out;
	err = o.control ? command_folder_open(o.control, board, &folder) : 0;
	status = err ? fail(o.control, err) : run(&o, front, board);
out:
	command_folder_close(folder);
	if (board)
		o.kind->disconnect(front);
	board_free(board);
	o.kind->free(front);
	return status;
}
