#include "files/snapshot_answer.h"

#include "base/buf.h"
#include "files/links.h"

enum { LINKS_LIMIT = 40 }; /* the kernel's */

void snapshot_asking_deinit(struct snapshot_asking *asking)
{
	buf_deinit(&asking->way);
	buf_deinit(&asking->done);
}

static const struct tree_entry *entry_of(struct snapshot_asking *asking, const char *physical)
{
	const struct snapshot_apart *apart = asking->apart;
	if (apart && apart->path && strcmp(apart->path, physical) == 0) {
		asking->over = (struct tree_entry){ .kind = TREE_FILE, .digest = apart->digest };
		return &asking->over;
	}
	const struct tree_entry *entry = tree_lookup(asking->tree, physical + 1);
	if (entry && entry->changed > asking->generation)
		asking->later = true;
	return entry;
}

static const char *target_in_tree(void *ctx, const char *path)
{
	const struct tree_entry *entry = entry_of(ctx, path);
	return entry && entry->kind == TREE_SYMLINK ? entry->target : NULL;
}

/* The entry that `path` leads to from `entry`, whose physical path is `done` ("" for the root): symlinks followed (the last component only if
 * `follow_last`), and `done` is moved there. NULL when there is none. The root has no entry of its own worth asking for: it is a directory and
 * never changes. */
static const struct tree_entry *follow(struct snapshot_asking *asking, const struct tree_entry *entry, const char *path, bool follow_last,
	struct buf *done)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *rest = path;
	if (!entry)
		return NULL;
	for (;;) {
		while (*rest == '/')
			rest++;
		struct slice name = slice_of(rest, (size_t)(strchrnul(rest, '/') - rest));
		rest += name.len;
		if (name.len == 0)
			return entry;
		if (slice_equal_str(name, "."))
			continue;
		if (entry->kind != TREE_DIRECTORY)
			return NULL;
		if (slice_equal_str(name, "..")) {
			while (done->len > 0 && done->ptr[--done->len] != '/')
				;
			if (done->ptr)
				done->ptr[done->len] = '\0';
			entry = tree_lookup(asking->tree, done->len ? done->ptr + 1 : "");
			continue;
		}
		size_t parent = done->len;
		buf_append_char(done, '/');
		buf_append_slice(done, name);
		entry = entry_of(asking, done->ptr);
		if (!entry)
			return NULL;
		if (entry->kind != TREE_SYMLINK)
			continue;
		asking->n_links++;
		if (!follow_last && rest[strspn(rest, "/")] == '\0')
			return entry;
		if (asking->n_links > LINKS_LIMIT)
			return NULL;
		rest = arena_printf(&arena, "%s/%s", entry->target, rest);
		done->len = entry->target[0] == '/' ? 0 : parent;
		done->ptr[done->len] = '\0';
		entry = tree_lookup(asking->tree, done->len ? done->ptr + 1 : "");
	}
}

/* The same for a path from the root, by way of its directory. */
static const struct tree_entry *find(struct snapshot_asking *asking, const char *path, bool follow_last)
{
	const char *slash = strrchr(path, '/');
	struct slice directory = slice_of(path, (size_t)(slash - path));
	if (!asking->directory.ptr || !slice_equal(asking->directory, directory)) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		asking->directory = directory;
		asking->later = false;
		asking->n_links = 0;
		buf_reset(&asking->way);
		asking->there = follow(asking, tree_lookup(asking->tree, ""), arena_strndup(&arena, directory.ptr, directory.len), true, &asking->way);
		asking->way_later = asking->later;
		asking->way_links = asking->n_links;
	}
	asking->later = asking->way_later;
	asking->n_links = asking->way_links;
	buf_reset(&asking->done);
	buf_append_slice(&asking->done, buf_slice(&asking->way));
	return follow(asking, asking->there, slash, follow_last, &asking->done);
}

static void list_name(void *ctx, const struct tree_entry *entry)
{
	static const char types[] = { [TREE_FILE] = 'f', [TREE_DIRECTORY] = 'd', [TREE_SYMLINK] = 'l' };
	struct buf *text = ctx;
	buf_append_char(text, types[entry->kind]);
	buf_append_char(text, ' ');
	buf_append(text, entry->name, strlen(entry->name) + 1);
}

static struct digest list_names(struct snapshot_asking *asking, const struct tree_entry *entry, const char *physical)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (entry->renamed > asking->generation)
		asking->later = true;
	tree_list(asking->tree, *physical ? physical + 1 : "", list_name, &text);
	return digest_of(buf_slice(&text));
}

/* Where the symlinks on the way led. */
static struct digest whereabouts(struct snapshot_asking *asking, const char *path)
{
	return asking->n_links ? links_digest(path, target_in_tree, asking) : (struct digest){ 0 };
}

int snapshot_answer(struct snapshot_asking *asking, struct lookup *lookup)
{
	const struct tree_entry *entry = find(asking, lookup->path, lookup->kind != LOOKUP_LINK);
	/* What was found, and is gone, has left the tree since; an entry that isn't there can't tell when. Unless nothing has changed: then the job has
	 * made it itself. */
	if (!entry && lookup->kind != LOOKUP_ABSENT && tree_generation(asking->tree) > asking->generation)
		asking->later = true;
	lookup->digest = (struct digest){ 0 };
	if (lookup->kind == LOOKUP_LINK && entry)
		lookup->digest = whereabouts(asking, lookup->path);
	else if (!entry)
		lookup->kind = LOOKUP_ABSENT;
	else if (entry->kind == TREE_FILE) {
		lookup->kind = LOOKUP_FILE;
		lookup->digest = entry->digest;
	} else if (lookup->kind == LOOKUP_LISTING)
		lookup->digest = list_names(asking, entry, buf_str(&asking->done));
	else {
		lookup->kind = LOOKUP_DIRECTORY;
		lookup->digest = whereabouts(asking, lookup->path);
	}
	return asking->later ? SNAPSHOT_LATER : 0;
}
