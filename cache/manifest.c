#include "cache/manifest.h"

#include <assert.h>
#include <limits.h>

#include "base/map.h"
#include "files/view.h"

enum {
	FORMAT = 2,
	HAS_DIGEST = 8,
	PATH_LIMIT = PATH_MAX - 1,
	NAME_LIMIT = NAME_MAX,
	PATHS_LIMIT = 64 << 20, /* bytes of all paths: what shares much expands much */
};

/* --- Encoding -------------------------------------------------------------------------------------------------- */

static void put_integer(struct buf *buf, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_append_char(buf, (char)(n | 0x80));
	buf_append_char(buf, (char)n);
}

static void put_path(struct buf *buf, struct slice before, struct slice path)
{
	size_t shared = 0;
	while (shared < before.len && shared < path.len && before.ptr[shared] == path.ptr[shared])
		shared++;
	put_integer(buf, shared);
	put_integer(buf, path.len - shared);
	buf_append(buf, path.ptr + shared, path.len - shared);
}

static void put_found(struct buf *buf, struct slice before, const struct lookup *l)
{
	static const struct digest none = { 0 };
	bool has_digest = !digest_equal(&l->digest, &none);
	buf_append_char(buf, (char)(l->kind | (has_digest ? HAS_DIGEST : 0)));
	put_path(buf, before, slice_str(l->path));
	if (has_digest) {
		put_integer(buf, (uint64_t)l->digest.size_bytes);
		buf_append(buf, l->digest.hash, DIGEST_HASH_BYTES);
	}
}

/* The absences of one directory while they are collected. */
struct group {
	struct slice directory;
	size_t n;
	struct buf hashes, names;
	struct group *next;
};

struct groups {
	struct arena arena;
	struct map map; /* directory → struct group */
	struct group *first, **end, *last; /* last: the one last added to */
	size_t n;
};

static struct group *group_of(struct groups *groups, struct slice directory)
{
	if (groups->last && slice_equal(groups->last->directory, directory))
		return groups->last;
	struct group *group = map_get(&groups->map, directory);
	if (!group) {
		group = arena_new(&groups->arena, struct group);
		group->directory = directory;
		map_put(&groups->map, directory, group);
		*groups->end = group;
		groups->end = &group->next;
		groups->n++;
	}
	return groups->last = group;
}

static struct slice name_in(struct slice path, struct slice *directory)
{
	const char *slash = memrchr(path.ptr, '/', path.len);
	*directory = slash == path.ptr ? slice_of("/", 1) : slice_of(path.ptr, (size_t)(slash - path.ptr));
	return slice_of(slash + 1, (size_t)(path.ptr + path.len - slash - 1));
}

/* Whether a directory's listing can answer for this name. */
static bool is_listed_name(struct slice name)
{
	return name.len > 0 && name.len <= NAME_LIMIT && !slice_equal_str(name, ".") && !slice_equal_str(name, "..");
}

static void add_absence(struct groups *groups, struct slice directory, struct slice name)
{
	struct group *group = group_of(groups, directory);
	unsigned char hash[VIEW_NAME_HASH_BYTES];
	view_name_hash(name, hash);
	buf_append(&group->hashes, hash, sizeof(hash));
	buf_append_slice(&group->names, name);
	buf_append_char(&group->names, '\0');
	group->n++;
}

static void put_groups(struct groups *groups, struct buf *head, struct buf *names)
{
	struct slice before = { NULL, 0 };
	put_integer(head, groups->n);
	for (struct group *group = groups->first; group; group = group->next) {
		put_path(head, before, group->directory);
		before = group->directory;
		put_integer(head, group->n);
		buf_append_slice(head, buf_slice(&group->hashes));
		buf_append_slice(names, buf_slice(&group->names));
		buf_deinit(&group->hashes);
		buf_deinit(&group->names);
	}
	map_deinit(&groups->map);
	arena_deinit(&groups->arena);
}

