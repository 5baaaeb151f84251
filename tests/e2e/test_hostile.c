/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that means ill, against a real daemon: it must answer with a clear error or close, keep
 * no descriptor and no memory, and serve the next one.
 */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/rig.h"
#include "tests/suite.h"

#define DIM 16

static struct rig rig;
static struct raw raw;
static unsigned fds_before;

static Facet__Wire__Bulk *bulk_of(const void *data, size_t bytes)
{
	static Facet__Wire__Bulk bulks[64];
	static unsigned next;
	Facet__Wire__Bulk *bulk = &bulks[next++ % 64];

	facet__wire__bulk__init(bulk);
	bulk->data.data = (uint8_t *)data;
	bulk->data.len = bytes;
	return bulk;
}

static Facet__Wire__Probe *probe_of(uint32_t count, uint32_t dim, Facet__Wire__Bulk *bulk)
{
	static Facet__Wire__Probe probe;
	static Facet__Wire__Vectors vectors;

	facet__wire__probe__init(&probe);
	facet__wire__vectors__init(&vectors);
	vectors.count = count;
	vectors.dim = dim;
	vectors.data = bulk;
	probe.kind_case = FACET__WIRE__PROBE__KIND_VECTORS;
	probe.vectors = &vectors;
	return &probe;
}

static float ones[DIM] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static char gallery[] = "staff", subject[] = "someone";
static char *subjects[] = {subject};

static void search_make(Facet__Wire__Request *request, Facet__Wire__Search *search,
			Facet__Wire__Probe *probe)
{
	facet__wire__request__init(request);
	facet__wire__search__init(search);
	search->gallery = gallery;
	search->k = 3;
	search->probe = probe;
	request->id = 5;
	request->body_case = FACET__WIRE__REQUEST__BODY_SEARCH;
	request->search = search;
}

static void enrol_make(Facet__Wire__Request *request, Facet__Wire__Enrol *enrol,
		       Facet__Wire__Probe *probe)
{
	facet__wire__request__init(request);
	facet__wire__enrol__init(enrol);
	enrol->gallery = gallery;
	enrol->subjects = subjects;
	enrol->n_subjects = 1;
	enrol->probe = probe;
	request->id = 6;
	request->body_case = FACET__WIRE__REQUEST__BODY_ENROL;
	request->enrol = enrol;
}

static void gallery_make(void)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__GalleryCreate create = FACET__WIRE__GALLERY_CREATE__INIT;
	Facet__Wire__Space space = FACET__WIRE__SPACE__INIT;
	Facet__Wire__Enrol enrol;

	space.name = (char *)"vectors";
	space.dim = DIM;
	create.name = gallery;
	create.space = &space;
	request.id = 1;
	request.body_case = FACET__WIRE__REQUEST__BODY_GALLERY_CREATE;
	request.gallery_create = &create;
	raw_open(&raw, &rig);
	raw_hello(&raw);
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text);
	enrol_make(&request, &enrol, probe_of(1, DIM, bulk_of(ones, sizeof(ones))));
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text);
	raw_close(&raw);
}

static void setup(void)
{
	rig_make(&rig, "[limits]\nsend_bytes = 512K\nstall_seconds = 1\nin_flight = 300\n"
		       "mapped_bytes = 8M\n[device cpu]\nthreads = 1\n");
	rig_start(&rig);
	gallery_make();
	rig_serves(&rig);
	usleep(50000); /* the connections made so far are closed by then */
	fds_before = rig_fds(&rig);
}

static void teardown(void)
{
	unsigned fds = 0;
	int status;

	rig_serves(&rig);
	for (int i = 0; i < 100; i++) {
		fds = rig_fds(&rig);
		if (fds <= fds_before)
			break;
		usleep(20000);
	}
	ck_assert_msg(fds <= fds_before, "descriptors: %u before, %u after", fds_before, fds);
	status = rig_end(&rig, SIGTERM);
	ck_assert_msg(status == 0, "facetd ended with %x", status);
	rig_remove(&rig);
}

