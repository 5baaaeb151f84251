/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/fault_spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BIT(op) (UINT64_C(1) << (op))
#define OPS_ALL (BIT(DEVICE_OPS) - 1)
#define OPS_MOVING                                                                                 \
	(BIT(DEVICE_UPLOAD) | BIT(DEVICE_DOWNLOAD) | BIT(DEVICE_LOAD) | BIT(DEVICE_UNLOAD) |       \
	 BIT(DEVICE_ECHO))
#define DELAY_MS 10u

static const char *const op_names[DEVICE_OPS] = {
	[DEVICE_ECHO] = "echo",	      [DEVICE_SEARCH] = "search",
	[DEVICE_CONV2D] = "conv2d",   [DEVICE_GEMM] = "gemm",
	[DEVICE_POOL2D] = "pool2d",   [DEVICE_ADD] = "add",
	[DEVICE_TABLE] = "table",     [DEVICE_CONCAT] = "concat",
	[DEVICE_FLOAT] = "float",     [DEVICE_DEQUANTIZE] = "dequantize",
	[DEVICE_STRIDED] = "strided", [DEVICE_JOIN] = "join",
	[DEVICE_COPY] = "copy",	      [DEVICE_UPLOAD] = "upload",
	[DEVICE_LOAD] = "load",	      [DEVICE_DOWNLOAD] = "download",
	[DEVICE_UNLOAD] = "unload",
};

static const struct {
	const char *name;
	uint64_t ops, allowed;
} kinds[FAULT_KINDS] = {
	[FAULT_FAIL] = {"fail", OPS_ALL, OPS_ALL},
	[FAULT_GONE] = {"gone", OPS_ALL, OPS_ALL},
	[FAULT_DELAY] = {"delay", OPS_ALL, OPS_ALL},
	[FAULT_HANG] = {"hang", OPS_ALL, OPS_ALL},
	[FAULT_FLIP_IN] = {"flip-in", OPS_ALL & ~OPS_MOVING, OPS_ALL},
	[FAULT_FLIP_ROWS] = {"flip-rows", BIT(DEVICE_SEARCH), BIT(DEVICE_SEARCH)},
	[FAULT_FLIP_ACC] = {"flip-acc", BIT(DEVICE_CONV2D) | BIT(DEVICE_GEMM),
			    BIT(DEVICE_CONV2D) | BIT(DEVICE_GEMM)},
	[FAULT_FLIP_OUT] = {"flip-out", OPS_ALL & ~OPS_MOVING, OPS_ALL},
};

const char *fault_kind_name(enum fault_kind kind)
{
	return kinds[kind].name;
}

/* ---- one key ---- */

static int parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || *end || *number > max ? -EINVAL : 0;
}

static int parse_u64(const char *text, void *to)
{
	return parse_number(text, UINT64_MAX, to);
}

static int parse_every(const char *text, void *to)
{
	return parse_number(text, UINT64_MAX, to) || *(uint64_t *)to == 0 ? -EINVAL : 0;
}

static int parse_ms(const char *text, void *to)
{
	uint64_t number;
	int err = parse_number(text, 3600000, &number);

	*(uint32_t *)to = err ? 0 : (uint32_t)number;
	return err;
}

static int parse_bits(const char *text, void *to)
{
	uint64_t number;
	int err = parse_number(text, FAULT_BITS_MAX, &number);

	*(uint32_t *)to = err ? 0 : (uint32_t)number;
	return err || !number ? -EINVAL : 0;
}

/* A share, 0.25 or 1/4, as a part of 2^64. */
static int parse_rate(const char *text, void *to)
{
	char *end;
	double share, of = 1;

	if ((*text < '0' || *text > '9') && *text != '.')
		return -EINVAL;
	share = strtod(text, &end);
	if (*end == '/') {
		if (end[1] < '0' || end[1] > '9')
			return -EINVAL;
		of = strtod(end + 1, &end);
	}
	if (*end || !(of > 0) || !(share >= 0) || !(share / of <= 1))
		return -EINVAL;
	share = share / of * 18446744073709551616.0;
	*(uint64_t *)to = share >= 18446744073709549568.0 ? UINT64_MAX : (uint64_t)share;
	return 0;
}

