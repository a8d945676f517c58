#include "worker/sync.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "store/tree.h"

enum {
	RECORD_BYTES = 192, /* of the state file: always the same, so that one write replaces it */
	DEPTH_LIMIT = 256,  /* of directories; each level holds a descriptor and a stack frame */
	DIRECTORY_MODE = 0755,
};

static const int OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/* One pass over the tree. */
struct walk {
	struct sync_target *target;
	struct store *directories, *blobs;
	struct sync_report *report;
	struct buf path; /* of the directory or entry at hand, relative to the root */
	int depth;
	bool fix; /* what differs is repaired; else this only looks */
};

static mode_t file_mode(const struct tree_entry *entry)
{
	return entry->executable ? 0555 : 0444;
}

static bool is_protected(const struct walk *walk, const char *name)
{
	if (walk->depth > 0 || !walk->target->protected)
		return false;
	for (const char *const *p = walk->target->protected; *p; p++)
		if (strcmp(*p, name) == 0)
			return true;
	return false;
}

/* Put `name` behind the path at hand; returns what path_leave() needs. */
static size_t path_enter(struct walk *walk, const char *name)
{
	size_t length = walk->path.len;
	if (length)
		buf_append_char(&walk->path, '/');
	buf_append_str(&walk->path, name);
	return length;
}

static void path_leave(struct walk *walk, size_t length)
{
	walk->path.len = length;
	if (walk->path.ptr)
		walk->path.ptr[length] = '\0';
}

static int fail(struct walk *walk, const char *act, struct error *err)
{
	return error_set(err, errno, "cannot %s %s/%s", act, walk->target->root, buf_str(&walk->path));
}

static void report_missing(struct walk *walk, const struct digest *digest)
{
	if (walk->report->n_missing < SYNC_MISSING_LIMIT)
		walk->report->missing[walk->report->n_missing++] = *digest;
}

/* Nothing is at the path at hand, because `digest` is missing. */
static void add_hole(struct walk *walk, const struct digest *digest)
{
	struct sync_target *target = walk->target;
	target->holes = reallocarray(target->holes, target->n_holes + 1, sizeof(*target->holes));
	char *hole = strdup(buf_str(&walk->path));
	if (!target->holes || !hole)
		abort();
	target->holes[target->n_holes++] = hole;
	report_missing(walk, digest);
}

static void free_holes(char **holes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(holes[i]);
	free(holes);
}

/* Directory messages */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

/* The entries of a Directory, sorted by name over all kinds, in `arena`; those with a protected name are left out. 0,
 * SYNC_MISSING, or -1. */
static int load(struct walk *walk, const struct digest *digest, struct arena *arena, struct tree_entry **ret,
	size_t *n_ret, struct error *err)
{
	*ret = NULL;
	*n_ret = 0;
	if (digest->size_bytes == 0)
		return 0;
	_cleanup_buf_ struct buf message = { 0 };
	int r = store_get(walk->directories, digest, &message, err);
	if (r == STORE_MISS) {
		if (!walk->fix)
			report_missing(walk, digest);
		return SYNC_MISSING;
	}
	struct tree_entry *entries;
	size_t n;
	if (r < 0 || tree_parse_directory(buf_slice(&message), arena, &entries, &n, err) < 0)
		return error_wrap(err, "directory /%s", buf_str(&walk->path));
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!is_protected(walk, entries[i].name))
			entries[kept++] = entries[i];
	if (kept)
		qsort(entries, kept, sizeof(*entries), by_name);
	*ret = entries;
	*n_ret = kept;
	return 0;
}

static const struct tree_entry *find(const struct tree_entry *entries, size_t n, const char *name)
{
	const struct tree_entry key = { .name = name };
	return n ? bsearch(&key, entries, n, sizeof(*entries), by_name) : NULL;
}

/* Whether the two stand for the same thing on disk; directories for a directory, whatever is in it. */
static bool same_entry(const struct tree_entry *a, const struct tree_entry *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case TREE_FILE:
		return digest_equal(&a->digest, &b->digest) && a->executable == b->executable &&
		       a->mtime_ns == b->mtime_ns;
	case TREE_DIRECTORY:
		return true;
	case TREE_SYMLINK:
		return strcmp(a->target, b->target) == 0;
	}
	return false;
}

