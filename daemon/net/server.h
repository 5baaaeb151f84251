/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread's loop: listener, connections, signals, timers, on sd-event.
 *
 * Connections and the bell hang in an epoll of their own, which sd-event watches as one descriptor:
 * a turn reads all that are ready, runs what workers have completed, gives the device work, and
 * writes each connection once. SIGTERM and SIGINT drain, SIGHUP reloads.
 */
#ifndef FACET_DAEMON_NET_SERVER_H
#define FACET_DAEMON_NET_SERVER_H

#include "daemon/net/config.h"
#include "daemon/net/door.h"

struct service;
struct server;

struct server_options {
	const char *config_path; /* NULL: none */
	int listener, metrics;	 /* sockets that listen; metrics may be -1 */
	const struct door_given *given;
	uint32_t given_count;
};

/* The configuration and the sockets become the server's. text says which socket cannot be had. */
int server_create(struct service *service, struct config *config,
		  const struct server_options *options, struct server **server,
		  char text[CONFIG_TEXT]);
/* Until drained. 0, or a negative errno of the loop. */
int server_run(struct server *server);
void server_free(struct server *server);

/* Makes a listening Unix socket, and its folder where only that is missing, replacing one that nobody
 * listens on. text says what is wrong. */
int server_listen(const char *path, unsigned mode, const char *group, char text[CONFIG_TEXT]);

#endif
