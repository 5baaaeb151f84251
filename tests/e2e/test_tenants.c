/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants of a real daemon: sockets of their own, one quota after the other, classes, what each may
 * see, and a reload that adds and removes them while others stay connected. All clients of this test
 * have one uid, as those of containers may.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/libfacet/facet.h"
#include "tests/daemon/promtext.h"
#include "tests/e2e/rig.h"
#include "tests/suite.h"

#define DIM 8

static struct rig rig;

/* %s is the folder, in each place. */
static void configure(const char *format)
{
	FILE *file = fopen(rig.config, "w");

	ck_assert_ptr_nonnull(file);
	for (const char *s = format; *s; s++) {
		if (*s == '@')
			fputs(rig.folder, file);
		else
			fputc(*s, file);
	}
	fclose(file);
}

static void start(const char *format)
{
	rig_make(&rig, "");
	configure(format);
	rig_start(&rig);
}

static void stop(void)
{
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}

/* A client at the common socket (NULL) or a tenant's. */
static struct facet *client(const char *tenant)
{
	struct facet_params params = {.size = sizeof(params), .no_reconnect = true};
	char path[160];
	struct facet *c;

	if (tenant)
		snprintf(path, sizeof(path), "%s/%s.sock", rig.folder, tenant);
	else
		snprintf(path, sizeof(path), "%s", rig.socket);
	/* The daemon may be about to open this socket when it already serves on the common one. */
	for (int tries = 0; facet_connect(path, &params, &c) != 0; tries++) {
		ck_assert_msg(tries < 100, "%s: %s", path, facet_error(c)->text);
		facet_close(c);
		usleep(50000);
	}
	return c;
}

static int gallery_create(struct facet *c, const char *name)
{
	const struct facet_gallery_params params = {
		.size = sizeof(params), .dim = DIM, .keep_int8_only = true};

	return facet_gallery_create(c, name, &params);
}

static int enrol(struct facet *c, const char *gallery, uint32_t count, const uint8_t *key)
{
	static const char *const subject = "someone";
	static float x[64][DIM];
	const struct facet_probe probe = {
		.size = sizeof(probe), .count = count, .dim = DIM, .data = x};
	const struct facet_enrol_params params = {.size = sizeof(params), .key = key};

	for (uint32_t i = 0; i < count; i++)
		x[i][i % DIM] = 1.0f + (float)i;
	return facet_enrol(c, gallery, &probe, &subject, 1, &params, NULL, NULL);
}

/* Many at once: a single write, so that the daemon sees them all before it answers one. */
static unsigned refused_of(const char *tenant, unsigned count, const char *quota)
{
	static struct raw raw;
	static uint8_t bytes[8192];
	struct rig there = rig;
	size_t used = 0;
	unsigned refused = 0;

	snprintf(there.socket, sizeof(there.socket), "%.60s/%.20s.sock", rig.folder, tenant);
	raw_open(&raw, &there);
	raw_hello(&raw);
	for (unsigned i = 0; i < count; i++) {
		Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
		Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
		Facet__Wire__Echo echo = FACET__WIRE__ECHO__INIT;
		size_t n;

		request.id = i + 1;
		request.body_case = FACET__WIRE__REQUEST__BODY_ECHO;
		request.echo = &echo;
		frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_REQUEST;
		frame.request = &request;
		n = facet__wire__client_frame__pack(&frame, bytes + used + 4);
		bytes[used] = (uint8_t)n;
		bytes[used + 1] = bytes[used + 2] = bytes[used + 3] = 0;
		used += n + 4;
	}
	ck_assert(raw_bytes(&raw, bytes, used, NULL, 0));
	for (unsigned i = 0; i < count; i++) {
		Facet__Wire__ServerFrame *answer = raw_next(&raw);
		const Facet__Wire__Error *error = answer->reply->error;

		if (error) {
			refused++;
			ck_assert_int_eq(error->code, FACET__WIRE__CODE__OVERLOADED);
			ck_assert(error->retryable);
			ck_assert_uint_ge(error->retry_after_ms, 1);
			ck_assert_msg(strstr(error->text, quota) != NULL, "%s", error->text);
			ck_assert_msg(strstr(error->text, tenant) != NULL, "%s", error->text);
		}
		facet__wire__server_frame__free_unpacked(answer, NULL);
	}
	raw_close(&raw);
	return refused;
}

static void expect_refused(struct facet *c, int result, const char *word)
{
	ck_assert_msg(result == -FACET_EOVERLOADED, "%d: %s", result, facet_error(c)->text);
	ck_assert_msg(strstr(facet_error(c)->text, word) != NULL, "%s", facet_error(c)->text);
	ck_assert(facet_error(c)->retryable);
	ck_assert_uint_ge(facet_error(c)->retry_after_ms, 1);
}