/* Single entries; `walk->path` names the entry, `fd` is the directory it is in. */

static int remove_entry(struct walk *walk, int fd, const char *name, struct error *err)
{
	if (unlinkat(fd, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		if (file_remove_tree(fd, name, err) < 0)
			return error_wrap(err, "%s", walk->target->root);
	}
	walk->report->removed++;
	return 0;
}

static int finish_file(struct walk *walk, int fd, const struct tree_entry *entry, struct error *err)
{
	if (fchmod(fd, file_mode(entry)) < 0)
		return fail(walk, "set the mode of", err);
	if (entry->mtime_ns != 0) {
		int64_t ns = entry->mtime_ns % 1000000000;
		struct timespec mtime = { .tv_sec = entry->mtime_ns / 1000000000 - (ns < 0),
			.tv_nsec = ns + (ns < 0) * 1000000000 };
		if (futimens(fd, (struct timespec[]){ { .tv_nsec = UTIME_OMIT }, mtime }) < 0)
			return fail(walk, "set the time of", err);
	}
	walk->report->written++;
	walk->report->written_bytes += entry->digest.size_bytes;
	return 0;
}

static int create_file(struct walk *walk, int dir_fd, const struct tree_entry *entry, struct error *err)
{
	_cleanup_close_ int fd = openat(
		dir_fd, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(walk, "create", err);
	int r = entry->digest.size_bytes == 0 ? 0 : store_get_fd(walk->blobs, &entry->digest, fd, err);
	if (r == STORE_MISS) {
		if (unlinkat(dir_fd, entry->name, 0) < 0)
			return fail(walk, "remove", err);
		add_hole(walk, &entry->digest);
		return 0;
	}
	if (r < 0)
		return error_wrap(err, "cannot fill %s/%s", walk->target->root, buf_str(&walk->path));
	return finish_file(walk, fd, entry, err);
}

static int change_directory(
	struct walk *walk, int fd, const struct digest *have, const struct digest *want, struct error *err);

/* Make the directory `fd` hold `want`, knowing that it holds `have`. If its message is missing the directory becomes a
 * hole. */
static int fill_directory(struct walk *walk, int parent_fd, int fd, const char *name, const struct digest *have,
	const struct digest *want, struct error *err)
{
	int r = change_directory(walk, fd, have, want, err);
	if (r != SYNC_MISSING)
		return r;
	add_hole(walk, want);
	return remove_entry(walk, parent_fd, name, err);
}

static int create_directory(struct walk *walk, int parent_fd, const struct tree_entry *entry, struct error *err)
{
	static const struct digest nothing = { .size_bytes = 0 };
	if (mkdirat(parent_fd, entry->name, DIRECTORY_MODE) < 0)
		return fail(walk, "make directory", err);
	_cleanup_close_ int fd = openat(parent_fd, entry->name, OPEN_DIRECTORY);
	if (fd < 0)
		return fail(walk, "open directory", err);
	if (fchmod(fd, DIRECTORY_MODE) < 0) /* whatever the umask */
		return fail(walk, "set the mode of", err);
	return fill_directory(walk, parent_fd, fd, entry->name, &nothing, &entry->digest, err);
}

static int create_entry(struct walk *walk, int fd, const struct tree_entry *entry, struct error *err)
{
	switch (entry->kind) {
	case TREE_FILE:
		return create_file(walk, fd, entry, err);
	case TREE_DIRECTORY:
		return create_directory(walk, fd, entry, err);
	case TREE_SYMLINK:
		return symlinkat(entry->target, fd, entry->name) < 0 ? fail(walk, "create", err) : 0;
	}
	return 0;
}

static int replace_entry(struct walk *walk, int fd, const struct tree_entry *entry, struct error *err)
{
	if (remove_entry(walk, fd, entry->name, err) < 0)
		return -1;
	return create_entry(walk, fd, entry, err);
}

/* Names that are not in the tree: removed, or SYNC_DIFFERS. */
static int check_strays(struct walk *walk, int fd, const struct tree_entry *entries, size_t n, struct error *err)
{
	int own = openat(fd, ".", OPEN_DIRECTORY); /* reading moves its offset */
	_cleanup_closedir_ DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		fail(walk, "read directory", err);
		if (own >= 0)
			close(own);
		return -1;
	}
	bool again = false;
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry && errno)
			return fail(walk, "read directory", err);
		if (!entry && !again)
			return 0;
		if (!entry) { /* a directory that changes while it is read may have hidden something */
			rewinddir(dir);
			again = false;
			continue;
		}
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_protected(walk, name) ||
			find(entries, n, name))
			continue;
		if (!walk->fix) {
			error_set(err, 0, "%s/%s/%s does not belong to the tree", walk->target->root,
				buf_str(&walk->path), name);
			return SYNC_DIFFERS;
		}
		if (remove_entry(walk, fd, name, err) < 0)
			return -1;
		again = true;
	}
}

