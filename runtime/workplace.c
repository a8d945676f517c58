#include "runtime/workplace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/tmp_links.h"
#include "store/pack.h"
#include "store/store_memory.h"
#include "store/tree.h"
#include "worker/trace.h"

enum {
	DIRECTORIES_LIMIT_BYTES = 128 << 20,
	SPACE_MARGIN_BYTES = 64 << 20, /* what a job may write, and then some */
	FILE_OVERHEAD_BYTES = 8 << 10, /* a file's share of blocks and inodes */
};

void workplace_init(struct workplace *workplace, const struct workplace_options *options)
{
	*workplace = (struct workplace){ .options = *options, .private_fd = -1 };
	workplace->target.root_fd = workplace->target.state_fd = -1;
	if (workplace->options.directories_limit == 0)
		workplace->options.directories_limit = DIRECTORIES_LIMIT_BYTES;
	workplace->packs = packs_new();
	workplace->memory = store_memory_new();
	directories_init(&workplace->directories, workplace->memory, workplace->packs);
}

void workplace_drop_runner(struct workplace *workplace)
{
	runner_free(workplace->runner);
	workplace->runner = NULL;
}

static void close_bucket(struct workplace *workplace)
{
	bucket_free(workplace->bucket);
	free(workplace->place);
	workplace->bucket = NULL;
	workplace->place = NULL;
}

