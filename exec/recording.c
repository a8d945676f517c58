#include "exec/recording.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "base/path.h"
#include "cache/key.h"

enum { FORMAT = 1, FILE_LIMIT_BYTES = 1 << 30 };

struct recordings {
	char *directory; /* owned */
	struct recording *v;
	size_t n;
	struct map by_key; /* hash of the key → struct recording in `v` */
};

static struct digest job_key(const struct exec_job *job)
{
	struct key *key = key_new("recording 1");
	for (const char *const *p = job->argv; *p; p++)
		key_add_str(key, "argument", *p);
	key_add_str(key, "cwd", job->cwd);
	return key_end(key);
}

static bool is_output(const struct exec_job *job, const char *path)
{
	for (size_t i = 0; i < job->n_outputs; i++)
		if (strcmp(job->outputs[i].path, path) == 0)
			return true;
	return false;
}

/* The files that an argument is the name of: sources, above all. `size_ret` is of all together. In `arena`. */
static const char *const *named_files(const struct exec_job *job, struct arena *arena, size_t *n_ret, uint64_t *size_ret)
{
	size_t n = 0;
	while (job->argv[n])
		n++;
	const char **paths = arena_array(arena, const char *, n + 1);
	*n_ret = 0;
	*size_ret = 0;
	for (const char *const *p = job->argv + 1; n > 0 && *p; p++) {
		struct stat st;
		if (**p == '-')
			continue;
		const char *path = path_squeeze(arena, path_absolute(arena, job->cwd, *p));
		if (is_output(job, path) || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		paths[(*n_ret)++] = path;
		*size_ret += (uint64_t)st.st_size;
	}
	return paths;
}

static bool is_one_of(const char *const *paths, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(paths[i], path) == 0)
			return true;
	return false;
}

/* --- Writing --------------------------------------------------------------------------------------------------- */

static int write_bytes(struct arena *arena, const char *directory, const char *name, const struct buf *bytes, struct error *err)
{
	return file_replace(arena_printf(arena, "%s/%s", directory, name), buf_slice(bytes), 0600, err);
}

static int copy_output(struct arena *arena, const char *directory, const struct exec_job *job, size_t i, bool executable, struct error *err)
{
	_cleanup_close_ int from = open(job->outputs[i].temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return error_set(err, errno, "cannot open %s", job->outputs[i].temporary);
	const char *path = arena_printf(arena, "%s/%zu", directory, i);
	_cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable ? 0700 : 0600);
	if (to < 0)
		return error_set(err, errno, "cannot create %s", path);
	return file_copy_fd(from, to, err);
}

static int write_all(struct arena *arena, const char *directory, const struct exec_job *job, const struct exec_result *result,
	struct error *err)
{
	_cleanup_buf_ struct buf about = { 0 }, log = { 0 };
	size_t n_named;
	uint64_t size;
	const char *const *named = named_files(job, arena, &n_named, &size);
	buf_printf(&about, "%d %" PRIu64 " %zu %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", FORMAT, size, job->n_outputs,
		result->exit_code, result->user_us, result->system_us, result->wall_us, result->max_rss_kb);
	for (size_t i = 0; i < result->log.lookups.n; i++) {
		const struct lookup *lookup = &result->log.lookups.v[i];
		if (is_one_of(named, n_named, lookup->path))
			continue;
		buf_append_char(&log, (char)('a' + lookup->kind));
		buf_append(&log, lookup->path, strlen(lookup->path) + 1);
	}
	for (size_t i = 0; i < job->n_outputs; i++)
		if (result->outputs[i].present && copy_output(arena, directory, job, i, result->outputs[i].executable, err) < 0)
			return -1;
	return write_bytes(arena, directory, "log", &log, err) < 0 || write_bytes(arena, directory, "out", &result->out, err) < 0 ||
			write_bytes(arena, directory, "err", &result->err, err) < 0 ||
			write_bytes(arena, directory, "about", &about, err) < 0 ?
		-1 :
		0;
}

