/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are not as they were left: damaged, of another format, of another key, too large. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/gallery/check.h"
#include "daemon/gallery/internal.h"
#include "daemon/gallery/pages.h"
#include "tests/gallery/fixture.h"

#define DIM   32
#define COUNT 600

static struct fixture f;
static float vectors[COUNT * DIM];

static void setup(void)
{
	fixture_init(&f, DIM, SEARCH_COSINE);
	for (uint32_t i = 0; i < COUNT; i++)
		fixture_vector(11, i, DIM, vectors + i * DIM);
}

static void teardown(void)
{
	fixture_free(&f);
}

/* Several subjects, keys and deletes, so that every table and the list of free pages has pages. */
static void fill(void)
{
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t ids[30] = {0};
		char name[16];
		const char *subject = name;
		struct gallery_request request = {
			.kind = GALLERY_ENROL,
			.count = 30,
			.f32 = vectors + i * 30 * DIM,
			.subjects = &subject,
			.subject_count = 1,
			.ids = ids,
			.has_key = true,
		};

		snprintf(name, sizeof(name), "subject %u", i);
		memcpy(request.key, &i, sizeof(i));
		ck_assert_int_eq(fixture_run(&f, &request), 0);
		if (i % 3 == 0)
			ck_assert_int_eq(fixture_delete(&f, ids[7]), 0);
	}
}

static uint8_t *read_file(const char *path, size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	uint8_t *bytes;

	ck_assert_int_eq(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	*size = (size_t)read(fd, bytes, (size_t)st.st_size);
	ck_assert_uint_eq(*size, (size_t)st.st_size);
	close(fd);
	return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* What can be asked of a gallery: all its ids with their scores against one probe. */
static uint32_t content(struct search_hit *hits)
{
	return fixture_search(&f, vectors, COUNT, hits);
}

static bool same_content(const struct search_hit *a, uint32_t n, const struct search_hit *b,
			 uint32_t m)
{
	for (uint32_t i = 0; i < n && n == m; i++)
		if (a[i].id != b[i].id || a[i].s != b[i].s)
			return false;
	return n == m;
}

/* Opens what is there: it fails with a text, or is exactly what it was. Then it must also take an
 * enrolment and a delete. True if it failed. */
static bool fails_or_is_whole(const struct search_hit *hits, uint32_t n, bool *damaged)
{
	static struct search_hit now[COUNT];
	struct gallery_status status;
	bool failed = fixture_open(&f) == GALLERY_FAILED;
	uint64_t id = 0;

	*damaged = false;
	gallery_status(f.gallery, &status);
	if (failed) {
		ck_assert_uint_gt(strlen(status.text), 10);
	} else {
		*damaged = !same_content(hits, n, now, content(now));
		ck_assert_int_eq(fixture_enrol(&f, "after", vectors, 1, &id), 0);
		ck_assert_int_eq(fixture_delete(&f, id), 0);
	}
	fixture_close(&f);
	return failed;
}

static void damage(uint8_t *bytes, size_t size, unsigned int seed)
{
	size_t at;

	srandom(seed);
	at = (size_t)random() % size;
	switch (seed % 4) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << random() % 8);
		break;
	case 1: /* in the head of a page */
		bytes[at / 4096 * 4096 + (size_t)random() % 40] ^= (uint8_t)(1 + random() % 255);
		break;
	case 2: /* a sector of another place */
		memmove(bytes + at / 512 * 512, bytes + (size_t)random() % (size / 512) * 512, 512);
		break;
	default:
		memset(bytes + at, 0, size - at < 64 ? size - at : 64);
	}
}

START_TEST(damage_is_found_or_harmless)
{
	static struct search_hit hits[COUNT];
	char path[256];
	uint8_t *bytes, *copy;
	uint32_t n, failed = 0;
	size_t size;

	fixture_create(&f);
	fill();
	n = content(hits);
	ck_assert_uint_eq(n, COUNT - 7);
	fixture_close(&f);
	fixture_data_path(&f, path);
	bytes = read_file(path, &size);
	copy = malloc(size);
	freopen("/dev/null", "w", stderr); /* a line a failure otherwise */
	for (unsigned int seed = 0; seed < 240; seed++) {
		bool damaged;

		memcpy(copy, bytes, size);
		damage(copy, size, seed);
		write_file(path, copy, size);
		failed += fails_or_is_whole(hits, n, &damaged);
		ck_assert_msg(!damaged, "seed %u: damage went unseen", seed);
	}
	ck_assert_uint_gt(failed, 100);
	free(bytes);
	free(copy);
}
END_TEST

