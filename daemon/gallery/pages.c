/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	    0xbeefc0deu
#define VERSION	    1u
#define PAGE_HEADER 16u
#define NODE_HEADER 8u
#define NO_PAGE	    UINT64_MAX
#define DEPTH_MAX   32u
#define INTEGER_KEY 0x08u

enum { BRANCH = 0x01, LEAF = 0x02, OVERFLOW = 0x04, META = 0x08 };
enum { BIG_DATA = 0x01, SUB_DATA = 0x02 };

static uint16_t u16(const uint8_t *at)
{
	uint16_t x;

	memcpy(&x, at, sizeof(x));
	return x;
}

static uint32_t u32(const uint8_t *at)
{
	uint32_t x;

	memcpy(&x, at, sizeof(x));
	return x;
}

static uint64_t u64(const uint8_t *at)
{
	uint64_t x;

	memcpy(&x, at, sizeof(x));
	return x;
}

static int bad(struct pages *pages, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int bad(struct pages *pages, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(pages->text, sizeof(pages->text), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* ---- the two meta pages ------------------------------------------------------------------------ */
static void read_tree(const uint8_t *at, struct pages_tree *tree)
{
	tree->pad = u32(at);
	tree->flags = u16(at + 4);
	tree->depth = u16(at + 6);
	tree->branch_pages = u64(at + 8);
	tree->leaf_pages = u64(at + 16);
	tree->overflow_pages = u64(at + 24);
	tree->entries = u64(at + 32);
	tree->root = u64(at + 40);
}

int pages_tree_read(struct pages_bytes value, struct pages_tree *tree)
{
	if (value.size != 48)
		return -EBADMSG;
	read_tree(value.data, tree);
	return 0;
}

struct meta {
	struct pages_tree free_tree, main_tree;
	uint64_t map_size, last_page, txn;
};

static int read_meta(struct pages *pages, const uint8_t *page, unsigned int number,
		     struct meta *meta)
{
	const uint8_t *at = page + PAGE_HEADER;

	if (u64(page) != number || u16(page + 10) != META)
		return bad(pages, "page %u is no meta page", number);
	if (u32(at) != MAGIC || u32(at + 4) != VERSION)
		return bad(pages, "meta page %u has another magic or version", number);
	meta->map_size = u64(at + 16);
	read_tree(at + 24, &meta->free_tree);
	read_tree(at + 72, &meta->main_tree);
	meta->last_page = u64(at + 120);
	meta->txn = u64(at + 128);
	/* Transactions take turns on the two pages: a txn number out of turn is a damaged one. */
	if (meta->txn && meta->txn % 2 != number)
		return bad(pages, "meta page %u has the txn number of the other", number);
	return 0;
}

static int choose_meta(struct pages *pages, bool before)
{
	struct meta meta[2];
	const struct meta *newest;
	uint64_t apart;
	int err;

	pages->page_size = u32(pages->map + PAGE_HEADER + 24);
	if (pages->page_size != (uint32_t)sysconf(_SC_PAGESIZE))
		return bad(pages, "pages of %u bytes, not this machine's", pages->page_size);
	err = read_meta(pages, pages->map, 0, &meta[0]);
	if (!err)
		err = read_meta(pages, pages->map + pages->page_size, 1, &meta[1]);
	if (err)
		return err;
	newest = &meta[meta[1].txn > meta[0].txn];
	apart = newest->txn - (meta[0].txn + meta[1].txn - newest->txn);
	if (apart > 1)
		return bad(pages, "the meta pages are %llu txns apart", (unsigned long long)apart);
	if (before)
		newest = newest == meta ? &meta[1] : meta;
	if (newest->free_tree.flags != INTEGER_KEY || newest->main_tree.flags ||
	    newest->free_tree.pad != pages->page_size)
		return bad(pages, "the flags of the meta page are not ours");
	if (newest->map_size > UINT64_C(1) << 46 ||
	    newest->last_page >= newest->map_size / pages->page_size)
		return bad(pages, "the map size of the meta page is wrong");
	pages->free_tree = newest->free_tree;
	pages->main_tree = newest->main_tree;
	pages->last_page = newest->last_page;
	pages->txn = newest->txn;
	return 0;
}

static int map_file(struct pages *pages, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *at;
	int err = 0;

	if (fd < 0)
		return bad(pages, "cannot open data.mdb: %s", strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 2 * sysconf(_SC_PAGESIZE))
		err = bad(pages, "data.mdb is no file of two pages or more");
	if (!err) {
		at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED)
			err = bad(pages, "cannot map data.mdb: %s", strerror(errno));
		else
			pages->map = at;
		pages->file_pages = (uint64_t)(st.st_size / sysconf(_SC_PAGESIZE));
	}
	close(fd);
	return err;
}

int pages_open(struct pages *pages, const char *path, bool before)
{
	int err = map_file(pages, path);

	if (!err)
		err = choose_meta(pages, before);
	if (err)
		return err;
	pages->seen = calloc(1, pages->last_page / 8 + 1);
	return pages->seen ? 0 : bad(pages, "out of memory");
}

void pages_close(struct pages *pages)
{
	if (pages->map)
		munmap((void *)pages->map, pages->file_pages * (uint64_t)sysconf(_SC_PAGESIZE));
	free(pages->seen);
}

/* ---- trees --------------------------------------------------------------------------------------- */
struct walk {
	struct pages *pages;
	const struct pages_tree *tree;
	bool integer_keys;
	pages_entry *entry;
	void *context;
	uint64_t branch_pages, leaf_pages, overflow_pages, entries;
	struct pages_bytes last; /* key of the entry before; data NULL: none */
	struct pages_bytes low; /* the divider passed since, which the next key must not be below */
};

static int take_page(struct pages *pages, uint64_t page)
{
	if (page < 2 || page > pages->last_page)
		return bad(pages, "page %llu is outside the file", (unsigned long long)page);
	if (pages->seen[page / 8] & 1u << page % 8)
		return bad(pages, "page %llu is used twice", (unsigned long long)page);
	pages->seen[page / 8] |= (uint8_t)(1u << page % 8);
	if (pages->progress && ++pages->visited % 4096 == 0)
		pages->progress(pages->visited, pages->last_page);
	return 0;
}

static int enter_page(struct pages *pages, uint64_t number, unsigned int kind, const uint8_t **page)
{
	int err = take_page(pages, number);

	if (err)
		return err;
	if (number >= pages->file_pages)
		return bad(pages, "the file ends before page %llu", (unsigned long long)number);
	*page = pages->map + number * pages->page_size;
	if (u64(*page) != number || u16(*page + 10) != kind)
		return bad(pages, "page %llu is not what its tree says",
			   (unsigned long long)number);
	return 0;
}

static int compare(const struct walk *walk, struct pages_bytes a, struct pages_bytes b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int order;

	if (walk->integer_keys) {
		uint64_t x = u64(a.data), y = u64(b.data);

		return x < y ? -1 : x > y;
	}
	order = memcmp(a.data, b.data, n);
	return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

static int big_value(struct walk *walk, struct pages_bytes *value)
{
	struct pages *pages = walk->pages;
	uint64_t number = u64(value->data);
	uint64_t count = (PAGE_HEADER - 1 + value->size) / pages->page_size + 1;
	const uint8_t *page;
	int err = enter_page(pages, number, OVERFLOW, &page);

	if (err)
		return err;
	if (u32(page + 12) != count || number + count > pages->file_pages)
		return bad(pages, "page %llu is too short", (unsigned long long)number);
	for (uint64_t i = 1; i < count && !err; i++)
		err = take_page(pages, number + i);
	walk->overflow_pages += count;
	value->data = page + PAGE_HEADER;
	return err;
}

static int check_key(struct walk *walk, struct pages_bytes key)
{
	if (walk->integer_keys ? key.size != 8 : !key.size || key.size > 511)
		return bad(walk->pages, "a key of %zu bytes", key.size);
	if (walk->last.data && compare(walk, walk->last, key) >= 0)
		return bad(walk->pages, "keys are out of order");
	return 0;
}

/* A node of a leaf; *size is what it takes of the page. */
static int leaf_node(struct walk *walk, const uint8_t *page, uint32_t at, uint32_t *size)
{
	struct pages *pages = walk->pages;
	const uint8_t *node = page + at;
	uint32_t flags = u16(node + 4), key_size = u16(node + 6);
	struct pages_bytes key = {node + NODE_HEADER, key_size};
	struct pages_bytes value = {key.data + key_size, u16(node) | (uint32_t)u16(node + 2) << 16};
	uint64_t here = NODE_HEADER + key_size + (flags & BIG_DATA ? 8 : (uint64_t)value.size);
	bool names = walk->tree == &pages->main_tree;
	int err;

	if (here > pages->page_size - at)
		return bad(pages, "an entry leaves its page");
	if (flags & ~(uint32_t)BIG_DATA && !(names && flags == SUB_DATA))
		return bad(pages, "an entry has flags that are not ours");
	err = check_key(walk, key);
	if (!err && walk->low.data && compare(walk, walk->low, key) > 0)
		err = bad(pages, "a key lies left of its branch");
	if (!err && flags & BIG_DATA)
		err = big_value(walk, &value);
	if (err)
		return err;
	*size = (uint32_t)(here + 1) & ~1u;
	walk->last = key;
	walk->low.data = NULL;
	walk->entries++;
	err = walk->entry(walk->context, key, value);
	if (err && !pages->text[0])
		bad(pages, "an entry is not what was written");
	return err;
}

static int walk_page(struct walk *walk, uint64_t number, unsigned int level);

/* The first key of a branch page is not used; another divides what lies left from what is right. */
static int branch_node(struct walk *walk, const uint8_t *page, uint32_t at, bool first,
		       unsigned int level, uint32_t *size)
{
	struct pages *pages = walk->pages;
	const uint8_t *node = page + at;
	struct pages_bytes key = {node + NODE_HEADER, u16(node + 6)};
	uint64_t child = u16(node) | (uint64_t)u16(node + 2) << 16 | (uint64_t)u16(node + 4) << 32;
	int err = 0;

	if (NODE_HEADER + key.size > pages->page_size - at)
		return bad(pages, "a branch leaves its page");
	*size = (uint32_t)(NODE_HEADER + key.size + 1) & ~1u;
	if (!first) {
		err = check_key(walk, key);
		walk->low = key;
	}
	return err ? err : walk_page(walk, child, level + 1);
}

static int walk_nodes(struct walk *walk, const uint8_t *page, uint32_t count, uint32_t upper,
		      unsigned int level)
{
	struct pages *pages = walk->pages;
	bool leaf = level == walk->tree->depth;
	uint32_t used = 0, size = 0;
	int err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		uint32_t at = u16(page + PAGE_HEADER + 2 * i);

		if (at < upper || at % 2 || at > pages->page_size - NODE_HEADER)
			return bad(pages, "an entry lies outside its page");
		err = leaf ? leaf_node(walk, page, at, &size)
			   : branch_node(walk, page, at, i == 0, level, &size);
		used += size;
	}
	if (!err && used != pages->page_size - upper)
		return bad(pages, "the entries do not fill their page");
	return err;
}

static int walk_page(struct walk *walk, uint64_t number, unsigned int level)
{
	struct pages *pages = walk->pages;
	bool leaf = level == walk->tree->depth;
	const uint8_t *page;
	uint32_t lower, upper;
	int err = enter_page(pages, number, leaf ? LEAF : BRANCH, &page);

	if (err)
		return err;
	lower = u16(page + 12);
	upper = u16(page + 14);
	if (lower <= PAGE_HEADER || lower % 2 || upper < lower || upper > pages->page_size)
		return bad(pages, "page %llu has wrong bounds", (unsigned long long)number);
	walk->leaf_pages += leaf;
	walk->branch_pages += !leaf;
	return walk_nodes(walk, page, (lower - PAGE_HEADER) / 2, upper, level);
}

int pages_walk(struct pages *pages, const struct pages_tree *tree, bool integer_keys,
	       pages_entry *entry, void *context)
{
	struct walk walk = {.pages = pages,
			    .tree = tree,
			    .integer_keys = integer_keys,
			    .entry = entry,
			    .context = context};
	int err = 0;

	if (tree->depth > DEPTH_MAX || (tree->root == NO_PAGE) != (tree->depth == 0))
		return bad(pages, "a tree has a wrong depth");
	if (tree->root != NO_PAGE)
		err = walk_page(&walk, tree->root, 1);
	if (err)
		return err;
	if (walk.branch_pages != tree->branch_pages || walk.leaf_pages != tree->leaf_pages ||
	    walk.overflow_pages != tree->overflow_pages || walk.entries != tree->entries)
		return bad(pages, "a tree's counts are wrong");
	return 0;
}

/* ---- the list of free pages: txn number -> count and that many page numbers ---------------------- */
static int free_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct pages *pages = context;
	uint64_t count, before = UINT64_MAX;
	int err = 0;

	if (u64(key.data) > pages->txn || value.size < 8)
		return bad(pages, "the list of free pages is wrong");
	count = u64(value.data);
	if (count > (value.size - 8) / 8)
		return bad(pages, "the list of free pages is too short");
	for (uint64_t i = 0; i < count && !err; i++) {
		uint64_t page = u64(value.data + 8 + 8 * i);

		if (page >= before)
			return bad(pages, "the list of free pages is out of order");
		before = page;
		err = take_page(pages, page);
	}
	return err;
}

int pages_check_free(struct pages *pages)
{
	return pages_walk(pages, &pages->free_tree, true, free_entry, pages);
}
