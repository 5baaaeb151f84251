/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * facet.ko, inside. docs/driver.md explains what it does and why.
 *
 * Locks, outermost first:
 *   facet_ctx.submit    a context's submissions, so that numbers, arming and pushing agree
 *   dma_resv            of buffer objects, all of a submission at once
 *   facet_bank.lock     what is taken of a bank
 *   facet_device.boxes  the list of mapped buffer objects
 *   facet_unit.lock     irq-safe: a unit's rings and what runs on it
 *   facet_ctx.lock      irq-safe: states and figures of a context's jobs
 *   facet_device.files  irq-safe: who wants events
 * Watching and resets run on facet_device.wq alone, which is ordered: one at a time.
 * Registers are touched between drm_dev_enter() and drm_dev_exit(), so not after an unplug. Nothing waits
 * for a job there: an unplug waits for that, and only after it are jobs ended.
 */
#ifndef FACET_DRV_H
#define FACET_DRV_H

#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <drm/drm_device.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_mm.h>
#include <drm/drm_syncobj.h>

#include "facet_compat.h"
#include "facet_validate.h"
#include "shell/shell.h"
#include "uapi/facet_drm.h"

#define FACET_JOBS_SUBMIT  64u
#define FACET_SYNCS_SUBMIT 64u
#define FACET_JOBS_KEPT	   512u
#define FACET_CONTEXTS	   64u
#define FACET_PROGRAMS	   1024u
#define FACET_RING_LOG2	   3u /* entries of a ring, at most */
#define FACET_RING_JOBS	   4u /* in a unit's ring at a time: more would only delay who is urgent */
#define FACET_IN_VAIN	   3u /* resets of a unit that helped nothing: then the device is */
#define FACET_RERUNS	   3u /* a job that others' resets broke off so often is given up */
#define FACET_BLOCK_MAX	   (FACET_OPERANDS_MAX * sizeof(struct shell_operand) + FACET_ARGS_MAX)
#define FACET_EVENT_COUNT  6u

#define FACET_FORCE_DEVICE 31 /* a bit above those of units */

struct facet_job;
struct facet_hwmon;

/* Milliseconds, by kind of board. */
struct facet_patience {
	u32 ready, reset; /* until READY; until a reset is over */
	u32 job, job_max; /* on a unit, where the context says nothing, and the most it may say */
	u32 stall;	  /* without progress */
	u32 look;	  /* between looks at a job that takes long; what a lost interrupt costs */
};

struct facet_unit {
	struct facet_device *facet;
	struct drm_gpu_scheduler sched;
	u32 index, at; /* offset of its registers */
	u32 version, kind, clock_khz, macs, class, vector;
	u64 ops, banks;
	char name[17];

	void *memory; /* rings and job blocks, and what the board calls them */
	dma_addr_t memory_at;
	struct shell_entry *ring;
	struct shell_completion *done;
	u8 *blocks;

	spinlock_t lock;	  /* of all that follows */
	struct list_head running; /* facet_job.link, in the order of the ring */
	bool down;		  /* jobs wait in running only, registers are not to be touched */
	bool broken;		  /* the board broke the contract */
	u32 tail, head;
	u64 sequence; /* never set back, so that what is stale shows */
	ktime_t head_since, moved_at;
	u32 progress;
	u32 resets, in_vain; /* in_vain: since a job ended well */
	u64 jobs, busy_ns;

	struct delayed_work watch; /* on facet_device.wq, while something runs */
};

/* Units that can stand in for each other: one queue of a context feeds them all. */
struct facet_class {
	u32 kind;
	u64 ops, banks, units;
};

struct facet_bank {
	u32 kind, channels, rate, at;
	u64 bytes;
	char name[17];
	struct mutex lock; /* of what follows */
	struct drm_mm mm;
	struct list_head dirty; /* facet_piece.link */
	u64 dirty_bytes, free_bytes;
};

/* Part of a bank. */
struct facet_piece {
	struct drm_mm_node node;
	struct list_head link;
	u32 bank, tries;
};

struct facet_vector {
	struct facet_device *facet;
	int irq;
	u32 index;
	spinlock_t lock; /* of what follows */
	unsigned long window_end;
	u32 in_window;
	bool polled;
	struct delayed_work poll;
	unsigned long poll_end;
};

