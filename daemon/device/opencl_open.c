/* SPDX-License-Identifier: Apache-2.0 */
/* Finding an OpenCL device, and making it ready in this process. */
#include "daemon/device/opencl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLATFORMS_MAX 16u
#define DEVICES_MAX   32u
#define IMAGE_MAX     (1 << 28)
#define TIMEOUT_MS    20000u
#define ITEMS_CPU     16u
#define ITEMS_OTHER   64u

/* ---- looking ---- */

/* One line of printable text, whatever the driver says. */
static void get_text(cl_device_id id, cl_device_info what, char *text, size_t bytes)
{
	text[0] = 0;
	clGetDeviceInfo(id, what, bytes - 1, text, NULL);
	text[bytes - 1] = 0;
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

/* Device `index` of all platforms' devices. */
static bool device_at(uint32_t index, cl_platform_id *platform, cl_device_id *id)
{
	cl_platform_id platforms[PLATFORMS_MAX];
	cl_device_id devices[DEVICES_MAX];
	cl_uint n = 0, count;

	if (clGetPlatformIDs(PLATFORMS_MAX, platforms, &n))
		return false;
	n = n < PLATFORMS_MAX ? n : PLATFORMS_MAX;
	for (cl_uint i = 0; i < n; i++) {
		count = 0;
		if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, DEVICES_MAX, devices, &count))
			continue;
		count = count < DEVICES_MAX ? count : DEVICES_MAX;
		if (index < count) {
			*platform = platforms[i];
			*id = devices[index];
			return true;
		}
		index -= count;
	}
	return false;
}

static bool has(cl_device_id id, cl_device_info what)
{
	cl_bool value = CL_FALSE;

	return !clGetDeviceInfo(id, what, sizeof(value), &value, NULL) && value;
}

/* What this backend asks for and the device has not; NULL: nothing. */
static const char *lacks(cl_device_id id)
{
	cl_device_fp_config fp = 0;
	char version[OPENCL_TEXT];
	int major, minor;

	get_text(id, CL_DEVICE_VERSION, version, sizeof(version));
	clGetDeviceInfo(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof(fp), &fp, NULL);
	if (sscanf(version, "OpenCL %d.%d", &major, &minor) != 2 || major * 10 + minor < 12)
		return "OpenCL 1.2";
	if (!has(id, CL_DEVICE_AVAILABLE))
		return "availability";
	if (!has(id, CL_DEVICE_ENDIAN_LITTLE))
		return "little-endian order";
	return fp & CL_FP_ROUND_TO_NEAREST ? NULL : "rounding to nearest";
}

static cl_device_type type_of(cl_device_id id)
{
	cl_device_type type = 0;

	clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	return type;
}

static uint64_t number(cl_device_id id, cl_device_info what)
{
	cl_ulong value = 0;

	clGetDeviceInfo(id, what, sizeof(value), &value, NULL);
	return value;
}

static void platform_name(cl_platform_id platform, char *text, size_t bytes)
{
	text[0] = 0;
	clGetPlatformInfo(platform, CL_PLATFORM_NAME, bytes - 1, text, NULL);
	text[bytes - 1] = 0;
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

bool opencl_describe(uint32_t index, struct opencl_listed *listed)
{
	const char *missing;
	cl_platform_id platform;
	cl_uint units = 0;
	cl_device_type type;
	cl_device_id id;

	if (!device_at(index, &platform, &id))
		return false;
	memset(listed, 0, sizeof(*listed));
	platform_name(platform, listed->platform, sizeof(listed->platform));
	get_text(id, CL_DEVICE_NAME, listed->name, sizeof(listed->name));
	get_text(id, CL_DEVICE_VERSION, listed->version, sizeof(listed->version));
	get_text(id, CL_DRIVER_VERSION, listed->driver, sizeof(listed->driver));
	type = type_of(id);
	snprintf(listed->kind, sizeof(listed->kind), "%s",
		 type & CL_DEVICE_TYPE_CPU	     ? "cpu"
		 : type & CL_DEVICE_TYPE_GPU	     ? "gpu"
		 : type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator"
						     : "other");
	clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL);
	listed->units = units;
	listed->memory_bytes = number(id, CL_DEVICE_GLOBAL_MEM_SIZE);
	missing = lacks(id);
	listed->usable = !missing;
	snprintf(listed->lacks, sizeof(listed->lacks), "%s", missing ? missing : "");
	return true;
}

