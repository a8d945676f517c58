#include "cache/segment.h"

#include <assert.h>
#include <stdlib.h>

#include "base/le.h"
#include "wire/compress.h"

enum { VERSION = 1, HEADER_BYTES = 16, ENTRY_BYTES = 88 };
static const char magic[] = "LLSG";

struct kept_entry {
	struct segment_entry entry; /* slices empty */
	uint64_t offset;
	uint32_t head, names;
};

struct segment_writer {
	struct kept_entry *entries;
	size_t n, capacity;
	struct buf bodies;
};

struct segment_writer *segment_writer_new(void)
{
	struct segment_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		abort();
	return writer;
}

static void empty(struct segment_writer *writer)
{
	free(writer->entries);
	buf_deinit(&writer->bodies);
	*writer = (struct segment_writer){ 0 };
}

void segment_writer_free(struct segment_writer *writer)
{
	if (!writer)
		return;
	empty(writer);
	free(writer);
}

void segment_writer_add(struct segment_writer *writer, const struct segment_entry *entry)
{
	assert(entry->head.len <= UINT32_MAX && entry->names.len <= UINT32_MAX);
	if (writer->n == writer->capacity) {
		writer->capacity = writer->capacity ? writer->capacity * 2 : 64;
		writer->entries = realloc(writer->entries, writer->capacity * sizeof(*writer->entries));
		if (!writer->entries)
			abort();
	}
	writer->entries[writer->n++] =
		(struct kept_entry){ *entry, writer->bodies.len, (uint32_t)entry->head.len, (uint32_t)entry->names.len };
	buf_append_slice(&writer->bodies, entry->head);
	buf_append_slice(&writer->bodies, entry->names);
}

size_t segment_writer_count(const struct segment_writer *writer)
{
	return writer->n;
}

static int compare_kept(const void *a, const void *b)
{
	const struct kept_entry *x = a, *y = b;
	int order = memcmp(x->entry.key, y->entry.key, DIGEST_HASH_BYTES);
	return order ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

void segment_writer_end(struct segment_writer *writer, struct buf *ret)
{
	_cleanup_buf_ struct buf plain = { 0 };
	uint64_t begin = HEADER_BYTES + writer->n * ENTRY_BYTES;
	if (writer->n)
		qsort(writer->entries, writer->n, sizeof(*writer->entries), compare_kept);
	buf_append(&plain, magic, sizeof(magic) - 1);
	le_put_u32(&plain, VERSION);
	le_put_u32(&plain, (uint32_t)writer->n);
	le_put_u32(&plain, 0);
	for (size_t i = 0; i < writer->n; i++) {
		const struct kept_entry *kept = &writer->entries[i];
		buf_append(&plain, kept->entry.key, DIGEST_HASH_BYTES);
		buf_append(&plain, kept->entry.pack, DIGEST_HASH_BYTES);
		le_put_u64(&plain, kept->entry.pack_bytes);
		le_put_u64(&plain, begin + kept->offset);
		le_put_u32(&plain, kept->head);
		le_put_u32(&plain, kept->names);
	}
	buf_append_slice(&plain, buf_slice(&writer->bodies));
	compress_append(buf_slice(&plain), ret);
	empty(writer);
}

size_t segment_count(struct slice segment)
{
	return le_get_u32(segment.ptr + 8);
}

struct segment_entry segment_at(struct slice segment, size_t i)
{
	const char *at = segment.ptr + HEADER_BYTES + i * ENTRY_BYTES;
	struct segment_entry entry;
	memcpy(entry.key, at, DIGEST_HASH_BYTES);
	memcpy(entry.pack, at + 32, DIGEST_HASH_BYTES);
	entry.pack_bytes = le_get_u64(at + 64);
	uint64_t offset = le_get_u64(at + 72);
	uint32_t head = le_get_u32(at + 80), names = le_get_u32(at + 84);
	entry.head = slice_of(segment.ptr + offset, head);
	entry.names = slice_of(segment.ptr + offset + head, names);
	return entry;
}

int segment_check(struct slice segment, struct error *err)
{
	if (segment.len < HEADER_BYTES || !slice_has_prefix(segment, magic))
		return error_set(err, EBADMSG, "no segment");
	if (le_get_u32(segment.ptr + 4) != VERSION)
		return error_set(err, EPROTO, "a segment of version %u", le_get_u32(segment.ptr + 4));
	uint64_t n = segment_count(segment), begin = HEADER_BYTES + n * ENTRY_BYTES;
	if (begin > segment.len)
		return error_set(err, EBADMSG, "a segment that ends within its entries");
	for (uint64_t i = 0; i < n; i++) {
		const char *at = segment.ptr + HEADER_BYTES + i * ENTRY_BYTES;
		uint64_t offset = le_get_u64(at + 72), length = (uint64_t)le_get_u32(at + 80) + le_get_u32(at + 84);
		if (offset < begin || offset > segment.len || length > segment.len - offset)
			return error_set(err, EBADMSG, "a segment with an entry out of bounds");
		if (i > 0 && memcmp(at - ENTRY_BYTES, at, DIGEST_HASH_BYTES) > 0)
			return error_set(err, EBADMSG, "a segment whose entries are not in order");
	}
	return 0;
}

int segment_unpack(struct slice object, struct buf *ret, struct error *err)
{
	size_t before = ret->len;
	if (decompress_append(object, SEGMENT_BYTES_LIMIT, ret, err) < 0)
		return -1;
	if (segment_check(slice_of(ret->ptr + before, ret->len - before), err) == 0)
		return 0;
	ret->len = before;
	return -1;
}

size_t segment_find(struct slice segment, const struct digest *key)
{
	size_t from = 0, to = segment_count(segment);
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (memcmp(segment.ptr + HEADER_BYTES + middle * ENTRY_BYTES, key->hash, DIGEST_HASH_BYTES) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	size_t n = segment_count(segment);
	return from < n && memcmp(segment.ptr + HEADER_BYTES + from * ENTRY_BYTES, key->hash, DIGEST_HASH_BYTES) == 0 ? from : n;
}
