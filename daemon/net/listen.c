/* SPDX-License-Identifier: Apache-2.0 */
/* Listening Unix sockets. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/net/server.h"

#define BACKLOG 128

/* A socket that nobody answers is left from a daemon that died. -EADDRINUSE: one answers. */
static int listen_clear(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED)
		err = -EADDRINUSE;
	close(fd);
	if (!err && unlink(address->sun_path) < 0)
		err = -errno;
	return err;
}

/* The folder it lies in, where only that is missing; with this mode whatever the umask. */
static void listen_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return;
	*slash = '\0';
	if (mkdir(folder, 0755) == 0)
		(void)!chmod(folder, 0755);
}

static int listen_group(const char *path, const char *name, unsigned mode)
{
	struct group *group = name ? getgrnam(name) : NULL;

	if (name && !group)
		return -ENOENT;
	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		return -errno;
	return chmod(path, mode) < 0 ? -errno : 0;
}

int server_listen(const char *path, unsigned mode, const char *group, char text[CONFIG_TEXT])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -1, err;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(text, CONFIG_TEXT,
			 "%.200s: longer than a socket's path may be (%zu bytes)", path,
			 sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	listen_folder(path);
	err = listen_clear(&address);
	if (!err) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			err = -errno;
	}
	if (!err)
		err = listen_group(path, group, mode);
	if (!err && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	snprintf(text, CONFIG_TEXT, "%.200s: %s; %s", path, strerror(-err),
		 err == -EADDRINUSE ? "stop the daemon that answers there, or give another path"
				    : "give a path the daemon may make a socket at");
	return err;
}
