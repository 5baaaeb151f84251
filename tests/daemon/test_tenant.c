/* SPDX-License-Identifier: Apache-2.0 */
/* Who a peer is, what it may do, how much of it. */
#include <check.h>
#include <errno.h>

#include "daemon/net/rights.h"
#include "daemon/net/tenant.h"
#include "tests/suite.h"

#define SELF   4000
#define SECOND 1000000000ull

static uint32_t gate_uids[] = {1001};
static uint32_t lab_gids[] = {77};
static struct config_grant gate_grants[] = {
	{"staff", 0}, {"visitors", RIGHT_ENROL}, {"closed", RIGHT_DELETE}};
static struct config_grant lab_grants[] = {{"*", 0}, {"staff", RIGHT_VERIFY}};
static struct config_tenant two[] = {
	{.name = "gate",
	 .uids = gate_uids,
	 .uid_count = 1,
	 .rights = RIGHT_SEARCH_IMAGE,
	 .grants = gate_grants,
	 .grant_count = 3,
	 .weight = 2,
	 .in_flight = 2,
	 .mapped_bytes = 100,
	 .rate = 10},
	{.name = "lab",
	 .gids = lab_gids,
	 .gid_count = 1,
	 .rights = RIGHT_ALL,
	 .grants = lab_grants,
	 .grant_count = 2,
	 .weight = 1,
	 .in_flight = 5,
	 .mapped_bytes = 1000},
};
static const struct config none = {.in_flight = 3, .mapped_bytes = 50};
static const struct config both = {
	.in_flight = 3, .mapped_bytes = 50, .tenants = two, .tenant_count = 2};
static struct tenants *tenants;

static struct tenant *find(uid_t uid, gid_t gid)
{
	return tenants_find(tenants, uid, &gid, 1);
}

START_TEST(test_without_a_file_only_root_and_self_have_rights)
{
	ck_assert_int_eq(tenants_create(&none, SELF, &tenants), 0);
	ck_assert_uint_eq(tenant_rights(find(0, 0), "any"), RIGHT_ALL);
	ck_assert_uint_eq(tenant_rights(find(SELF, 9), "any"), RIGHT_ALL);
	ck_assert_uint_eq(tenant_rights(find(SELF, 9), NULL), RIGHT_ALL);
	ck_assert_uint_eq(tenant_rights(find(1001, 0), "any"), 0);
	ck_assert_uint_eq(tenant_rights(find(1001, 0), NULL), 0);
	tenants_free(tenants);
}
END_TEST

START_TEST(test_rights_are_by_tenant_and_gallery)
{
	struct tenant *gate, *lab;

	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = find(1001, 1);
	lab = find(1002, 77);
	ck_assert_str_eq(gate->name, "gate");
	ck_assert_str_eq(lab->name, "lab");
	ck_assert_str_eq(find(1001, 77)->name, "gate"); /* the uid wins */
	ck_assert_str_eq(find(1002, 78)->name, "nobody");
	ck_assert_str_eq(find(0, 77)->name, "local");
	ck_assert_uint_eq(tenant_rights(gate, "staff"), RIGHT_SEARCH_IMAGE);
	ck_assert_uint_eq(tenant_rights(gate, "visitors"), RIGHT_ENROL);
	ck_assert_uint_eq(tenant_rights(gate, "closed"), RIGHT_DELETE);
	ck_assert_uint_eq(tenant_rights(gate, "staf"), 0);
	ck_assert_uint_eq(tenant_rights(gate, "*"), 0);
	ck_assert_uint_eq(tenant_rights(lab, "other"), RIGHT_ALL);
	ck_assert_uint_eq(tenant_rights(lab, "staff"), RIGHT_VERIFY);
	ck_assert_uint_eq(gate->weight, 2);
	tenants_free(tenants);
}
END_TEST

