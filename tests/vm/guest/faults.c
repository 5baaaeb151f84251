/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board that goes wrong under load from two clients on one unit: each job is right or has an error
 * that is its own, a client whose context was not banned loses nothing, and the board works afterwards.
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suite.h"

#define ROUNDS	   60 /* jobs of a client */
#define FEW	   12 /* of one in the long run */
#define TIMEOUT_MS 700
#define UNIT	   (UINT64_C(1) << 1)

/* What a client has seen. */
struct seen {
	uint32_t right, wrong, timed_out, cancelled, failed, lost, other;
	uint32_t jobs; /* in all */
};

/* Is the fault there? The clients' work is not over before: shared with them. */
static volatile bool *armed;

static const struct fault {
	const char *command;
	uint32_t timed_out, failed; /* so many jobs may end that way */
	bool unit_reset;	    /* a reset is due */
	bool device_reset;
} faults[] = {
	{"fault hang:unit=1,count=1", 1, 0, true, false},
	{"fault hang:unit=1,count=1,progress=1", 1, 0, true, false},
	{"fault lost-completion:unit=1,count=1", 1, 0, true, false},
	{"fault lost-irq:unit=1,count=3", 0, 0, false, false},
	{"fault late-irq:unit=1,us=30000,count=3", 0, 0, false, false},
	{"fault spurious-irq:unit=1,count=20", 0, 0, false, false},
	{"fault storm:unit=1,count=1", 0, 0, false, false},
	{"fault wrong-sequence:unit=1,count=1", 0, 0, true, false},
	{"fault unit-stop:unit=1,count=1", 0, 0, true, false},
	{"fault fail:unit=1,status=13,count=2", 0, 2, false, false},
	{"fault ecc:unit=1,count=1", 0, 1, false, false},
	{"fault slow:unit=1,us=20000,count=10", 0, 0, false, false},
	{"fault bus-error:unit=1,after=3,count=1", 0, 1, false, false},
	{"fault dma-outside:unit=1,after=3,address=0xfffffffff000,count=1", 0, 1, false, false},
	{"fault self-reset:unit=1,after=2,count=1", 0, 0, false, true},
	{"fault slow-link:rate=20000000", 0, 0, false, false},
	{"fault narrow-link:lanes=1", 0, 0, false, false},
	{"fault hot:value=95000", 0, 0, false, false},
	{"fault stuck-reset:count=1;hang:unit=1,count=1", 0, 0, false, true},
};

struct client {
	int fd;
	uint32_t bo[2], prog, sync, ctx;
	uint8_t *out, *in;
};

static struct client client_open(void)
{
	struct client c = {.fd = node_open()};

	for (int i = 0; i < 2; i++)
		c.bo[i] = node_bo(c.fd, NODE_BYTES, 0, 0);
	c.prog = node_echo(c.fd, NODE_BYTES);
	c.sync = node_syncobj(c.fd);
	c.ctx = node_ctx(c.fd, UNIT, TIMEOUT_MS);
	c.out = node_map(c.fd, c.bo[0], NODE_BYTES);
	c.in = node_map(c.fd, c.bo[1], NODE_BYTES);
	return c;
}

static void client_close(struct client *c)
{
	munmap(c->out, NODE_BYTES);
	munmap(c->in, NODE_BYTES);
	close(c->fd);
}

static int job(struct client *c, uint8_t value)
{
	uint64_t sequence;
	int err;

	memset(c->in, value, NODE_BYTES);
	err = node_submit_echo(c->fd, c->ctx, c->prog, c->bo[0], c->bo[1], c->sync, &sequence);
	if (!err && node_wait(c->fd, c->sync, 60000))
		err = ETIME;
	if (!err)
		err = -node_state(c->fd, c->ctx, sequence).error;
	node_sync(c->fd, c->bo[0], DRM_FACET_FROM_DEVICE);
	return err;
}

static uint32_t *kind_of(struct seen *seen, int err)
{
	switch (err) {
	case ETIMEDOUT:
		return &seen->timed_out;
	case ECANCELED:
		return &seen->cancelled;
	case EIO:
		return &seen->failed;
	case ENODEV:
		return &seen->lost;
	default:
		return &seen->other;
	}
}

/*
 * So many jobs, counted from when the fault is there. A banned context is made anew, and where memory was lost
 * the node is opened anew, as a client would.
 */
static struct seen work(uint8_t value, uint32_t jobs)
{
	struct client c = client_open();
	struct seen seen = {0};

	while (jobs) {
		int err = job(&c, value);

		*(err				    ? kind_of(&seen, err)
		  : memcmp(c.in, c.out, NODE_BYTES) ? &seen.wrong
						    : &seen.right) += 1;
		if (err == ETIMEDOUT || err == ECANCELED)
			c.ctx = node_ctx(c.fd, UNIT, TIMEOUT_MS);
		if (err == ENODEV && seen.lost < 10) {
			client_close(&c);
			c = client_open();
			continue; /* once more */
		}
		seen.jobs++;
		jobs -= *armed;
		value += 2;
	}
	client_close(&c);
	return seen;
}

static int client_start(uint8_t first, uint32_t jobs, int *from)
{
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		struct seen seen = work(first, jobs);

		_exit(write(ends[1], &seen, sizeof(seen)) != sizeof(seen));
	}
	close(ends[1]);
	*from = ends[0];
	return pid;
}

