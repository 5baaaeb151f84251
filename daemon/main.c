/* SPDX-License-Identifier: Apache-2.0 */
/* facetd: options, paths, sockets, and the life of the process. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/job/service.h"
#include "daemon/net/server.h"

#define MAIN_PATH   3072
#define SOCKET_MODE 0660

struct options {
	const char *config, *socket, *state, *metrics, *log;
};

/* The paths in force: options, then the file, then the defaults. */
struct paths {
	char socket[MAIN_PATH], state[MAIN_PATH], metrics[MAIN_PATH], checker[MAIN_PATH];
};

/* The daemon's only globals: what argp prints, and the service, which is large. */
const char *argp_program_version = "facetd " FACET_VERSION;
static struct service service;

static const struct argp_option option_table[] = {
	{"config", 'c', "FILE", 0, "Read this configuration", 0},
	{"socket", 's', "PATH", 0, "Listen here (default /run/facet/facet.sock)", 0},
	{"state", 'd', "DIR", 0, "Keep galleries and models here (default /var/lib/facet)", 0},
	{"metrics", 'm', "PATH", 0, "Offer Prometheus text on this socket", 0},
	{"log", 'l', "LEVEL", 0, "error, warning, info or debug", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static error_t option_parse(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'c':
		options->config = value;
		return 0;
	case 's':
		options->socket = value;
		return 0;
	case 'd':
		options->state = value;
		return 0;
	case 'm':
		options->metrics = value;
		return 0;
	case 'l':
		options->log = value;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "no argument is expected: %s", value);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp arguments = {
	.options = option_table,
	.parser = option_parse,
	.doc = "Schedules int8 networks and exact 1:N search for the clients of a Unix socket."
	       "\vSIGTERM drains, SIGHUP reads the configuration again. See facetd(8).",
};

/* ---- paths ------------------------------------------------------------------------------------- */
__attribute__((format(printf, 2, 3))) static int path_set(char path[MAIN_PATH], const char *format,
							  ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(path, MAIN_PATH, format, args);
	va_end(args);
	return n < 0 || n >= MAIN_PATH ? -ENAMETOOLONG : 0;
}

static int default_socket(char path[MAIN_PATH])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		return path_set(path, "/run/facet/facet.sock");
	if (!runtime || runtime[0] != '/')
		return -ENOENT;
	return path_set(path, "%s/facet/facet.sock", runtime);
}

static int default_state(char path[MAIN_PATH])
{
	const char *given = getenv("STATE_DIRECTORY"); /* of systemd */
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (given && given[0] == '/' && !strchr(given, ':'))
		return path_set(path, "%s", given);
	if (geteuid() == 0)
		return path_set(path, "/var/lib/facet");
	if (state && state[0] == '/')
		return path_set(path, "%s/facet", state);
	if (!home || home[0] != '/')
		return -ENOENT;
	return path_set(path, "%s/.local/state/facet", home);
}

/* Beside this program in a build, else where it is installed. */
static int default_checker(char path[MAIN_PATH])
{
	char self[MAIN_PATH];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		if (!path_set(path, "%s/facet-gallery-check", self) && !access(path, X_OK))
			return 0;
	}
	return path_set(path, FACET_LIBEXECDIR "/facet-gallery-check");
}

static const char *first(const char *a, const char *b)
{
	return a ? a : b;
}

static int paths_find(const struct options *options, const struct config *config,
		      struct paths *paths)
{
	const char *socket = first(options->socket, config->socket);
	const char *state = first(options->state, config->state);
	const char *metrics = first(options->metrics, config->metrics);
	int err = socket ? path_set(paths->socket, "%s", socket) : default_socket(paths->socket);

	if (err)
		fprintf(stderr, "facetd: no socket path; give --socket PATH\n");
	if (!err) {
		err = state ? path_set(paths->state, "%s", state) : default_state(paths->state);
		if (err)
			fprintf(stderr, "facetd: no state directory; give --state DIR\n");
	}
	if (!err && metrics)
		err = path_set(paths->metrics, "%s", metrics);
	if (!err && config->checker)
		err = path_set(paths->checker, "%s", config->checker);
	else if (!err)
		err = default_checker(paths->checker);
	return err;
}

/* Makes the path's last folder, with this mode whatever the umask, and those before it. */
static int folder_make(const char *path, mode_t mode)
{
	char copy[MAIN_PATH];
	int err = path_set(copy, "%s", path);

	for (char *p = copy + 1; !err && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			err = -errno;
		*p = '/';
	}
	if (!err && mkdir(copy, mode) == 0)
		err = chmod(copy, mode) < 0 ? -errno : 0;
	else if (!err && errno != EEXIST)
		err = -errno;
	return err;
}

/* The state directory, which one daemon has for itself as long as it lives. */
static int state_take(const char *state)
{
	char lock[MAIN_PATH + 8];
	int err = folder_make(state, 0700);
	int fd;

	if (err) {
		fprintf(stderr, "facetd: %s: %s; make it, or give --state DIR\n", state,
			strerror(-err));
		return err;
	}
	snprintf(lock, sizeof(lock), "%s/lock", state);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		fprintf(stderr, "facetd: %s: %s; its owner must be able to write there\n", lock,
			strerror(errno));
		return -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		fprintf(stderr,
			"facetd: %s is in use by another facetd; stop it, or give --state DIR\n",
			state);
		close(fd);
		return -EBUSY;
	}
	return fd;
}