static bool selected(const struct opencl *cl, const char *select)
{
	return !select || strstr(cl->platform, select) || strstr(cl->name, select);
}

static void take(struct opencl *cl, cl_platform_id platform, cl_device_id id)
{
	cl->id = id;
	platform_name(platform, cl->platform, sizeof(cl->platform));
	get_text(id, CL_DEVICE_NAME, cl->name, sizeof(cl->name));
	get_text(id, CL_DEVICE_VERSION, cl->version, sizeof(cl->version));
	get_text(id, CL_DRIVER_VERSION, cl->driver, sizeof(cl->driver));
	cl->on_cpu = type_of(id) & CL_DEVICE_TYPE_CPU;
	cl->lazy = !strcmp(cl->platform, "Oclgrind");
}

static void take_limits(struct opencl *cl, const struct device_config *config)
{
	size_t most = 0;

	clGetDeviceInfo(cl->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(most), &most, NULL);
	cl->items = cl->on_cpu ? ITEMS_CPU : ITEMS_OTHER;
	while (cl->items > most && cl->items > 1)
		cl->items /= 2;
	cl->memory_max = number(cl->id, CL_DEVICE_GLOBAL_MEM_SIZE) / 4 * 3;
	if (config->memory && config->memory < cl->memory_max)
		cl->memory_max = config->memory;
	cl->buffer_max = number(cl->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
	cl->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS;
}

int opencl_find(const struct device_config *config, struct opencl *cl, char *why, size_t bytes)
{
	cl_platform_id platform;
	cl_device_id id;
	uint32_t i;

	snprintf(why, bytes,
		 "no OpenCL device: is a driver installed (pocl-opencl-icd, the board's)?");
	for (i = 0; device_at(i, &platform, &id); i++) {
		const char *missing = lacks(id);

		take(cl, platform, id);
		if (!selected(cl, config->select)) {
			snprintf(why, bytes, "none of %u OpenCL devices has '%s' in its name",
				 i + 1, config->select);
		} else if (missing) {
			snprintf(why, bytes, "%s / %s lacks %s", cl->platform, cl->name, missing);
		} else if (!config->image && !has(id, CL_DEVICE_COMPILER_AVAILABLE)) {
			snprintf(why, bytes, "%s / %s has no compiler: it needs an image",
				 cl->platform, cl->name);
		} else {
			take_limits(cl, config);
			why[0] = 0;
			return 0;
		}
	}
	return -ENODEV;
}

/* ---- making it ready ---- */

static int read_image(struct opencl *cl, const char *path, char *why, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = -EIO;
	struct stat st;

	if (fd < 0) {
		snprintf(why, bytes, "%s: %s", path, strerror(errno));
		return -errno;
	}
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= IMAGE_MAX) {
		cl->image_bytes = (size_t)st.st_size;
		cl->image = malloc(cl->image_bytes);
		if (cl->image && read(fd, cl->image, cl->image_bytes) == (ssize_t)cl->image_bytes)
			err = 0;
	}
	if (err)
		snprintf(why, bytes, "%s: not an image", path);
	close(fd);
	return err;
}

static const struct opencl_variant *variant_named(const char *name)
{
	for (uint32_t i = 0; i < opencl_variant_count; i++)
		if (!strcmp(opencl_variants[i].name, name))
			return &opencl_variants[i];
	return NULL;
}

static void no_stage(const char *name)
{
	(void)name;
}

