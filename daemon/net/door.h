/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening sockets of clients: the common one, where the uid table says who a peer is, and one
 * for each tenant that has its own, where everyone is that tenant. A socket is made by the daemon,
 * or comes from the service manager by its name ("tenant-NAME"). Control thread only.
 */
#ifndef FACET_DAEMON_NET_DOOR_H
#define FACET_DAEMON_NET_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/net/config.h"

/* A listening socket from the service manager. */
struct door_given {
	char tenant[CONFIG_NAME_MAX + 1];
	int fd;
};

struct door_owner {
	sd_event *event;
	/* A client has come; tenant is NULL at the common socket. Takes the descriptor. */
	void (*come)(void *user, int fd, const char *tenant);
	/* A socket cannot be had. */
	void (*trouble)(void *user, const char *tenant, const char *text);
	void *user;
};

struct doors;

/* common listens already; it and what is given become the doors'. */
int doors_create(const struct door_owner *owner, int common, const struct door_given *given,
		 uint32_t count, struct doors **doors);
/* Opens, changes and closes what the configuration says. Sockets that stay the same are not touched,
 * and one that cannot be had leaves the others alone: how many there were. */
uint32_t doors_update(struct doors *doors, const struct config *config);
/* Accept or not; those who come meanwhile wait. */
void doors_enable(struct doors *doors, bool on);
void doors_free(struct doors *doors);

#endif
