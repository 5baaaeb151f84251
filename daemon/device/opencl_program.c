/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: from the cache, from source, or from an image, and the kernels in them. */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct opencl_variant opencl_variants[] = {
	{"portable", OPENCL_BASE, KERNEL_PRODUCT, 16, {{KERNEL_SEARCH_PLAIN, 4}}},
	{"lane", OPENCL_LANE, KERNEL_PRODUCT, 1, {{KERNEL_SEARCH_LANE, 4}}},
	{"dot", OPENCL_DOT, KERNEL_PRODUCT, 1, {{KERNEL_SEARCH_DOT, 4}}},
	{"tile",
	 OPENCL_TILE,
	 KERNEL_PRODUCT_TILE,
	 16,
	 {{KERNEL_SEARCH_TILE1, 1},
	  {KERNEL_SEARCH_TILE4, 4},
	  {KERNEL_SEARCH_TILE12, 12},
	  {KERNEL_SEARCH_TILE16, 16},
	  {KERNEL_SEARCH_TILE24, 24}}},
};
const uint32_t opencl_variant_count = sizeof(opencl_variants) / sizeof(opencl_variants[0]);

static const struct {
	enum opencl_program program;
	const char *name;
} kernels[OPENCL_KERNELS] = {
	[KERNEL_DEPTHWISE] = {OPENCL_BASE, "conv2d_depthwise"},
	[KERNEL_POOL2D] = {OPENCL_BASE, "pool2d"},
	[KERNEL_ADD] = {OPENCL_BASE, "add"},
	[KERNEL_DEQUANTIZE] = {OPENCL_BASE, "dequantize"},
	[KERNEL_TABLE] = {OPENCL_BASE, "table"},
	[KERNEL_STRIDED] = {OPENCL_BASE, "strided"},
	[KERNEL_BLOCKS] = {OPENCL_BASE, "blocks"},
	[KERNEL_SELECT] = {OPENCL_BASE, "search_select"},
	[KERNEL_PRODUCT] = {OPENCL_BASE, "product"},
	[KERNEL_SEARCH_PLAIN] = {OPENCL_BASE, "search_plain"},
	[KERNEL_SEARCH_LANE] = {OPENCL_LANE, "search_lane"},
	[KERNEL_SEARCH_DOT] = {OPENCL_DOT, "search_dot"},
	[KERNEL_PRODUCT_TILE] = {OPENCL_TILE, "product_tile"},
	[KERNEL_SEARCH_TILE1] = {OPENCL_TILE, "search_tile1"},
	[KERNEL_SEARCH_TILE4] = {OPENCL_TILE, "search_tile4"},
	[KERNEL_SEARCH_TILE12] = {OPENCL_TILE, "search_tile12"},
	[KERNEL_SEARCH_TILE16] = {OPENCL_TILE, "search_tile16"},
	[KERNEL_SEARCH_TILE24] = {OPENCL_TILE, "search_tile24"},
};

#ifdef FACET_FLIP
#define FLIP_OPTION " -DFACET_FLIP"
#else
#define FLIP_OPTION ""
#endif

static const char *const options[OPENCL_PROGRAMS] = {
	[OPENCL_BASE] = "-DPRODUCT=product" FLIP_OPTION,
	[OPENCL_LANE] = "-DLANE=search_lane",
	[OPENCL_DOT] = "-DLANE=search_dot -DFACET_DOT",
	[OPENCL_TILE] = "-DPRODUCT=product_tile -DFACET_TILE" FLIP_OPTION,
};

/* ---- identity ---- */

static uint64_t source_sum(enum opencl_program program)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (const char *const *part = opencl_source[program]; *part; part++)
		for (const char *c = *part; *c; c++)
			sum = (sum ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	return sum;
}

/* What a built program depends on, in words; a newline ends each, none is in a name. */
static void identify(const struct opencl *cl, enum opencl_program program, const char *flags,
		     char *text, size_t bytes)
{
	snprintf(text, bytes, "%s\n%s\n%s\n%s\n%s\n%016llx\n", cl->platform, cl->name, cl->version,
		 cl->driver, flags, (unsigned long long)source_sum(program));
}

/* ---- building ---- */

static void build_log(const struct opencl *cl, cl_program program, char *why, size_t bytes)
{
	char log[4096] = "";
	size_t n = strlen(why);

	clGetProgramBuildInfo(program, cl->id, CL_PROGRAM_BUILD_LOG, sizeof(log) - 1, log, NULL);
	log[strcspn(log, "\r\n")] = 0;
	snprintf(why + n, bytes - n, ": %s", log[0] ? log : "the driver does not say why");
}

