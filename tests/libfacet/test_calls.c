/* SPDX-License-Identifier: Apache-2.0 */
/* Each call: what the daemon gets to see, what the caller gets back, and answers that do not fit. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/libfacet/facet.h"
#include "tests/libfacet/fake.h"
#include "tests/suite.h"

static struct fake *f;
static struct facet *c;

typedef int handler(struct fake *, const Facet__Wire__Request *, const int *, uint32_t);

static void up(handler *h)
{
	f->handler = h;
	fake_run(f);
	ck_assert_int_eq(facet_connect(f->path, NULL, &c), 0);
}

static void setup(void)
{
	f = fake_start();
}

static void teardown(void)
{
	ck_assert_int_eq(f->connections, 1);
	facet_close(c);
	c = NULL;
	fake_stop(f);
}

static ProtobufCBinaryData bytes_of(const void *data, size_t n)
{
	return (ProtobufCBinaryData){n, (uint8_t *)data};
}

/* The bytes of a request's bulk, wherever they are. */
static void expect_bulk(const Facet__Wire__Bulk *bulk, const int *fds, const void *want, size_t n)
{
	struct wire_mapping mapping = {0};
	const char *reason;

	ck_assert_ptr_nonnull(bulk);
	if (!bulk->in_fd) {
		ck_assert_uint_eq(bulk->data.len, n);
		ck_assert_int_eq(memcmp(bulk->data.data, want, n), 0);
		return;
	}
	ck_assert_uint_eq(bulk->length, n);
	ck_assert_int_eq(wire_map(fds[bulk->fd], bulk->offset, n, n, &mapping, &reason), 0);
	ck_assert_int_eq(memcmp(mapping.data, want, n), 0);
	wire_unmap(&mapping);
}

/* ---- search ---------------------------------------------------------------------------------------- */
static const float query[6] = {1, 2, 3, 4, 5, 6};

/* Two queries with k = 3: the first has two hits, the second one. step 1..: wrong answers. */
static int search_handler(struct fake *fake, const Facet__Wire__Request *r, const int *fds,
			  uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__SearchReply body = FACET__WIRE__SEARCH_REPLY__INIT;
	Facet__Wire__Bulk scores = FACET__WIRE__BULK__INIT, ids = FACET__WIRE__BULK__INIT;
	Facet__Wire__Echo echo = FACET__WIRE__ECHO__INIT;
	const float s[3] = {0.9f, 0.5f, 0.25f};
	const uint64_t i[3] = {7, 8, 1ull << 40};
	uint32_t counts[3] = {2, 1, 0};
	char *names[3] = {"ada", "bob", "ada"};

	(void)n;
	ck_assert_str_eq(r->search->gallery, "staff");
	ck_assert_uint_eq(r->search->k, 3);
	ck_assert_uint_eq(r->tag, 42);
	ck_assert_uint_eq(r->trace, 43);
	ck_assert_int_eq(r->class_, FACET__WIRE__CLASS__BATCH);
	ck_assert_uint_eq(r->search->probe->vectors->count, 2);
	ck_assert_uint_eq(r->search->probe->vectors->dim, 3);
	expect_bulk(r->search->probe->vectors->data, fds, query, sizeof(query));
	scores.data = bytes_of(s, sizeof(s));
	ids.data = bytes_of(i, sizeof(i));
	body.queries = 2;
	body.counts = counts;
	body.n_counts = 2;
	body.scores = &scores;
	body.ids = &ids;
	body.decided = r->search->has_threshold;
	body.threshold = r->search->threshold;
	if (r->search->names) {
		body.subjects = names;
		body.n_subjects = 3;
	}
	reply.body_case = FACET__WIRE__REPLY__BODY_SEARCH;
	reply.search = &body;
	switch (fake->step) {
	case 1:
		body.queries = 3;
		break;
	case 2:
		body.n_counts = 1;
		break;
	case 3:
		counts[0] = 4;
		break;
	case 4:
		counts[1] = 2;
		break;
	case 5:
		scores.data.len -= 1;
		break;
	case 6:
		body.ids = NULL;
		break;
	case 7: /* in a descriptor that there is not */
		ids.in_fd = true;
		break;
	case 8:
		reply.body_case = FACET__WIRE__REPLY__BODY__NOT_SET;
		break;
	case 9:
		reply.body_case = FACET__WIRE__REPLY__BODY_ECHO;
		reply.echo = &echo;
		break;
	case 10:
		counts[0] = UINT32_MAX;
		counts[1] = 4;
		break;
	}
	fake_reply(fake, &reply, r->id);
	return 0;
}

static const struct facet_call tagged = {
	.size = sizeof(tagged), .tag = 42, .trace = 43, .class_ = FACET_BATCH};

