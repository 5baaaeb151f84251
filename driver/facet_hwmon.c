// SPDX-License-Identifier: GPL-2.0-only
/* The board's sensors as the kernel has them: units are hwmon's (power in microwatts). */
#include <linux/hwmon.h>
#include <drm/drm_drv.h>

#include "facet_drv.h"

#define NONE_LOW  S32_MIN
#define NONE_HIGH S32_MAX

/* By enum shell_sensor. */
static const struct kind {
	enum hwmon_sensor_types type;
	u32 label, input, low, warn, limit, alarm; /* attributes; their bits are BIT() of them */
	long scale;
} kinds[] = {
	[SHELL_SENSOR_TEMPERATURE] = {hwmon_temp, hwmon_temp_label, hwmon_temp_input,
				      hwmon_temp_min, hwmon_temp_max, hwmon_temp_crit,
				      hwmon_temp_alarm, 1},
	[SHELL_SENSOR_VOLTAGE] = {hwmon_in, hwmon_in_label, hwmon_in_input, hwmon_in_min,
				  hwmon_in_max, hwmon_in_crit, hwmon_in_alarm, 1},
	[SHELL_SENSOR_CURRENT] = {hwmon_curr, hwmon_curr_label, hwmon_curr_input, hwmon_curr_min,
				  hwmon_curr_max, hwmon_curr_crit, hwmon_curr_alarm, 1},
	[SHELL_SENSOR_POWER] = {hwmon_power, hwmon_power_label, hwmon_power_input, hwmon_power_min,
				hwmon_power_max, hwmon_power_crit, hwmon_power_alarm, 1000},
	[SHELL_SENSOR_FAN] = {hwmon_fan, hwmon_fan_label, hwmon_fan_input, hwmon_fan_min,
			      hwmon_fan_max, hwmon_fan_max, hwmon_fan_alarm, 1},
};

struct facet_hwmon {
	struct facet_device *facet;
	struct device *dev;
	/* The sensors of each kind, in the board's order. */
	u32 count[ARRAY_SIZE(kinds)];
	u8 sensor[ARRAY_SIZE(kinds)][SHELL_SENSORS_MAX];
	char name[SHELL_SENSORS_MAX][17];
	u32 config[ARRAY_SIZE(kinds)][SHELL_SENSORS_MAX + 1];
	struct hwmon_channel_info channel[ARRAY_SIZE(kinds)];
	const struct hwmon_channel_info *info[ARRAY_SIZE(kinds) + 1];
	struct hwmon_chip_info chip;
};

static int kind_of(enum hwmon_sensor_types type)
{
	u32 k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		if (kinds[k].type == type)
			return k;
	return -EOPNOTSUPP;
}

static u32 sensor_get(const struct facet_device *facet, u32 sensor, u32 reg)
{
	return facet_get(facet, facet->sensor_at + sensor * facet->sensor_stride + reg);
}

/* The register of an attribute, or -EOPNOTSUPP. */
static int register_of(const struct kind *kind, u32 attr)
{
	if (attr == kind->input)
		return SHELL_S_VALUE;
	if (attr == kind->low)
		return SHELL_S_LOW;
	if (attr == kind->warn)
		return SHELL_S_WARN;
	if (attr == kind->limit)
		return SHELL_S_LIMIT;
	return attr == kind->alarm ? SHELL_S_STATUS : -EOPNOTSUPP;
}

static umode_t is_visible(const void *data, enum hwmon_sensor_types type, u32 attr, int channel)
{
	return 0444;
}

static int read(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
		long *value)
{
	struct facet_hwmon *hwmon = dev_get_drvdata(dev);
	int k = kind_of(type), reg = k < 0 ? k : register_of(&kinds[k], attr), entered;
	u32 status, got;

	if (reg < 0)
		return reg;
	if (!drm_dev_enter(&hwmon->facet->drm, &entered))
		return -ENODEV;
	status = sensor_get(hwmon->facet, hwmon->sensor[k][channel], SHELL_S_STATUS);
	got = sensor_get(hwmon->facet, hwmon->sensor[k][channel], reg);
	drm_dev_exit(entered);
	if (status == SHELL_GONE)
		return -ENODEV;
	if (!(status & SHELL_SSTATUS_VALID))
		return -ENODATA;
	if (reg == SHELL_S_STATUS)
		*value = !!(status & ~SHELL_SSTATUS_VALID);
	else
		*value = (s32)got * kinds[k].scale;
	return 0;
}

static int read_string(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
		       const char **text)
{
	struct facet_hwmon *hwmon = dev_get_drvdata(dev);
	int k = kind_of(type);

	if (k < 0)
		return k;
	*text = hwmon->name[hwmon->sensor[k][channel]];
	return 0;
}

static const struct hwmon_ops ops = {
	.is_visible = is_visible,
	.read = read,
	.read_string = read_string,
};

/* Limits that a sensor does not have are not shown. */
static u32 attributes(const struct facet_device *facet, u32 sensor, const struct kind *kind)
{
	u32 has = BIT(kind->label) | BIT(kind->input) | BIT(kind->alarm);

	if ((s32)sensor_get(facet, sensor, SHELL_S_LOW) != NONE_LOW)
		has |= BIT(kind->low);
	if ((s32)sensor_get(facet, sensor, SHELL_S_WARN) != NONE_HIGH)
		has |= BIT(kind->warn);
	if ((s32)sensor_get(facet, sensor, SHELL_S_LIMIT) != NONE_HIGH)
		has |= BIT(kind->limit);
	return has;
}

static void add_sensor(struct facet_hwmon *hwmon, u32 sensor)
{
	const struct facet_device *facet = hwmon->facet;
	u32 k = sensor_get(facet, sensor, SHELL_S_KIND);

	if (k >= ARRAY_SIZE(kinds))
		return;
	facet_get_name(facet, facet->sensor_at + sensor * facet->sensor_stride + SHELL_S_NAME,
		       hwmon->name[sensor], 16);
	hwmon->sensor[k][hwmon->count[k]] = sensor;
	hwmon->config[k][hwmon->count[k]++] = attributes(facet, sensor, &kinds[k]);
}

static void describe(struct facet_hwmon *hwmon)
{
	u32 k, n = 0;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (!hwmon->count[k])
			continue;
		hwmon->channel[k].type = kinds[k].type;
		hwmon->channel[k].config = hwmon->config[k];
		hwmon->info[n++] = &hwmon->channel[k];
	}
	hwmon->chip.ops = &ops;
	hwmon->chip.info = hwmon->info;
}

void facet_hwmon_init(struct facet_device *facet)
{
	struct facet_hwmon *hwmon;
	u32 i;

	if (!facet->sensors || !IS_REACHABLE(CONFIG_HWMON))
		return;
	hwmon = kzalloc(sizeof(*hwmon), GFP_KERNEL);
	if (!hwmon)
		return;
	hwmon->facet = facet;
	for (i = 0; i < facet->sensors; i++)
		add_sensor(hwmon, i);
	describe(hwmon);
	hwmon->dev = hwmon_device_register_with_info(&facet->pdev->dev, "facet", hwmon,
						     &hwmon->chip, NULL);
	if (IS_ERR(hwmon->dev)) {
		drm_warn(&facet->drm, "no hwmon: %ld\n", PTR_ERR(hwmon->dev));
		kfree(hwmon);
		return;
	}
	facet->hwmon = hwmon;
}

void facet_hwmon_fini(struct facet_device *facet)
{
	if (!facet->hwmon)
		return;
	hwmon_device_unregister(facet->hwmon->dev);
	kfree(facet->hwmon);
	facet->hwmon = NULL;
}