static cl_program from_binary(struct opencl *cl, struct opencl_session *session, const void *data,
			      size_t bytes, const char *flags)
{
	const unsigned char *binary = data;
	cl_int error, status = 0;
	cl_program program = clCreateProgramWithBinary(session->context, 1, &cl->id, &bytes,
						       &binary, &status, &error);

	if (error)
		return NULL;
	if (!status && !clBuildProgram(program, 1, &cl->id, flags, NULL, NULL))
		return program;
	clReleaseProgram(program);
	return NULL;
}

static void keep(struct opencl *cl, cl_program program, const char *identity)
{
	unsigned char *binary;
	size_t bytes = 0;

	if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(bytes), &bytes, NULL) ||
	    !bytes)
		return;
	binary = malloc(bytes);
	if (binary &&
	    !clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, NULL))
		opencl_cache_write(cl->cache, identity, binary, bytes);
	free(binary);
}

static cl_program from_source(struct opencl *cl, struct opencl_session *session,
			      enum opencl_program which, const char *flags, char *why, size_t bytes)
{
	const char **parts = (const char **)(uintptr_t)opencl_source[which];
	cl_program program;
	cl_uint count = 0;
	cl_int error;

	while (parts[count])
		count++;
	snprintf(why, bytes, "the kernels cannot be built");
	program = clCreateProgramWithSource(session->context, count, parts, NULL, &error);
	if (error)
		return NULL;
	if (!clBuildProgram(program, 1, &cl->id, flags, NULL, NULL)) {
		why[0] = 0;
		return program;
	}
	build_log(cl, program, why, bytes);
	clReleaseProgram(program);
	return NULL;
}

static void take_kernels(struct opencl_session *session, enum opencl_program which)
{
	cl_int error;

	for (int k = 0; k < OPENCL_KERNELS; k++) {
		if (kernels[k].program != which)
			continue;
		session->kernel[k] =
			clCreateKernel(session->program[which], kernels[k].name, &error);
		if (error)
			session->kernel[k] = NULL;
	}
}

int opencl_program_try(struct opencl *cl, struct opencl_session *session, enum opencl_program which,
		       char *why, size_t bytes)
{
	char flags[160], identity[5 * OPENCL_TEXT + 256];
	cl_program program = NULL;
	size_t size;
	void *data;

	snprintf(flags, sizeof(flags), "-DFACET_ITEMS=%u %s", cl->items, options[which]);
	identify(cl, which, flags, identity, sizeof(identity));
	data = cl->cache ? opencl_cache_read(cl->cache, identity, &size) : NULL;
	if (data)
		program = from_binary(cl, session, data, size, flags);
	free(data);
	if (!program) {
		program = from_source(cl, session, which, flags, why, bytes);
		if (program && cl->cache)
			keep(cl, program, identity);
	}
	if (!program)
		return -EIO;
	session->program[which] = program;
	take_kernels(session, which);
	return 0;
}

/* An image has all its kernels in one program; those of other variants may be there too. */
static int take_image(struct opencl *cl, struct opencl_session *session, char *why, size_t bytes)
{
	uint32_t found = 0;

	session->program[OPENCL_BASE] = from_binary(cl, session, cl->image, cl->image_bytes, "");
	if (!session->program[OPENCL_BASE]) {
		snprintf(why, bytes, "the image is not one that this device takes");
		return -EIO;
	}
	take_kernels(session, OPENCL_BASE);
	for (int k = 0; k < OPENCL_KERNELS; k++)
		found += session->kernel[k] != NULL;
	if (!found)
		snprintf(why, bytes, "no kernel in the image has a name that is known");
	return found ? 0 : -EIO;
}

bool opencl_program_present(const struct opencl_session *session, enum opencl_program program)
{
	return session->program[program] != NULL;
}

int opencl_programs_build(struct opencl *cl, struct opencl_session *session, char *why,
			  size_t bytes)
{
	int err;

	if (cl->image)
		return take_image(cl, session, why, bytes);
	err = opencl_program_try(cl, session, OPENCL_BASE, why, bytes);
	if (!err && cl->variant && cl->variant->program != OPENCL_BASE)
		err = opencl_program_try(cl, session, cl->variant->program, why, bytes);
	return err;
}
