#include "files/snapshot.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/path.h"

enum { LINKS_LIMIT = 40 }; /* the kernel's */

/* A regular file in the tree. */
struct inode {
	struct {
		uint64_t dev, ino;
	} key;
	bool shared; /* it may be in the tree under several paths */
	char path[]; /* physical, as last added */
};

/* The physical path behind the directory part of a path that was added, "" for the root. */
struct way {
	uint64_t found_at; /* serves the requests that had arrived then */
	struct buf physical;
	char path[];
};

struct snapshot {
	struct view *view;  /* borrowed */
	struct store *home; /* borrowed, or NULL */
	struct tree *tree;
	struct map inodes; /* dev, ino → struct inode */
	struct map ways; /* path → struct way, so that a request's many paths in one directory walk there once */
	struct buf done; /* of add(): memory kept */
};

struct snapshot *snapshot_new(struct view *view, struct store *home)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		abort();
	snapshot->view = view;
	snapshot->home = home;
	snapshot->tree = tree_new();
	return snapshot;
}

static void forget_ways(struct snapshot *snapshot)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&snapshot->ways, &at));) {
		struct way *way = e->value;
		buf_deinit(&way->physical);
		free(way);
	}
	map_deinit(&snapshot->ways);
}

void snapshot_clear(struct snapshot *snapshot)
{
	forget_ways(snapshot);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&snapshot->inodes, &at));)
		free(e->value);
	map_deinit(&snapshot->inodes);
	tree_clear(snapshot->tree);
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	snapshot_clear(snapshot);
	buf_deinit(&snapshot->done);
	tree_free(snapshot->tree);
	free(snapshot);
}

struct tree *snapshot_tree(struct snapshot *snapshot)
{
	return snapshot->tree;
}

/* Remove what stood at `path` (physical), and the ways that may lead through it. */
static void remove_path(struct snapshot *snapshot, const char *path)
{
	if (!tree_lookup(snapshot->tree, path + 1))
		return;
	tree_remove(snapshot->tree, path + 1);
	forget_ways(snapshot);
}

void snapshot_forget(struct snapshot *snapshot, const char *path)
{
	if (path[1] && !path_has_dotdot(path))
		remove_path(snapshot, path);
}

/* Whether `name` in the root is the kernel's, or the worker's own. */
static bool is_never_mirrored(struct slice name)
{
	return slice_equal_str(name, "proc") || slice_equal_str(name, "dev") || slice_equal_str(name, "sys") ||
	       slice_equal_str(name, ".llama");
}

/* By what right a file is in the tree. */
enum claim {
	CLAIM_ALONE,  /* a job may compare its inode with others */
	CLAIM_SHARED, /* nobody will */
	CLAIM_NAME,   /* only the name is wanted; who opens it adds it by its own path */
	CLAIM_NONE,   /* it doesn't enter */
};

/* Enter the file into `inodes`. Whether it may be in the tree under `path`. */
static bool claim_inode(
	struct snapshot *snapshot, uint64_t since, const char *path, const struct view_info *info, enum claim claim)
{
	if (claim == CLAIM_NAME)
		return true;
	bool shared = claim == CLAIM_SHARED;
	struct inode key = { .key = { info->identity.dev, info->identity.ino } };
	struct inode *inode = map_get(&snapshot->inodes, slice_of(&key.key, sizeof(key.key)));
	if (inode && (shared || inode->shared)) {
		inode->shared = true;
		return true;
	}
	if (inode && strcmp(inode->path, path) == 0)
		return true;
	if (inode) {
		/* The other path may be history: renamed to this one, or removed and its number given away anew. */
		struct view_info other = view_stat(snapshot->view, since, inode->path, false);
		if (other.kind == VIEW_FILE && other.identity.dev == key.key.dev && other.identity.ino == key.key.ino)
			return false;
		if (other.kind == VIEW_ABSENT)
			remove_path(snapshot, inode->path);
		map_remove(&snapshot->inodes, slice_of(&key.key, sizeof(key.key)));
		free(inode);
	}
	size_t length = strlen(path);
	inode = malloc(sizeof(*inode) + length + 1);
	if (!inode)
		abort();
	inode->key.dev = key.key.dev;
	inode->key.ino = key.key.ino;
	inode->shared = shared;
	memcpy(inode->path, path, length + 1);
	map_put(&snapshot->inodes, slice_of(&inode->key, sizeof(inode->key)), inode);
	return true;
}

