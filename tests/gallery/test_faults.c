/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that fail at the wrong moment: what libc and LMDB are asked for here goes through this file. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/gallery/internal.h"
#include "tests/gallery/fixture.h"

#define DIM 16

static struct fixture f;
static float vectors[40 * DIM];
static int fsync_of_a_folder; /* the error it gives, 0: none */
static bool open_fails, grow_fails;
static enum { RUN, PAUSE, PAUSED } reading; /* of a transaction that only reads, once it began */
static ino_t synced[256];		    /* folders */
static size_t synced_count;

int fsync(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		if (fsync_of_a_folder) {
			errno = fsync_of_a_folder;
			return -1;
		}
		if (synced_count < 256)
			synced[synced_count++] = st.st_ino;
	}
	return (int)syscall(SYS_fsync, fd);
}

int mdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode)
{
	int (*real)(MDB_env *, const char *, unsigned int, mdb_mode_t);

	if (open_fails)
		return ENOMEM;
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_env_open");
	return real(env, path, flags, mode);
}

int mdb_env_set_mapsize(MDB_env *env, size_t size)
{
	int (*real)(MDB_env *, size_t);

	if (grow_fails)
		return ENOMEM;
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
	return real(env, size);
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn)
{
	int (*real)(MDB_env *, MDB_txn *, unsigned int, MDB_txn **), err;

	*(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_begin");
	err = real(env, parent, flags, txn);
	if (flags & MDB_RDONLY && __atomic_load_n(&reading, __ATOMIC_SEQ_CST) == PAUSE)
		__atomic_store_n(&reading, PAUSED, __ATOMIC_SEQ_CST);
	while (flags & MDB_RDONLY && __atomic_load_n(&reading, __ATOMIC_SEQ_CST) == PAUSED)
		usleep(1000);
	return err;
}

static void setup(void)
{
	fixture_init(&f, DIM, SEARCH_COSINE);
	for (uint32_t i = 0; i < 40; i++)
		fixture_vector(3, i, DIM, vectors + i * DIM);
}

static void teardown(void)
{
	fixture_free(&f);
}

static void enrol_some(void)
{
	uint64_t ids[20] = {0};

	fixture_create(&f);
	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 20, ids), 0);
}

static int compact(void)
{
	struct gallery_request request = {.kind = GALLERY_COMPACT};

	return fixture_run(&f, &request);
}

static int export_page(void)
{
	struct gallery_request request = {.kind = GALLERY_EXPORT, .limit = 10};
	int err = fixture_run(&f, &request);

	gallery_request_clear(&request);
	return err;
}

/* Until the folder is synced a power loss may bring the old file back, without what came since. */
START_TEST(nothing_is_acknowledged_in_a_file_that_may_go)
{
	static const int errors[] = {EIO, EINTR, ENOSPC};
	struct gallery_status status;
	uint64_t id = 0;

	enrol_some();
	fsync_of_a_folder = errors[_i];
	ck_assert_int_ne(compact(), 0);
	ck_assert_int_eq(fixture_enrol(&f, "t", vectors, 1, &id), -EIO);
	gallery_status(f.gallery, &status);
	ck_assert_ptr_nonnull(strstr(status.text, "restart facetd"));
	fsync_of_a_folder = 0;
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_int_eq(fixture_enrol(&f, "t", vectors, 1, &id), 0);
}
END_TEST

START_TEST(a_file_that_does_not_open_again)
{
	struct gallery_snapshot snapshot;
	uint64_t id = 0, one = 1;

	enrol_some();
	open_fails = true;
	ck_assert_int_eq(compact(), -EIO);
	open_fails = false;
	ck_assert_int_eq(export_page(), -EIO);
	ck_assert_int_eq(fixture_enrol(&f, "t", vectors, 1, &id), -EIO);
	ck_assert_int_eq(fixture_delete(&f, one), -EIO);
	ck_assert_int_eq(compact(), -EIO);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &snapshot), 0); /* searched all the same */
	gallery_release(f.gallery, &snapshot);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_int_eq(export_page(), 0);
}
END_TEST

START_TEST(a_map_that_does_not_grow)
{
	static float many[60000 * DIM];
	static uint64_t ids[60000];
	uint64_t id = 0;

	enrol_some();
	for (uint32_t i = 0; i < 60000; i++)
		fixture_vector(4, i, DIM, many + i * DIM);
	grow_fails = true;
	ck_assert_int_eq(fixture_enrol(&f, "many", many, 60000, ids), -EIO);
	grow_fails = false;
	ck_assert_int_eq(export_page(), -EIO);
	ck_assert_int_eq(fixture_enrol(&f, "t", vectors, 1, &id), -EIO);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_int_eq(fixture_enrol(&f, "many", many, 60000, ids), 0);
}
END_TEST

/* A page that began before still has the template: the delete is not acknowledged before it ends. */
START_TEST(a_delete_waits_for_an_export)
{
	struct fixture_wait *exported = fixture_wait_new(), *deleted = fixture_wait_new();
	struct gallery_request page = {.kind = GALLERY_EXPORT, .limit = 40};
	uint64_t id = 1;
	struct gallery_request delete = {.kind = GALLERY_DELETE_TEMPLATES, .count = 1, .ids = &id};

	enrol_some();
	__atomic_store_n(&reading, PAUSE, __ATOMIC_SEQ_CST);
	fixture_submit(&f, &page, exported);
	while (__atomic_load_n(&reading, __ATOMIC_SEQ_CST) != PAUSED)
		usleep(1000);
	fixture_submit(&f, &delete, deleted);
	usleep(100000);
	ck_assert(!fixture_wait_over(deleted));
	__atomic_store_n(&reading, RUN, __ATOMIC_SEQ_CST);
	fixture_wait(exported, 1);
	fixture_wait(deleted, 1);
	ck_assert_uint_eq(page.record_count, 20);
	ck_assert_int_eq(delete.error, 0);
	gallery_request_clear(&page);
	fixture_wait_free(exported);
	fixture_wait_free(deleted);
}
END_TEST

static bool was_synced(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	for (size_t i = 0; i < synced_count; i++)
		if (synced[i] == st.st_ino)
			return true;
	return false;
}

/* A folder that is not synced may be gone after a power loss, with all that is in it. */
START_TEST(folders_are_synced)
{
	struct gallery_catalog *catalog;
	char root[80], path[128], text[GALLERY_TEXT];

	snprintf(root, sizeof(root), "%s/state", f.root);
	f.config.root = root;
	ck_assert_int_eq(gallery_create(&f.config, "staff", &f.spec, text), 0);
	ck_assert(was_synced(f.root) && was_synced(root));
	snprintf(path, sizeof(path), "%s/galleries", root);
	ck_assert(was_synced(path));
	snprintf(path, sizeof(path), "%s/galleries/staff", root);
	ck_assert(was_synced(path));
	synced_count = 0;
	ck_assert_int_eq(gallery_catalog_open(root, &catalog), 0);
	gallery_catalog_close(catalog);
	snprintf(path, sizeof(path), "%s/catalog", root);
	ck_assert(was_synced(path) && was_synced(root));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gallery faults");
	TCase *t = tcase_create("faults");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, nothing_is_acknowledged_in_a_file_that_may_go, 0, 3);
	tcase_add_test(t, a_file_that_does_not_open_again);
	tcase_add_test(t, a_map_that_does_not_grow);
	tcase_add_test(t, a_delete_waits_for_an_export);
	tcase_add_test(t, folders_are_synced);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
