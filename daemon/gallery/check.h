/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a gallery's file, which facet-gallery-check runs apart from the daemon. */
#ifndef FACET_DAEMON_GALLERY_CHECK_H
#define FACET_DAEMON_GALLERY_CHECK_H

#include <stdint.h>

#include "daemon/gallery/gallery.h"

struct check_watch {
	void (*progress)(uint64_t done, uint64_t of); /* pages */
	void (*shape)(uint64_t templates,
		      const struct gallery_space *space); /* the head is right */
};

/* key: 32 bytes or NULL; watch may be NULL. 0, or -EBADMSG and what is wrong and what to do. */
int gallery_check(const char *dir, const uint8_t *key, const struct check_watch *watch,
		  char text[GALLERY_TEXT]);

/* The program around it: DIR [keyed]. */
int gallery_check_main(int argc, char **argv);

#endif
