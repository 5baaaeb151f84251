/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/libfacet/client.h"

static const char *const names[] = {
	[FACET_OK] = "ok",
	[FACET_ECANCELLED] = "cancelled",
	[FACET_EINVALID_ARGUMENT] = "invalid argument",
	[FACET_ENOT_FOUND] = "not found",
	[FACET_EALREADY_EXISTS] = "already exists",
	[FACET_EPERMISSION_DENIED] = "permission denied",
	[FACET_EDEADLINE_EXCEEDED] = "deadline exceeded",
	[FACET_EOVERLOADED] = "overloaded",
	[FACET_EFAILED_PRECONDITION] = "failed precondition",
	[FACET_EABORTED] = "aborted",
	[FACET_EUNAVAILABLE] = "unavailable",
	[FACET_EDATA_LOSS] = "data loss",
	[FACET_EUNIMPLEMENTED] = "unimplemented",
	[FACET_EINTERNAL] = "internal error",
};
#define NAMES ((int)(sizeof(names) / sizeof(names[0])))

const char *facet_code_name(int code)
{
	code = code < 0 && code > -NAMES ? -code : code;
	return code >= 0 && code < NAMES ? names[code] : "unknown code";
}

const struct facet_error *facet_error(const struct facet *c)
{
	static const struct facet_error no_memory = {FACET_EUNAVAILABLE, true, 0, "out of memory"};

	return c ? &c->error : &no_memory;
}

int client_fail(struct facet_error *error, int code, const char *format, ...)
{
	va_list args;

	*error = (struct facet_error){
		.code = code, .retryable = code == FACET_EOVERLOADED || code == FACET_EUNAVAILABLE};
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -code;
}

int client_fail_wire(struct facet_error *error, const Facet__Wire__Error *from)
{
	int code = (int)from->code;

	/* A code of a later minor version, or "an error that is none". */
	if (code <= FACET_OK || code >= NAMES)
		code = FACET_EINTERNAL;
	client_fail(error, code, "%s", *from->text ? from->text : names[code]);
	error->retryable = from->retryable;
	error->retry_after_ms = from->retry_after_ms;
	return -code;
}

int client_nonsense(struct client_call *call)
{
	return client_fail(&call->error, FACET_EINTERNAL,
			   "the daemon's answer does not fit the call; are its version and this "
			   "library's the same?");
}

int client_no_memory(struct client_call *call)
{
	return client_fail(&call->error, FACET_EUNAVAILABLE, "out of memory");
}

int client_params(struct facet *c, void *to, size_t size, const void *from)
{
	size_t given;

	memset(to, 0, size);
	*(size_t *)to = size;
	if (!from)
		return 0;
	memcpy(&given, from, sizeof(given));
	if (given < sizeof(given))
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "params without their size: set .size = sizeof(params)");
	for (size_t i = size; i < given; i++)
		if (((const char *)from)[i])
			return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
					   "params have a member this libfacet does not know; "
					   "update libfacet");
	memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
	       (given < size ? given : size) - sizeof(size_t));
	return 0;
}

void client_answer(void *to, const void *from, size_t size)
{
	size_t room;

	if (!to)
		return;
	memcpy(&room, to, sizeof(room));
	room = room < size ? room : size;
	if (room > sizeof(size_t))
		memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
		       room - sizeof(size_t));
}
