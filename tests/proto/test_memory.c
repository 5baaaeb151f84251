/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk data by memfd: what is accepted, and each way to be refused. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "proto/wire.h"
#include "tests/suite.h"

#define MIB (1u << 20)

static const char *reason;
static struct wire_mapping mapping;

static int sealed(int seals, off_t size, bool written)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	static char page[4096] = "data";

	ck_assert_int_eq(ftruncate(fd, size), 0);
	for (off_t at = 0; written && at < size; at += 4096)
		ck_assert_int_gt(
			pwrite(fd, page, (size_t)(size - at < 4096 ? size - at : 4096), at), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void refused(int fd, const char *word)
{
	ck_assert_int_eq(wire_map(fd, 0, 1, MIB, &mapping, &reason), -EINVAL);
	ck_assert_ptr_nonnull(strstr(reason, word));
	close(fd);
}

START_TEST(round_trip)
{
	char data[10000];
	int fd;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31);
	fd = wire_memfd(data, sizeof(data));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	ck_assert_int_eq(wire_map(fd, 0, sizeof(data), MIB, &mapping, &reason), 0);
	ck_assert_int_eq(memcmp(mapping.data, data, sizeof(data)), 0);
	wire_unmap(&mapping);
	ck_assert_ptr_null(mapping.base);
	/* A range that neither starts nor ends on a page. */
	ck_assert_int_eq(wire_map(fd, 4999, 5001, MIB, &mapping, &reason), 0);
	ck_assert_uint_eq(mapping.bytes, 5001);
	ck_assert_int_eq(memcmp(mapping.data, data + 4999, 5001), 0);
	wire_unmap(&mapping);
	close(fd);
}
END_TEST

START_TEST(written_in_place)
{
	void *data;
	int fd = wire_memfd_create(5000, &data);

	ck_assert_int_ge(fd, 0);
	memset(data, 7, 5000);
	ck_assert_int_eq(wire_memfd_seal(fd, data, 5000), 0);
	ck_assert_int_eq(wire_map(fd, 0, 5000, MIB, &mapping, &reason), 0);
	ck_assert_int_eq(mapping.data[4999], 7);
	wire_unmap(&mapping);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	close(fd);
}
END_TEST

START_TEST(ranges)
{
	static const struct {
		uint64_t offset, bytes, limit;
		int err;
	} row[] = {
		{0, 8192, MIB, 0},
		{8191, 1, MIB, 0},
		{0, 8193, MIB, -EFBIG},
		{8192, 1, MIB, -EFBIG},
		{8193, UINT64_MAX, MIB, -EFBIG},
		{UINT64_MAX, 1, MIB, -EFBIG},
		{4096, UINT64_MAX - 4095, UINT64_MAX, -EFBIG},
		{0, 0, MIB, -EFBIG},
		{0, 4097, 4096, -EFBIG},
		{0, 4096, 4096, 0},
	};
	int fd = sealed(F_SEAL_SHRINK | F_SEAL_GROW, 8192, true);

	ck_assert_int_eq(
		wire_map(fd, row[_i].offset, row[_i].bytes, row[_i].limit, &mapping, &reason),
		row[_i].err);
	if (!row[_i].err)
		wire_unmap(&mapping);
	close(fd);
}
END_TEST

START_TEST(write_seal_is_optional)
{
	int fd = sealed(F_SEAL_SHRINK | F_SEAL_GROW, 4096, true);

	ck_assert_int_eq(wire_map(fd, 0, 4096, MIB, &mapping, &reason), 0);
	ck_assert_str_eq((const char *)mapping.data, "data");
	wire_unmap(&mapping);
	close(fd);
}
END_TEST

START_TEST(missing_seals)
{
	refused(sealed(0, 4096, true), "F_SEAL");
	refused(sealed(F_SEAL_SHRINK, 4096, true), "F_SEAL");
	refused(sealed(F_SEAL_GROW, 4096, true), "F_SEAL");
	refused(sealed(F_SEAL_WRITE, 4096, true), "F_SEAL");
}
END_TEST

START_TEST(holes)
{
	int fd = sealed(F_SEAL_SHRINK | F_SEAL_GROW, MIB, true);

	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 40960, 4096), 0);
	refused(fd, "holes");
	refused(sealed(F_SEAL_SHRINK | F_SEAL_GROW, MIB, false), "holes");
}
END_TEST

START_TEST(other_descriptors)
{
	int pipes[2], fd;
	char path[] = "/tmp/facet-test-XXXXXX";

	ck_assert_int_eq(pipe(pipes), 0);
	refused(pipes[0], "memfd");
	close(pipes[1]);
	refused(open("/dev/zero", O_RDONLY), "memfd");
	refused(open("/proc/self/maps", O_RDONLY), "memfd");
	refused(open("/", O_RDONLY | O_DIRECTORY), "memfd");
	fd = mkstemp(path);
	unlink(path);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(wire_map(fd, 0, 1, MIB, &mapping, &reason), -EINVAL);
	close(fd);
	ck_assert_int_eq(wire_map(fd, 0, 1, MIB, &mapping, &reason), -EINVAL);
}
END_TEST

/* hugetlb: its pages may be missing at the time of the fault, whatever st_blocks says. */
START_TEST(hugetlb)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

	if (fd < 0)
		return; /* a kernel without hugetlbfs */
	ck_assert_int_eq(ftruncate(fd, 2 * MIB), 0);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	refused(fd, "HUGETLB");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memfd");

	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, written_in_place);
	tcase_add_loop_test(tc, ranges, 0, 10);
	tcase_add_test(tc, write_seal_is_optional);
	tcase_add_test(tc, missing_seals);
	tcase_add_test(tc, holes);
	tcase_add_test(tc, other_descriptors);
	tcase_add_test(tc, hugetlb);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
