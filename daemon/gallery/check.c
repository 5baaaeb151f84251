/* SPDX-License-Identifier: Apache-2.0 */
/* Every page and every record of a gallery's file: structure first, then what it says. */
#include "daemon/gallery/check.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/gallery/pages.h"
#include "daemon/gallery/record.h"
#include "daemon/gallery/seal.h"
#include "daemon/gallery/store.h"

#define KEY_VALUE_MAX ((size_t)2 << 20)

struct check {
	struct pages pages;
	struct pages_tree trees[STORE_TABLES];
	uint32_t found; /* bits of trees */
	const uint8_t *key;
	const struct check_watch *watch;
	struct record_head head;
	struct record_state state;
	struct seal seal;
	uint8_t *scratch; /* KEY_VALUE_MAX */
	bool has_head, has_state;
	/* Which rows say they have an original, and which have: sums of hashes of their numbers. */
	uint64_t claimed, present, originals;
	char *text;
};

static int bad(struct check *check, const char *what)
{
	snprintf(check->text, GALLERY_TEXT, "%s: restore a copy", what);
	return -EBADMSG;
}

/* ---- the tables ---------------------------------------------------------------------------------- */
static const struct {
	const char *name;
	uint16_t flags;
} tables[STORE_TABLES] = {
	[STORE_META] = {"meta", 0},
	[STORE_ROWS] = {"rows", MDB_INTEGERKEY},
	[STORE_ORIGINALS] = {"originals", MDB_INTEGERKEY},
	[STORE_KEYS_TABLE] = {"keys", 0},
	[STORE_ORDER] = {"order", MDB_INTEGERKEY},
};

static int name_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct check *check = context;

	for (int i = 0; i < STORE_TABLES; i++) {
		if (key.size != strlen(tables[i].name) ||
		    memcmp(key.data, tables[i].name, key.size))
			continue;
		if (pages_tree_read(value, &check->trees[i]) ||
		    check->trees[i].flags != tables[i].flags)
			return bad(check, "the description of a table is damaged");
		check->found |= 1u << i;
		return 0;
	}
	return bad(check, "there is a table that is not ours");
}

static int check_head(struct check *check, struct pages_bytes value)
{
	int err = record_head_read(value.data, value.size, &check->head);
	uint8_t key_check[16];

	if (err == -EPROTO) {
		snprintf(check->text, GALLERY_TEXT,
			 "format_version %u is newer than this facetd knows (%u): update facetd",
			 check->head.format, RECORD_FORMAT);
		return -EBADMSG;
	}
	if (err)
		return bad(check, "the head is damaged");
	if (check->head.keyed != (check->key != NULL)) {
		snprintf(check->text, GALLERY_TEXT, "%s",
			 check->key ? "the gallery is not encrypted, but a key is configured: "
				      "export it without, create it anew with the key"
				    : "the gallery is encrypted: configure its key");
		return -EBADMSG;
	}
	if (check->key) {
		record_key_check(check->key, check->head.uuid, key_check);
		if (sodium_memcmp(key_check, check->head.key_check, sizeof(key_check))) {
			snprintf(check->text, GALLERY_TEXT,
				 "the configured key is not the one of this gallery");
			return -EBADMSG;
		}
	}
	seal_init(&check->seal, check->head.uuid, check->key);
	check->has_head = true;
	return 0;
}

static int open_value(struct check *check, enum seal_table table, uint64_t number,
		      struct pages_bytes value, const uint8_t **payload, size_t *n)
{
	if (value.size > KEY_VALUE_MAX)
		return -EBADMSG;
	return seal_open(&check->seal, table, number, value.data, value.size, check->scratch,
			 payload, n);
}

static int meta_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct check *check = context;
	const uint8_t *payload;
	size_t n;

	if (key.size == 4 && !memcmp(key.data, "head", 4))
		return check_head(check, value);
	if (key.size != 5 || memcmp(key.data, "state", 5) || !check->has_head)
		return bad(check, "the meta table is damaged");
	if (open_value(check, SEAL_STATE, 0, value, &payload, &n) ||
	    record_state_read(payload, n, &check->state))
		return bad(check, "the state record is damaged");
	/* A compact copy begins its transactions anew, with 1. */
	if (check->state.txn != check->pages.txn && check->pages.txn != 1)
		return bad(check, "a meta page names another transaction than its state");
	check->has_state = true;
	return 0;
}

static uint64_t number_of(struct pages_bytes key)
{
	uint64_t number;

	memcpy(&number, key.data, sizeof(number));
	return number;
}

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static int row_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct check *check = context;
	uint64_t seq = number_of(key);
	struct record record;
	const uint8_t *payload;
	size_t n;

	if (value.size > RECORD_VALUE_MAX ||
	    open_value(check, SEAL_ROW, seq, value, &payload, &n) ||
	    record_read(payload, n, &record) || record.dim != check->head.spec.space.dim || !seq ||
	    seq >= check->state.next_seq || record.epoch > check->state.epoch)
		return bad(check, "a template's record is damaged");
	if (record.flags & RECORD_ORIGINAL)
		check->claimed += mixed(seq);
	return 0;
}

