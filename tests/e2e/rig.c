/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/e2e/rig.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char rig_text[400];

/* ---- the daemon -------------------------------------------------------------------------------- */
void rig_make(struct rig *rig, const char *settings)
{
	FILE *file;

	memset(rig, 0, sizeof(*rig));
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/facet-rig-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->folder));
	snprintf(rig->socket, sizeof(rig->socket), "%s/s", rig->folder);
	snprintf(rig->state, sizeof(rig->state), "%s/state", rig->folder);
	snprintf(rig->config, sizeof(rig->config), "%s/conf", rig->folder);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->folder);
	file = fopen(rig->config, "w");
	fprintf(file, "%s", settings);
	fclose(file);
}

static bool rig_answers(const struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(address.sun_path, rig->socket, strlen(rig->socket) + 1);
	ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return ok;
}

/* A test that fails leaves by exit(): neither daemon nor folder may stay behind. */
static struct rig *abandoned;

static void rig_abandon(void)
{
	char command[200];

	if (!abandoned || !abandoned->pid)
		return;
	kill(abandoned->pid, SIGKILL);
	waitpid(abandoned->pid, NULL, 0);
	snprintf(command, sizeof(command), "tail -n 5 %s >&2; rm -rf %s", abandoned->log,
		 abandoned->folder);
	(void)!system(command);
}

/* However this test ends, by a time limit too, the daemon ends with it. */
static void run_daemon(const struct rig *rig, pid_t parent)
{
	const char *build = getenv("BUILD");
	char program[512];
	int log = open(rig->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(log, 2) != 2)
		_exit(127);
	close(log);
	snprintf(program, sizeof(program), "%s/facetd", build ? build : "build");
	execl(program, program, "--config", rig->config, "--socket", rig->socket, "--state",
	      rig->state, NULL);
	_exit(127);
}

void rig_start(struct rig *rig)
{
	pid_t parent = getpid();
	int status;

	if (!abandoned)
		atexit(rig_abandon);
	abandoned = rig;
	rig->pid = fork();
	ck_assert_int_ge(rig->pid, 0);
	if (!rig->pid)
		run_daemon(rig, parent);
	for (int i = 0; i < 500 && !rig_answers(rig); i++) {
		ck_assert_msg(waitpid(rig->pid, &status, WNOHANG) == 0, "facetd ended; see %s",
			      rig->log);
		usleep(10000);
	}
}

int rig_end(struct rig *rig, int signal)
{
	int status = 0;

	kill(rig->pid, signal);
	ck_assert_int_eq(waitpid(rig->pid, &status, 0), rig->pid);
	rig->pid = 0;
	return status;
}

void rig_remove(struct rig *rig)
{
	char command[128];

	if (rig->pid)
		rig_end(rig, SIGKILL);
	snprintf(command, sizeof(command), "rm -rf %s", rig->folder);
	ck_assert_int_eq(system(command), 0);
}