/* ---- sockets ----------------------------------------------------------------------------------- */
static const char two[] = "[tenant a]\nsocket = @/a.sock\nrights = search-vector, enrol, admin\n"
			  "galleries = of-a\n"
			  "[tenant b]\nsocket = @/b.sock\nmode = 0600\n"
			  "rights = search-vector\ngalleries = of-b\n";

START_TEST(test_one_uid_two_sockets_two_tenants)
{
	static const float x[DIM] = {1};
	float score;
	int64_t id;
	struct facet *root, *a, *b;
	struct stat st;
	char path[160];

	start(two);
	root = client(NULL);
	a = client("a");
	b = client("b");
	ck_assert_int_eq(gallery_create(root, "of-b"), 0);
	ck_assert_int_eq(gallery_create(a, "of-a"), 0);
	ck_assert_int_eq(gallery_create(a, "of-b2"), -FACET_EPERMISSION_DENIED);
	ck_assert_int_eq(gallery_create(b, "of-a2"), -FACET_EPERMISSION_DENIED);
	ck_assert_int_eq(enrol(a, "of-a", 3, NULL), 0);
	ck_assert_int_eq(enrol(b, "of-b", 3, NULL), -FACET_EPERMISSION_DENIED);
	ck_assert_int_eq(facet_search(a, "of-a", 1, DIM, x, 1, NULL, &score, &id), 0);
	ck_assert_int_eq(facet_search(b, "of-b", 1, DIM, x, 1, NULL, &score, &id), 0);
	ck_assert_int_eq(facet_search(a, "of-b", 1, DIM, x, 1, NULL, &score, &id),
			 -FACET_ENOT_FOUND);
	ck_assert_int_eq(facet_search(b, "of-a", 1, DIM, x, 1, NULL, &score, &id),
			 -FACET_ENOT_FOUND);
	snprintf(path, sizeof(path), "%s/a.sock", rig.folder);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	snprintf(path, sizeof(path), "%s/b.sock", rig.folder);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	facet_close(root);
	facet_close(a);
	facet_close(b);
	stop();
}
END_TEST

/* Loads again, and waits until the log says so. */
static void reload(const char *format)
{
	static int before;
	char command[200];
	int now = before;

	configure(format);
	snprintf(command, sizeof(command), "exit $(grep -c 'event=reload tenants=' %s)", rig.log);
	before = WEXITSTATUS(system(command));
	kill(rig.pid, SIGHUP);
	for (int i = 0; i < 500 && now <= before; i++) {
		usleep(10000);
		now = WEXITSTATUS(system(command));
	}
	ck_assert_int_gt(now, before);
}

