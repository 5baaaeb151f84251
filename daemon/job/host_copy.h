/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Galleries without a host copy: the values of their rows leave the host's memory once copies on
 * devices cover the gallery, and are read from the store again when they no longer do, or when a copy
 * is to be made anew.
 *
 *   here --(covered)--> leaving --(no slice reads them)--> away --(not covered)--> coming --> here
 *
 * Only while they are here does the CPU search the gallery, or check what devices did with it. All
 * other galleries are always here. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_HOST_COPY_H
#define FACET_DAEMON_JOB_HOST_COPY_H

#include "daemon/job/service.h"

/* Copies or devices have changed. */
void host_copy_follow(struct gallery_entry *entry);

static inline bool host_copy_here(const struct gallery_entry *entry)
{
	return entry->host == HOST_HERE;
}

/* May a slice that begins now read the host's values? If so they stay until host_copy_done(). */
bool host_copy_use(struct gallery_entry *entry);
void host_copy_done(struct gallery_entry *entry);
/* Neither here nor on devices: nothing can be searched. */
bool host_copy_lost(const struct gallery_entry *entry);
/* Ends the job: UNAVAILABLE, with how far it is and when to come back. */
int host_copy_refuse(struct job *job, const struct gallery_entry *entry);
const char *host_copy_name(const struct gallery_entry *entry); /* here, leaving, away, coming */

#endif
