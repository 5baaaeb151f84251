/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/command.h"

#include <errno.h>
#include <string.h>

static const struct command_buffer *base_of(const struct device_span *span)
{
	return (const struct command_buffer *)span->buffer;
}

static bool aligned(const struct command_buffer *buffer, uint64_t offset, uint32_t align)
{
	return ((uintptr_t)buffer->data + offset) % align == 0;
}

/* A span of exactly these elements, of this device. */
static bool is(const struct device *device, const struct device_span *span, uint64_t elements,
	       uint32_t element_bytes)
{
	const struct command_buffer *buffer = base_of(span);

	return buffer && buffer->device == device && span->bytes == elements * element_bytes &&
	       command_inside(buffer, span->offset, span->bytes) &&
	       aligned(buffer, span->offset, element_bytes);
}

static bool is_or_absent(const struct device *device, const struct device_span *span,
			 uint64_t elements, uint32_t element_bytes)
{
	return !span->buffer || is(device, span, elements, element_bytes);
}

/* Two buffers may be views of the same memory of the host. */
static bool overlap(const struct device_span *a, const struct device_span *b)
{
	uintptr_t at_a, at_b;

	if (!a->buffer || !b->buffer)
		return false;
	if (a->buffer != b->buffer && (!base_of(a)->data || !base_of(b)->data))
		return false;
	at_a = (uintptr_t)base_of(a)->data + a->offset;
	at_b = (uintptr_t)base_of(b)->data + b->offset;
	return at_a < at_b + b->bytes && at_b < at_a + a->bytes;
}

static bool apart(const struct device_span *out, const struct device_span *in, uint32_t inputs)
{
	for (uint32_t i = 0; i < inputs; i++)
		if (overlap(out, &in[i]))
			return false;
	return true;
}

/* ---- conv2d and gemm ---- */

static bool weights_fit(const struct device *device, const struct device_command *command,
			size_t from, size_t to)
{
	const struct command_weights *weights = (const struct command_weights *)command->weights;

	return weights && weights->device == device && weights->op == command->op &&
	       !memcmp((const char *)&weights->conv2d + from, (const char *)&command->conv2d + from,
		       to - from);
}

static bool product_operands(const struct device *device, const struct device_command *command,
			     uint64_t inputs, uint64_t pixels, uint32_t channels, enum op_out out)
{
	const struct device_span *sum = &command->checksum;
	uint64_t outputs = pixels * channels;

	return is(device, &command->in[0], inputs, 1) &&
	       is_or_absent(device, &command->in[1], outputs, 1) &&
	       is(device, &command->out, outputs, command_out_bytes(out)) &&
	       apart(&command->out, command->in, 2) && is_or_absent(device, sum, pixels, 4) &&
	       apart(sum, command->in, 2) && !overlap(sum, &command->out);
}

/* From h on, up to the requantisation; the batch is free. The weights come first: the op's check
 * reads as many scales as there are channels. */
static bool conv2d_ok(const struct device *device, const struct device_command *command)
{
	const struct op_conv2d *p = &command->conv2d;

	return weights_fit(device, command, offsetof(struct op_conv2d, h),
			   offsetof(struct op_conv2d, q)) &&
	       !op_conv2d_check(p) &&
	       product_operands(device, command, (uint64_t)p->n * p->h * p->w * p->c,
				(uint64_t)p->n * op_conv2d_oh(p) * op_conv2d_ow(p), p->oc, p->out);
}

static bool gemm_ok(const struct device *device, const struct device_command *command)
{
	const struct op_gemm *p = &command->gemm;

	return weights_fit(device, command, offsetof(struct op_gemm, n),
			   offsetof(struct op_gemm, q)) &&
	       !op_gemm_check(p) &&
	       product_operands(device, command, (uint64_t)p->m * p->k, p->m, p->n, p->out);
}

/* ---- the smaller ones ---- */