static uint64_t op_bits(const char *name, size_t n)
{
	if (n == 3 && !strncmp(name, "all", n))
		return OPS_ALL;
	if (n == 7 && !strncmp(name, "compute", n))
		return OPS_ALL & ~OPS_MOVING;
	for (int i = 0; i < DEVICE_OPS; i++)
		if (strlen(op_names[i]) == n && !strncmp(op_names[i], name, n))
			return BIT(i);
	return 0;
}

static int parse_ops(const char *text, void *to)
{
	uint64_t ops = 0;

	for (;;) {
		size_t n = strcspn(text, "+");
		uint64_t bits = op_bits(text, n);

		if (!bits)
			return -EINVAL;
		ops |= bits;
		if (!text[n])
			break;
		text += n + 1;
	}
	*(uint64_t *)to = ops;
	return 0;
}

static const struct key {
	const char *name;
	size_t at;
	int (*parse)(const char *text, void *to);
} keys[] = {
	{"every", offsetof(struct fault_rule, every), parse_every},
	{"rate", offsetof(struct fault_rule, rate), parse_rate},
	{"after", offsetof(struct fault_rule, after), parse_u64},
	{"limit", offsetof(struct fault_rule, limit), parse_u64},
	{"ops", offsetof(struct fault_rule, ops), parse_ops},
	{"seed", offsetof(struct fault_rule, seed), parse_u64},
	{"bits", offsetof(struct fault_rule, bits), parse_bits},
	{"ms", offsetof(struct fault_rule, ms), parse_ms},
};

static int parse_key(char *text, struct fault_rule *rule, uint32_t *given)
{
	char *value = strchr(text, '=');

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	for (uint32_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].name, text) || (*given >> i & 1))
			continue;
		*given |= 1u << i;
		return keys[i].parse(value, (char *)rule + keys[i].at);
	}
	return -EINVAL;
}

/* ---- one fault, all faults ---- */

static int parse_kind(const char *name, struct fault_rule *rule)
{
	for (int i = 0; i < FAULT_KINDS; i++) {
		if (strcmp(kinds[i].name, name))
			continue;
		*rule = (struct fault_rule){
			.kind = (enum fault_kind)i,
			.ops = kinds[i].ops,
			.limit = UINT64_MAX,
			.bits = 1,
			.ms = i == FAULT_DELAY ? DELAY_MS : 0,
		};
		return 0;
	}
	return -EINVAL;
}

static int parse_rule(char *text, struct fault_rule *rule)
{
	char *rest = strchr(text, ':');
	uint32_t given = 0;
	int err;

	if (rest)
		*rest++ = '\0';
	err = parse_kind(text, rule);
	while (!err && rest) {
		char *next = strchr(rest, ',');

		if (next)
			*next++ = '\0';
		err = parse_key(rest, rule, &given);
		rest = next;
	}
	if (err || (given & 3) == 3) /* every and rate contradict each other */
		return -EINVAL;
	if (!(given & 3))
		rule->every = 1;
	rule->ops &= kinds[rule->kind].allowed;
	rule->random = rule->seed;
	return rule->ops ? 0 : -EINVAL;
}

int fault_rules_parse(const char *spec, struct fault_rules *rules)
{
	char *copy, *text;
	int err = 0;

	rules->count = 0;
	if (!spec || !*spec)
		return 0;
	copy = text = strdup(spec);
	if (!copy)
		return -ENOMEM;
	while (!err && text) {
		char *next = strpbrk(text, "; ");

		if (next)
			*next++ = '\0';
		if (*text && rules->count == FAULT_RULES_MAX)
			err = -EINVAL;
		else if (*text)
			err = parse_rule(text, &rules->rule[rules->count++]);
		text = next;
	}
	free(copy);
	return err;
}

/* ---- chance ---- */

uint64_t fault_random(struct fault_rule *rule)
{
	uint64_t z = rule->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

bool fault_rule_strikes(struct fault_rule *rule, enum device_op op)
{
	if (!(rule->ops >> op & 1) || rule->injected >= rule->limit)
		return false;
	if (++rule->seen <= rule->after)
		return false;
	if (rule->every)
		return (rule->seen - rule->after) % rule->every == 0;
	return fault_random(rule) < rule->rate;
}
