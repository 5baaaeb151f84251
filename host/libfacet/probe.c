/* SPDX-License-Identifier: Apache-2.0 */
/* What is compared: vectors or a model's inputs. */
#include "host/libfacet/client.h"

static uint32_t type_bytes(enum facet_type type)
{
	return type == FACET_F32 || type == FACET_S32 ? 4 : 1;
}

int client_probe_put(struct facet *c, struct client_request *r, struct client_probe *to,
		     const struct facet_probe *from)
{
	struct facet_probe p;
	int err = client_params(c, &p, sizeof(p), from);

	if (err)
		return err;
	if (!p.count || !p.dim || !p.data || (unsigned)p.type > FACET_S32)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "a probe needs a type, and count, dim and data that are not 0");
	if (p.kind != FACET_TENSORS && (p.kind != FACET_VECTORS || p.type > FACET_S8))
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "vectors are of type FACET_F32 or FACET_S8");
	facet__wire__probe__init(&to->probe);
	to->count = p.count;
	client_bulk_put(r, &to->data, p.data, (uint64_t)p.count * p.dim * type_bytes(p.type));
	if (p.kind == FACET_TENSORS) {
		facet__wire__tensors__init(&to->tensors);
		to->tensors.model = (char *)(p.model ? p.model : "");
		to->tensors.count = p.count;
		to->tensors.data = &to->data;
		to->probe.kind_case = FACET__WIRE__PROBE__KIND_TENSORS;
		to->probe.tensors = &to->tensors;
		return 0;
	}
	facet__wire__vectors__init(&to->vectors);
	to->vectors.count = p.count;
	to->vectors.dim = p.dim;
	to->vectors.type = (Facet__Wire__Type)p.type;
	to->vectors.data = &to->data;
	to->probe.kind_case = FACET__WIRE__PROBE__KIND_VECTORS;
	to->probe.vectors = &to->vectors;
	return 0;
}
