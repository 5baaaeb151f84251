/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board in the PCI bus of User-Mode Linux: its messages (linux/virtio_pcidev.h) are accesses of config
 * space and BARs, and interrupts the other way. The board's memory windows are the guest's memory.
 */
#ifndef FACET_BOARDS_VIRTUAL_FRONT_UM_H
#define FACET_BOARDS_VIRTUAL_FRONT_UM_H

#include "boards/virtual/board.h"

struct um;

int um_create(struct um **um);
/* After the board: its threads raise interrupts as long as it lives. */
void um_free(struct um *um);
/* For board_create(); then um_board(). */
struct board_front um_front(struct um *um);
void um_board(struct um *um, struct board *board);
/* A guest has connected: its socket is the um's from then on. */
int um_connect(struct um *um, int fd);
/* The guest's memory is the board's no more. */
void um_disconnect(struct um *um);
/* poll()s for the guest, for `extra` (or -1), and for interrupts. 1: extra can be read; 0: something was
 * done; a negative errno: the guest is gone, *why says how. */
int um_serve(struct um *um, int extra, const char **why);

#endif