START_TEST(every_page_head_is_checked)
{
	static const size_t offsets[] = {0, 10, 12, 14, 16, 17};
	char path[256], dir[256], text[GALLERY_TEXT];
	uint8_t *bytes;
	size_t size;
	uint32_t found[6] = {0};

	fixture_create(&f);
	fill();
	fixture_close(&f);
	fixture_data_path(&f, path);
	snprintf(dir, sizeof(dir), "%s/galleries/staff", f.root);
	bytes = read_file(path, &size);
	ck_assert_int_eq(gallery_check(dir, NULL, NULL, text), 0);
	for (size_t page = 0; page < size / 4096; page++) {
		for (size_t i = 0; i < 6; i++) {
			bytes[page * 4096 + offsets[i]] ^= 0x41;
			write_file(path, bytes, size);
			found[i] += gallery_check(dir, NULL, NULL, text) != 0;
			bytes[page * 4096 + offsets[i]] ^= 0x41;
		}
	}
	/* Free pages are not read; of the others each has its number and its kind checked. */
	ck_assert_uint_gt(found[0] * 4, size / 4096);
	ck_assert_uint_eq(found[0], found[1]);
	ck_assert_uint_ge(found[2] + 2, found[1]); /* the meta pages have no bounds */
	ck_assert_uint_ge(found[3] + 2, found[1]);
	for (size_t cut = 1; cut < 8; cut++) {
		write_file(path, bytes, size * cut / 9);
		ck_assert_int_ne(gallery_check(dir, NULL, NULL, text), 0);
	}
	write_file(path, bytes, size);
	ck_assert_int_eq(gallery_check(dir, NULL, NULL, text), 0);
	free(bytes);
}
END_TEST

#define TXN_OF_META (16 + 128)

START_TEST(meta_pages_take_turns)
{
	char path[256], dir[256], text[GALLERY_TEXT];
	uint8_t *bytes;
	size_t size;

	fixture_create(&f);
	fill();
	fixture_close(&f);
	fixture_data_path(&f, path);
	snprintf(dir, sizeof(dir), "%s/galleries/staff", f.root);
	bytes = read_file(path, &size);
	for (int meta = 0; meta < 2; meta++) {
		for (int change = -3; change <= 3; change++) {
			bytes[meta * 4096 + TXN_OF_META] += (uint8_t)change;
			write_file(path, bytes, size);
			ck_assert_int_eq(gallery_check(dir, NULL, NULL, text) != 0, change != 0);
			bytes[meta * 4096 + TXN_OF_META] -= (uint8_t)change;
		}
	}
	free(bytes);
}
END_TEST

static size_t free_at; /* offset of the longest entry of the list of free pages */
static uint64_t free_count;

static int keep_longest(void *context, struct pages_bytes key, struct pages_bytes value)
{
	const struct pages *pages = context;
	uint64_t count;

	(void)key;
	memcpy(&count, value.data, 8);
	if (count > free_count) {
		free_count = count;
		free_at = (size_t)(value.data - pages->map) + 8;
	}
	return 0;
}

/* A page that is in use is named in the list of free pages, in the right order. */
START_TEST(a_free_page_in_use)
{
	char path[256], dir[256], text[GALLERY_TEXT];
	struct pages pages = {0};
	uint64_t list[512];
	uint8_t *bytes;
	size_t size;
	uint32_t tried = 0;

	fixture_create(&f);
	fill();
	fixture_close(&f);
	fixture_data_path(&f, path);
	snprintf(dir, sizeof(dir), "%s/galleries/staff", f.root);
	ck_assert_int_eq(pages_open(&pages, path, false), 0);
	ck_assert_int_eq(pages_walk(&pages, &pages.free_tree, true, keep_longest, &pages), 0);
	pages_close(&pages);
	bytes = read_file(path, &size);
	ck_assert_uint_gt(free_count, 2);
	ck_assert_uint_le(free_count, 512);
	memcpy(list, bytes + free_at, free_count * 8);
	for (uint64_t i = 0; i + 1 < free_count; i++) {
		uint64_t other =
			list[i + 1] + 1; /* between two free pages: in use, or free by another */

		if (other == list[i])
			continue;
		memcpy(bytes + free_at + 8 * i, &other, 8);
		write_file(path, bytes, size);
		ck_assert_int_ne(gallery_check(dir, NULL, NULL, text), 0);
		ck_assert_ptr_nonnull(strstr(text, "used twice"));
		memcpy(bytes + free_at + 8 * i, &list[i], 8);
		tried++;
	}
	ck_assert_uint_gt(tried, 0);
	free(bytes);
}
END_TEST

