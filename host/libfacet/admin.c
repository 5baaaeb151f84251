/* SPDX-License-Identifier: Apache-2.0 */
/* Models, galleries, deletion, thresholds. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "host/libfacet/client.h"

/* ---- models: out models, may be NULL ---------------------------------------------------------------- */
static int models_finish(struct client_call *call, Facet__Wire__ModelInfo *const *from,
			 size_t count)
{
	struct facet_models *models;

	if (!call->out[0])
		return 0;
	models = client_result_new(sizeof(*models));
	if (!models || !client_models_get(models, from, count, &models->items)) {
		facet_free(models);
		return client_no_memory(call);
	}
	models->count = (uint32_t)count;
	*(struct facet_models **)call->out[0] = models;
	return 0;
}

static int finish_model_create(struct facet *c, struct client_call *call,
			       const struct client_reply *reply)
{
	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_MODEL_CREATE)
		return client_nonsense(call);
	return models_finish(call, &reply->body->model_create, 1);
}

static int finish_model_list(struct facet *c, struct client_call *call,
			     const struct client_reply *reply)
{
	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_MODEL_LIST)
		return client_nonsense(call);
	return models_finish(call, reply->body->model_list->models,
			     reply->body->model_list->n_models);
}

int facet_model_create_memory(struct facet *c, const char *name, const void *data, size_t bytes,
			      struct facet_models **info)
{
	Facet__Wire__ModelCreate create = FACET__WIRE__MODEL_CREATE__INIT;
	struct client_request r;
	int fd = bytes ? wire_memfd(data, bytes) : -EINVAL;

	if (info)
		*info = NULL;
	if (fd < 0)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "a model of %zu bytes cannot be sent: %s", bytes, strerror(-fd));
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_MODEL_CREATE);
	r.wire.model_create = &create;
	r.fds[r.fd_count++] = fd;
	r.once = true;
	create.name = (char *)name;
	create.fd = 0;
	create.length = bytes;
	r.finish = finish_model_create;
	r.out[0] = info;
	return client_call(c, &r);
}

int facet_model_create(struct facet *c, const char *name, const char *path,
		       struct facet_models **info)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	void *data = MAP_FAILED;
	struct stat st = {0};

	if (info)
		*info = NULL;
	if (fd >= 0 && !fstat(fd, &st) && st.st_size > 0)
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (data == MAP_FAILED)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT, "%s cannot be read: %s",
				   path, fd >= 0 && !st.st_size ? "it is empty" : strerror(err));
	err = facet_model_create_memory(c, name, data, (size_t)st.st_size, info);
	munmap(data, (size_t)st.st_size);
	return err;
}

int facet_model_list(struct facet *c, const char *name, struct facet_models **models)
{
	Facet__Wire__ModelList list = FACET__WIRE__MODEL_LIST__INIT;
	struct client_request r;

	*models = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_MODEL_LIST);
	r.wire.model_list = &list;
	list.name = (char *)(name ? name : "");
	r.finish = finish_model_list;
	r.out[0] = models;
	return client_call(c, &r);
}

/* ---- deletion: out deleted, may be NULL --------------------------------------------------------------- */
static int finish_deleted(struct facet *c, struct client_call *call,
			  const struct client_reply *reply)
{
	const Facet__Wire__DeleteReply *body = reply->body->deleted;
	struct facet_deleted deleted;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_DELETED)
		return client_nonsense(call);
	deleted = (struct facet_deleted){.templates = body->templates,
					 .subjects = body->subjects,
					 .epoch = body->epoch,
					 .replayed = body->replayed};
	client_answer(call->out[0], &deleted, sizeof(deleted));
	return 0;
}

static int call_delete(struct facet *c, struct client_request *r, struct facet_deleted *deleted)
{
	r->finish = finish_deleted;
	r->out[0] = deleted;
	return client_call(c, r);
}

int facet_model_delete(struct facet *c, const char *name, bool dry_run)
{
	Facet__Wire__ModelDelete del = FACET__WIRE__MODEL_DELETE__INIT;
	struct client_request r;

	client_request_init(&r, FACET__WIRE__REQUEST__BODY_MODEL_DELETE);
	r.wire.model_delete = &del;
	r.once = !dry_run;
	del.name = (char *)name;
	del.dry_run = dry_run;
	return call_delete(c, &r, NULL);
}

int facet_gallery_delete(struct facet *c, const char *name,
			 const struct facet_delete_params *params, struct facet_deleted *deleted)
{
	Facet__Wire__GalleryDelete del = FACET__WIRE__GALLERY_DELETE__INIT;
	struct facet_delete_params p;
	struct client_request r;
	int err = client_params(c, &p, sizeof(p), params);

	if (err)
		return err;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_GALLERY_DELETE);
	r.wire.gallery_delete = &del;
	r.once = !p.dry_run;
	del.name = (char *)name;
	del.dry_run = p.dry_run;
	return call_delete(c, &r, deleted);
}

int facet_subject_delete(struct facet *c, const char *gallery, const char *subject,
			 const struct facet_delete_params *params, struct facet_deleted *deleted)
{
	Facet__Wire__SubjectDelete del = FACET__WIRE__SUBJECT_DELETE__INIT;
	uint8_t key[FACET_KEY_BYTES];
	struct facet_delete_params p;
	struct client_request r;
	int err = client_params(c, &p, sizeof(p), params);

	if (err)
		return err;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_SUBJECT_DELETE);
	client_key(c, &r, p.key, key);
	r.wire.subject_delete = &del;
	del.gallery = (char *)gallery;
	del.subject = (char *)subject;
	del.dry_run = p.dry_run;
	del.key = (ProtobufCBinaryData){sizeof(key), key};
	return call_delete(c, &r, deleted);
}