/* By difference */

/* An entry that was `old` and is to be `new`; either may be NULL, not both. */
static int change_entry(
	struct walk *walk, int fd, const struct tree_entry *old, const struct tree_entry *new, struct error *err)
{
	if (!new)
		return remove_entry(walk, fd, old->name, err);
	if (!old)
		return create_entry(walk, fd, new, err);
	if (!same_entry(old, new))
		return replace_entry(walk, fd, new, err);
	if (new->kind != TREE_DIRECTORY || digest_equal(&old->digest, &new->digest))
		return 0;
	_cleanup_close_ int child = openat(fd, new->name, OPEN_DIRECTORY);
	if (child < 0) {
		if (errno == ENOENT) /* a hole */
			return create_entry(walk, fd, new, err);
		return fail(walk, "open directory", err);
	}
	return fill_directory(walk, fd, child, new->name, &old->digest, &new->digest, err);
}

/* 0, SYNC_MISSING (the message `want` is missing; nothing was done), or -1. */
static int change_directory(
	struct walk *walk, int fd, const struct digest *have, const struct digest *want, struct error *err)
{
	if (digest_equal(have, want))
		return 0;
	if (walk->depth >= DEPTH_LIMIT)
		return error_set(err, ELOOP, "directories are nested too deep at /%s", buf_str(&walk->path));
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *old, *new;
	size_t n_old, n_new, i = 0, j = 0;
	int r = load(walk, want, &arena, &new, &n_new, err);
	if (r != 0)
		return r;
	r = load(walk, have, &arena, &old, &n_old, err);
	if (r == SYNC_MISSING) /* so it isn't known what is in there */
		r = check_strays(walk, fd, NULL, 0, err);
	if (r < 0)
		return -1;
	while (i < n_old || j < n_new) {
		int order = i == n_old ? 1 : j == n_new ? -1 : strcmp(old[i].name, new[j].name);
		const struct tree_entry *from = order <= 0 ? &old[i++] : NULL, *to = order >= 0 ? &new[j++] : NULL;
		size_t length = path_enter(walk, to ? to->name : from->name);
		walk->depth++;
		if (change_entry(walk, fd, from, to, err) < 0)
			return -1;
		walk->depth--;
		path_leave(walk, length);
	}
	return 0;
}

/* By examination */

static int check_directory(struct walk *walk, int fd, const struct digest *want, struct error *err);

