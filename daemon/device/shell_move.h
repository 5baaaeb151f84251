/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in a bank is moved by copies of the board's own, through a piece of host memory that
 * both can reach. */
#ifndef FACET_DAEMON_DEVICE_SHELL_MOVE_H
#define FACET_DAEMON_DEVICE_SHELL_MOVE_H

#include "daemon/device/shell_port.h"

struct shell_mover {
	struct shell_port *port;
	/* As shell_port_ops.run, for who holds the port's lock. */
	void (*run)(struct shell_port *port, struct shell_call *calls, uint32_t count);
	uint32_t alignment; /* of an address in a bank, at most SHELL_MOVE_STEP / 2 */
	struct shell_memory *stage;
};

#define SHELL_MOVE_STEP (UINT64_C(4) << 20) /* bytes moved by one copy */

/* From one to the other, of to's length. */
int shell_move_copy(struct shell_mover *mover, struct shell_extent to, struct shell_extent from);
/* Between a bank and the caller: to data_out, or from data_in where that is NULL. */
int shell_move(struct shell_mover *mover, struct shell_memory *memory, uint64_t offset,
	       uint8_t *data_out, const uint8_t *data_in, uint64_t bytes);
void shell_mover_free(struct shell_mover *mover);

#endif
