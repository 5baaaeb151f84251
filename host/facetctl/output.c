/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS_MAX 32

struct output {
	enum output_format format;
	bool quiet;
	struct json_object *rows;
	double progress_at; /* when the last line of progress was printed */
};

double output_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct output *output_create(enum output_format format, bool quiet)
{
	struct output *output = calloc(1, sizeof(*output));

	if (!output)
		return NULL;
	output->format = format;
	output->quiet = quiet;
	output->rows = json_object_new_array();
	output->progress_at = output_now();
	return output;
}

void output_row(struct output *output, struct json_object *row)
{
	if (output->format == OUTPUT_JSONL) {
		puts(json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN));
		fflush(stdout);
		json_object_put(row);
		return;
	}
	json_object_array_add(output->rows, row);
}

void output_note(const struct output *output, const char *format, ...)
{
	va_list args;

	if (output->quiet)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void output_progress(struct output *output, const char *what, uint64_t done, uint64_t total)
{
	bool terminal = isatty(STDERR_FILENO);
	double now = output_now();

	if (output->quiet)
		return;
	if (done < total && now - output->progress_at < (terminal ? 0.1 : 10.0))
		return;
	output->progress_at = now;
	fprintf(stderr, "%s%s %" PRIu64 " of %" PRIu64 " (%.0f %%)%s", terminal ? "\r" : "", what,
		done, total, total ? 100.0 * (double)done / (double)total : 100.0,
		terminal && done < total ? "" : "\n");
	fflush(stderr);
}

/* ---- the table ------------------------------------------------------------------------------ */
static void cell_text(struct json_object *value, char *text, size_t size)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		snprintf(text, size, "-");
		break;
	case json_type_boolean:
		snprintf(text, size, "%s", json_object_get_boolean(value) ? "yes" : "no");
		break;
	case json_type_string:
		snprintf(text, size, "%s", json_object_get_string(value));
		break;
	default:
		snprintf(text, size, "%s",
			 json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	}
	/* A subject's name is a stranger's text: nothing of it may steer the terminal. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

/* Characters of UTF-8, which is what a column's width counts. */
static int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void table_line(struct json_object *row, const char *const *keys, const int *width,
		       const bool *number, int columns)
{
	char text[512];

	for (int c = 0; c < columns; c++) {
		struct json_object *value = NULL;

		json_object_object_get_ex(row, keys[c], &value);
		cell_text(value, text, sizeof(text));
		int pad = width[c] - text_width(text);
		if (number[c])
			printf("%*s%s", pad, "", text);
		else if (c + 1 < columns)
			printf("%s%*s", text, pad, "");
		else
			printf("%s", text);
		fputs(c + 1 < columns ? "  " : "\n", stdout);
	}
}

static void print_table(struct json_object *rows)
{
	const char *keys[COLUMNS_MAX];
	int width[COLUMNS_MAX], columns = 0;
	bool number[COLUMNS_MAX];
	char text[512];
	size_t count = json_object_array_length(rows);

	if (count == 0)
		return;
	json_object_object_foreach(json_object_array_get_idx(rows, 0), key, first)
	{
		if (columns == COLUMNS_MAX)
			break;
		number[columns] = json_object_is_type(first, json_type_int) ||
				  json_object_is_type(first, json_type_double);
		keys[columns] = key;
		width[columns++] = text_width(key);
	}
	for (size_t r = 0; r < count; r++)
		for (int c = 0; c < columns; c++) {
			struct json_object *value = NULL;

			json_object_object_get_ex(json_object_array_get_idx(rows, r), keys[c],
						  &value);
			cell_text(value, text, sizeof(text));
			if (text_width(text) > width[c])
				width[c] = text_width(text);
		}
	for (int c = 0; c < columns; c++)
		printf("%*s%s", number[c] ? width[c] : -width[c], keys[c],
		       c + 1 < columns ? "  " : "\n");
	for (size_t r = 0; r < count; r++)
		table_line(json_object_array_get_idx(rows, r), keys, width, number, columns);
}

/* One object is easier to read as a line a key. */
static void print_single(struct json_object *row)
{
	char text[512];
	int width = 0;

	json_object_object_foreach(row, key, value)
	{
		(void)value;
		if (text_width(key) > width)
			width = text_width(key);
	}
	json_object_object_foreach(row, name, item)
	{
		cell_text(item, text, sizeof(text));
		printf("%-*s  %s\n", width, name, text);
	}
}

void output_finish(struct output *output, bool single)
{
	size_t count = json_object_array_length(output->rows);

	if (output->format == OUTPUT_JSON) {
		struct json_object *all = output->rows;

		if (single && count == 1)
			all = json_object_array_get_idx(output->rows, 0);
		puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (output->format == OUTPUT_TABLE) {
		if (single && count == 1)
			print_single(json_object_array_get_idx(output->rows, 0));
		else
			print_table(output->rows);
	}
	fflush(stdout);
	output_free(output);
}

void output_free(struct output *output)
{
	if (!output)
		return;
	json_object_put(output->rows);
	free(output);
}

/* ---- values --------------------------------------------------------------------------------- */
struct json_object *output_row_new(void)
{
	return json_object_new_object();
}

void output_text(struct json_object *row, const char *key, const char *value)
{
	json_object_object_add(row, key, value ? json_object_new_string(value) : NULL);
}

void output_number(struct json_object *row, const char *key, double value, int decimals)
{
	char text[64];

	if (!isfinite(value)) {
		json_object_object_add(row, key, NULL); /* JSON has no infinities */
		return;
	}
	snprintf(text, sizeof(text), "%.*f", decimals, value);
	json_object_object_add(row, key, json_object_new_double_s(value, text));
}

void output_count(struct json_object *row, const char *key, int64_t value)
{
	json_object_object_add(row, key, json_object_new_int64(value));
}

void output_flag(struct json_object *row, const char *key, bool value)
{
	json_object_object_add(row, key, json_object_new_boolean(value));
}