/* ---- sockets ----------------------------------------------------------------------------------- */
static int listen_at(const char *path, const struct config *config)
{
	char text[CONFIG_TEXT];
	int fd = server_listen(path, SOCKET_MODE, config->group, text);

	if (fd < 0)
		fprintf(stderr, "facetd: %s\n", text);
	return fd;
}

/* A socket of the service manager, by its name: "metrics", "tenant-NAME", any other is for clients. */
static void socket_take(struct server_options *options, struct door_given *given, const char *name,
			int fd)
{
	struct door_given *one = &given[options->given_count];

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (!strcmp(name, "metrics") && options->metrics < 0) {
		options->metrics = fd;
	} else if (!strncmp(name, "tenant-", 7) && options->given_count < CONFIG_TENANTS_MAX) {
		snprintf(one->tenant, sizeof(one->tenant), "%s", name + 7);
		one->fd = fd;
		options->given_count++;
	} else if (options->listener < 0) {
		options->listener = fd;
	} else {
		fprintf(stderr, "facetd: one socket too many is called %s; it is not used\n", name);
		close(fd);
	}
}

static int sockets_inherited(struct server_options *options)
{
	static struct door_given given[CONFIG_TENANTS_MAX];
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);

	options->given = given;
	for (int i = 0; i < count; i++) {
		socket_take(options, given, names[i], SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	free(names);
	return count < 0 ? count : 0;
}

static int sockets_open(const struct paths *paths, const struct config *config,
			struct server_options *options)
{
	int err = sockets_inherited(options);

	if (err)
		return err;
	if (options->listener < 0)
		options->listener = listen_at(paths->socket, config);
	if (options->listener < 0)
		return options->listener;
	if (options->metrics < 0 && paths->metrics[0]) {
		options->metrics = listen_at(paths->metrics, config);
		if (options->metrics < 0)
			return options->metrics;
	}
	return 0;
}

/* ---- the process ------------------------------------------------------------------------------- */
/* Templates are biometric data: they must not get into a core file or another process's hands. */
static void process_harden(void)
{
	struct rlimit none = {0, 0};
	struct rlimit files;
	sigset_t set;

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* Before any thread is made, so that signals come to the loop alone. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* 32 bytes, from the file named, or a systemd credential called facet-key. 1: there is none. */
static int key_read(const struct config *config, uint8_t key[32])
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char path[MAIN_PATH] = "";
	struct stat st;
	uint8_t bytes[33];
	int fd;

	if (config->key_file)
		path_set(path, "%s", config->key_file);
	else if (credentials)
		path_set(path, "%s/facet-key", credentials);
	if (!path[0] || (!config->key_file && access(path, F_OK)))
		return 1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "facetd: %s: %s; name a key that can be read\n", path,
			strerror(errno));
	} else if (!S_ISREG(st.st_mode) || (st.st_mode & 0077)) {
		fprintf(stderr, "facetd: %s: others may read it; chmod 0600\n", path);
	} else if (read(fd, bytes, sizeof(bytes)) != 32) {
		fprintf(stderr,
			"facetd: %s: a key has 32 bytes; make one with: head -c 32 /dev/urandom\n",
			path);
	} else {
		memcpy(key, bytes, 32);
		explicit_bzero(bytes, sizeof(bytes));
		close(fd);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -EINVAL;
}

static int serve(struct config *config, const struct paths *paths,
		 const struct server_options *options)
{
	struct server *server = NULL;
	char text[CONFIG_TEXT];
	uint8_t key[32];
	int keyless = key_read(config, key);
	int err = keyless < 0 ? keyless : 0;

	if (err)
		return err;
	err = service_start(&service, config, paths->state, paths->checker, keyless ? NULL : key,
			    text);
	if (err) {
		fprintf(stderr, "facetd: %s\n", text);
		return err;
	}
	snprintf(text, sizeof(text), "out of memory or descriptors");
	err = server_create(&service, config, options, &server, text);
	if (err) {
		fprintf(stderr, "facetd: %s\n", text);
	} else {
		log_write(&service.log, LOG_LEVEL_INFO, "start",
			  "version=" FACET_VERSION " device=%s detail=\"%s\"", service.caps.name,
			  service.caps.detail);
		err = server_run(server);
	}
	if (server)
		server_free(server);
	service_stop(&service);
	explicit_bzero(key, sizeof(key));
	return err;
}

static bool log_start(const struct options *options, const struct config *config)
{
	enum log_level level = LOG_LEVEL_INFO;
	const char *name = first(options->log, config->log);

	if (name && !log_level_parse(name, &level)) {
		fprintf(stderr, "facetd: no log level %s; use error, warning, info or debug\n",
			name);
		return false;
	}
	log_init(&service.log, level);
	return true;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct server_options sockets = {.listener = -1, .metrics = -1};
	struct paths paths = {0};
	struct config *config;
	char text[CONFIG_TEXT];
	int lock;

	argp_parse(&arguments, argc, argv, 0, NULL, &options);
	process_harden();
	if (config_load(options.config, &config, text)) {
		fprintf(stderr, "facetd: %s\n", text);
		return 2;
	}
	sockets.config_path = options.config;
	if (!log_start(&options, config) || paths_find(&options, config, &paths))
		return 2;
	lock = state_take(paths.state);
	if (lock < 0 || sockets_open(&paths, config, &sockets))
		return 1;
	return serve(config, &paths, &sockets) ? 1 : 0;
}