START_TEST(search)
{
	struct facet_search_params p = {
		.size = sizeof(p), .has_threshold = true, .threshold = 0.2f};
	static const float want[6] = {0.9f, 0.5f, 0, 0.25f, 0, 0};
	static const int64_t want_ids[6] = {7, 8, -1, 1ll << 40, -1, -1};
	struct facet_hits *hits;
	struct facet_probe probe = {.size = sizeof(probe), .count = 2, .dim = 3, .data = query};
	float scores[6];
	int64_t ids[6];

	up(search_handler);
	ck_assert_int_eq(facet_defaults(c, &tagged), 0);
	memset(scores, 1, sizeof(scores));
	memset(ids, 1, sizeof(ids));
	ck_assert_int_eq(facet_search(c, "staff", 2, 3, query, 3, NULL, scores, ids), 0);
	ck_assert_int_eq(memcmp(scores, want, sizeof(want)), 0);
	ck_assert_int_eq(memcmp(ids, want_ids, sizeof(want_ids)), 0);
	ck_assert_int_eq(facet_search(c, "staff", 2, 3, query, 3, NULL, NULL, ids), 0);

	ck_assert_int_eq(facet_range_search(c, "staff", 2, 3, query, 3, &p, &hits), 0);
	ck_assert_uint_eq(hits->queries, 2);
	ck_assert_uint_eq(hits->lims[0], 0);
	ck_assert_uint_eq(hits->lims[1], 2);
	ck_assert_uint_eq(hits->lims[2], 3);
	ck_assert(hits->scores[2] == 0.25f && hits->ids[2] == 1ll << 40);
	ck_assert(hits->decided && hits->threshold == 0.2f);
	ck_assert_ptr_null(hits->subjects);
	facet_free(hits);

	ck_assert_int_eq(facet_identify(c, "staff", &probe, 3, NULL, &hits), 0);
	ck_assert_str_eq(hits->subjects[1], "bob");
	ck_assert(!hits->decided);
	facet_free(hits);
	facet_free(NULL);
}
END_TEST

START_TEST(search_answers_that_do_not_fit)
{
	struct facet_hits *hits = (void *)1;
	struct facet_probe probe = {.size = sizeof(probe), .count = 2, .dim = 3, .data = query};
	float scores[6] = {0};
	int64_t ids[6] = {0};

	up(search_handler);
	facet_defaults(c, &tagged);
	f->step = _i;
	ck_assert_int_eq(facet_search(c, "staff", 2, 3, query, 3, NULL, scores, ids),
			 -FACET_EINTERNAL);
	ck_assert_ptr_nonnull(strstr(facet_error(c)->text, "does not fit the call"));
	ck_assert_int_eq(ids[0], 0); /* nothing was written */
	ck_assert_int_eq(facet_identify(c, "staff", &probe, 3, NULL, &hits), -FACET_EINTERNAL);
	ck_assert_ptr_null(hits);
	f->step = 0; /* the connection is as good as before */
	ck_assert_int_eq(facet_search(c, "staff", 2, 3, query, 3, NULL, scores, ids), 0);
}
END_TEST

START_TEST(probes_that_are_none)
{
	struct facet_probe probe = {.size = sizeof(probe), .dim = 3, .data = query};
	struct facet_hits *hits;

	up(search_handler);
	ck_assert_int_eq(facet_identify(c, "g", NULL, 3, NULL, &hits), -FACET_EINVALID_ARGUMENT);
	ck_assert_int_eq(facet_identify(c, "g", &probe, 3, NULL, &hits), -FACET_EINVALID_ARGUMENT);
	probe.count = 2;
	probe.type = FACET_U8;
	ck_assert_int_eq(facet_identify(c, "g", &probe, 3, NULL, &hits), -FACET_EINVALID_ARGUMENT);
	probe.type = (enum facet_type)9;
	ck_assert_int_eq(facet_identify(c, "g", &probe, 3, NULL, &hits), -FACET_EINVALID_ARGUMENT);
	probe.type = FACET_F32;
	probe.kind = (enum facet_probe_kind)5;
	ck_assert_int_eq(facet_identify(c, "g", &probe, 3, NULL, &hits), -FACET_EINVALID_ARGUMENT);
	ck_assert_int_eq(f->requests, 0);
}
END_TEST

/* 2,000 queries and their hits, too much for a frame in either direction. */
static float many[2000 * 64];

