/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only OpenCL devices have: variants, the cache of programs, images, limits of memory and time,
 * and the helper that meets a driver first. The ops are tested by test_opencl.sh.
 */
#include "daemon/device/opencl.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], why[256];

static void folder_make(void)
{
	snprintf(folder, sizeof(folder), "/tmp/facet-opencl-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void folder_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static const char *build(void)
{
	return getenv("BUILD") ? getenv("BUILD") : "build";
}

static struct device_config plain(void)
{
	return (struct device_config){.select = "Portable",
				      .cache = folder,
				      .libexec = build(),
				      .why = why,
				      .why_bytes = sizeof(why)};
}

static int open_variant(const struct device_config *config, const char *variant, struct opencl **cl)
{
	why[0] = 0;
	return opencl_open_here(config, variant, cl, why, sizeof(why), NULL);
}

/* ---- variants ---- */

static const char *const variants[] = {"portable", "lane", "tile"};

static bool has_vnni(void)
{
	return __builtin_cpu_supports("avx512vnni");
}

START_TEST(every_variant_gives_the_reference_s_bits)
{
	const struct device_config config = plain();
	struct opencl *cl;

	if (!strcmp(variants[_i], "tile") && !has_vnni())
		return;
	ck_assert_msg(!open_variant(&config, variants[_i], &cl), "%s", why);
	ck_assert_str_eq(cl->variant->name, variants[_i]);
	ck_assert_uint_gt(opencl_variant_ns(cl), 0);
	opencl_close_here(cl);
}
END_TEST

START_TEST(unknown_variants_are_refused)
{
	const struct device_config config = plain();
	struct opencl *cl;

	ck_assert_int_eq(open_variant(&config, "fast", &cl), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "fast"));
}
END_TEST

/* ---- the cache ---- */

/* The only file of the folder, its path. */
static void only_file(char *path, size_t bytes)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;
	int count = 0;

	while ((e = readdir(dir)))
		if (e->d_name[0] != '.') {
			snprintf(path, bytes, "%s/%s", folder, e->d_name);
			count++;
		}
	closedir(dir);
	ck_assert_int_eq(count, 1);
}

static char *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	char *data;
	long n;

	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	data = malloc((size_t)n);
	ck_assert_uint_eq(fread(data, 1, (size_t)n, f), (size_t)n);
	fclose(f);
	*bytes = (size_t)n;
	return data;
}

static void write_file(const char *path, const char *data, size_t bytes)
{
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, bytes, f), bytes);
	fclose(f);
}

static void ck_opens(void)
{
	const struct device_config config = plain();
	struct opencl *cl;

	ck_assert_msg(!open_variant(&config, "portable", &cl), "%s", why);
	opencl_close_here(cl);
}

/* Cut short, changed at any of some places, or another program's: built anew and written again. */
START_TEST(a_bad_cache_file_is_replaced)
{
	char path[512], *good, *now;
	size_t bytes, n;

	ck_opens();
	only_file(path, sizeof(path));
	good = read_file(path, &bytes);
	for (size_t i = 0; i < 12; i++) {
		char *bad = malloc(bytes);

		memcpy(bad, good, bytes);
		bad[i < 6 ? i * 5 : bytes - 1 - (i - 6) * bytes / 8] ^= 1;
		write_file(path, bad, i == 11 ? bytes / 2 : bytes);
		free(bad);
		ck_opens();
		now = read_file(path, &n);
		ck_assert_msg(n == bytes && !memcmp(now, good, n), "change %zu was kept", i);
		free(now);
	}
	free(good);
}
END_TEST

/* What is in the file is what is used: the same again, and found by its whole identity only. */
START_TEST(the_cache_finds_only_what_was_put_there)
{
	size_t bytes;
	char *data;

	opencl_cache_write(folder, "one", "data of one", 11);
	data = opencl_cache_read(folder, "one", &bytes);
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(bytes, 11);
	ck_assert_mem_eq(data, "data of one", 11);
	free(data);
	ck_assert_ptr_null(opencl_cache_read(folder, "two", &bytes));
	ck_assert_ptr_null(opencl_cache_read("/nonexistent/folder", "one", &bytes));
	/* A folder where others may write is not believed. */
	ck_assert_int_eq(chmod(folder, 0777), 0);
	ck_assert_ptr_null(opencl_cache_read(folder, "one", &bytes));
	opencl_cache_write(folder, "three", "x", 1);
	ck_assert_int_eq(chmod(folder, 0700), 0);
	ck_assert_ptr_null(opencl_cache_read(folder, "three", &bytes));
}
END_TEST