static bool pool2d_ok(const struct device *device, const struct device_command *command)
{
	const struct op_pool2d *p = &command->pool2d;

	return !op_pool2d_check(p) &&
	       is(device, &command->in[0], (uint64_t)p->n * p->h * p->w * p->c, 1) &&
	       is(device, &command->out, (uint64_t)p->n * op_pool2d_oh(p) * op_pool2d_ow(p) * p->c,
		  1) &&
	       apart(&command->out, command->in, 1);
}

static bool add_ok(const struct device *device, const struct device_command *command)
{
	uint64_t count = command->add.count;

	return !op_add_check(&command->add) && is(device, &command->in[0], count, 1) &&
	       is(device, &command->in[1], count, 1) && is(device, &command->out, count, 1) &&
	       apart(&command->out, command->in, 2);
}

static bool table_ok(const struct device *device, const struct device_command *command)
{
	const struct op_table *p = &command->table;

	return !op_table_check(p) && is(device, &command->in[0], p->pixels * p->c, 1) &&
	       is(device, &command->tables[0], p->per_channel ? p->c * 256u : 256u, 1) &&
	       is(device, &command->out, p->pixels * p->c, 1) &&
	       apart(&command->out, command->in, 1) && apart(&command->out, command->tables, 1);
}

static bool concat_ok(const struct device *device, const struct device_command *command)
{
	const struct op_concat *p = &command->concat;
	uint64_t c = 0;

	if (op_concat_check(p))
		return false;
	for (uint32_t i = 0; i < p->inputs; i++) {
		if (!is(device, &command->in[i], p->pixels * p->c[i], 1) ||
		    !is_or_absent(device, &command->tables[i], 256, 1))
			return false;
		c += p->c[i];
	}
	return is(device, &command->out, p->pixels * c, 1) &&
	       apart(&command->out, command->in, p->inputs) &&
	       apart(&command->out, command->tables, p->inputs);
}

static bool dequantize_ok(const struct device *device, const struct device_command *command)
{
	uint64_t count = command->dequantize.count;

	return !op_dequantize_check(&command->dequantize) &&
	       is(device, &command->in[0], count, 1) && is(device, &command->out, count, 4) &&
	       apart(&command->out, command->in, 1);
}

static uint64_t float_b_elements(const struct op_float *p)
{
	const uint64_t elements[] = {[OP_B_FULL] = p->rows * p->cols,
				     [OP_B_ROW] = p->cols,
				     [OP_B_COLUMN] = p->rows,
				     [OP_B_SCALAR] = 1};

	return elements[p->b];
}

static bool float_ok(const struct device *device, const struct device_command *command)
{
	const struct op_float *p = &command->float_op;
	bool binary = p->kind <= OP_FLOAT_DIV;

	return !op_float_check(p) && is(device, &command->in[0], p->rows * p->cols, 4) &&
	       (!binary || is(device, &command->in[1], float_b_elements(p), 4)) &&
	       is(device, &command->out, p->rows * p->cols, 4) &&
	       apart(&command->out, command->in, binary ? 2 : 1);
}

/* ---- those that move bytes ---- */

static bool copy_ok(const struct device *device, const struct device_command *command)
{
	uint64_t bytes = command->out.bytes;

	return bytes && is(device, &command->in[0], bytes, 1) &&
	       is(device, &command->out, bytes, 1) && apart(&command->out, command->in, 1);
}

static bool echo_ok(const struct device *device, const struct device_command *command)
{
	return (!command->in[0].buffer && !command->out.buffer) || copy_ok(device, command);
}

static bool upload_ok(const struct device *device, const struct device_command *command)
{
	return command->out.bytes && command->host &&
	       is(device, &command->out, command->out.bytes, 1);
}

static bool download_ok(const struct device *device, const struct device_command *command)
{
	return command->in[0].bytes && command->host &&
	       is(device, &command->in[0], command->in[0].bytes, 1);
}

