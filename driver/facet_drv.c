// SPDX-License-Identifier: GPL-2.0-only
/* The module: boards found and lost, files opened and closed, the table of calls. */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/wait_bit.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>

#include "facet_drv.h"

static const struct facet_patience patience[] = {
	[SHELL_KIND_SILICON] = {.ready = 10000,
				.reset = 2000,
				.job = 10000,
				.job_max = 600000,
				.stall = 2000,
				.look = 100},
	[SHELL_KIND_BRINGUP] = {.ready = 60000,
				.reset = 20000,
				.job = 60000,
				.job_max = 3600000,
				.stall = 20000,
				.look = 250},
	[SHELL_KIND_MODEL] = {.ready = 60000,
			      .reset = 20000,
			      .job = 60000,
			      .job_max = 3600000,
			      .stall = 10000,
			      .look = 100},
};

/* Boards that are not released yet: the module's text must stay for them. */
static atomic_t boards = ATOMIC_INIT(0);
static atomic64_t file_ids = ATOMIC64_INIT(0);
struct workqueue_struct *facet_put_wq;

/* ---- files ---- */

int facet_file_check(const struct facet_file *file)
{
	const struct facet_device *facet = file->facet;
	u32 state = READ_ONCE(facet->state);

	if (state == DRM_FACET_HEALTH_GONE || file->generation != READ_ONCE(facet->generation))
		return -ENODEV;
	return state == DRM_FACET_HEALTH_WEDGED ? -EIO : 0;
}

static void file_release(struct kref *ref)
{
	kfree(container_of(ref, struct facet_file, ref));
}

void facet_file_put(struct facet_file *file)
{
	kref_put(&file->ref, file_release);
}

static int open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct facet_device *facet = to_facet(drm);
	struct facet_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	file->facet = facet;
	file->id = atomic64_inc_return(&file_ids);
	file->generation = READ_ONCE(facet->generation);
	kref_init(&file->ref);
	xa_init_flags(&file->contexts, XA_FLAGS_ALLOC1);
	xa_init_flags(&file->programs, XA_FLAGS_ALLOC1);
	spin_lock_irq(&facet->files_lock);
	list_add(&file->link, &facet->files);
	spin_unlock_irq(&facet->files_lock);
	drm_file->driver_priv = file;
	return 0;
}

static void postclose(struct drm_device *drm, struct drm_file *drm_file)
{
	struct facet_device *facet = to_facet(drm);
	struct facet_file *file = drm_file->driver_priv;

	facet_event_close(file);
	spin_lock_irq(&facet->files_lock);
	list_del(&file->link);
	spin_unlock_irq(&facet->files_lock);
	facet_ctxs_free(file);
	facet_progs_free(file);
	facet_file_put(file);
}

/* ---- calls ---- */

#define CALL(name, fn) DRM_IOCTL_DEF_DRV(FACET_##name, fn, DRM_RENDER_ALLOW)

static const struct drm_ioctl_desc calls[] = {
	CALL(DEV_QUERY, facet_query_ioctl),
	CALL(BO_CREATE, facet_bo_create_ioctl),
	CALL(BO_MMAP_OFFSET, facet_bo_mmap_offset_ioctl),
	CALL(BO_SYNC, facet_bo_sync_ioctl),
	CALL(BO_WAIT, facet_bo_wait_ioctl),
	CALL(CTX_CREATE, facet_ctx_create_ioctl),
	CALL(CTX_DESTROY, facet_ctx_destroy_ioctl),
	CALL(PROG_CREATE, facet_prog_create_ioctl),
	CALL(PROG_DESTROY, facet_prog_destroy_ioctl),
	CALL(SUBMIT, facet_submit_ioctl),
	CALL(CTX_GET_STATE, facet_ctx_get_state_ioctl),
	CALL(CTX_GET_STATS, facet_ctx_get_stats_ioctl),
	CALL(CTX_GET_JOBS, facet_ctx_get_jobs_ioctl),
	CALL(EVENT_FD, facet_event_fd_ioctl),
};

