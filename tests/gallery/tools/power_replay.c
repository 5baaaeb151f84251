/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_replay LOG ROOT CHECKER POINTS SEED: for POINTS moments of the record, makes the file as a
 * loss of power would have left it, and asks the gallery in it. What was not synced may be there or
 * not, each 512-byte sector by itself, as it was after any of the writes to it. Each file must open,
 * hold every template acknowledged by then, bit by bit, and none whose delete was. Exit 1 with the
 * seed and the moment if one does not.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/gallery/internal.h"
#include "tests/gallery/fixture.h"
#include "tests/gallery/tools/power.h"

#define DIM	32
#define SECTOR	512u
#define FILES	64
#define IDS_MAX (1u << 20)

struct event {
	struct power_record head;
	const uint8_t *data;
};

struct log {
	uint8_t *bytes;
	struct event *events;
	size_t count, first; /* first: from here on the gallery exists */
};

struct image { /* a file as it lies on the disk */
	uint64_t file;
	uint8_t *bytes;
	size_t size, room;
	size_t synced; /* events before this one are on the disk */
};

struct disk {
	struct image images[FILES];
	uint32_t count;
	uint64_t named, renamed; /* data.mdb on the disk, and as the process sees it */
};

static void die(const char *what)
{
	fprintf(stderr, "power_replay: %s\n", what);
	exit(2);
}

static uint8_t *read_all(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *bytes;
	size_t done = 0;

	if (fd < 0 || fstat(fd, &st) || !(bytes = malloc((size_t)st.st_size + 1)))
		die("cannot read the record");
	while (done < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + done, (size_t)st.st_size - done);

		if (n <= 0)
			die("cannot read the record");
		done += (size_t)n;
	}
	close(fd);
	*size = done;
	return bytes;
}

static void read_log(const char *path, struct log *log)
{
	size_t size, at = 0;

	log->bytes = read_all(path, &size);
	log->events = calloc(size / sizeof(struct power_record) + 1, sizeof(*log->events));
	while (at + sizeof(struct power_record) <= size) {
		struct event *event = &log->events[log->count++];

		memcpy(&event->head, log->bytes + at, sizeof(event->head));
		event->data = log->bytes + at + sizeof(event->head);
		at += sizeof(event->head) + event->head.bytes;
		if (event->head.kind == POWER_NOTE && !log->first)
			log->first = log->count;
	}
	if (at != size || !log->first)
		die("the record is cut short or empty");
}

static struct image *image_of(struct disk *disk, uint64_t file)
{
	for (uint32_t i = 0; i < disk->count; i++)
		if (disk->images[i].file == file)
			return &disk->images[i];
	if (disk->count == FILES)
		die("too many files");
	disk->images[disk->count].file = file;
	if (!disk->named)
		disk->named = disk->renamed = file; /* the first is made under its name */
	return &disk->images[disk->count++];
}

static void put(struct image *image, size_t at, const uint8_t *data, size_t n)
{
	if (at + n > image->room) {
		size_t room = (at + n) * 2;

		image->bytes = realloc(image->bytes, room);
		if (!image->bytes)
			die("out of memory");
		memset(image->bytes + image->room, 0, room - image->room);
		image->room = room;
	}
	memcpy(image->bytes + at, data, n);
	if (at + n > image->size)
		image->size = at + n;
}

static void apply(struct image *image, const struct event *event)
{
	if (event->head.kind == POWER_WRITE)
		put(image, event->head.offset, event->data, event->head.bytes);
	else if (event->head.kind == POWER_SIZE && event->head.offset < image->size) {
		memset(image->bytes + event->head.offset, 0, image->size - event->head.offset);
		image->size = event->head.offset;
	}
}

/* Some sectors of a write: none, all, or each by chance. */
static void apply_torn(struct image *image, const struct event *event)
{
	uint32_t bytes = event->head.bytes, n;
	long mood = random() % 4;

	if (event->head.kind != POWER_WRITE) {
		if (mood & 1)
			apply(image, event);
		return;
	}
	for (uint32_t at = 0; at < bytes; at += n) {
		uint64_t offset = event->head.offset + at;

		n = SECTOR - (uint32_t)(offset % SECTOR);
		n = n < bytes - at ? n : bytes - at;
		if (mood == 0 || (mood > 1 && random() % 2))
			put(image, offset, event->data + at, n);
	}
}

/* All that lies between: in order, up to `to`, of one file. */
static void settle(struct image *image, const struct log *log, size_t to)
{
	for (size_t i = image->synced; i < to; i++)
		if (log->events[i].head.file == image->file)
			apply(image, &log->events[i]);
	image->synced = to;
}

/* An O_DSYNC write returned: it is on the disk, though others before it may not be. Nothing else of
 * its file is waiting between it and its return, so it is applied now and again with the others. */
static void settle_write(struct image *image, const struct log *log, size_t returned)
{
	for (size_t i = returned; i-- > image->synced;) {
		const struct power_record *head = &log->events[i].head;

		if (head->kind != POWER_WRITE || head->file != image->file ||
		    head->offset != log->events[returned].head.offset)
			continue;
		apply(image, &log->events[i]);
		log->events[i].head.kind = POWER_WRITTEN; /* not to be torn later */
		return;
	}
}