struct facet_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *regs;
	const struct facet_patience *patience;

	u32 version, kind, caps, address_bits, time_hz, image_date, link;
	u64 serial;
	u8 image_hash[32];
	char board_name[33], image_name[33];
	u32 ring_log2, sg_log2, job_log2, align_log2;
	u32 units, banks, sensors, vectors, classes;
	u32 sensor_at, sensor_stride;
	struct facet_unit unit[SHELL_UNITS_MAX];
	struct facet_class class[SHELL_UNITS_MAX];
	struct facet_bank bank[SHELL_BANKS_MAX];
	struct facet_vector vector[SHELL_VECTORS_MAX];

	struct workqueue_struct *wq; /* ordered: time-outs, resets */
	struct work_struct causes;   /* what the board has to say */
	struct work_struct wipe;
	atomic_t cause_bits;
	u32 state;		 /* DRM_FACET_HEALTH_* */
	unsigned long unplugged; /* bit 0 */
	u32 generation;
	atomic_t unit_resets, device_resets;
	atomic64_t events[FACET_EVENT_COUNT];
	atomic64_t interrupts, spurious, lost, storms;

	struct facet_ctx *self; /* for the driver's own jobs: zeroing, wiping */
	struct facet_hwmon *hwmon;
	struct dentry *debugfs;
	atomic_t inject_interrupts, inject_doorbells; /* so many to come are lost */
	unsigned long force; /* resets asked for: units, FACET_FORCE_DEVICE */
	struct mutex boxes;
	struct list_head bos;
	atomic64_t host_pages;

	spinlock_t files_lock; /* of files, and who wants events */
	struct list_head files;
};

static inline struct facet_device *to_facet(struct drm_device *drm)
{
	return container_of(drm, struct facet_device, drm);
}

struct facet_file {
	struct facet_device *facet;
	u64 id;
	u32 generation;
	struct xarray contexts, programs;
	atomic_t context_count, program_count;
	atomic64_t host_bytes, bank_bytes, compute_ns, dma_ns;

	struct list_head link;
	struct eventfd_ctx *event; /* facet_device.files_lock */
	u32 event_mask;
	struct kref ref; /* jobs outlive the file */
};

/* ---- buffer objects (facet_bo.c) ---- */
struct facet_bo {
	struct drm_gem_shmem_object base; /* a host one; of a bank's only base.base is used */
	struct facet_piece *piece;	  /* in a bank, else NULL */
	u32 flags;			  /* DRM_FACET_BO_* */
	struct facet_file *owner;	  /* whose figures it is in */

	struct list_head link; /* facet_device.bos; while it is mapped for the board */
	bool mapped;
	u32 entries;	   /* runs and links */
	u32 first_entries; /* of the first table */
	u64 address;	   /* of the one run, or of the first table */
	u32 tables;
	struct facet_sg_table {
		struct shell_sg *entry;
		dma_addr_t at;
	} * table;
};

static inline struct facet_bo *to_facet_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct facet_bo, base.base);
}

struct drm_gem_object *facet_bo_create_object(struct drm_device *drm, size_t size);
struct drm_gem_object *facet_bo_import(struct drm_device *drm, struct dma_buf_attachment *attach,
				       struct sg_table *sgt);
void facet_bo_unmap_all(struct facet_device *facet);
int facet_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_bo_mmap_offset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_bo_sync_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_bo_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* ---- board memory (facet_bank.c) ---- */
int facet_banks_init(struct facet_device *facet);
void facet_banks_fini(struct facet_device *facet);
/* Zeroed. -ENOSPC; -ERESTARTSYS. */
int facet_piece_take(struct facet_device *facet, u32 bank, u64 bytes, struct facet_piece **piece);
/* Wiped in the background, then free. */
void facet_piece_give(struct facet_device *facet, struct facet_piece *piece);
/* The board has lost its memory: nothing is left to wipe. */
void facet_banks_lost(struct facet_device *facet);

/* ---- programs (facet_prog.c) ---- */
struct facet_prog {
	struct kref ref;
	struct facet_extents extents;
	u8 args[FACET_ARGS_MAX];
};

