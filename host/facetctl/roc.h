/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification error from scored pairs.
 *
 * A pair is genuine when both samples are of one subject. At threshold t: TAR = genuine pairs with
 * score >= t over all genuine pairs; FAR (false-match rate) = impostor pairs with score >= t over
 * all impostor pairs. ISO/IEC 19795-1 calls them 1 - FNMR and FMR.
 *
 * The threshold for a rate is the smallest score at which FAR does not exceed it. Intervals are
 * percentile bootstrap over subjects (not over pairs, which share photos): each replicate draws
 * subjects with replacement; a pair counts as often as its subjects were drawn.
 */
#ifndef FACET_FACETCTL_ROC_H
#define FACET_FACETCTL_ROC_H

#include <stdint.h>

struct roc;

struct roc_point {
	double far;
	double threshold; /* infinity when no threshold keeps the rate */
	double tar;
	double low, high; /* 95 % interval of tar, see roc_interval() */
};

struct roc *roc_create(uint32_t subjects); /* subjects are numbered 0 .. subjects - 1 */
void roc_free(struct roc *roc);
/* 0 or -ENOMEM. Larger scores are more alike. */
int roc_add(struct roc *roc, uint32_t subject_a, uint32_t subject_b, float score);
/* After the last pair, before any question. -ENODATA without genuine or without impostor pairs. */
int roc_finish(struct roc *roc);

uint64_t roc_genuine(const struct roc *roc);
uint64_t roc_impostors(const struct roc *roc);
void roc_at(const struct roc *roc, double far, struct roc_point *point);
/* Fills low and high of a point that roc_at() gave. */
int roc_interval(const struct roc *roc, struct roc_point *point, uint32_t replicates,
		 uint64_t seed);

#endif