/* The daemon says why, and closes. */
static void expect_fatal(const char *word)
{
	Facet__Wire__ServerFrame *frame = raw_next(&raw);

	ck_assert_ptr_nonnull(frame);
	ck_assert_int_eq(frame->kind_case, FACET__WIRE__SERVER_FRAME__KIND_FATAL);
	ck_assert_msg(strstr(frame->fatal->text, word) != NULL, "%s", frame->fatal->text);
	facet__wire__server_frame__free_unpacked(frame, NULL);
	ck_assert_ptr_null(raw_next(&raw));
	raw_close(&raw);
}

/* ---- bytes -------------------------------------------------------------------------------------- */
static const struct {
	const char *bytes;
	size_t length;
	bool hello;
	const char *word;
} garbage[] = {
	{"\0\0\0\0", 4, false, "no bytes"},
	{"\xff\xff\xff\xff", 4, true, "262,144"},
	{"\x01\0\x04\0", 4, true, "262,144"},
	{"\x03\0\0\0\xff\xff\xff", 7, true, "not a legal message"},
	{"\x02\0\0\0\x1a\x7f", 6, true, "not a legal message"},
	{"\x01\0\0\0\x80", 5, true, "not a legal message"},
	{"\x02\0\0\0\x08\x00", 6, true, "no known kind"},
	{"\x03\0\0\0\x7a\x01\x00", 7, true, "no known kind"},
	{"\x02\0\0\0\x1a\x00", 6, false, "hello goes first"},
	{"\x04\0\0\0\x12\x02\x08\x02", 8, false, "version 1"},
	{"\x04\0\0\0\x12\x02\x08\x01", 8, true, "second hello"},
	{"GET / HTTP/1.1\r\n\r\n", 18, false, "262,144"},
	{"\x02\0\0\0\x08\x01", 6, true, "descriptors"},
	{"\x03\0\0\0\x08\xff\x7f", 7, true, "descriptors"},
};

START_TEST(test_garbage_is_refused)
{
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		raw_open(&raw, &rig);
		if (garbage[i].hello)
			raw_hello(&raw);
		ck_assert(raw_bytes(&raw, garbage[i].bytes, garbage[i].length, NULL, 0));
		expect_fatal(garbage[i].word);
	}
}
END_TEST

START_TEST(test_a_request_of_no_known_kind)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;

	raw_open(&raw, &rig);
	raw_hello(&raw);
	request.id = 3;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__UNIMPLEMENTED);
	raw_close(&raw);
}
END_TEST

START_TEST(test_truncated_frames_at_every_byte)
{
	/* hello, then a request cut short: death of a client at every state */
	uint8_t bytes[] = "\x04\0\0\0\x12\x02\x08\x01"
			  "\x0a\0\0\0\x1a\x08\x08\x07\x52\x04\x0a\x02hi";

	for (size_t cut = 0; cut < sizeof(bytes) - 1; cut++) {
		raw_open(&raw, &rig);
		ck_assert(raw_bytes(&raw, bytes, cut, NULL, 0));
		raw_close(&raw);
	}
}
END_TEST

/* Random bytes after a hello, and a legal request with bytes flipped. */
START_TEST(test_noise)
{
	unsigned seed = 11;

	for (int round = 0; round < 200; round++) {
		uint8_t bytes[300];
		size_t n = 4 + (size_t)rand_r(&seed) % 200;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)rand_r(&seed);
		bytes[0] = (uint8_t)(n - 4);
		bytes[1] = bytes[2] = bytes[3] = 0;
		if (round % 2)
			bytes[4] = 0x1a; /* a request */
		raw_open(&raw, &rig);
		raw_hello(&raw);
		raw_bytes(&raw, bytes, n, NULL, 0);
		raw_close(&raw);
	}
}
END_TEST

/* ---- descriptors -------------------------------------------------------------------------------- */
static void echo_make(Facet__Wire__Request *request, Facet__Wire__Echo *echo, uint8_t *data,
		      size_t bytes)
{
	facet__wire__request__init(request);
	facet__wire__echo__init(echo);
	echo->payload.data = data;
	echo->payload.len = bytes;
	request->id = 4;
	request->body_case = FACET__WIRE__REQUEST__BODY_ECHO;
	request->echo = echo;
}

