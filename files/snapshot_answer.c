#include "files/snapshot_answer.h"

#include "base/buf.h"
#include "files/links.h"

enum { LINKS_LIMIT = 40 };

struct asking {
	const struct tree *tree;
	uint64_t generation;
	bool later; /* something on the way has changed since */
};

static const struct tree_entry *entry_of(struct asking *asking, const char *physical)
{
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

/* The entry that `path` leads to, symlinks followed (the last component only if `follow_last`), and its physical path
 * in `done`; NULL when there is none. The root has no entry of its own worth asking for: it is a directory and never
 * changes. */
static const struct tree_entry *follow(struct asking *asking, const char *path, bool follow_last, struct buf *done)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const struct tree_entry *entry = tree_lookup(asking->tree, "");
	int n_links = 0;
	const char *rest = path;
	for (;;) {
		rest += strspn(rest, "/");
		struct slice name = slice_of(rest, strcspn(rest, "/"));
		rest += name.len;
		if (name.len == 0)
			return entry;
		if (slice_equal_str(name, "."))
			continue;
		if (entry && entry->kind != TREE_DIRECTORY)
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
		if (!follow_last && rest[strspn(rest, "/")] == '\0')
			return entry;
		if (++n_links > LINKS_LIMIT)
			return NULL;
		rest = arena_printf(&arena, "%s/%s", entry->target, rest);
		done->len = entry->target[0] == '/' ? 0 : parent;
		done->ptr[done->len] = '\0';
		entry = tree_lookup(asking->tree, done->len ? done->ptr + 1 : "");
	}
}

static void list_name(void *ctx, const struct tree_entry *entry)
{
	static const char types[] = { [TREE_FILE] = 'f', [TREE_DIRECTORY] = 'd', [TREE_SYMLINK] = 'l' };
	struct buf *text = ctx;
	buf_append_char(text, types[entry->kind]);
	buf_append_char(text, ' ');
	buf_append(text, entry->name, strlen(entry->name) + 1);
}

static struct digest list_names(struct asking *asking, const struct tree_entry *entry, const char *physical)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (entry->renamed > asking->generation)
		asking->later = true;
	tree_list(asking->tree, *physical ? physical + 1 : "", list_name, &text);
	return digest_of(buf_slice(&text));
}

int snapshot_answer(struct snapshot *snapshot, uint64_t generation, struct lookup *lookup)
{
	struct asking asking = { snapshot_tree(snapshot), generation, false };
	_cleanup_buf_ struct buf done = { 0 };
	const struct tree_entry *entry = follow(&asking, lookup->path, lookup->kind != LOOKUP_LINK, &done);
	/* What was found, and is gone, has left the tree since; an entry that isn't there can't tell when. Unless nothing has changed: then the job has
	 * made it itself. */
	if (!entry && lookup->kind != LOOKUP_ABSENT && tree_generation(asking.tree) > generation)
		asking.later = true;
	lookup->digest = (struct digest){ 0 };
	if (lookup->kind == LOOKUP_LINK && entry)
		lookup->digest = links_digest(lookup->path, target_in_tree, &asking);
	else if (!entry)
		lookup->kind = LOOKUP_ABSENT;
	else if (entry->kind == TREE_FILE) {
		lookup->kind = LOOKUP_FILE;
		lookup->digest = entry->digest;
	} else if (lookup->kind == LOOKUP_LISTING)
		lookup->digest = list_names(&asking, entry, buf_str(&done));
	else {
		lookup->kind = LOOKUP_DIRECTORY;
		lookup->digest = links_digest(lookup->path, target_in_tree, &asking);
	}
	return asking.later ? SNAPSHOT_LATER : 0;
}
