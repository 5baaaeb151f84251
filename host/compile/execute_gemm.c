/* SPDX-License-Identifier: Apache-2.0 */
#define GEMM_NAME execute_gemm_baseline
#include "host/compile/execute_gemm_body.h"

execute_gemm_fn *execute_gemm_best(void)
{
	return __builtin_cpu_supports("avx2") ? execute_gemm_avx2 : execute_gemm_baseline;
}