static int bulk_handler(struct fake *fake, const Facet__Wire__Request *r, const int *fds,
			uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__SearchReply body = FACET__WIRE__SEARCH_REPLY__INIT;
	Facet__Wire__Bulk scores = FACET__WIRE__BULK__INIT, ids = FACET__WIRE__BULK__INIT;
	static uint64_t answer[20000];
	static uint32_t counts[2000];
	int memfd;

	ck_assert_uint_eq(n, 1);
	ck_assert(r->search->probe->vectors->data->in_fd);
	expect_bulk(r->search->probe->vectors->data, fds, many, sizeof(many));
	for (uint64_t i = 0; i < 20000; i++)
		answer[i] = i * 3;
	for (int i = 0; i < 2000; i++)
		counts[i] = 10;
	memfd = wire_memfd(answer, sizeof(answer));
	/* the scores are the first half of the same memory: what they are does not matter */
	scores.in_fd = ids.in_fd = true;
	scores.length = sizeof(answer) / 2;
	ids.length = sizeof(answer);
	body.queries = 2000;
	body.counts = counts;
	body.n_counts = 2000;
	body.scores = &scores;
	body.ids = &ids;
	reply.body_case = FACET__WIRE__REPLY__BODY_SEARCH;
	reply.search = &body;
	fake_reply_fds(fake, &reply, r->id, &memfd, 1, 1);
	return 0;
}

START_TEST(bulk_search)
{
	float *scores = malloc(20000 * sizeof(*scores));
	int64_t *ids = malloc(20000 * sizeof(*ids));

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = (float)i;
	up(bulk_handler);
	for (int round = 0; round < 3; round++) {
		memset(ids, 0, 20000 * sizeof(*ids));
		ck_assert_int_eq(facet_search(c, "g", 2000, 64, many, 10, NULL, scores, ids), 0);
		for (int64_t i = 0; i < 20000; i++)
			ck_assert_int_eq(ids[i], i * 3);
	}
	free(scores);
	free(ids);
}
END_TEST

/* ---- enrol ------------------------------------------------------------------------------------------ */
static int enrol_handler(struct fake *fake, const Facet__Wire__Request *r, const int *fds,
			 uint32_t n)
{
	static const uint64_t want_ids[2] = {5, 6}, want_tags[2] = {1, 2}, given[2] = {50, 60};
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__EnrolReply body = FACET__WIRE__ENROL_REPLY__INIT;
	Facet__Wire__Bulk ids = FACET__WIRE__BULK__INIT;
	const Facet__Wire__Enrol *e = r->enrol;

	(void)n;
	ck_assert_uint_eq(e->key.len, 16);
	if (fake->step == 0) {
		ck_assert_uint_eq(e->n_subjects, 2);
		ck_assert_str_eq(e->subjects[1], "bob");
		ck_assert_uint_eq(e->n_sources, 1);
		ck_assert_str_eq(e->sources[0], "x.jpg");
		ck_assert_str_eq((char *)e->key.data, "fifteen letters");
		expect_bulk(e->ids, fds, want_ids, sizeof(want_ids));
		expect_bulk(e->tags, fds, want_tags, sizeof(want_tags));
		ck_assert_str_eq(e->probe->tensors->model, "feature");
		ck_assert_uint_eq(e->probe->tensors->count, 2);
		expect_bulk(e->probe->tensors->data, fds, "abcdef", 6);
	} else {
		ck_assert_ptr_null(e->ids);
		ck_assert_ptr_null(e->tags);
		ck_assert(memcmp(fake->key, e->key.data, 16) != 0); /* another one each time */
	}
	memcpy(fake->key, e->key.data, 16);
	ids.data = bytes_of(given, fake->step == 2 ? 8 : 16);
	body.ids = &ids;
	body.epoch = 9;
	reply.body_case = FACET__WIRE__REPLY__BODY_ENROL;
	reply.enrol = &body;
	fake_reply(fake, &reply, r->id);
	fake->step++;
	return 0;
}

START_TEST(enrol)
{
	static const uint64_t want_ids[2] = {5, 6}, tags[2] = {1, 2};
	static const char *const subjects[2] = {"ada", "bob"}, *const source = "x.jpg";
	struct facet_enrol_params p = {.size = sizeof(p),
				       .ids = want_ids,
				       .tags = tags,
				       .sources = &source,
				       .source_count = 1,
				       .key = (const uint8_t *)"fifteen letters"};
	struct facet_probe probe = {.size = sizeof(probe),
				    .kind = FACET_TENSORS,
				    .type = FACET_U8,
				    .count = 2,
				    .dim = 3,
				    .data = "abcdef",
				    .model = "feature"};
	struct facet_enrolled enrolled = {.size = sizeof(enrolled)};
	uint64_t ids[2];

	up(enrol_handler);
	ck_assert_int_eq(facet_enrol(c, "g", &probe, subjects, 2, &p, ids, &enrolled), 0);
	ck_assert(ids[0] == 50 && ids[1] == 60 && enrolled.epoch == 9 && !enrolled.replayed);
	ck_assert_int_eq(facet_enrol(c, "g", &probe, subjects, 2, NULL, NULL, NULL), 0);
	ck_assert_int_eq(facet_enrol(c, "g", &probe, subjects, 2, NULL, ids, NULL),
			 -FACET_EINTERNAL);
}
END_TEST