int recording_save(const char *directory, const struct exec_job *job, const struct exec_result *result, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct digest key = job_key(job);
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&key, hex);
	const char *path = arena_printf(&arena, "%s/%s", directory, hex);
	char *temporary = arena_printf(&arena, "%s/.XXXXXX", directory);
	if (!mkdtemp(temporary))
		return error_set(err, errno, "cannot make a directory in %s", directory);
	int outcome = write_all(&arena, temporary, job, result, err);
	if (outcome == 0)
		outcome = file_remove_tree(AT_FDCWD, path, err);
	if (outcome == 0 && rename(temporary, path) < 0)
		outcome = error_set(err, errno, "cannot rename %s", temporary);
	if (outcome < 0)
		file_remove_tree(AT_FDCWD, temporary, NULL);
	return outcome;
}

/* --- Reading --------------------------------------------------------------------------------------------------- */

static int read_about(const char *directory, const char *hex, struct recording *ret, struct error *err)
{
	_cleanup_buf_ struct buf path = { 0 }, text = { 0 };
	buf_printf(&path, "%s/%s/about", directory, hex);
	if (file_read(path.ptr, 4096, &text, err) < 0)
		return -1;
	int format;
	if (sscanf(buf_str(&text), "%d %" SCNu64 " %zu %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &format, &ret->size, &ret->n_outputs,
		    &ret->exit_code, &ret->user_us, &ret->system_us, &ret->wall_us, &ret->max_rss_kb) != 8 ||
		format != FORMAT)
		return error_set(err, 0, "%s is no recording of ours", path.ptr);
	return 0;
}

struct recordings *recordings_open(const char *directory, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	if (!dir) {
		error_set(err, errno, "cannot open the recordings %s", directory);
		return NULL;
	}
	struct recordings *recordings = calloc(1, sizeof(*recordings));
	_cleanup_buf_ struct buf all = { 0 };
	if (!recordings || !(recordings->directory = strdup(directory)))
		abort();
	for (const struct dirent *entry; (entry = readdir(dir));) {
		struct recording recording = { 0 };
		if (strlen(entry->d_name) != DIGEST_HEX_CHARS || digest_parse_hex(slice_str(entry->d_name), &recording.key) < 0)
			continue;
		if (read_about(directory, entry->d_name, &recording, err) < 0) {
			recordings_close(recordings);
			return NULL;
		}
		buf_append(&all, &recording, sizeof(recording));
	}
	recordings->n = all.len / sizeof(struct recording);
	recordings->v = (struct recording *)(void *)buf_take(&all);
	for (size_t i = 0; i < recordings->n; i++)
		map_put(&recordings->by_key, digest_slice(&recordings->v[i].key), &recordings->v[i]);
	if (recordings->n == 0) {
		error_set(err, 0, "there are no recordings in %s", directory);
		recordings_close(recordings);
		return NULL;
	}
	return recordings;
}

void recordings_close(struct recordings *recordings)
{
	if (!recordings)
		return;
	map_deinit(&recordings->by_key);
	free(recordings->v);
	free(recordings->directory);
	free(recordings);
}

static bool is_nearer(const struct recording *a, const struct recording *b, uint64_t size)
{
	if (!b || a->entered != b->entered)
		return !b || a->entered;
	uint64_t from_a = a->size > size ? a->size - size : size - a->size;
	uint64_t from_b = b->size > size ? b->size - size : size - b->size;
	return from_a < from_b;
}

const struct recording *recordings_choose(struct recordings *recordings, const struct exec_job *job, bool *exact_ret)
{
	struct digest key = job_key(job);
	struct recording *own = map_get(&recordings->by_key, digest_slice(&key));
	*exact_ret = own;
	if (own) {
		own->entered = true;
		return own;
	}
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	size_t n_named;
	uint64_t size;
	named_files(job, &arena, &n_named, &size);
	const struct recording *best = NULL;
	for (const struct recording *p = recordings->v; p < recordings->v + recordings->n; p++)
		if (p->n_outputs == job->n_outputs && p->exit_code == 0 && is_nearer(p, best, size))
			best = p;
	return best;
}

