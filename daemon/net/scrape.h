/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics socket: answers each connection once, with an HTTP/1.0 header and Prometheus text,
 * when a request has come or after a moment without one, and closes it. Never blocks.
 */
#ifndef FACET_DAEMON_NET_SCRAPE_H
#define FACET_DAEMON_NET_SCRAPE_H

#include <stdio.h>
#include <systemd/sd-event.h>

struct scrape;
/* Takes the listening socket. print writes the text. */
int scrape_start(sd_event *event, int fd, void (*print)(void *user, FILE *out), void *user,
		 struct scrape **scrape);
void scrape_stop(struct scrape *scrape);

#endif
