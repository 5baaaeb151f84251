/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facet-opencl-probe: looks at OpenCL devices in a process of its own, which a bad driver may crash
 * or hang. `list`; or `try SELECT IMAGE CACHE VARIANT MEMORY TIMEOUT_MS`, empty words for "not said".
 */
#include "daemon/device/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int list(void)
{
	struct opencl_listed d;

	for (uint32_t i = 0; opencl_describe(i, &d); i++)
		printf(OPENCL_SAYS_DEVICE "\t%s\t%s\t%s\t%s\t%s\t%u\t%llu\t%s\n", d.platform,
		       d.name, d.version, d.driver, d.kind, d.units,
		       (unsigned long long)d.memory_bytes, d.lacks);
	return fflush(stdout) != 0;
}

static void say_stage(const char *name)
{
	printf(OPENCL_SAYS_STAGE "\t%s\n", name);
	fflush(stdout);
}

static const char *word(const char *argument)
{
	return argument[0] ? argument : NULL;
}

static int try(char **argv)
{
	const struct device_config config = {
		.select = word(argv[0]),
		.image = word(argv[1]),
		.cache = word(argv[2]),
		.memory = strtoull(argv[4], NULL, 10),
		.timeout_ms = (uint32_t)strtoul(argv[5], NULL, 10),
	};
	char why[256] = "the device fails its tests";
	struct opencl *cl;
	int err = opencl_open_here(&config, word(argv[3]), &cl, why, sizeof(why), say_stage);

	for (char *c = why; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	if (err) {
		printf(OPENCL_SAYS_FAILED "\t%d\t%s\n", err, why);
	} else {
		printf(OPENCL_SAYS_VARIANT "\t%s\n", cl->variant->name);
		opencl_close_here(cl);
	}
	return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "list"))
		return list();
	if (argc == 8 && !strcmp(argv[1], "try"))
		return try(argv + 2);
	fprintf(stderr, "facet-opencl-probe: run by facetd\n");
	return 2;
}
