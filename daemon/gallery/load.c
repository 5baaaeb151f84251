/* SPDX-License-Identifier: Apache-2.0 */
/* From the files to memory: the checker's word first, then record by record. */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AHEAD 16

extern char **environ;

static bool stopping(struct gallery *gallery)
{
	return __atomic_load_n(&gallery->stopping, __ATOMIC_RELAXED);
}

/* ---- the checker: key on its standard input, its findings on its standard output --------------- */
static int spawn_checker(struct gallery *gallery, int in, int out, pid_t *pid)
{
	char *argv[] = {gallery->checker, gallery->dir, gallery->keyed ? "keyed" : NULL, NULL};
	posix_spawn_file_actions_t actions;
	int err;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	err = posix_spawn(pid, gallery->checker, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/*
 * `shape TEMPLATES DIM METRIC` comes early: while the checker reads, this thread has the kernel
 * clear the memory that loading will want, which takes as long. Nothing depends on the line being
 * true: memory is bounded by the file, and made anew if the head says otherwise.
 */
static void heed_shape(struct gallery *gallery, const char *line)
{
	uint64_t count;
	uint32_t dim, metric;
	struct stat st;

	if (gallery->shaped ||
	    sscanf(line, "%" SCNu64 " %" SCNu32 " %" SCNu32, &count, &dim, &metric) != 3)
		return;
	if (!dim || dim > SEARCH_DIM_MAX || metric > SEARCH_L2 ||
	    fstatat(gallery->dir_fd, "data.mdb", &st, 0) || count > (uint64_t)st.st_size / dim)
		return;
	if (rows_init(&gallery->rows, dim, (enum search_metric)metric))
		return;
	gallery->shaped = true;
	if (!rows_room(&gallery->rows, count))
		rows_populate(&gallery->rows, count, &gallery->stopping);
}

/* Lines are `progress N`, one `shape`, and at the end `ok` or `bad: TEXT`. */
static void heed(struct gallery *gallery, const char *line, char text[GALLERY_TEXT])
{
	if (!strncmp(line, "progress ", 9))
		gallery_set_percent(gallery, (uint32_t)strtoul(line + 9, NULL, 10));
	else if (!strncmp(line, "shape ", 6))
		heed_shape(gallery, line + 6);
	else if (!strncmp(line, "bad: ", 5))
		snprintf(text, GALLERY_TEXT, "%.*s", GALLERY_TEXT - 1, line + 5);
}

static void listen_to(struct gallery *gallery, int fd, char text[GALLERY_TEXT])
{
	FILE *from = fdopen(fd, "r");
	char line[GALLERY_TEXT + 16];

	if (!from) {
		close(fd);
		return;
	}
	while (fgets(line, sizeof(line), from)) {
		line[strcspn(line, "\n")] = '\0';
		heed(gallery, line, text);
	}
	fclose(from);
}

static void set_checker(struct gallery *gallery, pid_t pid)
{
	pthread_mutex_lock(&gallery->lock);
	gallery->checker_pid = pid;
	if (pid && gallery->stopping)
		kill(pid, SIGKILL);
	pthread_mutex_unlock(&gallery->lock);
}

static int wait_for(struct gallery *gallery, pid_t pid, char text[GALLERY_TEXT])
{
	siginfo_t info;
	int status = 0;

	/* Left unreaped until its pid is forgotten, so that a close cannot kill another's. */
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
	set_checker(gallery, 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		snprintf(text, GALLERY_TEXT,
			 "the checker died of signal %d on the files: "
			 "restore a copy",
			 WTERMSIG(status));
	else if (!text[0])
		snprintf(text, GALLERY_TEXT, "the checker found the files bad: restore a copy");
	return -EBADMSG;
}

static int run_checker(struct gallery *gallery, char text[GALLERY_TEXT])
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	pid_t pid;
	int err = 0;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		err = -errno;
	if (!err)
		err = spawn_checker(gallery, in[0], out[1], &pid);
	if (err) {
		snprintf(text, GALLERY_TEXT, "cannot run the checker: %s", strerror(-err));
	} else {
		set_checker(gallery, pid);
		close(out[1]);
		out[1] = -1;
		if (gallery->keyed && write(in[1], gallery->key, SEAL_KEY_BYTES) < 0)
			err = -errno; /* it will miss its key and say so */
		listen_to(gallery, out[0], text);
		out[0] = -1;
		err = wait_for(gallery, pid, text);
	}
	for (int i = 0; i < 2; i++) {
		if (in[i] >= 0)
			close(in[i]);
		if (out[i] >= 0)
			close(out[i]);
	}
	return err;
}

/* ---- records --------------------------------------------------------------------------------- */
static int load_record(struct gallery *gallery, uint64_t seq, const struct record *record)
{
	struct rows_entry entry = {record->x, record->step, record->id, record->tags, seq, 0};
	char subject[GALLERY_SUBJECT_MAX + 1] = "";
	uint32_t row;

	memcpy(subject, record->subject, record->subject_bytes);
	if (strlen(subject) != record->subject_bytes ||
	    !record_text_ok(subject, GALLERY_SUBJECT_MAX, false))
		return -EBADMSG;
	if (record->rotation != gallery->store->head.rotation || !record->id ||
	    record->id > GALLERY_ID_MAX)
		return -EBADMSG;
	if (subjects_room(&gallery->subjects, 1))
		return -ENOMEM;
	entry.subject = subjects_get(&gallery->subjects, subject);
	row = rows_take(&gallery->rows);
	if (rows_fill(&gallery->rows, row, &entry))
		return -EBADMSG;
	subjects_link(&gallery->subjects, &gallery->rows, row);
	subjects_count(&gallery->subjects, entry.subject, 1);
	((uint32_t *)gallery->rows.view.born)[row] = 0;
	gallery->templates++;
	return 0;
}

static int load_records(struct gallery *gallery, struct store_view *view, uint64_t count)
{
	struct record record;
	uint64_t seq = 1;
	int err;

	for (; !(err = store_get(view, &seq, true, &record)); seq++) {
		if (gallery->templates == count || seq >= gallery->store->state.next_seq)
			return -EBADMSG;
		err = load_record(gallery, seq, &record);
		if (err)
			return err;
		if (gallery->templates % 8192)
			continue;
		gallery_set_percent(gallery, (uint32_t)(gallery->templates * 100 / count));
		if (stopping(gallery))
			return -ECANCELED;
	}
	return err == -ENOENT ? 0 : err;
}

/* Apart from the records, since here the slots of the table can be fetched ahead. */
static int load_ids(struct gallery *gallery)
{
	struct rows *rows = &gallery->rows;

	for (uint64_t r = 0; r < rows->high; r++) {
		if (r + AHEAD < rows->high)
			rows_prefetch_id(rows, rows->view.id[r + AHEAD]);
		if (rows_by_id(rows, rows->view.id[r]) != INDEX_NONE)
			return -EBADMSG;
		rows_add_id(rows, (uint32_t)r);
	}
	return 0;
}

static int load_rows(struct gallery *gallery)
{
	struct store_view *view = malloc(sizeof(*view));
	uint64_t count;
	int err;

	if (!view)
		return -ENOMEM;
	err = store_view_begin(gallery->store, view);
	if (!err) {
		count = store_count(view);
		err = rows_room(&gallery->rows, count);
		if (!err)
			err = load_records(gallery, view, count);
		if (!err)
			err = load_ids(gallery);
		store_view_end(view);
	}
	free(view);
	return err;
}

static int make_rows(struct gallery *gallery)
{
	const struct gallery_space *space = &gallery->spec.space;
	const struct search_rows *view = &gallery->rows.view;

	if (gallery->shaped && view->dim == space->dim && view->metric == space->metric)
		return 0;
	if (gallery->shaped)
		rows_free(&gallery->rows);
	gallery->shaped = !rows_init(&gallery->rows, space->dim, space->metric);
	return gallery->shaped ? 0 : -ENOMEM;
}

static int make_memory(struct gallery *gallery)
{
	int err = make_rows(gallery);

	if (!err)
		err = values_init(gallery);
	if (!err)
		err = subjects_init(&gallery->subjects);
	gallery->loaded = !err;
	return err;
}

static void know_spec(struct gallery *gallery)
{
	gallery->spec = gallery->store->head.spec;
	__atomic_store_n(&gallery->spec_known, true, __ATOMIC_RELEASE);
}

static int load(struct gallery *gallery, char text[GALLERY_TEXT])
{
	int err;

	if (flock(gallery->dir_fd, LOCK_EX | LOCK_NB)) {
		snprintf(text, GALLERY_TEXT, "another facetd has this gallery open: stop it");
		return -EBUSY;
	}
	err = run_checker(gallery, text);
	if (!err)
		err = store_open(gallery->dir, gallery->keyed ? gallery->key : NULL,
				 &gallery->store, text);
	if (err)
		return err;
	know_spec(gallery);
	gallery_set_percent(gallery, 0);
	gallery_set_state(gallery, GALLERY_LOADING, "%s", "");
	err = make_memory(gallery);
	if (!err)
		err = load_rows(gallery);
	if (err)
		snprintf(text, GALLERY_TEXT, "after %" PRIu64 " templates: %s", gallery->templates,
			 err == -EBADMSG ? "a bad record: restore a copy" : strerror(-err));
	return err;
}

static void free_memory(struct gallery *gallery)
{
	if (gallery->shaped)
		rows_free(&gallery->rows);
	if (gallery->loaded)
		subjects_free(&gallery->subjects);
	values_free(gallery);
	gallery->shaped = gallery->loaded = false;
}

int gallery_load(struct gallery *gallery)
{
	char text[GALLERY_TEXT] = "";
	int err = load(gallery, text);

	if (err) {
		free_memory(gallery);
		gallery_set_state(gallery, GALLERY_FAILED, "%s", text);
		return err;
	}
	gallery->epoch = 1;
	snapshots_publish(&gallery->snapshots, gallery->epoch, gallery->rows.high);
	gallery_set_percent(gallery, 100);
	gallery_count(gallery);
	gallery_set_state(gallery, GALLERY_READY, "%s", "");
	return 0;
}