/* Builds what the variant needs beyond the base, and tests it. */
static int try_variant(struct opencl *cl, const struct opencl_variant *variant, char *why,
		       size_t bytes, void (*stage)(const char *name))
{
	int err = 0;

	stage(variant->name);
	if (!opencl_program_present(cl->session, variant->program))
		err = opencl_program_try(cl, cl->session, variant->program, why, bytes);
	if (err)
		return err;
	cl->variant = variant;
	return opencl_self_test(cl, why, bytes);
}

/* One that cannot be built, is wrong or is slower than the plain one is not taken: no error. */
static void choose_variant(struct opencl *cl, void (*stage)(const char *name))
{
	const struct opencl_variant *best = cl->variant;
	uint64_t least = opencl_variant_ns(cl);
	char why[256];

	for (uint32_t i = 1; i < opencl_variant_count && !atomic_load(&cl->lost); i++) {
		const struct opencl_variant *variant = &opencl_variants[i];
		uint64_t ns;

		if ((variant->program == OPENCL_TILE) != cl->on_cpu ||
		    try_variant(cl, variant, why, sizeof(why), stage))
			continue;
		ns = opencl_variant_ns(cl);
		if (ns && (!least || ns < least)) {
			best = variant;
			least = ns;
		}
	}
	cl->variant = best;
}

static int make_ready(struct opencl *cl, const char *name, char *why, size_t bytes,
		      void (*stage)(const char *name))
{
	const struct opencl_variant *variant = name ? variant_named(name) : &opencl_variants[0];
	int err;

	if (!variant) {
		snprintf(why, bytes, "%s: no variant of the kernels has that name", name);
		return -EINVAL;
	}
	stage("building");
	err = opencl_session_create(cl, &cl->session, why, bytes);
	if (err)
		return err;
	stage("testing");
	err = try_variant(cl, variant, why, bytes, stage);
	if (!err && !name && !cl->image)
		choose_variant(cl, stage);
	return err;
}

int opencl_open_here(const struct device_config *config, const char *variant,
		     struct opencl **opened, char *why, size_t bytes,
		     void (*stage)(const char *name))
{
	struct opencl *cl = aligned_alloc(64, (sizeof(*cl) + 63) & ~(size_t)63);
	int err;

	if (!cl)
		return -ENOMEM;
	memset(cl, 0, sizeof(*cl));
	cl->base.ops = &device_opencl;
	cl->variant = &opencl_variants[0];
	pthread_rwlock_init(&cl->use, NULL);
	cl->staged = malloc(OPENCL_STAGED);
	cl->cache = config->cache ? strdup(config->cache) : NULL;
	if (!stage)
		stage = no_stage;
	stage("looking for devices");
	err = cl->staged ? opencl_find(config, cl, why, bytes) : -ENOMEM;
	if (!err && config->image)
		err = read_image(cl, config->image, why, bytes);
	if (!err)
		err = make_ready(cl, variant, why, bytes, stage);
	if (err)
		opencl_close_here(cl);
	else
		*opened = cl;
	return err;
}

void opencl_close_here(struct opencl *cl)
{
	if (cl->session)
		opencl_session_free(cl, cl->session);
	pthread_rwlock_destroy(&cl->use);
	free(cl->cache);
	free(cl->image);
	free(cl->staged);
	free(cl);
}

int opencl_renew(struct opencl *cl)
{
	struct opencl_session *session;
	char why[256];
	int err;

	/* What still runs on a processor may be reading the host's own rows. */
	if (cl->on_cpu)
		clFinish(cl->session->queue);
	err = opencl_session_create(cl, &session, why, sizeof(why));
	if (err)
		return err;
	pthread_rwlock_wrlock(&cl->use);
	opencl_session_free(cl, cl->session); /* while `lost` is set it is left to the driver */
	cl->session = session;
	cl->generation++;
	atomic_store(&cl->lost, false);
	pthread_rwlock_unlock(&cl->use);
	return 0;
}
