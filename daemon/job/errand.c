/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/errand.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct errands {
	struct bell *bell;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t more;
	struct errand *head, **tail;
	bool stop;
};

static void errand_done(struct bell_entry *entry)
{
	struct errand *errand = (struct errand *)((char *)entry - offsetof(struct errand, entry));

	errand->done(errand);
}

static struct errand *errands_next(struct errands *errands)
{
	struct errand *errand;

	pthread_mutex_lock(&errands->lock);
	while (!errands->head && !errands->stop)
		pthread_cond_wait(&errands->more, &errands->lock);
	errand = errands->head;
	if (errand) {
		errands->head = errand->next;
		if (!errands->head)
			errands->tail = &errands->head;
	}
	pthread_mutex_unlock(&errands->lock);
	return errand;
}

static void *errands_main(void *user)
{
	struct errands *errands = user;
	struct errand *errand;

	while ((errand = errands_next(errands))) {
		errand->work(errand);
		bell_push(errands->bell, &errand->entry);
	}
	return NULL;
}

int errands_start(struct bell *bell, struct errands **out)
{
	struct errands *errands = calloc(1, sizeof(*errands));
	int err;

	if (!errands)
		return -ENOMEM;
	errands->bell = bell;
	errands->tail = &errands->head;
	pthread_mutex_init(&errands->lock, NULL);
	pthread_cond_init(&errands->more, NULL);
	err = -pthread_create(&errands->thread, NULL, errands_main, errands);
	if (err) {
		free(errands);
		return err;
	}
	*out = errands;
	return 0;
}

void errands_submit(struct errands *errands, struct errand *errand)
{
	errand->entry.run = errand_done;
	errand->next = NULL;
	pthread_mutex_lock(&errands->lock);
	*errands->tail = errand;
	errands->tail = &errand->next;
	pthread_cond_signal(&errands->more);
	pthread_mutex_unlock(&errands->lock);
}

void errands_stop(struct errands *errands)
{
	if (!errands)
		return;
	pthread_mutex_lock(&errands->lock);
	errands->stop = true;
	pthread_cond_signal(&errands->more);
	pthread_mutex_unlock(&errands->lock);
	pthread_join(errands->thread, NULL);
	pthread_mutex_destroy(&errands->lock);
	pthread_cond_destroy(&errands->more);
	free(errands);
}
