/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver may not survive is done in a helper process first: facet-opencl-probe lists the
 * devices, or opens and tests one. It is believed no more than a driver: lines of fields between
 * tabs, bounded in number, length and time.
 */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST_MS	    20000u
#define TRY_MS	    120000u /* building every variant, for the first time */
#define ANSWER_MAX  16384u
#define FIELDS_MAX  9
#define HELPER_NAME "facet-opencl-probe"

extern char **environ;

struct helper {
	char path[512];
	pid_t pid;
	int fd;
	char answer[ANSWER_MAX];
	size_t bytes;
	int status; /* of waitpid() */
};

/* ---- running it ---- */

static int helper_start(struct helper *h, char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int pipes[2], err;

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	err = posix_spawn(&h->pid, h->path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	if (err) {
		close(pipes[0]);
		return -err;
	}
	h->fd = pipes[0];
	return 0;
}

/* All that it says until it ends; -ETIMEDOUT, -EPROTO: more than it could have to say. */
static int helper_read(struct helper *h, uint64_t deadline)
{
	for (;;) {
		struct pollfd fd = {.fd = h->fd, .events = POLLIN};
		uint64_t now = opencl_clock();
		ssize_t n;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&fd, 1, (int)((deadline - now) / 1000000u) + 1) <= 0)
			continue;
		if (h->bytes == sizeof(h->answer) - 1)
			return -EPROTO;
		n = read(h->fd, h->answer + h->bytes, sizeof(h->answer) - 1 - h->bytes);
		if (n <= 0)
			return n < 0 && errno == EINTR ? -EIO : 0;
		h->bytes += (size_t)n;
	}
}

static int helper_run(struct helper *h, const struct device_config *config, char *const argv[],
		      uint32_t limit_ms)
{
	int err;

	snprintf(h->path, sizeof(h->path), "%s/%s",
		 config->libexec ? config->libexec : FACET_LIBEXECDIR, HELPER_NAME);
	h->bytes = 0;
	err = helper_start(h, argv);
	if (err)
		return err == -ENOENT ? err : -EIO;
	err = helper_read(h, opencl_clock() + (uint64_t)limit_ms * 1000000u);
	close(h->fd);
	if (err)
		kill(h->pid, SIGKILL);
	while (waitpid(h->pid, &h->status, 0) < 0 && errno == EINTR)
		;
	h->answer[h->bytes] = 0;
	return err;
}

/* ---- reading what it said ---- */

/* The next line, cut into fields; their number, 0 at the end. A line without its end is not taken. */
static int next_line(char **at, char *field[FIELDS_MAX])
{
	char *end = strchr(*at, '\n');
	int n = 0;

	if (!end)
		return 0;
	*end = 0;
	for (char *f = *at; f && n < FIELDS_MAX; n++) {
		field[n] = f;
		f = strchr(f, '\t');
		if (f)
			*f++ = 0;
	}
	*at = end + 1;
	return n;
}

static void tell_end(const struct helper *h, int err, const char *stage, char *why, size_t bytes)
{
	if (err == -ENOENT)
		snprintf(why, bytes, "%s is not there: is Facet installed whole?", h->path);
	else if (err == -ETIMEDOUT)
		snprintf(why, bytes, "the OpenCL driver hangs (at: %s)", stage);
	else if (WIFSIGNALED(h->status))
		snprintf(why, bytes, "the OpenCL driver crashed with signal %d (at: %s)",
			 WTERMSIG(h->status), stage);
	else
		snprintf(why, bytes, "the OpenCL driver ended its process (at: %s)", stage);
}

static bool take_device(char *field[FIELDS_MAX], int fields, struct opencl_listed *listed)
{
	char *end_units, *end_memory;
	unsigned long units;

	if (fields != 9)
		return false;
	memset(listed, 0, sizeof(*listed));
	snprintf(listed->platform, sizeof(listed->platform), "%s", field[1]);
	snprintf(listed->name, sizeof(listed->name), "%s", field[2]);
	snprintf(listed->version, sizeof(listed->version), "%s", field[3]);
	snprintf(listed->driver, sizeof(listed->driver), "%s", field[4]);
	snprintf(listed->kind, sizeof(listed->kind), "%s", field[5]);
	units = strtoul(field[6], &end_units, 10);
	listed->memory_bytes = strtoull(field[7], &end_memory, 10);
	snprintf(listed->lacks, sizeof(listed->lacks), "%s", field[8]);
	listed->units = (uint32_t)units;
	listed->usable = !listed->lacks[0];
	return field[6][0] && !*end_units && units <= UINT32_MAX && field[7][0] && !*end_memory;
}

