/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The Facet driver as userspace sees it. docs/driver.md is the text to this header.
 *
 * Node: /dev/accel/accelN where the kernel has the accel class, else a render node; the same
 * numbers and structures on both. Find it by driver name ("facet"), not by number.
 *
 * Rules of this header, each with a test:
 *
 *  1. Integers have fixed widths, pointers are __u64, structures are multiples of 8 bytes, members
 *     lie at multiples of their size and holes are spelt out: 32- and 64-bit programs agree.
 *  2. A pad is zero, an unknown flag is refused with EINVAL: both may mean something later.
 *  3. Structures grow at their end only. What is not passed counts as zero, and zero means what it
 *     meant before the member was there. Structures behind a pointer come with their size
 *     (DRM_FACET_DEV_QUERY) or their stride (struct drm_facet_array); bytes that this kernel does
 *     not know must be zero.
 *  4. Nothing is removed, no number is used twice, no unions, no bit-fields, no enums as members.
 *  5. Each addition raises the minor version of the driver. Major 1 is this header.
 *  6. Times are absolute nanoseconds of CLOCK_MONOTONIC, so a restarted call waits no longer.
 *  7. Handles belong to the file they were made by. 0 is never a handle.
 *  8. No call returns EAGAIN: libdrm repeats those without end. "Full" is EBUSY.
 *
 * Errors, the same for all calls: EINVAL a parameter; EFAULT a pointer; ENOENT a handle; E2BIG a
 * structure with more than this kernel knows; ENOSPC board memory; ENOMEM host memory; EBUSY a bound
 * is reached, try later; EOPNOTSUPP this board cannot; EACCES a right is missing; EOVERFLOW past the
 * end of a buffer object; ECANCELED the context is banned; EIO the board is wedged; ENODEV the board
 * is gone, or lost its memory since the file was opened: open it again.
 */
#ifndef FACET_DRM_H
#define FACET_DRM_H

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_FACET_DEV_QUERY	 0x00
#define DRM_FACET_BO_CREATE	 0x01
#define DRM_FACET_BO_MMAP_OFFSET 0x02
#define DRM_FACET_BO_SYNC	 0x03
#define DRM_FACET_BO_WAIT	 0x04
#define DRM_FACET_CTX_CREATE	 0x05
#define DRM_FACET_CTX_DESTROY	 0x06
#define DRM_FACET_PROG_CREATE	 0x07
#define DRM_FACET_PROG_DESTROY	 0x08
#define DRM_FACET_SUBMIT	 0x09
#define DRM_FACET_CTX_GET_STATE	 0x0a
#define DRM_FACET_CTX_GET_STATS	 0x0b
#define DRM_FACET_CTX_GET_JOBS	 0x0c
#define DRM_FACET_EVENT_FD	 0x0d

/* An array of structures in user memory. */
struct drm_facet_array {
	__u64 pointer;
	__u32 count;
	__u32 stride; /* bytes from one to the next: the size that the program was built with */
};

/* ---- what there is ----------------------------------------------------------------------------
 *
 * Copies the structure of this type to `pointer`, at most `size` bytes of it (the rest of a longer
 * one is zeroed), and sets `size` to what the kernel has. With pointer 0 only that.
 */
struct drm_facet_dev_query {
	__u32 type;  /* DRM_FACET_QUERY_* */
	__u32 index; /* of the unit, bank or sensor, else 0. ENOENT: past the last one */
	__u32 size;  /* in, out */
	__u32 pad;
	__u64 pointer;
};

#define DRM_FACET_QUERY_DEVICE 0u /* struct drm_facet_device */
#define DRM_FACET_QUERY_LIMITS 1u /* struct drm_facet_limits */
#define DRM_FACET_QUERY_UNIT   2u /* struct drm_facet_unit */
#define DRM_FACET_QUERY_BANK   3u /* struct drm_facet_bank */
#define DRM_FACET_QUERY_SENSOR 4u /* struct drm_facet_sensor */
#define DRM_FACET_QUERY_TIME   5u /* struct drm_facet_time */
#define DRM_FACET_QUERY_HEALTH 6u /* struct drm_facet_health */

