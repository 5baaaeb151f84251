/* SPDX-License-Identifier: Apache-2.0 */
/* One table an instruction set, and the choice among them. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/quantize.h"
#include "kernels/cpu/search.h"

#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

#define CONV_AND_GEMM(isa)                                                                         \
	.conv2d_packed_bytes = cpu_conv2d_packed_bytes_##isa,                                      \
	.conv2d_pack = cpu_conv2d_pack_##isa,                                                      \
	.conv2d_scratch_bytes = cpu_conv2d_scratch_bytes_##isa, .conv2d = cpu_conv2d_##isa,        \
	.gemm_packed_bytes = cpu_gemm_packed_bytes_##isa, .gemm_pack = cpu_gemm_pack_##isa,        \
	.gemm_scratch_bytes = cpu_gemm_scratch_bytes_##isa, .gemm = cpu_gemm_##isa,                \
	.checksum_dot = cpu_checksum_dot_##isa

#define POINTWISE(isa)                                                                             \
	.pool2d = cpu_pool2d_##isa, .add = cpu_add_##isa, .table = cpu_table_##isa,                \
	.concat = cpu_concat_##isa, .dequantize = cpu_dequantize_##isa

#define TEMPLATES(isa)                                                                             \
	.search_scratch_bytes = cpu_search_scratch_bytes, .search = cpu_search_##isa,              \
	.quantize_row = cpu_quantize_row_##isa, .to_half = cpu_to_half_##isa,                      \
	.from_half = cpu_from_half_##isa

static const struct cpu_kernels avx512vnni = {
	.name = "avx512vnni",
	CONV_AND_GEMM(avx512),
	POINTWISE(portable),
	TEMPLATES(avx512),
};

static const struct cpu_kernels avx2 = {
	.name = "avx2",
	CONV_AND_GEMM(avx2),
	POINTWISE(portable),
	TEMPLATES(avx2),
};

static const struct cpu_kernels portable = {
	.name = "portable",
	CONV_AND_GEMM(portable),
	POINTWISE(portable),
	TEMPLATES(portable),
};

/* Best first. __builtin_cpu_supports also asks whether the system saves the registers. */
static const struct cpu_kernels *const from_avx512[] = {&avx512vnni, &avx2, &portable, NULL};
static const struct cpu_kernels *const from_avx2[] = {&avx2, &portable, NULL};
static const struct cpu_kernels *const from_portable[] = {&portable, NULL};

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
}

static bool has_avx512vnni(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512vnni");
}

const struct cpu_kernels *const *cpu_kernels_all(void)
{
	__builtin_cpu_init();
	if (!has_avx2())
		return from_portable;
	return has_avx512vnni() ? from_avx512 : from_avx2;
}

const struct cpu_kernels *cpu_kernels_get(const char *name)
{
	const struct cpu_kernels *const *all = cpu_kernels_all();

	if (!name)
		name = getenv("FACET_CPU_ISA");
	if (!name)
		return *all;
	while (*all && strcmp((*all)->name, name))
		all++;
	return *all;
}

/* All exceptions masked, round to nearest, neither flush-to-zero nor denormals-are-zero. */
void cpu_float_mode(void)
{
	_mm_setcsr(0x1f80);
}
