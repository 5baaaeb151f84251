/* SPDX-License-Identifier: Apache-2.0 */
/* A stretch of one direction of the stream, with the descriptors that belong to it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proto/internal.h"

#define BUFFER_FIRST (16u << 10)
#define BUFFER_KEEP  (1u << 20) /* an empty buffer larger than this is given back */

bool wire_buffer_reserve(struct wire_buffer *buffer, size_t bytes)
{
	size_t held = buffer->tail - buffer->head,
	       size = buffer->size ? buffer->size : BUFFER_FIRST;
	uint8_t *data;

	if (!held)
		buffer->head = buffer->tail = 0;
	if (buffer->size - buffer->tail >= bytes)
		return true;
	while (size - held < bytes)
		size *= 2;
	data = buffer->data;
	/* Moving is for free where less is moved than was consumed since the last time. */
	if (size > buffer->size || held > buffer->head) {
		size = size > buffer->size ? size : 2 * size;
		data = malloc(size);
		if (!data)
			return false;
	}
	if (held)
		memmove(data, buffer->data + buffer->head, held);
	if (data != buffer->data) {
		free(buffer->data);
		buffer->data = data;
		buffer->size = size;
	}
	buffer->head = 0;
	buffer->tail = held;
	return true;
}

void wire_buffer_drop(struct wire_buffer *buffer, size_t bytes)
{
	buffer->head += bytes;
	buffer->position += bytes;
	if (buffer->head < buffer->tail)
		return;
	buffer->head = buffer->tail = 0;
	if (buffer->size > BUFFER_KEEP) {
		free(buffer->data);
		buffer->data = NULL;
		buffer->size = 0;
	}
}

void wire_buffer_free(struct wire_buffer *buffer)
{
	struct wire_rights *rights;

	while ((rights = wire_rights_first(&buffer->rights))) {
		wire_fds_close(rights->fd, rights->count);
		wire_rights_pop(&buffer->rights);
	}
	free(buffer->rights.item);
	free(buffer->data);
}

struct wire_rights *wire_rights_first(const struct wire_rights_queue *queue)
{
	return queue->head < queue->tail ? &queue->item[queue->head] : NULL;
}

struct wire_rights *wire_rights_add(struct wire_rights_queue *queue)
{
	uint32_t size = queue->size ? 2 * queue->size : 4;
	struct wire_rights *item;

	if (queue->tail == queue->size && queue->head) {
		memmove(queue->item, queue->item + queue->head,
			(queue->tail - queue->head) * sizeof(*queue->item));
		queue->tail -= queue->head;
		queue->head = 0;
	}
	if (queue->tail == queue->size) {
		item = reallocarray(queue->item, size, sizeof(*item));
		if (!item)
			return NULL;
		queue->item = item;
		queue->size = size;
	}
	return &queue->item[queue->tail++];
}

void wire_rights_pop(struct wire_rights_queue *queue)
{
	if (++queue->head == queue->tail)
		queue->head = queue->tail = 0;
}

void wire_fds_close(const int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		close(fds[i]);
}
