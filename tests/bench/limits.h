/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine can do on one core, measured beside the thing that is judged: DRAM read (the
 * best of several loops over 1 GiB in 2 MiB pages) and int8 multiply-add (vpdpbusd on registers).
 *
 * Take a sample before and after each measurement; the limit is the median over the samples, of
 * the loop whose median is best. Times are CPU times of the calling thread.
 */
#ifndef FACET_BENCH_LIMITS_H
#define FACET_BENCH_LIMITS_H

struct limits;

struct limits *limits_create(void); /* NULL: no memory */
void limits_free(struct limits *l);
void limits_sample(struct limits *l);

double limits_read_gbs(const struct limits *l);	 /* 10^9 bytes a second */
double limits_vnni_gops(const struct limits *l); /* 10^9 multiplies and adds; 0 without VNNI */
const char *limits_read_name(const struct limits *l);

/* CPU seconds of this thread; the median of n values, which it sorts. */
double limits_cpu_seconds(void);
double limits_median(double *values, int n);

/* Memory in 2 MiB pages if the kernel gives them; munmap() frees it. NULL: none. */
void *limits_map(unsigned long bytes);

#endif