void workplace_deinit(struct workplace *workplace)
{
	workplace_drop_runner(workplace);
	sync_target_close(&workplace->target);
	close_bucket(workplace);
	packs_free(workplace->packs);
	store_free(workplace->memory);
	buf_deinit(&workplace->dictionary_bytes);
	cleanup_close(&workplace->private_fd);
	free(workplace->private_dir);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static int open_bucket(struct workplace *workplace, const struct bucket_place *place, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	buf_printf(&text, "%s\n%s\n%s\n%s", place->name, place->prefix, place->region, place->endpoint);
	if (workplace->bucket && strcmp(workplace->place, buf_str(&text)) == 0)
		return 0;
	/* What was known is known of another bucket. */
	packs_free(workplace->packs);
	workplace->packs = packs_new();
	directories_init(&workplace->directories, workplace->memory, workplace->packs);
	close_bucket(workplace);
	workplace->bucket = workplace->options.open_bucket(place, workplace->options.secrets, err);
	if (!workplace->bucket)
		return -1;
	workplace->place = buf_take(&text);
	return 0;
}

static int open_tree(struct workplace *workplace, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *root = workplace->options.root;
	if (workplace->private_fd >= 0)
		return 0;
	if (!workplace->private_dir) {
		struct buf path = { 0 };
		buf_printf(&path, "%s" TRACE_FOREIGN_PRIVATE, path_dirname(&arena, root));
		workplace->private_dir = buf_take(&path);
	}
	if (sync_target_open_at(&workplace->target, workplace->private_dir, root, NULL, err) < 0 ||
		file_make_dirs(arena_printf(&arena, "%s/tmp", workplace->private_dir), 0700, err) < 0 ||
		file_make_dirs(arena_printf(&arena, "%s/saved", workplace->private_dir), 0700, err) < 0) {
		sync_target_close(&workplace->target);
		return -1;
	}
	workplace->private_fd = open(workplace->private_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return workplace->private_fd >= 0 ? 0 : error_set(err, errno, "cannot open %s", workplace->private_dir);
}

static int open_runner(struct workplace *workplace, struct error *err)
{
	if (workplace->runner)
		return 0;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct runner_options options = {
		.mode = RUNNER_ROOTED,
		.program = workplace->options.runner,
		.interposer = workplace->options.interposer,
		.root = workplace->options.root,
		.tmpdir = arena_printf(&arena, "%s/tmp", workplace->private_dir),
	};
	workplace->runner = runner_new(&options, err);
	return workplace->runner ? 0 : -1;
}

int workplace_open(struct workplace *workplace, const struct bucket_place *place, struct error *err)
{
	packs_drop(workplace->packs); /* an earlier job's that came to nothing */
	if (open_bucket(workplace, place, err) < 0)
		return -1;
	workplace->counted = workplace->bucket->ops->counters(workplace->bucket);
	return open_tree(workplace, err) < 0 || open_runner(workplace, err) < 0 ? -1 : 0;
}

struct bucket_counters workplace_counters(struct workplace *workplace)
{
	if (!workplace->bucket)
		return (struct bucket_counters){ 0 };
	struct bucket_counters now = workplace->bucket->ops->counters(workplace->bucket), then = workplace->counted;
	return (struct bucket_counters){ now.gets - then.gets, now.puts - then.puts, now.bytes_in - then.bytes_in,
		now.bytes_out - then.bytes_out };
}

/* --- The tree ----------------------------------------------------------------------------------------------------- */

/* Whether the files that are to be written, and a job's own, find room. */
static bool has_room(const struct workplace *workplace, const struct delta *delta)
{
	struct statvfs st;
	if (fstatvfs(workplace->private_fd, &st) < 0)
		return true; /* then the writing itself will tell */
	uint64_t free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	uint64_t wanted = (uint64_t)delta->file_bytes + delta->n_files * FILE_OVERHEAD_BYTES;
	return delta->n_files == 0 || free_bytes >= wanted + SPACE_MARGIN_BYTES;
}

static int throw_away(struct workplace *workplace, struct error *err)
{
	struct digest nothing = digest_of(slice_of("", 0));
	struct sync_report report;
	if (sync_mark_dirty(&workplace->target, err) < 0)
		return -1;
	workplace->target.state = SYNC_DIRTY;
	return sync_tree(&workplace->target, &workplace->directories.store, packs_store(workplace->packs), &nothing,
		       &report, err) < 0
		       ? -1
		       : 0;
}

static int find_delta(struct workplace *workplace, const struct digest *root, struct arena *arena, struct delta *ret,
	struct error *err)
{
	if (delta_make(&workplace->directories, &workplace->target, root, arena, ret, err) < 0)
		return -1;
	if (has_room(workplace, ret))
		return 0;
	if (throw_away(workplace, err) < 0 ||
		delta_make(&workplace->directories, &workplace->target, root, arena, ret, err) < 0)
		return -1;
	return has_room(workplace, ret) ? 0
					: error_set(err, ENOSPC, "no room for an input root of %" PRId64 " MB below %s",
						  ret->file_bytes / 1000000, workplace->options.root);
}

static int bring_up_to_date(struct workplace *workplace, const struct workplace_inputs *inputs, struct arena *arena,
	int64_t *synced_bytes, struct digest **missing, size_t *n_missing, struct error *err)
{
	struct delta delta;
	struct sync_report report;
	if (packs_use(workplace->packs, workplace->bucket, inputs->packs, inputs->n_packs, err) < 0 ||
		find_delta(workplace, &inputs->root, arena, &delta, err) < 0)
		return -1;
	size_t n_wanted = delta.n_files + inputs->n_apart;
	struct digest *wanted = arena_array(arena, struct digest, n_wanted + 1);
	if (delta.n_files > 0)
		memcpy(wanted, delta.files, delta.n_files * sizeof(*wanted));
	if (inputs->n_apart > 0)
		memcpy(wanted + delta.n_files, inputs->apart, inputs->n_apart * sizeof(*wanted));
	*missing = arena_array(arena, struct digest, n_wanted + delta.n_missing + SYNC_MISSING_LIMIT + 1);
	if (packs_fetch(workplace->packs, wanted, n_wanted, *missing, n_missing, err) < 0)
		return -1;
	if (delta.n_missing > 0)
		memcpy(*missing + *n_missing, delta.missing, delta.n_missing * sizeof(*delta.missing));
	*n_missing += delta.n_missing;
	/* With what is there, also when something isn't: it need not be fetched again when the rest has come. */
	int outcome = sync_tree(&workplace->target, &workplace->directories.store, packs_store(workplace->packs),
		&inputs->root, &report, err);
	*synced_bytes = report.written_bytes;
	if (outcome < 0)
		return -1;
	if (outcome == SYNC_MISSING && *n_missing == 0) { /* damaged, as it turned out */
		memcpy(*missing, report.missing, report.n_missing * sizeof(*report.missing));
		*n_missing = report.n_missing;
	}
	return *n_missing > 0 ? WORKPLACE_MISSING : tmp_links_update(workplace->options.root, err);
}

int workplace_sync(struct workplace *workplace, const struct workplace_inputs *inputs, struct arena *arena,
	int64_t *synced_bytes, struct digest **missing, size_t *n_missing, struct error *err)
{
	*synced_bytes = 0;
	*n_missing = 0;
	if (workplace->target.state == SYNC_CLEAN && digest_equal(&workplace->target.have, &inputs->root) &&
		inputs->n_apart == 0)
		return 0;
	if (store_memory_size(workplace->memory) > workplace->options.directories_limit)
		store_memory_clear(workplace->memory);
	return bring_up_to_date(workplace, inputs, arena, synced_bytes, missing, n_missing, err);
}

int workplace_read(struct workplace *workplace, const struct digest *digest, struct buf *ret, struct error *err)
{
	int outcome = store_get(packs_store(workplace->packs), digest, ret, err);
	return outcome == STORE_MISS ? error_set(err, 0, "a blob in the bucket is damaged") : outcome;
}

int workplace_dictionary(
	struct workplace *workplace, const struct digest *digest, struct slice *ret, struct error *err)
{
	struct buf *bytes = &workplace->dictionary_bytes;
	if (digest->size_bytes == 0 || !digest_equal(digest, &workplace->dictionary)) {
		struct bucket_get get = { .offset = 0 };
		struct error damage;
		pack_key_alone(digest, get.key);
		workplace->bucket->ops->get(workplace->bucket, &get, 1);
		workplace->dictionary.size_bytes = 0;
		buf_reset(bytes);
		int outcome = get.outcome == BUCKET_ABSENT ? WORKPLACE_MISSING : get.outcome;
		if (outcome < 0)
			*err = get.err;
		else if (outcome == 0 && pack_alone_read(digest, buf_slice(&get.body), bytes, &damage) < 0)
			outcome = WORKPLACE_MISSING;
		buf_deinit(&get.body);
		if (outcome != 0)
			return outcome;
		workplace->dictionary = *digest;
	}
	*ret = buf_slice(bytes);
	return 0;
}

/* --- Overlays ----------------------------------------------------------------------------------------------------- */

/* The directory of a physical path below the root, opened; -1. */
static int open_parent(const struct workplace *workplace, const char *path, struct arena *arena, struct error *err)
{
	const char *directory = path_dirname(arena, path);
	while (*directory == '/')
		directory++;
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, workplace->target.root_fd, *directory ? directory : ".", &how, sizeof(how));
	return fd >= 0 ? fd : error_set(err, errno, "cannot open the directory of %s", path);
}

static int cover(
	struct workplace *workplace, struct overlay *overlay, const char *saved, struct arena *arena, struct error *err)
{
	const char *name = path_basename(overlay->path);
	if (overlay->path[0] != '/' || *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, EINVAL, "%s can't be an overlay", overlay->path);
	_cleanup_close_ int parent = open_parent(workplace, overlay->path, arena, err);
	if (parent < 0)
		return -1;
	/* Moved, not removed: its content need not be fetched again, and it stays the same inode. */
	if (renameat(parent, name, workplace->private_fd, saved) == 0)
		overlay->saved = saved;
	else if (errno != ENOENT)
		return error_set(err, errno, "cannot put %s aside", overlay->path);
	overlay->covers = true;
	_cleanup_close_ int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, errno, "cannot create %s", overlay->path);
	if (file_write_fd(fd, overlay->contents, err) < 0)
		return error_wrap(err, "cannot write %s", overlay->path);
	int64_t ns = overlay->mtime_ns % 1000000000;
	struct timespec mtime = { .tv_sec = overlay->mtime_ns / 1000000000 - (ns < 0),
		.tv_nsec = ns + (ns < 0) * 1000000000 };
	if (fchmod(fd, overlay->executable ? 0555 : 0444) < 0 ||
		(overlay->mtime_ns != 0 && futimens(fd, (struct timespec[]){ { .tv_nsec = UTIME_OMIT }, mtime }) < 0))
		return error_set(err, errno, "cannot set the time of %s", overlay->path);
	return 0;
}

