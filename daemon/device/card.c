/* SPDX-License-Identifier: Apache-2.0 */
/* A card that is driven from this process, as a shell port and as a device. */
#include "boards/virtual/board.h"
#include "daemon/device/card_internal.h"
#include "daemon/device/shell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void caps(const struct shell_port *port, struct shell_port_caps *caps)
{
	static const char *const kinds[] = {"silicon", "bring-up image", "model"};
	const struct card_info *info = &card_of(port)->info;

	*caps = (struct shell_port_caps){
		.alignment = 1u << info->align_log2,
		.job_bytes = 1u << info->job_log2,
		.host_data = info->caps & SHELL_CAP_HOST_DATA,
		.checksums = info->caps & SHELL_CAP_CHECKSUM,
		.shares_cpu = info->kind == SHELL_KIND_MODEL,
	};
	snprintf(caps->name, sizeof(caps->name), "%.31s", info->board);
	snprintf(caps->detail, sizeof(caps->detail), "%s, image %.32s, serial %016" PRIx64,
		 info->kind < 3 ? kinds[info->kind] : "unknown kind", info->image, info->serial);
	for (uint32_t i = 0; i < info->banks; i++)
		caps->memory_bytes += info->bank[i].bytes;
	for (uint32_t i = 0; i < info->units; i++) {
		caps->ops |= info->unit[i].ops;
		caps->units += info->unit[i].kind == SHELL_UNIT_COMPUTE;
	}
	if (!caps->units)
		caps->units = 1;
}

static int reset(struct shell_port *port)
{
	struct card *card = card_of(port);
	int err;

	pthread_mutex_lock(&card->lock);
	card->resets++;
	err = card->gone ? -ENODEV : card_start(card);
	pthread_mutex_unlock(&card->lock);
	return err;
}

static void close_port(struct shell_port *port)
{
	card_close(card_of(port));
}

static const struct shell_port_ops port_ops = {
	.caps = caps,
	.memory_create = card_memory_create,
	.memory_free = card_memory_free,
	.write = card_write,
	.read = card_read,
	.run = card_run,
	.reset = reset,
	.close = close_port,
};

void card_close(struct card *card)
{
	if (!card)
		return;
	shell_mover_free(&card->mover);
	if (card->arena.map) {
		card_stop(card); /* before the memory that it reaches goes */
		card->bus->ops->dma_free(card->bus, &card->arena);
	}
	card->bus->ops->close(card->bus);
	pthread_mutex_destroy(&card->lock);
	free(card);
}

static int start(struct card *card, char *text, size_t bytes)
{
	int err = card_info_read(card->bus, &card->info, text, bytes);

	if (err)
		return err;
	card->mover = (struct shell_mover){.port = &card->base,
					   .run = card_run_locked,
					   .alignment = 1u << card->info.align_log2};
	err = card->bus->ops->dma_create(card->bus, card_arena_bytes(&card->info), &card->arena);
	if (err) {
		snprintf(text, bytes, "no memory that the card reaches: %s", strerror(-err));
		return err;
	}
	err = card_start(card);
	if (err)
		snprintf(text, bytes, "the card does not come out of its reset: %s",
			 strerror(-err));
	return err;
}

int card_open(struct card_bus *bus, struct card **card, char *text, size_t bytes)
{
	struct card *made = calloc(1, sizeof(*made));
	int err;

	if (!made) {
		bus->ops->close(bus);
		return -ENOMEM;
	}
	made->base.ops = &port_ops;
	made->bus = bus;
	pthread_mutex_init(&made->lock, NULL);
	err = start(made, text, bytes);
	if (err)
		card_close(made);
	else
		*card = made;
	return err;
}

struct shell_port *card_port(struct card *card)
{
	return &card->base;
}

struct card_bus *card_bus_of(struct card *card)
{
	return card->bus;
}

const struct card_info *card_info(const struct card *card)
{
	return &card->info;
}

void card_resets(const struct card *card, uint32_t *units, uint32_t *all)
{
	*units = card->unit_resets;
	*all = card->resets;
}

/* ---- as a device ---- */

static int probe_virtual(const struct device_config *config, struct device **device)
{
	char ours[200], *text = config->why ? config->why : ours;
	size_t bytes = config->why ? config->why_bytes : sizeof(ours);
	struct board_config board;
	struct card_bus *bus;
	int err;

	board_config_preset(&board);
	err = card_virtual_open(&board, config->select, &bus, text, bytes);
	return err ? err : card_device(bus, config, device, text, bytes);
}

const struct device_ops device_virtual = SHELL_DEVICE_OPS("virtual", probe_virtual);

int card_device(struct card_bus *bus, const struct device_config *config, struct device **device,
		char *text, size_t bytes)
{
	struct card *card;
	int err = card_open(bus, &card, text, bytes);

	return err ? err : shell_device_create(&device_virtual, &card->base, config, device);
}
