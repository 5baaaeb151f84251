// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffer objects. One in host memory is shmem pages that are pinned and mapped for the board when it is
 * made, with the tables of runs that the board reads; one in a bank has no pages at all.
 */
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>

#include "facet_drv.h"

#define BO_BYTES_MAX (1ull << 40)
#define TABLE_RUNS   (PAGE_SIZE / sizeof(struct shell_sg))

/* ---- tables of runs ---- */

static void tables_free(struct facet_bo *bo)
{
	struct device *dev = bo->base.base.dev->dev;
	u32 i;

	for (i = 0; bo->table && i < bo->tables; i++)
		if (bo->table[i].entry)
			dma_free_coherent(dev, PAGE_SIZE, bo->table[i].entry, bo->table[i].at);
	kvfree(bo->table);
	bo->table = NULL;
	bo->tables = 0;
}

/* All but the last table give their last entry to the link. */
static u32 tables_for(u32 runs)
{
	return runs <= TABLE_RUNS ? 1 : 1 + DIV_ROUND_UP(runs - TABLE_RUNS, TABLE_RUNS - 1);
}

static int tables_alloc(struct facet_bo *bo, u32 runs)
{
	struct device *dev = bo->base.base.dev->dev;
	u32 i;

	bo->tables = tables_for(runs);
	bo->entries = runs + bo->tables - 1;
	bo->table = kvcalloc(bo->tables, sizeof(*bo->table), GFP_KERNEL);
	if (!bo->table)
		return -ENOMEM;
	for (i = 0; i < bo->tables; i++) {
		bo->table[i].entry =
			dma_alloc_coherent(dev, PAGE_SIZE, &bo->table[i].at, GFP_KERNEL);
		if (!bo->table[i].entry)
			return -ENOMEM;
	}
	return 0;
}

static void run_set(struct shell_sg *entry, u64 address, u32 length, u32 flags)
{
	entry->address = cpu_to_le64(address);
	entry->length = cpu_to_le32(length);
	entry->flags = cpu_to_le32(flags);
}

static void tables_fill(struct facet_bo *bo, struct sg_table *sgt, u32 runs)
{
	struct scatterlist *sg;
	u32 i, table = 0, at = 0, left = runs;

	for_each_sgtable_dma_sg (sgt, sg, i) {
		if (at == TABLE_RUNS - 1 && left > 1) {
			u32 next = min_t(u32, left, TABLE_RUNS);

			run_set(&bo->table[table].entry[at], bo->table[table + 1].at, next,
				SHELL_SG_LINK);
			table++;
			at = 0;
		}
		run_set(&bo->table[table].entry[at++], sg_dma_address(sg), sg_dma_len(sg), 0);
		left--;
	}
	bo->first_entries = min_t(u32, runs, TABLE_RUNS);
	bo->address = bo->table[0].at;
}

/* ---- for the board ---- */

static int bo_map(struct facet_bo *bo, struct sg_table *sgt)
{
	struct facet_device *facet = to_facet(bo->base.base.dev);
	u32 runs = sgt->nents;
	int err;

	if (runs == 1) {
		bo->address = sg_dma_address(sgt->sgl);
		bo->entries = 1;
		return 0;
	}
	if (runs + tables_for(runs) - 1 > 1u << facet->sg_log2)
		return -ENOMEM; /* too scattered for this board */
	err = tables_alloc(bo, runs);
	if (err)
		tables_free(bo);
	else
		tables_fill(bo, sgt, runs);
	return err;
}

static void bo_listed(struct facet_bo *bo, bool on)
{
	struct facet_device *facet = to_facet(bo->base.base.dev);
	s64 pages = bo->base.base.size >> PAGE_SHIFT;

	mutex_lock(&facet->boxes);
	if (on)
		list_add(&bo->link, &facet->bos);
	else
		list_del_init(&bo->link);
	mutex_unlock(&facet->boxes);
	atomic64_add(on ? pages : -pages, &facet->host_pages);
}

/* Those of another driver's memory are let go with their attachment. */
static void bo_unmap(struct facet_bo *bo)
{
	struct drm_gem_shmem_object *shmem = &bo->base;

	tables_free(bo);
	if (!shmem->base.import_attach && shmem->sgt) {
		dma_unmap_sgtable(shmem->base.dev->dev, shmem->sgt, DMA_BIDIRECTIONAL, 0);
		sg_free_table(shmem->sgt);
		kfree(shmem->sgt);
		shmem->sgt = NULL;
	}
	bo->mapped = false;
}

void facet_bo_unmap_all(struct facet_device *facet)
{
	struct facet_bo *bo;

	mutex_lock(&facet->boxes);
	list_for_each_entry (bo, &facet->bos, link)
		if (bo->mapped)
			bo_unmap(bo);
	mutex_unlock(&facet->boxes);
}