static void descriptors_that_nobody_counted_case(int which)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Request request;
	Facet__Wire__Echo echo;
	int fds[20];

	for (int i = 0; i < 20; i++)
		fds[i] = 0;
	echo_make(&request, &echo, NULL, 0);
	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_REQUEST;
	frame.request = &request;
	raw_open(&raw, &rig);
	raw_hello(&raw);
	frame.fds = which == 0 ? 0 : which == 1 ? 3 : 20;
	ck_assert(raw_frame(&raw, &frame, fds, which == 0 ? 2 : which == 1 ? 2 : 20));
	for (;;) {
		Facet__Wire__ServerFrame *answer = raw_next(&raw);

		if (!answer)
			break;
		facet__wire__server_frame__free_unpacked(answer, NULL);
	}
	raw_close(&raw);
}

START_TEST(test_descriptors_that_nobody_counted)
{
	for (int i = 0; i < 3; i++)
		descriptors_that_nobody_counted_case(i);
}
END_TEST

static int memfd_of(size_t bytes, int seals, size_t hole)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char block[4096] = {1};

	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	for (size_t at = 0; at < bytes; at += sizeof(block))
		if (!hole || at != hole)
			ck_assert_int_gt(pwrite(fd, block, sizeof(block), (off_t)at), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

#define GOOD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int bad_fd(int which)
{
	int pipes[2];

	switch (which) {
	case 0: /* a FIFO */
		ck_assert_int_eq(pipe(pipes), 0);
		close(pipes[1]);
		return pipes[0];
	case 1: /* unsealed */
		return memfd_of(65536, 0, 0);
	case 2: /* may still shrink */
		return memfd_of(65536, F_SEAL_GROW, 0);
	case 3: /* a hole */
		return memfd_of(65536, GOOD_SEALS, 8192);
	case 4: /* shorter than said */
		return memfd_of(DIM * 4 - 1, GOOD_SEALS, 0);
	case 5: /* an ordinary file */
		return open(rig.config, O_RDONLY);
	default: /* a folder */
		return open("/", O_RDONLY);
	}
}

static void memory_that_is_not_sealed_case(int which)
{
	Facet__Wire__Bulk bulk = FACET__WIRE__BULK__INIT;
	Facet__Wire__Request request;
	Facet__Wire__Search search;
	uint32_t count = which == 3 ? 65536 / 4 / DIM : 1;
	int fd = bad_fd(which);

	bulk.in_fd = true;
	bulk.length = count * DIM * 4;
	raw_open(&raw, &rig);
	raw_hello(&raw);
	search_make(&request, &search, probe_of(count, DIM, &bulk));
	ck_assert_int_eq(raw_code(&raw, &request, &fd, 1), FACET__WIRE__CODE__INVALID_ARGUMENT);
	ck_assert_msg(strstr(rig_text, "the vectors") != NULL, "%s", rig_text);
	close(fd);
	raw_close(&raw);
}

START_TEST(test_memory_that_is_not_sealed)
{
	for (int i = 0; i < 7; i++)
		memory_that_is_not_sealed_case(i);
}
END_TEST

START_TEST(test_ranges_of_memory)
{
	static const struct {
		uint32_t fd;
		uint64_t offset, length;
		int code;
	} ranges[] = {
		{0, 0, DIM * 4, 0},
		{0, 4096, DIM * 4, 0},
		{0, 65536 - DIM * 4, DIM * 4, 0},
		{0, 65536 - DIM * 4 + 4, DIM * 4, FACET__WIRE__CODE__INVALID_ARGUMENT},
		{0, 2, DIM * 4, FACET__WIRE__CODE__INVALID_ARGUMENT},
		{0, UINT64_MAX - 3, DIM * 4, FACET__WIRE__CODE__INVALID_ARGUMENT},
		{0, 0, UINT64_MAX, FACET__WIRE__CODE__INVALID_ARGUMENT},
		{0, 0, 0, FACET__WIRE__CODE__INVALID_ARGUMENT},
		{1, 0, DIM * 4, FACET__WIRE__CODE__INVALID_ARGUMENT},
		{UINT32_MAX, 0, DIM * 4, FACET__WIRE__CODE__INVALID_ARGUMENT},
	};
	int fd = memfd_of(65536, GOOD_SEALS, 0);

	raw_open(&raw, &rig);
	raw_hello(&raw);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		Facet__Wire__Bulk bulk = FACET__WIRE__BULK__INIT;
		Facet__Wire__Request request;
		Facet__Wire__Search search;
		float first = 1;

		if (ranges[i].code == 0)
			ck_assert_int_gt(pwrite(fd, &first, 4, (off_t)ranges[i].offset), 0);
		bulk.in_fd = true;
		bulk.fd = ranges[i].fd;
		bulk.offset = ranges[i].offset;
		bulk.length = ranges[i].length;
		search_make(&request, &search, probe_of(1, DIM, &bulk));
		ck_assert_msg(raw_code(&raw, &request, &fd, 1) == ranges[i].code, "%zu: %s", i,
			      rig_text);
	}
	close(fd);
	raw_close(&raw);
}
END_TEST