/* ---- images ---- */

/* A program that was built before, as a vendor's compiler would hand it over. */
START_TEST(an_image_works_like_its_source)
{
	char path[512], image[512], *file;
	struct device_config config = plain();
	uint32_t identity;
	struct opencl *cl;
	size_t bytes;

	ck_opens();
	only_file(path, sizeof(path));
	file = read_file(path, &bytes);
	memcpy(&identity, file + 8, sizeof(identity));
	snprintf(image, sizeof(image), "%s/image.bin", folder);
	write_file(image, file + 32 + identity, bytes - 32 - identity);
	free(file);
	config.image = image;
	config.cache = NULL;
	ck_assert_msg(!open_variant(&config, NULL, &cl), "%s", why);
	ck_assert(opencl_ops(cl) >> DEVICE_SEARCH & 1);
	ck_assert(opencl_ops(cl) >> DEVICE_CONV2D & 1);
	opencl_close_here(cl);
}
END_TEST

START_TEST(bad_images_are_refused)
{
	char path[512];
	struct device_config config = plain();
	struct opencl *cl;

	snprintf(path, sizeof(path), "%s/image.bin", folder);
	config.image = path;
	ck_assert_int_eq(open_variant(&config, NULL, &cl), -ENOENT);
	write_file(path, "", 0);
	ck_assert_int_eq(open_variant(&config, NULL, &cl), -EIO);
	write_file(path, "not a program at all", 20);
	ck_assert_int_eq(open_variant(&config, NULL, &cl), -EIO);
	ck_assert_ptr_nonnull(strstr(why, "image"));
}
END_TEST

/* ---- memory and time ---- */

START_TEST(memory_is_bounded)
{
	struct device_config config = plain();
	struct device_buffer *buffer, *another;
	static _Alignas(64) uint8_t some[64];
	const struct search_rows rows = {.metric = SEARCH_DOT,
					 .dim = 64,
					 .head = 64,
					 .head_tiles = some,
					 .id = (const void *)some,
					 .tags = (const void *)some,
					 .born = (const void *)some,
					 .died = (const void *)some,
					 .subject = (const void *)some};
	struct device_rows *copy;
	struct opencl *cl;

	config.memory = 64u << 20;
	ck_assert_msg(!open_variant(&config, "portable", &cl), "%s", why);
	ck_assert_int_eq(opencl_buffer_create(&cl->base, 65u << 20, &buffer), -ENOMEM);
	ck_assert_int_eq(opencl_buffer_create(&cl->base, 40u << 20, &buffer), 0);
	ck_assert_int_eq(opencl_buffer_create(&cl->base, 20u << 20, &another), -ENOMEM);
	opencl_buffer_free(buffer);
	ck_assert_int_eq(opencl_buffer_create(&cl->base, 40u << 20, &buffer), 0);
	opencl_buffer_free(buffer);
	/* A gallery larger than the device. */
	ck_assert_int_eq(opencl_rows_create(&cl->base, &rows, 0, 1u << 20, &copy), -ENOMEM);
	ck_assert_uint_eq(atomic_load(&cl->memory), cl->session->scratch);
	opencl_close_here(cl);
}
END_TEST