START_TEST(test_reload_takes_and_gives_rights)
{
	struct tenant *gate;

	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = find(1001, 1);
	gate->vtime = 5;
	ck_assert_int_eq(tenants_reload(tenants, &none), 0);
	ck_assert_uint_eq(tenant_rights(gate, "staff"), 0);
	ck_assert_str_eq(find(1001, 1)->name, "nobody");
	ck_assert_int_eq(tenants_reload(tenants, &both), 0);
	ck_assert_ptr_eq(find(1001, 1), gate);
	ck_assert_uint_eq(gate->vtime, 5);
	ck_assert_uint_eq(tenant_rights(gate, "staff"), RIGHT_SEARCH_IMAGE);
	tenants_free(tenants);
}
END_TEST

/* A section may have the name of a built-in tenant; it does not become one. */
START_TEST(test_a_section_called_local_is_not_local)
{
	static struct config_tenant named[] = {
		{.name = "local", .uids = gate_uids, .uid_count = 1, .weight = 1, .in_flight = 1}};
	static const struct config one = {.in_flight = 3, .tenants = named, .tenant_count = 1};

	ck_assert_int_eq(tenants_create(&one, SELF, &tenants), 0);
	ck_assert_uint_eq(tenant_rights(find(1001, 1), "staff"), 0);
	ck_assert_uint_eq(tenant_rights(find(1001, 1), NULL), 0);
	ck_assert_uint_eq(tenant_rights(find(0, 0), "staff"), RIGHT_ALL);
	tenants_free(tenants);
}
END_TEST

START_TEST(test_in_flight_quota)
{
	struct tenant *lab;
	uint32_t retry = 0;
	enum metrics_quota quota;

	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	lab = find(1002, 77);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(tenant_enter(lab, SECOND, &retry, &quota), 0);
	ck_assert_int_eq(tenant_enter(lab, SECOND, &retry, &quota), -EDQUOT);
	ck_assert_int_eq(quota, QUOTA_IN_FLIGHT);
	ck_assert_uint_ge(retry, 1);
	tenant_leave(lab);
	ck_assert_int_eq(tenant_enter(lab, SECOND, &retry, &quota), 0);
	tenants_free(tenants);
}
END_TEST

START_TEST(test_rate_quota)
{
	struct tenant *gate;
	uint32_t retry = 0;
	enum metrics_quota quota;
	uint64_t now = 1000 * SECOND;
	int entered = 0;

	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = find(1001, 1);
	for (int i = 0; i < 30; i++) {
		if (tenant_enter(gate, now, &retry, &quota) == 0) {
			entered++;
			tenant_leave(gate);
		}
	}
	ck_assert_int_eq(entered, 10);
	ck_assert_int_eq(quota, QUOTA_RATE);
	ck_assert_uint_ge(retry, 100);
	ck_assert_uint_le(retry, 101);
	ck_assert_int_eq(tenant_enter(gate, now + SECOND / 10 - 1, &retry, &quota), -EDQUOT);
	ck_assert_int_eq(tenant_enter(gate, now + SECOND / 10, &retry, &quota), 0);
	tenant_leave(gate);
	/* A pause so long that its product with the rate would overflow. */
	gate->refilled_ns = 0;
	ck_assert_int_eq(tenant_enter(gate, UINT64_MAX / 10 + 1, &retry, &quota), 0);
	tenant_leave(gate);
	gate->refilled_ns = now;
	for (entered = 0; tenant_enter(gate, now + 100 * SECOND, &retry, &quota) == 0; entered++)
		tenant_leave(gate);
	ck_assert_int_eq(entered, 10); /* no more than a second's worth is saved */
	tenants_free(tenants);
}
END_TEST

START_TEST(test_mapped_quota)
{
	struct tenant *gate;

	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = find(1001, 1);
	ck_assert_int_eq(tenant_map(gate, 60), 0);
	ck_assert_int_eq(tenant_map(gate, 41), -EDQUOT);
	ck_assert_int_eq(tenant_map(gate, UINT64_MAX), -EDQUOT);
	ck_assert_int_eq(tenant_map(gate, 40), 0);
	tenant_unmap(gate, 100);
	ck_assert_int_eq(tenant_map(gate, 100), 0);
	tenants_free(tenants);
}
END_TEST

