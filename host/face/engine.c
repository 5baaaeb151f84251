/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as inference jobs of a facetd connection. */
#include "host/face/image.h"
#include "host/libfacet/facet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MODELS_MAX 8u
#define NAME_BYTES 128u
#define TRIES_MAX  20u /* of a job that the daemon is too busy for */

struct model {
	char name[NAME_BYTES];
	struct facet_face_network network;
};

struct job {
	const struct model *model;
	const uint8_t *input;
	uint32_t count, tries;
	struct facet_outputs *outputs;
	void *tag;
};

struct client_engine {
	struct facet *client;
	struct model models[MODELS_MAX];
	uint32_t count;
	struct facet_outputs *shown; /* what the last done points to */
};

/* Both lists of codes, in the wire's order. */
static int errno_of(int code)
{
	static const int numbers[] = {
		0,	ECANCELED, EINVAL,	 ENOENT,       EEXIST,	EPERM,	ETIMEDOUT,
		EAGAIN, EBADF,	   ECONNABORTED, ECONNREFUSED, EBADMSG, ENOSYS, EIO};
	unsigned int at = (unsigned int)(code < 0 ? -code : code);

	return at < sizeof(numbers) / sizeof(numbers[0]) ? -numbers[at] : -EIO;
}

static int refuse(const struct client_engine *e, const char *model, char text[FACET_FACE_TEXT])
{
	const struct facet_error *error = facet_error(e->client);

	return face_fail(text, errno_of(error->code), "model %.40s: %.140s", model, error->text);
}

/* [height][width] or [height][width][channels], perhaps with a leading 1. */
static bool read_input(const struct facet_tensor_info *t, struct facet_face_network *net)
{
	uint32_t skip = t->rank == 4 && t->shape[0] == 1, rank = t->rank - skip;

	if (t->type != FACET_U8 || (rank != 2 && rank != 3))
		return false;
	net->height = t->shape[skip];
	net->width = t->shape[skip + 1];
	net->channels = rank == 3 ? t->shape[skip + 2] : 1;
	return net->width <= 4096 && net->height <= 4096 && net->channels <= 4 &&
	       t->elements == (uint64_t)net->width * net->height * net->channels;
}

static bool read_outputs(const struct facet_model_info *info, struct facet_face_network *net)
{
	net->outputs = info->output_count;
	for (uint32_t i = 0; i < info->output_count; i++) {
		const struct facet_tensor_info *t = &info->outputs[i];

		if (t->type != FACET_F32 || !t->rank || !t->elements || t->elements > 1u << 24)
			return false;
		net->floats[i] = (uint32_t)t->elements;
		net->columns[i] = t->shape[t->rank - 1];
	}
	return true;
}

static const struct model *find_model(const struct client_engine *e, const char *name)
{
	for (uint32_t i = 0; i < e->count; i++)
		if (!strcmp(e->models[i].name, name))
			return &e->models[i];
	return NULL;
}

static int engine_describe(void *context, const char *name, struct facet_face_network *network,
			   char text[FACET_FACE_TEXT])
{
	struct client_engine *e = context;
	const struct model *known = find_model(e, name);
	struct facet_models *models = NULL;
	struct model *model = &e->models[e->count];
	int r = 0;

	if (known) {
		*network = known->network;
		return 0;
	}
	if (e->count == MODELS_MAX || strlen(name) >= NAME_BYTES)
		return face_fail(text, -EINVAL, "too many models, or too long a name");
	if (facet_model_list(e->client, name, &models) < 0)
		return refuse(e, name, text);
	*model = (struct model){0};
	if (models->count != 1)
		r = face_fail(text, -ENOENT, "there is no model %.100s", name);
	else if (models->items[0].input_count != 1 ||
		 models->items[0].output_count > FACET_FACE_OUTPUTS ||
		 !read_input(models->items[0].inputs, &model->network) ||
		 !read_outputs(&models->items[0], &model->network))
		r = face_fail(text, -EINVAL,
			      "model %.100s does not take a u8 image and give float tensors", name);
	facet_free(models);
	if (r < 0)
		return r;
	snprintf(model->name, sizeof(model->name), "%s", name);
	*network = model->network;
	e->count++;
	return 0;
}