/* ---- parameters --------------------------------------------------------------------------------- */
static float numbers[4][DIM] = {
	{1, NAN},
	{1, INFINITY},
	{0},
	{-0.0f},
};

static void vectors_that_are_none_case(int which)
{
	Facet__Wire__Request request;
	Facet__Wire__Search search;
	Facet__Wire__Enrol enrol;
	Facet__Wire__Probe *probe =
		probe_of(1, DIM, bulk_of(numbers[which], sizeof(numbers[which])));

	raw_open(&raw, &rig);
	raw_hello(&raw);
	search_make(&request, &search, probe);
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__INVALID_ARGUMENT);
	enrol_make(&request, &enrol, probe);
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__INVALID_ARGUMENT);
	raw_close(&raw);
}

START_TEST(test_vectors_that_are_none)
{
	for (int i = 0; i < 4; i++)
		vectors_that_are_none_case(i);
}
END_TEST

static int search_code(uint32_t k, uint32_t count, uint32_t dim, size_t bytes, const char *name)
{
	static uint8_t data[4096];
	Facet__Wire__Request request;
	Facet__Wire__Search search;

	memcpy(data, ones, sizeof(ones));
	search_make(&request, &search, probe_of(count, dim, bulk_of(data, bytes)));
	search.k = k;
	search.gallery = (char *)name;
	return raw_code(&raw, &request, NULL, 0);
}

START_TEST(test_parameters_of_a_search)
{
	const int bad = FACET__WIRE__CODE__INVALID_ARGUMENT;
	char unknown[400], foreign[400];
	Facet__Wire__Request request;
	Facet__Wire__Search search;

	raw_open(&raw, &rig);
	raw_hello(&raw);
	ck_assert_int_eq(search_code(1, 1, DIM, DIM * 4, "staff"), 0);
	ck_assert_int_eq(search_code(65536, 1, DIM, DIM * 4, "staff"), 0);
	ck_assert_int_eq(search_code(0, 1, DIM, DIM * 4, "staff"), bad);
	ck_assert_int_eq(search_code(65537, 1, DIM, DIM * 4, "staff"), bad);
	ck_assert_int_eq(search_code(UINT32_MAX, 1, DIM, DIM * 4, "staff"), bad);
	ck_assert_int_eq(search_code(1, 1, DIM - 1, (DIM - 1) * 4, "staff"), bad);
	ck_assert_int_eq(search_code(1, 1, 0, 0, "staff"), bad);
	ck_assert_int_eq(search_code(1, 0, DIM, 0, "staff"), bad);
	ck_assert_int_eq(search_code(1, 2, DIM, DIM * 4, "staff"), bad);
	ck_assert_int_eq(search_code(1, UINT32_MAX, DIM, DIM * 4, "staff"), bad);
	ck_assert_int_eq(search_code(1, 1, DIM, DIM * 4 - 1, "staff"), bad);
	ck_assert_int_eq(search_code(1, 1, DIM, DIM * 4, "nobody"), FACET__WIRE__CODE__NOT_FOUND);
	snprintf(unknown, sizeof(unknown), "%s", rig_text);
	ck_assert_int_eq(search_code(1, 1, DIM, DIM * 4, "../staff"), FACET__WIRE__CODE__NOT_FOUND);
	snprintf(foreign, sizeof(foreign), "%s", rig_text);
	ck_assert_str_eq(unknown, foreign);
	search_make(&request, &search, NULL);
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	search_make(&request, &search, probe_of(1, DIM, NULL));
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	search_make(&request, &search, probe_of(1, DIM, bulk_of(ones, sizeof(ones))));
	search.has_threshold = true;
	search.threshold = NAN;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	search.has_threshold = false;
	search.threshold = 0;
	search.range = true;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	search.range = false;
	search.fmr = 1e-4;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__FAILED_PRECONDITION);
	search.fmr = 0;
	search.rerank = 2;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	raw_close(&raw);
}
END_TEST