int manifest_encode(struct slice result, const struct lookups *lookups, struct buf *head, struct buf *names, struct error *err)
{
	for (size_t i = 0; i < lookups->n; i++) {
		const struct lookup *l = &lookups->v[i];
		if (l->kind == LOOKUP_SPECIAL)
			return error_set(err, 0, "a job that looked up %s can't be cached", l->path);
		if (l->path[0] != '/' || strlen(l->path) > PATH_LIMIT)
			return error_set(err, 0, "not an absolute path, or too long a path: %s", l->path);
	}
	struct groups groups = { 0 };
	groups.end = &groups.first;
	_cleanup_buf_ struct buf found = { 0 };
	struct slice before = { NULL, 0 }, directory;
	size_t n = 0;
	for (size_t i = 0; i < lookups->n; i++) {
		struct slice path = slice_str(lookups->v[i].path), name = name_in(path, &directory);
		if (lookups->v[i].kind == LOOKUP_ABSENT && is_listed_name(name)) {
			add_absence(&groups, directory, name);
			continue;
		}
		put_found(&found, before, &lookups->v[i]);
		before = path;
		n++;
	}
	buf_append_char(head, FORMAT);
	put_integer(head, result.len);
	buf_append_slice(head, result);
	put_integer(head, n);
	buf_append_slice(head, buf_slice(&found));
	put_groups(&groups, head, names);
	return 0;
}

/* --- Decoding -------------------------------------------------------------------------------------------------- */

/* What is left to decode. Once something was malformed, everything is. */
struct reader {
	struct slice left;
	size_t paths; /* bytes of all paths so far */
	bool malformed;
};

static struct slice take_bytes(struct reader *r, uint64_t n)
{
	if (r->malformed || n > r->left.len) {
		r->malformed = true;
		return slice_of(NULL, 0);
	}
	struct slice bytes = slice_of(r->left.ptr, n);
	r->left.ptr += n;
	r->left.len -= n;
	return bytes;
}

static uint64_t take_integer(struct reader *r)
{
	uint64_t n = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		struct slice byte = take_bytes(r, 1);
		if (r->malformed)
			return 0;
		uint64_t bits = (uint8_t)*byte.ptr & 0x7f;
		if (shift == 63 && bits > 1)
			break;
		n |= bits << shift;
		if (!(*byte.ptr & 0x80))
			return n;
	}
	r->malformed = true;
	return 0;
}

/* How many of something that takes at least `bytes` each. */
static size_t take_count(struct reader *r, size_t bytes)
{
	uint64_t n = take_integer(r);
	if (n > r->left.len / bytes)
		r->malformed = true;
	return r->malformed ? 0 : n;
}

/* The next path, with a NUL behind it, after the path `before`. */
static struct slice take_path(struct reader *r, struct slice before, struct arena *arena)
{
	uint64_t shared = take_integer(r), other = take_integer(r);
	struct slice rest = take_bytes(r, other);
	size_t length = shared + other;
	if (r->malformed || shared > before.len || length > PATH_LIMIT || length == 0 ||
		(rest.len && memchr(rest.ptr, '\0', rest.len)) || (r->paths += length) > PATHS_LIMIT) {
		r->malformed = true;
		return slice_of(NULL, 0);
	}
	char *path = arena_alloc(arena, length + 1);
	if (shared)
		memcpy(path, before.ptr, shared);
	if (other)
		memcpy(path + shared, rest.ptr, other);
	path[length] = '\0';
	if (path[0] != '/')
		r->malformed = true;
	return slice_of(path, length);
}

static struct lookups take_found(struct reader *r, struct arena *arena)
{
	size_t n = take_count(r, 3);
	struct lookup *v = arena_array(arena, struct lookup, n);
	struct slice path = { NULL, 0 };
	for (size_t i = 0; i < n && !r->malformed; i++) {
		struct lookup *l = &v[i];
		struct slice kind = take_bytes(r, 1), before = path;
		path = take_path(r, before, arena);
		if (r->malformed)
			break;
		if (i > 0 && strcmp(before.ptr, path.ptr) > 0)
			r->malformed = true;
		l->path = path.ptr;
		l->kind = (enum lookup_kind)(*kind.ptr & ~HAS_DIGEST);
		if (*kind.ptr & HAS_DIGEST) {
			l->digest.size_bytes = (int64_t)take_integer(r);
			struct slice hash = take_bytes(r, DIGEST_HASH_BYTES);
			if (!r->malformed)
				memcpy(l->digest.hash, hash.ptr, DIGEST_HASH_BYTES);
		}
		struct slice directory;
		if (l->kind < LOOKUP_ABSENT || l->kind >= LOOKUP_SPECIAL || l->digest.size_bytes < 0 ||
			(l->kind == LOOKUP_ABSENT && (*kind.ptr & HAS_DIGEST || is_listed_name(name_in(path, &directory)))))
			r->malformed = true;
	}
	return (struct lookups){ v, n };
}