/* Whether what is at the entry's place is it, as far as lstat tells; of a directory, whether it is one. */
static bool looks_right(int fd, const struct tree_entry *entry)
{
	struct stat st;
	if (fstatat(fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	switch (entry->kind) {
	case TREE_FILE:
		return S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size == entry->digest.size_bytes &&
		       (st.st_mode & 07777) == file_mode(entry) &&
		       (entry->mtime_ns == 0 ||
			       (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == entry->mtime_ns);
	case TREE_DIRECTORY:
		return S_ISDIR(st.st_mode) && (st.st_mode & 07777) == DIRECTORY_MODE;
	case TREE_SYMLINK: {
		char target[4096];
		ssize_t n = readlinkat(fd, entry->name, target, sizeof(target));
		return n >= 0 && slice_equal_str(slice_of(target, (size_t)n), entry->target);
	}
	}
	return false;
}

static int check_entry(struct walk *walk, int fd, const struct tree_entry *entry, struct error *err)
{
	if (!looks_right(fd, entry)) {
		if (walk->fix)
			return replace_entry(walk, fd, entry, err);
		error_set(err, 0, "/%s is not what the tree says", buf_str(&walk->path));
		return SYNC_DIFFERS;
	}
	if (entry->kind != TREE_DIRECTORY)
		return 0;
	_cleanup_close_ int child = openat(fd, entry->name, OPEN_DIRECTORY);
	if (child < 0)
		return fail(walk, "open directory", err);
	int r = check_directory(walk, child, &entry->digest, err);
	if (r != SYNC_MISSING || !walk->fix)
		return r;
	add_hole(walk, &entry->digest);
	return remove_entry(walk, fd, entry->name, err);
}

/* Compare a directory with the tree, or, with `fix`, make it so. 0, SYNC_DIFFERS, SYNC_MISSING (the message `want` is
 * missing), or -1. */
static int check_directory(struct walk *walk, int fd, const struct digest *want, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	size_t n;
	if (walk->depth >= DEPTH_LIMIT)
		return error_set(err, ELOOP, "directories are nested too deep at /%s", buf_str(&walk->path));
	int r = load(walk, want, &arena, &entries, &n, err);
	if (r == 0)
		r = check_strays(walk, fd, entries, n, err);
	walk->depth++;
	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t length = path_enter(walk, entries[i].name);
		r = check_entry(walk, fd, &entries[i], err);
		path_leave(walk, length);
	}
	walk->depth--;
	return r;
}

/* One path */

/* Make what is at `rest` below the directory `fd`, which the tree says is `directory`, what the tree says. 0 or -1. */
static int restore_path(struct walk *walk, int fd, const struct digest *directory, const char *rest, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	size_t n;
	const char *name = arena_strndup(&arena, rest, strcspn(rest, "/"));
	rest += strlen(name);
	rest += strspn(rest, "/");
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, EINVAL, "cannot restore the path %s/%s", buf_str(&walk->path), name);
	if (is_protected(walk, name))
		return 0;
	int r = load(walk, directory, &arena, &entries, &n, err);
	if (r < 0)
		return -1;
	const struct tree_entry *entry = find(entries, n, name);
	size_t length = path_enter(walk, name);
	walk->depth++;
	if (r == SYNC_MISSING) {
		add_hole(walk, directory);
		r = remove_entry(walk, fd, name, err);
	} else if (!entry) {
		r = remove_entry(walk, fd, name, err);
	} else if (entry->kind == TREE_DIRECTORY && looks_right(fd, entry)) {
		_cleanup_close_ int child = openat(fd, name, OPEN_DIRECTORY);
		if (child < 0)
			r = fail(walk, "open directory", err);
		else if (*rest)
			r = restore_path(walk, child, &entry->digest, rest, err);
		else
			r = check_entry(walk, fd, entry, err);
	} else {
		r = replace_entry(walk, fd, entry, err);
	}
	walk->depth--;
	path_leave(walk, length);
	return r;
}

/* The record */

static void read_boot_id(struct sync_target *target)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (file_read("/proc/sys/kernel/random/boot_id", 256, &text, NULL) == 0)
		snprintf(target->boot_id, sizeof(target->boot_id), "%.*s", (int)strcspn(buf_str(&text), "\n"),
			buf_str(&text));
}

static int write_record(struct sync_target *target, const char *text, struct error *err)
{
	char record[RECORD_BYTES + 1];
	snprintf(record, sizeof(record), "%-*s\n", RECORD_BYTES - 1, text);
	ssize_t n = pwrite(target->state_fd, record, RECORD_BYTES, 0);
	if (n != RECORD_BYTES)
		return error_set(err, n < 0 ? errno : ENOSPC, "cannot write the state of %s", target->root);
	return 0;
}