START_TEST(test_parameters_of_an_enrol)
{
	const int bad = FACET__WIRE__CODE__INVALID_ARGUMENT;
	char long_name[200], control[] = "a\nb", utf8[] = "\xc3(";
	char *bad_names[] = {long_name, control, utf8, (char *)""};
	uint64_t ids[] = {77, 77};
	uint8_t key[16] = {9};
	float two[2 * DIM];
	Facet__Wire__Request request;
	Facet__Wire__Enrol enrol;

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	memcpy(two, ones, sizeof(ones));
	memcpy(two + DIM, ones, sizeof(ones));
	raw_open(&raw, &rig);
	raw_hello(&raw);
	for (int i = 0; i < 4; i++) {
		enrol_make(&request, &enrol, probe_of(1, DIM, bulk_of(ones, sizeof(ones))));
		enrol.subjects = &bad_names[i];
		/* Text that is not UTF-8 may also be refused as a frame. */
		if (i == 2)
			continue;
		ck_assert_msg(raw_code(&raw, &request, NULL, 0) == bad, "%d: %s", i, rig_text);
	}
	enrol_make(&request, &enrol, probe_of(2, DIM, bulk_of(two, sizeof(two))));
	enrol.ids = bulk_of(ids, sizeof(ids));
	ck_assert_int_ne(raw_code(&raw, &request, NULL, 0), 0); /* twice the same id */
	enrol_make(&request, &enrol, probe_of(1, DIM, bulk_of(ones, sizeof(ones))));
	enrol.ids = bulk_of(ids, 8);
	enrol.key.data = key;
	enrol.key.len = 16;
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text);
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text); /* a replay */
	enrol.key.len = 0;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__ALREADY_EXISTS);
	enrol.key.len = 15;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	enrol.key.len = 0;
	enrol.n_subjects = 0;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	enrol.n_subjects = 1;
	enrol.ids = bulk_of(ids, 7);
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), bad);
	raw_close(&raw);
}
END_TEST

START_TEST(test_shapes_of_raw_kernels)
{
	static const uint32_t shapes[][3] = {{0, 1, 1},
					     {1, 0, 1},
					     {1, 1, 0},
					     {UINT32_MAX, 1, 1},
					     {65536, 65536, 1},
					     {1, 1, 65537},
					     {65536, 16384, 65536}};
	int8_t byte = 1;

	raw_open(&raw, &rig);
	raw_hello(&raw);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
		Facet__Wire__Gemm gemm = FACET__WIRE__GEMM__INIT;

		gemm.m = shapes[i][0];
		gemm.n = shapes[i][1];
		gemm.k = shapes[i][2];
		gemm.out = FACET__WIRE__OUT__OUT_S32;
		gemm.a = gemm.b = bulk_of(&byte, 1);
		request.body_case = FACET__WIRE__REQUEST__BODY_GEMM;
		request.gemm = &gemm;
		ck_assert_msg(raw_code(&raw, &request, NULL, 0) ==
				      FACET__WIRE__CODE__INVALID_ARGUMENT,
			      "%zu: %s", i, rig_text);
	}
	raw_close(&raw);
}
END_TEST

