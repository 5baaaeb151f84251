/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the first inputs of the fuzz targets: seeds FOLDER makes FOLDER/TARGET/NAME. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "facet.pb-c.h"
#include "model.pb-c.h"
#include "tests/driver/cases.h"

static const char *folder;
static uint8_t buffer[1 << 16];

static void put(const char *target, int nr, const void *head, size_t head_bytes,
		const ProtobufCMessage *message)
{
	size_t bytes = message ? protobuf_c_message_pack(message, buffer) : 0;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, target);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%d", folder, target, nr);
	file = fopen(path, "w");
	if (!file || fwrite(head, 1, head_bytes, file) != head_bytes ||
	    fwrite(buffer, 1, bytes, file) != bytes || fclose(file)) {
		perror(path);
		exit(1);
	}
}

/* An empty message of each kind of a oneof, with a bulk where there is one: enough to start from. */
static void each_kind(const char *target, const ProtobufCMessageDescriptor *inner, bool request)
{
	static const uint8_t bulk[] = {0x0a, 4, 'a', 'b', 'c', 'd'};
	int nr = 0;

	for (unsigned i = 0; i < inner->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &inner->fields[i];
		uint8_t frame[64], *p = frame, *length;

		if (field->id < 10)
			continue;
		*p++ = 3 << 3 | 2; /* ClientFrame.request, ServerFrame.reply */
		length = p++;
		*p++ = 1 << 3; /* id: serial 1, slot 0 */
		*p++ = 0x80;
		*p++ = 0x80;
		*p++ = 4;
		*p++ = (uint8_t)(field->id << 3 | 2);
		if (field->id > 15) {
			p[-1] |= 0x80;
			*p++ = (uint8_t)(field->id >> 4);
		}
		*p++ = sizeof(bulk) + 2;
		*p++ = 2 << 3 | 2;
		*p++ = sizeof(bulk);
		memcpy(p, bulk, sizeof(bulk));
		p += sizeof(bulk);
		*length = (uint8_t)(p - length - 1);
		if (request) {
			put(target, nr++, frame, (size_t)(p - frame), NULL);
			continue;
		}
		for (uint8_t call = 0; call < 13; call++) { /* the call it may answer */
			uint8_t input[66] = {call, 1};

			memcpy(input + 2, frame, (size_t)(p - frame));
			put(target, nr++, input, (size_t)(p - frame) + 2, NULL);
		}
	}
}

static void search_reply(void)
{
	static const float s[3] = {3, 2, 1};
	static const uint64_t i[3] = {1, 2, 3};
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__SearchReply body = FACET__WIRE__SEARCH_REPLY__INIT;
	Facet__Wire__Bulk scores = FACET__WIRE__BULK__INIT, ids = FACET__WIRE__BULK__INIT;
	uint32_t counts[2] = {2, 1};
	char *names[3] = {"a", "b", "c"};

	scores.data = (ProtobufCBinaryData){sizeof(s), (uint8_t *)s};
	ids.data = (ProtobufCBinaryData){sizeof(i), (uint8_t *)i};
	body.queries = body.n_counts = 2;
	body.counts = counts;
	body.scores = &scores;
	body.ids = &ids;
	body.subjects = names;
	body.n_subjects = 3;
	reply.id = 65536;
	reply.body_case = FACET__WIRE__REPLY__BODY_SEARCH;
	reply.search = &body;
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_REPLY;
	frame.reply = &reply;
	put("fuzz_server_frame", 1000, "\1\1", 2, &frame.base);
	put("fuzz_server_frame", 1001, "\2\1", 2, &frame.base);
}

/* One fully connected layer: [4] -> [4]. */
static void model(void)
{
	Facet__Model__Graph graph = FACET__MODEL__GRAPH__INIT;
	Facet__Model__Tensor x = FACET__MODEL__TENSOR__INIT, y = x, *tensors[] = {&x, &y};
	Facet__Model__Gemm gemm = FACET__MODEL__GEMM__INIT;
	Facet__Model__Requant q = FACET__MODEL__REQUANT__INIT;
	Facet__Model__Span w = FACET__MODEL__SPAN__INIT, b = w, s = w;
	Facet__Model__Op op = FACET__MODEL__OP__INIT, *ops[] = {&op};
	uint32_t shape[] = {1, 4}, in[] = {0}, out[] = {1};

	x.name = "x";
	y.name = "y";
	x.type = y.type = FACET__MODEL__TYPE__S8;
	x.shape = y.shape = shape;
	x.n_shape = y.n_shape = 2;
	x.scale = y.scale = 1;
	y.arena_offset = 64;
	w.length = 16;
	b.offset = s.offset = 64;
	b.length = s.length = 16;
	q.s_pos = q.s_neg = &s;
	q.lo = -128;
	q.hi = 127;
	gemm.weights = &w;
	gemm.bias = &b;
	gemm.q = &q;
	gemm.k = 4;
	op.kind = FACET__MODEL__KIND__GEMM;
	op.name = "fc";
	op.inputs = in;
	op.n_inputs = 1;
	op.output = 1;
	op.params_case = FACET__MODEL__OP__PARAMS_GEMM;
	op.gemm = &gemm;
	graph.name = "seed";
	graph.tensors = tensors;
	graph.n_tensors = 2;
	graph.ops = ops;
	graph.n_ops = 1;
	graph.inputs = in;
	graph.n_inputs = 1;
	graph.outputs = out;
	graph.n_outputs = 1;
	graph.arena_bytes = 128;
	put("fuzz_model", 0, "", 1, &graph.base);
	put("fuzz_model", 1, "\1FACETFCT\1", 10, &graph.base);
}

/* Sound arguments of each op. */
static void programs(void)
{
	for (size_t i = 0; i < sound_count; i++) {
		const struct sound *s = &sound_cases[i];
		uint8_t input[11 + FACET_ARGS_MAX] = {(uint8_t)s->op, (uint8_t)s->operands};

		memcpy(input + 3, &s->bytes, sizeof(s->bytes));
		memcpy(input + 11, s->args, s->args_bytes);
		put("fuzz_validate", (int)i, input, 11 + s->args_bytes, NULL);
	}
}

int main(int argc, char **argv)
{
	static const uint8_t piece[] = {8, 0, 4, 0, 0, 0, 0x12, 2, 8,	 1,
					8, 2, 4, 0, 0, 0, 8,	2, 0x12, 0};

	if (argc != 2)
		return 2;
	folder = argv[1];
	mkdir(folder, 0755);
	put("fuzz_frame", 0, piece, sizeof(piece), NULL);
	each_kind("fuzz_client_frame", &facet__wire__request__descriptor, true);
	each_kind("fuzz_server_frame", &facet__wire__reply__descriptor, false);
	search_reply();
	model();
	programs();
	return 0;
}