int workplace_cover(
	struct workplace *workplace, struct overlay *overlays, size_t n, struct arena *arena, struct error *err)
{
	packs_drop(workplace->packs); /* the command can use the memory */
	if (sync_mark_dirty(&workplace->target, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (cover(workplace, &overlays[i], arena_printf(arena, "saved/%zu", i), arena, err) < 0)
			return -1;
	return 0;
}

/* false: it isn't as it was. */
static bool uncover(struct workplace *workplace, const struct overlay *overlay, struct arena *arena)
{
	struct error ignored;
	const char *name = path_basename(overlay->path);
	_cleanup_close_ int parent = open_parent(workplace, overlay->path, arena, &ignored);
	if (parent < 0 || (unlinkat(parent, name, 0) < 0 && errno != ENOENT))
		return false;
	return !overlay->saved || renameat(workplace->private_fd, overlay->saved, parent, name) == 0;
}

/* Every name in the root or in the tree's. */
static const char *const *all_places(struct workplace *workplace, struct arena *arena, size_t *ret, struct error *err)
{
	_cleanup_buf_ struct buf message = { 0 }, names = { 0 };
	struct tree_entry *entries = NULL;
	size_t n = 0;
	if (workplace->target.have.size_bytes > 0 &&
		(store_get(&workplace->directories.store, &workplace->target.have, &message, err) != 0 ||
			tree_parse_directory(buf_slice(&message), arena, &entries, &n, err) < 0))
		return NULL;
	for (size_t i = 0; i < n; i++)
		buf_append(&names, &entries[i].name, sizeof(entries[i].name));
	_cleanup_closedir_ DIR *dir = opendir(workplace->target.root);
	if (!dir)
		return NULL;
	for (struct dirent *entry; (entry = readdir(dir));) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		name = arena_strdup(arena, name);
		buf_append(&names, &name, sizeof(name));
	}
	*ret = names.len / sizeof(const char *);
	const char **places = arena_array(arena, const char *, *ret + 1);
	if (*ret > 0)
		memcpy(places, names.ptr, names.len);
	return places;
}

void workplace_restore(struct workplace *workplace, const struct overlay *overlays, size_t n,
	const char *const *changed, size_t n_changed)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct sync_report report;
	struct error ignored; /* each of these failures costs the tree, which stays marked, and not the job */
	bool same = true;
	for (size_t i = n; i-- > 0;)
		if (overlays[i].covers)
			same = uncover(workplace, &overlays[i], &arena) && same;
	if (!same)
		return;
	if (!changed)
		changed = all_places(workplace, &arena, &n_changed, &ignored);
	if (changed && sync_restore_job(&workplace->target, &workplace->directories.store,
			       packs_store(workplace->packs), changed, n_changed, &report, &ignored) == 0)
		(void)sync_mark_clean(&workplace->target, &ignored);
	packs_drop(workplace->packs);
}
