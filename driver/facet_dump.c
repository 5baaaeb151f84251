// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the board looked like before it was reset, as a devcoredump: text, so that it can be read without
 * a tool and sent with a report. No data of jobs is in it, only what they were.
 */
#include <linux/devcoredump.h>
#include <linux/vmalloc.h>
#include <drm/drm_print.h>

#include "facet_drv.h"

#define DUMP_BYTES SZ_64K

static const struct {
	const char *name;
	u32 at;
} board_registers[] = {
	{"CONTROL", SHELL_R_CONTROL},
	{"STATUS", SHELL_R_STATUS},
	{"RESETS", SHELL_R_RESETS},
	{"LINK", SHELL_R_LINK},
	{"INT_CAUSE", SHELL_R_INT_CAUSE},
	{"INT_MASK", SHELL_R_INT_MASK},
	{"ERR_CAUSE", SHELL_R_ERR_CAUSE},
	{"ERR_UNIT", SHELL_R_ERR_UNIT},
	{"ERR_INFO", SHELL_R_ERR_INFO},
	{"ERR_ADDR_LO", SHELL_R_ERR_ADDR_LO},
	{"ERR_ADDR_HI", SHELL_R_ERR_ADDR_LO + 4},
	{"ERR_COUNT", SHELL_R_ERR_COUNT},
};

static const struct {
	const char *name;
	u32 at;
} unit_registers[] = {
	{"CONTROL", SHELL_U_CONTROL}, {"STATUS", SHELL_U_STATUS},     {"STOP", SHELL_U_STOP},
	{"RESETS", SHELL_U_RESETS},   {"PROGRESS", SHELL_U_PROGRESS}, {"TAIL", SHELL_U_TAIL},
	{"HEAD", SHELL_U_HEAD},	      {"VECTOR", SHELL_U_VECTOR},
};

static void dump_board(struct facet_device *facet, struct drm_printer *p)
{
	u32 i;

	drm_printf(p, "facet dump 1\nboard %s serial %016llx image %s shell %#x\n",
		   facet->board_name, facet->serial, facet->image_name, facet->version);
	drm_printf(p, "resets of units %d of the device %d\n", atomic_read(&facet->unit_resets),
		   atomic_read(&facet->device_resets));
	for (i = 0; i < ARRAY_SIZE(board_registers); i++)
		drm_printf(p, "  %-12s %#010x\n", board_registers[i].name,
			   facet_get(facet, board_registers[i].at));
}

static void dump_jobs(struct facet_unit *unit, struct drm_printer *p)
{
	const struct facet_job *job;
	unsigned long flags;
	ktime_t now = ktime_get();

	spin_lock_irqsave(&unit->lock, flags);
	list_for_each_entry (job, &unit->running, link)
		drm_printf(p, "  job %llu op %u tag %#llx run %u submitted %lld ms ago\n",
			   job->sequence, le16_to_cpu(job->entry.op), job->tag, job->runs,
			   ktime_ms_delta(now, job->submitted));
	spin_unlock_irqrestore(&unit->lock, flags);
}

static void dump_unit(struct facet_unit *unit, bool accused, struct drm_printer *p)
{
	u32 i;

	drm_printf(p, "unit %u %s%s head %u tail %u jobs %llu\n", unit->index, unit->name,
		   accused ? " (accused)" : "", unit->head, unit->tail, unit->jobs);
	for (i = 0; i < ARRAY_SIZE(unit_registers); i++)
		drm_printf(p, "  %-12s %#010x\n", unit_registers[i].name,
			   facet_unit_get(unit, unit_registers[i].at));
	dump_jobs(unit, p);
}

void facet_dump(struct facet_device *facet, const struct facet_unit *accused, int error)
{
	char *text = vzalloc(DUMP_BYTES);
	struct drm_print_iterator it = {.data = text, .remain = DUMP_BYTES - 1};
	struct drm_printer p = drm_coredump_printer(&it);
	u32 i;

	if (!text)
		return;
	dump_board(facet, &p);
	drm_printf(&p, "reason %d\n", error);
	for (i = 0; i < facet->units; i++)
		dump_unit(&facet->unit[i], &facet->unit[i] == accused, &p);
	/* It is the framework's from here on; one that nobody has read yet stays, this one goes. */
	dev_coredumpv(&facet->pdev->dev, text, DUMP_BYTES - 1 - it.remain, GFP_KERNEL);
}
