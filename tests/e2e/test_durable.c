/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's life: killed under an enrol load it has every acknowledged template when it is back;
 * SIGTERM drains; SIGHUP takes a new file and keeps the old one when the new one is wrong.
 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/rig.h"
#include "tests/suite.h"

#define DIM    32
#define BATCH  50
#define ROUNDS 200

static struct rig rig;
static struct raw raw;
static char gallery[] = "staff", subject[] = "someone";
static char *subjects[] = {subject};

static void gallery_make(const char *name)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__GalleryCreate create = FACET__WIRE__GALLERY_CREATE__INIT;
	Facet__Wire__Space space = FACET__WIRE__SPACE__INIT;

	space.name = (char *)"vectors";
	space.dim = DIM;
	create.name = (char *)name;
	create.space = &space;
	request.body_case = FACET__WIRE__REQUEST__BODY_GALLERY_CREATE;
	request.gallery_create = &create;
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text);
}

/* Sends the batch whose ids start at first; the request's id is the batch's number. */
static bool enrol_send(uint64_t batch, unsigned *seed)
{
	static float x[BATCH * DIM];
	static uint64_t ids[BATCH];
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Enrol enrol = FACET__WIRE__ENROL__INIT;
	Facet__Wire__Probe probe = FACET__WIRE__PROBE__INIT;
	Facet__Wire__Vectors vectors = FACET__WIRE__VECTORS__INIT;
	Facet__Wire__Bulk data = FACET__WIRE__BULK__INIT, id = FACET__WIRE__BULK__INIT;

	for (unsigned i = 0; i < BATCH * DIM; i++)
		x[i] = (float)(rand_r(seed) % 1000) - 500;
	for (unsigned i = 0; i < BATCH; i++)
		ids[i] = 1 + batch * BATCH + i;
	data.data.data = (uint8_t *)x;
	data.data.len = sizeof(x);
	id.data.data = (uint8_t *)ids;
	id.data.len = sizeof(ids);
	vectors.count = BATCH;
	vectors.dim = DIM;
	vectors.data = &data;
	probe.kind_case = FACET__WIRE__PROBE__KIND_VECTORS;
	probe.vectors = &vectors;
	enrol.gallery = gallery;
	enrol.probe = &probe;
	enrol.subjects = subjects;
	enrol.n_subjects = 1;
	enrol.ids = &id;
	request.id = batch;
	request.body_case = FACET__WIRE__REQUEST__BODY_ENROL;
	request.enrol = &enrol;
	return raw_request(&raw, &request, NULL, 0);
}

/* Takes the answers there are by now: counts them, marks what was acknowledged. */
static unsigned enrol_answers(bool *acknowledged, bool wait)
{
	struct pollfd ready = {.fd = raw.fd, .events = POLLIN};
	unsigned count = 0;

	while (raw.held || poll(&ready, 1, wait && !count ? 5000 : 0) > 0) {
		Facet__Wire__ServerFrame *frame = raw_next(&raw);

		if (!frame)
			break;
		ck_assert_msg(!frame->reply->error, "%s", frame->reply->error->text);
		acknowledged[frame->reply->id] = true;
		count++;
		facet__wire__server_frame__free_unpacked(frame, NULL);
	}
	return count;
}

/* Waits until the gallery is loaded; false is a failure. */
static bool gallery_ready(void)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Info info = FACET__WIRE__INFO__INIT;

	request.body_case = FACET__WIRE__REQUEST__BODY_INFO;
	request.info = &info;
	for (int i = 0; i < 500; i++) {
		Facet__Wire__ServerFrame *frame;
		bool ready;

		ck_assert(raw_request(&raw, &request, NULL, 0));
		frame = raw_next(&raw);
		ck_assert_ptr_nonnull(frame);
		ready = frame->reply->info->ready;
		facet__wire__server_frame__free_unpacked(frame, NULL);
		if (ready)
			return true;
		usleep(10000);
	}
	return false;
}

