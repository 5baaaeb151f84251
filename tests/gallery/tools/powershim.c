/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD library: records every write, truncation and sync of files named data.mdb or
 * data.mdb.new into the file that FACET_POWER_LOG names (power.h).
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/gallery/tools/power.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static void put(const void *data, size_t n)
{
	const char *at = data;

	while (n) {
		long done = syscall(SYS_write, log_fd, at, n);

		if (done <= 0)
			abort();
		at += done;
		n -= (size_t)done;
	}
}

static void record(enum power_kind kind, uint64_t file, uint64_t offset, const void *data,
		   size_t bytes)
{
	struct power_record head = {kind, (uint32_t)bytes, file, offset};

	pthread_mutex_lock(&lock);
	if (log_fd < 0) {
		const char *path = getenv("FACET_POWER_LOG");

		log_fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path,
					     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
			      : -1;
		if (log_fd < 0)
			abort();
	}
	put(&head, sizeof(head));
	put(data, bytes);
	pthread_mutex_unlock(&lock);
}

void power_note(const struct power_note *notes, uint32_t count);
void power_note(const struct power_note *notes, uint32_t count)
{
	record(POWER_NOTE, 0, 0, notes, count * sizeof(*notes));
}

/* The inode if it is a file of the store. */
static bool ours(int fd, uint64_t *file, bool *folder)
{
	char link[32], path[4096];
	struct stat st;
	ssize_t n;

	*folder = false;
	if (fstat(fd, &st))
		return false;
	*file = st.st_ino;
	*folder = S_ISDIR(st.st_mode);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || *folder)
		return false;
	path[n] = '\0';
	return strstr(path, "/data.mdb") != NULL;
}

static void *real(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (!symbol)
		abort();
	return symbol;
}

/* One write, in the pieces it has; `call` makes it. */
static void before(int fd, const struct iovec *pieces, int count, off_t at, bool *mine,
		   uint64_t *file)
{
	bool folder;

	*mine = ours(fd, file, &folder);
	for (int i = 0; *mine && i < count; i++) {
		record(POWER_WRITE, *file, (uint64_t)at, pieces[i].iov_base, pieces[i].iov_len);
		at += (off_t)pieces[i].iov_len;
	}
}

static void after(int fd, off_t at, bool mine, uint64_t file, ssize_t done)
{
	if (mine && done > 0 && fcntl(fd, F_GETFL) & O_DSYNC)
		record(POWER_WRITTEN, file, (uint64_t)at, NULL, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	ssize_t (*call)(int, const void *, size_t, off64_t) = real("pwrite64");
	struct iovec piece = {(void *)data, n};
	uint64_t file;
	ssize_t done;
	bool mine;

	before(fd, &piece, 1, at, &mine, &file);
	done = call(fd, data, n, at);
	after(fd, at, mine, file, done);
	return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	return pwrite64(fd, data, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t at)
{
	ssize_t (*call)(int, const struct iovec *, int, off64_t) = real("pwritev64");
	uint64_t file;
	ssize_t done;
	bool mine;

	before(fd, pieces, count, at, &mine, &file);
	done = call(fd, pieces, count, at);
	after(fd, at, mine, file, done);
	return done;
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
	return pwritev64(fd, pieces, count, at);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	ssize_t (*call)(int, const struct iovec *, int) = real("writev");
	off_t at = lseek(fd, 0, SEEK_CUR);
	uint64_t file;
	ssize_t done;
	bool mine;

	before(fd, pieces, count, at, &mine, &file);
	done = call(fd, pieces, count);
	after(fd, at, mine, file, done);
	return done;
}

ssize_t write(int fd, const void *data, size_t n)
{
	ssize_t (*call)(int, const void *, size_t) = real("write");
	struct iovec piece = {(void *)data, n};
	off_t at = lseek(fd, 0, SEEK_CUR);
	uint64_t file;
	ssize_t done;
	bool mine;

	before(fd, &piece, 1, at, &mine, &file);
	done = call(fd, data, n);
	after(fd, at, mine, file, done);
	return done;
}

int ftruncate64(int fd, off64_t size)
{
	int (*call)(int, off64_t) = real("ftruncate64");
	bool folder;
	uint64_t file;

	if (ours(fd, &file, &folder))
		record(POWER_SIZE, file, (uint64_t)size, NULL, 0);
	return call(fd, size);
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

static int synced(int fd, int result)
{
	bool folder;
	uint64_t file;

	if (result)
		return result;
	if (ours(fd, &file, &folder))
		record(POWER_SYNC, file, 0, NULL, 0);
	else if (folder)
		record(POWER_SYNCDIR, file, 0, NULL, 0);
	return 0;
}

int fsync(int fd)
{
	int (*call)(int) = real("fsync");

	return synced(fd, call(fd));
}

int fdatasync(int fd)
{
	int (*call)(int) = real("fdatasync");

	return synced(fd, call(fd));
}

/* A writable map could change the file unseen: the store has none, and this proves it. */
int msync(void *at, size_t n, int flags)
{
	(void)at, (void)n, (void)flags;
	fprintf(stderr, "powershim: msync: the store maps its file for writing\n");
	abort();
}

int rename(const char *from, const char *to)
{
	int (*call)(const char *, const char *) = real("rename");
	size_t n = strlen(to);
	struct stat st;
	bool mine = n >= 9 && !strcmp(to + n - 9, "/data.mdb") && !stat(from, &st);

	if (mine)
		record(POWER_RENAME, st.st_ino, 0, NULL, 0);
	return call(from, to);
}