static int add_file(struct snapshot *snapshot, uint64_t since, const char *path, enum claim claim, struct error *err)
{
	struct digest digest;
	struct view_info info;
	struct error reason = { 0 };
	int r = view_digest(snapshot->view, since, path, &digest, &info, &reason);
	if (r == VIEW_NOT_A_FILE || (r < 0 && (reason.code == EACCES || reason.code == EPERM)))
		return SNAPSHOT_SPECIAL;
	if (r < 0) {
		if (err)
			*err = reason;
		return -1;
	}
	if (!claim_inode(snapshot, since, path, &info, claim))
		return SNAPSHOT_HARD_LINKED;
	/* Of several files with that content any will do; what can't be read there any more is found by snapshot_refresh(). */
	if (tree_set_file(snapshot->tree, path + 1, &digest, (info.mode & 0111) != 0, info.identity.mtime_ns) && snapshot->home)
		home_store_remember(snapshot->home, &digest, path);
	return 0;
}

static int add_directory(struct snapshot *snapshot, const char *path, const struct view_info *info)
{
	if ((info->mode & 0555) != 0555 && faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) < 0)
		return SNAPSHOT_SPECIAL;
	tree_set_directory(snapshot->tree, path + 1);
	return 0;
}

/* What the walk met at its end; positive outcomes of walk(). */
enum { WALK_ABSENT = 16, WALK_FILE };

/* Walk `path` from the directory whose physical path is in `done` ("" for the root), which is in the tree. 0: `done` is
 * the physical directory that the path led to; or WALK_…, a snapshot_outcome or -1, and `done` is the physical path
 * where the walk ended. */
static int walk(struct snapshot *snapshot, uint64_t since, struct buf *done, const char *path, enum claim claim,
	struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *rest = path;
	int n_links = 0;
	for (;;) {
		while (*rest == '/')
			rest++;
		struct slice name = slice_of(rest, (size_t)(strchrnul(rest, '/') - rest));
		rest += name.len;
		if (name.len == 0)
			return 0;
		if (slice_equal_str(name, "."))
			continue;
		if (slice_equal_str(name, "..")) {
			while (done->len > 0 && done->ptr[--done->len] != '/')
				;
			if (done->ptr)
				done->ptr[done->len] = '\0';
			continue;
		}
		size_t parent = done->len;
		if (parent == 0 && is_never_mirrored(name))
			return SNAPSHOT_SPECIAL;
		buf_append_char(done, '/');
		buf_append_slice(done, name);
		struct view_info info = view_stat(snapshot->view, since, done->ptr, false);
		const char *target;
		int r;
		switch (info.kind) {
		case VIEW_ABSENT:
			remove_path(snapshot, done->ptr);
			return WALK_ABSENT;
		case VIEW_SPECIAL:
			return SNAPSHOT_SPECIAL;
		case VIEW_FILE:
			/* Also where a directory is wanted: there too it must be ENOTDIR, not ENOENT. */
			r = claim == CLAIM_NONE ? 0 : add_file(snapshot, since, done->ptr, claim, err);
			return r == 0 ? WALK_FILE : r;
		case VIEW_DIRECTORY:
			r = add_directory(snapshot, done->ptr, &info);
			if (r != 0)
				return r;
			break;
		case VIEW_LINK:
			target = view_readlink(snapshot->view, since, done->ptr);
			if (!target || !*target || ++n_links > LINKS_LIMIT)
				return SNAPSHOT_SPECIAL;
			tree_set_symlink(snapshot->tree, done->ptr + 1, target);
			rest = arena_printf(&arena, "%s/%s", target, rest);
			done->len = *rest == '/' ? 0 : parent;
			done->ptr[done->len] = '\0';
			break;
		}
	}
}