struct facet_prog *facet_prog_get(struct facet_file *file, u32 handle);
void facet_prog_put(struct facet_prog *prog);
void facet_progs_free(struct facet_file *file);
int facet_prog_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_prog_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* ---- contexts (facet_ctx.c) ---- */
struct facet_ctx {
	struct kref ref;
	struct work_struct release; /* not on a scheduler's own thread */
	struct facet_device *facet;
	struct facet_file *file; /* NULL: the driver's own */
	u32 timeout_ms;
	struct drm_gpu_scheduler *scheds[SHELL_UNITS_MAX];
	struct drm_sched_entity entity[SHELL_UNITS_MAX]; /* by class */
	u64 classes;					 /* those that it has */

	struct mutex submit; /* see above */
	bool dead;

	spinlock_t lock; /* of what follows */
	bool banned;
	u64 next; /* sequence, from 1 */
	struct drm_facet_ctx_get_state state;
	struct drm_facet_ctx_stats stats;
	struct drm_facet_job_state kept[FACET_JOBS_KEPT];
};

struct facet_ctx *facet_ctx_new(struct facet_device *facet, struct facet_file *file, u64 units,
				u32 priority, u32 timeout_ms);
struct facet_ctx *facet_ctx_get(struct facet_file *file, u32 handle);
void facet_ctx_put(struct facet_ctx *ctx);
/* Jobs that have not begun end with ESRCH; the reference stays the caller's. */
void facet_ctx_kill(struct facet_ctx *ctx);
void facet_ctxs_free(struct facet_file *file);
/* 0: these jobs may come; -EBUSY, -ECANCELED, -ENOENT. Then each gets its record. With ctx.submit held. */
int facet_ctx_room(struct facet_ctx *ctx, u32 jobs);
void facet_ctx_admit(struct facet_ctx *ctx, struct facet_job *job);
void facet_ctx_began(struct facet_ctx *ctx, const struct facet_job *job, u64 queue_ns);
void facet_ctx_repeated(struct facet_ctx *ctx);
/* One of its jobs made a reset due; with @ban it takes no more. */
void facet_ctx_blame(struct facet_ctx *ctx, bool ban);
void facet_ctx_ended(struct facet_ctx *ctx, const struct facet_job *job, int error);
bool facet_ctx_banned(struct facet_ctx *ctx);
int facet_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_ctx_get_state_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_ctx_get_stats_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int facet_ctx_get_jobs_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* ---- jobs (facet_job.c) ---- */
struct facet_operand {
	struct drm_gem_object *obj; /* NULL: absent, or the driver's own piece */
	bool written;
};

struct facet_job {
	struct drm_sched_job base;
	bool scheduled; /* base is initialised */
	struct facet_ctx *ctx;
	struct dma_fence *fence; /* the board's part */
	struct dma_fence *after; /* finished: of the job before it in the same call */

	/* as the board gets it */
	struct shell_entry entry;
	u8 *block;

	u32 operands;
	struct facet_operand operand[FACET_OPERANDS_MAX];
	u32 class, generation;
	u64 number; /* in its context, 0: not admitted */
	u64 tag;
	ktime_t submitted;

	/* facet_unit.lock of the unit that runs it */
	struct list_head link;
	struct facet_unit *unit;
	u64 sequence;
	u32 runs;
	bool ended;
	struct shell_completion completion;
};

static inline struct facet_job *to_facet_job(struct drm_sched_job *base)
{
	return container_of(base, struct facet_job, base);
}

extern const struct drm_sched_backend_ops facet_sched_ops;
extern struct workqueue_struct *facet_put_wq;

struct facet_job *facet_job_new(struct facet_ctx *ctx, const struct facet_extents *extents,
				const void *args, u64 tag);
/* The class of units of the context that has the op and reaches the banks, or -EOPNOTSUPP. */
int facet_job_class(const struct facet_ctx *ctx, u32 op, u64 banks, bool host);
void facet_job_operand(struct facet_job *job, u32 index, const struct facet_extent *extent,
		       struct drm_gem_object *obj, u64 offset);
void facet_job_piece(struct facet_job *job, u32 index, const struct facet_piece *piece, u64 bytes);
int facet_job_init(struct facet_job *job);
/* With ctx.submit held, right before it is pushed: its finished fence. */
struct dma_fence *facet_job_arm(struct facet_job *job, struct dma_fence *after);
/* One that was never pushed. */
void facet_job_free(struct facet_job *job);
/* Off its unit's list, with the unit's lock not held: tells all who wait. */
void facet_job_end(struct facet_job *job, int error);
int facet_job_error(const struct facet_job *job);
/* Fills a piece with zeros and waits. */
int facet_job_zero(struct facet_device *facet, const struct facet_piece *piece, bool interruptible);

