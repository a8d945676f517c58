#include "cache/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "cache/index.h"
#include "cache/manifest.h"
#include "cache/result.h"

enum {
	COMPRESSION = 1,	   /* paths shrink to a third at 500 MB/s; higher levels gain little on digests */
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

/* The manifest in an alternative's body; it lives in `arena`. */
static int unpack(struct cache *cache, const struct index_record *record, struct arena *arena, struct manifest *ret)
{
	if (!index_record_is_whole(record))
		return -1;
	unsigned long long size = ZSTD_getFrameContentSize(record->body.ptr, record->body.len);
	if (size > MANIFEST_LIMIT) /* or one of the two errors, which are huge */
		return -1;
	char *bytes = arena_alloc(arena, size + 1);
	size_t n = ZSTD_decompressDCtx(cache->decompressor, bytes, size, record->body.ptr, record->body.len);
	if (n != size)
		return -1;
	return manifest_decode(slice_of(bytes, n), arena, ret, NULL);
}

/* Whether the alternative holds now; if so, its result goes to `ret`. */
static bool holds(struct view *view, uint64_t since, const struct manifest *manifest,
	const struct digest *messages_kind, struct arena *arena, struct cache_result *ret, struct cache_why *why)
{
	struct cache_result result;
	*why = (struct cache_why){ .what = CACHE_WHY_NO_KEY };
	if (result_decode(manifest->result, arena, &result, NULL) < 0)
		return false;
	if (result.err.size_bytes > 0 && !digest_equal(&result.messages_kind, messages_kind)) {
		why->what = CACHE_WHY_MESSAGES;
		return false;
	}
	size_t at;
	if (view_check(view, since, &manifest->lookups, &at) != 0) {
		why->what = CACHE_WHY_INPUT;
		snprintf(why->path, sizeof(why->path), "%s", manifest->lookups.v[at].path);
		return false;
	}
	struct digest aliases;
	view_alias_signature(view, since, &manifest->lookups, &aliases);
	if (!digest_equal(&aliases, &result.alias_signature)) {
		why->what = CACHE_WHY_ALIAS;
		return false;
	}
	*ret = result;
	return true;
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
		struct manifest manifest;
		struct cache_why reason;
		/* A damaged record is as good as none; the next result under its key will push it out. */
		if (unpack(cache, &records[i], arena, &manifest) < 0)
			continue;
		if (holds(view, since, &manifest, messages_kind, arena, ret, &reason)) {
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

int cache_put(struct cache *cache, const struct digest *key, const struct lookups *lookups,
	const struct cache_result *result, struct error *err)
{
	if (!is_writable(cache))
		return 0;
	_cleanup_buf_ struct buf encoded = { 0 }, bytes = { 0 }, packed = { 0 };
	result_encode(result, &encoded);
	struct manifest manifest = { buf_slice(&encoded), *lookups };
	if (manifest_encode(&manifest, &bytes, err) < 0)
		return -1;
	if (bytes.len > MANIFEST_LIMIT)
		return error_set(err, EFBIG, "a job with %zu look-ups can't be cached", lookups->n);

	/* What makes two alternatives the same: everything but the result itself. */
	struct manifest asked = { digest_slice(&result->messages_kind), *lookups };
	if (manifest_encode(&asked, &packed, err) < 0)
		return -1;
	buf_append_slice(&packed, digest_slice(&result->alias_signature));
	struct digest hash = digest_of(buf_slice(&packed));
	uint64_t identity;
	memcpy(&identity, hash.hash, sizeof(identity));

	buf_reset(&packed);
	size_t room = ZSTD_compressBound(bytes.len);
	size_t n = ZSTD_compress2(cache->compressor, buf_reserve(&packed, room), room, bytes.ptr, bytes.len);
	if (ZSTD_isError(n))
		return error_set(err, 0, "cannot compress a manifest: %s", ZSTD_getErrorName(n));
	packed.len = n;
	return index_add(cache->index, key, identity, buf_slice(&packed), err);
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
