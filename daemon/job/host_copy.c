/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/host_copy.h"

#include "daemon/job/placement.h"

#define RETRY_MS 200u

static const char *const names[] = {
	[HOST_HERE] = "here",
	[HOST_LEAVING] = "leaving",
	[HOST_AWAY] = "away",
	[HOST_COMING] = "coming",
};

const char *host_copy_name(const struct gallery_entry *entry)
{
	return names[entry->host];
}

static bool concerned(const struct gallery_entry *entry)
{
	const struct gallery_spec *spec =
		entry->gallery && !entry->hidden ? gallery_spec(entry->gallery) : NULL;

	return spec && spec->no_host_copy;
}

static void become(struct gallery_entry *entry, enum host_copy state)
{
	entry->host = state;
	if (state == HOST_AWAY || state == HOST_COMING)
		log_write(&entry->service->log, LOG_LEVEL_INFO, "gallery", "name=%s host=%s",
			  entry->name, names[state]);
}

void host_copy_follow(struct gallery_entry *entry)
{
	uint64_t stamp;
	bool covered;

	if (!concerned(entry))
		return;
	covered = placement_covers(entry, &stamp) && !placement_needs_host(entry);
	if (entry->host == HOST_HERE && covered)
		become(entry, HOST_LEAVING);
	else if (entry->host == HOST_LEAVING && !covered)
		become(entry, HOST_HERE);
	if (entry->host == HOST_LEAVING && !entry->host_users)
		become(entry, HOST_AWAY);
	if (entry->host == HOST_AWAY && covered) {
		gallery_shed(entry->gallery, stamp);
	} else if (entry->host == HOST_AWAY) {
		become(entry, HOST_COMING);
		gallery_fetch(entry->gallery);
	} else if (entry->host == HOST_COMING && gallery_here(entry->gallery)) {
		become(entry, HOST_HERE);
		placement_follow(entry);
	}
}

bool host_copy_use(struct gallery_entry *entry)
{
	bool here = host_copy_here(entry);

	entry->host_users += here;
	return here;
}

void host_copy_done(struct gallery_entry *entry)
{
	if (!--entry->host_users && entry->host == HOST_LEAVING)
		host_copy_follow(entry);
}

bool host_copy_lost(const struct gallery_entry *entry)
{
	uint64_t stamp;

	return entry->host == HOST_COMING && !placement_covers(entry, &stamp);
}

int host_copy_refuse(struct job *job, const struct gallery_entry *entry)
{
	struct gallery_status status;

	gallery_status(entry->gallery, &status);
	return job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, RETRY_MS,
			  "the device that held the gallery is lost, and its rows are being read "
			  "again, %u %% done; come back shortly",
			  status.percent);
}