/* A search that takes longer than the device may: it fails in time, and the device comes back. */
START_TEST(a_missed_limit_is_a_timeout)
{
	enum { DIM = 1024, TILES = 6000 };
	struct device_config config = plain();
	struct device_command load = {.op = DEVICE_LOAD}, search = {.op = DEVICE_SEARCH};
	struct device_command echo = {.op = DEVICE_ECHO};
	struct search_query query[SEARCH_BATCH_MAX];
	struct search_list *list[SEARCH_BATCH_MAX];
	static int8_t x[DIM];
	struct device *device;
	struct search_rows rows;
	struct device_rows *copy;
	uint8_t *tiles = aligned_alloc(64, (size_t)TILES * 16 * DIM);
	void *zeros = calloc(TILES * 16, 8), *never = malloc(TILES * 16 * 4);
	int err = -1;

	memset(tiles, 1, (size_t)TILES * 16 * DIM);
	memset(never, 255, TILES * 16 * 4);
	rows = (struct search_rows){SEARCH_DOT, DIM,   DIM,   tiles, NULL,  NULL,
				    NULL,	zeros, zeros, zeros, never, zeros};
	for (uint32_t i = 0; i < SEARCH_BATCH_MAX; i++) {
		query[i] = (struct search_query){
			.x = x, .limit = 1.0f, .k = 1, .epoch = 1, .rows = TILES * 16};
		list[i] = search_list_create(1, false);
	}
	config.isa = "lane";
	ck_assert_int_eq(
		opencl_open_here(&config, "lane", &(struct opencl *){NULL}, why, sizeof(why), NULL),
		0); /* builds, for the cache */
	config.timeout_ms = 150;
	err = device_open("opencl", &config, &device);
	ck_assert_msg(!err, "%s", why);
	ck_assert_int_eq(device->ops->rows_create(device, &rows, 0, TILES, &copy), 0);
	load.load = (struct device_load){copy, 0, TILES};
	ck_assert_int_eq(rig_run(device, &load, 1, NULL), 0);
	search.search =
		(struct device_search){&rows, copy, 0, TILES, query, SEARCH_BATCH_MAX, list};
	ck_assert_int_eq(rig_run(device, &search, 1, NULL), -ETIMEDOUT);
	/* What was made before is lost with the session. */
	ck_assert_int_eq(rig_run(device, &search, 1, NULL), -ESTALE);
	for (int i = 0; i < 200 && err != 1; i++) {
		struct device_buffer *buffer;

		err = device->ops->buffer_create(device, 4096, &buffer);
		if (!err) {
			echo.in[0] = (struct device_span){buffer, 0, 64};
			echo.out = (struct device_span){buffer, 64, 64};
			err = rig_run(device, &echo, 1, NULL) ? 0 : 1;
			device->ops->buffer_free(buffer);
		}
		if (err != 1) {
			device->ops->reset(device);
			usleep(100000);
		}
	}
	ck_assert_int_eq(err, 1);
	device->ops->rows_free(copy);
	device->ops->close(device);
	for (uint32_t i = 0; i < SEARCH_BATCH_MAX; i++)
		search_list_free(list[i]);
	free(tiles);
	free(zeros);
	free(never);
}
END_TEST

/* ---- drivers that are not there, or not well ---- */

static void icd(const char *library)
{
	char path[512];

	if (library) {
		snprintf(path, sizeof(path), "%s/bad.icd", folder);
		write_file(path, library, strlen(library));
	}
	setenv("OCL_ICD_VENDORS", folder, 1);
}

START_TEST(no_driver_at_all)
{
	struct device_config config = plain();
	struct opencl_listed list[4];
	struct device *device;

	icd(NULL);
	config.select = NULL;
	ck_assert_int_eq(opencl_list(&config, list, 4, why, sizeof(why)), 0);
	ck_assert_int_eq(device_open("opencl", &config, &device), -ENODEV);
	ck_assert_ptr_nonnull(strstr(why, "no OpenCL device"));
	/* One that names a library which is not there is none. */
	icd("/nonexistent/libdriver.so");
	ck_assert_int_eq(device_open("opencl", &config, &device), -ENODEV);
}
END_TEST

START_TEST(a_driver_that_crashes_costs_nothing)
{
	char path[512];
	struct device_config config = plain();
	struct opencl_listed list[4];
	struct device *device;

	ck_assert_ptr_nonnull(realpath(build(), path));
	strcat(path, "/tests/device/tools/crash_icd.so");
	icd(path);
	config.select = NULL;
	ck_assert_int_eq(opencl_list(&config, list, 4, why, sizeof(why)), -EIO);
	ck_assert_ptr_nonnull(strstr(why, "crashed with signal 11"));
	why[0] = 0;
	ck_assert_int_eq(device_open("opencl", &config, &device), -EIO);
	ck_assert_ptr_nonnull(strstr(why, "crashed with signal 11"));
}
END_TEST