struct drm_facet_device {
	__u32 shell_version; /* major << 16 | minor; boards/shell/shell.h explains this and: */
	__u32 kind;	     /* enum shell_kind */
	__u32 caps;	     /* SHELL_CAP_* */
	__u32 units, banks, sensors;
	__u32 link; /* SHELL_R_LINK */
	__u32 pad;
	__u64 serial;
	__u64 image_date;
	__u8 image_hash[32];
	char board_name[32]; /* these are padded with 0, and need not end with one */
	char image_name[32];
};

struct drm_facet_limits {
	__u32 align;	      /* of an operand's place in a bank */
	__u32 jobs_submit;    /* a submit */
	__u32 syncs_submit;   /* a submit */
	__u32 jobs_pending;   /* not finished, a context */
	__u32 jobs_kept;      /* finished ones that CTX_GET_JOBS still knows, a context */
	__u32 contexts;	      /* a file */
	__u32 programs;	      /* a file */
	__u32 timeout_ms;     /* of a job, where the context says nothing */
	__u32 timeout_max_ms; /* the most that a context may ask for */
	__u32 stall_ms;	      /* a job that makes no progress for so long is ended */
	__u64 bo_bytes_max;   /* of one buffer object in host memory */
	__u64 bo_entries_max; /* runs of bus addresses that one operand may have */
};

struct drm_facet_unit {
	__u32 version; /* of its kernels */
	__u32 kind;    /* enum shell_unit */
	__u64 ops;     /* bit (1 << enum shell_op) */
	__u64 banks;   /* bit (1 << bank) that it reaches */
	__u32 clock_khz;
	__u32 macs;
	__u32 resets; /* since the driver was loaded, alone or with the device */
	__u32 queued; /* jobs in its ring now */
	__u64 jobs;   /* finished, good or bad */
	__u64 busy_ns;
	char name[16];
};

struct drm_facet_bank {
	__u32 kind; /* enum shell_bank */
	__u32 channels;
	__u64 bytes;
	__u64 bytes_free;  /* of which not all need be in one piece */
	__u64 bytes_dirty; /* freed, not wiped yet */
	__u32 rate;	   /* peak, in units of 2^20 bytes a second */
	__u32 errors_corrected, errors_lost;
	__u32 pad;
	char name[16];
};

struct drm_facet_sensor {
	__u32 kind;   /* enum shell_sensor, which tells the unit of what follows */
	__u32 status; /* SHELL_SSTATUS_* */
	__s32 value, low, warn, limit;
	char name[16];
};

/* Both clocks, read together: ticks of the board turn into nanoseconds of the host. */
struct drm_facet_time {
	__u64 board_ticks;
	__u64 board_hz;
	__u64 monotonic_ns;
};

struct drm_facet_health {
	__u32 state;	  /* DRM_FACET_HEALTH_* */
	__u32 generation; /* how often board memory was lost; a file older than that gets ENODEV */
	__u32 unit_resets, device_resets;
	__u64 events[8]; /* how often each DRM_FACET_EVENT_* bit, from bit 0, has happened */
	__u64 interrupts;
	__u64 interrupts_spurious; /* that had nothing to tell */
	__u64 interrupts_lost;	   /* jobs that were found finished without one */
	__u64 storms;	    /* times that interrupts came too fast, so that polling replaced them */
	__u64 board_errors; /* SHELL_R_ERR_COUNT */
};

#define DRM_FACET_HEALTH_OK	0u
#define DRM_FACET_HEALTH_HOT	1u /* slowed down, or stopped, by a sensor */
#define DRM_FACET_HEALTH_WEDGED 2u /* no reset helped: reload, power cycle */
#define DRM_FACET_HEALTH_GONE	3u

/* ---- buffer objects ----------------------------------------------------------------------------
 *
 * In host memory (mapped by the caller, read and written by the board over the bus), or in a bank of
 * the board (moved with SHELL_OP_COPY jobs only). Zero when made; wiped before another file sees
 * that memory. dma-bufs go in and out with the generic PRIME calls; one in a bank stays at home.
 */
