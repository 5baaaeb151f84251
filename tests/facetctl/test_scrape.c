/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics as text, taken apart: sums by label, quantiles of what came between, text that is none. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/facetctl/scrape.h"
#include "tests/suite.h"

#define L(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char text[] = "# HELP a Something.\n# TYPE a counter\n"
			   "a{x=\"1\",y=\"p\"} 3\na{x=\"1\",y=\"q\"} 4.5\na{x=\"2\",y=\"p\"} 1e1\n"
			   "b 7\nh_bucket{x=\"1\",le=\"0.1\"} 10\nh_bucket{x=\"1\",le=\"0.2\"} 90\n"
			   "h_bucket{x=\"1\",le=\"+Inf\"} 100\n";

START_TEST(test_sums)
{
	struct scrape *s = scrape_parse(text);

	ck_assert(scrape_sum(s, "a", NULL) == 17.5);
	ck_assert(scrape_sum(s, "a", L("x", "1")) == 7.5);
	ck_assert(scrape_sum(s, "a", L("y", "p", "x", "2")) == 10);
	ck_assert(scrape_sum(s, "a", L("z", "1")) == 0);
	ck_assert(scrape_sum(s, "b", NULL) == 7);
	ck_assert_str_eq(scrape_label(s, "a", "x", 0), "1");
	ck_assert_str_eq(scrape_label(s, "a", "x", 1), "2");
	ck_assert_ptr_null(scrape_label(s, "a", "x", 2));
	ck_assert_ptr_null(scrape_label(s, "b", "x", 0));
	scrape_free(s);
}
END_TEST

START_TEST(test_quantiles)
{
	struct scrape *s = scrape_parse(text), *none = scrape_parse("");
	struct scrape *later = scrape_parse("h_bucket{x=\"1\",le=\"0.1\"} 10\n"
					    "h_bucket{x=\"1\",le=\"0.2\"} 91\n"
					    "h_bucket{x=\"1\",le=\"+Inf\"} 102\n");

	ck_assert(scrape_quantile(s, NULL, "h", L("x", "1"), 0.05) == 0.1);
	ck_assert(scrape_quantile(s, NULL, "h", L("x", "1"), 0.5) == 0.2);
	ck_assert(scrape_quantile(s, NULL, "h", L("x", "1"), 0.99) == 0.2);
	ck_assert(scrape_quantile(later, s, "h", NULL, 0.5) == 0.2);
	ck_assert(scrape_quantile(s, s, "h", NULL, 0.5) == 0);
	ck_assert(scrape_quantile(none, NULL, "h", NULL, 0.5) == 0);
	scrape_free(s);
	scrape_free(later);
	scrape_free(none);
}
END_TEST

/* Each of these is left out; the line after it is not. */
START_TEST(test_text_that_is_none)
{
	static const char *const bad[] = {"a",
					  "a{",
					  "a{x",
					  "a{x=",
					  "a{x=\"",
					  "a{x=\"1\"",
					  "a{x=\"1\"}",
					  "a{x=\"1\"} z",
					  "{}",
					  "a{x=1} 2",
					  "a{1=\"\",2=\"\",3=\"\",4=\"\",5=\"\",6=\"\",7=\"\"} 1"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char both[160];
		struct scrape *s;

		snprintf(both, sizeof(both), "%s\nb 1\n", bad[i]);
		s = scrape_parse(both);
		ck_assert_msg(scrape_sum(s, "a", NULL) == 0, "%s", bad[i]);
		ck_assert_msg(scrape_sum(s, "b", NULL) == 1, "%s", bad[i]);
		scrape_free(s);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scrape");
	TCase *tc = tcase_create("scrape");

	tcase_add_test(tc, test_sums);
	tcase_add_test(tc, test_quantiles);
	tcase_add_test(tc, test_text_that_is_none);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
