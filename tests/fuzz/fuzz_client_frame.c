/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: what the daemon decodes. Unpacking takes no more memory than the pre-scan said, and
 * what was unpacked can be packed and decoded again.
 */
#include <stdint.h>
#include <stdlib.h>
#include "facet.pb-c.h"
#include "proto/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const ProtobufCMessageDescriptor *const type =
		&facet__wire__client_frame__descriptor;
	static struct wire_arena *arena;
	static uint8_t again[2 * WIRE_FRAME_MAX];
	ProtobufCMessage *message;
	uint64_t predicted;
	size_t packed;

	if (!arena)
		arena = wire_arena_create();
	wire_arena_reset(arena);
	if (bytes > WIRE_FRAME_MAX || wire_decode(type, data, bytes, arena, &message))
		return 0;
	if (wire_prescan_memory(type, data, bytes, &predicted) ||
	    wire_arena_used(arena) > predicted)
		abort();
	packed = protobuf_c_message_get_packed_size(message);
	if (packed > sizeof(again) || protobuf_c_message_pack(message, again) != packed)
		abort();
	wire_arena_reset(arena);
	if (packed && packed <= bytes && wire_decode(type, again, packed, arena, &message))
		abort();
	return 0;
}
