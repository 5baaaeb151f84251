/* SPDX-License-Identifier: Apache-2.0 */
#define GEMM_NAME execute_gemm_avx2
#include "host/compile/execute_gemm_body.h"
