/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void queue_init(struct queue *queue)
{
	pthread_condattr_t attributes;

	memset(queue, 0, sizeof(*queue));
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

void queue_free(struct queue *queue)
{
	pthread_cond_destroy(&queue->wake);
	pthread_mutex_destroy(&queue->lock);
}

int queue_put(struct queue *queue, struct gallery_request *request)
{
	int err = 0;

	pthread_mutex_lock(&queue->lock);
	if (queue->stop || queue->count >= GALLERY_QUEUE_MAX) {
		err = -EAGAIN;
	} else {
		request->next = NULL;
		*queue->last = request;
		queue->last = &request->next;
		queue->count++;
		pthread_cond_signal(&queue->wake);
	}
	pthread_mutex_unlock(&queue->lock);
	return err;
}

void queue_stop(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->stop = true;
	pthread_cond_signal(&queue->wake);
	pthread_mutex_unlock(&queue->lock);
}

void queue_nudge(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->nudged = true;
	pthread_cond_signal(&queue->wake);
	pthread_mutex_unlock(&queue->lock);
}

static void wait_until(struct queue *queue, const struct timespec *until)
{
	while (!queue->first && !queue->stop && !queue->nudged) {
		if (!until)
			pthread_cond_wait(&queue->wake, &queue->lock);
		else if (pthread_cond_timedwait(&queue->wake, &queue->lock, until) == ETIMEDOUT)
			return;
	}
}

struct gallery_request *queue_take(struct queue *queue, int timeout_ms, bool *stopped)
{
	struct gallery_request *first;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	if (timeout_ms > 0) {
		until.tv_sec += timeout_ms / 1000;
		until.tv_nsec += timeout_ms % 1000 * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
	}
	pthread_mutex_lock(&queue->lock);
	wait_until(queue, timeout_ms < 0 ? NULL : &until);
	first = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	queue->count = 0;
	queue->nudged = false;
	*stopped = queue->stop;
	pthread_mutex_unlock(&queue->lock);
	return first;
}
