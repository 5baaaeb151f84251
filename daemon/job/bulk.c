/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk data of requests and replies: inline or in sealed memory. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/job.h"
#include "daemon/job/service.h"

static bool fd_write_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_WRITE);
}

/* What the client can still change is copied, so that what was checked is what is used. */
static int bulk_settle(struct job *job, int fd, const struct wire_mapping *mapping,
		       const void **data)
{
	void *copy;

	*data = mapping->data;
	if (fd_write_sealed(fd)) {
		job->who->metrics.bytes[BYTES_IN_MAPPED] += mapping->bytes;
		return job_charge(job, mapping->length);
	}
	copy = job_need(job, mapping->bytes);
	if (!copy)
		return -1;
	memcpy(copy, mapping->data, mapping->bytes);
	job->who->metrics.bytes[BYTES_IN_COPIED] += mapping->bytes;
	*data = copy;
	return 0;
}

static int bulk_map(struct job *job, const Facet__Wire__Bulk *bulk, uint32_t align,
		    const char *what, const void **data)
{
	struct wire_mapping *mapping;
	const char *reason = "";
	int fd, err;

	if (bulk->fd >= job->fd_count)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"%s is in descriptor %u, but %u came with the frame", what,
				bulk->fd, job->fd_count);
	if (bulk->offset % align)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"%s starts at %" PRIu64 "; use a multiple of %u", what,
				bulk->offset, align);
	if (job->mapping_count == JOB_MAPPINGS_MAX)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"more than %d ranges of memory; use fewer", JOB_MAPPINGS_MAX);
	fd = job->fds[bulk->fd];
	mapping = &job->mapping[job->mapping_count];
	err = wire_map(fd, bulk->offset, bulk->length, job->tenant->mapped_max, mapping, &reason);
	if (err)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"%s: %s; send a memfd with SHRINK and GROW sealed", what,
				reason ? reason : strerror(-err));
	job->mapping_count++;
	return bulk_settle(job, fd, mapping, data);
}

int job_bulk(struct job *job, const Facet__Wire__Bulk *bulk, uint64_t bytes, uint32_t align,
	     const char *what, const void **data)
{
	uint64_t length = !bulk ? 0 : bulk->in_fd ? bulk->length : bulk->data.len;

	if (!bulk || length != bytes || !bytes)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"%s has %" PRIu64 " bytes; send %" PRIu64, what, length, bytes);
	if (bulk->in_fd)
		return bulk_map(job, bulk, align, what, data);
	*data = bulk->data.data; /* the arena aligns to 16 */
	job->who->metrics.bytes[BYTES_IN_FRAME] += bytes;
	return 0;
}

static int bulk_memfd(struct job *job, struct job_out *out, const void *data, uint64_t bytes,
		      Facet__Wire__Bulk *bulk)
{
	int fd;

	if (out->count == WIRE_FDS_MAX) {
		job_fail(job, FACET__WIRE__CODE__INTERNAL,
			 "a reply of too many parts; ask for less");
		return -1;
	}
	fd = wire_memfd(data, bytes);
	if (fd < 0) {
		job_fail_errno(job, -ENOMEM, NULL);
		return -1;
	}
	bulk->in_fd = true;
	bulk->fd = out->count;
	bulk->length = bytes;
	out->fds[out->count++] = fd;
	job->who->metrics.bytes[BYTES_OUT_MEMFD] += bytes;
	return 0;
}

static void out_close(struct job_out *out)
{
	while (out->count)
		close(out->fds[--out->count]);
}

int job_put(struct job *job, struct job_out *out, const void *data, uint64_t bytes,
	    Facet__Wire__Bulk **bulk)
{
	Facet__Wire__Bulk *b = job_need(job, sizeof(*b));

	if (!b) {
		out_close(out);
		return -1;
	}
	facet__wire__bulk__init(b);
	*bulk = b;
	if (bytes > JOB_BULK_INLINE) {
		if (!bulk_memfd(job, out, data, bytes, b))
			return 0;
		out_close(out);
		return -1;
	}
	b->data.data = (uint8_t *)data;
	b->data.len = bytes;
	b->length = bytes;
	job->who->metrics.bytes[BYTES_OUT_FRAME] += bytes;
	return 0;
}

void job_send(struct job *job, struct job_out *out, Facet__Wire__Reply *reply)
{
	job_reply(job, reply, out->fds, out->count);
}
