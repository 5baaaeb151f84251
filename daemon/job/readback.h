/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that a search on a board went by, read back from it and compared with the host's: what its
 * queries see must be there, byte for byte, and nothing else be visible to them. The search's jobs
 * hold what they see, so that neither side changes it meanwhile. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_READBACK_H
#define FACET_DAEMON_JOB_READBACK_H

#include "daemon/job/service.h"

/* Can it be done for this slice, which has run? */
bool readback_possible(const struct slice *slice);
/* over() is told 0, -EBADMSG for rows that differ, or the error that kept them from being read; never
 * from within this call. -ENOMEM: it is not told anything. */
int readback_begin(struct service *service, struct slice *slice, void (*over)(void *user, int err),
		   void *user);

#endif
