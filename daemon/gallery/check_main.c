/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facet-gallery-check DIR [keyed]: walks every page and record of the gallery in DIR. With `keyed`
 * the 32-byte key is read from standard input. Prints `progress N` (percent) lines, a
 * `shape TEMPLATES DIM METRIC` once the head is read, then `ok` or
 * `bad: TEXT`; exits 0 or 1. It runs apart from the daemon, since the file is not trusted.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "daemon/gallery/check.h"

static void progress(uint64_t done, uint64_t of)
{
	static uint64_t last;
	uint64_t percent = of ? done * 100 / of : 0;

	if (percent == last || percent > 100)
		return;
	last = percent;
	printf("progress %u\n", (unsigned int)percent);
	fflush(stdout);
}

static void shape(uint64_t templates, const struct gallery_space *space)
{
	printf("shape %llu %u %u\n", (unsigned long long)templates, space->dim,
	       (unsigned int)space->metric);
	fflush(stdout);
}

static const struct check_watch watch = {progress, shape};

int gallery_check_main(int argc, char **argv)
{
	char text[GALLERY_TEXT];
	uint8_t key[32];
	bool keyed = argc == 3 && !strcmp(argv[2], "keyed");
	int err;

	prctl(PR_SET_DUMPABLE, 0);
	if (argc < 2 || argc > 3 || (argc == 3 && !keyed)) {
		fprintf(stderr, "usage: facet-gallery-check DIR [keyed]\n");
		return 2;
	}
	if (sodium_init() < 0 || (keyed && fread(key, sizeof(key), 1, stdin) != 1)) {
		printf("bad: the key did not arrive\n");
		return 1;
	}
	err = gallery_check(argv[1], keyed ? key : NULL, &watch, text);
	sodium_memzero(key, sizeof(key));
	if (err)
		printf("bad: %s\n", text);
	else
		printf("ok\n");
	return err ? 1 : 0;
}