/* ---- the ends ---- */

static void uncharge(struct facet_bo *bo)
{
	if (!bo->owner)
		return;
	atomic64_sub(bo->base.base.size,
		     bo->piece ? &bo->owner->bank_bytes : &bo->owner->host_bytes);
	facet_file_put(bo->owner);
	bo->owner = NULL;
}

static void charge(struct facet_bo *bo, struct facet_file *file)
{
	kref_get(&file->ref);
	bo->owner = file;
	atomic64_add(bo->base.base.size, bo->piece ? &file->bank_bytes : &file->host_bytes);
}

static void host_free(struct drm_gem_object *obj)
{
	struct facet_bo *bo = to_facet_bo(obj);

	uncharge(bo);
	if (!list_empty(&bo->link))
		bo_listed(bo, false);
	if (bo->mapped)
		tables_free(bo);
	drm_gem_shmem_free(&bo->base);
}

static void bank_free(struct drm_gem_object *obj)
{
	struct facet_bo *bo = to_facet_bo(obj);

	uncharge(bo);
	facet_piece_give(to_facet(obj->dev), bo->piece);
	drm_gem_object_release(obj);
	kfree(bo);
}

static struct dma_buf *bank_export(struct drm_gem_object *obj, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static const struct drm_gem_object_funcs host_funcs = {
	.free = host_free,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

static const struct drm_gem_object_funcs bank_funcs = {
	.free = bank_free,
	.export = bank_export,
};

/* ---- making ---- */

struct drm_gem_object *facet_bo_create_object(struct drm_device *drm, size_t size)
{
	struct facet_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&bo->link);
	bo->base.base.funcs = &host_funcs;
	return &bo->base.base;
}

static int host_map(struct facet_bo *bo, struct sg_table *sgt)
{
	int err = bo_map(bo, sgt);

	if (err)
		return err;
	bo->mapped = true;
	bo_listed(bo, true);
	return 0;
}

struct drm_gem_object *facet_bo_import(struct drm_device *drm, struct dma_buf_attachment *attach,
				       struct sg_table *sgt)
{
	struct drm_gem_object *obj = drm_gem_shmem_prime_import_sg_table(drm, attach, sgt);
	struct facet_bo *bo;
	int err;

	if (IS_ERR(obj))
		return obj;
	bo = to_facet_bo(obj);
	err = host_map(bo, sgt);
	if (!err)
		return obj;
	/* The caller still owns the mapping. */
	obj->import_attach = NULL;
	bo->base.sgt = NULL;
	drm_gem_object_put(obj);
	return ERR_PTR(err);
}

static struct facet_bo *host_create(struct drm_device *drm, u64 size)
{
	struct drm_gem_shmem_object *shmem = drm_gem_shmem_create(drm, size);
	struct sg_table *sgt;
	int err;

	if (IS_ERR(shmem))
		return ERR_CAST(shmem);
	sgt = drm_gem_shmem_get_pages_sgt(shmem);
	err = PTR_ERR_OR_ZERO(sgt);
	if (!err)
		err = host_map(to_facet_bo(&shmem->base), sgt);
	if (!err)
		return to_facet_bo(&shmem->base);
	drm_gem_object_put(&shmem->base);
	return ERR_PTR(err);
}

/* Not between drm_dev_enter() and drm_dev_exit(): it waits for a job, which an unplug would have to end. */
static struct facet_bo *bank_create(struct drm_device *drm, u64 size, u32 bank)
{
	struct facet_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);
	int err;

	if (!bo)
		return ERR_PTR(-ENOMEM);
	err = facet_piece_take(to_facet(drm), bank, size, &bo->piece);
	if (err) {
		kfree(bo);
		return ERR_PTR(err);
	}
	INIT_LIST_HEAD(&bo->link);
	drm_gem_private_object_init(drm, &bo->base.base, size);
	bo->base.base.funcs = &bank_funcs;
	return bo;
}

static int create_check(const struct facet_device *facet, struct drm_facet_bo_create *args)
{
	const u32 known = DRM_FACET_BO_BANK | DRM_FACET_BO_NO_MMAP | DRM_FACET_BO_READONLY;
	bool bank = args->flags & DRM_FACET_BO_BANK;
	u64 most = bank && args->bank < facet->banks ? facet->bank[args->bank].bytes : BO_BYTES_MAX;

	if (args->flags & ~known || args->pad || args->handle || !args->size)
		return -EINVAL;
	if (bank ? args->bank >= facet->banks : args->bank)
		return -EINVAL;
	if (args->size > most)
		return bank ? -ENOSPC : -EINVAL;
	args->size = PAGE_ALIGN(args->size);
	return 0;
}