/* A frame this large gives its memory back the moment its job ends. */
START_TEST(test_large_frames_that_are_refused)
{
	static uint8_t operand[64 * 1024];
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Gemm gemm = FACET__WIRE__GEMM__INIT;

	gemm.m = gemm.n = 2048;
	gemm.k = 32;
	gemm.a = gemm.b = bulk_of(operand, sizeof(operand));
	request.body_case = FACET__WIRE__REQUEST__BODY_GEMM;
	request.gemm = &gemm;
	raw_open(&raw, &rig);
	raw_hello(&raw);
	gemm.out = FACET__WIRE__OUT__OUT_S8; /* without the scales it needs */
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__INVALID_ARGUMENT);
	gemm.out = FACET__WIRE__OUT__OUT_S32; /* 16 MiB, over mapped_bytes */
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__OVERLOADED);
	raw_close(&raw);
}
END_TEST

START_TEST(test_a_model_that_is_none)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__ModelCreate create = FACET__WIRE__MODEL_CREATE__INIT;
	int fd = memfd_of(65536, GOOD_SEALS, 0);

	create.name = (char *)"feature";
	create.length = 65536;
	request.body_case = FACET__WIRE__REQUEST__BODY_MODEL_CREATE;
	request.model_create = &create;
	raw_open(&raw, &rig);
	raw_hello(&raw);
	ck_assert_int_eq(raw_code(&raw, &request, &fd, 1), FACET__WIRE__CODE__INVALID_ARGUMENT);
	create.name = (char *)"../feature";
	ck_assert_int_eq(raw_code(&raw, &request, &fd, 1), FACET__WIRE__CODE__INVALID_ARGUMENT);
	create.name = (char *)"feature";
	create.length = UINT64_MAX;
	ck_assert_int_eq(raw_code(&raw, &request, &fd, 1), FACET__WIRE__CODE__INVALID_ARGUMENT);
	close(fd);
	raw_close(&raw);
}
END_TEST

/* ---- load --------------------------------------------------------------------------------------- */
static size_t echo_bytes(uint8_t *frame, size_t payload)
{
	Facet__Wire__ClientFrame client = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Request request;
	Facet__Wire__Echo echo;
	static uint8_t data[200000];
	size_t n;

	echo_make(&request, &echo, data, payload);
	client.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_REQUEST;
	client.request = &request;
	n = facet__wire__client_frame__pack(&client, frame + 4);
	for (int i = 0; i < 4; i++)
		frame[i] = (uint8_t)(n >> 8 * i);
	return n + 4;
}

START_TEST(test_a_client_that_does_not_read)
{
	static uint8_t frame[256 * 1024];
	size_t n = echo_bytes(frame, 100000);
	struct pollfd hangup;
	bool dropped = false;
	long before, after;

	raw_open(&raw, &rig);
	raw_hello(&raw);
	before = rig_resident_kib(&rig);
	fcntl(raw.fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 600 && !dropped; i++) {
		ssize_t sent = send(raw.fd, frame, n, MSG_NOSIGNAL);

		/* Whatever part was taken: the rest makes frames that are none, if it gets there. */
		if (sent < 0)
			usleep(10000);
		hangup = (struct pollfd){.fd = raw.fd};
		dropped = poll(&hangup, 1, 0) == 1 && (hangup.revents & POLLHUP);
	}
	after = rig_resident_kib(&rig);
	ck_assert_msg(dropped, "it was not dropped");
	ck_assert_msg(after - before < 64 * 1024, "%ld KiB more", after - before);
	raw_close(&raw);
}
END_TEST

START_TEST(test_a_flood)
{
	static uint8_t frames[64 * 1024];
	static uint8_t frame[1024];
	size_t n = echo_bytes(frame, 64);
	size_t total = 0, answers = 0, sent = 0;

	while (total + n <= sizeof(frames)) {
		memcpy(frames + total, frame, n);
		total += n;
	}
	raw_open(&raw, &rig);
	raw_hello(&raw);
	for (int round = 0; round < 40; round++) {
		ck_assert(raw_bytes(&raw, frames, total, NULL, 0));
		sent += total / n;
		while (answers < sent) {
			Facet__Wire__ServerFrame *f = raw_next(&raw);

			ck_assert_ptr_nonnull(f);
			if (f->reply->error)
				ck_assert_int_eq(f->reply->error->code,
						 FACET__WIRE__CODE__OVERLOADED);
			if (f->reply->error)
				ck_assert_uint_ge(f->reply->error->retry_after_ms, 1);
			answers++;
			facet__wire__server_frame__free_unpacked(f, NULL);
		}
	}
	raw_close(&raw);
}
END_TEST

