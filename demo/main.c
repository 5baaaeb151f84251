/* SPDX-License-Identifier: Apache-2.0 */
/* demo-tool: what demo/run needs besides facetd and facetctl. */
#include "demo/demo.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int demo_fail(const char *format, ...)
{
	va_list args;

	fputs("demo: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return 2;
}

static const struct {
	const char *name, *arguments;
	int (*run)(int argc, char **argv);
} tools[] = {
	{"cut", "OUT PHOTO...", demo_cut},
	{"edit", "flip|blur IN OUT.png", demo_edit},
	{"sheet", "OUT.png TITLE <ROWS", demo_sheet},
	{"grow", "REAL.npy|- SEED COUNT OUT", demo_grow},
	{"limits", "ROWS BYTES", demo_limits},
};

int main(int argc, char **argv)
{
	size_t count = sizeof(tools) / sizeof(tools[0]);

	for (size_t i = 0; argc > 1 && i < count; i++)
		if (!strcmp(argv[1], tools[i].name))
			return tools[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "demo-tool %s %s\n", tools[i].name, tools[i].arguments);
	return 2;
}
