/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE	   1024
#define LOG_LINES_A_SECOND 50

static const struct {
	const char *name;
	enum log_level level;
} names[] = {
	{"error", LOG_LEVEL_ERROR},
	{"warning", LOG_LEVEL_WARNING},
	{"info", LOG_LEVEL_INFO},
	{"debug", LOG_LEVEL_DEBUG},
};

bool log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(names[i].name, name)) {
			*level = names[i].level;
			return true;
		}
	}
	return false;
}

static const char *log_level_name(enum log_level level)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].level == level)
			return names[i].name;
	return "?";
}

void log_init(struct log *log, enum log_level level)
{
	memset(log, 0, sizeof(*log));
	log->level = level;
	log->journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_write(struct log *log, enum log_level level, const char *event, const char *format, ...)
{
	char line[LOG_LINE];
	int n, m;
	va_list args;

	if (level > log->level)
		return;
	if (log->journal)
		n = snprintf(line, sizeof(line), "<%d>event=%s ", level, event);
	else
		n = snprintf(line, sizeof(line), "level=%s event=%s ", log_level_name(level),
			     event);
	va_start(args, format);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	n += m < (int)sizeof(line) - n - 1 ? m : (int)sizeof(line) - n - 2;
	line[n++] = '\n';
	/* A log that cannot be written must not stop the daemon. */
	(void)!write(STDERR_FILENO, line, (size_t)n);
}

bool log_admit(struct log *log, uint64_t now_ns)
{
	uint64_t second = now_ns / 1000000000u;

	if (second != log->second) {
		uint32_t suppressed = log->suppressed;

		log->second = second;
		log->in_second = 0;
		log->suppressed = 0;
		if (suppressed)
			log_write(log, LOG_LEVEL_WARNING, "suppressed", "lines=%u", suppressed);
	}
	if (log->in_second++ < LOG_LINES_A_SECOND)
		return true;
	log->suppressed++;
	return false;
}