static void exported_mark(bool *present)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Export export = FACET__WIRE__EXPORT__INIT;
	bool more = true;

	export.gallery = gallery;
	request.body_case = FACET__WIRE__REQUEST__BODY_EXPORT;
	request.export = &export;
	while (more) {
		Facet__Wire__ServerFrame *frame;

		ck_assert(raw_request(&raw, &request, NULL, 0));
		frame = raw_next(&raw);
		ck_assert_ptr_nonnull(frame);
		ck_assert_msg(!frame->reply->error, "%s", frame->reply->error->text);
		for (size_t i = 0; i < frame->reply->export->n_items; i++) {
			uint64_t id = frame->reply->export->items[i]->id;

			ck_assert_uint_le(id, BATCH * ROUNDS);
			ck_assert_msg(!present[id], "template %u is there twice", (unsigned)id);
			present[id] = true;
		}
		more = frame->reply->export->more;
		export.cursor = frame->reply->export->cursor;
		facet__wire__server_frame__free_unpacked(frame, NULL);
	}
}

static uint32_t subject_templates(void)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__SubjectShow show = FACET__WIRE__SUBJECT_SHOW__INIT;
	Facet__Wire__ServerFrame *frame;
	uint32_t templates;

	show.gallery = gallery;
	show.subject = subject;
	request.body_case = FACET__WIRE__REQUEST__BODY_SUBJECT_SHOW;
	request.subject_show = &show;
	ck_assert(raw_request(&raw, &request, NULL, 0));
	frame = raw_next(&raw);
	ck_assert_ptr_nonnull(frame);
	ck_assert_msg(!frame->reply->error, "%s", frame->reply->error->text);
	templates = frame->reply->subject_show->templates;
	ck_assert_uint_eq(frame->reply->subject_show->n_items, templates < 256 ? templates : 256);
	facet__wire__server_frame__free_unpacked(frame, NULL);
	return templates;
}

START_TEST(test_killed_under_load_it_has_what_it_acknowledged)
{
	static bool acknowledged[ROUNDS], present[BATCH * ROUNDS + 1];
	unsigned seed = 21 + (unsigned)_i, answers = 0;
	unsigned until = 5 + 17 * (unsigned)_i;
	uint32_t there = 0;
	uint64_t sent = 0;

	rig_make(&rig, "[device cpu]\nthreads = 1\n");
	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	gallery_make(gallery);
	while (answers < until && sent < ROUNDS) {
		while (sent < answers + 8 && sent < ROUNDS)
			ck_assert(enrol_send(sent++, &seed));
		answers += enrol_answers(acknowledged, true);
	}
	rig_end(&rig, SIGKILL);
	enrol_answers(acknowledged, false);
	raw_close(&raw);

	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	ck_assert(gallery_ready());
	exported_mark(present);
	for (unsigned i = 0; i < ROUNDS * BATCH; i++)
		if (acknowledged[i / BATCH])
			ck_assert_msg(present[i + 1], "seed %d: acknowledged template %u is lost",
				      21 + _i, i + 1);
	for (unsigned i = 0; i <= ROUNDS * BATCH; i++)
		there += present[i];
	ck_assert_uint_eq(subject_templates(), there);
	/* A batch is whole or not there. */
	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned j = 1; j < BATCH; j++)
			ck_assert_int_eq(present[1 + i * BATCH], present[1 + i * BATCH + j]);
	raw_close(&raw);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

static int echo_code(void)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Echo echo = FACET__WIRE__ECHO__INIT;

	request.id = 8;
	request.body_case = FACET__WIRE__REQUEST__BODY_ECHO;
	request.echo = &echo;
	return raw_code(&raw, &request, NULL, 0);
}

static bool log_has(const char *word)
{
	char command[256];

	snprintf(command, sizeof(command), "grep -q '%s' %s", word, rig.log);
	return system(command) == 0;
}

static bool log_soon(const char *word)
{
	for (int i = 0; i < 300 && !log_has(word); i++)
		usleep(10000);
	return log_has(word);
}

static void config_write(const char *settings)
{
	FILE *file = fopen(rig.config, "w");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "%s", settings);
	fclose(file);
}