START_TEST(test_reload_adds_and_removes_without_dropping_others)
{
	struct facet *root, *a, *b, *c;
	char path[160];
	int gone = 0;

	start(two);
	root = client(NULL);
	a = client("a");
	b = client("b");
	reload("[tenant a]\nsocket = @/a.sock\nrights = raw-kernel\n"
	       "[tenant c]\nsocket = @/more/c.sock\nrights = verify\n");
	ck_assert_int_eq(facet_ping(root, "x", 1, NULL), 0);
	ck_assert_int_eq(facet_ping(a, "x", 1, NULL), 0);
	ck_assert_int_eq(gallery_create(a, "of-a"), -FACET_EPERMISSION_DENIED);
	for (int i = 0; i < 500 && !gone; i++) {
		gone = facet_ping(b, "x", 1, NULL);
		usleep(10000);
	}
	ck_assert_int_ne(gone, 0);
	snprintf(path, sizeof(path), "%s/b.sock", rig.folder);
	ck_assert_int_ne(access(path, F_OK), 0);
	c = client("more/c");
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	/* A mistake changes nothing. */
	configure("[tenant a]\nsocket = a.sock\n");
	kill(rig.pid, SIGHUP);
	usleep(100000);
	ck_assert_int_eq(facet_ping(a, "x", 1, NULL), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	/* Paths that change hands: each is again the tenant of its socket. */
	reload("[tenant a]\nsocket = @/more/c.sock\nrights = verify\n"
	       "[tenant c]\nsocket = @/a.sock\nrights = admin\ngalleries = *\n");
	facet_close(c);
	c = client("a");
	ck_assert_int_eq(gallery_create(c, "made-by-c"), 0);
	facet_close(root);
	facet_close(a);
	facet_close(b);
	facet_close(c);
	stop();
}
END_TEST

/* One socket that cannot be had: an error at the start, a line in the log at a reload. */
START_TEST(test_a_socket_that_cannot_be_had)
{
	struct facet *a;
	char command[500];

	start(two);
	a = client("a");
	snprintf(command, sizeof(command), "touch %s/file", rig.folder);
	ck_assert_int_eq(system(command), 0);
	reload("[tenant a]\nsocket = @/a.sock\nrights = verify\n"
	       "[tenant f]\nsocket = @/file\nrights = verify\n");
	ck_assert_int_eq(facet_ping(a, "x", 1, NULL), 0);
	snprintf(command, sizeof(command), "grep -q 'event=socket tenant=f text=.*File exists' %s",
		 rig.log);
	ck_assert_int_eq(system(command), 0);
	facet_close(a);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	snprintf(command, sizeof(command),
		 "timeout 10 ${BUILD:-build}/facetd --config %s --socket %s --state %s 2>&1 | "
		 "grep -q 'tenant f.*File exists'",
		 rig.config, rig.socket, rig.state);
	ck_assert_int_eq(system(command), 0);
	rig_remove(&rig);
}
END_TEST

/* ---- quotas ------------------------------------------------------------------------------------ */
START_TEST(test_in_flight_queue_and_rate)
{
	struct facet *r;

	start("[tenant f]\nsocket = @/f.sock\nin_flight = 3\n"
	      "[tenant q]\nsocket = @/q.sock\nqueue = 2\n"
	      "[tenant r]\nsocket = @/r.sock\nrate = 2\n"
	      "[tenant big]\nsocket = @/big.sock\n");
	ck_assert_uint_eq(refused_of("f", 8, "in_flight"), 5);
	ck_assert_uint_eq(refused_of("q", 8, "queue"), 6);
	ck_assert_uint_eq(refused_of("big", 200, "none"), 0);
	r = client("r");
	ck_assert_int_eq(facet_ping(r, "x", 1, NULL), 0);
	ck_assert_int_eq(facet_ping(r, "x", 1, NULL), 0);
	expect_refused(r, facet_ping(r, "x", 1, NULL), "rate");
	usleep(1000 * facet_error(r)->retry_after_ms);
	ck_assert_int_eq(facet_ping(r, "x", 1, NULL), 0);
	facet_close(r);
	stop();
}
END_TEST

START_TEST(test_mapped_bytes)
{
	static int8_t a[700][1024], b[700][1024];
	static float scale[700];
	static int32_t y[700 * 700];
	const struct facet_gemm small = {.size = sizeof(small),
					 .m = 300,
					 .n = 300,
					 .k = 1024,
					 .out = FACET_OUT_S32,
					 .a = a[0],
					 .b = b[0]};
	struct facet_gemm large = small;
	struct facet *m;

	start("[tenant m]\nsocket = @/m.sock\nrights = raw-kernel\nmapped_bytes = 1M\n"
	      "[tenant n]\nsocket = @/n.sock\nrights = raw-kernel\n");
	large.m = large.n = 700;
	large.q.s_pos = large.q.s_neg = scale;
	m = client("m");
	ck_assert_msg(facet_gemm_s8(m, &small, y) == 0, "%s", facet_error(m)->text);
	expect_refused(m, facet_gemm_s8(m, &large, y), "mapped_bytes");
	ck_assert_int_eq(facet_gemm_s8(m, &small, y), 0);
	facet_close(m);
	m = client("n");
	ck_assert_int_eq(facet_gemm_s8(m, &large, y), 0);
	facet_close(m);
	stop();
}
END_TEST

static const char made[] = "[tenant g]\nsocket = @/g.sock\nrights = enrol, delete, admin\n"
			   "galleries = *\ngallery_quota = 2\ntemplate_quota = 10\n"
			   "[tenant h]\nsocket = @/h.sock\nrights = enrol, admin\ngalleries = *\n";

START_TEST(test_galleries_and_templates)
{
	static const uint8_t key[FACET_KEY_BYTES] = {1, 2, 3};
	struct facet *g, *h, *root;

	start(made);
	g = client("g");
	h = client("h");
	root = client(NULL);
	ck_assert_int_eq(gallery_create(root, "one-of-roots"), 0);
	ck_assert_int_eq(gallery_create(g, "first"), 0);
	ck_assert_int_eq(gallery_create(g, "second"), 0);
	expect_refused(g, gallery_create(g, "third"), "gallery_quota");
	ck_assert_int_eq(gallery_create(h, "third"), 0);
	ck_assert_int_eq(gallery_create(g, "third"), -FACET_EALREADY_EXISTS);
	/* The templates of both count, whoever enrols them; others' do not. */
	ck_assert_int_eq(enrol(g, "first", 4, NULL), 0);
	ck_assert_int_eq(enrol(h, "second", 5, NULL), 0);
	ck_assert_int_eq(enrol(g, "third", 64, NULL), 0);
	expect_refused(g, enrol(g, "first", 2, NULL), "template_quota");
	expect_refused(h, enrol(h, "first", 2, NULL), "tenant g");
	ck_assert_int_eq(enrol(g, "first", 1, key), 0);
	expect_refused(g, enrol(g, "first", 1, NULL), "template_quota");
	/* A replay adds none. */
	ck_assert_int_eq(enrol(g, "first", 1, key), 0);
	/* Whose a gallery is outlives the daemon; one that goes makes room. */
	facet_close(g);
	facet_close(h);
	facet_close(root);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_start(&rig);
	g = client("g");
	expect_refused(g, gallery_create(g, "fourth"), "gallery_quota");
	for (int i = 0; i < 500 && facet_gallery_delete(g, "second", NULL, NULL); i++)
		usleep(10000); /* while it loads */
	ck_assert_int_eq(gallery_create(g, "fourth"), 0);
	expect_refused(g, gallery_create(g, "fifth"), "gallery_quota");
	ck_assert_int_eq(enrol(g, "fourth", 5, NULL), 0);
	expect_refused(g, enrol(g, "fourth", 1, NULL), "template_quota");
	facet_close(g);
	stop();
}
END_TEST

/* ---- classes ----------------------------------------------------------------------------------- */
START_TEST(test_classes)
{
	struct facet_call call = {.size = sizeof(call), .class_ = FACET_INTERACTIVE};
	struct facet *c;

	start("[tenant slow]\nsocket = @/slow.sock\nclass = batch\nclasses = batch\n"
	      "[tenant any]\nsocket = @/any.sock\nclass = batch\n");
	c = client("slow");
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(facet_defaults(c, &call), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), -FACET_EPERMISSION_DENIED);
	ck_assert_ptr_nonnull(strstr(facet_error(c)->text, "interactive"));
	call.class_ = FACET_BATCH;
	ck_assert_int_eq(facet_defaults(c, &call), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	facet_close(c);
	c = client("any");
	call.class_ = FACET_INTERACTIVE;
	ck_assert_int_eq(facet_defaults(c, &call), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	call.class_ = (enum facet_class)7;
	ck_assert_int_eq(facet_defaults(c, &call), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), -FACET_EINVALID_ARGUMENT);
	facet_close(c);
	stop();
}
END_TEST

/* ---- metrics ----------------------------------------------------------------------------------- */
static char *metrics_of(struct facet *c)
{
	struct facet_info *info;
	const char *error;
	char *text;

	ck_assert_int_eq(facet_info(c, FACET_INFO_METRICS, &info), 0);
	text = strdup(info->metrics);
	facet_free(info);
	error = prom_check(text);
	ck_assert_msg(!error, "%s", error);
	return text;
}

START_TEST(test_metrics_by_tenant)
{
	struct facet *root, *a, *b;
	char *text;

	start(two);
	root = client(NULL);
	a = client("a");
	b = client("b");
	ck_assert_int_eq(gallery_create(a, "of-a"), 0);
	ck_assert_int_eq(enrol(a, "of-a", 3, NULL), 0);
	ck_assert_int_eq(facet_ping(b, "x", 1, NULL), 0);
	ck_assert_int_ne(gallery_create(b, "none"), 0);
	text = metrics_of(b);
	ck_assert_ptr_nonnull(strstr(text, "facet_requests_total{tenant=\"b\",op=\"echo\","
					   "code=\"ok\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "facet_errors_total{tenant=\"b\","
					   "cause=\"permission_denied\"} 1\n"));
	ck_assert_ptr_null(strstr(text, "tenant=\"a\""));
	ck_assert_ptr_null(strstr(text, "of-a"));
	free(text);
	text = metrics_of(root);
	ck_assert_ptr_nonnull(strstr(text, "facet_requests_total{tenant=\"a\",op=\"enrol\","
					   "code=\"ok\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "facet_latency_seconds_count{tenant=\"b\","
					   "op=\"echo\",stage=\"wait\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "facet_bulk_bytes_total{tenant=\"a\",direction=\"in\","
					   "path=\"frame\"}"));
	ck_assert_ptr_nonnull(strstr(text, "facet_tenant_device_seconds_total{tenant=\"b\","));
	ck_assert_ptr_nonnull(strstr(text, "facet_gallery_templates{gallery=\"of-a\"} 3\n"));
	free(text);
	facet_close(root);
	facet_close(a);
	facet_close(b);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tenants");
	TCase *tcase = tcase_create("tenants");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_one_uid_two_sockets_two_tenants);
	tcase_add_test(tcase, test_reload_adds_and_removes_without_dropping_others);
	tcase_add_test(tcase, test_a_socket_that_cannot_be_had);
	tcase_add_test(tcase, test_in_flight_queue_and_rate);
	tcase_add_test(tcase, test_mapped_bytes);
	tcase_add_test(tcase, test_galleries_and_templates);
	tcase_add_test(tcase, test_classes);
	tcase_add_test(tcase, test_metrics_by_tenant);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