START_TEST(names_over_a_frame)
{
	static char name[129];
	static const char *subjects[3000];
	static float x[3000];
	struct facet_probe probe = {.size = sizeof(probe), .count = 3000, .dim = 1, .data = x};

	memset(name, 'n', 128);
	for (int i = 0; i < 3000; i++)
		subjects[i] = name;
	up(enrol_handler);
	ck_assert_int_eq(facet_enrol(c, "g", &probe, subjects, 3000, NULL, NULL, NULL),
			 -FACET_EINVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(facet_error(c)->text, "split it"));
	ck_assert_uint_eq(facet_in_flight(c), 0);
}
END_TEST

/* ---- 1:1 --------------------------------------------------------------------------------------------- */
static int one_to_one(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__VerifyReply v = FACET__WIRE__VERIFY_REPLY__INIT;
	Facet__Wire__CompareReply m = FACET__WIRE__COMPARE_REPLY__INIT;
	float scores[2] = {0.5f, 0.75f};

	(void)n;
	if (r->body_case == FACET__WIRE__REQUEST__BODY_VERIFY) {
		ck_assert_str_eq(r->verify->subject, "ada");
		ck_assert(r->verify->fmr == 1e-4 && !r->verify->has_threshold);
		v.score = 0.5f;
		v.id = 3;
		v.decided = v.match = true;
		v.threshold = 0.4f;
		reply.body_case = FACET__WIRE__REPLY__BODY_VERIFY;
		reply.verify = &v;
	} else {
		expect_bulk(r->compare->a->vectors->data, fds, query, 24);
		expect_bulk(r->compare->b->vectors->data, fds, "abcdef", 6);
		ck_assert_int_eq(r->compare->b->vectors->type, FACET__WIRE__TYPE__S8);
		m.scores = scores;
		m.n_scores = fake->step++ == 2 ? 1 : 2;
		m.decided = r->compare->has_threshold;
		m.threshold = r->compare->threshold;
		reply.body_case = FACET__WIRE__REPLY__BODY_COMPARE;
		reply.compare = &m;
	}
	fake_reply(fake, &reply, r->id);
	return 0;
}

START_TEST(verify_and_compare)
{
	struct facet_verify_params p = {.size = sizeof(p), .fmr = 1e-4};
	struct facet_verdict v = {.size = sizeof(v)};
	struct facet_probe a = {.size = sizeof(a), .count = 2, .dim = 3, .data = query};
	struct facet_probe b = {
		.size = sizeof(b), .type = FACET_S8, .count = 2, .dim = 3, .data = "abcdef"};
	float scores[2];

	up(one_to_one);
	ck_assert_int_eq(facet_verify(c, "g", "ada", &a, &p, &v), 0);
	ck_assert(v.score == 0.5f && v.id == 3 && v.decided && v.match && v.threshold == 0.4f);
	p = (struct facet_verify_params){
		.size = sizeof(p), .has_threshold = true, .threshold = 0.6f};
	ck_assert_int_eq(facet_compare(c, &a, &b, &p, scores, &v), 0);
	ck_assert(scores[0] == 0.5f && scores[1] == 0.75f && v.decided && !v.match);
	p.metric = FACET_L2; /* a distance: less is better */
	ck_assert_int_eq(facet_compare(c, &a, &b, &p, NULL, &v), 0);
	ck_assert(v.match);
	ck_assert_int_eq(facet_compare(c, &a, &b, NULL, scores, NULL), -FACET_EINTERNAL);
	b.count = 1;
	ck_assert_int_eq(facet_compare(c, &a, &b, NULL, scores, NULL), -FACET_EINVALID_ARGUMENT);
}
END_TEST

