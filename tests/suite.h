/* SPDX-License-Identifier: Apache-2.0 */
/* How every Check program ends: main() builds a suite and returns suite_run(). */
#ifndef FACET_TESTS_SUITE_H
#define FACET_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs it as CK_VERBOSITY says and frees it. */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