static int give(struct client_engine *e, struct job *job)
{
	const struct facet_face_network *net = &job->model->network;
	struct facet_call call = {.size = sizeof(call), .class_ = FACET_BATCH, .user = job};
	size_t bytes = (size_t)net->width * net->height * net->channels * job->count;
	uint64_t id;

	job->outputs = NULL;
	return facet_submit_infer(e->client, job->model->name, job->count, job->input, bytes,
				  &job->outputs, &call, &id);
}

static int engine_submit(void *context, const char *name, const uint8_t *input, uint32_t count,
			 void *tag, char text[FACET_FACE_TEXT])
{
	struct client_engine *e = context;
	const struct model *model = find_model(e, name);
	struct job *job;

	if (!model)
		return face_fail(text, -ENOENT, "model %.100s was not asked for", name);
	job = malloc(sizeof(*job));
	if (!job)
		return face_fail(text, -ENOMEM, "out of memory");
	*job = (struct job){.model = model, .input = input, .count = count, .tag = tag};
	if (give(e, job) < 0) {
		free(job);
		return refuse(e, name, text);
	}
	return 0;
}

static void wait_ms(uint32_t ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* True if the job is out once more: a daemon that is busy says when to come back. */
static bool try_again(struct client_engine *e, struct job *job, const struct facet_error *error)
{
	uint32_t ms = error->retry_after_ms;

	if (error->code != FACET_EOVERLOADED || job->tries++ >= TRIES_MAX)
		return false;
	wait_ms(ms < 1 ? 1 : ms > 1000 ? 1000 : ms);
	return give(e, job) == 0;
}

/* What the daemon sent must be what the model was said to give. */
static int show_outputs(const struct job *job, struct facet_face_done *done)
{
	const struct facet_face_network *net = &job->model->network;

	if (!job->outputs || job->outputs->count != net->outputs)
		return -EBADMSG;
	for (uint32_t i = 0; i < net->outputs; i++) {
		if (job->outputs->items[i].bytes !=
		    (size_t)net->floats[i] * job->count * sizeof(float))
			return -EBADMSG;
		done->output[i] = job->outputs->items[i].data;
	}
	return 0;
}

static int engine_next(void *context, struct facet_face_done *done)
{
	struct client_engine *e = context;
	struct facet_completion completion;
	struct job *job;

	facet_free(e->shown);
	e->shown = NULL;
	do {
		completion = (struct facet_completion){.size = sizeof(completion)};
		if (facet_wait(e->client, 0, &completion) < 0)
			return errno_of(facet_error(e->client)->code);
		job = completion.user;
	} while (completion.result < 0 && try_again(e, job, &completion.error));
	*done = (struct facet_face_done){.tag = job->tag};
	if (completion.result < 0)
		done->status =
			face_fail(done->text, errno_of(completion.result), "model %.40s: %.140s",
				  job->model->name, completion.error.text);
	else if (show_outputs(job, done) < 0)
		done->status = face_fail(done->text, -EBADMSG,
					 "model %.40s gave outputs of another size than it says",
					 job->model->name);
	e->shown = job->outputs;
	free(job);
	return 0;
}

static void engine_close(void *context)
{
	struct client_engine *e = context;

	facet_free(e->shown);
	free(e);
}

int facet_face_engine_client(struct facet *client, struct facet_face_engine *engine)
{
	struct client_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->client = client;
	engine->context = e;
	engine->describe = engine_describe;
	engine->submit = engine_submit;
	engine->next = engine_next;
	engine->close = engine_close;
	return 0;
}
