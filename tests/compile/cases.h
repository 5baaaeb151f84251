/* SPDX-License-Identifier: Apache-2.0 */
/* Small networks that between them use every operator in its forms. */
#ifndef FACET_TESTS_COMPILE_CASES_H
#define FACET_TESTS_COMPILE_CASES_H

#include "tests/compile/net.h"

struct net_case {
	const char *name;
	struct net (*build)(void);
	double sqnr; /* dB that the int8 form must reach; 0: it has none */
};

extern const struct net_case net_cases[];
extern const size_t net_case_count;

/* A residual network that makes templates of 32 values, for the tests of the whole. */
struct net net_template(void);
/* An image for a network: the seed's own picture, values of pixels. */
void net_pixels(const struct net *net, uint64_t seed, uint8_t *pixels);
size_t net_pixel_count(const struct net *net);
/* The same as the float network wants it, [c][h][w], (pixel - 127) / 128. */
void net_floats(const struct net *net, const uint8_t *pixels, float *x);

#endif
