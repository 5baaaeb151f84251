// SPDX-License-Identifier: GPL-2.0-only
/* DEV_QUERY: what there is, and how it is. */
#include <drm/drm_drv.h>

#include "facet_drv.h"

int facet_copy_out(u64 pointer, u32 *size, const void *data, u32 bytes)
{
	void __user *to = u64_to_user_ptr(pointer);
	u32 room = *size, n = min(room, bytes);

	*size = bytes;
	if (!pointer)
		return 0;
	if (copy_to_user(to, data, n))
		return -EFAULT;
	if (room > n && clear_user(to + n, room - n))
		return -EFAULT;
	return 0;
}

/* Each returns how many bytes it wrote, or an error. */
union answer {
	struct drm_facet_device device;
	struct drm_facet_limits limits;
	struct drm_facet_unit unit;
	struct drm_facet_bank bank;
	struct drm_facet_sensor sensor;
	struct drm_facet_time time;
	struct drm_facet_health health;
};

static int query_device(struct facet_device *facet, u32 index, union answer *a)
{
	a->device = (struct drm_facet_device){
		.shell_version = facet->version,
		.kind = facet->kind,
		.caps = facet->caps,
		.units = facet->units,
		.banks = facet->banks,
		.sensors = facet->sensors,
		.link = facet->link,
		.serial = facet->serial,
		.image_date = facet->image_date,
	};
	memcpy(a->device.image_hash, facet->image_hash, sizeof(a->device.image_hash));
	memcpy(a->device.board_name, facet->board_name, sizeof(a->device.board_name));
	memcpy(a->device.image_name, facet->image_name, sizeof(a->device.image_name));
	return index ? -ENOENT : (int)sizeof(a->device);
}

static int query_limits(struct facet_device *facet, u32 index, union answer *a)
{
	const struct facet_patience *p = facet->patience;

	a->limits = (struct drm_facet_limits){
		.align = 1u << facet->align_log2,
		.jobs_submit = FACET_JOBS_SUBMIT,
		.syncs_submit = FACET_SYNCS_SUBMIT,
		.jobs_pending = FACET_JOBS_KEPT,
		.jobs_kept = FACET_JOBS_KEPT,
		.contexts = FACET_CONTEXTS,
		.programs = FACET_PROGRAMS,
		.timeout_ms = p->job,
		.timeout_max_ms = p->job_max,
		.stall_ms = p->stall,
		.bo_bytes_max = 1ull << 40,
		.bo_entries_max = 1ull << facet->sg_log2,
	};
	return index ? -ENOENT : (int)sizeof(a->limits);
}

static int query_unit(struct facet_device *facet, u32 index, union answer *a)
{
	struct facet_unit *unit;

	if (index >= facet->units)
		return -ENOENT;
	unit = &facet->unit[index];
	a->unit = (struct drm_facet_unit){
		.version = unit->version,
		.kind = unit->kind,
		.ops = unit->ops,
		.banks = unit->banks,
		.clock_khz = unit->clock_khz,
		.macs = unit->macs,
		.resets = unit->resets,
		.queued = facet_unit_queued(unit),
		.jobs = unit->jobs,
		.busy_ns = unit->busy_ns,
	};
	memcpy(a->unit.name, unit->name, sizeof(a->unit.name));
	return sizeof(a->unit);
}

static int query_bank(struct facet_device *facet, u32 index, union answer *a)
{
	struct facet_bank *bank;

	if (index >= facet->banks)
		return -ENOENT;
	bank = &facet->bank[index];
	mutex_lock(&bank->lock);
	a->bank = (struct drm_facet_bank){
		.kind = bank->kind,
		.channels = bank->channels,
		.bytes = bank->bytes,
		.bytes_free = bank->free_bytes,
		.bytes_dirty = bank->dirty_bytes,
		.rate = bank->rate,
		.errors_corrected = facet_get(facet, bank->at + SHELL_B_CORRECTED),
		.errors_lost = facet_get(facet, bank->at + SHELL_B_LOST),
	};
	mutex_unlock(&bank->lock);
	memcpy(a->bank.name, bank->name, sizeof(a->bank.name));
	return sizeof(a->bank);
}

