#include "store/pack.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "base/map.h"
#include "wire/compress.h"

enum { PACK_VERSION = 1 };
static const char magic[] = "LLPK";

struct pack_writer {
	struct pack_entry *entries; /* offsets count from the beginning of `bodies` */
	size_t n, capacity;
	struct map known; /* what is in, by hash; keys in the arena */
	struct arena arena;
	struct buf bodies;
};

/* --- Writing --------------------------------------------------------------------------------------------------- */

struct pack_writer *pack_writer_new(void)
{
	struct pack_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		abort();
	return writer;
}

static void empty(struct pack_writer *writer)
{
	free(writer->entries);
	map_deinit(&writer->known);
	arena_deinit(&writer->arena);
	buf_deinit(&writer->bodies);
	*writer = (struct pack_writer){ 0 };
}

void pack_writer_free(struct pack_writer *writer)
{
	if (!writer)
		return;
	empty(writer);
	free(writer);
}

/* The new entry of a blob whose stored form will be appended to the bodies; NULL: it is in already. */
static struct pack_entry *new_entry(struct pack_writer *writer, const struct digest *digest)
{
	if (map_get(&writer->known, digest_slice(digest)))
		return NULL;
	if (writer->n == writer->capacity) {
		writer->capacity = writer->capacity ? writer->capacity * 2 : 64;
		writer->entries = realloc(writer->entries, writer->capacity * sizeof(*writer->entries));
		if (!writer->entries)
			abort();
	}
	assert(writer->n < PACK_ENTRIES_LIMIT);
	char *key = arena_strndup(&writer->arena, (const char *)digest->hash, DIGEST_HASH_BYTES);
	map_put(&writer->known, slice_of(key, DIGEST_HASH_BYTES), key);
	struct pack_entry *entry = &writer->entries[writer->n++];
	*entry = (struct pack_entry){ .digest = *digest, .offset = writer->bodies.len };
	return entry;
}

/* Append the smaller form of `bytes`; returns how long it is. The length tells which it is. */
static size_t append_stored(struct slice bytes, struct buf *ret)
{
	size_t before = ret->len;
	compress_append(bytes, ret);
	if (ret->len - before >= bytes.len) {
		ret->len = before;
		buf_append_slice(ret, bytes);
	}
	return ret->len - before;
}

void pack_writer_add(struct pack_writer *writer, const struct digest *digest, struct slice bytes)
{
	assert((uint64_t)digest->size_bytes == bytes.len);
	struct pack_entry *entry = new_entry(writer, digest);
	if (entry)
		entry->stored = append_stored(bytes, &writer->bodies);
}

void pack_writer_add_stored(struct pack_writer *writer, const struct pack_entry *from, struct slice stored)
{
	assert(from->stored == stored.len);
	struct pack_entry *entry = new_entry(writer, &from->digest);
	if (!entry)
		return;
	entry->stored = stored.len;
	buf_append_slice(&writer->bodies, stored);
}

size_t pack_writer_count(const struct pack_writer *writer)
{
	return writer->n;
}

size_t pack_writer_bytes(const struct pack_writer *writer)
{
	return PACK_HEADER_BYTES + writer->n * PACK_ENTRY_BYTES + writer->bodies.len;
}

static int compare_entries(const void *a, const void *b)
{
	return memcmp(((const struct pack_entry *)a)->digest.hash, ((const struct pack_entry *)b)->digest.hash, DIGEST_HASH_BYTES);
}

void pack_writer_end(struct pack_writer *writer, struct buf *ret)
{
	size_t begin = PACK_HEADER_BYTES + writer->n * PACK_ENTRY_BYTES;
	if (writer->n)
		qsort(writer->entries, writer->n, sizeof(*writer->entries), compare_entries);
	buf_reserve(ret, pack_writer_bytes(writer));
	buf_append(ret, magic, sizeof(magic) - 1);
	le_put_u32(ret, PACK_VERSION);
	le_put_u32(ret, (uint32_t)writer->n);
	le_put_u32(ret, 0);
	for (size_t i = 0; i < writer->n; i++) {
		const struct pack_entry *entry = &writer->entries[i];
		buf_append(ret, entry->digest.hash, DIGEST_HASH_BYTES);
		le_put_u64(ret, (uint64_t)entry->digest.size_bytes);
		le_put_u64(ret, begin + entry->offset);
		le_put_u64(ret, entry->stored);
	}
	buf_append_slice(ret, buf_slice(&writer->bodies));
	empty(writer);
}

/* --- Reading --------------------------------------------------------------------------------------------------- */

