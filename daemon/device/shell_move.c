/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/shell_move.h"

#include <string.h>

int shell_move_copy(struct shell_mover *mover, struct shell_extent to, struct shell_extent from)
{
	const struct shell_copy args = {
		.row_bytes = to.length, .rows = 1, .out_stride = to.length, .in_stride = to.length};
	struct shell_call call = {.operands = 2, .operand = {to, from}};

	shell_call_op(&call, SHELL_OP_COPY, &args, sizeof(args));
	mover->run(mover->port, &call, 1);
	return call.error;
}

/* One step of either way. The bank's side begins at a multiple of the alignment: where the caller's
 * does not, what lies before it comes along. */
static int step(struct shell_mover *mover, struct shell_memory *memory, uint64_t offset,
		uint8_t *data_out, const uint8_t *data_in, uint64_t bytes)
{
	uint64_t before = offset % mover->alignment;
	struct shell_extent board = {memory, offset - before, before + bytes};
	struct shell_extent host = {mover->stage, 0, before + bytes};
	uint8_t *staged = mover->stage->map;
	int err;

	if (data_out) {
		err = shell_move_copy(mover, host, board);
		if (!err)
			memcpy(data_out, staged + before, bytes);
		return err;
	}
	if (before) {
		board.length = host.length = before;
		err = shell_move_copy(mover, host, board);
		if (err)
			return err;
		board.length = host.length = before + bytes;
	}
	memcpy(staged + before, data_in, bytes);
	return shell_move_copy(mover, board, host);
}

int shell_move(struct shell_mover *mover, struct shell_memory *memory, uint64_t offset,
	       uint8_t *data_out, const uint8_t *data_in, uint64_t bytes)
{
	uint64_t most = SHELL_MOVE_STEP - mover->alignment;
	int err = 0;

	if (!mover->stage)
		err = mover->port->ops->memory_create(mover->port, SHELL_PLACE_HOST,
						      SHELL_MOVE_STEP, &mover->stage);
	for (uint64_t done = 0; !err && done < bytes;) {
		uint64_t n = bytes - done < most ? bytes - done : most;

		err = step(mover, memory, offset + done, data_out ? data_out + done : NULL,
			   data_in ? data_in + done : NULL, n);
		done += n;
	}
	return err;
}

void shell_mover_free(struct shell_mover *mover)
{
	if (mover->stage)
		mover->port->ops->memory_free(mover->port, mover->stage);
	mover->stage = NULL;
}
