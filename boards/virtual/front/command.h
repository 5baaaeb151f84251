/* SPDX-License-Identifier: Apache-2.0 */
/* What a test or a person tells a running board, a line each: "help" lists them. */
#ifndef FACET_BOARDS_VIRTUAL_FRONT_COMMAND_H
#define FACET_BOARDS_VIRTUAL_FRONT_COMMAND_H

#include <stdio.h>

#include "boards/virtual/board.h"

/* Each line of text, answered to `out`. 0, or -EINVAL if one was not understood (out says which). */
int command_run(struct board *board, const char *text, FILE *out);

/*
 * A folder in which commands are left: whoever writes DIR/command finds DIR/answer, which begins with
 * "ok" or "error". A guest reaches it through a file system that it shares with the host. A thread
 * serves it, so that a disk that takes its time keeps no access of the guest waiting.
 */
struct command_folder;
int command_folder_open(const char *path, struct board *board, struct command_folder **folder);
void command_folder_close(struct command_folder *folder);

#endif