/* ---- inference and raw kernels ------------------------------------------------------------------------ */
static int compute(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__InferReply body = FACET__WIRE__INFER_REPLY__INIT;
	Facet__Wire__Bulk one = FACET__WIRE__BULK__INIT, two = FACET__WIRE__BULK__INIT;
	Facet__Wire__Bulk *outputs[2] = {&one, &two};
	int memfd = wire_memfd("0123456789", 10);

	(void)n;
	one.data = bytes_of("abcd", 4);
	two.in_fd = true;
	two.offset = 3;
	two.length = 7;
	if (r->body_case == FACET__WIRE__REQUEST__BODY_INFER) {
		ck_assert_str_eq(r->infer->tensors->model, "feature");
		ck_assert_uint_eq(r->infer->tensors->count, 2);
		expect_bulk(r->infer->tensors->data, fds, query, sizeof(query));
		body.outputs = outputs;
		body.n_outputs = 2;
		reply.body_case = FACET__WIRE__REPLY__BODY_INFER;
		reply.infer = &body;
		fake_reply_fds(fake, &reply, r->id, &memfd, 1, 1);
		return 0;
	}
	close(memfd);
	if (r->body_case == FACET__WIRE__REQUEST__BODY_GEMM) {
		ck_assert(r->gemm->m == 2 && r->gemm->n == 2 && r->gemm->k == 3);
		expect_bulk(r->gemm->a, fds, "abcdef", 6);
		expect_bulk(r->gemm->b, fds, "ABCDEF", 6);
		expect_bulk(r->gemm->q->s_pos, fds, query, 8);
		expect_bulk(r->gemm->q->s_neg, fds, query + 2, 8);
		ck_assert(r->gemm->q->lo == -128 && r->gemm->q->z == -3);
		ck_assert_ptr_null(r->gemm->bias);
		expect_bulk(r->gemm->residual, fds, "rrrr", 4);
	} else {
		const Facet__Wire__Conv2d *v = r->conv2d;

		ck_assert(v->n == 1 && v->h == 3 && v->w == 2 && v->c == 2 && v->oc == 2);
		ck_assert(v->kh == 3 && v->kw == 1 && v->groups == 2 && v->z_x == -5);
		ck_assert(v->stride_h == 2 && v->stride_w == 1 && v->dilation_h == 1);
		ck_assert(v->pad_top == 1 && v->pad_bottom == 0 && v->pad_left == 0);
		expect_bulk(v->x, fds, "abcdefghijkl", 12);
		expect_bulk(v->weights, fds, "ABCDEF", 6);
		expect_bulk(v->bias, fds, query, 8);
		ck_assert_ptr_null(v->q->s_pos);
		ck_assert_int_eq(v->out, FACET__WIRE__OUT__OUT_S32);
		one.data = bytes_of(query, 16);
	}
	if (fake->step)
		one.data.len--;
	reply.body_case = FACET__WIRE__REPLY__BODY_PRODUCT;
	reply.product = &one;
	fake_reply(fake, &reply, r->id);
	return 0;
}

START_TEST(infer)
{
	struct facet_outputs *outputs;

	up(compute);
	ck_assert_int_eq(facet_infer(c, "feature", 2, query, sizeof(query), &outputs), 0);
	ck_assert_uint_eq(outputs->count, 2);
	ck_assert_uint_eq(outputs->items[0].bytes, 4);
	ck_assert_int_eq(memcmp(outputs->items[1].data, "3456789", 7), 0);
	ck_assert_uint_eq((uintptr_t)outputs->items[1].data % 16, 0);
	facet_free(outputs);
	ck_assert_int_eq(facet_infer(c, "feature", 5, query, sizeof(query), &outputs),
			 -FACET_EINVALID_ARGUMENT);
	ck_assert_int_eq(facet_infer(c, "feature", 0, query, sizeof(query), &outputs),
			 -FACET_EINVALID_ARGUMENT);
}
END_TEST

