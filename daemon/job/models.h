/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the job room: what model handlers need of the table of models. */
#ifndef FACET_DAEMON_JOB_MODELS_H
#define FACET_DAEMON_JOB_MODELS_H

#include "daemon/job/service.h"

/* The path of a model's file; -ENAMETOOLONG. */
int model_path(const struct service *service, const char *name, char *path, size_t bytes);
/* Checks and plans; slow, so on the errand thread. */
int model_prepare(struct service *service, const void *file, size_t bytes, struct model **model,
		  struct model_plan **plan, char text[MODEL_TEXT]);
/* Hidden until it has its model and plan; NULL without memory. */
struct model_entry *model_entry_create(struct service *service, const char *name);
/* Also one that is hidden. */
struct model_entry *service_model_any(const struct service *service, const char *name);
void model_entry_remove(struct model_entry *entry);

#endif