static void keep_way(struct snapshot *snapshot, uint64_t since, struct slice path, const struct buf *physical)
{
	struct way *way = map_get(&snapshot->ways, path);
	if (!way) {
		way = calloc(1, sizeof(*way) + path.len + 1);
		if (!way)
			abort();
		memcpy(way->path, path.ptr, path.len);
		map_put(&snapshot->ways, slice_of(way->path, path.len), way);
	}
	way->found_at = since;
	buf_reset(&way->physical);
	buf_append_slice(&way->physical, buf_slice(physical));
}

/* Walk `path` by way of its directory part, where many paths of a request meet. Results as walk(). */
static int walk_known_way(struct snapshot *snapshot, uint64_t since, struct buf *done, const char *path,
	enum claim claim, struct error *err)
{
	assert(path[0] == '/');
	struct slice directory = slice_of(path, (size_t)(strrchr(path, '/') - path));
	const struct way *known = map_get(&snapshot->ways, directory);
	if (known && known->found_at >= since) {
		buf_append_slice(done, buf_slice(&known->physical));
	} else if (directory.len > 0) {
		_cleanup_free_ char *copy = strndup(directory.ptr, directory.len);
		if (!copy)
			abort();
		int r = walk_known_way(snapshot, since, done, copy, claim, err);
		if (r != 0)
			return r;
		keep_way(snapshot, since, directory, done);
	}
	return walk(snapshot, since, done, path + directory.len, claim, err);
}

static int add(struct snapshot *snapshot, uint64_t since, const char *path, enum claim claim, struct error *err)
{
	buf_reset(&snapshot->done);
	int r = walk_known_way(snapshot, since, &snapshot->done, path, claim, err);
	return r >= WALK_ABSENT ? 0 : r;
}

int snapshot_add(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err)
{
	return add(snapshot, since, path, CLAIM_ALONE, err);
}

int snapshot_add_toolchain(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err)
{
	return add(snapshot, since, path, CLAIM_SHARED, err);
}

int snapshot_add_apart(struct snapshot *snapshot, uint64_t since, const char *path, struct arena *arena, struct snapshot_apart *ret,
	struct error *err)
{
	_cleanup_buf_ struct buf done = { 0 };
	*ret = (struct snapshot_apart){ 0 };
	int r = walk_known_way(snapshot, since, &done, path, CLAIM_NONE, err);
	if (r != WALK_FILE)
		return r >= WALK_ABSENT ? 0 : r;
	struct view_info info = view_stat(snapshot->view, since, done.ptr, false);
	if (info.links > 1 || tree_lookup(snapshot->tree, done.ptr + 1))
		return add_file(snapshot, since, done.ptr, CLAIM_ALONE, err);
	r = view_digest(snapshot->view, since, done.ptr, &ret->digest, &info, err);
	if (r != 0)
		return r < 0 ? -1 : SNAPSHOT_SPECIAL;
	if (snapshot->home)
		home_store_remember(snapshot->home, &ret->digest, done.ptr);
	ret->path = arena_strdup(arena, done.ptr);
	ret->mtime_ns = info.identity.mtime_ns;
	ret->executable = (info.mode & 0111) != 0;
	return 0;
}

/* Paths collected from the tree, which must not change while it is walked. */
struct collection {
	struct snapshot *snapshot;
	uint64_t since;
	const char *directory; /* physical, "" for the root */
	struct arena arena;
	struct map paths; /* path → the same path, in `arena` */
};

static void collect_child(void *ctx, const struct tree_entry *entry)
{
	struct collection *collection = ctx;
	char *path = arena_printf(&collection->arena, "%s/%s", collection->directory, entry->name);
	map_put(&collection->paths, slice_str(path), path);
}