START_TEST(raw_kernels)
{
	struct facet_gemm g = {.size = sizeof(g),
			       .m = 2,
			       .n = 2,
			       .k = 3,
			       .q = {query, query + 2, 1, 2, -3, -128, 127},
			       .a = (const int8_t *)"abcdef",
			       .b = (const int8_t *)"ABCDEF",
			       .residual = (const int8_t *)"rrrr"};
	struct facet_conv2d v = {.size = sizeof(v),
				 .n = 1,
				 .h = 3,
				 .w = 2,
				 .c = 2,
				 .oc = 2,
				 .kh = 3,
				 .kw = 1,
				 .groups = 2,
				 .stride_h = 2,
				 .stride_w = 1,
				 .dilation_h = 1,
				 .dilation_w = 1,
				 .pad_top = 1,
				 .z_x = -5,
				 .out = FACET_OUT_S32,
				 .x = (const int8_t *)"abcdefghijkl",
				 .weights = (const int8_t *)"ABCDEF",
				 .bias = (const int32_t *)query};
	int32_t y[4];

	up(compute);
	ck_assert_uint_eq(facet_gemm_bytes(&g), 4);
	ck_assert_int_eq(facet_gemm_s8(c, &g, y), 0);
	ck_assert_int_eq(memcmp(y, "abcd", 4), 0);
	/* h: (3 + 1 - 3) / 2 + 1 = 1, w: 2, oc: 2 */
	ck_assert_uint_eq(facet_conv2d_bytes(&v), 16);
	ck_assert_int_eq(facet_conv2d_s8(c, &v, y), 0);
	ck_assert_int_eq(memcmp(y, query, 16), 0);
	f->step = 1; /* answers a byte short */
	ck_assert_int_eq(facet_gemm_s8(c, &g, y), -FACET_EINTERNAL);
	g.k = 0;
	ck_assert_int_eq(facet_gemm_s8(c, &g, y), -FACET_EINVALID_ARGUMENT);
	g.k = 3;
	g.q.s_neg = NULL;
	ck_assert_int_eq(facet_gemm_s8(c, &g, y), -FACET_EINVALID_ARGUMENT);
	g.m = g.n = UINT32_MAX;
	ck_assert_uint_eq(facet_gemm_bytes(&g), 0);
	v.kh = 6;
	ck_assert_uint_eq(facet_conv2d_bytes(&v), 0);
	ck_assert_int_eq(facet_conv2d_s8(c, &v, y), -FACET_EINVALID_ARGUMENT);
	v.kh = 3;
	v.groups = 0;
	ck_assert_int_eq(facet_conv2d_s8(c, &v, y), -FACET_EINVALID_ARGUMENT);
	v.groups = 2;
	v.stride_h = 0;
	ck_assert_int_eq(facet_conv2d_s8(c, &v, y), -FACET_EINVALID_ARGUMENT);
}
END_TEST

