/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board that answers searches with nonsense: a port whose answers a test writes. Each is an error, and
 * nothing that was claimed of rows that are not there gets into a list.
 */
#include "daemon/device/shell.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM   64u
#define TILES 1000u
#define ROWS  (TILES * SEARCH_TILE_ROWS)

/* ---- the port ------------------------------------------------------------------------------------------ */
static struct {
	uint32_t found, stored, row;
	float s;
} answer;

static void caps(const struct shell_port *port, struct shell_port_caps *caps)
{
	(void)port;
	*caps = (struct shell_port_caps){.name = "hostile",
					 .ops = UINT64_C(1) << SHELL_OP_SEARCH,
					 .memory_bytes = 1 << 30,
					 .units = 2,
					 .alignment = 64,
					 .job_bytes = 4096,
					 .host_data = true};
}

static int memory_create(struct shell_port *port, enum shell_place place, uint64_t bytes,
			 struct shell_memory **memory)
{
	struct shell_memory *m = calloc(1, sizeof(*m));

	(void)port;
	*m = (struct shell_memory){place, bytes, aligned_alloc(64, (bytes + 63) & ~63ull)};
	memset(m->map, 0, bytes);
	*memory = m;
	return 0;
}

static void memory_free(struct shell_port *port, struct shell_memory *memory)
{
	(void)port;
	free(memory->map);
	free(memory);
}

static int port_write(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
		      const void *data, uint64_t bytes)
{
	(void)port;
	memcpy((uint8_t *)memory->map + offset, data, bytes);
	return 0;
}

static int port_read(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
		     void *data, uint64_t bytes)
{
	(void)port;
	memcpy(data, (uint8_t *)memory->map + offset, bytes);
	return 0;
}

static void port_run(struct shell_port *port, struct shell_call *calls, uint32_t count)
{
	(void)port;
	for (uint32_t i = 0; i < count; i++) {
		const struct shell_extent *out = &calls[i].operand[0];
		struct shell_survivors *head = (void *)((uint8_t *)out->memory->map + out->offset);
		struct shell_survivor *survivor = (void *)(head + 1);
		uint64_t room = (out->length - sizeof(*head)) / sizeof(*survivor);

		calls[i].error = 0;
		if (calls[i].op != SHELL_OP_SEARCH)
			continue;
		*head = (struct shell_survivors){.found = answer.found, .stored = answer.stored};
		for (uint32_t k = 0; k < answer.stored && k < room; k++) {
			survivor[k].row = answer.row;
			memcpy(&survivor[k].s, &answer.s, sizeof(answer.s));
		}
	}
}

static int port_reset(struct shell_port *port)
{
	(void)port;
	return 0;
}

static void port_close(struct shell_port *port)
{
	(void)port;
}

static const struct shell_port_ops port_ops = {.caps = caps,
					       .memory_create = memory_create,
					       .memory_free = memory_free,
					       .write = port_write,
					       .read = port_read,
					       .run = port_run,
					       .reset = port_reset,
					       .close = port_close};
static const struct device_ops hostile = SHELL_DEVICE_OPS("hostile", NULL);

/* ---- searches --------------------------------------------------------------------------------------------- */
static const struct {
	uint32_t found, stored, row;
	float s;
	int error;
} answers[] = {
	{0, 0, 0, 0, 0},
	{1, 1, 0, 1, 0},
	{1, 0, 0, 1, -EIO},
	{0, 1, 0, 1, -EIO},
	{1, 1, ROWS, 1, -EIO},
	{1, 1, UINT32_MAX, 1, -EIO},
	{1, 1, 0, NAN, -EIO},
	{4096, 4096, 4096, 1, -EIO},	/* of a piece that is smaller */
	{4097, 4096, 0, 1, -EIO},	/* more than there are rows in the piece */
	{UINT32_MAX, 4096, 0, 1, -EIO}, /* again and again */
	{UINT32_MAX, UINT32_MAX, 0, 1, -EIO},
};

START_TEST(answers_that_cannot_be)
{
	struct shell_port port = {.ops = &port_ops};
	const struct device_config config = {.queue = 4};
	struct search_rows rows = {.metric = SEARCH_COSINE, .dim = DIM, .head = DIM};
	struct search_list *list = search_list_create(5, false);
	struct search_hit hits[5];
	struct search_query query = {.limit = -INFINITY, .k = 5, .epoch = 1, .rows = ROWS};
	int8_t x[DIM] = {1};
	struct device *device;
	struct device_rows *copy;
	struct device_command command;
	uint32_t *words = calloc(ROWS, sizeof(*words));
	uint64_t *longs = calloc(ROWS, sizeof(*longs));
	uint32_t n;

	memcpy(&answer, &answers[_i], sizeof(answer));
	rows.head_tiles = memset(aligned_alloc(64, ROWS * DIM), 0, ROWS * DIM);
	rows.scale = (float *)words;
	rows.id = rows.tags = longs;
	rows.born = rows.died = rows.subject = words;
	query.x = x;
	ck_assert_int_eq(shell_device_create(&hostile, &port, &config, &device), 0);
	ck_assert_int_eq(device->ops->rows_create(device, &rows, 0, TILES, &copy), 0);
	command = (struct device_command){.op = DEVICE_SEARCH,
					  .search = {.rows = &rows,
						     .resident = copy,
						     .tile_end = TILES,
						     .queries = &query,
						     .count = 1,
						     .lists = &list}};
	ck_assert_int_eq(rig_run(device, &command, 1, NULL), answers[_i].error);
	n = search_list_sorted(list, hits);
	ck_assert_int_eq(n > 0, !answers[_i].error && answers[_i].found);
	device->ops->rows_free(copy);
	device->ops->close(device);
	search_list_free(list);
	free((void *)rows.head_tiles);
	free(words);
	free(longs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("a hostile board");
	TCase *tc = tcase_create("answers");

	tcase_add_loop_test(tc, answers_that_cannot_be, 0, sizeof(answers) / sizeof(answers[0]));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