static void read_record(struct sync_target *target)
{
	char record[RECORD_BYTES + 1], hex[DIGEST_HEX_CHARS + 1], boot[64];
	target->state = SYNC_DIRTY;
	if (pread(target->state_fd, record, RECORD_BYTES, 0) != RECORD_BYTES)
		return;
	record[RECORD_BYTES] = '\0';
	if (sscanf(record, "clean %64s %" SCNd64 " %63s", hex, &target->have.size_bytes, boot) == 3 &&
		digest_parse_hex(slice_str(hex), &target->have) == 0 && strcmp(boot, target->boot_id) == 0)
		target->state = SYNC_CLEAN;
}

int sync_mark_dirty(struct sync_target *target, struct error *err)
{
	if (target->state != SYNC_CLEAN)
		return 0;
	target->state = SYNC_DIRTY;
	return write_record(target, "dirty", err);
}

int sync_mark_clean(struct sync_target *target, struct error *err)
{
	assert(target->n_holes == 0);
	char text[RECORD_BYTES], hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&target->have, hex);
	snprintf(text, sizeof(text), "clean %s %" PRId64 " %s", hex, target->have.size_bytes, target->boot_id);
	if (write_record(target, text, err) < 0)
		return -1;
	target->state = SYNC_CLEAN;
	return 0;
}

/* Targets */

/* Remove everything but the protected names; the target is clean then, and holds the empty tree. */
static int empty_root(struct sync_target *target, struct sync_report *report, struct error *err)
{
	struct walk walk = { .target = target, .report = report, .fix = true };
	free_holes(target->holes, target->n_holes);
	target->holes = NULL;
	target->n_holes = 0;
	if (fchmod(target->root_fd, DIRECTORY_MODE) < 0)
		return error_set(err, errno, "cannot set the mode of %s", target->root);
	if (check_strays(&walk, target->root_fd, NULL, 0, err) < 0)
		return -1;
	target->have = digest_of(slice_of("", 0));
	return sync_mark_clean(target, err);
}

/* `fresh`: the root was not there, so the record doesn't describe it. */
static int open_root(struct sync_target *target, bool *fresh, struct error *err)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		*fresh = mkdir(target->root, DIRECTORY_MODE) == 0;
		if (!*fresh && errno != EEXIST)
			return error_set(err, errno, "cannot make directory %s", target->root);
		target->root_fd = open(target->root, OPEN_DIRECTORY);
		if (target->root_fd >= 0 || (errno != ELOOP && errno != ENOTDIR))
			break;
		if (unlink(target->root) < 0) /* something else is there, none of ours */
			break;
	}
	return target->root_fd < 0 ? error_set(err, errno, "cannot open directory %s", target->root) : 0;
}

int sync_target_open(struct sync_target *target, const char *slot, const char *const *protected, struct error *err)
{
	_cleanup_buf_ struct buf root = { 0 };
	buf_printf(&root, "%s/root", slot);
	return sync_target_open_at(target, slot, buf_str(&root), protected, err);
}

