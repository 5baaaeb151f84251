/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "daemon/job/boards.h"
#include "daemon/job/service.h"
#include "daemon/net/conn.h"
#include "daemon/net/scrape.h"

#define TURN_EVENTS  64
#define TURN_ROUNDS  4 /* looks for more before sd-event is asked again */
#define TICK_US	     1000000
#define LAST_WORD_US 3000000 /* from the drain's deadline to the end */

struct peer {
	struct server *server;
	struct conn *conn;
	struct peer *next, *prev;
	struct peer *next_dirty;
};

struct server {
	struct service *service;
	struct config *config;
	struct server_options options;
	struct conn_owner owner;
	sd_event *event;
	sd_event_source *turn, *tick, *wakeup, *drain;
	sd_event_source *signals[3];
	struct doors *doors;
	struct scrape *scrape;
	char *trouble; /* at the start: where the text goes */
	int epoll;
	struct peer *peers, *dirty;
	uint64_t wakeup_ns;
	uint32_t percent; /* of loading, as last told to systemd */
	bool last_word;
};

/* ---- peers ------------------------------------------------------------------------------------- */
static void peer_watch(void *user, uint32_t events)
{
	struct peer *peer = user;
	struct epoll_event event = {.events = events, .data.ptr = peer};

	epoll_ctl(peer->server->epoll, EPOLL_CTL_MOD, conn_fd(peer->conn), &event);
}

static void peer_dirty(void *user)
{
	struct peer *peer = user;

	peer->next_dirty = peer->server->dirty;
	peer->server->dirty = peer;
}

static void peer_free(struct peer *peer)
{
	struct server *server = peer->server;

	for (struct peer **p = &server->dirty; *p; p = &(*p)->next_dirty) {
		if (*p == peer) {
			*p = peer->next_dirty;
			break;
		}
	}
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		server->peers = peer->next;
	if (peer->next)
		peer->next->prev = peer->prev;
	/* Closing would not do: a helper that is just being spawned may hold the socket a moment longer,
	 * and its events would name a peer that is gone. */
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, conn_fd(peer->conn), NULL);
	conn_free(peer->conn);
	free(peer);
}

/* One too many: told so, and closed. */
static void peer_refuse(struct server *server, int fd)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Error error = FACET__WIRE__ERROR__INIT;
	struct wire *wire = wire_create(fd);

	server->service->metrics.dropped[DROP_CROWD]++;
	if (!wire) {
		close(fd);
		return;
	}
	error.code = FACET__WIRE__CODE__OVERLOADED;
	error.retryable = true;
	error.retry_after_ms = 1000;
	error.text = (char *)"all connections are taken (limits.connections); come back later";
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_FATAL;
	frame.fatal = &error;
	if (wire_queue(wire, &frame.base, NULL, 0) >= 0)
		wire_flush(wire);
	wire_free(wire);
}

static void peer_create(struct server *server, int fd, const char *tenant)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct peer *peer;

	if (server->service->connections >= server->config->connections) {
		peer_refuse(server, fd);
		return;
	}
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		close(fd);
		return;
	}
	peer->server = server;
	peer->conn = conn_create(fd, &server->owner, peer, tenant);
	if (!peer->conn) {
		free(peer);
		return;
	}
	peer->next = server->peers;
	if (peer->next)
		peer->next->prev = peer;
	server->peers = peer;
	event.data.ptr = peer;
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		peer_free(peer);
}

/* ---- a turn ------------------------------------------------------------------------------------ */
static void server_flush(struct server *server)
{
	struct peer *peer;

	while ((peer = server->dirty)) {
		server->dirty = peer->next_dirty;
		if (!conn_flush(peer->conn))
			peer_free(peer);
	}
}

