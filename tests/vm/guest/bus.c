/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the bed's bus one? Two threads read registers of the board that never change, and write its scratch
 * register, at the same time; no driver is loaded. bus ADDRESS
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boards/shell/shell.h"

#define BYTES  0x10000u
#define ROUNDS 20000u

static const uint32_t constant[] = {SHELL_R_MAGIC,  SHELL_R_VERSION,	 SHELL_R_KIND,
				    SHELL_R_COUNTS, SHELL_R_LIMITS,	 SHELL_R_TIME_HZ,
				    SHELL_R_LINK,   SHELL_R_ADDRESS_BITS};
#define CONSTANTS (sizeof(constant) / sizeof(constant[0]))

static volatile uint32_t *registers;
static uint32_t want[CONSTANTS];

static void *read_all(void *argument)
{
	uintptr_t *wrong = argument;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t k = i % CONSTANTS;

		*wrong += registers[constant[k] / 4] != want[k];
	}
	return NULL;
}

static bool map(const char *address)
{
	char path[200];
	int file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0 || write(file, "1", 1) != 1)
		return false;
	close(file);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
	file = open(path, O_RDWR | O_CLOEXEC);
	registers = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	return registers != MAP_FAILED;
}

int main(int argc, char **argv)
{
	uintptr_t wrong[2] = {0};
	pthread_t thread;
	uint32_t scratch = 0;

	if (argc != 2 || !map(argv[1])) {
		perror("bus");
		return 2;
	}
	for (uint32_t i = 0; i < CONSTANTS; i++)
		want[i] = registers[constant[i] / 4];
	if (want[0] != SHELL_MAGIC || pthread_create(&thread, NULL, read_all, &wrong[0]))
		return 2;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		registers[SHELL_R_SCRATCH / 4] = i;
		scratch = registers[SHELL_R_SCRATCH / 4];
		wrong[1] += scratch != i;
	}
	pthread_join(thread, NULL);
	printf("%u reads beside %u writes: %zu and %zu wrong\n", ROUNDS, ROUNDS, (size_t)wrong[0],
	       (size_t)wrong[1]);
	return wrong[0] || wrong[1];
}