/* ---- lists ---------------------------------------------------------------------------------------------- */
static int lists(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Threshold t = FACET__WIRE__THRESHOLD__INIT, *ts[] = {&t};
	Facet__Wire__Space space = FACET__WIRE__SPACE__INIT;
	Facet__Wire__TensorInfo tensor = FACET__WIRE__TENSOR_INFO__INIT, *tensors[] = {&tensor};
	Facet__Wire__ModelInfo model = FACET__WIRE__MODEL_INFO__INIT, *models[] = {&model, &model};
	Facet__Wire__ModelListReply model_list = FACET__WIRE__MODEL_LIST_REPLY__INIT;
	Facet__Wire__GalleryInfo gallery = FACET__WIRE__GALLERY_INFO__INIT,
				 *galleries[] = {&gallery};
	Facet__Wire__GalleryListReply gallery_list = FACET__WIRE__GALLERY_LIST_REPLY__INIT;
	Facet__Wire__TemplateInfo item = FACET__WIRE__TEMPLATE_INFO__INIT,
				  *items[] = {&item, &item};
	Facet__Wire__SubjectInfo subject = FACET__WIRE__SUBJECT_INFO__INIT,
				 *subjects[] = {&subject};
	Facet__Wire__SubjectListReply subject_list = FACET__WIRE__SUBJECT_LIST_REPLY__INIT;
	Facet__Wire__DeleteReply deleted = FACET__WIRE__DELETE_REPLY__INIT;
	Facet__Wire__ExportReply page = FACET__WIRE__EXPORT_REPLY__INIT;
	Facet__Wire__Bulk bulk = FACET__WIRE__BULK__INIT;
	Facet__Wire__ThresholdsReply thresholds = FACET__WIRE__THRESHOLDS_REPLY__INIT;
	Facet__Wire__DeviceInfo device = FACET__WIRE__DEVICE_INFO__INIT, *devices[] = {&device};
	Facet__Wire__InfoReply info = FACET__WIRE__INFO_REPLY__INIT;
	uint32_t shape[3] = {112, 112, 3};
	char *names[] = {"ada", "bob"};

	t.fmr = 1e-3;
	t.score = 0.3f;
	t.impostor_pairs = 1000;
	space.name = "arc";
	space.dim = 3;
	space.metric = FACET__WIRE__METRIC__L2;
	space.digest = bytes_of("0123456789abcdef0123456789abcdef", 32);
	space.thresholds = ts;
	space.n_thresholds = 1;
	tensor.name = "in";
	tensor.type = FACET__WIRE__TYPE__U8;
	tensor.shape = shape;
	tensor.n_shape = 3;
	model.name = "feature";
	model.space = &space;
	model.inputs = tensors;
	model.n_inputs = 1;
	model.macs = 12345;
	model.digest = bytes_of("short", 5);
	gallery.name = "g";
	gallery.state = "ready";
	gallery.templates = 10;
	item.id = 4;
	item.source = "x.jpg";
	subject.subject = "ada";
	subject.templates = 2;
	switch (r->body_case) {
	case FACET__WIRE__REQUEST__BODY_MODEL_CREATE:
		ck_assert_uint_eq(n, 1);
		ck_assert_uint_eq(r->model_create->length, 5);
		reply.body_case = FACET__WIRE__REPLY__BODY_MODEL_CREATE;
		reply.model_create = &model;
		break;
	case FACET__WIRE__REQUEST__BODY_MODEL_LIST:
		model_list.models = models;
		model_list.n_models = 2;
		reply.body_case = FACET__WIRE__REPLY__BODY_MODEL_LIST;
		reply.model_list = &model_list;
		break;
	case FACET__WIRE__REQUEST__BODY_GALLERY_CREATE:
		ck_assert_str_eq(r->gallery_create->space->name, "g");
		ck_assert_uint_eq(r->gallery_create->space->dim, 3);
		reply.body_case = FACET__WIRE__REPLY__BODY_GALLERY_CREATE;
		reply.gallery_create = &gallery;
		break;
	case FACET__WIRE__REQUEST__BODY_GALLERY_LIST:
		gallery_list.galleries = galleries;
		gallery_list.n_galleries = 1;
		reply.body_case = FACET__WIRE__REPLY__BODY_GALLERY_LIST;
		reply.gallery_list = &gallery_list;
		break;
	case FACET__WIRE__REQUEST__BODY_SUBJECT_LIST:
		ck_assert(r->subject_list->cursor == 3 && r->subject_list->limit == 2);
		subject_list.subjects = subjects;
		subject_list.n_subjects = 1;
		subject_list.cursor = 77;
		subject_list.more = true;
		reply.body_case = FACET__WIRE__REPLY__BODY_SUBJECT_LIST;
		reply.subject_list = &subject_list;
		break;
	case FACET__WIRE__REQUEST__BODY_SUBJECT_SHOW:
		subject.items = items;
		subject.n_items = 2;
		reply.body_case = FACET__WIRE__REPLY__BODY_SUBJECT_SHOW;
		reply.subject_show = &subject;
		break;
	case FACET__WIRE__REQUEST__BODY_EXPORT:
		page.count = 2;
		page.dim = fake->step == 1 ? 65537 : 3;
		bulk.data = bytes_of(query, fake->step == 2 ? 20 : 24);
		page.vectors = &bulk;
		page.items = items;
		page.n_items = fake->step == 3 ? 1 : 2;
		page.subjects = names;
		page.n_subjects = 2;
		reply.body_case = FACET__WIRE__REPLY__BODY_EXPORT;
		reply.export = &page;
		break;
	case FACET__WIRE__REQUEST__BODY_SPACE_THRESHOLDS:
		ck_assert_uint_eq(r->space_thresholds->n_thresholds, 1);
		ck_assert(r->space_thresholds->thresholds[0]->score == 0.3f);
		thresholds.space = &space;
		reply.body_case = FACET__WIRE__REPLY__BODY_THRESHOLDS;
		reply.thresholds = &thresholds;
		break;
	case FACET__WIRE__REQUEST__BODY_INFO:
		ck_assert(r->info->devices && !r->info->galleries && r->info->metrics);
		device.name = "cpu0";
		device.detail = "avx2";
		info.version = "0.1";
		info.metrics = "m 1\n";
		info.ready = true;
		info.devices = devices;
		info.n_devices = 1;
		reply.body_case = FACET__WIRE__REPLY__BODY_INFO;
		reply.info = &info;
		break;
	default:
		deleted.templates = 2;
		deleted.subjects = 1;
		if (r->body_case == FACET__WIRE__REQUEST__BODY_TEMPLATE_DELETE) {
			ck_assert_uint_eq(r->template_delete->n_ids, 2);
			ck_assert_uint_eq(r->template_delete->ids[1], 1ull << 50);
			ck_assert_uint_eq(r->template_delete->key.len, 16);
		}
		reply.body_case = FACET__WIRE__REPLY__BODY_DELETED;
		reply.deleted = &deleted;
	}
	(void)fds;
	fake_reply(fake, &reply, r->id);
	return 0;
}

