/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth: what boards answer, a sample of it or all, is computed again by the CPU from the host's rows
 * and compared byte by byte before it reaches a query. A slice that was wrong fails, its device is
 * quarantined and its copies go, and the slice is repeated elsewhere. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_CHECK_H
#define FACET_DAEMON_JOB_CHECK_H

#include "daemon/job/service.h"

/* sched_config.check, for user = the service: [limits] check_every says how often. */
bool check_slice(void *user, struct slice *slice);

#endif
