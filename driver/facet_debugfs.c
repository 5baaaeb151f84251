// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs, facet/<PCI address>: what the units do, and faults on command, so that what a board's faults
 * lead to can be seen on any board:
 *   units               a line a unit
 *   inject/interrupts   the next so many interrupts are not looked at
 *   inject/doorbells    the next so many jobs are put on a ring without telling the board
 *   inject/reset        a unit's number, or "device": reset it now
 */
#include <linux/debugfs.h>
#include <drm/drm_drv.h>

#include "facet_drv.h"

static struct dentry *root;

static int units_show(struct seq_file *m, void *data)
{
	struct facet_device *facet = m->private;
	u32 i;

	for (i = 0; i < facet->units; i++) {
		struct facet_unit *unit = &facet->unit[i];

		seq_printf(m, "%u %s kind %u queued %u jobs %llu busy_ns %llu resets %u%s\n", i,
			   unit->name, unit->kind, facet_unit_queued(unit), unit->jobs,
			   unit->busy_ns, unit->resets, READ_ONCE(unit->down) ? " down" : "");
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(units);

static int reset_number(const struct facet_device *facet, const char *text)
{
	u32 unit;
	int err;

	if (!strcmp(text, "device"))
		return FACET_FORCE_DEVICE;
	err = kstrtou32(text, 0, &unit);
	if (err)
		return err;
	return unit < facet->units ? (int)unit : -EINVAL;
}

static ssize_t reset_write(struct file *file, const char __user *from, size_t bytes, loff_t *at)
{
	struct facet_device *facet = file->private_data;
	char text[16];
	ssize_t got = simple_write_to_buffer(text, sizeof(text) - 1, at, from, bytes);
	int what, entered;

	if (got < 0)
		return got;
	text[got] = 0;
	what = reset_number(facet, strim(text));
	if (what < 0)
		return what;
	if (!drm_dev_enter(&facet->drm, &entered))
		return -ENODEV;
	set_bit(what, &facet->force);
	facet_unit_suspect(&facet->unit[what == FACET_FORCE_DEVICE ? 0 : what]);
	drm_dev_exit(entered);
	return bytes;
}

static const struct file_operations reset_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = reset_write,
	.llseek = noop_llseek,
};

void facet_debugfs_init(struct facet_device *facet)
{
	struct dentry *inject;

	facet->debugfs = debugfs_create_dir(pci_name(facet->pdev), root);
	debugfs_create_file("units", 0444, facet->debugfs, facet, &units_fops);
	inject = debugfs_create_dir("inject", facet->debugfs);
	debugfs_create_atomic_t("interrupts", 0600, inject, &facet->inject_interrupts);
	debugfs_create_atomic_t("doorbells", 0600, inject, &facet->inject_doorbells);
	debugfs_create_file("reset", 0200, inject, facet, &reset_fops);
}

void facet_debugfs_fini(struct facet_device *facet)
{
	debugfs_remove(facet->debugfs);
	facet->debugfs = NULL;
}

void facet_debugfs_root(bool there)
{
	if (there)
		root = debugfs_create_dir("facet", NULL);
	else
		debugfs_remove(root);
}