static void run_to(struct disk *disk, const struct log *log, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct power_record *head = &log->events[i].head;

		if (head->kind == POWER_NOTE)
			continue;
		if (head->kind == POWER_SYNCDIR)
			disk->named = disk->renamed;
		else if (head->kind == POWER_RENAME)
			disk->renamed = head->file;
		else if (head->kind == POWER_SYNC)
			settle(image_of(disk, head->file), log, i);
		else if (head->kind == POWER_WRITTEN && !head->bytes)
			settle_write(image_of(disk, head->file), log, i);
		else
			image_of(disk, head->file);
	}
}

/* The file that has the name after the loss, with what was in flight torn. */
static void lose_power(struct disk *disk, const struct log *log, size_t cut, const char *path)
{
	uint64_t file = random() % 2 ? disk->named : disk->renamed;
	struct image *from = image_of(disk, file), torn = *from;
	int fd;

	torn.bytes = malloc(from->room + 1);
	if (!torn.bytes)
		die("out of memory");
	memcpy(torn.bytes, from->bytes, from->room);
	for (size_t i = from->synced; i < cut; i++)
		if (log->events[i].head.file == file)
			apply_torn(&torn, &log->events[i]);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, torn.bytes, torn.size) != (ssize_t)torn.size)
		die("cannot write the file");
	close(fd);
	free(torn.bytes);
}

static void learn(uint8_t *facts, const struct log *log, size_t from, size_t to, uint64_t *last)
{
	for (size_t i = from; i < to; i++) {
		const struct event *event = &log->events[i];

		for (uint32_t n = 0; event->head.kind == POWER_NOTE && n < event->head.bytes;
		     n += sizeof(struct power_note)) {
			struct power_note note;

			memcpy(&note, event->data + n, sizeof(note));
			if (note.id >= IDS_MAX)
				die("an id is too large");
			facts[note.id] = (uint8_t)(note.fact + 1);
			*last = note.id > *last ? note.id : *last;
		}
	}
}

static bool right_row(struct gallery *gallery, uint32_t row, uint64_t id)
{
	float x[DIM], step;
	int8_t expected[DIM], stored[DIM];

	fixture_vector(21, id, DIM, x);
	op_quantize_row(x, DIM, expected, &step);
	search_get_row(&gallery->rows.view, row, stored);
	return !memcmp(expected, stored, DIM);
}

static const char *judge(struct fixture *f, const uint8_t *facts, uint64_t last, uint64_t *which)
{
	for (uint64_t id = 1; id <= last; id++) {
		uint32_t row = rows_by_id(&f->gallery->rows, id);

		*which = id;
		if (facts[id] == POWER_ENROLLED + 1 && row == INDEX_NONE)
			return "an acknowledged template is lost";
		if (facts[id] == POWER_DELETED + 1 && row != INDEX_NONE)
			return "a deleted template is back";
		if (row != INDEX_NONE && !right_row(f->gallery, row, id))
			return "a template has other bytes";
	}
	return NULL;
}

static const char *ask(struct fixture *f, const uint8_t *facts, uint64_t last, uint64_t *which)
{
	const char *wrong = "it does not open";

	if (fixture_open(f) == GALLERY_READY) {
		float x[DIM];
		uint64_t id = IDS_MAX;

		wrong = judge(f, facts, last, which);
		fixture_vector(1, 1, DIM, x);
		if (!wrong && fixture_enrol(f, "after", x, 1, &id))
			wrong = "it takes no enrolment";
	}
	fixture_close(f);
	return wrong;
}

static int by_size(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static size_t *choose_cuts(const struct log *log, int points)
{
	size_t *cuts = calloc((size_t)points, sizeof(*cuts));

	for (int i = 0; i < points; i++)
		cuts[i] = log->first + (size_t)random() % (log->count - log->first) + 1;
	qsort(cuts, (size_t)points, sizeof(*cuts), by_size);
	return cuts;
}

int main(int argc, char **argv)
{
	static uint8_t facts[IDS_MAX];
	struct fixture f = {.config = {.disk_reserve = 1}};
	struct log log = {0};
	static struct disk disk;
	char path[256];
	uint64_t last = 0, which = 0;
	size_t at = 0, *cuts;
	int points, bad = 0;

	if (argc != 6)
		die("usage: power_replay LOG ROOT CHECKER POINTS SEED");
	read_log(argv[1], &log);
	snprintf(f.root, sizeof(f.root), "%s", argv[2]);
	f.config.root = f.root;
	f.config.checker = argv[3];
	f.spec.space.dim = DIM;
	points = atoi(argv[4]);
	srandom((unsigned int)atoi(argv[5]));
	fixture_data_path(&f, path);
	cuts = choose_cuts(&log, points);
	for (int i = 0; i < points; i++) {
		const char *wrong;

		run_to(&disk, &log, at, cuts[i]);
		learn(facts, &log, at, cuts[i], &last);
		at = cuts[i];
		lose_power(&disk, &log, at, path);
		wrong = ask(&f, facts, last, &which);
		if (!wrong)
			continue;
		printf("seed %s, power lost at event %zu of %zu: %s (template %" PRIu64 ")\n",
		       argv[5], at, log.count, wrong, which);
		bad++;
	}
	printf("%d of %d losses of power were survived; %zu events, %" PRIu64 " templates\n",
	       points - bad, points, log.count, last);
	return bad ? 1 : 0;
}
