#include "runtime/delta.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "store/tree.h"

/* The store of Directory messages */

static int directories_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	struct directories *directories = container_of(store, struct directories, store);
	int outcome = store_get(directories->memory, digest, ret, err);
	if (outcome != STORE_MISS)
		return outcome;
	size_t before = ret->len;
	outcome = store_get(packs_store(directories->packs), digest, ret, err);
	if (outcome != 0)
		return outcome;
	return store_put(directories->memory, digest, slice_of(buf_str(ret) + before, ret->len - before), err);
}

static int directories_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	return store_put(container_of(store, struct directories, store)->memory, digest, bytes, err);
}

static int directories_contains(struct store *store, const struct digest *digest)
{
	return store_contains(container_of(store, struct directories, store)->memory, digest);
}

static void directories_free(struct store *store)
{
}

void directories_init(struct directories *directories, struct store *memory, struct packs *packs)
{
	static const struct store_ops ops = { "directories", directories_get, NULL, directories_put, NULL,
		directories_contains, directories_free };
	*directories = (struct directories){ .store = { &ops }, .memory = memory, .packs = packs };
}

/* Planning */

/* A directory to be changed from `have` to `want`. */
struct pair {
	struct digest have, want; /* size_bytes 0: nothing is in it */
};

struct walk {
	struct directories *directories;
	struct arena *arena;
	struct buf level, next;	   /* of struct pair */
	struct buf files, missing; /* of struct digest */
	struct map seen;	   /* files, by hash */
	int64_t file_bytes;
};

static void walk_deinit(struct walk *walk)
{
	buf_deinit(&walk->level);
	buf_deinit(&walk->next);
	buf_deinit(&walk->files);
	buf_deinit(&walk->missing);
	map_deinit(&walk->seen);
}

static void add_file(struct walk *walk, const struct tree_entry *entry)
{
	walk->file_bytes += entry->digest.size_bytes;
	/* The map borrows its keys: the entry is in the arena. */
	if (entry->digest.size_bytes > 0 && !map_put(&walk->seen, digest_slice(&entry->digest), (void *)entry))
		buf_append(&walk->files, &entry->digest, sizeof(entry->digest));
}

/* An entry that shall be there; `old` is what stands in its place, or NULL. */
static void add_entry(struct walk *walk, const struct tree_entry *old, const struct tree_entry *new)
{
	bool same_kind = old && old->kind == new->kind;
	if (new->kind == TREE_FILE && !(same_kind && digest_equal(&old->digest, &new->digest) &&
					      old->executable == new->executable && old->mtime_ns == new->mtime_ns)) {
		add_file(walk, new);
	} else if (new->kind == TREE_DIRECTORY && !(same_kind && digest_equal(&old->digest, &new->digest))) {
		struct pair pair = { .want = new->digest };
		if (same_kind)
			pair.have = old->digest;
		buf_append(&walk->next, &pair, sizeof(pair));
	}
}

