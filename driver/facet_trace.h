/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events, system "facet": a job's way over a unit, and resets. The tag is the submitter's own, so
 * that a line here can be put beside a line of its log.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM facet

#if !defined(FACET_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FACET_TRACE_H

#include <linux/tracepoint.h>

#include "facet_drv.h"

/* These macros have a style of their own. */
/* clang-format off */
DECLARE_EVENT_CLASS(facet_job,
	TP_PROTO(const struct facet_unit *unit, const struct facet_job *job),
	TP_ARGS(unit, job),
	TP_STRUCT__entry(
		__array(char, dev, 16)
		__field(u32, unit)
		__field(u32, op)
		__field(u32, runs)
		__field(u64, tag)
		__field(u64, sequence)
	),
	TP_fast_assign(
		strscpy(__entry->dev, pci_name(unit->facet->pdev), sizeof(__entry->dev));
		__entry->unit = unit->index;
		__entry->op = le16_to_cpu(job->entry.op);
		__entry->runs = job->runs;
		__entry->tag = job->tag;
		__entry->sequence = job->sequence;
	),
	TP_printk("%s unit=%u sequence=%llu op=%u run=%u tag=%#llx", __entry->dev, __entry->unit,
		  __entry->sequence, __entry->op, __entry->runs, __entry->tag)
);

/* It is on the unit's ring. */
DEFINE_EVENT(facet_job, facet_job_begin,
	TP_PROTO(const struct facet_unit *unit, const struct facet_job *job),
	TP_ARGS(unit, job));

/* The board says that it is done. */
DEFINE_EVENT(facet_job, facet_job_done,
	TP_PROTO(const struct facet_unit *unit, const struct facet_job *job),
	TP_ARGS(unit, job));

/* Its fence is signalled, with this error. */
TRACE_EVENT(facet_job_end,
	TP_PROTO(const struct facet_job *job, int error),
	TP_ARGS(job, error),
	TP_STRUCT__entry(
		__field(u64, tag)
		__field(u64, number)
		__field(int, error)
		__field(u32, status)
	),
	TP_fast_assign(
		__entry->tag = job->tag;
		__entry->number = job->number;
		__entry->error = error;
		__entry->status = le32_to_cpu(job->completion.status);
	),
	TP_printk("number=%llu error=%d status=%u tag=%#llx", __entry->number, __entry->error,
		  __entry->status, __entry->tag)
);

/* unit -1: the device. */
TRACE_EVENT(facet_reset,
	TP_PROTO(const struct facet_device *facet, int unit, int reason, int result),
	TP_ARGS(facet, unit, reason, result),
	TP_STRUCT__entry(
		__array(char, dev, 16)
		__field(int, unit)
		__field(int, reason)
		__field(int, result)
	),
	TP_fast_assign(
		strscpy(__entry->dev, pci_name(facet->pdev), sizeof(__entry->dev));
		__entry->unit = unit;
		__entry->reason = reason;
		__entry->result = result;
	),
	TP_printk("%s unit=%d reason=%d result=%d", __entry->dev, __entry->unit, __entry->reason,
		  __entry->result)
);
/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE facet_trace
#include <trace/define_trace.h>
