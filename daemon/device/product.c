/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/product.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

static uint64_t conv2d_lines(const struct op_conv2d *p)
{
	return (uint64_t)p->n * op_conv2d_oh(p);
}

uint64_t device_product_rows(const struct device_command *command)
{
	if (command->op == DEVICE_GEMM)
		return command->gemm.m;
	if (command->op == DEVICE_CONV2D)
		return conv2d_lines(&command->conv2d) * op_conv2d_ow(&command->conv2d);
	return 0;
}

int device_product_weights(struct device *device, const struct device_command *command,
			   const int8_t *w, const int32_t *bias, struct device_weights **weights)
{
	if (command->op == DEVICE_CONV2D)
		return device->ops->weights_conv2d(device, &command->conv2d, w, bias, weights);
	return device->ops->weights_gemm(device, &command->gemm, w, bias, weights);
}

void *device_product_sums(const struct device_command *command, const int8_t *w,
			  const int32_t *bias)
{
	bool conv = command->op == DEVICE_CONV2D;
	void *sums = malloc(conv ? cpu_conv2d_checksum_bytes(&command->conv2d)
				 : cpu_gemm_checksum_bytes(&command->gemm));

	if (sums && conv)
		cpu_conv2d_checksum_pack(&command->conv2d, w, bias, sums);
	else if (sums)
		cpu_gemm_checksum_pack(&command->gemm, w, bias, sums);
	return sums;
}

bool device_product_sums_right(const struct device_command *command, const void *sums,
			       const int8_t *x, const uint32_t *chk, uint32_t *expected)
{
	const struct cpu_kernels *kernels = cpu_kernels_get(NULL);

	if (!kernels)
		return false;
	if (command->op == DEVICE_CONV2D)
		cpu_conv2d_checksum(kernels, &command->conv2d, sums, x, expected, 0,
				    (uint32_t)conv2d_lines(&command->conv2d));
	else
		cpu_gemm_checksum(kernels, &command->gemm, sums, x, expected, 0, command->gemm.m);
	return !memcmp(chk, expected, device_product_rows(command) * sizeof(*chk));
}
