/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what this machine has for Facet and what it lacks: cause and remedy, a line each. */
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/device/opencl_list.h"
#include "host/facetctl/ctl.h"

#define FILES_WANTED 4096u
#define VENDOR_OURS  "0xfac7"

enum verdict { FINE, ABSENT, WEAK, BAD };

struct finding {
	enum verdict verdict;
	char text[200], remedy[200];
};

struct doctor {
	struct ctl *ctl;
	const char *root; /* of the files that are looked at; "" but for tests */
	const char *libexec;
	bool bad;
};

__attribute__((format(printf, 4, 5))) static void say(struct finding *f, enum verdict verdict,
						      const char *remedy, const char *format, ...)
{
	va_list args;

	f->verdict = verdict;
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
}

/* ---- looking ----------------------------------------------------------------------------------- */

/* The beginning of a file, as a string; false: it cannot be read. */
static bool read_text(const struct doctor *d, const char *path, char *text, size_t bytes)
{
	char full[512];
	size_t n;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", d->root, path);
	f = fopen(full, "re");
	if (!f)
		return false;
	n = fread(text, 1, bytes - 1, f);
	text[n] = '\0';
	fclose(f);
	return true;
}

static size_t matches(const struct doctor *d, const char *pattern, glob_t *found)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", d->root, pattern);
	memset(found, 0, sizeof(*found));
	return glob(full, 0, NULL, found) ? 0 : found->gl_pathc;
}

static bool exists(const struct doctor *d, const char *path)
{
	glob_t found;
	bool is = matches(d, path, &found) > 0;

	globfree(&found);
	return is;
}

/* ---- the checks -------------------------------------------------------------------------------- */

static void check_processor(const struct doctor *d, struct finding *f)
{
	static char text[1 << 16];

	if (!read_text(d, "/proc/cpuinfo", text, sizeof(text)))
		say(f, WEAK, "mount /proc", "/proc/cpuinfo cannot be read");
	else if (strstr(text, "avx512_vnni"))
		say(f, FINE, "", "AVX-512 VNNI");
	else if (strstr(text, " avx2"))
		say(f, WEAK,
		    "none is needed; a processor with AVX-512 VNNI is several times faster",
		    "AVX2, no AVX-512 VNNI");
	else
		say(f, WEAK, "use a processor with AVX2 or AVX-512 VNNI",
		    "neither AVX2 nor AVX-512 VNNI: the portable kernels serve");
}

static void check_pages(const struct doctor *d, struct finding *f)
{
	char text[128];

	if (!read_text(d, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)))
		say(f, WEAK, "a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
		    "no transparent huge pages: searches miss the TLB");
	else if (strstr(text, "[never]"))
		say(f, WEAK, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
		    "transparent huge pages are switched off");
	else
		say(f, FINE, "", "transparent huge pages are on");
}

static void check_files(const struct doctor *d, struct finding *f)
{
	struct rlimit limit;

	(void)d;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < FILES_WANTED)
		say(f, WEAK, "LimitNOFILE=65536 in the unit, or ulimit -Hn 65536",
		    "%llu open files at most: some thousand clients need more",
		    (unsigned long long)limit.rlim_max);
	else
		say(f, FINE, "", "%llu open files at most", (unsigned long long)limit.rlim_max);
}

static void check_daemon(const struct doctor *d, struct finding *f)
{
	const struct facet_params params = {.size = sizeof(params), .no_reconnect = true};
	struct facet *c = NULL;

	if (facet_connect(d->ctl->socket, &params, &c) == 0)
		say(f, FINE, "", "facetd answers");
	else
		say(f, ABSENT, "systemctl start facetd, or name its socket with -s", "%s",
		    c ? facet_error(c)->text : "facetd does not answer");
	facet_close(c);
}

static void check_opencl(const struct doctor *d, struct finding *f)
{
	const struct device_config config = {.libexec = d->libexec};
	struct opencl_listed list[16];
	char why[160] = "";
	int n;

	if (!exists(d, "/etc/OpenCL/vendors/*.icd")) {
		say(f, ABSENT, "the board's driver package, or pocl-opencl-icd for the processor",
		    "no OpenCL driver is registered in /etc/OpenCL/vendors");
		return;
	}
	n = opencl_list(&config, list, 16, why, sizeof(why));
	if (n < 0)
		say(f, BAD, "remove or mend the driver's .icd file", "%s", why);
	else if (!n)
		say(f, BAD, "is its device there, and may you open it (group render)?",
		    "drivers are registered, none has a device");
	else if (!list[0].usable)
		say(f, WEAK, "another driver, or another device", "%s lacks %s", list[0].name,
		    list[0].lacks);
	else
		say(f, FINE, "", "%d device%s, first %s (%s)", n, n > 1 ? "s" : "", list[0].name,
		    list[0].platform);
}

