/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the reports. */
#ifndef FACET_BOARDS_BRINGUP_REPORT_H
#define FACET_BOARDS_BRINGUP_REPORT_H

#include "boards/bringup/bringup.h"

void report_text(const struct bringup_report *report, FILE *out);
void report_json(const struct bringup_report *report, FILE *out);
void report_junit(const struct bringup_report *report, FILE *out);
void report_tap(const struct bringup_report *report, FILE *out);
void report_html(const struct bringup_report *report, FILE *out);
void report_summary(const struct bringup_report *report, FILE *out);
void report_escaped(const char *text, FILE *out); /* for XML and HTML */

#endif