static void server_wakeup(struct server *server)
{
	uint64_t ns = sched_wakeup(server->service->sched);
	uint64_t boards = boards_wakeup(server->service);

	if (boards && (!ns || boards < ns))
		ns = boards;
	if (ns == server->wakeup_ns)
		return;
	server->wakeup_ns = ns;
	if (ns)
		sd_event_source_set_time(server->wakeup, ns / 1000 + 1);
	sd_event_source_set_enabled(server->wakeup, ns ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static bool server_done(const struct server *server)
{
	if (!server->service->draining || server->service->jobs)
		return false;
	for (const struct peer *peer = server->peers; peer; peer = peer->next)
		if (conn_unsent(peer->conn))
			return false;
	return true;
}

static void server_settle(struct server *server)
{
	struct service *service = server->service;
	uint32_t waiting;

	bell_drain(&service->bell);
	do {
		sched_run(service->sched);
		waiting = sched_waiting(service->sched);
		server_flush(server); /* may let requests in that waited for the client to read */
	} while (sched_waiting(service->sched) > waiting);
	server_wakeup(server);
	if (server_done(server))
		sd_event_exit(server->event, 0);
}

static int server_round(struct server *server)
{
	struct epoll_event events[TURN_EVENTS];
	int n = epoll_wait(server->epoll, events, TURN_EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct peer *peer = events[i].data.ptr; /* NULL: the bell */

		if (peer && !conn_ready(peer->conn, events[i].events))
			peer_free(peer);
	}
	return n;
}

static int server_turn(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct server *server = user;

	(void)source;
	(void)fd;
	(void)events;
	/* More than one event at once is load: look again before the loop's own round. A single
	 * one is most likely alone, and looking again only delays whoever has just been woken. */
	for (int round = 0, n = TURN_EVENTS; round < TURN_ROUNDS && n > 1; round++) {
		n = server_round(server);
		if (n > 0)
			server_settle(server);
	}
	return 0;
}

static int server_woken(sd_event_source *source, uint64_t usec, void *user)
{
	struct server *server = user;

	(void)source;
	(void)usec;
	server->wakeup_ns = 0;
	sched_expire(server->service->sched);
	boards_tick(server->service);
	server_settle(server);
	return 0;
}

static void server_come(void *user, int fd, const char *tenant)
{
	peer_create(user, fd, tenant);
}

static void server_trouble(void *user, const char *tenant, const char *text)
{
	struct server *server = user;

	if (server->trouble)
		snprintf(server->trouble, CONFIG_TEXT, "[tenant %s]: %.300s", tenant, text);
	else
		log_write(&server->service->log, LOG_LEVEL_ERROR, "socket", "tenant=%s text=\"%s\"",
			  tenant, text);
}

/* ---- once a second ------------------------------------------------------------------------------- */
static void server_status(struct server *server)
{
	uint32_t percent = service_percent(server->service);

	if (percent == server->percent)
		return;
	server->percent = percent;
	sd_notifyf(0, "STATUS=%s, %u %% loaded", percent == 100 ? "ready" : "loading", percent);
}

static int server_tick(sd_event_source *source, uint64_t usec, void *user)
{
	struct server *server = user;
	uint64_t now = service_now();
	struct peer *next;

	(void)usec;
	for (struct peer *peer = server->peers; peer; peer = next) {
		next = peer->next;
		if (!conn_check(peer->conn, now))
			peer_free(peer);
	}
	server_settle(server);
	if (!server->service->draining) {
		doors_enable(server->doors, true);
		server_status(server);
	}
	sd_event_source_set_time_relative(source, TICK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- drain and reload ------------------------------------------------------------------------------ */
static void server_drop_all(struct server *server)
{
	while (server->peers)
		peer_free(server->peers);
}

static int server_drained(sd_event_source *source, uint64_t usec, void *user)
{
	struct server *server = user;

	(void)usec;
	if (server->last_word) {
		log_write(&server->service->log, LOG_LEVEL_ERROR, "drain",
			  "jobs=%u text=\"did not end in time\"", server->service->jobs);
		_exit(1);
	}
	/* Those who still wait get no answer; what is on the device or disk ends by itself. */
	server->last_word = true;
	log_write(&server->service->log, LOG_LEVEL_WARNING, "drain", "jobs=%u text=\"cancelled\"",
		  server->service->jobs);
	server_drop_all(server);
	server_settle(server);
	sd_event_source_set_time_relative(source, LAST_WORD_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int server_terminate(sd_event_source *source, const struct signalfd_siginfo *info,
			    void *user)
{
	struct server *server = user;
	uint64_t us = server->config->drain_seconds * 1000000;

	(void)source;
	if (server->service->draining)
		us = 0; /* asked twice */
	log_write(&server->service->log, LOG_LEVEL_INFO, "drain", "signal=%u jobs=%u",
		  info->ssi_signo, server->service->jobs);
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
	server->service->draining = true;
	doors_enable(server->doors, false);
	sd_event_source_set_time_relative(server->drain, us);
	sd_event_source_set_enabled(server->drain, SD_EVENT_ONESHOT);
	server_settle(server);
	return 0;
}

static void reload_warn(struct server *server, const struct config *next)
{
	char keys[CONFIG_TEXT];

	if (config_needs_start(server->config, next, keys))
		log_write(&server->service->log, LOG_LEVEL_WARNING, "reload",
			  "text=\"changed, but in force at the next start only: %s\"", keys);
}

static int server_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct server *server = user;
	struct service *service = server->service;
	char text[CONFIG_TEXT];
	struct config *next;

	(void)source;
	(void)info;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, service_now() / 1000);
	if (config_load(server->options.config_path, &next, text)) {
		log_write(&service->log, LOG_LEVEL_ERROR, "reload", "kept=old text=\"%s\"", text);
	} else {
		reload_warn(server, next);
		if (next->log)
			log_level_parse(next->log, &service->log.level);
		service_reload(service, next);
		for (struct peer *peer = server->peers; peer; peer = peer->next)
			conn_identify(peer->conn);
		if (!service->draining)
			doors_update(server->doors, next);
		tenants_sweep(service->tenants);
		config_free(server->config);
		server->config = next;
		log_write(&service->log, LOG_LEVEL_INFO, "reload", "tenants=%u",
			  next->tenant_count);
	}
	sd_notify(0, "READY=1");
	return 0;
}

/* ---- the whole --------------------------------------------------------------------------------- */
static void server_print(void *user, FILE *out)
{
	service_print_metrics(user, NULL, out);
}

static int server_signals(struct server *server)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* Worker threads run already; they have inherited the mask main() set. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	err = sd_event_add_signal(server->event, &server->signals[0], SIGTERM, server_terminate,
				  server);
	if (err >= 0)
		err = sd_event_add_signal(server->event, &server->signals[1], SIGINT,
					  server_terminate, server);
	if (err >= 0)
		err = sd_event_add_signal(server->event, &server->signals[2], SIGHUP, server_reload,
					  server);
	return err < 0 ? err : 0;
}

static int server_timers(struct server *server)
{
	int err = sd_event_add_time_relative(server->event, &server->tick, CLOCK_MONOTONIC, TICK_US,
					     50000, server_tick, server);

	if (err >= 0)
		err = sd_event_add_time(server->event, &server->wakeup, CLOCK_MONOTONIC, 0, 1,
					server_woken, server);
	if (err >= 0)
		err = sd_event_source_set_enabled(server->wakeup, SD_EVENT_OFF);
	if (err >= 0)
		err = sd_event_add_time(server->event, &server->drain, CLOCK_MONOTONIC, 0, 1000,
					server_drained, server);
	if (err >= 0)
		err = sd_event_source_set_enabled(server->drain, SD_EVENT_OFF);
	return err < 0 ? err : 0;
}

static int server_epoll(struct server *server)
{
	/* Edge-triggered and never read: see bell.h. */
	struct epoll_event bell = {.events = EPOLLIN | EPOLLET};
	int err;

	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->service->bell.fd, &bell) < 0)
		return -errno;
	err = sd_event_add_io(server->event, &server->turn, server->epoll, EPOLLIN, server_turn,
			      server);
	if (err >= 0 && server->options.metrics >= 0)
		err = scrape_start(server->event, server->options.metrics, server_print,
				   server->service, &server->scrape);
	return err < 0 ? err : 0;
}

static int server_doors(struct server *server, char text[CONFIG_TEXT])
{
	const struct server_options *options = &server->options;
	const struct door_owner owner = {.event = server->event,
					 .come = server_come,
					 .trouble = server_trouble,
					 .user = server};
	int err = doors_create(&owner, options->listener, options->given, options->given_count,
			       &server->doors);

	if (err)
		return err;
	server->trouble = text;
	err = doors_update(server->doors, server->config) ? -EADDRNOTAVAIL : 0;
	server->trouble = NULL;
	return err;
}

int server_create(struct service *service, struct config *config,
		  const struct server_options *options, struct server **out, char text[CONFIG_TEXT])
{
	struct server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->service = service;
	server->config = config;
	server->options = *options;
	server->owner =
		(struct conn_owner){.service = service, .watch = peer_watch, .dirty = peer_dirty};
	server->percent = UINT32_MAX;
	server->epoll = -1;
	err = sd_event_new(&server->event);
	if (err >= 0)
		err = server_doors(server, text);
	if (err >= 0)
		err = server_epoll(server);
	if (err >= 0)
		err = server_signals(server);
	if (err >= 0)
		err = server_timers(server);
	if (err < 0) {
		server_free(server);
		return err;
	}
	*out = server;
	return 0;
}

int server_run(struct server *server)
{
	/* The watchdog is fed by this loop, so that a loop that hangs is noticed. */
	sd_event_set_watchdog(server->event, true);
	sd_notify(0, "READY=1");
	server_status(server);
	return sd_event_loop(server->event);
}

void server_free(struct server *server)
{
	server_drop_all(server);
	scrape_stop(server->scrape);
	for (size_t i = 0; i < 3; i++)
		sd_event_source_unref(server->signals[i]);
	sd_event_source_unref(server->turn);
	sd_event_source_unref(server->tick);
	sd_event_source_unref(server->wakeup);
	sd_event_source_unref(server->drain);
	doors_free(server->doors);
	sd_event_unref(server->event);
	if (server->epoll >= 0)
		close(server->epoll);
	config_free(server->config);
	free(server);
}