int sync_target_open_at(struct sync_target *target, const char *slot, const char *root, const char *const *protected,
	struct error *err)
{
	_cleanup_buf_ struct buf state = { 0 };
	*target = (struct sync_target){ .root_fd = -1, .state_fd = -1, .protected = protected };
	buf_printf(&state, "%s/state", slot);
	target->root = strdup(root);
	if (!target->root)
		abort();
	if (mkdir(slot, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "cannot make directory %s", slot);
	target->state_fd = open(state.ptr, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (target->state_fd < 0)
		return error_set(err, errno, "cannot open %s", state.ptr);
	if (flock(target->state_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, errno == EWOULDBLOCK ? EBUSY : errno, "cannot lock %s", state.ptr);
	bool fresh;
	if (open_root(target, &fresh, err) < 0)
		return -1;
	read_boot_id(target);
	read_record(target);
	struct sync_report report = { 0 };
	return target->state == SYNC_CLEAN && !fresh ? 0 : empty_root(target, &report, err);
}

void sync_target_close(struct sync_target *target)
{
	cleanup_close(&target->root_fd);
	cleanup_close(&target->state_fd);
	free_holes(target->holes, target->n_holes);
	free(target->root);
	*target = (struct sync_target){ .root_fd = -1, .state_fd = -1 };
}

/* Paths */

const char *sync_place(const struct sync_target *target, struct arena *arena, const char *path)
{
	const char *name = path_basename(path);
	if (*name == '\0' || strcmp(name, "..") == 0)
		return NULL;
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int fd =
		(int)syscall(SYS_openat2, target->root_fd, path_dirname(arena, path), &how, sizeof(how));
	if (fd < 0)
		return NULL;
	char link[32], directory[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, directory, sizeof(directory) - 1);
	size_t root_length = strlen(target->root);
	if (n < 0 || (size_t)n < root_length)
		return NULL;
	directory[n] = '\0';
	const char *below = directory + root_length;
	while (*below == '/')
		below++;
	for (const char *const *p = target->protected; p && *p; p++) {
		size_t length = strlen(*p);
		if (strncmp(below, *p, length) == 0 && (below[length] == '/' || below[length] == '\0'))
			return NULL;
	}
	return arena_printf(arena, "%s%s%s", below, *below ? "/" : "", name);
}

/* What a pass came to: failed, complete, or with holes. */
static int conclude(struct walk *walk, int r)
{
	struct sync_target *target = walk->target;
	if (r == 0 && target->n_holes > 0)
		r = SYNC_MISSING;
	if (r < 0)
		target->state = SYNC_DIRTY;
	else if (r == SYNC_MISSING)
		target->state = SYNC_HOLED;
	buf_deinit(&walk->path);
	return r;
}

int sync_tree(struct sync_target *target, struct store *directories, struct store *blobs, const struct digest *want,
	struct sync_report *report, struct error *err)
{
	struct walk walk = {
		.target = target, .directories = directories, .blobs = blobs, .report = report, .fix = true
	};
	*report = (struct sync_report){ 0 };
	if (target->state == SYNC_CLEAN && digest_equal(&target->have, want))
		return 0;
	if (target->state == SYNC_DIRTY && empty_root(target, report, err) < 0)
		return -1;
	if (sync_mark_dirty(target, err) < 0)
		return -1;

	/* Its own holes are filled afterwards, so that only those made from now on are in the list. */
	char **holes = target->holes;
	size_t n_holes = target->n_holes;
	target->holes = NULL;
	target->n_holes = 0;
	int r = change_directory(&walk, target->root_fd, &target->have, want, err);
	if (r == SYNC_MISSING) { /* without the root's message nothing can be done, and nothing was */
		report_missing(&walk, want);
		target->holes = holes;
		target->n_holes = n_holes;
		if (n_holes == 0 && sync_mark_clean(target, err) < 0)
			return -1;
		return SYNC_MISSING;
	}
	if (r == 0)
		target->have = *want;
	for (size_t i = 0; r == 0 && i < n_holes; i++)
		r = restore_path(&walk, target->root_fd, want, holes[i], err);
	free_holes(holes, n_holes);
	r = conclude(&walk, r);
	return r == 0 ? sync_mark_clean(target, err) : r;
}

int sync_restore_job(struct sync_target *target, struct store *directories, struct store *blobs,
	const char *const *paths, size_t n_paths, struct sync_report *report, struct error *err)
{
	struct walk walk = {
		.target = target, .directories = directories, .blobs = blobs, .report = report, .fix = true
	};
	int r = 0;
	*report = (struct sync_report){ 0 };
	for (size_t i = 0; r == 0 && i < n_paths; i++)
		r = restore_path(&walk, target->root_fd, &target->have, paths[i], err);
	return conclude(&walk, r);
}

int sync_check_full(
	struct sync_target *target, struct store *directories, struct sync_report *report, struct error *err)
{
	struct walk walk = { .target = target, .directories = directories, .report = report };
	*report = (struct sync_report){ 0 };
	int r = check_directory(&walk, target->root_fd, &target->have, err);
	buf_deinit(&walk.path);
	return r;
}
