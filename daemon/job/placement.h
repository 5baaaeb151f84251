/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Galleries on devices. A device that does not read the host's memory gets a copy of a gallery's
 * tiles, whole where it fits, else a range that continues where another device's ends. A copy follows
 * its gallery by moments (gallery.h): it serves searches of an epoch up to its last one. The host's
 * own rows stay, and the CPU takes what no copy covers. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_PLACEMENT_H
#define FACET_DAEMON_JOB_PLACEMENT_H

#include "daemon/job/service.h"

/* The gallery, or the devices, have changed: copies are made, follow, or go. */
void placement_follow(struct gallery_entry *entry);
void placement_follow_all(struct service *service);
/* Its copies go; each holds a reference on the entry until it is gone. */
void placement_drop(struct gallery_entry *entry);
/* No copy is on the device; those that are there are told to go, and board_step() follows. */
bool placement_clear(struct service *service, struct fleet_device *device);
/* Can the device search for a query of this epoch now, and which tiles? */
bool placement_holds(const struct gallery_entry *entry, uint32_t device, uint32_t epoch,
		     uint32_t era, uint64_t *begin, uint64_t *end);
/* It has a copy of the gallery that will catch up with such a query. */
bool placement_comes(const struct gallery_entry *entry, uint32_t device, uint32_t era,
		     uint64_t *begin, uint64_t *end);
/* Do copies on devices that work hold all tiles? *stamp is what the slowest of them has. And does a copy
 * need all of the host's values, to be filled or made larger? */
bool placement_covers(const struct gallery_entry *entry, uint64_t *stamp);
bool placement_needs_host(const struct gallery_entry *entry);
/* Does a device that works on the CPU's processors, or is preferred to it, hold all tiles of such a
 * query? */
bool placement_spares_cpu(const struct gallery_entry *entry, uint32_t epoch, uint32_t era,
			  uint64_t tiles);
/* The copy, kept until placement_done(); error is the slice's. */
struct device_rows *placement_use(struct gallery_entry *entry, uint32_t device);
void placement_done(struct gallery_entry *entry, uint32_t device, int error);

/* For `device list` and metrics: tiles of the gallery on the device, and what it lacks. */
struct placement_info {
	uint64_t tile_begin, tile_end;
	bool covers; /* all that is published now */
	bool loading;
};
bool placement_info(const struct gallery_entry *entry, uint32_t device,
		    struct placement_info *info);

#endif
