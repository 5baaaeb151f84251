/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/rig.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
};

static void on_done(struct device_batch *batch)
{
	struct waiter *w = batch->user;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->over);
	pthread_mutex_unlock(&w->lock);
}

int rig_run(struct device *device, const struct device_command *commands, uint32_t count)
{
	struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
	struct device_batch batch = {
		.commands = commands, .count = count, .done = on_done, .user = &w};

	ck_assert_int_eq(device->ops->submit(device, &batch), 0);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.over, &w.lock);
	pthread_mutex_unlock(&w.lock);
	if (batch.error)
		fprintf(stderr, "command %u, op %d: error %d\n", batch.error_index,
			(int)commands[batch.error_index].op, batch.error);
	return batch.error;
}

struct device *rig_cpu(uint32_t threads)
{
	const struct device_config config = {.threads = threads};
	struct device *device;

	ck_assert_int_eq(device_open("cpu", &config, &device), 0);
	return device;
}

int rig_try(const struct fct *fct, struct model **model, char *text)
{
	size_t bytes;
	uint8_t *file = fct_write(fct, &bytes);
	int err = model_load(file, bytes, model, text);

	free(file);
	return err;
}

struct model *rig_load(const struct fct *fct)
{
	char text[MODEL_TEXT];
	struct model *model = NULL;
	int err = rig_try(fct, &model, text);

	ck_assert_msg(!err, "refused: %s", text);
	ck_assert_str_eq(text, "");
	return model;
}

void rig_inputs(struct fct *fct, const struct model_info *info, void **values)
{
	for (uint32_t i = 0; i < info->inputs; i++) {
		uint8_t *data = malloc(info->input[i].bytes);

		for (uint64_t k = 0; k < info->input[i].bytes; k++)
			data[k] = (uint8_t)fct_random(fct);
		values[fct->inputs[i]] = data;
	}
}

void rig_free(void **values)
{
	for (uint32_t i = 0; i < FCT_TENSORS; i++)
		free(values[i]);
}