/* A structure that has grown since: what this kernel does not know must be zero. */
static long call_tail(unsigned int cmd, unsigned long arg)
{
	unsigned int nr = DRM_IOCTL_NR(cmd), size = _IOC_SIZE(cmd), known;
	int zero;

	if (nr < DRM_COMMAND_BASE || nr - DRM_COMMAND_BASE >= ARRAY_SIZE(calls))
		return 0;
	known = _IOC_SIZE(calls[nr - DRM_COMMAND_BASE].cmd);
	if (size <= known)
		return 0;
	zero = check_zeroed_user((void __user *)arg + known, size - known);
	return zero < 0 ? zero : zero ? 0 : -E2BIG;
}

static long call(struct file *file, unsigned int cmd, unsigned long arg)
{
	long err = call_tail(cmd, arg);

	return err ? err : drm_ioctl(file, cmd, arg);
}

static const struct file_operations node = {.owner = THIS_MODULE,
					    .open = FACET_NODE_OPEN,
					    .release = drm_release,
					    .unlocked_ioctl = call,
					    .compat_ioctl = compat_ptr_ioctl,
					    .poll = drm_poll,
					    .read = drm_read,
					    .llseek = noop_llseek,
					    .mmap = drm_gem_mmap,
					    FACET_FOP_FLAGS FACET_FDINFO_FOPS};

static const struct drm_driver driver = {
	.driver_features =
		DRIVER_GEM | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE | FACET_NODE_FEATURE,
	.open = open,
	.postclose = postclose,
	.gem_create_object = facet_bo_create_object,
	.gem_prime_import_sg_table = facet_bo_import,
	FACET_PRIME FACET_FDINFO.fops = &node,
	.ioctls = calls,
	.num_ioctls = ARRAY_SIZE(calls),
	.name = "facet",
	.desc = "Facet accelerator",
	FACET_DRIVER_DATE.major = 1,
	.minor = 0,
};

/* ---- a board comes ---- */

static void released(struct drm_device *drm, void *data)
{
	if (atomic_dec_and_test(&boards))
		wake_up_var(&boards);
}

static void self_release(struct drm_device *drm, void *data)
{
	facet_ctx_put(to_facet(drm)->self);
}

static void wq_release(struct drm_device *drm, void *data)
{
	destroy_workqueue(to_facet(drm)->wq);
}

/* What all else hangs on; undone when the last file is closed. */
static int basics(struct facet_device *facet)
{
	int err;

	atomic_inc(&boards);
	err = drmm_add_action_or_reset(&facet->drm, released, NULL);
	if (err)
		return err;
	mutex_init(&facet->boxes);
	INIT_LIST_HEAD(&facet->bos);
	INIT_LIST_HEAD(&facet->files);
	spin_lock_init(&facet->files_lock);
	INIT_WORK(&facet->causes, facet_causes);
	facet->wq = alloc_ordered_workqueue("facet", WQ_MEM_RECLAIM);
	if (!facet->wq)
		return -ENOMEM;
	return drmm_add_action_or_reset(&facet->drm, wq_release, NULL);
}

static int map(struct facet_device *facet)
{
	struct pci_dev *pdev = facet->pdev;
	int err = pcim_enable_device(pdev);

	if (err)
		return err;
	if (pci_resource_len(pdev, SHELL_PCI_BAR) < SHELL_BAR_BYTES) {
		drm_err(&facet->drm, "refused: BAR %d is smaller than %#x bytes\n", SHELL_PCI_BAR,
			SHELL_BAR_BYTES);
		return -EPROTO;
	}
	err = pcim_iomap_regions(pdev, BIT(SHELL_PCI_BAR), "facet");
	if (err)
		return err;
	facet->regs = pcim_iomap_table(pdev)[SHELL_PCI_BAR];
	return 0;
}

static int reach(struct facet_device *facet)
{
	struct device *dev = &facet->pdev->dev;
	int err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(facet->address_bits));

	if (err)
		return err;
	dma_set_max_seg_size(dev, SZ_1G);
	pci_set_master(facet->pdev);
	return 0;
}

/* Not to be called while the board may still use what it was given. */
static void stop(struct facet_device *facet)
{
	if (!facet_gone(facet) && facet_reset_device(facet))
		drm_err(&facet->drm, "no reset: bus mastering is switched off\n");
	pci_clear_master(facet->pdev);
}