struct drm_facet_bo_create {
	__u64 size;   /* in, > 0; out, rounded up */
	__u32 flags;  /* DRM_FACET_BO_* */
	__u32 bank;   /* with DRM_FACET_BO_BANK, else 0 */
	__u32 handle; /* out */
	__u32 pad;
};

#define DRM_FACET_BO_BANK     (1u << 0) /* in board memory */
#define DRM_FACET_BO_NO_MMAP  (1u << 1) /* never mapped by the caller; BANK implies it */
#define DRM_FACET_BO_READONLY (1u << 2) /* never an output: the board cannot write it */

struct drm_facet_bo_mmap_offset {
	__u32 handle;
	__u32 pad;
	__u64 offset; /* out, for mmap() of the node; EACCES: one that is never mapped */
};

/* Hands bytes over. Due after writing and before a job reads them, and after a job and before
 * reading what it wrote. Free of cost where the machine keeps caches coherent. */
struct drm_facet_bo_sync {
	__u32 handle;
	__u32 flags; /* DRM_FACET_TO_DEVICE, _FROM_DEVICE, or both */
	__u64 offset;
	__u64 length; /* 0: up to the end */
};

#define DRM_FACET_TO_DEVICE   (1u << 0)
#define DRM_FACET_FROM_DEVICE (1u << 1)

/* Until jobs that write it are done; with DRM_FACET_WAIT_IDLE, until those that read it too.
 * ETIME: not by then. Says nothing on how the jobs ended: CTX_GET_JOBS does. */
struct drm_facet_bo_wait {
	__u32 handle;
	__u32 flags;
	__s64 timeout_ns; /* absolute; <= now: only looks */
};

#define DRM_FACET_WAIT_IDLE (1u << 0)

/* ---- contexts ------------------------------------------------------------------------------------
 *
 * A queue of jobs that share a priority, a time limit and a fate. Jobs of one context on units of
 * one sort begin and end in the order of submission.
 */
struct drm_facet_ctx_create {
	__u32 priority;	  /* DRM_FACET_PRIORITY_*; above normal needs CAP_SYS_NICE (EACCES) */
	__u32 flags;	  /* 0 */
	__u64 units;	  /* bit (1 << unit) that it may use; 0: all */
	__u32 timeout_ms; /* of a job, on the unit; 0: the device's. Past its limit: EINVAL */
	__u32 ctx;	  /* out */
};

#define DRM_FACET_PRIORITY_NORMAL 0u
#define DRM_FACET_PRIORITY_LOW	  1u
#define DRM_FACET_PRIORITY_HIGH	  2u

/* Jobs that have not begun end with ESRCH, those that have run on. */
struct drm_facet_ctx_destroy {
	__u32 ctx;
	__u32 pad;
};

/* ---- programs -----------------------------------------------------------------------------------
 *
 * An op with its arguments, checked once. Its operands have lengths and directions from then on;
 * a job only says which bytes they are. `args` is the structure of the op in
 * boards/shell/kernels.h, which also tells the order of operands.
 */
struct drm_facet_prog_create {
	__u32 op;	 /* enum shell_op; EOPNOTSUPP: no unit has it */
	__u32 args_size; /* exactly the structure's */
	__u64 args;
	__u64 bytes;	/* length of the operands whose arguments do not tell it (echo, fill, the
			 * region of memtest), else 0 */
	__u32 operands; /* how many a job must name */
	__u32 flags;	/* 0 */
	__u32 prog;	/* out */
	__u32 pad;
};

/* Jobs that use it keep what they need of it. */
struct drm_facet_prog_destroy {
	__u32 prog;
	__u32 pad;
};

/* ---- submission ---------------------------------------------------------------------------------
 *
 * All jobs or none. Jobs of one submit run in the order of the array, each after the one before; a
 * failed one does not stop the others. They also wait for what other submits do to the same buffer
 * objects (readers for writers, writers for all), and for the fences of the WAIT syncs. The SIGNAL
 * syncs get a fence of the last job. Its error, where the kernel tells it (SYNC_IOC_FILE_INFO):
 *   ETIMEDOUT  it took too long or made no progress; its context is banned
 *   EIO        the board failed it; struct drm_facet_job_state has the status
 *   ECANCELED  it did not run, its context being banned: may be repeated in another
 *   ESRCH      it did not run, its context being destroyed
 *   ENODEV     the board is gone, or lost its memory
 * and EINVAL, EOVERFLOW, EOPNOTSUPP as the board judged its arguments.
 */
