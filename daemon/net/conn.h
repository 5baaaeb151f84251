/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: greeting, frames in, replies out, back-pressure. Control thread only.
 *
 * A client that does not read is not read from either once limits.send_bytes of its replies wait,
 * and is dropped when they still wait limits.stall_seconds later, or their frames grow to four times
 * that. The memory a reply's descriptors hold counts until the client has read all that was sent;
 * it may burst to the tenant's mapped_bytes.
 */
#ifndef FACET_DAEMON_NET_CONN_H
#define FACET_DAEMON_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "facet.pb-c.h"
#include "proto/wire.h"

struct service;
struct job;
struct tenant;
struct conn;

/* What the owner of the connections does for them. */
struct conn_owner {
	struct service *service;
	/* The connection wants these events of its socket (EPOLLIN, EPOLLOUT). */
	void (*watch)(void *peer, uint32_t events);
	/* It has something to flush at the end of this turn. */
	void (*dirty)(void *peer);
};

/* Takes the socket; peer is what the owner knows it by. tenant: it came by that tenant's own socket, or
 * NULL: the uid table says who it is. NULL: no memory (the socket is closed). */
struct conn *conn_create(int fd, const struct conn_owner *owner, void *peer, const char *tenant);
/* Closes it; its jobs lose their client and end at their next stage. */
void conn_free(struct conn *conn);
int conn_fd(const struct conn *conn);
/* Looks up again who the peer is, after a reload. One that came by the socket of a tenant that has none
 * any more is over. */
void conn_identify(struct conn *conn);

/* The socket is ready. False: the connection is over and is to be freed. */
bool conn_ready(struct conn *conn, uint32_t events);
/* End of a turn in which it was dirty: writes what waits, and takes up frames that waited for that.
 * False as above. */
bool conn_flush(struct conn *conn);
/* Replies wait for the client to read. */
bool conn_unsent(const struct conn *conn);
/* Once a second: has it greeted, does it read? False as above. */
bool conn_check(struct conn *conn, uint64_t now_ns);
/* A frame to the client; takes the descriptors. -EMSGSIZE: too large, nothing was sent. */
int conn_send(struct conn *conn, const Facet__Wire__ServerFrame *frame, const int *fds,
	      uint32_t count);
void conn_attach(struct conn *conn, struct job *job);
void conn_detach(struct conn *conn, struct job *job);

#endif
