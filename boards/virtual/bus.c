/* SPDX-License-Identifier: Apache-2.0 */
/* The host's memory, as far as the board was given windows on it. */
#include "boards/virtual/internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void bus_init(struct bus *bus)
{
	pthread_rwlock_init(&bus->lock, NULL);
}

void bus_free(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

static bool overlaps(const struct bus_window *window, uint64_t address, uint64_t bytes)
{
	return window->bytes && address < window->address + window->bytes &&
	       window->address < address + bytes;
}

int board_window_add(struct board *board, uint64_t address, uint64_t bytes, void *memory)
{
	struct bus *bus = &board->bus;
	struct bus_window *free_one = NULL;
	int err = 0;

	if (!bytes || address + bytes < address)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	for (int i = 0; i < BOARD_WINDOWS && !err; i++) {
		if (!bus->window[i].bytes)
			free_one = &bus->window[i];
		else if (overlaps(&bus->window[i], address, bytes))
			err = -EINVAL;
	}
	if (!err && !free_one)
		err = -ENOSPC;
	if (!err)
		*free_one = (struct bus_window){address, bytes, memory};
	pthread_rwlock_unlock(&bus->lock);
	return err;
}

void board_window_remove(struct board *board, uint64_t address)
{
	struct bus *bus = &board->bus;

	pthread_rwlock_wrlock(&bus->lock);
	for (int i = 0; i < BOARD_WINDOWS; i++)
		if (bus->window[i].bytes && bus->window[i].address == address)
			bus->window[i].bytes = 0;
	pthread_rwlock_unlock(&bus->lock);
}

void board_windows_clear(struct board *board)
{
	pthread_rwlock_wrlock(&board->bus.lock);
	memset(board->bus.window, 0, sizeof(board->bus.window));
	pthread_rwlock_unlock(&board->bus.lock);
}

/* Memory at an address and how much of it is there, at most *bytes; NULL where nothing is. */
static uint8_t *find(struct bus *bus, uint64_t address, uint64_t *bytes)
{
	for (int i = 0; i < BOARD_WINDOWS; i++) {
		struct bus_window *window = &bus->window[i];

		if (!window->bytes || address < window->address ||
		    address - window->address >= window->bytes)
			continue;
		if (*bytes > window->bytes - (address - window->address))
			*bytes = window->bytes - (address - window->address);
		return window->memory + (address - window->address);
	}
	return NULL;
}

static void take_time(struct bus *bus, uint64_t bytes)
{
	uint64_t rate = bus->rate, ns;
	struct timespec time;

	if (!rate)
		return;
	ns = bytes * 1000 / (rate / 1000000 + 1);
	time = (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	nanosleep(&time, NULL);
}

/* Shall this access go wrong, and where? */
static bool misled(struct board *board, uint32_t unit, uint64_t *address)
{
	struct fault hit;

	if (!board->bus.master)
		return true;
	if (fault_hit(board, FAULT_BUS_ERROR, unit, &hit))
		return true;
	if (fault_hit(board, FAULT_DMA_OUTSIDE, unit, &hit))
		*address = hit.address;
	return false;
}

static int access_host(struct board *board, uint32_t unit, uint64_t address, uint8_t *data,
		       uint64_t bytes, bool write, uint64_t *bad)
{
	struct bus *bus = &board->bus;
	int err = 0;

	*bad = address;
	if (bytes && misled(board, unit, &address)) {
		*bad = address;
		return -EFAULT;
	}
	take_time(bus, bytes);
	pthread_rwlock_rdlock(&bus->lock);
	while (bytes) {
		uint64_t here = bytes;
		uint8_t *memory = find(bus, address, &here);

		if (!memory) {
			*bad = address;
			err = -EFAULT;
			break;
		}
		memcpy(write ? memory : data, write ? data : memory, here);
		*(write ? &bus->write_bytes : &bus->read_bytes) += here;
		address += here;
		data += here;
		bytes -= here;
	}
	pthread_rwlock_unlock(&bus->lock);
	return err;
}

int bus_read(struct board *board, uint32_t unit, uint64_t address, void *to, uint64_t bytes,
	     uint64_t *bad)
{
	return access_host(board, unit, address, to, bytes, false, bad);
}

int bus_write(struct board *board, uint32_t unit, uint64_t address, const void *from,
	      uint64_t bytes, uint64_t *bad)
{
	return access_host(board, unit, address, (uint8_t *)from, bytes, true, bad);
}

int bus_store64(struct board *board, uint32_t unit, uint64_t address, uint64_t value, uint64_t *bad)
{
	struct bus *bus = &board->bus;
	uint64_t bytes = 8;
	uint8_t *memory;

	*bad = address;
	if (misled(board, unit, &address)) {
		*bad = address;
		return -EFAULT;
	}
	pthread_rwlock_rdlock(&bus->lock);
	memory = find(bus, address, &bytes);
	if (memory && bytes == 8 && (uintptr_t)memory % 8 == 0) {
		__atomic_store_n((uint64_t *)memory, value, __ATOMIC_RELEASE);
		bus->write_bytes += 8;
	} else {
		memory = NULL;
	}
	pthread_rwlock_unlock(&bus->lock);
	return memory ? 0 : -EFAULT;
}
