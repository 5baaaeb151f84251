/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a hostile daemon against libfacet. The first byte says which call is made, the second
 * whether the rest is one message or a raw stream; it lies in the socket before the call is sent.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "host/libfacet/facet.h"

static int listener, accepted[2];
static char path[64];

/* Accepts, greets (a frame of 7 bytes: Hello with major 1), and hands the socket over. */
static void *greet(void *arg)
{
	static const uint8_t hello[] = {4, 0, 0, 0, 0x12, 2, 8, 1};

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (write(fd, hello, sizeof(hello)) != sizeof(hello) ||
		    write(accepted[1], &fd, sizeof(fd)) != sizeof(fd))
			abort();
	}
	return arg;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	pthread_t thread;

	(void)argc;
	(void)argv;
	snprintf(path, sizeof(path), "/tmp/facet-fuzz-%d", (int)getpid());
	strcpy(a.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 8) ||
	    pipe(accepted) || pthread_create(&thread, NULL, greet, NULL))
		abort();
	return 0;
}

__attribute__((destructor)) static void clean(void)
{
	unlink(path);
}

static void call(struct facet *c, unsigned which)
{
	static const float x[6] = {1, 2, 3, 4, 5, 6};
	static const char *const subjects[] = {"ada"};
	struct facet_probe probe = {.size = sizeof(probe), .count = 2, .dim = 3, .data = x};
	struct facet_verdict verdict = {.size = sizeof(verdict)};
	struct facet_deleted deleted = {.size = sizeof(deleted)};
	struct facet_gemm g = {.size = sizeof(g),
			       .m = 2,
			       .n = 2,
			       .k = 3,
			       .out = FACET_OUT_S32,
			       .a = (const int8_t *)"abcdef",
			       .b = (const int8_t *)"abcdef"};
	void *result = NULL;
	float scores[6];
	int64_t ids[6];
	int32_t y[4];

	switch (which % 13) {
	case 0:
		facet_ping(c, "four", 4, y);
		break;
	case 1:
		facet_search(c, "g", 2, 3, x, 3, NULL, scores, ids);
		break;
	case 2:
		facet_identify(c, "g", &probe, 3, NULL, (struct facet_hits **)&result);
		break;
	case 3:
		facet_enrol(c, "g", &probe, subjects, 1, NULL, (uint64_t *)ids, NULL);
		break;
	case 4:
		facet_verify(c, "g", "ada", &probe, NULL, &verdict);
		break;
	case 5:
		facet_compare(c, &probe, &probe, NULL, scores, &verdict);
		break;
	case 6:
		facet_infer(c, "m", 2, x, sizeof(x), (struct facet_outputs **)&result);
		break;
	case 7:
		facet_gemm_s8(c, &g, y);
		break;
	case 8:
		facet_info(c, 15, (struct facet_info **)&result);
		break;
	case 9:
		facet_model_list(c, NULL, (struct facet_models **)&result);
		break;
	case 10:
		facet_subject_list(c, "g", 0, 0, (struct facet_subjects **)&result);
		break;
	case 11:
		facet_export(c, "g", 0, 0, (struct facet_page **)&result);
		break;
	default:
		facet_gallery_delete(c, "g", NULL, &deleted);
	}
	facet_free(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct facet_params p = {.size = sizeof(p), .no_reconnect = true};
	struct facet *c;
	uint8_t length[4];
	int fd;

	if (bytes < 3 || bytes > 60000)
		return 0;
	if (facet_connect(path, &p, &c) || read(accepted[0], &fd, sizeof(fd)) != sizeof(fd))
		abort();
	for (int i = 0; i < 4; i++)
		length[i] = (uint8_t)((bytes - 2) >> 8 * i);
	if ((data[1] & 1 && write(fd, length, 4) != 4) ||
	    write(fd, data + 2, bytes - 2) != (ssize_t)bytes - 2)
		abort();
	shutdown(fd, SHUT_WR);
	call(c, data[0]);
	facet_close(c);
	close(fd);
	return 0;
}
