/* SPDX-License-Identifier: Apache-2.0 */
/* Vector files: what is written is read back; what is damaged is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/facetctl/vectors.h"
#include "tests/suite.h"

static char path[] = "/tmp/facet-vectors-XXXXXX";

static void setup(void)
{
	strcpy(path, "/tmp/facet-vectors-XXXXXX");
	close(mkstemp(path));
}

static void teardown(void)
{
	unlink(path);
}

static void write_file(const void *data, size_t bytes)
{
	FILE *file = fopen(path, "wb");

	ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
}

/* An .npy file as NumPy's format description has it, by hand. */
static size_t make_npy(uint8_t *file, const char *dict, const void *data, size_t bytes)
{
	size_t length = strlen(dict);

	memcpy(file, "\x93NUMPY\x01\x00", 8);
	file[8] = (uint8_t)(length & 0xff);
	file[9] = (uint8_t)(length >> 8);
	memcpy(file + 10, dict, length);
	memcpy(file + 10 + length, data, bytes);
	return 10 + length + bytes;
}

START_TEST(npy_round_trip)
{
	float rows[6] = {1, -2, 3.5f, 0, 1e-20f, -7}, out[6];
	struct npy_writer *writer = npy_create(path, 3);
	struct vectors v;
	char text[200];

	ck_assert_int_eq(npy_append(writer, rows, 1), 0);
	ck_assert_int_eq(npy_append(writer, rows + 3, 1), 0);
	ck_assert_int_eq(npy_finish(writer), 0);
	ck_assert_int_eq(vectors_open(path, &v, text, sizeof(text)), 0);
	ck_assert_uint_eq(v.count, 2);
	ck_assert_uint_eq(v.dim, 3);
	ck_assert(!v.is_s8);
	vectors_copy(&v, 0, 2, out);
	ck_assert_mem_eq(rows, out, sizeof(rows));
	vectors_close(&v);
}
END_TEST

START_TEST(npy_int8)
{
	uint8_t file[256];
	int8_t rows[4] = {-128, 127, 0, 5}, out[4];
	struct vectors v;
	char text[200];

	write_file(file,
		   make_npy(file, "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 2), }\n",
			    rows, sizeof(rows)));
	ck_assert_int_eq(vectors_open(path, &v, text, sizeof(text)), 0);
	ck_assert(v.is_s8);
	vectors_copy(&v, 0, 2, out);
	ck_assert_mem_eq(rows, out, sizeof(rows));
	vectors_close(&v);
}
END_TEST

static const char *const bad_headers[] = {
	"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), "
	"}\n", /* another type */
	"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), "
	"}\n",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), "
	"}\n",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 2), "
	"}\n", /* more rows than there are */
	"{'descr': '<f4', 'fortran_order': False, 'shape': "
	"(18446744073709551615, 2), }\n",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), "
	"}\n",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (2, "
	"99999999), }\n",
	"nothing of use",
};

START_TEST(npy_refused)
{
	uint8_t file[256];
	float rows[4] = {0};
	struct vectors v;
	char text[200] = "";

	write_file(file, make_npy(file, bad_headers[_i], rows, sizeof(rows)));
	ck_assert_int_ne(vectors_open(path, &v, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, path));
	ck_assert_uint_gt(strlen(text), strlen(path) + 5);
}
END_TEST

START_TEST(fvecs)
{
	struct {
		int32_t dim;
		float x[2];
	} rows[3] = {{2, {1, 2}}, {2, {3, 4}}, {2, {5, 6}}};
	float out[2];
	struct vectors v;
	char text[200];

	write_file(rows, sizeof(rows));
	ck_assert_int_eq(vectors_open(path, &v, text, sizeof(text)), 0);
	ck_assert_uint_eq(v.count, 3);
	vectors_copy(&v, 2, 1, out);
	ck_assert(out[0] == 5 && out[1] == 6);
	vectors_close(&v);
	rows[1].dim = 3; /* a vector of another dimension among them */
	write_file(rows, sizeof(rows));
	ck_assert_int_ne(vectors_open(path, &v, text, sizeof(text)), 0);
	write_file(rows, sizeof(rows) - 1);
	ck_assert_int_ne(vectors_open(path, &v, text, sizeof(text)), 0);
	write_file(rows, 0);
	ck_assert_int_ne(vectors_open(path, &v, text, sizeof(text)), 0);
}
END_TEST

START_TEST(labels)
{
	const char **names;
	char *block, text[200];

	write_file("anna\nbob\r\nc d\n", 14);
	ck_assert_int_eq(labels_read(path, 3, &block, &names, text, sizeof(text)), 0);
	ck_assert_str_eq(names[0], "anna");
	ck_assert_str_eq(names[1], "bob");
	ck_assert_str_eq(names[2], "c d");
	free(names);
	free(block);
	ck_assert_int_ne(labels_read(path, 4, &block, &names, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "3 labels for 4"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vectors");
	TCase *cases = tcase_create("vectors");

	suite_add_tcase(suite, cases);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, npy_round_trip);
	tcase_add_test(cases, npy_int8);
	tcase_add_loop_test(cases, npy_refused, 0, sizeof(bad_headers) / sizeof(bad_headers[0]));
	tcase_add_test(cases, fvecs);
	tcase_add_test(cases, labels);
	return suite_run(suite);
}
