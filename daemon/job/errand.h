/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for what may block or takes long: files, checking and packing a model, creating and
 * closing galleries, packing the weights of raw kernels. The control thread never waits for it.
 */
#ifndef FACET_DAEMON_JOB_ERRAND_H
#define FACET_DAEMON_JOB_ERRAND_H

#include "daemon/job/bell.h"

struct errand {
	void (*work)(struct errand *errand); /* on the errand thread */
	void (*done)(struct errand *errand); /* on the control thread, afterwards */
	void *user;
	struct bell_entry entry;
	struct errand *next;
};

struct errands;
int errands_start(struct bell *bell, struct errands **errands);
/* In order of their submission, one at a time. */
void errands_submit(struct errands *errands, struct errand *errand);
/* Runs what is still queued, then ends the thread. The bell is to be drained afterwards. */
void errands_stop(struct errands *errands);

#endif
