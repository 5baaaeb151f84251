/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of an LMDB 0.9 environment, read page by page without LMDB, which trusts its file: every
 * offset, size, count and key order is checked before use, and no page may be reached twice. The
 * layout is that of liblmdb/mdb.c (data version 1), little-endian, 64 bits.
 */
#ifndef FACET_DAEMON_GALLERY_PAGES_H
#define FACET_DAEMON_GALLERY_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGES_TEXT 160

struct pages_bytes {
	const uint8_t *data;
	size_t size;
};

struct pages_tree { /* struct MDB_db */
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* An entry, in the order of keys. Returns 0 to go on. */
typedef int pages_entry(void *context, struct pages_bytes key, struct pages_bytes value);

struct pages {
	const uint8_t *map;
	uint64_t file_pages, last_page, txn;
	uint32_t page_size;
	uint8_t *seen; /* a bit a page */
	struct pages_tree free_tree, main_tree;
	char text[PAGES_TEXT];			      /* what is wrong */
	void (*progress)(uint64_t done, uint64_t of); /* or NULL */
	uint64_t visited;
};

/* As the newest transaction left it, or the one before, which LMDB keeps. -EBADMSG and text. */
int pages_open(struct pages *pages, const char *path, bool before);
void pages_close(struct pages *pages);
int pages_check_free(struct pages *pages); /* the list of free pages; after all trees */
int pages_walk(struct pages *pages, const struct pages_tree *tree, bool integer_keys,
	       pages_entry *entry, void *context);
/* A value of the main tree that describes another tree. */
int pages_tree_read(struct pages_bytes value, struct pages_tree *tree);

#endif