START_TEST(test_sigterm_finishes_what_runs)
{
	static bool acknowledged[ROUNDS];
	unsigned seed = 5, answers = 0;
	int status = 0;

	rig_make(&rig, "[device cpu]\nthreads = 1\n");
	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	gallery_make(gallery);
	for (uint64_t i = 0; i < 10; i++)
		ck_assert(enrol_send(i, &seed));
	while (!answers)
		answers += enrol_answers(acknowledged, true);
	usleep(20000); /* all ten have been read */
	kill(rig.pid, SIGTERM);
	for (unsigned more = 1; more && answers < 10; answers += more)
		more = enrol_answers(acknowledged, true);
	ck_assert_uint_eq(answers, 10);
	ck_assert_int_eq(waitpid(rig.pid, &status, 0), rig.pid);
	rig.pid = 0;
	ck_assert_int_eq(status, 0);
	ck_assert(log_has("event=drain"));
	raw_close(&raw);
	rig_remove(&rig);
}
END_TEST

/* Replies that do not fit the socket wait for a client that still reads. */
START_TEST(test_sigterm_delivers_what_is_answered)
{
	static uint8_t payload[100000];
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Echo echo = FACET__WIRE__ECHO__INIT;
	Facet__Wire__ServerFrame *frame;

	rig_make(&rig, "[device cpu]\nthreads = 1\n");
	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	echo.payload.data = payload;
	echo.payload.len = sizeof(payload);
	request.body_case = FACET__WIRE__REQUEST__BODY_ECHO;
	request.echo = &echo;
	for (request.id = 0; request.id < 20; request.id++)
		ck_assert(raw_request(&raw, &request, NULL, 0));
	usleep(100000); /* all have been answered, and wait */
	kill(rig.pid, SIGTERM);
	for (uint64_t i = 0; i < 20; i++) {
		frame = raw_next(&raw);
		ck_assert_msg(frame != NULL, "only %u replies came", (unsigned)i);
		ck_assert_ptr_null(frame->reply->error);
		facet__wire__server_frame__free_unpacked(frame, NULL);
	}
	raw_close(&raw);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

START_TEST(test_reload)
{
	rig_make(&rig, "[device cpu]\nthreads = 1\n");
	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	ck_assert_int_eq(echo_code(), 0);
	/* A mistake: named, and nothing changes. */
	config_write("[limits]\n\nrate = often\n");
	kill(rig.pid, SIGHUP);
	ck_assert(log_soon("event=reload kept=old text=.*:3: .*write digits"));
	ck_assert_int_eq(echo_code(), 0);
	ck_assert_int_eq(echo_code(), 0);
	/* One request a second from now on, for connections that are open too. */
	config_write("[daemon]\ngroup = root\n[device cpu]\nthreads = 1\n[limits]\nrate = 1\n");
	kill(rig.pid, SIGHUP);
	ck_assert(log_soon("event=reload text=.*next start only: group"));
	ck_assert(log_soon("event=reload tenants=0"));
	ck_assert_int_eq(echo_code(), 0);
	ck_assert_int_eq(echo_code(), FACET__WIRE__CODE__OVERLOADED);
	raw_close(&raw);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

/* Images against vectors: with one-hot vectors that gives the image's template away. */
static int thresholds_code(const char *name, unsigned count)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__SpaceThresholds set = FACET__WIRE__SPACE_THRESHOLDS__INIT;
	Facet__Wire__Threshold threshold = FACET__WIRE__THRESHOLD__INIT;
	Facet__Wire__Threshold *list[] = {&threshold};

	threshold.fmr = 1e-3;
	threshold.score = 0.5f;
	set.gallery = (char *)name;
	set.n_thresholds = count;
	set.thresholds = list;
	request.body_case = FACET__WIRE__REQUEST__BODY_SPACE_THRESHOLDS;
	request.space_thresholds = &set;
	return raw_code(&raw, &request, NULL, 0);
}

static int mixed_compare_code(void)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Compare compare = FACET__WIRE__COMPARE__INIT;
	Facet__Wire__Probe image = FACET__WIRE__PROBE__INIT, vector = FACET__WIRE__PROBE__INIT;
	Facet__Wire__Tensors tensors = FACET__WIRE__TENSORS__INIT;
	Facet__Wire__Vectors vectors = FACET__WIRE__VECTORS__INIT;

	tensors.model = (char *)"feature";
	tensors.count = vectors.count = 1;
	image.kind_case = FACET__WIRE__PROBE__KIND_TENSORS;
	image.tensors = &tensors;
	vector.kind_case = FACET__WIRE__PROBE__KIND_VECTORS;
	vector.vectors = &vectors;
	compare.a = &image;
	compare.b = &vector;
	request.body_case = FACET__WIRE__REQUEST__BODY_COMPARE;
	request.compare = &compare;
	return raw_code(&raw, &request, NULL, 0);
}

