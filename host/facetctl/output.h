/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command prints. A command makes rows (JSON objects with the same keys); they come out as
 * an aligned table, one JSON document, or a JSON line each (-o table|json|jsonl).
 */
#ifndef FACET_FACETCTL_OUTPUT_H
#define FACET_FACETCTL_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };

struct output;
struct output *output_create(enum output_format format, bool quiet);
/* Adds a row and takes it; jsonl prints it at once. */
void output_row(struct output *output, struct json_object *row);
/* A line for people, on stderr, not with --quiet. */
void output_note(const struct output *output, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Progress of long work: one line on stderr that is rewritten, only on a terminal; without one, a
 * line every ten seconds. done == total ends it. */
void output_progress(struct output *output, const char *what, uint64_t done, uint64_t total);
/* Prints what is left and frees it. single: one object instead of an array of one. */
void output_finish(struct output *output, bool single);
void output_free(struct output *output); /* without printing; NULL is fine */

double output_now(void); /* seconds, monotonic: what progress and rates are measured by */

/* Values for rows. */
struct json_object *output_row_new(void);
void output_text(struct json_object *row, const char *key, const char *value);
void output_number(struct json_object *row, const char *key, double value, int decimals);
void output_count(struct json_object *row, const char *key, int64_t value);
void output_flag(struct json_object *row, const char *key, bool value);

#endif
