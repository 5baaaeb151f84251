/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that does what a test tells it to: one thread, one client at a time. The handler sees
 * each request and answers, or not; without one, fake_echo() answers pings.
 */
#ifndef FACET_TESTS_LIBFACET_FAKE_H
#define FACET_TESTS_LIBFACET_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include "facet.pb-c.h"
#include "proto/wire.h"

struct fake {
	char dir[64], path[96];
	int listener, quit[2];
	pthread_t thread;
	struct wire *wire;
	struct wire_arena *arena;
	/* what it does */
	uint32_t major;			 /* of its Hello; 0: says nothing */
	const Facet__Wire__Error *fatal; /* instead of Hello */
	/* 0: go on; 1: drop the connection after sending; -1: at once */
	int (*handler)(struct fake *f, const Facet__Wire__Request *r, const int *fds, uint32_t n);
	/* what it saw */
	atomic_int connections, requests, cancels;
	atomic_ulong cancelled;
	int step; /* the handler's own */
	uint8_t key[16];
	uint64_t ids[512];
};

struct fake *fake_start(void); /* listens; the thread starts with fake_run() */
void fake_run(struct fake *f);
void fake_pause(struct fake *f);  /* stops the thread and the listener: no daemon */
void fake_resume(struct fake *f); /* a new daemon at the same path */
void fake_stop(struct fake *f);

void fake_reply(struct fake *f, Facet__Wire__Reply *reply, uint64_t id);
void fake_reply_fds(struct fake *f, Facet__Wire__Reply *reply, uint64_t id, const int *fds,
		    uint32_t count, uint32_t say);
void fake_error(struct fake *f, uint64_t id, Facet__Wire__Code code, const char *text);
int fake_echo(struct fake *f, const Facet__Wire__Request *r, const int *fds, uint32_t n);

#endif