/* The peer's user may do nothing but what its section says, and sees no gallery but its own. */
START_TEST(test_rights_of_a_peer)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__GalleryList list = FACET__WIRE__GALLERY_LIST__INIT;
	Facet__Wire__Export export = FACET__WIRE__EXPORT__INIT;
	Facet__Wire__Info info = FACET__WIRE__INFO__INIT;
	Facet__Wire__ServerFrame *frame;
	char settings[256], unknown[400];
	unsigned seed = 3;

	rig_make(&rig, "[device cpu]\nthreads = 1\n");
	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	gallery_make(gallery);
	snprintf(settings, sizeof(settings),
		 "[device cpu]\nthreads = 1\n[tenant me]\nuids = %u\nrights = enrol, verify\n"
		 "galleries = staff\n",
		 (unsigned)getuid());
	config_write(settings);
	kill(rig.pid, SIGHUP);
	ck_assert(log_soon("event=reload tenants=1"));
	ck_assert(enrol_send(1, &seed));
	frame = raw_next(&raw);
	ck_assert_ptr_null(frame->reply->error);
	facet__wire__server_frame__free_unpacked(frame, NULL);
	ck_assert_int_eq(mixed_compare_code(), FACET__WIRE__CODE__PERMISSION_DENIED);
	request.body_case = FACET__WIRE__REQUEST__BODY_EXPORT;
	request.export = &export;
	export.gallery = gallery;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__PERMISSION_DENIED);
	export.gallery = (char *)"unknown";
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__NOT_FOUND);
	snprintf(unknown, sizeof(unknown), "%s", rig_text);
	/* Without any right on it, the gallery is as if it were not there. */
	snprintf(settings, sizeof(settings),
		 "[device cpu]\nthreads = 1\n[tenant me]\nuids = %u\nrights = all\n"
		 "galleries = another\nweight = 2\n[tenant you]\nuids = 4000000\n",
		 (unsigned)getuid());
	config_write(settings);
	kill(rig.pid, SIGHUP);
	ck_assert(log_soon("event=reload tenants=2"));
	export.gallery = gallery;
	ck_assert_int_eq(raw_code(&raw, &request, NULL, 0), FACET__WIRE__CODE__NOT_FOUND);
	ck_assert_str_eq(unknown, rig_text);
	request.body_case = FACET__WIRE__REQUEST__BODY_GALLERY_LIST;
	request.gallery_list = &list;
	ck_assert(raw_request(&raw, &request, NULL, 0));
	frame = raw_next(&raw);
	ck_assert_uint_eq(frame->reply->gallery_list->n_galleries, 0);
	facet__wire__server_frame__free_unpacked(frame, NULL);
	request.body_case = FACET__WIRE__REQUEST__BODY_INFO;
	request.info = &info;
	info.galleries = info.metrics = true;
	ck_assert(raw_request(&raw, &request, NULL, 0));
	frame = raw_next(&raw);
	ck_assert_uint_eq(frame->reply->info->n_galleries, 0);
	ck_assert_ptr_nonnull(strstr(frame->reply->info->metrics, "facet_jobs 1\n"));
	ck_assert_ptr_null(strstr(frame->reply->info->metrics, gallery));
	facet__wire__server_frame__free_unpacked(frame, NULL);
	/* Nor does it decide for that gallery by another of the same space. */
	gallery_make("another");
	ck_assert_int_eq(thresholds_code("another", 0), 0);
	ck_assert_int_eq(thresholds_code("another", 1), FACET__WIRE__CODE__PERMISSION_DENIED);
	raw_close(&raw);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("durable");
	TCase *tcase = tcase_create("durable");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_killed_under_load_it_has_what_it_acknowledged, 0, 4);
	tcase_add_test(tcase, test_sigterm_finishes_what_runs);
	tcase_add_test(tcase, test_sigterm_delivers_what_is_answered);
	tcase_add_test(tcase, test_reload);
	tcase_add_test(tcase, test_rights_of_a_peer);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