static int add_name(
	struct snapshot *snapshot, uint64_t since, const char *path, enum view_name_type type, struct error *err)
{
	_cleanup_buf_ struct buf done = { 0 };
	const char *target;
	int r;
	switch (type) {
	case VIEW_NAME_LINK:
		/* The link itself is a name; what it leads to is another path's business. */
		target = view_readlink(snapshot->view, since, path);
		if (!target || !*target)
			return SNAPSHOT_SPECIAL;
		tree_set_symlink(snapshot->tree, path + 1, target);
		return 0;
	case VIEW_NAME_FILE:
	case VIEW_NAME_DIRECTORY:
		r = walk(snapshot, since, &done, path, CLAIM_NAME, err);
		return r >= WALK_ABSENT ? 0 : r;
	case VIEW_NAME_SPECIAL:
		break;
	}
	return SNAPSHOT_SPECIAL;
}

int snapshot_add_listing(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf done = { 0 };
	int r = walk_known_way(snapshot, since, &done, path, CLAIM_ALONE, err);
	if (r != 0)
		return r >= WALK_ABSENT ? 0 : r;

	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct view_name *names;
	size_t n_names;
	r = view_names(snapshot->view, since, done.len ? done.ptr : "/", &arena, &names, &n_names, NULL);
	if (r != 0)
		return SNAPSHOT_SPECIAL;
	struct collection old = { .directory = buf_str(&done), .arena = ARENA_INIT };
	tree_list(snapshot->tree, done.len ? done.ptr + 1 : "", collect_child, &old);
	for (size_t i = 0; i < n_names && r == 0; i++) {
		const char *child = arena_printf(&arena, "%s/%s", buf_str(&done), names[i].name);
		map_remove(&old.paths, slice_str(child));
		r = add_name(snapshot, since, child, names[i].type, err);
	}
	size_t at = 0;
	for (const struct map_entry *e; r == 0 && (e = map_next(&old.paths, &at));)
		remove_path(snapshot, e->value);
	map_deinit(&old.paths);
	arena_deinit(&old.arena);
	return r;
}

static void collect_if_changed(void *ctx, const char *path, const struct tree_entry *entry)
{
	struct collection *collection = ctx;
	struct view *view = collection->snapshot->view;
	char absolute[4096 + 1];
	snprintf(absolute, sizeof(absolute), "/%s", path);
	struct view_info info = view_stat(view, collection->since, absolute, false);
	struct digest digest;
	const char *target;
	switch (entry->kind) {
	case TREE_FILE:
		if (info.kind == VIEW_FILE && info.identity.mtime_ns == entry->mtime_ns &&
			view_digest(view, collection->since, absolute, &digest, NULL, NULL) == 0 &&
			digest_equal(&digest, &entry->digest)) {
			/* The content may be remembered at another path, which has vanished. */
			if (collection->snapshot->home)
				home_store_remember(collection->snapshot->home, &digest, absolute);
			return;
		}
		break;
	case TREE_DIRECTORY:
		if (info.kind == VIEW_DIRECTORY)
			return;
		break;
	case TREE_SYMLINK:
		target = view_readlink(view, collection->since, absolute);
		if (target && strcmp(target, entry->target) == 0)
			return;
		break;
	}
	char *copy = arena_strdup(&collection->arena, absolute);
	map_put(&collection->paths, slice_str(copy), copy);
}

int snapshot_refresh(struct snapshot *snapshot, uint64_t since, struct error *err)
{
	struct collection changed = { .snapshot = snapshot, .since = since, .arena = ARENA_INIT };
	tree_walk(snapshot->tree, collect_if_changed, &changed);
	int r = 0;
	size_t at = 0;
	for (const struct map_entry *e; r >= 0 && (e = map_next(&changed.paths, &at));) {
		_cleanup_buf_ struct buf done = { 0 };
		remove_path(snapshot, e->value);
		r = walk(snapshot, since, &done, e->value, CLAIM_ALONE, err);
	}
	map_deinit(&changed.paths);
	arena_deinit(&changed.arena);
	return r < 0 ? -1 : 0;
}
