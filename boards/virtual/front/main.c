/* SPDX-License-Identifier: Apache-2.0 */
/* facet-board: the virtual board on the bus of a User-Mode Linux, which it starts. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boards/virtual/front/command.h"
#include "boards/virtual/front/um.h"

struct options {
	const char *socket, *control;
	struct board_config config;
	const char *faults[16];
	uint32_t fault_count;
	char **command;
};

#define BANK_MIB_MAX 65536

enum { KEY_CAPS = 256, KEY_BANK };

static const struct argp_option argp_options[] = {
	{"socket", 's', "PATH", 0, "Where the guest finds the board (vhost-user)", 0},
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
		if (!o->socket)
			argp_error(state, "--socket is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse,
	.args_doc = "[COMMAND...]",
	.doc = "The virtual board on the PCI bus of a User-Mode Linux.\v"
	       "COMMAND is started once the socket is there (the guest, told of the socket by "
	       "virtio_uml.device=PATH:1234), and its exit status is this program's. Without a "
	       "command one guest is served.",
};

static int fail(const char *what, int err)
{
	fprintf(stderr, "facet-board: %s: %s\n", what, strerror(-err));
	return 1;
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path)) {
		close(fd);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	unlink(path);
	umask(077);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static pid_t start(char **command)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(command[0], command);
	fprintf(stderr, "facet-board: %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

/* The guest's connection; a child that ends without one is not waited for. */
static int await(int listening, pid_t child)
{
	struct pollfd polled[2] = {{.fd = listening, .events = POLLIN},
				   {.fd = child > 0 ? pidfd_open(child, 0) : -1, .events = POLLIN}};
	int fd = -1;

	while (poll(polled, 2, -1) < 0 && errno == EINTR)
		continue;
	if (polled[0].revents)
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (polled[1].fd >= 0)
		close(polled[1].fd);
	return fd;
}

static void serve(struct um *um, struct board *board, struct command_folder *folder, pid_t child)
{
	const char *why = "";
	int got;

	do {
		got = um_serve(um, folder ? command_folder_fd(folder) : -1, &why);
		if (got == 1)
			command_folder_serve(folder, board);
	} while (got >= 0);
	if (got != -ECONNRESET)
		fprintf(stderr, "facet-board: %s: %s\n", why, strerror(-got));
	if (got != -ECONNRESET && child > 0)
		kill(child, SIGKILL);
}

static int run(const struct options *o, struct um *um, struct board *board,
	       struct command_folder *folder)
{
	int listening = listen_on(o->socket), fd, status = 0;
	pid_t child = 0;

	if (listening < 0)
		return fail(o->socket, listening);
	signal(SIGPIPE, SIG_IGN);
	if (o->command)
		child = start(o->command);
	fd = child < 0 ? -1 : await(listening, child);
	if (fd >= 0 && !um_connect(um, fd))
		serve(um, board, folder, child);
	unlink(o->socket);
	close(listening);
	if (child <= 0)
		return fd < 0;
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
	struct options o = {0};
	struct command_folder *folder = NULL;
	struct board_front front;
	struct board *board = NULL;
	struct um *um = NULL;
	int err, status = 1;

	board_config_preset(&o.config);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	err = um_create(&um);
	if (err)
		return fail("memory", err);
	front = um_front(um);
	err = board_create(&o.config, &front, &board);
	if (err) {
		fail("this board cannot be", err);
		goto out;
	}
	um_board(um, board);
	if (faults(&o, board))
		goto out;
	err = o.control ? command_folder_open(o.control, &folder) : 0;
	status = err ? fail(o.control, err) : run(&o, um, board, folder);
out:
	command_folder_close(folder);
	if (board)
		um_disconnect(um);
	board_free(board);
	um_free(um);
	return status;
}
