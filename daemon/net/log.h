/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event on standard error, key=value, never a subject's name or a vector.
 * Under systemd each line starts with its priority ("<6>"). Used by the control thread only.
 */
#ifndef FACET_DAEMON_NET_LOG_H
#define FACET_DAEMON_NET_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

struct log {
	enum log_level level;
	bool journal;
	/* failures of requests are many where a client is bad: at most so many lines a second */
	uint64_t second;
	uint32_t in_second, suppressed;
};

/* error, warning, info, debug; false for any other name */
bool log_level_parse(const char *name, enum log_level *level);
void log_init(struct log *log, enum log_level level);
/* event is one word, the rest "key=value key=value" */
__attribute__((format(printf, 4, 5))) void log_write(struct log *log, enum log_level level,
						     const char *event, const char *format, ...);
/* May a line be written now? False: it was counted, and a later line says how many were left out. */
bool log_admit(struct log *log, uint64_t now_ns);

#endif
