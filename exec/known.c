#include "exec/known.h"

#include "base/le.h"
#include "base/map.h"

/* A record: length:u32 sum:u64, then `length` bytes: kind:u8 stored_s:u64 size:u64 hash[32] and the blobs' hashes; little-endian. */
static const char magic[] = "llama uplink 1\n";
enum { MAGIC_BYTES = sizeof(magic) - 1, HEAD_BYTES = 4 + 8, FIXED_BYTES = 1 + 8 + 8 + DIGEST_HASH_BYTES };

void known_begin(const struct digest *identity, struct buf *file)
{
	buf_append(file, magic, MAGIC_BYTES);
	buf_append(file, identity->hash, DIGEST_HASH_BYTES);
}

void known_add(const struct known_record *record, struct buf *file)
{
	_cleanup_buf_ struct buf body = { 0 };
	buf_append_char(&body, (char)record->kind);
	le_put_u64(&body, (uint64_t)record->stored_s);
	le_put_u64(&body, (uint64_t)record->size_bytes);
	buf_append(&body, record->hash, DIGEST_HASH_BYTES);
	buf_append(&body, record->blobs, record->n_blobs * DIGEST_HASH_BYTES);
	le_put_u32(file, (uint32_t)body.len);
	le_put_u64(file, map_hash(buf_slice(&body)));
	buf_append_slice(file, buf_slice(&body));
}

/* How long the record at the beginning of `rest` is with its head; 0: torn, damaged, or of an unknown kind. */
static size_t read_record(struct slice rest, struct known_record *ret)
{
	if (rest.len < HEAD_BYTES)
		return 0;
	uint32_t length = le_get_u32(rest.ptr);
	if (length < FIXED_BYTES || length > rest.len - HEAD_BYTES || (length - FIXED_BYTES) % DIGEST_HASH_BYTES != 0)
		return 0;
	const char *body = rest.ptr + HEAD_BYTES;
	if (le_get_u64(rest.ptr + sizeof(length)) != map_hash(slice_of(body, length)))
		return 0;
	*ret = (struct known_record){
		.kind = (enum known_kind)body[0],
		.stored_s = (int64_t)le_get_u64(body + 1),
		.size_bytes = (int64_t)le_get_u64(body + 9),
		.blobs = body + FIXED_BYTES,
		.n_blobs = (length - FIXED_BYTES) / DIGEST_HASH_BYTES,
	};
	memcpy(ret->hash, body + 17, DIGEST_HASH_BYTES);
	if (ret->kind < KNOWN_PACK || ret->kind > KNOWN_GONE || ret->size_bytes < 0 || ret->stored_s < 0)
		return 0;
	return HEAD_BYTES + length;
}

size_t known_parse(struct slice file, const struct digest *identity, known_fn *fn, void *ctx)
{
	size_t at = MAGIC_BYTES + DIGEST_HASH_BYTES;
	if (file.len < at || !slice_has_prefix(file, magic) || memcmp(file.ptr + MAGIC_BYTES, identity->hash, DIGEST_HASH_BYTES) != 0)
		return 0;
	struct known_record record;
	for (size_t n; (n = read_record(slice_of(file.ptr + at, file.len - at), &record)) > 0; at += n)
		fn(ctx, &record);
	return at;
}