static int read_log(struct slice bytes, struct exec_result *ret, struct error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < bytes.len; i++)
		n += bytes.ptr[i] == '\0';
	struct lookups *lookups = &ret->log.lookups;
	lookups->v = arena_array(&ret->arena, struct lookup, n + 1);
	const char *text = arena_strndup(&ret->arena, bytes.ptr, bytes.len);
	for (const char *p = text; p < text + bytes.len; p += strlen(p) + 1) {
		enum lookup_kind kind = (enum lookup_kind)(*p - 'a');
		if (kind < LOOKUP_ABSENT || kind > LOOKUP_SPECIAL || p[1] != '/')
			return error_set(err, 0, "malformed log of look-ups");
		lookups->v[lookups->n++] = (struct lookup){ .path = p + 1, .kind = kind };
	}
	ret->log.complete = true;
	return 0;
}

static int keep(struct store *content, const struct buf *bytes, struct digest *ret, struct error *err)
{
	*ret = digest_of(buf_slice(bytes));
	return store_put(content, ret, buf_slice(bytes), err);
}

/* `from` is in the recording; where there is none, the job made none. */
static int load_output(const char *from, const char *tail, const struct exec_job *job, size_t i, struct store *content,
	struct exec_output_result *ret, struct error *err)
{
	_cleanup_close_ int recorded = open(from, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (recorded < 0 && errno == ENOENT)
		return 0;
	if (recorded < 0 || fstat(recorded, &st) < 0)
		return error_set(err, errno, "cannot open %s", from);
	_cleanup_buf_ struct buf bytes = { 0 };
	if (file_read_fd(recorded, FILE_LIMIT_BYTES, &bytes, err) < 0)
		return -1;
	if (tail && slice_has_prefix(buf_slice(&bytes), "\177ELF"))
		buf_append_str(&bytes, tail);
	ret->present = true;
	ret->executable = st.st_mode & 0100;
	if (job->keep_outputs && content) {
		if (keep(content, &bytes, &ret->digest, err) < 0)
			return -1;
		ret->kept = true;
	}
	const char *temporary = job->outputs[i].temporary;
	if (!temporary)
		return 0;
	_cleanup_close_ int fd = file_create(temporary, ret->executable ? 0777 : 0666, job->umask, err);
	return fd < 0 ? -1 : file_write_fd(fd, buf_slice(&bytes), err);
}

int recording_load(const struct recordings *recordings, const struct recording *recording, bool exact, const struct exec_job *job,
	struct store *content, struct exec_result *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf log = { 0 };
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&recording->key, hex);
	const char *directory = arena_printf(&arena, "%s/%s", recordings->directory, hex);
	ret->exit_code = recording->exit_code;
	ret->user_us = recording->user_us;
	ret->system_us = recording->system_us;
	ret->wall_us = recording->wall_us;
	ret->max_rss_kb = recording->max_rss_kb;
	ret->outputs = arena_array(&ret->arena, struct exec_output_result, job->n_outputs + 1);
	if (file_read(arena_printf(&arena, "%s/log", directory), FILE_LIMIT_BYTES, &log, err) < 0 ||
		read_log(buf_slice(&log), ret, err) < 0 ||
		file_read(arena_printf(&arena, "%s/out", directory), FILE_LIMIT_BYTES, &ret->out, err) < 0 ||
		file_read(arena_printf(&arena, "%s/err", directory), FILE_LIMIT_BYTES, &ret->err, err) < 0)
		return -1;
	struct digest key = job_key(job);
	digest_hex(&key, hex);
	for (size_t i = 0; i < job->n_outputs; i++)
		if (load_output(arena_printf(&arena, "%s/%zu", directory, i), exact ? NULL : hex, job, i, content, &ret->outputs[i], err) < 0)
			return -1;
	if (!job->keep_outputs || !content)
		return 0;
	return (ret->out.len > 0 && keep(content, &ret->out, &ret->out_digest, err) < 0) ||
			(ret->err.len > 0 && keep(content, &ret->err, &ret->err_digest, err) < 0) ?
		-1 :
		0;
}
