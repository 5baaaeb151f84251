/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant may do, as bits. docs/facetd.conf.example says what each right means. */
#ifndef FACET_DAEMON_NET_RIGHTS_H
#define FACET_DAEMON_NET_RIGHTS_H

#include <stdint.h>

enum {
	RIGHT_SEARCH_IMAGE = 1 << 0,
	RIGHT_SEARCH_VECTOR = 1 << 1, /* equal to export: d one-hot queries recover a template */
	RIGHT_VERIFY = 1 << 2,
	RIGHT_ENROL = 1 << 3,
	RIGHT_DELETE = 1 << 4,
	RIGHT_EXPORT = 1 << 5,
	RIGHT_RAW_KERNEL = 1 << 6,
	RIGHT_ADMIN = 1 << 7,
	RIGHT_ALL = (1 << 8) - 1,
};

/* The bit of a name such as "search-image", 0 if there is none. */
uint32_t right_parse(const char *name);
/* The name of the lowest bit set. */
const char *right_name(uint32_t rights);

#endif