static bool strided_ok(const struct device *device, const struct device_command *command)
{
	const struct device_strided *p = &command->strided;
	uint64_t bytes = command->in[0].bytes, n;

	if (!p->element_bytes || bytes % p->element_bytes)
		return false;
	n = device_strided_elements(p, bytes / p->element_bytes);
	return n && is(device, &command->in[0], bytes / p->element_bytes, p->element_bytes) &&
	       is(device, &command->out, n, p->element_bytes) &&
	       apart(&command->out, command->in, 1);
}

static bool join_ok(const struct device *device, const struct device_command *command)
{
	const struct device_join *p = &command->join;
	uint64_t elements = device_join_elements(p);

	if (!elements || !is(device, &command->out, elements, p->element_bytes))
		return false;
	for (uint32_t i = 0; i < p->inputs; i++)
		if (!is(device, &command->in[i], p->outer * p->inner[i], p->element_bytes))
			return false;
	return apart(&command->out, command->in, p->inputs);
}

/* ---- search ---- */

static bool search_ok(const struct device *device, const struct device_command *command)
{
	const struct device_search *p = &command->search;

	(void)device;
	if (!p->rows || !p->queries || !p->lists || p->count < 1 || p->count > SEARCH_BATCH_MAX ||
	    p->tile_begin > p->tile_end || p->tile_end > COMMAND_TILES_MAX ||
	    search_rows_check(p->rows))
		return false;
	for (uint32_t i = 0; i < p->count; i++)
		if (!p->lists[i] || search_query_check(&p->queries[i], p->rows))
			return false;
	return true;
}

static bool load_ok(const struct device *device, const struct device_command *command)
{
	const struct device_load *p = &command->load;

	(void)device;
	return p->to && p->tile_begin <= p->tile_end && p->tile_end <= COMMAND_TILES_MAX;
}

static bool unload_ok(const struct device *device, const struct device_command *command)
{
	const struct device_unload *p = &command->unload;

	(void)device;
	return p->from && p->to && p->tile_begin <= p->tile_end && p->tile_end <= COMMAND_TILES_MAX;
}

uint64_t command_last_tile(const struct device_search *p)
{
	uint64_t rows = 0, tiles;

	for (uint32_t i = 0; i < p->count; i++)
		rows = p->queries[i].rows > rows ? p->queries[i].rows : rows;
	tiles = rows / SEARCH_TILE_ROWS + (rows % SEARCH_TILE_ROWS != 0);
	tiles = tiles < p->tile_end ? tiles : p->tile_end;
	return tiles > p->tile_begin ? tiles : p->tile_begin;
}

/* ---- all of them ---- */

int command_check(const struct device *device, const struct device_command *command)
{
	static bool (*const ok[DEVICE_OPS])(const struct device *,
					    const struct device_command *) = {
		[DEVICE_ECHO] = echo_ok,
		[DEVICE_SEARCH] = search_ok,
		[DEVICE_CONV2D] = conv2d_ok,
		[DEVICE_GEMM] = gemm_ok,
		[DEVICE_POOL2D] = pool2d_ok,
		[DEVICE_ADD] = add_ok,
		[DEVICE_TABLE] = table_ok,
		[DEVICE_CONCAT] = concat_ok,
		[DEVICE_DEQUANTIZE] = dequantize_ok,
		[DEVICE_FLOAT] = float_ok,
		[DEVICE_STRIDED] = strided_ok,
		[DEVICE_JOIN] = join_ok,
		[DEVICE_COPY] = copy_ok,
		[DEVICE_UPLOAD] = upload_ok,
		[DEVICE_DOWNLOAD] = download_ok,
		[DEVICE_LOAD] = load_ok,
		[DEVICE_UNLOAD] = unload_ok,
	};

	return (unsigned int)command->op < DEVICE_OPS && ok[command->op](device, command) ? 0
											  : -EINVAL;
}
