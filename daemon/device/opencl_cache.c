/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Built programs on disk. A file is named by a hash of its identity (device, driver, source,
 * options) and begins with a header that says the identity whole and the sum of what follows:
 *
 *   magic of 8, u32 length of the identity, u32 zero, u64 length of the program, u64 sum, identity,
 *   program
 *
 * A file that is cut short, changed or of another identity is as good as none, and is replaced. The
 * sum is against accidents; against people, the folder and its files must be ours alone.
 */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	  "FACETCL1"
#define BYTES_MAX (UINT64_C(256) << 20)

struct header {
	char magic[8];
	uint32_t identity_bytes, zero;
	uint64_t bytes, sum;
};

/* FNV-1a. */
static uint64_t sum_of(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < bytes; i++)
		sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* The folder, made if need be; -1 unless it is ours and nobody else may write there. */
static int open_folder(const char *folder)
{
	struct stat st;
	int fd;

	if (mkdir(folder, 0700) && errno != EEXIST)
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 077))
		return fd;
	close(fd);
	return -1;
}

static void file_name(const char *identity, char name[32])
{
	snprintf(name, 32, "%016llx.clb", (unsigned long long)sum_of(identity, strlen(identity)));
}

static bool read_all(int fd, void *data, size_t bytes)
{
	char *at = data;

	while (bytes) {
		ssize_t n = read(fd, at, bytes);

		if (n <= 0)
			return false;
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

static bool identity_is(int fd, const char *identity, uint32_t bytes)
{
	char *text;
	bool same;

	if (bytes != strlen(identity))
		return false;
	text = malloc(bytes);
	same = text && read_all(fd, text, bytes) && !memcmp(text, identity, bytes);
	free(text);
	return same;
}

static void *read_program(int fd, const char *identity, size_t *bytes)
{
	struct header header;
	struct stat st;
	void *data;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !read_all(fd, &header, sizeof(header)) ||
	    memcmp(header.magic, MAGIC, sizeof(header.magic)) || header.zero || header.bytes < 1 ||
	    header.bytes > BYTES_MAX ||
	    (uint64_t)st.st_size != sizeof(header) + header.identity_bytes + header.bytes ||
	    !identity_is(fd, identity, header.identity_bytes))
		return NULL;
	data = malloc(header.bytes);
	if (data && read_all(fd, data, header.bytes) && sum_of(data, header.bytes) == header.sum) {
		*bytes = header.bytes;
		return data;
	}
	free(data);
	return NULL;
}

void *opencl_cache_read(const char *folder, const char *identity, size_t *bytes)
{
	char name[32];
	void *data = NULL;
	int at, fd;

	at = open_folder(folder);
	if (at < 0)
		return NULL;
	file_name(identity, name);
	fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0) {
		data = read_program(fd, identity, bytes);
		close(fd);
	}
	close(at);
	return data;
}

static bool write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		ssize_t n = write(fd, at, bytes);

		if (n <= 0)
			return false;
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

static bool write_program(int fd, const char *identity, const void *data, size_t bytes)
{
	struct header header = {.magic = MAGIC,
				.identity_bytes = (uint32_t)strlen(identity),
				.bytes = bytes,
				.sum = sum_of(data, bytes)};

	return write_all(fd, &header, sizeof(header)) &&
	       write_all(fd, identity, header.identity_bytes) && write_all(fd, data, bytes) &&
	       !fsync(fd);
}

/* Whoever reads at the same time sees the old file or the new one; without a file we live too. */
void opencl_cache_write(const char *folder, const char *identity, const void *data, size_t bytes)
{
	int at = bytes && bytes <= BYTES_MAX ? open_folder(folder) : -1, fd;
	char name[32], part[64];

	if (at < 0)
		return;
	file_name(identity, name);
	snprintf(part, sizeof(part), "%s.%ld", name, (long)getpid());
	unlinkat(at, part, 0);
	fd = openat(at, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		bool whole = write_program(fd, identity, data, bytes);

		close(fd);
		if (!whole || renameat(at, part, at, name))
			unlinkat(at, part, 0);
	}
	close(at);
}