int opencl_list(const struct device_config *config, struct opencl_listed *list, uint32_t max,
		char *why, size_t why_bytes)
{
	char list_word[] = "list", name[] = HELPER_NAME, *field[FIELDS_MAX], ours[128];
	char *const argv[] = {name, list_word, NULL};
	struct helper *h = calloc(1, sizeof(*h));
	char *at;
	int fields, count = 0, err;

	if (!h)
		return -ENOMEM;
	if (!why) {
		why = ours;
		why_bytes = sizeof(ours);
	}
	at = h->answer;
	err = helper_run(h, config, argv, LIST_MS);
	if (!err && !(WIFEXITED(h->status) && WEXITSTATUS(h->status) == 0))
		err = -EIO;
	if (err)
		tell_end(h, err, "looking for devices", why, why_bytes);
	while (!err && (fields = next_line(&at, field)) > 0) {
		struct opencl_listed listed;

		if (strcmp(field[0], OPENCL_SAYS_DEVICE) != 0)
			continue;
		if (!take_device(field, fields, &listed)) {
			snprintf(why, why_bytes, "%s talks nonsense", h->path);
			err = -EPROTO;
		} else if ((uint32_t)count < max) {
			list[count++] = listed;
		}
	}
	free(h);
	return err ? err : count;
}

/* ---- trying one ---- */

struct tried {
	char stage[64];
	bool over;
	int err;
};

static void take_try(char *field[FIELDS_MAX], int fields, struct tried *tried, char *variant,
		     size_t variant_bytes, char *why, size_t why_bytes)
{
	if (fields == 2 && !strcmp(field[0], OPENCL_SAYS_STAGE)) {
		snprintf(tried->stage, sizeof(tried->stage), "%s", field[1]);
	} else if (fields == 2 && !strcmp(field[0], OPENCL_SAYS_VARIANT)) {
		snprintf(variant, variant_bytes, "%s", field[1]);
		tried->over = true;
	} else if (fields == 3 && !strcmp(field[0], OPENCL_SAYS_FAILED)) {
		int err = atoi(field[1]);

		snprintf(why, why_bytes, "%s", field[2]);
		tried->err = err < 0 && err > -4096 ? err : -EIO;
		tried->over = true;
	}
}

/* An argument; posix_spawn() does not write to it. */
static char *word(const char *text)
{
	return (char *)(uintptr_t)(text ? text : "");
}

int opencl_try(const struct device_config *config, char *variant, size_t variant_bytes, char *why,
	       size_t why_bytes)
{
	char memory[24], timeout[16], *field[FIELDS_MAX];
	char name[] = HELPER_NAME, try[] = "try";
	char *const argv[] = {name,
			      try,
			      word(config->select),
			      word(config->image),
			      word(config->cache),
			      word(config->isa),
			      memory,
			      timeout,
			      NULL};
	struct helper *h = calloc(1, sizeof(*h));
	struct tried tried = {.stage = "loading the drivers"};
	char *at;
	int fields, err;

	if (!h)
		return -ENOMEM;
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)config->memory);
	snprintf(timeout, sizeof(timeout), "%u", config->timeout_ms);
	at = h->answer;
	err = helper_run(h, config, argv, TRY_MS);
	while ((fields = next_line(&at, field)) > 0 && !tried.over)
		take_try(field, fields, &tried, variant, variant_bytes, why, why_bytes);
	if (tried.over && err != -ETIMEDOUT) {
		err = tried.err;
	} else {
		err = err ? err : -EIO;
		tell_end(h, err, tried.stage, why, why_bytes);
	}
	free(h);
	return err;
}
