/* SPDX-License-Identifier: Apache-2.0 */
/* Truth of models on boards (check.h). Internal to the job room. */
#ifndef FACET_DAEMON_JOB_CHECK_PART_H
#define FACET_DAEMON_JOB_CHECK_PART_H

#include "daemon/job/service.h"

/* Of a part that has succeeded: true if it is looked at first, as sched_config.check says. */
bool check_part(struct service *service, struct slice *slice);

#endif