/* How many cards of ours there are, and how many without a driver. */
static size_t cards(const struct doctor *d, size_t *idle)
{
	glob_t found;
	size_t n = matches(d, "/sys/bus/pci/devices/*/vendor", &found), ours = 0;

	*idle = 0;
	for (size_t i = 0; i < n; i++) {
		char vendor[16] = "", driver[512];
		struct stat st;
		FILE *file = fopen(found.gl_pathv[i], "re");

		if (file && !fgets(vendor, sizeof(vendor), file))
			vendor[0] = '\0';
		if (file)
			fclose(file);
		if (strncmp(vendor, VENDOR_OURS, strlen(VENDOR_OURS)) != 0)
			continue;
		ours++;
		snprintf(driver, sizeof(driver), "%.*s/driver",
			 (int)(strlen(found.gl_pathv[i]) - strlen("/vendor")), found.gl_pathv[i]);
		*idle += stat(driver, &st) != 0;
	}
	globfree(&found);
	return ours;
}

static void check_cards(const struct doctor *d, struct finding *f)
{
	size_t idle, n = cards(d, &idle);

	if (!n)
		say(f, ABSENT, "none is needed", "no card with the Facet shell in a slot");
	else if (idle)
		say(f, BAD, "load the driver of the card (modprobe facet)",
		    "%zu of %zu cards have no driver", idle, n);
	else
		say(f, FINE, "", "%zu card%s, each with a driver", n, n > 1 ? "s" : "");
}

static void check_nodes(const struct doctor *d, struct finding *f)
{
	static const char *const patterns[] = {"/dev/accel/accel*", "/dev/dri/renderD*"};
	size_t all = 0, closed = 0;

	for (size_t p = 0; p < 2; p++) {
		glob_t found;
		size_t n = matches(d, patterns[p], &found);

		all += n;
		for (size_t i = 0; i < n; i++)
			closed += access(found.gl_pathv[i], R_OK | W_OK) != 0;
		globfree(&found);
	}
	if (!all)
		say(f, ABSENT, "none is needed without a board", "no accel or render node");
	else if (closed)
		say(f, WEAK, "add this user to the group of the nodes (ls -l /dev/accel /dev/dri)",
		    "%zu of %zu nodes may not be opened by this user", closed, all);
	else
		say(f, FINE, "", "%zu node%s, all may be opened", all, all > 1 ? "s" : "");
}

static void check_iommu(const struct doctor *d, struct finding *f)
{
	if (exists(d, "/sys/class/iommu/*"))
		say(f, FINE, "", "an IOMMU is on");
	else
		say(f, ABSENT,
		    "intel_iommu=on or amd_iommu=on, and the firmware's setting: a board reaches "
		    "all memory without one",
		    "no IOMMU is on");
}

static void check_xrt(const struct doctor *d, struct finding *f)
{
	const char *folder = getenv("XILINX_XRT");
	bool library = exists(d, "/usr/lib/*/libxrt_core*") || exists(d, "/opt/xilinx/xrt");

	if (folder && access(folder, X_OK))
		say(f, BAD, "unset XILINX_XRT, or name the folder of XRT",
		    "XILINX_XRT is %.100s, which is not there: XRT aborts on that", folder);
	else if (library)
		say(f, FINE, "", "XRT is installed; this daemon has no backend for it yet");
	else
		say(f, ABSENT, "none is needed: this daemon has no backend for it yet",
		    "XRT is not installed");
}

static const struct {
	const char *name;
	void (*run)(const struct doctor *d, struct finding *f);
} checks[] = {
	{"processor", check_processor}, {"huge pages", check_pages}, {"open files", check_files},
	{"daemon", check_daemon},	{"opencl", check_opencl},    {"cards", check_cards},
	{"nodes", check_nodes},		{"iommu", check_iommu},	     {"xrt", check_xrt},
};

/* ---- the command ------------------------------------------------------------------------------- */

struct input {
	struct ctl_input common;
	const char *root;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'R':
		in->root = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Helpers lie beside this program in a build, else where they are installed. */
static const char *find_libexec(char *path, size_t bytes)
{
	ssize_t n = readlink("/proc/self/exe", path, bytes - 32);
	char *slash;

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash, "/facet-opencl-probe");
	if (access(path, X_OK))
		return NULL;
	*slash = '\0';
	return path;
}

int cmd_doctor(struct ctl *ctl, int argc, char **argv)
{
	static const char *const verdicts[] = {"ok", "absent", "weak", "BAD"};
	static const struct argp_option options[] = {
		{"root", 'R', "DIR", 0, "look at the files below this folder", 0},
		{NULL, 0, NULL, 0, NULL, 0}};
	static const struct argp argp = {options,
					 parse,
					 "",
					 "What this machine has for Facet, and what it lacks: "
					 "cause and remedy. Exit: 0, or 1 "
					 "if something is broken.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}, .root = ""};
	struct doctor d = {.ctl = ctl};
	char path[4096];

	ctl_parse(ctl, &argp, argc, argv, &in);
	d.root = in.root;
	d.libexec = find_libexec(path, sizeof(path));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct json_object *row = output_row_new();
		struct finding f = {0};

		checks[i].run(&d, &f);
		d.bad |= f.verdict == BAD;
		output_text(row, "what", checks[i].name);
		output_text(row, "is", verdicts[f.verdict]);
		output_text(row, "cause", f.text);
		output_text(row, "remedy", f.remedy);
		output_row(ctl->out, row);
	}
	return ctl_end(ctl, false, d.bad ? CTL_NO_MATCH : CTL_OK);
}
