/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the fault device: its spec, and whether a fault strikes now. */
#ifndef FACET_DAEMON_DEVICE_FAULT_SPEC_H
#define FACET_DAEMON_DEVICE_FAULT_SPEC_H

#include "daemon/device/fault.h"

#define FAULT_RULES_MAX 16
#define FAULT_BITS_MAX	64

struct fault_rule {
	enum fault_kind kind;
	uint64_t ops;	/* bit (1 << device_op) */
	uint64_t every; /* 0: by rate */
	uint64_t rate;	/* of 2^64 */
	uint64_t after, limit, seed;
	uint32_t bits, ms;
	/* so far */
	uint64_t seen, injected, random;
};

struct fault_rules {
	uint32_t count;
	struct fault_rule rule[FAULT_RULES_MAX];
};

/* -EINVAL: not a spec. */
int fault_rules_parse(const char *spec, struct fault_rules *rules);
/* Does the fault strike this command? Counts it as seen. */
bool fault_rule_strikes(struct fault_rule *rule, enum device_op op);
uint64_t fault_random(struct fault_rule *rule);

#endif