static void name_get(const struct facet_device *facet, u32 at, char *name, u32 bytes)
{
	u32 i;

	for (i = 0; i < bytes; i += 4) {
		__le32 word = cpu_to_le32(facet_get(facet, at + i));

		memcpy(name + i, &word, 4);
	}
}

static int query_sensor(struct facet_device *facet, u32 index, union answer *a)
{
	u32 at = facet->sensor_at + index * facet->sensor_stride;

	if (index >= facet->sensors)
		return -ENOENT;
	a->sensor = (struct drm_facet_sensor){
		.kind = facet_get(facet, at + SHELL_S_KIND),
		.status = facet_get(facet, at + SHELL_S_STATUS),
		.value = facet_get(facet, at + SHELL_S_VALUE),
		.low = facet_get(facet, at + SHELL_S_LOW),
		.warn = facet_get(facet, at + SHELL_S_WARN),
		.limit = facet_get(facet, at + SHELL_S_LIMIT),
	};
	name_get(facet, at + SHELL_S_NAME, a->sensor.name, sizeof(a->sensor.name));
	return sizeof(a->sensor);
}

static int query_time(struct facet_device *facet, u32 index, union answer *a)
{
	unsigned long flags;

	local_irq_save(flags);
	a->time = (struct drm_facet_time){
		.board_ticks = facet_get_time(facet),
		.board_hz = facet->time_hz,
		.monotonic_ns = ktime_get_ns(),
	};
	local_irq_restore(flags);
	return index ? -ENOENT : (int)sizeof(a->time);
}

static int query_health(struct facet_device *facet, u32 index, union answer *a)
{
	struct drm_facet_health *h = &a->health;
	u32 i;

	*h = (struct drm_facet_health){
		.state = READ_ONCE(facet->state),
		.generation = READ_ONCE(facet->generation),
		.unit_resets = atomic_read(&facet->unit_resets),
		.device_resets = atomic_read(&facet->device_resets),
		.interrupts = atomic64_read(&facet->interrupts),
		.interrupts_spurious = atomic64_read(&facet->spurious),
		.interrupts_lost = atomic64_read(&facet->lost),
		.storms = atomic64_read(&facet->storms),
		.board_errors = facet_get(facet, SHELL_R_ERR_COUNT),
	};
	for (i = 0; i < FACET_EVENT_COUNT; i++)
		h->events[i] = atomic64_read(&facet->events[i]);
	return index ? -ENOENT : (int)sizeof(*h);
}

int facet_query_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	static int (*const queries[])(struct facet_device *, u32, union answer *) = {
		[DRM_FACET_QUERY_DEVICE] = query_device, [DRM_FACET_QUERY_LIMITS] = query_limits,
		[DRM_FACET_QUERY_UNIT] = query_unit,	 [DRM_FACET_QUERY_BANK] = query_bank,
		[DRM_FACET_QUERY_SENSOR] = query_sensor, [DRM_FACET_QUERY_TIME] = query_time,
		[DRM_FACET_QUERY_HEALTH] = query_health,
	};
	struct drm_facet_dev_query *args = data;
	union answer answer;
	int entered, bytes;

	if (args->pad || args->type >= ARRAY_SIZE(queries))
		return -EINVAL;
	if (!drm_dev_enter(drm, &entered))
		return -ENODEV;
	memset(&answer, 0, sizeof(answer));
	bytes = queries[args->type](to_facet(drm), args->index, &answer);
	drm_dev_exit(entered);
	if (bytes < 0)
		return bytes;
	return facet_copy_out(args->pointer, &args->size, &answer, bytes);
}
