/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk data in the frame or beside it. */
#include <string.h>
#include <unistd.h>
#include "host/libfacet/client.h"

void client_bulk_put(struct client_request *r, Facet__Wire__Bulk *bulk, const void *data,
		     uint64_t bytes)
{
	int fd;

	facet__wire__bulk__init(bulk);
	if (bytes <= CLIENT_INLINE_MAX - r->inlined) {
		r->inlined += bytes;
		bulk->data = (ProtobufCBinaryData){bytes, (uint8_t *)data};
		return;
	}
	if (r->fd_count == WIRE_FDS_MAX || bytes > SIZE_MAX / 2) {
		r->err = -FACET_EINVALID_ARGUMENT;
		return;
	}
	fd = wire_memfd(data, bytes);
	if (fd < 0) {
		r->err = -FACET_EUNAVAILABLE;
		return;
	}
	bulk->in_fd = true;
	bulk->fd = r->fd_count;
	bulk->length = bytes;
	r->fds[r->fd_count++] = fd;
}

int client_bulk_view(struct client_call *call, const struct client_reply *reply,
		     const Facet__Wire__Bulk *bulk, struct client_view *view)
{
	const char *reason;

	*view = (struct client_view){0};
	if (!bulk)
		return 0;
	if (!bulk->in_fd) {
		view->data = bulk->data.data;
		view->bytes = bulk->data.len;
		return 0;
	}
	if (bulk->fd >= reply->fd_count)
		return client_nonsense(call);
	if (wire_map(reply->fds[bulk->fd], bulk->offset, bulk->length, UINT64_MAX, &view->mapping,
		     &reason))
		return client_fail(&call->error, FACET_EINTERNAL, "the daemon's answer: %s",
				   reason);
	view->data = view->mapping.data;
	view->bytes = view->mapping.bytes;
	return 0;
}

void client_bulk_release(struct client_view *view)
{
	wire_unmap(&view->mapping);
}

int client_bulk_copy(struct client_call *call, const struct client_reply *reply,
		     const Facet__Wire__Bulk *bulk, void *to, uint64_t bytes)
{
	struct client_view view;
	int err = client_bulk_view(call, reply, bulk, &view);

	if (err)
		return err;
	if (view.bytes != bytes)
		err = client_nonsense(call);
	else if (to && bytes)
		memcpy(to, view.data, bytes);
	client_bulk_release(&view);
	return err;
}