int facet_template_delete(struct facet *c, const char *gallery, const uint64_t *ids, uint32_t count,
			  const struct facet_delete_params *params, struct facet_deleted *deleted)
{
	Facet__Wire__TemplateDelete del = FACET__WIRE__TEMPLATE_DELETE__INIT;
	uint8_t key[FACET_KEY_BYTES];
	struct facet_delete_params p;
	struct client_request r;
	int err = client_params(c, &p, sizeof(p), params);

	if (err)
		return err;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_TEMPLATE_DELETE);
	client_key(c, &r, p.key, key);
	r.wire.template_delete = &del;
	del.gallery = (char *)gallery;
	del.ids = (uint64_t *)ids;
	del.n_ids = count;
	del.dry_run = p.dry_run;
	del.key = (ProtobufCBinaryData){sizeof(key), key};
	return call_delete(c, &r, deleted);
}

/* ---- galleries ------------------------------------------------------------------------------------------ */
static int finish_gallery_create(struct facet *c, struct client_call *call,
				 const struct client_reply *reply)
{
	(void)c;
	return reply->body->body_case == FACET__WIRE__REPLY__BODY_GALLERY_CREATE
		       ? 0
		       : client_nonsense(call);
}

int facet_gallery_create(struct facet *c, const char *name,
			 const struct facet_gallery_params *params)
{
	Facet__Wire__GalleryCreate create = FACET__WIRE__GALLERY_CREATE__INIT;
	Facet__Wire__Space space = FACET__WIRE__SPACE__INIT;
	struct facet_gallery_params p;
	struct client_request r;
	int err = client_params(c, &p, sizeof(p), params);

	if (err)
		return err;
	if (p.options & ~FACET_GALLERY_NO_HOST_COPY)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "an option of a gallery that this library does not know");
	if (!p.model == !p.dim)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "a gallery is made for a model, or for vectors of a dimension");
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_GALLERY_CREATE);
	r.wire.gallery_create = &create;
	r.once = true;
	create.name = (char *)name;
	create.keep_int8_only = p.keep_int8_only;
	create.no_host_copy = p.options & FACET_GALLERY_NO_HOST_COPY;
	if (p.model) {
		create.model = (char *)p.model;
	} else {
		create.space = &space;
		space.name = (char *)(p.space ? p.space : name);
		space.dim = p.dim;
		space.metric = (Facet__Wire__Metric)p.metric;
	}
	r.finish = finish_gallery_create;
	return client_call(c, &r);
}

/* out galleries */
static int finish_gallery_list(struct facet *c, struct client_call *call,
			       const struct client_reply *reply)
{
	const Facet__Wire__GalleryListReply *body = reply->body->gallery_list;
	struct facet_galleries *galleries;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_GALLERY_LIST)
		return client_nonsense(call);
	galleries = client_result_new(sizeof(*galleries));
	if (!galleries || !client_galleries_get(galleries, body->galleries, body->n_galleries,
						&galleries->items)) {
		facet_free(galleries);
		return client_no_memory(call);
	}
	galleries->count = (uint32_t)body->n_galleries;
	*(struct facet_galleries **)call->out[0] = galleries;
	return 0;
}

int facet_gallery_list(struct facet *c, const char *name, struct facet_galleries **galleries)
{
	Facet__Wire__GalleryList list = FACET__WIRE__GALLERY_LIST__INIT;
	struct client_request r;

	*galleries = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_GALLERY_LIST);
	r.wire.gallery_list = &list;
	list.name = (char *)(name ? name : "");
	r.finish = finish_gallery_list;
	r.out[0] = galleries;
	return client_call(c, &r);
}

/* ---- thresholds: out space, may be NULL ------------------------------------------------------------------ */
static int finish_thresholds(struct facet *c, struct client_call *call,
			     const struct client_reply *reply)
{
	static const Facet__Wire__Space nameless = FACET__WIRE__SPACE__INIT;
	const Facet__Wire__ThresholdsReply *body = reply->body->thresholds;
	const struct facet_space *inner;
	struct facet_space *space;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_THRESHOLDS)
		return client_nonsense(call);
	if (!call->out[0])
		return 0;
	space = client_result_new(sizeof(*space));
	if (!space || !client_space_get(space, body->space ? body->space : &nameless, &inner)) {
		facet_free(space);
		return client_no_memory(call);
	}
	*space = *inner;
	*(struct facet_space **)call->out[0] = space;
	return 0;
}

#define THRESHOLDS_MAX 64u

int facet_thresholds(struct facet *c, const char *gallery, const char *model,
		     const struct facet_threshold *set, uint32_t count, struct facet_space **space)
{
	Facet__Wire__SpaceThresholds ask = FACET__WIRE__SPACE_THRESHOLDS__INIT;
	Facet__Wire__Threshold items[THRESHOLDS_MAX], *list[THRESHOLDS_MAX];
	struct client_request r;

	if (space)
		*space = NULL;
	if (count > THRESHOLDS_MAX)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "a space has at most %u thresholds", THRESHOLDS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		facet__wire__threshold__init(&items[i]);
		items[i].fmr = set[i].fmr;
		items[i].score = set[i].score;
		items[i].impostor_pairs = set[i].impostor_pairs;
		list[i] = &items[i];
	}
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_SPACE_THRESHOLDS);
	r.wire.space_thresholds = &ask;
	ask.gallery = (char *)(gallery ? gallery : "");
	ask.model = (char *)(model ? model : "");
	ask.thresholds = list;
	ask.n_thresholds = count;
	r.finish = finish_thresholds;
	r.out[0] = space;
	return client_call(c, &r);
}