static void take_absences(struct reader *r, struct arena *arena, struct manifest *ret)
{
	size_t n = take_count(r, 3);
	ret->absences = arena_array(arena, struct manifest_absences, n);
	ret->n_absences = n;
	struct slice directory = { NULL, 0 };
	for (size_t i = 0; i < n && !r->malformed; i++) {
		directory = take_path(r, directory, arena);
		size_t names = take_count(r, VIEW_NAME_HASH_BYTES);
		struct slice hashes = take_bytes(r, names * VIEW_NAME_HASH_BYTES);
		ret->absences[i] = (struct manifest_absences){ directory.ptr, (const unsigned char *)hashes.ptr, names, NULL };
	}
}

struct slice manifest_questions(struct slice head)
{
	struct reader r = { head, 0, false };
	take_bytes(&r, 1);
	take_bytes(&r, take_integer(&r));
	assert(!r.malformed);
	return r.left;
}

void manifest_replace_result(struct slice head, struct slice result, struct buf *ret)
{
	buf_append_char(ret, FORMAT);
	put_integer(ret, result.len);
	buf_append_slice(ret, result);
	buf_append_slice(ret, manifest_questions(head));
}

int manifest_decode(struct slice head, struct arena *arena, struct manifest *ret, struct error *err)
{
	struct reader r = { head, 0, false };
	struct slice format = take_bytes(&r, 1);
	if (!r.malformed && *format.ptr != FORMAT)
		return error_set(err, 0, "manifest of unknown format %d", (uint8_t)*format.ptr);
	struct manifest manifest = { .result = take_bytes(&r, take_integer(&r)) };
	manifest.found = take_found(&r, arena);
	take_absences(&r, arena, &manifest);
	if (r.malformed || r.left.len > 0)
		return error_set(err, 0, "malformed manifest");
	*ret = manifest;
	return 0;
}

int manifest_decode_names(struct slice names, struct manifest *manifest, struct error *err)
{
	for (size_t i = 0; i < manifest->n_absences; i++) {
		struct manifest_absences *absences = &manifest->absences[i];
		absences->names = names.ptr;
		for (size_t k = 0; k < absences->n; k++) {
			const char *end = names.len ? memchr(names.ptr, '\0', names.len) : NULL;
			if (!end)
				return error_set(err, 0, "malformed names of a manifest");
			struct slice name = slice_of(names.ptr, (size_t)(end - names.ptr));
			unsigned char hash[VIEW_NAME_HASH_BYTES];
			view_name_hash(name, hash);
			if (!is_listed_name(name) || memchr(name.ptr, '/', name.len) ||
				memcmp(hash, absences->hashes + k * VIEW_NAME_HASH_BYTES, sizeof(hash)) != 0)
				return error_set(err, 0, "other names than the manifest's");
			names = slice_of(end + 1, names.len - name.len - 1);
		}
	}
	return names.len ? error_set(err, 0, "more names than the manifest's") : 0;
}

struct lookups manifest_absent_lookups(const struct manifest_absences *absences, struct arena *arena)
{
	assert(absences->names || absences->n == 0);
	const char *directory = strcmp(absences->directory, "/") == 0 ? "" : absences->directory;
	struct lookup *v = arena_array(arena, struct lookup, absences->n);
	const char *name = absences->names;
	for (size_t i = 0; i < absences->n; i++, name += strlen(name) + 1)
		v[i] = (struct lookup){ .path = arena_printf(arena, "%s/%s", directory, name), .kind = LOOKUP_ABSENT };
	return (struct lookups){ v, absences->n };
}
