/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk data in memfds. A peer that could shrink a file we have mapped would kill us with SIGBUS, and
 * one that leaves holes makes us allocate for it, so both are ruled out before a byte is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "proto/wire.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

static uint64_t page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* NULL when the file is one of ours to map. */
static const char *why_not(int fd, const struct stat *st)
{
	uint64_t page = page_bytes(), whole = ((uint64_t)st->st_size + page - 1) / page * page;
	struct statfs fs;
	int seals;

	if (!S_ISREG(st->st_mode) || fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return "not a memfd on tmpfs (make it with memfd_create without MFD_HUGETLB)";
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
		return "memfd without the seals F_SEAL_SHRINK and F_SEAL_GROW";
	if ((uint64_t)st->st_blocks * 512 < whole)
		return "memfd with holes (write all of it before sending)";
	return NULL;
}

int wire_map(int fd, uint64_t offset, uint64_t bytes, uint64_t limit, struct wire_mapping *mapping,
	     const char **reason)
{
	uint64_t page = page_bytes(), first = offset / page * page;
	struct stat st;
	void *base;

	*reason = "not a descriptor";
	if (fstat(fd, &st) < 0)
		return -EINVAL;
	*reason = why_not(fd, &st);
	if (*reason)
		return -EINVAL;
	*reason = "range past the end of the memfd, empty, or over the limit";
	if (!bytes || bytes > limit || offset > (uint64_t)st.st_size ||
	    bytes > (uint64_t)st.st_size - offset)
		return -EFBIG;
	*reason = "memfd cannot be mapped";
	/* Private: before Linux 6.7 a write-sealed file could not be mapped shared. */
	base = mmap(NULL, offset - first + bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)first);
	if (base == MAP_FAILED)
		return -errno;
	*mapping = (struct wire_mapping){.base = base,
					 .length = offset - first + bytes,
					 .data = (const uint8_t *)base + (offset - first),
					 .bytes = bytes};
	madvise(base, mapping->length, MADV_DONTDUMP);
	/* All pages now: one call instead of a fault each, and a bad page is an error, no signal. */
	if (madvise(base, mapping->length, MADV_POPULATE_READ) < 0 && errno != EINVAL) {
		int err = -errno;

		wire_unmap(mapping);
		return err;
	}
	*reason = NULL;
	return 0;
}

void wire_unmap(struct wire_mapping *mapping)
{
	if (mapping->base)
		munmap(mapping->base, mapping->length);
	*mapping = (struct wire_mapping){0};
}

static int memfd_sized(size_t bytes)
{
	int fd = memfd_create("facet", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	err = posix_fallocate(fd, 0, (off_t)bytes);
	if (err) {
		close(fd);
		return -err;
	}
	return fd;
}

static int seal(int fd)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int wire_memfd(const void *data, size_t bytes)
{
	int fd = memfd_sized(bytes), err;

	if (fd < 0)
		return fd;
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pwrite(fd, (const char *)data + done, bytes - done, (off_t)done);

		if (n < 0 && errno != EINTR) {
			err = -errno;
			goto fail;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	err = seal(fd);
	if (!err)
		return fd;
fail:
	close(fd);
	return err;
}

int wire_memfd_create(size_t bytes, void **data)
{
	int fd = memfd_sized(bytes), err;

	if (fd < 0)
		return fd;
	*data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*data == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	madvise(*data, bytes, MADV_DONTDUMP);
	return fd;
}

int wire_memfd_seal(int fd, void *data, size_t bytes)
{
	munmap(data, bytes);
	return seal(fd);
}
