/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/rights.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t right;
} rights_table[] = {
	{"search-image", RIGHT_SEARCH_IMAGE},
	{"search-vector", RIGHT_SEARCH_VECTOR},
	{"verify", RIGHT_VERIFY},
	{"enrol", RIGHT_ENROL},
	{"delete", RIGHT_DELETE},
	{"export", RIGHT_EXPORT},
	{"raw-kernel", RIGHT_RAW_KERNEL},
	{"admin", RIGHT_ADMIN},
	{"all", RIGHT_ALL},
};

#define RIGHTS_COUNT (sizeof(rights_table) / sizeof(rights_table[0]))

uint32_t right_parse(const char *name)
{
	for (size_t i = 0; i < RIGHTS_COUNT; i++)
		if (!strcmp(rights_table[i].name, name))
			return rights_table[i].right;
	return 0;
}

const char *right_name(uint32_t rights)
{
	for (size_t i = 0; i < RIGHTS_COUNT; i++)
		if (rights & rights_table[i].right)
			return rights_table[i].name;
	return "none";
}