/* ---- submission (facet_submit.c) ---- */
int facet_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* ---- units (facet_unit.c) ---- */
int facet_units_init(struct facet_device *facet);
void facet_units_fini(struct facet_device *facet);
/* After a reset: rings, then what was running again. */
void facet_unit_start(struct facet_unit *unit);
void facet_unit_post(struct facet_unit *unit, struct facet_job *job);
/* Takes what the board has finished; how many. */
u32 facet_unit_reap(struct facet_unit *unit);
/* All that runs there ends with this error. */
void facet_unit_flush(struct facet_unit *unit, int error);
/* The watch looks now. */
void facet_unit_suspect(struct facet_unit *unit);
u32 facet_unit_queued(struct facet_unit *unit);

/* ---- interrupts (facet_irq.c) ---- */
int facet_irqs_init(struct facet_device *facet);
void facet_irqs_fini(struct facet_device *facet);

/* ---- registers and identity (facet_shell.c) ---- */
static inline u32 facet_get(const struct facet_device *facet, u32 reg)
{
	return readl(facet->regs + reg);
}

static inline void facet_set(const struct facet_device *facet, u32 reg, u32 value)
{
	writel(value, facet->regs + reg);
}

static inline u32 facet_unit_get(const struct facet_unit *unit, u32 reg)
{
	return facet_get(unit->facet, unit->at + reg);
}

static inline void facet_unit_set(const struct facet_unit *unit, u32 reg, u32 value)
{
	facet_set(unit->facet, unit->at + reg, value);
}

/* Printable, whatever the board says; name has room for bytes + 1. */
void facet_get_name(const struct facet_device *facet, u32 reg, char *name, u32 bytes);
u64 facet_get64(const struct facet_device *facet, u32 reg);
/* One that moves. */
u64 facet_get_time(const struct facet_device *facet);
/* -EPROTO, having said which register and why: a board that a driver must refuse. */
int facet_identify(struct facet_device *facet);
/* Waits for READY, resets, and sets up all but the units. */
int facet_reset_device(struct facet_device *facet);
int facet_poll(const struct facet_device *facet, u32 reg, u32 mask, u32 want, u32 limit_ms);
bool facet_gone(struct facet_device *facet);

/* ---- what goes wrong (facet_reset.c) ---- */
/* facet_unit.watch */
void facet_watch(struct work_struct *work);
/* facet_device.causes */
void facet_causes(struct work_struct *work);
/* The board is gone: nothing touches it any more, all that runs ends. May be called twice. */
void facet_lose(struct facet_device *facet);
/* Begins, after facet_reset_device(): rings, then units may run. */
void facet_start_device(struct facet_device *facet);

/* ---- telling (facet_query.c, facet_event.c) ---- */
int facet_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
/* To user memory as far as there is room, the rest of that zeroed; size becomes what there is. */
int facet_copy_out(u64 pointer, u32 *size, const void *data, u32 bytes);
void facet_event(struct facet_device *facet, u32 event);
int facet_event_fd_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void facet_event_close(struct facet_file *file);

/* ---- what is to be seen ---- */
void facet_fdinfo(struct drm_printer *p, struct drm_file *file);
void facet_show_fdinfo(struct seq_file *m, struct file *node);
/* Without it a board works all the same. */
void facet_hwmon_init(struct facet_device *facet);
void facet_hwmon_fini(struct facet_device *facet);
/* Before a reset: what the board looks like. */
void facet_dump(struct facet_device *facet, const struct facet_unit *accused, int error);
void facet_debugfs_root(bool there);
void facet_debugfs_init(struct facet_device *facet);
void facet_debugfs_fini(struct facet_device *facet);
/* One of those that are to be lost? */
static inline bool facet_inject(atomic_t *left)
{
	return unlikely(atomic_read(left)) && atomic_dec_if_positive(left) >= 0;
}

/* ---- files (facet_drv.c) ---- */
/* -ENODEV: of a time before the board lost its memory, or the board is gone; -EIO: wedged. */
int facet_file_check(const struct facet_file *file);
void facet_file_put(struct facet_file *file);

#endif