START_TEST(test_queue_quota)
{
	struct tenant *gate;

	two[0].queue = 3;
	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = find(1001, 1);
	gate->jobs = 2;
	ck_assert_int_eq(tenant_queue(gate), 0);
	gate->jobs = 3;
	ck_assert_int_eq(tenant_queue(gate), -EDQUOT);
	tenants_free(tenants);
}
END_TEST

START_TEST(test_what_the_file_states_is_in_force)
{
	struct tenant *gate;

	two[0].gallery_quota = 4;
	two[0].template_quota = 500;
	two[0].class = CONFIG_BATCH;
	two[0].classes = 1u << CONFIG_BATCH;
	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = tenants_named(tenants, "gate");
	ck_assert_ptr_eq(gate, find(1001, 1));
	ck_assert_uint_eq(gate->gallery_quota, 4);
	ck_assert_uint_eq(gate->template_quota, 500);
	ck_assert_int_eq(gate->class, CONFIG_BATCH);
	ck_assert_uint_eq(gate->classes, 1u << CONFIG_BATCH);
	ck_assert_int_eq(find(0, 0)->class, CONFIG_INTERACTIVE);
	ck_assert_uint_eq(find(0, 0)->classes, 1u << CONFIG_BATCH | 1u << CONFIG_INTERACTIVE);
	tenants_free(tenants);
}
END_TEST

static uint32_t there(void)
{
	uint32_t count = 0;

	for (const char *const *name = (const char *const[]){"gate", "lab", NULL}; *name; name++)
		count += tenants_named(tenants, *name) != NULL;
	return count;
}

static void count_tenant(void *user, struct tenant *tenant)
{
	(void)tenant;
	++*(uint32_t *)user;
}

/* One that left the file goes once it has nothing under way; the built-in ones stay. */
START_TEST(test_sweep)
{
	struct tenant *gate;
	uint32_t count = 0, retry;
	enum metrics_quota quota;

	ck_assert_int_eq(tenants_create(&both, SELF, &tenants), 0);
	gate = find(1001, 1);
	tenants_sweep(tenants);
	ck_assert_uint_eq(there(), 2);
	ck_assert_int_eq(tenant_enter(gate, SECOND, &retry, &quota), 0);
	gate->jobs = 1;
	ck_assert_int_eq(tenants_reload(tenants, &none), 0);
	ck_assert_uint_eq(there(), 0);
	tenants_sweep(tenants);
	tenants_each(tenants, count_tenant, &count);
	ck_assert_uint_eq(count, 3); /* gate has a request under way, lab has none */
	tenant_leave(gate);
	tenants_sweep(tenants);
	gate->jobs = 0;
	tenants_sweep(tenants);
	count = 0;
	tenants_each(tenants, count_tenant, &count);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(find(0, 0)->name, "local");
	ck_assert_str_eq(find(5, 5)->name, "nobody");
	ck_assert_ptr_eq(tenants_nobody(tenants), find(5, 5));
	ck_assert_ptr_null(tenants_named(tenants, "local"));
	tenants_free(tenants);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tenant");
	TCase *tcase = tcase_create("tenant");

	tcase_add_test(tcase, test_without_a_file_only_root_and_self_have_rights);
	tcase_add_test(tcase, test_rights_are_by_tenant_and_gallery);
	tcase_add_test(tcase, test_reload_takes_and_gives_rights);
	tcase_add_test(tcase, test_a_section_called_local_is_not_local);
	tcase_add_test(tcase, test_in_flight_quota);
	tcase_add_test(tcase, test_rate_quota);
	tcase_add_test(tcase, test_mapped_quota);
	tcase_add_test(tcase, test_queue_quota);
	tcase_add_test(tcase, test_what_the_file_states_is_in_force);
	tcase_add_test(tcase, test_sweep);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
