#include "cache/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/map.h"
#include "cache/index.h"
#include "cache/manifest.h"
#include "cache/result.h"

enum {
	COMPRESSION = -1,	   /* paths shrink to a third; level 1 takes half as long again for the last twentieth, and no level gains on digests */
	MANIFEST_LIMIT = 16 << 20, /* bytes, decompressed: some 200,000 look-ups */
};

/* Some 150,000 results; sparse, so it costs address space only. */
static const uint64_t index_limit_bytes = (uint64_t)4 << 30;

struct cache {
	struct index *index; /* NULL: everything misses */
	enum cache_mode mode;
	ZSTD_CCtx *compressor;
	ZSTD_DCtx *decompressor;
};

struct cache *cache_open(const char *dir, enum cache_mode mode, struct error *err)
{
	struct error reason = { 0 };
	struct index *index = NULL;
	if (mode != CACHE_OFF) {
		if (cache_check_directory(dir, err) < 0)
			return NULL;
		index = index_open(dir, mode == CACHE_READONLY, index_limit_bytes, &reason);
		if (!index && (mode == CACHE_READWRITE || reason.code != 0)) {
			if (err)
				*err = reason;
			return NULL;
		}
	}
	struct cache *cache = calloc(1, sizeof(*cache));
	if (!cache)
		abort();
	cache->index = index;
	cache->mode = mode;
	cache->compressor = ZSTD_createCCtx();
	cache->decompressor = ZSTD_createDCtx();
	if (!cache->compressor || !cache->decompressor)
		abort();
	ZSTD_CCtx_setParameter(cache->compressor, ZSTD_c_compressionLevel, COMPRESSION);
	return cache;
}

void cache_close(struct cache *cache)
{
	if (!cache)
		return;
	index_close(cache->index);
	ZSTD_freeCCtx(cache->compressor);
	ZSTD_freeDCtx(cache->decompressor);
	free(cache);
}

static bool is_writable(const struct cache *cache)
{
	return cache->mode == CACHE_READWRITE;
}

int cache_clear(struct cache *cache, struct error *err)
{
	return is_writable(cache) ? index_clear(cache->index, err) : 0;
}

void cache_arm_sigbus(struct cache *cache)
{
	if (is_writable(cache))
		index_arm_sigbus(cache->index);
}

/* The next part of an alternative's body, in `arena`. */
static int unpack_part(struct cache *cache, struct slice *body, struct arena *arena, struct slice *ret)
{
	size_t packed = ZSTD_findFrameCompressedSize(body->ptr, body->len);
	unsigned long long size = ZSTD_getFrameContentSize(body->ptr, body->len);
	if (ZSTD_isError(packed) || size > MANIFEST_LIMIT) /* or one of the two errors, which are huge */
		return -1;
	char *bytes = arena_alloc(arena, size + 1);
	if (ZSTD_decompressDCtx(cache->decompressor, bytes, size, body->ptr, packed) != size)
		return -1;
	*ret = slice_of(bytes, size);
	*body = slice_of(body->ptr + packed, body->len - packed);
	return 0;
}

static int pack_part(struct cache *cache, struct slice bytes, struct buf *body, struct error *err)
{
	size_t room = ZSTD_compressBound(bytes.len);
	size_t n = ZSTD_compress2(cache->compressor, buf_reserve(body, room), room, bytes.ptr, bytes.len);
	if (ZSTD_isError(n))
		return error_set(err, 0, "cannot compress a manifest: %s", ZSTD_getErrorName(n));
	body->len += n;
	return 0;
}

/* An alternative being looked at. */
struct alternative {
	struct manifest manifest;
	struct slice names;
	struct cache *packed; /* by which the names are packed; NULL: they are not */
	struct cache_result result;
};

static int open_alternative(struct cache *cache, const struct index_record *record, struct arena *arena, struct alternative *ret)
{
	struct slice head;
	ret->packed = cache;
	ret->names = record->body;
	return index_record_is_whole(record) && unpack_part(cache, &ret->names, arena, &head) == 0 &&
		manifest_decode(head, arena, &ret->manifest, NULL) == 0 && result_decode(ret->manifest.result, arena, &ret->result, NULL) == 0 ?
		0 : -1;
}

static int decode_names(struct alternative *alternative, struct arena *arena)
{
	struct slice names = alternative->names, packed = names;
	if (alternative->packed && unpack_part(alternative->packed, &packed, arena, &names) < 0)
		return -1;
	return manifest_decode_names(names, &alternative->manifest, NULL);
}

/* Whether every look-up is answered now as it was then; else the first that isn't, in `path`. */
static bool inputs_hold(struct view *view, uint64_t since, struct alternative *alternative, struct arena *arena,
	const char **path)
{
	struct manifest *manifest = &alternative->manifest;
	size_t at;
	if (view_check(view, since, &manifest->found, &at) != 0) {
		*path = manifest->found.v[at].path;
		return false;
	}
	bool named = false;
	for (size_t i = 0; i < manifest->n_absences; i++) {
		const struct manifest_absences *absences = &manifest->absences[i];
		*path = absences->directory;
		if (view_lacks(view, since, absences->directory, absences->hashes, absences->n))
			continue;
		if (!named && decode_names(alternative, arena) < 0)
			return false;
		named = true;
		struct lookups absent = manifest_absent_lookups(absences, arena);
		if (view_check(view, since, &absent, &at) != 0) {
			*path = absent.v[at].path;
			return false;
		}
	}
	return true;
}