START_TEST(what_is_there_is_listed)
{
	const struct device_config config = plain();
	struct opencl_listed list[8];
	int n = opencl_list(&config, list, 8, why, sizeof(why)), found = 0;

	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n && i < 8; i++)
		found += strstr(list[i].platform, "Portable") && list[i].usable &&
			 list[i].memory_bytes && !strcmp(list[i].kind, "cpu");
	ck_assert_int_gt(found, 0);
}
END_TEST

/* What a helper may say that is not one of ours. */
static const struct nonsense {
	const char *script;
	int error;
} nonsense[] = {
	{"exit 3", -EIO},
	{"kill -9 $$", -EIO},
	{"printf 'device\\ta\\tb\\n'", -EPROTO},
	{"printf 'device\\ta\\tb\\tc\\td\\tcpu\\tmany\\t1\\t\\n'", -EPROTO},
	{"yes | head -c 100000", -EPROTO},
	{"printf 'device\\ta\\tb\\tc\\td\\tcpu\\t1\\t1\\t'", 0}, /* a line without its end */
	{"printf '\\0\\0\\0'", 0},
	{"printf 'stage\\tx\\n'; exit 0", 0},
};

START_TEST(nonsense_from_the_helper)
{
	const struct nonsense *n = &nonsense[_i];
	char path[512], text[256], variant[32];
	struct device_config config = plain();
	struct opencl_listed list[4];

	snprintf(path, sizeof(path), "%s/facet-opencl-probe", folder);
	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", n->script);
	write_file(path, text, strlen(text));
	ck_assert_int_eq(chmod(path, 0700), 0);
	config.libexec = folder;
	ck_assert_int_eq(opencl_list(&config, list, 4, why, sizeof(why)), n->error);
	/* None of this is word of a device that works. */
	ck_assert_int_lt(opencl_try(&config, variant, sizeof(variant), why, sizeof(why)), 0);
	ck_assert_uint_gt(strlen(why), 0);
}
END_TEST

START_TEST(no_helper)
{
	struct device_config config = plain();
	struct device *device;

	config.libexec = folder;
	ck_assert_int_eq(device_open("opencl", &config, &device), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "is not there"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device opencl");
	TCase *tc = tcase_create("opencl");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, folder_make, folder_remove);
	tcase_add_loop_test(tc, every_variant_gives_the_reference_s_bits, 0, 3);
	tcase_add_test(tc, unknown_variants_are_refused);
	tcase_add_test(tc, a_bad_cache_file_is_replaced);
	tcase_add_test(tc, the_cache_finds_only_what_was_put_there);
	tcase_add_test(tc, an_image_works_like_its_source);
	tcase_add_test(tc, bad_images_are_refused);
	tcase_add_test(tc, memory_is_bounded);
	tcase_add_test(tc, a_missed_limit_is_a_timeout);
	tcase_add_test(tc, no_driver_at_all);
	tcase_add_test(tc, a_driver_that_crashes_costs_nothing);
	tcase_add_test(tc, what_is_there_is_listed);
	tcase_add_loop_test(tc, nonsense_from_the_helper, 0,
			    sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_test(tc, no_helper);
	suite_add_tcase(s, tc);
	return s;
}

/* Asked in the helper: threads of a driver that this process has loaded do not outlive a fork. */
static bool has_pocl(void)
{
	const struct device_config config = plain();
	struct opencl_listed list[8];
	int n = opencl_list(&config, list, 8, why, sizeof(why));

	for (int i = 0; i < n && i < 8; i++)
		if (strstr(list[i].platform, "Portable"))
			return true;
	return false;
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	puts("PoCL is not built for ThreadSanitizer");
	return 77;
#endif
	if (!has_pocl()) {
		puts("PoCL (pocl-opencl-icd) is not installed");
		return 77;
	}
	return suite_run(suite());
}