unsigned rig_fds(const struct rig *rig)
{
	char path[64];
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", rig->pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

long rig_resident_kib(const struct rig *rig)
{
	char path[64], line[256];
	long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", rig->pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "VmRSS:", 6))
			kib = atol(line + 6);
	fclose(file);
	return kib;
}

/* ---- raw bytes --------------------------------------------------------------------------------- */
void raw_open(struct raw *raw, const struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 10};

	raw->held = 0;
	raw->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path, rig->socket, strlen(rig->socket) + 1);
	/* A tenant's socket is opened a moment after the common one. */
	for (int tries = 0; connect(raw->fd, (struct sockaddr *)&address, sizeof(address));
	     tries++) {
		ck_assert_msg(errno == ENOENT && tries < 100, "the daemon does not answer: %s",
			      strerror(errno));
		usleep(50000);
	}
	setsockopt(raw->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(raw->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void raw_close(struct raw *raw)
{
	close(raw->fd);
}

static ssize_t raw_send(int fd, const uint8_t *data, size_t bytes, const int *fds, unsigned count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (count) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

bool raw_bytes(struct raw *raw, const void *data, size_t bytes, const int *fds, unsigned count)
{
	for (size_t sent = 0; sent < bytes;) {
		ssize_t n = raw_send(raw->fd, (const uint8_t *)data + sent, bytes - sent, fds,
				     sent ? 0 : count);

		if (n < 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

bool raw_frame(struct raw *raw, const Facet__Wire__ClientFrame *frame, const int *fds,
	       unsigned count)
{
	size_t n = facet__wire__client_frame__get_packed_size(frame);
	uint8_t *bytes = malloc(n + 4);
	bool ok;

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(n >> 8 * i);
	facet__wire__client_frame__pack(frame, bytes + 4);
	ok = raw_bytes(raw, bytes, n + 4, fds, count);
	free(bytes);
	return ok;
}

Facet__Wire__ServerFrame *raw_next(struct raw *raw)
{
	size_t length;

	for (;;) {
		ssize_t n;

		if (raw->held >= 4) {
			length = raw->buffer[0] | raw->buffer[1] << 8 |
				 (size_t)raw->buffer[2] << 16 | (size_t)raw->buffer[3] << 24;
			ck_assert_uint_le(length, 256 * 1024);
			if (raw->held >= 4 + length)
				break;
		}
		n = recv(raw->fd, raw->buffer + raw->held, sizeof(raw->buffer) - raw->held, 0);
		ck_assert_msg(n >= 0 || errno == ECONNRESET || errno == EPIPE, "no answer: %s",
			      strerror(errno));
		if (n <= 0)
			return NULL;
		raw->held += (size_t)n;
	}
	Facet__Wire__ServerFrame *frame =
		facet__wire__server_frame__unpack(NULL, length, raw->buffer + 4);

	ck_assert_ptr_nonnull(frame);
	raw->held -= 4 + length;
	memmove(raw->buffer, raw->buffer + 4 + length, raw->held);
	return frame;
}

void raw_hello(struct raw *raw)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Hello hello = FACET__WIRE__HELLO__INIT;
	Facet__Wire__ServerFrame *answer;

	hello.major = 1;
	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_HELLO;
	frame.hello = &hello;
	ck_assert(raw_frame(raw, &frame, NULL, 0));
	answer = raw_next(raw);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(answer->kind_case, FACET__WIRE__SERVER_FRAME__KIND_HELLO);
	facet__wire__server_frame__free_unpacked(answer, NULL);
}

bool raw_request(struct raw *raw, Facet__Wire__Request *request, const int *fds, unsigned count)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;

	frame.fds = count;
	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_REQUEST;
	frame.request = request;
	return raw_frame(raw, &frame, fds, count);
}

int raw_code(struct raw *raw, Facet__Wire__Request *request, const int *fds, unsigned count)
{
	Facet__Wire__ServerFrame *answer;
	int code = 0;

	ck_assert(raw_request(raw, request, fds, count));
	answer = raw_next(raw);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(answer->kind_case, FACET__WIRE__SERVER_FRAME__KIND_REPLY);
	ck_assert_uint_eq(answer->reply->id, request->id);
	rig_text[0] = '\0';
	if (answer->reply->error) {
		code = answer->reply->error->code;
		snprintf(rig_text, sizeof(rig_text), "%s", answer->reply->error->text);
		ck_assert_int_ne(code, 0);
		ck_assert_uint_gt(strlen(rig_text), 0);
		ck_assert_ptr_null(strchr(rig_text, '\n'));
	}
	facet__wire__server_frame__free_unpacked(answer, NULL);
	return code;
}

void rig_serves(const struct rig *rig)
{
	static struct raw raw;
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Echo echo = FACET__WIRE__ECHO__INIT;
	uint8_t payload[64] = "still here";
	int code = 0;

	raw_open(&raw, rig);
	raw_hello(&raw);
	echo.payload.data = payload;
	echo.payload.len = sizeof(payload);
	request.id = 99;
	request.body_case = FACET__WIRE__REQUEST__BODY_ECHO;
	request.echo = &echo;
	/* What others of this tenant have left in flight may fill its quota for a while. */
	for (int i = 0; i < 500; i++) {
		code = raw_code(&raw, &request, NULL, 0);
		if (code != FACET__WIRE__CODE__OVERLOADED)
			break;
		usleep(10000);
	}
	ck_assert_msg(code == 0, "%s", rig_text);
	raw_close(&raw);
}
