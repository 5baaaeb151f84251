/* SPDX-License-Identifier: Apache-2.0 */
/* The backend for Facet's own boards, through facet.ko. */
#include "daemon/device/drm.h"
#include "daemon/device/shell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

static void caps(const struct shell_port *port, struct shell_port_caps *caps)
{
	const struct drm_port *drm = drm_port_of(port);

	*caps = (struct shell_port_caps){
		.memory_bytes = drm->memory_bytes,
		.alignment = drm->limits.align,
		.host_data = drm->device.caps & SHELL_CAP_HOST_DATA,
		.checksums = drm->device.caps & SHELL_CAP_CHECKSUM,
		.shares_cpu = drm->device.kind == SHELL_KIND_MODEL,
	};
	memcpy(caps->name, drm->name, sizeof(caps->name));
	memcpy(caps->detail, drm->detail, sizeof(caps->detail));
	for (uint32_t i = 0; i < drm->units; i++) {
		caps->ops |= drm->unit[i].ops;
		caps->units += drm->unit[i].kind == SHELL_UNIT_COMPUTE;
	}
	if (!caps->units)
		caps->units = 1;
}

static int reset(struct shell_port *port)
{
	struct drm_port *drm = drm_port_of(port);
	struct drm_facet_health health;
	int err = drm_query(drm->fd, DRM_FACET_QUERY_HEALTH, 0, &health, sizeof(health));

	if (err)
		return err;
	/* The kernel resets by itself; what it cannot mend is not mended from here. */
	return health.state == DRM_FACET_HEALTH_OK || health.state == DRM_FACET_HEALTH_HOT
		       ? 0
		       : -ENODEV;
}

static void close_port(struct shell_port *port)
{
	struct drm_port *drm = drm_port_of(port);

	drm_direct_close(drm);
	shell_mover_free(&drm->mover);
	drm_programs_free(drm);
	for (uint32_t i = 0; i < drm->units; i++)
		if (drm->unit[i].syncobj)
			drmSyncobjDestroy(drm->fd, drm->unit[i].syncobj);
	close(drm->fd); /* ends the contexts */
	pthread_mutex_destroy(&drm->lock);
	free(drm);
}

static const struct shell_port_ops port_ops = {
	.caps = caps,
	.memory_create = drm_memory_create,
	.memory_free = drm_memory_free,
	.write = drm_write,
	.read = drm_read,
	.run = drm_run,
	.reset = reset,
	.close = close_port,
};

static int query_units(struct drm_port *drm)
{
	drm->units = drm->device.units;
	if (!drm->units || drm->units > SHELL_PORT_UNITS)
		return -EPROTO;
	for (uint32_t i = 0; i < drm->units; i++) {
		struct drm_facet_unit unit;
		int err = drm_query(drm->fd, DRM_FACET_QUERY_UNIT, i, &unit, sizeof(unit));

		if (err)
			return err;
		drm->unit[i].kind = unit.kind;
		drm->unit[i].ops = unit.ops;
	}
	return 0;
}

static int query_banks(struct drm_port *drm)
{
	for (uint32_t i = 0; i < drm->device.banks; i++) {
		struct drm_facet_bank bank;
		int err = drm_query(drm->fd, DRM_FACET_QUERY_BANK, i, &bank, sizeof(bank));

		if (err)
			return err;
		drm->memory_bytes += bank.bytes;
	}
	return 0;
}

static int query(struct drm_port *drm)
{
	static const char *const kinds[] = {"silicon", "bring-up image", "model"};
	int err = drm_query(drm->fd, DRM_FACET_QUERY_DEVICE, 0, &drm->device, sizeof(drm->device));

	if (!err)
		err = drm_query(drm->fd, DRM_FACET_QUERY_LIMITS, 0, &drm->limits,
				sizeof(drm->limits));
	if (!err && (!drm->limits.align || drm->limits.align > SHELL_MOVE_STEP / 2))
		err = -EPROTO;
	if (!err)
		err = query_units(drm);
	if (!err)
		err = query_banks(drm);
	if (err)
		return err;
	snprintf(drm->name, sizeof(drm->name), "%.31s", drm->device.board_name);
	snprintf(drm->detail, sizeof(drm->detail), "%s, image %.32s, serial %016" PRIx64,
		 drm->device.kind < 3 ? kinds[drm->device.kind] : "unknown kind",
		 drm->device.image_name, (uint64_t)drm->device.serial);
	return 0;
}

static int probe(const struct device_config *config, struct device **device)
{
	struct drm_port *drm = calloc(1, sizeof(*drm));
	int err;

	if (!drm)
		return -ENOMEM;
	drm->base.ops = &port_ops;
	err = drm_node_open(config->select, &drm->fd);
	if (err) {
		free(drm);
		return err;
	}
	pthread_mutex_init(&drm->lock, NULL);
	drm->udmabuf = -1;
	err = query(drm);
	drm->mover = (struct shell_mover){
		.port = &drm->base, .run = drm_run_locked, .alignment = drm->limits.align};
	if (err) {
		close_port(&drm->base);
		return err;
	}
	drm_direct_open(drm);
	return shell_device_create(&device_drm, &drm->base, config, device);
}

const struct device_ops device_drm = SHELL_DEVICE_OPS("drm", probe);
