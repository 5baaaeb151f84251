/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare floor of an echo: what the same sockets and threads cost without any of the service. A
 * child process has a control thread (epoll on a Unix stream socket) that hands each 64-byte message
 * to a worker thread and sends back what it returns; hand-over is by a ring and a futex there, by an
 * eventfd back.
 */
#ifndef FACET_FACETCTL_FLOOR_H
#define FACET_FACETCTL_FLOOR_H

#include "host/facetctl/load.h"

/* depth messages in flight for that long; the worker on that processor, -1: wherever the process may
 * run. 0 or a negative errno. */
int floor_run(uint32_t depth, double seconds, int processor, struct load_result *result);

#endif
