/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/net/server.h"

#define ACCEPTS 16

struct door {
	struct doors *doors;
	char tenant[CONFIG_NAME_MAX + 1]; /* "": the common one */
	char *path;			  /* that was made here; NULL: given */
	uint32_t mode;
	char *group;
	dev_t dev; /* of the path, so that another's socket there is not taken for this one */
	ino_t ino;
	int fd;
	sd_event_source *source;
	struct door *next;
};

struct doors {
	struct door_owner owner;
	struct door *all;
	struct door_given *given;
	uint32_t given_count;
	bool closed;
};

static int door_ready(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct door *door = user;
	struct door_owner *owner = &door->doors->owner;

	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client >= 0) {
			owner->come(owner->user, client, door->tenant[0] ? door->tenant : NULL);
			continue;
		}
		/* Out of descriptors: the tick tries again, rather than this loop without pause. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			sd_event_source_set_enabled(source, SD_EVENT_OFF);
		break;
	}
	return 0;
}

/* ---- one door ---------------------------------------------------------------------------------- */
static bool door_is_given(const struct doors *doors, int fd)
{
	for (uint32_t i = 0; i < doors->given_count; i++)
		if (doors->given[i].fd == fd)
			return true;
	return false;
}

/* One that was made here goes with its path; a given one stays for when the tenant comes back. */
static void door_close(struct door *door)
{
	struct door **p = &door->doors->all;
	struct stat st;

	while (*p != door)
		p = &(*p)->next;
	*p = door->next;
	sd_event_source_disable_unref(door->source);
	if (!door_is_given(door->doors, door->fd))
		close(door->fd);
	if (door->path && lstat(door->path, &st) == 0 && st.st_dev == door->dev &&
	    st.st_ino == door->ino)
		unlink(door->path);
	free(door->path);
	free(door->group);
	free(door);
}

static int door_open(struct doors *doors, const char *tenant, int fd, struct door **out)
{
	struct door *door = calloc(1, sizeof(*door));
	int err;

	if (!door)
		return -ENOMEM;
	door->doors = doors;
	door->fd = fd;
	snprintf(door->tenant, sizeof(door->tenant), "%s", tenant);
	err = sd_event_add_io(doors->owner.event, &door->source, fd, EPOLLIN, door_ready, door);
	if (err >= 0 && doors->closed)
		err = sd_event_source_set_enabled(door->source, SD_EVENT_OFF);
	if (err < 0) {
		sd_event_source_disable_unref(door->source);
		free(door);
		return err;
	}
	door->next = doors->all;
	doors->all = door;
	*out = door;
	return 0;
}

/* ---- the doors of tenants ---------------------------------------------------------------------- */
static const struct door_given *given_for(const struct doors *doors, const char *tenant)
{
	for (uint32_t i = 0; i < doors->given_count; i++)
		if (!strcmp(doors->given[i].tenant, tenant))
			return &doors->given[i];
	return NULL;
}

static const char *group_of(const struct config *config, const struct config_tenant *tenant)
{
	return tenant->group ? tenant->group : config->group;
}

static bool text_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Does it serve as it is? A given socket has the path and permissions its giver wants. */
static bool door_serves(const struct door *door, const struct config *config,
			const struct config_tenant *tenant)
{
	if (!door->path)
		return true;
	return !strcmp(door->path, tenant->socket) && door->mode == tenant->mode &&
	       text_same(door->group, group_of(config, tenant));
}

static int door_make(struct doors *doors, const struct config *config,
		     const struct config_tenant *tenant, char text[CONFIG_TEXT])
{
	const char *group = group_of(config, tenant);
	struct door *door;
	struct stat st;
	int fd = server_listen(tenant->socket, tenant->mode, group, text);
	int err;

	if (fd < 0)
		return fd;
	err = door_open(doors, tenant->name, fd, &door);
	if (err) {
		close(fd);
		unlink(tenant->socket);
		snprintf(text, CONFIG_TEXT, "%.200s: %s", tenant->socket, strerror(-err));
		return err;
	}
	door->mode = tenant->mode;
	door->group = group ? strdup(group) : NULL;
	door->path = strdup(tenant->socket);
	if (lstat(tenant->socket, &st) == 0) {
		door->dev = st.st_dev;
		door->ino = st.st_ino;
	}
	if (door->path && (!group || door->group))
		return 0;
	door_close(door);
	snprintf(text, CONFIG_TEXT, "%.200s: out of memory", tenant->socket);
	return -ENOMEM;
}

static struct door *door_of(const struct doors *doors, const char *tenant)
{
	for (struct door *door = doors->all; door; door = door->next)
		if (!strcmp(door->tenant, tenant))
			return door;
	return NULL;
}

static const struct config_tenant *tenant_of(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->tenant_count; i++)
		if (!strcmp(config->tenants[i].name, name))
			return &config->tenants[i];
	return NULL;
}

static int door_get(struct doors *doors, const struct config *config,
		    const struct config_tenant *tenant, char text[CONFIG_TEXT])
{
	const struct door_given *given = given_for(doors, tenant->name);
	struct door *door;
	int err;

	if (!given)
		return door_make(doors, config, tenant, text);
	err = door_open(doors, tenant->name, given->fd, &door);
	if (err)
		snprintf(text, CONFIG_TEXT, "%s", strerror(-err));
	return err;
}

uint32_t doors_update(struct doors *doors, const struct config *config)
{
	char text[CONFIG_TEXT] = "";
	uint32_t missing = 0;
	struct door *next;

	/* First what goes, so that a path may pass from one tenant to another. */
	for (struct door *door = doors->all; door; door = next) {
		const struct config_tenant *tenant = tenant_of(config, door->tenant);

		next = door->next;
		if (door->tenant[0] &&
		    (!tenant || !tenant->socket || !door_serves(door, config, tenant)))
			door_close(door);
	}
	for (uint32_t i = 0; i < config->tenant_count; i++) {
		const struct config_tenant *tenant = &config->tenants[i];

		if (!tenant->socket || door_of(doors, tenant->name) ||
		    !door_get(doors, config, tenant, text))
			continue;
		doors->owner.trouble(doors->owner.user, tenant->name, text);
		missing++;
	}
	return missing;
}

/* ---- all --------------------------------------------------------------------------------------- */
void doors_enable(struct doors *doors, bool on)
{
	doors->closed = !on;
	for (struct door *door = doors->all; door; door = door->next)
		sd_event_source_set_enabled(door->source, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

int doors_create(const struct door_owner *owner, int common, const struct door_given *given,
		 uint32_t count, struct doors **out)
{
	struct doors *doors = calloc(1, sizeof(*doors));
	struct door *door;
	int err;

	if (!doors)
		return -ENOMEM;
	doors->owner = *owner;
	doors->given = calloc(count + 1, sizeof(*given));
	if (!doors->given) {
		free(doors);
		return -ENOMEM;
	}
	if (count)
		memcpy(doors->given, given, count * sizeof(*given));
	doors->given_count = count;
	err = door_open(doors, "", common, &door);
	if (err) {
		close(common);
		doors_free(doors);
		return err;
	}
	*out = doors;
	return 0;
}

void doors_free(struct doors *doors)
{
	if (!doors)
		return;
	while (doors->all) {
		/* Its path stays, as the common one's does: clients wait there for the restart. */
		free(doors->all->path);
		doors->all->path = NULL;
		door_close(doors->all);
	}
	for (uint32_t i = 0; i < doors->given_count; i++)
		close(doors->given[i].fd);
	free(doors->given);
	free(doors);
}