static int original_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct check *check = context;
	uint64_t seq = number_of(key);
	const uint8_t *payload;
	size_t n;

	if (value.size > RECORD_VALUE_MAX ||
	    open_value(check, SEAL_ORIGINAL, seq, value, &payload, &n) ||
	    n != record_original_bytes(check->head.spec.space.dim))
		return bad(check, "an original is damaged");
	check->present += mixed(seq);
	return 0;
}

static int key_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct check *check = context;
	struct store_answer answer;
	int err = -EBADMSG;

	if (key.size == GALLERY_KEY_BYTES && value.size <= KEY_VALUE_MAX)
		err = store_answer_read(&check->seal, key.data, value.data, value.size,
					check->scratch, &answer);
	if (err)
		return bad(check, "an idempotency key is damaged");
	free(answer.runs);
	return 0;
}

static int order_entry(void *context, struct pages_bytes key, struct pages_bytes value)
{
	struct check *check = context;
	uint64_t number = number_of(key);

	if (value.size != GALLERY_KEY_BYTES || number < check->state.first_key ||
	    number >= check->state.next_key)
		return bad(check, "the order of idempotency keys is damaged");
	return 0;
}

static pages_entry *const entries[STORE_TABLES] = {
	[STORE_META] = meta_entry,	    [STORE_ROWS] = row_entry,
	[STORE_ORIGINALS] = original_entry, [STORE_KEYS_TABLE] = key_entry,
	[STORE_ORDER] = order_entry,
};

static int check_tables(struct check *check)
{
	int err = pages_walk(&check->pages, &check->pages.main_tree, false, name_entry, check);

	if (!err && check->found != (1u << STORE_TABLES) - 1)
		return bad(check, "a table is missing");
	for (int i = 0; i < STORE_TABLES && !err; i++) {
		err = pages_walk(&check->pages, &check->trees[i], tables[i].flags != 0, entries[i],
				 check);
		if (!err && (!check->has_head || !check->has_state))
			return bad(check, "the head or the state is missing");
		if (!err && i == STORE_META && check->watch)
			check->watch->shape(check->trees[STORE_ROWS].entries,
					    &check->head.spec.space);
	}
	return err;
}

/*
 * A damaged number can make the transaction before look like the newest, and what was acknowledged
 * last would be gone unseen; so the state of the one before must bear its number as well.
 */
static int check_before(struct check *check, const char *path)
{
	int err = pages_open(&check->pages, path, true);

	if (!err && check->pages.txn > 1)
		err = pages_walk(&check->pages, &check->pages.main_tree, false, name_entry, check);
	if (!err && check->pages.txn > 1)
		err = pages_walk(&check->pages, &check->trees[STORE_META], false, meta_entry,
				 check);
	if (err && !check->text[0])
		bad(check, check->pages.text);
	pages_close(&check->pages);
	memset(&check->pages, 0, sizeof(check->pages));
	check->found = 0;
	check->has_head = check->has_state = false;
	return err;
}

static int check_file(struct check *check, const char *path)
{
	int err = check_before(check, path);

	if (err)
		return err;
	check->pages.progress = check->watch ? check->watch->progress : NULL;
	err = pages_open(&check->pages, path, false);
	if (!err)
		err = check_tables(check);
	if (!err)
		err = pages_check_free(&check->pages);
	if (!err && check->claimed != check->present)
		err = bad(check, "an original is missing");
	if (!err &&
	    (check->trees[STORE_KEYS_TABLE].entries != check->trees[STORE_ORDER].entries ||
	     check->trees[STORE_ORDER].entries != check->state.next_key - check->state.first_key))
		err = bad(check, "an idempotency key is missing");
	return err;
}

int gallery_check(const char *dir, const uint8_t *key, const struct check_watch *watch,
		  char text[GALLERY_TEXT])
{
	struct check *check = calloc(1, sizeof(*check));
	char *path = NULL;
	int err = -ENOMEM;

	text[0] = '\0';
	if (check && asprintf(&path, "%s/data.mdb", dir) >= 0)
		check->scratch = malloc(KEY_VALUE_MAX);
	if (check && check->scratch) {
		check->text = text;
		check->key = key;
		check->watch = watch;
		err = check_file(check, path);
		if (err && !text[0])
			bad(check, check->pages.text);
		pages_close(&check->pages);
		seal_clear(&check->seal);
		sodium_memzero(check->scratch, KEY_VALUE_MAX);
		free(check->scratch);
	}
	free(path);
	free(check);
	return err;
}
