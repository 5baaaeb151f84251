/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gallery/fixture.h"
#include "tests/suite.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/gallery/check.h"
#include "kernels/ref/ref.h"

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int fixture_main(int argc, char **argv, Suite *(*suite)(void))
{
	if (argc > 1)
		return gallery_check_main(argc, argv);
	return suite_run(suite());
}

void fixture_init(struct fixture *fixture, uint32_t dim, enum search_metric metric)
{
	ssize_t n;

	memset(fixture, 0, sizeof(*fixture));
	snprintf(fixture->root, sizeof(fixture->root), "/tmp/facet-gallery-XXXXXX");
	MUST(mkdtemp(fixture->root));
	n = readlink("/proc/self/exe", fixture->checker, sizeof(fixture->checker) - 1);
	MUST(n > 0);
	fixture->config.root = fixture->root;
	fixture->config.checker = fixture->checker;
	fixture->config.disk_reserve = 1;
	strcpy(fixture->spec.space.name, "bare");
	memset(fixture->spec.space.digest, 0x5a, sizeof(fixture->spec.space.digest));
	fixture->spec.space.dim = dim;
	fixture->spec.space.metric = metric;
}

void fixture_create(struct fixture *fixture)
{
	char text[GALLERY_TEXT];
	int err = gallery_create(&fixture->config, "staff", &fixture->spec, text);

	if (err)
		fprintf(stderr, "create: %s\n", text);
	MUST(!err);
	MUST(fixture_open(fixture) == GALLERY_READY); /* the text went to stderr */
}

enum gallery_state fixture_open(struct fixture *fixture)
{
	struct gallery_status status;

	MUST(!gallery_open(&fixture->config, "staff", &fixture->gallery));
	do {
		usleep(500);
		gallery_status(fixture->gallery, &status);
	} while (status.state == GALLERY_CHECKING || status.state == GALLERY_LOADING);
	if (status.state == GALLERY_FAILED)
		fprintf(stderr, "failed: %s\n", status.text);
	return status.state;
}

void fixture_close(struct fixture *fixture)
{
	gallery_close(fixture->gallery);
	fixture->gallery = NULL;
}

void fixture_free(struct fixture *fixture)
{
	char command[128];

	fixture_close(fixture);
	snprintf(command, sizeof(command), "rm -rf '%s'", fixture->root);
	MUST(system(command) == 0);
}

struct fixture_wait {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint32_t done;
};

struct fixture_wait *fixture_wait_new(void)
{
	struct fixture_wait *wait = calloc(1, sizeof(*wait));

	MUST(wait);
	pthread_mutex_init(&wait->lock, NULL);
	pthread_cond_init(&wait->wake, NULL);
	return wait;
}

static void done(struct gallery_request *request)
{
	struct fixture_wait *wait = request->user;

	pthread_mutex_lock(&wait->lock);
	wait->done++;
	pthread_cond_broadcast(&wait->wake);
	pthread_mutex_unlock(&wait->lock);
}

void fixture_submit(struct fixture *fixture, struct gallery_request *request,
		    struct fixture_wait *wait)
{
	int err;

	request->done = done;
	request->user = wait;
	while ((err = gallery_submit(fixture->gallery, request)) == -11)
		usleep(100);
	MUST(!err);
}

void fixture_wait(struct fixture_wait *wait, uint32_t count)
{
	pthread_mutex_lock(&wait->lock);
	while (wait->done < count)
		pthread_cond_wait(&wait->wake, &wait->lock);
	pthread_mutex_unlock(&wait->lock);
}

bool fixture_wait_over(struct fixture_wait *wait)
{
	bool over;

	pthread_mutex_lock(&wait->lock);
	over = wait->done != 0;
	pthread_mutex_unlock(&wait->lock);
	return over;
}

void fixture_wait_free(struct fixture_wait *wait)
{
	pthread_mutex_destroy(&wait->lock);
	pthread_cond_destroy(&wait->wake);
	free(wait);
}

int fixture_run(struct fixture *fixture, struct gallery_request *request)
{
	struct fixture_wait *wait = fixture_wait_new();

	fixture_submit(fixture, request, wait);
	fixture_wait(wait, 1);
	fixture_wait_free(wait);
	return request->error;
}

int fixture_enrol(struct fixture *fixture, const char *subject, const float *vectors,
		  uint32_t count, uint64_t *ids)
{
	struct gallery_request request = {
		.kind = GALLERY_ENROL,
		.count = count,
		.f32 = vectors,
		.subjects = &subject,
		.subject_count = 1,
		.ids = ids,
	};

	return fixture_run(fixture, &request);
}

int fixture_delete(struct fixture *fixture, uint64_t id)
{
	struct gallery_request request = {.kind = GALLERY_DELETE_TEMPLATES, .count = 1, .ids = &id};

	return fixture_run(fixture, &request);
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void fixture_vector(uint32_t seed, uint64_t i, uint32_t dim, float *x)
{
	uint64_t state = (uint64_t)seed << 40 ^ i * 7919;

	for (uint32_t d = 0; d < dim; d++)
		x[d] = ((float)(next(&state) >> 40) / 8388608.0f - 1.0f) / sqrtf((float)dim);
}

uint32_t fixture_search(struct fixture *fixture, const float *x, uint32_t k,
			struct search_hit *hits)
{
	struct gallery_snapshot snapshot;
	struct gallery_probe probe;
	struct search_query query = {.k = k, .limit = -INFINITY};
	struct search_list *list = search_list_create(k, false);
	uint32_t n;

	MUST(list && !gallery_snapshot(fixture->gallery, &snapshot));
	MUST(!gallery_probe_f32(fixture->gallery, x, &probe));
	gallery_query(fixture->gallery, &probe, &snapshot, &query);
	MUST(!ref_search(snapshot.rows, 0, snapshot.row_count, &query, 1, &list));
	n = search_list_sorted(list, hits);
	gallery_release(fixture->gallery, &snapshot);
	search_list_free(list);
	return n;
}

bool fixture_has(struct fixture *fixture, uint64_t id)
{
	static struct search_hit hits[SEARCH_K_MAX];
	float x[SEARCH_DIM_MAX];
	uint32_t n;

	fixture_vector(1, 1, fixture->spec.space.dim, x);
	n = fixture_search(fixture, x, SEARCH_K_MAX, hits);
	for (uint32_t i = 0; i < n; i++)
		if (hits[i].id == id)
			return true;
	return false;
}

void fixture_data_path(const struct fixture *fixture, char path[256])
{
	snprintf(path, 256, "%s/galleries/staff/data.mdb", fixture->root);
}