/* Clients that die with work in the queue, on the device, on its way to the disk. */
START_TEST(test_death_with_work_in_flight)
{
	for (int round = 0; round < 30; round++) {
		Facet__Wire__Request request;
		Facet__Wire__Search search;
		Facet__Wire__Enrol enrol;
		Facet__Wire__Probe *probe = probe_of(1, DIM, bulk_of(ones, sizeof(ones)));

		raw_open(&raw, &rig);
		raw_hello(&raw);
		for (int i = 0; i < 20; i++) {
			search_make(&request, &search, probe);
			raw_request(&raw, &request, NULL, 0);
			enrol_make(&request, &enrol, probe);
			raw_request(&raw, &request, NULL, 0);
		}
		raw_close(&raw);
	}
}
END_TEST

START_TEST(test_memory_does_not_grow)
{
	long before = 0;

	for (int round = 0; round < 600; round++) {
		raw_open(&raw, &rig);
		raw_hello(&raw);
		ck_assert_int_eq(search_code(3, 1, DIM, DIM * 4, "staff"), 0);
		raw_bytes(&raw, "\xff\xff\xff\xff", 4, NULL, 0);
		raw_close(&raw);
		if (round == 100)
			before = rig_resident_kib(&rig);
	}
	(void)before;
#ifndef __SANITIZE_ADDRESS__ /* which keeps freed memory for a while */
	ck_assert_int_le(rig_resident_kib(&rig) - before, 2048);
#endif
}
END_TEST

START_TEST(test_deadlines_and_cancels)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Cancel cancel = FACET__WIRE__CANCEL__INIT;
	Facet__Wire__Request request, late;
	Facet__Wire__Enrol enrol;
	Facet__Wire__Echo echo;

	raw_open(&raw, &rig);
	raw_hello(&raw);
	echo_make(&request, &echo, NULL, 0);
	request.deadline_ns = 1;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__DEADLINE_EXCEEDED);
	enrol_make(&late, &enrol, probe_of(1, DIM, bulk_of(ones, sizeof(ones))));
	late.deadline_ns = 1;
	ck_assert_int_eq(raw_code(&raw, &late, NULL, 0), FACET__WIRE__CODE__DEADLINE_EXCEEDED);
	cancel.id = 12345; /* of nothing: no answer, no harm */
	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_CANCEL;
	frame.cancel = &cancel;
	ck_assert(raw_frame(&raw, &frame, NULL, 0));
	request.deadline_ns = 0;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), 0);
	raw_close(&raw);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *tcase = tcase_create("hostile");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 40);
	tcase_add_test(tcase, test_garbage_is_refused);
	tcase_add_test(tcase, test_a_request_of_no_known_kind);
	tcase_add_test(tcase, test_truncated_frames_at_every_byte);
	tcase_add_test(tcase, test_noise);
	tcase_add_test(tcase, test_descriptors_that_nobody_counted);
	tcase_add_test(tcase, test_memory_that_is_not_sealed);
	tcase_add_test(tcase, test_ranges_of_memory);
	tcase_add_test(tcase, test_vectors_that_are_none);
	tcase_add_test(tcase, test_parameters_of_a_search);
	tcase_add_test(tcase, test_parameters_of_an_enrol);
	tcase_add_test(tcase, test_shapes_of_raw_kernels);
	tcase_add_test(tcase, test_large_frames_that_are_refused);
	tcase_add_test(tcase, test_a_model_that_is_none);
	tcase_add_test(tcase, test_a_client_that_does_not_read);
	tcase_add_test(tcase, test_a_flood);
	tcase_add_test(tcase, test_death_with_work_in_flight);
	tcase_add_test(tcase, test_memory_does_not_grow);
	tcase_add_test(tcase, test_deadlines_and_cancels);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