START_TEST(models_and_info)
{
	struct facet_models *models;
	struct facet_info *info;

	up(lists);
	ck_assert_int_eq(facet_model_create_memory(c, "feature", "bytes", 5, &models), 0);
	ck_assert_uint_eq(models->count, 1);
	facet_free(models);
	ck_assert_int_eq(facet_model_create_memory(c, "feature", "bytes", 5, NULL), 0);
	ck_assert_int_eq(facet_model_create(c, "feature", "/nonexistent", &models),
			 -FACET_EINVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(facet_error(c)->text, "/nonexistent"));
	ck_assert_int_eq(facet_model_create(c, "feature", "/dev/null", NULL),
			 -FACET_EINVALID_ARGUMENT);
	ck_assert_int_eq(facet_model_list(c, NULL, &models), 0);
	ck_assert_uint_eq(models->count, 2);
	ck_assert_str_eq(models->items[1].name, "feature");
	ck_assert_uint_eq(models->items[1].inputs[0].elements, 112 * 112 * 3);
	ck_assert_str_eq(models->items[1].space->name, "arc");
	ck_assert_int_eq(memcmp(models->items[1].space->digest, "0123456789abcdef", 16), 0);
	ck_assert_uint_eq(models->items[1].digest[0], 0);
	ck_assert(models->items[0].space->thresholds[0].score == 0.3f);
	facet_free(models);
	ck_assert_int_eq(facet_model_delete(c, "feature", true), 0);
	ck_assert_int_eq(facet_info(c, FACET_INFO_DEVICES | FACET_INFO_METRICS, &info), 0);
	ck_assert_str_eq(info->devices[0].detail, "avx2");
	ck_assert_str_eq(info->metrics, "m 1\n");
	ck_assert(info->ready && !info->gallery_count);
	facet_free(info);
}
END_TEST

START_TEST(galleries_and_subjects)
{
	static const uint64_t ids[2] = {1, 1ull << 50};
	struct facet_threshold t = {1e-3, 0.3f, 5};
	struct facet_gallery_params p = {.size = sizeof(p), .dim = 3};
	struct facet_deleted d = {.size = sizeof(d)};
	struct facet_galleries *galleries;
	struct facet_subjects *subjects;
	struct facet_space *space;

	up(lists);
	ck_assert_int_eq(facet_gallery_create(c, "g", &p), 0);
	p.model = "both";
	ck_assert_int_eq(facet_gallery_create(c, "g", &p), -FACET_EINVALID_ARGUMENT);
	ck_assert_int_eq(facet_gallery_create(c, "g", NULL), -FACET_EINVALID_ARGUMENT);
	ck_assert_int_eq(facet_gallery_list(c, NULL, &galleries), 0);
	ck_assert_str_eq(galleries->items[0].state, "ready");
	ck_assert_str_eq(galleries->items[0].space->name, "");
	facet_free(galleries);
	ck_assert_int_eq(facet_gallery_delete(c, "g", NULL, &d), 0);
	ck_assert(d.templates == 2 && d.subjects == 1);
	ck_assert_int_eq(facet_subject_list(c, "g", 3, 2, &subjects), 0);
	ck_assert(subjects->more && subjects->cursor == 77 && !subjects->items[0].item_count);
	facet_free(subjects);
	ck_assert_int_eq(facet_subject_show(c, "g", "ada", &subjects), 0);
	ck_assert_uint_eq(subjects->items[0].item_count, 2);
	ck_assert_str_eq(subjects->items[0].items[1].source, "x.jpg");
	facet_free(subjects);
	ck_assert_int_eq(facet_subject_delete(c, "g", "ada", NULL, NULL), 0);
	ck_assert_int_eq(facet_template_delete(c, "g", ids, 2, NULL, &d), 0);
	ck_assert_int_eq(facet_thresholds(c, "g", NULL, &t, 1, &space), 0);
	ck_assert(space->threshold_count == 1 && space->dim == 3 && space->metric == FACET_L2);
	facet_free(space);
}
END_TEST

START_TEST(export)
{
	struct facet_page *page;

	up(lists);
	ck_assert_int_eq(facet_export(c, "g", 0, 0, &page), 0);
	ck_assert(page->count == 2 && page->dim == 3 && !page->more);
	ck_assert_int_eq(memcmp(page->vectors, query, 24), 0);
	ck_assert_str_eq(page->subjects[1], "bob");
	ck_assert_uint_eq(page->items[0].id, 4);
	facet_free(page);
	for (f->step = 1; f->step < 4; f->step++) {
		ck_assert_int_eq(facet_export(c, "g", 0, 0, &page), -FACET_EINTERNAL);
		ck_assert_ptr_null(page);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("calls");
	TCase *tc = tcase_create("calls");

	tcase_set_timeout(tc, 5);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, search);
	tcase_add_loop_test(tc, search_answers_that_do_not_fit, 1, 11);
	tcase_add_test(tc, probes_that_are_none);
	tcase_add_test(tc, bulk_search);
	tcase_add_test(tc, enrol);
	tcase_add_test(tc, names_over_a_frame);
	tcase_add_test(tc, verify_and_compare);
	tcase_add_test(tc, infer);
	tcase_add_test(tc, raw_kernels);
	tcase_add_test(tc, models_and_info);
	tcase_add_test(tc, galleries_and_subjects);
	tcase_add_test(tc, export);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
