/* SPDX-License-Identifier: Apache-2.0 */
/* A real facetd in a folder of its own, and a client that speaks the wire as badly as a test likes. */
#ifndef FACET_TESTS_E2E_RIG_H
#define FACET_TESTS_E2E_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "facet.pb-c.h"

struct rig {
	char folder[64], socket[96], state[96], config[96], log[96];
	pid_t pid;
};

/* Each ends the test when the daemon does not come up. settings: lines of the file, or "". */
void rig_make(struct rig *rig, const char *settings);
void rig_start(struct rig *rig);
/* The signal, then its exit status as wait() has it. */
int rig_end(struct rig *rig, int signal);
void rig_remove(struct rig *rig);
unsigned rig_fds(const struct rig *rig);
long rig_resident_kib(const struct rig *rig);

/* A connection of raw bytes. */
struct raw {
	int fd;
	uint8_t buffer[512 * 1024];
	size_t held;
};

void raw_open(struct raw *raw, const struct rig *rig);
void raw_close(struct raw *raw);
/* As many bytes as the daemon takes; false when it has closed. */
bool raw_bytes(struct raw *raw, const void *data, size_t bytes, const int *fds, unsigned count);
bool raw_frame(struct raw *raw, const Facet__Wire__ClientFrame *frame, const int *fds,
	       unsigned count);
void raw_hello(struct raw *raw); /* and its answer */
bool raw_request(struct raw *raw, Facet__Wire__Request *request, const int *fds, unsigned count);
/* The next frame (to be freed by protobuf-c), NULL once the daemon has closed. */
Facet__Wire__ServerFrame *raw_next(struct raw *raw);
/* One request on a connection with a hello: its code, and the text in rig_text. */
int raw_code(struct raw *raw, Facet__Wire__Request *request, const int *fds, unsigned count);
extern char rig_text[400];
/* A new connection is greeted and an echo comes back. */
void rig_serves(const struct rig *rig);

#endif