struct drm_facet_submit {
	__u32 ctx;
	__u32 flags;		      /* 0 */
	struct drm_facet_array jobs;  /* of struct drm_facet_job, 1 .. limits.jobs_submit */
	struct drm_facet_array syncs; /* of struct drm_facet_sync */
	__u64 first;	 /* out, sequence of the first job in its context; others follow */
	__u32 bad_what;	 /* out, after an error: DRM_FACET_BAD_* */
	__u32 bad_index; /* out: which one */
};

#define DRM_FACET_BAD_NONE 0u /* the call itself */
#define DRM_FACET_BAD_JOB  1u
#define DRM_FACET_BAD_SYNC 2u

struct drm_facet_job {
	__u32 prog;
	__u32 flags; /* 0 */
	__u64 tag;   /* the caller's: comes back in states, traces and dumps */
	struct drm_facet_array
		operands; /* of struct drm_facet_operand, as many as the program has */
};

struct drm_facet_operand {
	__u32 handle; /* 0: absent */
	__u32 pad;
	__u64 offset; /* where it begins in the buffer object; 0 if absent */
};

struct drm_facet_sync {
	__u32 handle; /* of a syncobj */
	__u32 flags;  /* DRM_FACET_SYNC_WAIT or _SIGNAL, and DRM_FACET_SYNC_TIMELINE */
	__u64 point;  /* with TIMELINE, > 0 to signal; else 0. A WAIT needs a fence that is there */
};

#define DRM_FACET_SYNC_WAIT	(1u << 0)
#define DRM_FACET_SYNC_SIGNAL	(1u << 1)
#define DRM_FACET_SYNC_TIMELINE (1u << 2)

/* ---- how it went --------------------------------------------------------------------------------- */

struct drm_facet_ctx_get_state {
	__u32 ctx;
	__u32 flags;	/* out, DRM_FACET_CTX_* */
	__u32 resets;	/* out, that jobs of it caused */
	__u32 innocent; /* out, that others caused and that made jobs of it run again */
	__s32 error;	/* out, of the last job that failed, negative errno; 0: none did */
	__u32 status;	/* out, enum shell_status of it */
	__u32 unit;	/* out, where */
	__u32 pad;
	__u64 sequence; /* out, its number */
	__u64 tag;	/* out, its tag */
};

#define DRM_FACET_CTX_TIMED_OUT (1u << 0) /* a job took too long */
#define DRM_FACET_CTX_FAULT	(1u << 1) /* the board failed a job */
#define DRM_FACET_CTX_INNOCENT	(1u << 2) /* jobs were repeated since another's made a reset due */
#define DRM_FACET_CTX_BANNED	(1u << 3) /* takes no more jobs */
#define DRM_FACET_CTX_LOST	(1u << 4) /* board memory was lost: open the node again */

struct drm_facet_ctx_get_stats {
	__u32 ctx;
	__u32 size; /* in, out: as DRM_FACET_DEV_QUERY */
	__u64 pointer;
};

struct drm_facet_ctx_stats {
	__u64 submitted;
	__u64 completed;
	__u64 timed_out, faulted, refused, cancelled, lost; /* ETIMEDOUT, EIO, by the board, ... */
	__u64 repeated;					    /* runs beyond the first */
	__u64 device_ns;				    /* on units, by the board's clock */
	__u64 queue_ns; /* from submission until given to a unit */
};

/* States of jobs [first, first + jobs.count) of a context. */
struct drm_facet_ctx_get_jobs {
	__u32 ctx;
	__u32 pad;
	__u64 first;
	struct drm_facet_array jobs; /* of struct drm_facet_job_state, <= limits.jobs_kept */
};