static struct seen client_end(pid_t pid, int from)
{
	struct seen seen = {0};
	int status;

	ck_assert_int_eq(read(from, &seen, sizeof(seen)), sizeof(seen));
	close(from);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	return seen;
}

static void ck_seen(const struct fault *fault, const struct seen *seen)
{
	const struct seen *a = &seen[0], *b = &seen[1];

	ck_assert_uint_eq(a->wrong + b->wrong, 0);
	ck_assert_uint_eq(a->other + b->other, 0);
	ck_assert_uint_le(a->timed_out + b->timed_out, fault->timed_out);
	ck_assert_uint_le(a->failed + b->failed, fault->failed);
	/* What had no error of its own is right, in the end. */
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(seen[i].right + seen[i].timed_out + seen[i].cancelled +
					  seen[i].failed,
				  seen[i].jobs);
	if (!fault->device_reset)
		ck_assert_uint_eq(a->lost + b->lost, 0);
}

static void under(const struct fault *fault, uint32_t jobs, struct seen seen[2])
{
	pid_t pid[2];
	int from[2];

	*armed = false;
	for (int i = 0; i < 2; i++)
		pid[i] = client_start((uint8_t)i, jobs, &from[i]);
	usleep(20000);
	ck_assert_msg(node_board(fault->command), "%s", fault->command);
	*armed = true;
	for (int i = 0; i < 2; i++)
		seen[i] = client_end(pid[i], from[i]);
	node_board("clear");
}

START_TEST(under_load)
{
	const struct fault *fault = &faults[_i];
	int fd = node_open();
	struct drm_facet_health before, after;
	struct seen seen[2], later;

	ck_assert_int_ge(fd, 0);
	before = node_health(fd);
	under(fault, ROUNDS, seen);
	after = node_health(fd);
	for (int i = 0; i < 2; i++)
		printf("%s: right %u wrong %u timed out %u cancelled %u failed %u lost %u other "
		       "%u\n",
		       fault->command, seen[i].right, seen[i].wrong, seen[i].timed_out,
		       seen[i].cancelled, seen[i].failed, seen[i].lost, seen[i].other);
	printf("  resets %u + %u, interrupts lost %llu, storms %llu\n",
	       after.unit_resets - before.unit_resets, after.device_resets - before.device_resets,
	       (unsigned long long)(after.interrupts_lost - before.interrupts_lost),
	       (unsigned long long)(after.storms - before.storms));
	ck_seen(fault, seen);
	if (fault->unit_reset)
		ck_assert_uint_gt(after.unit_resets, before.unit_resets);
	if (fault->device_reset)
		ck_assert_uint_gt(after.device_resets, before.device_resets);
	close(fd);
	later = work(9, ROUNDS);
	ck_assert_uint_eq(later.right, ROUNDS);
}
END_TEST

static uint64_t bank_free(int fd, uint32_t index)
{
	struct drm_facet_bank bank = {0};
	struct drm_facet_dev_query query = {.type = DRM_FACET_QUERY_BANK,
					    .index = index,
					    .size = sizeof(bank),
					    .pointer = (uint64_t)(uintptr_t)&bank};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_DEV_QUERY, &query), 0);
	return bank.bytes_free;
}

/* Fault upon fault, so many rounds: nothing is wrong at any time and nothing is left at the end. */
START_TEST(over_and_over)
{
	const uint32_t rounds = (uint32_t)atoi(getenv("FACET_FAULT_ROUNDS"));
	struct drm_facet_health health;
	uint32_t sum[7] = {0};
	int fd = node_open();
	uint64_t before = bank_free(fd, 0);

	close(fd);
	for (uint32_t i = 0; i < rounds; i++) {
		const struct fault *fault = &faults[i * 7 % (sizeof(faults) / sizeof(faults[0]))];
		struct seen seen[2];

		under(fault, FEW, seen);
		ck_seen(fault, seen);
		for (int k = 0; k < 7; k++)
			sum[k] += ((uint32_t *)&seen[0])[k] + ((uint32_t *)&seen[1])[k];
		if (i % 100 == 99) {
			printf("%u rounds\n", i + 1);
			fflush(stdout);
		}
	}
	fd = node_open();
	health = node_health(fd);
	printf("%u rounds: right %u wrong %u timed out %u cancelled %u failed %u lost %u other %u; "
	       "resets of units %u, of the device %u\n",
	       rounds, sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], health.unit_resets,
	       health.device_resets);
	ck_assert_uint_eq(health.state, DRM_FACET_HEALTH_OK);
	ck_assert_uint_eq(bank_free(fd, 0), before);
	close(fd);
	ck_assert_uint_eq(work(9, ROUNDS).right, ROUNDS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults of the board");
	TCase *tc = tcase_create("faults");
	int fd = node_open();

	if (fd < 0) {
		puts("no node of the driver");
		return 77;
	}
	close(fd);
	armed = mmap(NULL, sizeof(*armed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (armed == MAP_FAILED)
		return EXIT_FAILURE;
	*armed = true;
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, under_load, 0, sizeof(faults) / sizeof(faults[0]));
	suite_add_tcase(suite, tc);
	if (getenv("FACET_FAULT_ROUNDS")) {
		TCase *rounds = tcase_create("rounds");

		tcase_set_timeout(rounds, 0);
		tcase_add_test(rounds, over_and_over);
		suite_add_tcase(suite, rounds);
	}
	return suite_run(suite);
}