/* Entries sorted by name over all kinds; STORE_MISS; -1. */
static int read_directory(
	struct walk *walk, const struct digest *digest, struct tree_entry **ret, size_t *n_ret, struct error *err)
{
	*ret = NULL;
	*n_ret = 0;
	if (digest->size_bytes == 0)
		return 0;
	_cleanup_buf_ struct buf message = { 0 };
	int outcome = store_get(&walk->directories->store, digest, &message, err);
	if (outcome != 0)
		return outcome;
	return tree_parse_directory(buf_slice(&message), walk->arena, ret, n_ret, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

static int walk_pair(struct walk *walk, const struct pair *pair, struct error *err)
{
	struct tree_entry *have, *want;
	size_t n_have, n_want;
	int outcome = read_directory(walk, &pair->want, &want, &n_want, err);
	if (outcome == STORE_MISS)
		buf_append(&walk->missing, &pair->want, sizeof(pair->want));
	if (outcome != 0)
		return outcome < 0 ? -1 : 0;
	/* What isn't known to be there is written anew. */
	if (read_directory(walk, &pair->have, &have, &n_have, err) < 0)
		return -1;
	if (n_have > 0)
		qsort(have, n_have, sizeof(*have), by_name);
	for (size_t i = 0; i < n_want; i++) {
		const struct tree_entry *old = n_have > 0 ? bsearch(&want[i], have, n_have, sizeof(*have), by_name)
							  : NULL;
		add_entry(walk, old, &want[i]);
	}
	return 0;
}

/* Fetch the messages of the level that aren't in memory. Which are missing comes out when they are read. */
static int fetch_level(struct walk *walk, struct error *err)
{
	const struct pair *pairs = (const struct pair *)walk->level.ptr;
	size_t n = walk->level.len / sizeof(*pairs), n_wanted = 0, n_missing;
	struct digest *wanted = arena_array(walk->arena, struct digest, 2 * n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct digest *both[] = { &pairs[i].want, &pairs[i].have };
		for (size_t j = 0; j < 2; j++)
			if (both[j]->size_bytes > 0 && store_contains(walk->directories->memory, both[j]) != 0)
				wanted[n_wanted++] = *both[j];
	}
	return n_wanted == 0 ? 0 : packs_fetch(walk->directories->packs, wanted, n_wanted, wanted, &n_missing, err);
}

static int walk_levels(struct walk *walk, struct error *err)
{
	while (walk->next.len > 0) {
		struct buf done = walk->level;
		walk->level = walk->next;
		walk->next = done;
		buf_reset(&walk->next);
		if (fetch_level(walk, err) < 0)
			return -1;
		const struct pair *pairs = (const struct pair *)walk->level.ptr;
		for (size_t i = 0; i < walk->level.len / sizeof(*pairs); i++)
			if (walk_pair(walk, &pairs[i], err) < 0)
				return -1;
	}
	return 0;
}

/* What the last sync had to leave out, if the tree still wants it. */
static int walk_hole(struct walk *walk, const char *path, const struct digest *want, struct error *err)
{
	struct digest at = *want;
	for (;;) {
		struct tree_entry *entries, *entry = NULL;
		size_t n, length = strcspn(path, "/");
		if (read_directory(walk, &at, &entries, &n, err) < 0)
			return -1;
		for (size_t i = 0; i < n && !entry; i++)
			if (strlen(entries[i].name) == length && strncmp(entries[i].name, path, length) == 0)
				entry = &entries[i];
		path += length;
		path += strspn(path, "/");
		if (!entry)
			return 0;
		if (*path == '\0') {
			add_entry(walk, NULL, entry);
			return walk_levels(walk, err);
		}
		if (entry->kind != TREE_DIRECTORY)
			return 0;
		at = entry->digest;
	}
}

static struct digest *take_digests(struct walk *walk, const struct buf *from, size_t *n)
{
	*n = from->len / sizeof(struct digest);
	struct digest *digests = arena_array(walk->arena, struct digest, *n + 1);
	if (*n > 0)
		memcpy(digests, from->ptr, from->len);
	return digests;
}

int delta_make(struct directories *directories, const struct sync_target *target, const struct digest *want,
	struct arena *arena, struct delta *ret, struct error *err)
{
	__attribute__((cleanup(walk_deinit))) struct walk walk = { .directories = directories, .arena = arena };
	struct pair top = { .want = *want };
	if (target->state != SYNC_DIRTY)
		top.have = target->have;
	if (!digest_equal(&top.have, &top.want))
		buf_append(&walk.next, &top, sizeof(top));
	if (walk_levels(&walk, err) < 0)
		return -1;
	for (size_t i = 0; target->state == SYNC_HOLED && i < target->n_holes; i++)
		if (walk_hole(&walk, target->holes[i], want, err) < 0)
			return -1;
	*ret = (struct delta){ .file_bytes = walk.file_bytes };
	ret->files = take_digests(&walk, &walk.files, &ret->n_files);
	ret->missing = take_digests(&walk, &walk.missing, &ret->n_missing);
	return 0;
}