struct drm_facet_job_state {
	__u64 sequence;
	__u64 tag;
	__u32 state;   /* DRM_FACET_JOB_* */
	__s32 error;   /* 0 or a negative errno, once it is done */
	__u32 status;  /* enum shell_status that the board gave, where it did */
	__u16 operand; /* at fault, or 0xffff */
	__u16 unit;
	__u64 value;	 /* the op's own result */
	__u64 device_ns; /* by the board's clock */
	__u64 queue_ns;
};

#define DRM_FACET_JOB_UNKNOWN 0u /* never was, or was forgotten */
#define DRM_FACET_JOB_PENDING 1u
#define DRM_FACET_JOB_DONE    2u

/* ---- events ----------------------------------------------------------------------------------------
 *
 * An eventfd that is raised by one of these; DRM_FACET_QUERY_HEALTH counts them. One a file; fd -1
 * takes it away.
 */
struct drm_facet_event_fd {
	__s32 fd;
	__u32 mask; /* DRM_FACET_EVENT_* */
};

#define DRM_FACET_EVENT_RESET	    (1u << 0) /* a unit or the device was reset */
#define DRM_FACET_EVENT_WEDGED	    (1u << 1)
#define DRM_FACET_EVENT_GONE	    (1u << 2)
#define DRM_FACET_EVENT_SENSOR	    (1u << 3) /* one crossed a limit, either way */
#define DRM_FACET_EVENT_ERROR	    (1u << 4) /* SHELL_R_ERR_COUNT moved */
#define DRM_FACET_EVENT_MEMORY_LOST (1u << 5) /* generation moved */
#define DRM_FACET_EVENTS	    0x3fu

#define DRM_FACET_IO(nr, type) DRM_IOWR(DRM_COMMAND_BASE + (nr), struct type)

#define DRM_IOCTL_FACET_DEV_QUERY DRM_FACET_IO(DRM_FACET_DEV_QUERY, drm_facet_dev_query)
#define DRM_IOCTL_FACET_BO_CREATE DRM_FACET_IO(DRM_FACET_BO_CREATE, drm_facet_bo_create)
#define DRM_IOCTL_FACET_BO_MMAP_OFFSET                                                             \
	DRM_FACET_IO(DRM_FACET_BO_MMAP_OFFSET, drm_facet_bo_mmap_offset)
#define DRM_IOCTL_FACET_BO_SYNC	      DRM_FACET_IO(DRM_FACET_BO_SYNC, drm_facet_bo_sync)
#define DRM_IOCTL_FACET_BO_WAIT	      DRM_FACET_IO(DRM_FACET_BO_WAIT, drm_facet_bo_wait)
#define DRM_IOCTL_FACET_CTX_CREATE    DRM_FACET_IO(DRM_FACET_CTX_CREATE, drm_facet_ctx_create)
#define DRM_IOCTL_FACET_CTX_DESTROY   DRM_FACET_IO(DRM_FACET_CTX_DESTROY, drm_facet_ctx_destroy)
#define DRM_IOCTL_FACET_PROG_CREATE   DRM_FACET_IO(DRM_FACET_PROG_CREATE, drm_facet_prog_create)
#define DRM_IOCTL_FACET_PROG_DESTROY  DRM_FACET_IO(DRM_FACET_PROG_DESTROY, drm_facet_prog_destroy)
#define DRM_IOCTL_FACET_SUBMIT	      DRM_FACET_IO(DRM_FACET_SUBMIT, drm_facet_submit)
#define DRM_IOCTL_FACET_CTX_GET_STATE DRM_FACET_IO(DRM_FACET_CTX_GET_STATE, drm_facet_ctx_get_state)
#define DRM_IOCTL_FACET_CTX_GET_STATS DRM_FACET_IO(DRM_FACET_CTX_GET_STATS, drm_facet_ctx_get_stats)
#define DRM_IOCTL_FACET_CTX_GET_JOBS  DRM_FACET_IO(DRM_FACET_CTX_GET_JOBS, drm_facet_ctx_get_jobs)
#define DRM_IOCTL_FACET_EVENT_FD      DRM_FACET_IO(DRM_FACET_EVENT_FD, drm_facet_event_fd)

#if defined(__cplusplus)
}
#endif

#endif