int facet_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct facet_device *facet = to_facet(drm);
	struct drm_facet_bo_create *args = data;
	struct facet_bo *bo;
	int err = facet_file_check(drm_file->driver_priv), entered;

	if (!err)
		err = create_check(facet, args);
	if (err)
		return err;
	if (args->flags & DRM_FACET_BO_BANK) {
		bo = bank_create(drm, args->size, args->bank);
	} else if (drm_dev_enter(drm, &entered)) {
		bo = host_create(drm, args->size);
		drm_dev_exit(entered);
	} else {
		bo = ERR_PTR(-ENODEV);
	}
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	bo->flags = args->flags;
	charge(bo, drm_file->driver_priv);
	err = drm_gem_handle_create(drm_file, &bo->base.base, &args->handle);
	drm_gem_object_put(&bo->base.base);
	return err;
}

/* ---- other calls ---- */

int facet_bo_mmap_offset_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_facet_bo_mmap_offset *args = data;
	struct drm_gem_object *obj;
	int err;

	if (args->pad)
		return -EINVAL;
	obj = drm_gem_object_lookup(drm_file, args->handle);
	if (!obj)
		return -ENOENT;
	if (to_facet_bo(obj)->flags & (DRM_FACET_BO_BANK | DRM_FACET_BO_NO_MMAP) ||
	    obj->import_attach) {
		err = -EACCES;
	} else {
		err = drm_gem_create_mmap_offset(obj);
		args->offset = drm_vma_node_offset_addr(&obj->vma_node);
	}
	drm_gem_object_put(obj);
	return err;
}

static int sync_check(const struct drm_gem_object *obj, struct drm_facet_bo_sync *args)
{
	if (args->offset > obj->size || args->length > obj->size - args->offset)
		return -EOVERFLOW;
	return to_facet_bo((struct drm_gem_object *)obj)->piece ? -EOPNOTSUPP : 0;
}

/* [begin, end) of the object, run by run. */
static void sync_runs(struct device *dev, struct sg_table *sgt, u64 begin, u64 end, u32 flags)
{
	struct scatterlist *sg;
	u64 at = 0;
	u32 i;

	for_each_sgtable_dma_sg (sgt, sg, i) {
		u64 from = max(begin, at), to = min(end, at + sg_dma_len(sg));

		if (from < to && flags & DRM_FACET_TO_DEVICE)
			dma_sync_single_range_for_device(dev, sg_dma_address(sg), from - at,
							 to - from, DMA_BIDIRECTIONAL);
		if (from < to && flags & DRM_FACET_FROM_DEVICE)
			dma_sync_single_range_for_cpu(dev, sg_dma_address(sg), from - at, to - from,
						      DMA_BIDIRECTIONAL);
		at += sg_dma_len(sg);
	}
}

static int sync_range(struct facet_device *facet, struct facet_bo *bo,
		      const struct drm_facet_bo_sync *args)
{
	u64 end = args->length ? args->offset + args->length : bo->base.base.size;
	int err = 0;

	mutex_lock(&facet->boxes);
	if (!bo->mapped || !bo->base.sgt)
		err = -ENODEV;
	else
		sync_runs(facet->drm.dev, bo->base.sgt, args->offset, end, args->flags);
	mutex_unlock(&facet->boxes);
	return err;
}

int facet_bo_sync_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	const u32 known = DRM_FACET_TO_DEVICE | DRM_FACET_FROM_DEVICE;
	struct drm_facet_bo_sync *args = data;
	struct drm_gem_object *obj;
	int err;

	if (!args->flags || args->flags & ~known)
		return -EINVAL;
	obj = drm_gem_object_lookup(drm_file, args->handle);
	if (!obj)
		return -ENOENT;
	err = sync_check(obj, args);
	if (!err)
		err = sync_range(to_facet(drm), to_facet_bo(obj), args);
	drm_gem_object_put(obj);
	return err;
}

int facet_bo_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	const struct drm_facet_bo_wait *args = data;
	bool idle = args->flags & DRM_FACET_WAIT_IDLE;
	s64 left = args->timeout_ns - ktime_get_ns();
	unsigned long jiffies_left = left <= 0 ? 0 : nsecs_to_jiffies64(left) + 1;
	struct drm_gem_object *obj;
	long got;

	if (args->flags & ~DRM_FACET_WAIT_IDLE)
		return -EINVAL;
	obj = drm_gem_object_lookup(drm_file, args->handle);
	if (!obj)
		return -ENOENT;
	if (!jiffies_left)
		got = dma_resv_test_signaled(obj->resv, dma_resv_usage_rw(idle));
	else
		got = dma_resv_wait_timeout(
			obj->resv, dma_resv_usage_rw(idle), true,
			min_t(unsigned long, jiffies_left, MAX_SCHEDULE_TIMEOUT - 1));
	drm_gem_object_put(obj);
	if (got < 0)
		return got;
	return got ? 0 : -ETIME;
}