/* Writes the head anew with another format_version, through LMDB itself. */
static void set_format(uint32_t format)
{
	char dir[256], text[GALLERY_TEXT];
	uint8_t head[RECORD_HEAD_BYTES];
	struct store *store;
	MDB_val key = {4, "head"}, value = {sizeof(head), head};
	MDB_txn *txn;

	snprintf(dir, sizeof(dir), "%s/galleries/staff", f.root);
	ck_assert_int_eq(store_open(dir, NULL, &store, text), 0);
	store->head.format = format;
	record_head_write(&store->head, head);
	ck_assert_int_eq(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_put(txn, store->table[STORE_META], &key, &value, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	store_close(store);
}

/* The newest STORE_KEYS keys are remembered, no more. */
START_TEST(old_keys_are_forgotten)
{
	struct store_answer answer = {.templates = 5}, found;
	char dir[256], text[GALLERY_TEXT];
	struct store_txn txn;
	struct store *store;
	uint64_t key[2] = {0};

	fixture_create(&f);
	fixture_close(&f);
	snprintf(dir, sizeof(dir), "%s/galleries/staff", f.root);
	ck_assert_int_eq(store_open(dir, NULL, &store, text), 0);
	ck_assert_int_eq(store_begin(store, &txn), 0);
	for (uint64_t i = 0; i < STORE_KEYS + 10; i++) {
		key[0] = i * 2654435761u;
		ck_assert_int_eq(store_key_put(&txn, (uint8_t *)key, &answer), 0);
	}
	ck_assert_int_eq(store_commit(&txn), 0);
	ck_assert_int_eq(store_begin(store, &txn), 0);
	for (uint64_t i = 0; i < 20; i++) {
		key[0] = i * 2654435761u;
		ck_assert_int_eq(store_key_get(&txn, (uint8_t *)key, &found), i < 10 ? -ENOENT : 0);
	}
	ck_assert_uint_eq(found.templates, 5);
	store_abort(&txn);
	store_close(store);
	ck_assert_int_eq(gallery_check(dir, NULL, NULL, text), 0);
}
END_TEST

START_TEST(a_newer_format_is_refused)
{
	struct gallery_status status;

	fixture_create(&f);
	fixture_close(&f);
	set_format(RECORD_FORMAT + 1);
	ck_assert_int_eq(fixture_open(&f), GALLERY_FAILED);
	gallery_status(f.gallery, &status);
	ck_assert_ptr_nonnull(strstr(status.text, "format_version 3 is newer"));
}
END_TEST

START_TEST(a_missing_or_dead_checker_is_a_failure)
{
	fixture_create(&f);
	fixture_close(&f);
	f.config.checker = "/nonexistent/checker";
	ck_assert_int_eq(fixture_open(&f), GALLERY_FAILED);
	fixture_close(&f);
	f.config.checker = "/bin/false";
	ck_assert_int_eq(fixture_open(&f), GALLERY_FAILED);
}
END_TEST

START_TEST(two_daemons_do_not_share)
{
	struct gallery *first;

	fixture_create(&f);
	first = f.gallery;
	ck_assert_int_eq(fixture_open(&f), GALLERY_FAILED);
	fixture_close(&f);
	f.gallery = first;
}
END_TEST

START_TEST(keys)
{
	uint8_t key[32] = {1, 2, 3}, other[32] = {3, 2, 1};
	static struct search_hit hits[COUNT], again[COUNT];
	struct gallery_request page = {.kind = GALLERY_EXPORT, .limit = 5};
	char path[256];
	uint8_t *bytes;
	size_t size;
	uint32_t n;

	f.config.key = key;
	fixture_create(&f);
	fill();
	n = content(hits);
	fixture_close(&f);
	fixture_data_path(&f, path);
	bytes = read_file(path, &size);
	ck_assert_ptr_null(memmem(bytes, size, "subject 1", 9));
	free(bytes);
	f.config.key = other;
	ck_assert_int_eq(fixture_open(&f), GALLERY_FAILED);
	fixture_close(&f);
	f.config.key = NULL;
	ck_assert_int_eq(fixture_open(&f), GALLERY_FAILED);
	fixture_close(&f);
	f.config.key = key;
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert(same_content(hits, n, again, content(again)));
	ck_assert_int_eq(fixture_run(&f, &page), 0);
	ck_assert_str_eq(page.records[0].subject, "subject 0");
	for (int d = 0; d < DIM; d++)
		ck_assert_float_eq_tol(page.vectors[d], vectors[d], 1e-3f);
	gallery_request_clear(&page);
}
END_TEST

/* A record moved to another place does not pass for one of that place. */
START_TEST(seals_are_bound_to_their_place)
{
	static const uint8_t uuid[16] = {7}, key[32] = {8};
	uint8_t value[200], scratch[200];
	const uint8_t *payload;
	size_t n;

	for (int keyed = 0; keyed < 2; keyed++) {
		struct seal seal;
		size_t head;

		seal_init(&seal, uuid, keyed ? key : NULL);
		head = seal_bytes(&seal);
		memset(value, 0, sizeof(value));
		memcpy(value + head, "payload", 7);
		seal_close(&seal, SEAL_ROW, 5, value, 100);
		ck_assert_int_eq(
			seal_open(&seal, SEAL_ROW, 5, value, head + 100, scratch, &payload, &n), 0);
		ck_assert_uint_eq(n, 100);
		ck_assert_mem_eq(payload, "payload", 7);
		ck_assert_int_ne(
			seal_open(&seal, SEAL_ROW, 6, value, head + 100, scratch, &payload, &n), 0);
		ck_assert_int_ne(seal_open(&seal, SEAL_ORIGINAL, 5, value, head + 100, scratch,
					   &payload, &n),
				 0);
		ck_assert_int_ne(
			seal_open(&seal, SEAL_ROW, 5, value, head + 99, scratch, &payload, &n), 0);
		ck_assert_int_ne(
			seal_open(&seal, SEAL_ROW, 5, value, head - 1, scratch, &payload, &n), 0);
		for (size_t bit = 0; bit < (head + 100) * 8; bit++) {
			value[bit / 8] ^= (uint8_t)(1u << bit % 8);
			ck_assert_int_ne(seal_open(&seal, SEAL_ROW, 5, value, head + 100, scratch,
						   &payload, &n),
					 0);
			value[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		seal_clear(&seal);
	}
}
END_TEST

static enum gallery_state wait_for_state(enum gallery_state state)
{
	struct gallery_status status;

	for (int i = 0; i < 100; i++) {
		gallery_status(f.gallery, &status);
		if (status.state == state)
			break;
		usleep(50000);
	}
	return status.state;
}

START_TEST(a_low_disk_makes_it_read_only)
{
	struct gallery_status status;
	uint64_t id = 0, kept = 0;

	fixture_create(&f);
	ck_assert_int_eq(fixture_enrol(&f, "x", vectors, 1, &kept), 0);
	f.gallery->disk_reserve = UINT64_MAX / 2; /* as if the disk had filled */
	ck_assert_int_eq(fixture_enrol(&f, "x", vectors + DIM, 1, &id), -EROFS);
	gallery_status(f.gallery, &status);
	ck_assert_int_eq(status.state, GALLERY_READ_ONLY);
	ck_assert_ptr_nonnull(strstr(status.text, "make room"));
	ck_assert(fixture_has(&f, kept));
	ck_assert_int_eq(fixture_delete(&f, kept), 0); /* what must go may go */
	f.gallery->disk_reserve = 1;
	ck_assert_int_eq(wait_for_state(GALLERY_READY), GALLERY_READY);
	ck_assert_int_eq(fixture_enrol(&f, "x", vectors + DIM, 1, &id), 0);
}
END_TEST

/* Small file system of its own, filled by another file. */
START_TEST(a_full_disk_fails_whole_batches)
{
	static uint64_t ids[COUNT];
	char hog[256];
	uint32_t good = 0;
	int fd, err = 0;

	if (mount("tmpfs", f.root, "tmpfs", 0, "size=4m")) {
		printf("skipped: a_full_disk_fails_whole_batches: cannot mount a tmpfs\n");
		return;
	}
	fixture_create(&f);
	while (good < 1000 && !(err = fixture_enrol(&f, "x", vectors, COUNT, ids))) {
		memset(ids, 0, sizeof(ids));
		good++;
	}
	ck_assert(err == -ENOSPC || err == -EROFS);
	ck_assert_uint_gt(good, 3);
	snprintf(hog, sizeof(hog), "%s/hog", f.root);
	fd = open(hog, O_WRONLY | O_CREAT, 0600); /* the reserve of 1 byte is no obstacle now */
	while (write(fd, vectors, 4096) == 4096)
		;
	close(fd);
	memset(ids, 0, sizeof(ids));
	err = fixture_enrol(&f, "x", vectors, 1, ids);
	ck_assert(err == -ENOSPC || err == -EROFS);
	ck_assert_uint_eq(f.gallery->templates, (uint64_t)good * COUNT);
	unlink(hog);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(f.gallery->templates, (uint64_t)good * COUNT);
	fixture_close(&f);
	umount2(f.root, MNT_DETACH);
}
END_TEST

#define DELETING (UINT64_C(1) << 62) /* may be there or not */
#define DELETED	 (UINT64_C(1) << 63)

/* A child enrols and deletes and writes what was acknowledged into a pipe, until it is killed. */
static void churn(int out)
{
	for (uint64_t i = 0;; i++) {
		uint64_t ids[4] = {0}, note;

		if (fixture_enrol(&f, "k", vectors + i % 100 * DIM, 4, ids))
			_exit(1);
		for (int j = 0; j < 4; j++)
			if (write(out, &ids[j], 8) != 8)
				_exit(1);
		note = ids[1] | DELETING;
		if (write(out, &note, 8) != 8 || fixture_delete(&f, ids[1]))
			_exit(1);
		note = ids[1] | DELETED;
		if (write(out, &note, 8) != 8)
			_exit(1);
	}
}

static void kill_after(uint32_t us, uint8_t *alive, uint64_t *last)
{
	int out[2];
	pid_t child;
	uint64_t note;

	ck_assert_int_eq(pipe(out), 0);
	child = fork();
	if (!child) {
		close(out[0]);
		if (fixture_open(&f) != GALLERY_READY)
			_exit(2);
		churn(out[1]);
	}
	close(out[1]);
	usleep(us);
	kill(child, SIGKILL);
	while (read(out[0], &note, 8) == 8) {
		uint64_t id = note & ~(DELETING | DELETED);

		ck_assert_uint_lt(id, 1u << 20);
		alive[id] = note & DELETED ? 2 : note & DELETING ? 0 : 1;
		*last = id > *last ? id : *last;
	}
	close(out[0]);
	waitpid(child, NULL, 0);
}

START_TEST(kill_9_loses_nothing)
{
	static struct search_hit hits[SEARCH_K_MAX];
	uint8_t *state = calloc(1u << 20, 1);
	uint64_t last = 0;

	fixture_create(&f);
	fixture_close(&f);
	for (uint32_t round = 0; round < 12; round++) {
		uint8_t *found = calloc(1u << 20, 1);
		uint32_t n;

		kill_after(30000 + round * 9000, state, &last);
		ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
		n = fixture_search(&f, vectors, SEARCH_K_MAX, hits);
		ck_assert_uint_lt(n, SEARCH_K_MAX);
		for (uint32_t i = 0; i < n; i++)
			found[hits[i].id] = 1;
		for (uint64_t id = 1; id <= last; id++) {
			ck_assert_msg(state[id] != 1 || found[id], "lost %llu",
				      (unsigned long long)id);
			ck_assert_msg(state[id] != 2 || !found[id], "back %llu",
				      (unsigned long long)id);
		}
		free(found);
		fixture_close(&f);
	}
	ck_assert_uint_gt(last, 50);
	free(state);
}
END_TEST

START_TEST(folders)
{
	char **names, text[GALLERY_TEXT], path[256];

	fixture_create(&f);
	ck_assert_int_eq(gallery_create(&f.config, "staff", &f.spec, text), -EEXIST);
	ck_assert_int_eq(gallery_create(&f.config, "../evil", &f.spec, text), -EINVAL);
	ck_assert_int_eq(gallery_create(&f.config, "", &f.spec, text), -EINVAL);
	ck_assert_int_eq(gallery_create(&f.config, "Upper", &f.spec, text), -EINVAL);
	ck_assert_int_eq(gallery_create(&f.config, ".new", &f.spec, text), -EINVAL);
	ck_assert_int_eq(gallery_create(&f.config, "b-2.x_y", &f.spec, text), 0);
	f.spec.space.dim = 0;
	ck_assert_int_eq(gallery_create(&f.config, "c", &f.spec, text), -EINVAL);
	f.spec.space.dim = SEARCH_DIM_MAX + 1;
	ck_assert_int_eq(gallery_create(&f.config, "c", &f.spec, text), -EINVAL);
	snprintf(path, sizeof(path), "%s/galleries/.gone-x", f.root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(gallery_names(&f.config, &names), 0);
	ck_assert_str_eq(names[0], "b-2.x_y");
	ck_assert_str_eq(names[1], "staff");
	ck_assert_ptr_null(names[2]);
	gallery_names_free(names);
	ck_assert_int_ne(access(path, F_OK), 0); /* a removal cut short was finished */
	ck_assert_int_eq(gallery_remove(&f.config, "b-2.x_y"), 0);
	ck_assert_int_eq(gallery_remove(&f.config, "b-2.x_y"), -ENOENT);
	ck_assert_int_eq(gallery_names(&f.config, &names), 0);
	ck_assert_ptr_null(names[1]);
	gallery_names_free(names);
	ck_assert_int_eq(gallery_open(&f.config, "nobody", &(struct gallery *){0}), -ENOENT);
	ck_assert_uint_eq(gallery_spec(f.gallery)->space.dim, DIM);
	ck_assert_str_eq(gallery_spec(f.gallery)->space.name, "bare");
	ck_assert_str_eq(gallery_name(f.gallery), "staff");
}
END_TEST

START_TEST(catalog)
{
	struct gallery_threshold in[64], out[64];
	uint8_t digest[32] = {1}, other[32] = {2};
	struct gallery_catalog *c;

	for (int i = 0; i < 64; i++)
		in[i] = (struct gallery_threshold){(i + 1) * 1e-5, 0.5f - 0.001f * (float)i, 1000};
	ck_assert_int_eq(gallery_catalog_open(f.root, &c), 0);
	ck_assert_int_eq(gallery_catalog_get(c, digest, out, 64), 0);
	ck_assert_int_eq(gallery_catalog_set(c, digest, in, 64), 0);
	ck_assert_int_eq(gallery_catalog_set(c, other, in, 1), 0);
	ck_assert_int_eq(gallery_catalog_set(c, digest, in, 65), -EINVAL);
	in[3].fmr = in[2].fmr;
	ck_assert_int_eq(gallery_catalog_set(c, digest, in, 64), -EINVAL);
	in[3].fmr = 4e-5;
	gallery_catalog_close(c);
	ck_assert_int_eq(gallery_catalog_open(f.root, &c), 0);
	memset(out, 0, sizeof(out));
	ck_assert_int_eq(gallery_catalog_get(c, digest, out, 64), 64);
	for (int i = 0; i < 64; i++) {
		ck_assert(out[i].fmr == in[i].fmr && out[i].score == in[i].score);
		ck_assert_uint_eq(out[i].impostor_pairs, 1000);
	}
	ck_assert_int_eq(gallery_catalog_get(c, digest, out, 2), 2);
	ck_assert_int_eq(gallery_catalog_set(c, digest, in, 0), 0);
	ck_assert_int_eq(gallery_catalog_get(c, digest, out, 64), 0);
	ck_assert_int_eq(gallery_catalog_get(c, other, out, 64), 1);
	gallery_catalog_close(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gallery files");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, damage_is_found_or_harmless);
	tcase_add_test(t, every_page_head_is_checked);
	tcase_add_test(t, meta_pages_take_turns);
	tcase_add_test(t, a_free_page_in_use);
	tcase_add_test(t, old_keys_are_forgotten);
	tcase_add_test(t, a_newer_format_is_refused);
	tcase_add_test(t, a_missing_or_dead_checker_is_a_failure);
	tcase_add_test(t, two_daemons_do_not_share);
	tcase_add_test(t, keys);
	tcase_add_test(t, seals_are_bound_to_their_place);
	tcase_add_test(t, a_low_disk_makes_it_read_only);
	tcase_add_test(t, a_full_disk_fails_whole_batches);
	tcase_add_test(t, kill_9_loses_nothing);
	tcase_add_test(t, folders);
	tcase_add_test(t, catalog);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
