/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/scrape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 16
#define WAIT_US	    200000  /* for a request, of those who send one */
#define LIFE_US	    5000000 /* of a reader */
#define PAUSE_US    1000000 /* without a descriptor to accept with */

struct reader {
	struct scrape *scrape;
	int fd;
	sd_event_source *io, *timer;
	char *text;
	size_t bytes, sent;
	struct reader *next;
};

struct scrape {
	sd_event *event;
	int fd;
	sd_event_source *io, *pause;
	void (*print)(void *user, FILE *out);
	void *user;
	struct reader *readers;
	unsigned count;
};

static void reader_free(struct reader *reader)
{
	struct reader **p = &reader->scrape->readers;

	while (*p != reader)
		p = &(*p)->next;
	*p = reader->next;
	reader->scrape->count--;
	sd_event_source_disable_unref(reader->io);
	sd_event_source_disable_unref(reader->timer);
	close(reader->fd);
	free(reader->text);
	free(reader);
}

static bool reader_print(struct reader *reader)
{
	FILE *out = open_memstream(&reader->text, &reader->bytes);

	if (!out)
		return false;
	fputs("HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
	      "Connection: close\r\n\r\n",
	      out);
	reader->scrape->print(reader->scrape->user, out);
	return fclose(out) == 0;
}

/* False: all is sent, or it has gone. */
static bool reader_send(struct reader *reader)
{
	char request[4096];

	/* What was sent must be read: closing over unread bytes would reset the reader. */
	while (recv(reader->fd, request, sizeof(request), MSG_DONTWAIT) > 0)
		;
	while (reader->sent < reader->bytes) {
		ssize_t n = send(reader->fd, reader->text + reader->sent,
				 reader->bytes - reader->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		reader->sent += (size_t)n;
	}
	return false;
}

static int reader_answer(struct reader *reader)
{
	if ((!reader->text && !reader_print(reader)) || !reader_send(reader)) {
		reader_free(reader);
		return 0;
	}
	sd_event_source_set_io_events(reader->io, EPOLLOUT);
	sd_event_source_set_time_relative(reader->timer, LIFE_US);
	sd_event_source_set_enabled(reader->timer, SD_EVENT_ONESHOT);
	return 0;
}

static int reader_ready(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)fd;
	(void)events;
	return reader_answer(user);
}

static int reader_late(sd_event_source *source, uint64_t usec, void *user)
{
	struct reader *reader = user;

	(void)source;
	(void)usec;
	if (!reader->text)
		return reader_answer(reader);
	reader_free(reader);
	return 0;
}

static int scrape_again(sd_event_source *source, uint64_t usec, void *user)
{
	struct scrape *scrape = user;

	(void)source;
	(void)usec;
	return sd_event_source_set_enabled(scrape->io, SD_EVENT_ON);
}

/* The one that waits keeps the listener readable: looking away, not turning without pause. */
static void scrape_pause(struct scrape *scrape)
{
	sd_event_source_set_enabled(scrape->io, SD_EVENT_OFF);
	sd_event_source_set_time_relative(scrape->pause, PAUSE_US);
	sd_event_source_set_enabled(scrape->pause, SD_EVENT_ONESHOT);
}

static int scrape_accept(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct scrape *scrape = user;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct reader *reader;

	(void)source;
	(void)events;
	if (client < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			scrape_pause(scrape);
		return 0;
	}
	reader = scrape->count < READERS_MAX ? calloc(1, sizeof(*reader)) : NULL;
	if (!reader) {
		close(client);
		return 0;
	}
	reader->scrape = scrape;
	reader->fd = client;
	reader->next = scrape->readers;
	scrape->readers = reader;
	scrape->count++;
	if (sd_event_add_io(scrape->event, &reader->io, client, EPOLLIN, reader_ready, reader) <
		    0 ||
	    sd_event_add_time_relative(scrape->event, &reader->timer, CLOCK_MONOTONIC, WAIT_US,
				       10000, reader_late, reader) < 0)
		reader_free(reader);
	return 0;
}

int scrape_start(sd_event *event, int fd, void (*print)(void *user, FILE *out), void *user,
		 struct scrape **out)
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	int err;

	if (!scrape)
		return -ENOMEM;
	scrape->event = event;
	scrape->fd = fd;
	scrape->print = print;
	scrape->user = user;
	err = sd_event_add_io(event, &scrape->io, fd, EPOLLIN, scrape_accept, scrape);
	if (err >= 0)
		err = sd_event_add_time_relative(event, &scrape->pause, CLOCK_MONOTONIC, PAUSE_US,
						 10000, scrape_again, scrape);
	if (err >= 0)
		err = sd_event_source_set_enabled(scrape->pause, SD_EVENT_OFF);
	if (err < 0) {
		sd_event_source_disable_unref(scrape->io);
		sd_event_source_disable_unref(scrape->pause);
		free(scrape);
		return err;
	}
	*out = scrape;
	return 0;
}

void scrape_stop(struct scrape *scrape)
{
	if (!scrape)
		return;
	while (scrape->readers)
		reader_free(scrape->readers);
	sd_event_source_disable_unref(scrape->io);
	sd_event_source_disable_unref(scrape->pause);
	close(scrape->fd);
	free(scrape);
}