int64_t pack_index_bytes(struct slice header, struct error *err)
{
	if (header.len < PACK_HEADER_BYTES || !slice_has_prefix(header, magic))
		return error_set(err, EBADMSG, "no pack");
	if (le_get_u32(header.ptr + 4) != PACK_VERSION)
		return error_set(err, EPROTO, "a pack of version %u", le_get_u32(header.ptr + 4));
	uint32_t n = le_get_u32(header.ptr + 8);
	if (n > PACK_ENTRIES_LIMIT)
		return error_set(err, EBADMSG, "a pack of %u blobs", n);
	return PACK_HEADER_BYTES + (int64_t)n * PACK_ENTRY_BYTES;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct pack_entry *const *x = a, *const *y = b;
	if ((*x)->offset != (*y)->offset)
		return (*x)->offset > (*y)->offset ? 1 : -1;
	return ((*x)->stored > (*y)->stored) - ((*x)->stored < (*y)->stored); /* an empty one goes before its neighbour */
}

/* Stored bytes belong to one blob each: else a small pack could claim to hold any amount. */
static int check_overlap(struct pack_entry *entries, size_t n, struct error *err)
{
	_cleanup_free_ struct pack_entry **order = calloc(n + 1, sizeof(struct pack_entry *));
	if (!order)
		abort();
	for (size_t i = 0; i < n; i++)
		order[i] = &entries[i];
	qsort(order, n, sizeof(*order), compare_offsets);
	for (size_t i = 1; i < n; i++)
		if (order[i]->offset < order[i - 1]->offset + order[i - 1]->stored)
			return error_set(err, EBADMSG, "a pack whose blobs overlap");
	return 0;
}

int pack_index_parse(struct slice index, uint64_t pack_bytes, struct pack_entry **ret, size_t *n_ret, struct error *err)
{
	int64_t expected = pack_index_bytes(index, err);
	if (expected < 0)
		return -1;
	if ((uint64_t)expected > index.len || (uint64_t)expected > pack_bytes)
		return error_set(err, EBADMSG, "a pack that ends within its index");
	size_t n = ((size_t)expected - PACK_HEADER_BYTES) / PACK_ENTRY_BYTES;
	_cleanup_free_ struct pack_entry *entries = calloc(n + 1, sizeof(*entries));
	if (!entries)
		abort();
	for (size_t i = 0; i < n; i++) {
		const char *at = index.ptr + PACK_HEADER_BYTES + i * PACK_ENTRY_BYTES;
		struct pack_entry *entry = &entries[i];
		memcpy(entry->digest.hash, at, DIGEST_HASH_BYTES);
		uint64_t size = le_get_u64(at + DIGEST_HASH_BYTES);
		entry->offset = le_get_u64(at + DIGEST_HASH_BYTES + 8);
		entry->stored = le_get_u64(at + DIGEST_HASH_BYTES + 16);
		entry->digest.size_bytes = (int64_t)size;
		if (size > INT64_MAX || entry->stored > size || entry->offset < (uint64_t)expected || entry->offset > pack_bytes ||
			entry->stored > pack_bytes - entry->offset)
			return error_set(err, EBADMSG, "a pack with an entry out of bounds");
		if (i > 0 && compare_entries(&entries[i - 1], entry) >= 0)
			return error_set(err, EBADMSG, "a pack whose entries are not in order");
	}
	if (check_overlap(entries, n, err) < 0)
		return -1;
	*ret = entries;
	entries = NULL;
	*n_ret = n;
	return 0;
}

static int read_stored(const struct digest *digest, struct slice stored, struct buf *ret, struct error *err)
{
	size_t before = ret->len;
	if (stored.len == (uint64_t)digest->size_bytes)
		buf_append_slice(ret, stored);
	else if (decompress_append(stored, (uint64_t)digest->size_bytes, ret, err) < 0)
		return -1;
	struct digest is = digest_of(slice_of(buf_str(ret) + before, ret->len - before));
	if (digest_equal(&is, digest))
		return 0;
	ret->len = before;
	return error_set(err, EBADMSG, "a blob whose content is not what its digest says");
}

int pack_blob(const struct pack_entry *entry, struct slice stored, struct buf *ret, struct error *err)
{
	if (stored.len != entry->stored)
		return error_set(err, EBADMSG, "%zu bytes of a blob stored in %llu", stored.len, (unsigned long long)entry->stored);
	return read_stored(&entry->digest, stored, ret, err);
}

void pack_alone_write(struct slice bytes, struct buf *ret)
{
	append_stored(bytes, ret);
}

int pack_alone_read(const struct digest *digest, struct slice stored, struct buf *ret, struct error *err)
{
	return read_stored(digest, stored, ret, err);
}

/* --- Keys ------------------------------------------------------------------------------------------------------ */

void pack_key(const uint8_t hash[static DIGEST_HASH_BYTES], char ret[static 128])
{
	struct digest digest = { .size_bytes = 0 };
	char hex[DIGEST_HEX_CHARS + 1];
	memcpy(digest.hash, hash, DIGEST_HASH_BYTES);
	digest_hex(&digest, hex);
	snprintf(ret, 128, "pack/%.2s/%s", hex, hex);
}

void pack_key_alone(const struct digest *digest, char ret[static 128])
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	snprintf(ret, 128, "blob/%.2s/%s-%lld", hex, hex, (long long)digest->size_bytes);
}