static int begin(struct facet_device *facet)
{
	int err = facet_irqs_init(facet);

	if (!err)
		err = facet_units_init(facet);
	if (err)
		goto irqs;
	facet_start_device(facet);
	facet->self = facet_ctx_new(facet, NULL, 0, DRM_FACET_PRIORITY_NORMAL, 0);
	if (IS_ERR(facet->self)) {
		err = PTR_ERR(facet->self);
		goto running;
	}
	/* Calls that are under way while the board goes still ask it for work. */
	err = drmm_add_action(&facet->drm, self_release, NULL);
	if (err) {
		facet_ctx_kill(facet->self);
		facet_ctx_put(facet->self);
		goto running;
	}
	err = facet_banks_init(facet);
	if (!err)
		err = drm_dev_register(&facet->drm, 0);
	if (!err)
		return 0;
	facet_banks_fini(facet);
	facet_ctx_kill(facet->self);
running:
	stop(facet);
irqs:
	facet_irqs_fini(facet);
	facet_units_fini(facet);
	return err;
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct facet_device *facet =
		devm_drm_dev_alloc(&pdev->dev, &driver, struct facet_device, drm);
	int err;

	if (IS_ERR(facet))
		return PTR_ERR(facet);
	facet->pdev = pdev;
	pci_set_drvdata(pdev, facet);
	err = basics(facet);
	if (!err)
		err = map(facet);
	if (!err)
		err = facet_identify(facet);
	if (err)
		return err;
	facet->patience = &patience[min_t(u32, facet->kind, SHELL_KIND_MODEL)];
	err = reach(facet);
	if (!err)
		err = facet_reset_device(facet);
	if (!err)
		err = begin(facet);
	if (err)
		return dev_err_probe(&pdev->dev, err, "no board\n");
	facet_hwmon_init(facet);
	facet_debugfs_init(facet);
	drm_info(&facet->drm, "%s, serial %016llx, image %s, %u units, %u banks\n",
		 facet->board_name, facet->serial, facet->image_name, facet->units, facet->banks);
	return 0;
}

/* ---- and goes ---- */

static void remove(struct pci_dev *pdev)
{
	struct facet_device *facet = pci_get_drvdata(pdev);
	bool gone = facet_gone(facet);
	u32 i;

	facet_debugfs_fini(facet);
	facet_hwmon_fini(facet);
	facet_lose(facet);
	cancel_work_sync(&facet->causes);
	for (i = 0; i < facet->units; i++)
		cancel_delayed_work_sync(&facet->unit[i].watch);
	for (i = 0; i < facet->units; i++)
		facet_unit_flush(&facet->unit[i], -ENODEV);
	facet_banks_fini(facet);
	facet_ctx_kill(facet->self);
	if (!gone)
		stop(facet);
	facet_irqs_fini(facet);
	facet_bo_unmap_all(facet);
	facet_units_fini(facet);
}

/* The machine goes down, or another kernel comes: nothing is freed, but the board is quiet. */
static void shutdown(struct pci_dev *pdev)
{
	struct facet_device *facet = pci_get_drvdata(pdev);

	facet_lose(facet);
	stop(facet);
}

static const struct pci_device_id ids[] = {
	{PCI_DEVICE(SHELL_PCI_VENDOR, SHELL_PCI_DEVICE)},
	{},
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver pci = {
	.name = "facet",
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.shutdown = shutdown,
};

static int __init facet_init(void)
{
	int err;

	facet_put_wq = alloc_workqueue("facet-put", WQ_UNBOUND, 0);
	if (!facet_put_wq)
		return -ENOMEM;
	facet_debugfs_root(true);
	err = pci_register_driver(&pci);
	if (err) {
		facet_debugfs_root(false);
		destroy_workqueue(facet_put_wq);
	}
	return err;
}

static void __exit facet_exit(void)
{
	pci_unregister_driver(&pci);
	wait_var_event(&boards, !atomic_read(&boards));
	facet_debugfs_root(false);
	destroy_workqueue(facet_put_wq);
}

module_init(facet_init);
module_exit(facet_exit);

MODULE_DESCRIPTION("Facet accelerators");
MODULE_AUTHOR("The Facet authors");
MODULE_LICENSE("GPL");
