/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth: what boards answer, a sample of it or all, is computed again by the CPU and compared byte by
 * byte before it reaches a query or the next op of a model; of products of models the sums of the
 * accumulators are compared too. A slice that was wrong fails, its device is quarantined and what is
 * on it goes, and the slice is repeated elsewhere. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_CHECK_H
#define FACET_DAEMON_JOB_CHECK_H

#include "daemon/job/service.h"

/* sched_config.check, for user = the service: [limits] check_every says how often. */
bool check_slice(void *user, struct slice *slice);

/* Another command on a board: is it one that is recomputed? */
bool check_due(struct service *service);

#endif