/* Whether the alternative holds now; else `why` not. */
static bool holds(struct view *view, uint64_t since, struct alternative *alternative, const struct digest *messages_kind,
	struct arena *arena, struct cache_why *why)
{
	const struct cache_result *result = &alternative->result;
	if (result->err.size_bytes > 0 && !digest_equal(&result->messages_kind, messages_kind)) {
		*why = (struct cache_why){ .what = CACHE_WHY_MESSAGES };
		return false;
	}
	const char *path;
	if (!inputs_hold(view, since, alternative, arena, &path)) {
		*why = (struct cache_why){ .what = CACHE_WHY_INPUT };
		snprintf(why->path, sizeof(why->path), "%s", path);
		return false;
	}
	/* Without equal contents among the inputs there can be no twins, then as now. */
	static const struct digest no_twins = { 0 };
	if (digest_equal(&result->alias_signature, &no_twins))
		return true;
	struct digest aliases;
	view_alias_signature(view, since, &alternative->manifest.found, &aliases);
	*why = (struct cache_why){ .what = CACHE_WHY_ALIAS };
	return digest_equal(&aliases, &result->alias_signature);
}

int cache_get(struct cache *cache, struct view *view, uint64_t since, const struct digest *key,
	const struct digest *messages_kind, struct arena *arena, struct cache_result *ret, struct cache_why *why,
	struct error *err)
{
	struct index_record records[INDEX_ALTERNATIVES];
	size_t n = 0;
	struct cache_why ignored, youngest = { .what = CACHE_WHY_NO_KEY };
	if (!why)
		why = &ignored;
	if (cache->index && index_alternatives(cache->index, key, records, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct alternative alternative;
		struct cache_why reason;
		/* A damaged record is as good as none; the next result under its key will push it out. */
		if (open_alternative(cache, &records[i], arena, &alternative) < 0)
			continue;
		if (holds(view, since, &alternative, messages_kind, arena, &reason)) {
			*ret = alternative.result;
			index_release(cache->index);
			return 0;
		}
		if (youngest.what == CACHE_WHY_NO_KEY)
			youngest = reason;
	}
	if (cache->index)
		index_release(cache->index);
	*why = youngest;
	return CACHE_MISS;
}

/* What makes two alternatives the same: everything but the result itself. Should two have it by chance, the later pushes out the earlier. */
static uint64_t identity_of(struct slice questions, struct slice names, const struct cache_result *result)
{
	uint64_t parts[] = { map_hash(digest_slice(&result->messages_kind)), map_hash(digest_slice(&result->alias_signature)),
		map_hash(questions), map_hash(names) };
	return map_hash(slice_of(parts, sizeof(parts)));
}

int cache_encode(const struct lookups *lookups, const struct cache_result *result, struct buf *head, struct buf *names, struct error *err)
{
	_cleanup_buf_ struct buf encoded = { 0 };
	result_encode(result, &encoded);
	if (manifest_encode(buf_slice(&encoded), lookups, head, names, err) < 0)
		return -1;
	if (head->len > MANIFEST_LIMIT || names->len > MANIFEST_LIMIT)
		return error_set(err, EFBIG, "a job with %zu look-ups can't be cached", lookups->n);
	return 0;
}

int cache_judge(struct slice head, struct slice names, struct view *view, uint64_t since, const struct digest *messages_kind,
	struct arena *arena, struct cache_result *ret, struct cache_why *why, struct error *err)
{
	struct alternative alternative = { .names = names };
	if (head.len > MANIFEST_LIMIT || names.len > MANIFEST_LIMIT)
		return error_set(err, EFBIG, "a manifest of %zu bytes", head.len + names.len);
	if (manifest_decode(head, arena, &alternative.manifest, err) < 0 ||
		result_decode(alternative.manifest.result, arena, &alternative.result, err) < 0)
		return -1;
	if (!holds(view, since, &alternative, messages_kind, arena, why))
		return CACHE_MISS;
	*ret = alternative.result;
	return 0;
}

int cache_put_encoded(struct cache *cache, const struct digest *key, struct slice head, struct slice names, const struct cache_result *result,
	struct error *err)
{
	_cleanup_buf_ struct buf body = { 0 };
	if (!is_writable(cache))
		return 0;
	uint64_t identity = identity_of(manifest_questions(head), names, result);
	if (pack_part(cache, head, &body, err) < 0 || pack_part(cache, names, &body, err) < 0)
		return -1;
	return index_add(cache->index, key, identity, buf_slice(&body), err);
}

int cache_put(struct cache *cache, const struct digest *key, const struct lookups *lookups,
	const struct cache_result *result, struct error *err)
{
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	if (!is_writable(cache))
		return 0;
	if (cache_encode(lookups, result, &head, &names, err) < 0)
		return -1;
	return cache_put_encoded(cache, key, buf_slice(&head), buf_slice(&names), result, err);
}

int cache_drop(struct cache *cache, const struct digest *key, struct error *err)
{
	return is_writable(cache) ? index_remove(cache->index, key, err) : 0;
}

int cache_note_get(
	struct cache *cache, const struct digest *key, struct arena *arena, struct slice *ret, struct error *err)
{
	if (!cache->index)
		return CACHE_MISS;
	int r = index_note_get(cache->index, key, arena, ret, err);
	return r == INDEX_NONE ? CACHE_MISS : r;
}

int cache_note_put(struct cache *cache, const struct digest *key, struct slice value, struct error *err)
{
	return is_writable(cache) ? index_note_put(cache->index, key, value, err) : 0;
}

int cache_note_drop(struct cache *cache, const struct digest *key, struct error *err)
{
	return is_writable(cache) ? index_note_remove(cache->index, key, err) : 0;
}

struct cache_counters cache_counters(struct cache *cache)
{
	if (!cache->index)
		return (struct cache_counters){ 0 };
	return (struct cache_counters){ index_entries(cache->index), index_bytes(cache->index) };
}
