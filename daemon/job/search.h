/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the job room: what verify shares with search. Each ends the job when it fails. */
#ifndef FACET_DAEMON_JOB_SEARCH_H
#define FACET_DAEMON_JOB_SEARCH_H

#include "daemon/job/service.h"

/* Holds a snapshot of the job's gallery until the job ends. */
int search_snapshot(struct job *job);
/* The threshold that applies: given, by false-match rate, or none (decided false). */
int search_threshold(struct job *job, bool has, float threshold, double fmr, float *value,
		     bool *decided);
/* search-vector for vectors, search-image for tensors. */
int search_right(struct job *job, const Facet__Wire__Probe *probe);

#endif
