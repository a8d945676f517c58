#include "cache/manifest.h"

#include <assert.h>
#include <limits.h>

enum {
	FORMAT = 1,
	HAS_DIGEST = 8,
	PATH_LIMIT = PATH_MAX - 1,
	PATHS_LIMIT = 64 << 20, /* bytes of all paths: what shares much expands much */
};

static void put_integer(struct buf *buf, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_append_char(buf, (char)(n | 0x80));
	buf_append_char(buf, (char)n);
}

int manifest_encode(const struct manifest *manifest, struct buf *ret, struct error *err)
{
	static const struct digest none = { 0 };
	buf_append_char(ret, FORMAT);
	put_integer(ret, manifest->result.len);
	buf_append_slice(ret, manifest->result);
	put_integer(ret, manifest->lookups.n);
	const char *before = "";
	for (size_t i = 0; i < manifest->lookups.n; i++) {
		const struct lookup *l = &manifest->lookups.v[i];
		size_t length = strlen(l->path), shared = 0;
		if (l->kind == LOOKUP_SPECIAL)
			return error_set(err, 0, "a job that looked up %s can't be cached", l->path);
		if (l->path[0] != '/' || length > PATH_LIMIT)
			return error_set(err, 0, "not an absolute path, or too long a path: %s", l->path);
		while (before[shared] && before[shared] == l->path[shared])
			shared++;
		assert((unsigned char)before[shared] <= (unsigned char)l->path[shared]); /* sorted */
		bool has_digest = !digest_equal(&l->digest, &none);
		buf_append_char(ret, (char)(l->kind | (has_digest ? HAS_DIGEST : 0)));
		put_integer(ret, shared);
		put_integer(ret, length - shared);
		buf_append(ret, l->path + shared, length - shared);
		if (has_digest) {
			put_integer(ret, (uint64_t)l->digest.size_bytes);
			buf_append(ret, l->digest.hash, DIGEST_HASH_BYTES);
		}
		before = l->path;
	}
	return 0;
}

/* What is left to decode. Once something was malformed, everything is. */
struct reader {
	struct slice left;
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

/* The next look-up's path, after `before`; NULL when malformed. */
static const char *take_path(struct reader *r, struct slice before, struct arena *arena)
{
	uint64_t shared = take_integer(r), other = take_integer(r);
	struct slice rest = take_bytes(r, other);
	if (r->malformed || shared > before.len || shared + other > PATH_LIMIT || shared + other == 0 ||
		(rest.len && memchr(rest.ptr, '\0', rest.len)))
		return NULL;
	char *path = arena_alloc(arena, shared + other + 1);
	if (shared)
		memcpy(path, before.ptr, shared);
	if (other)
		memcpy(path + shared, rest.ptr, other);
	path[shared + other] = '\0';
	return path[0] == '/' ? path : NULL;
}

int manifest_decode(struct slice bytes, struct arena *arena, struct manifest *ret, struct error *err)
{
	struct reader r = { bytes, false };
	struct slice format = take_bytes(&r, 1);
	if (!r.malformed && *format.ptr != FORMAT)
		return error_set(err, 0, "manifest of unknown format %d", (uint8_t)*format.ptr);
	struct slice result = take_bytes(&r, take_integer(&r));
	uint64_t n = take_integer(&r);
	if (r.malformed || n > r.left.len / 3) /* each takes three bytes at least */
		return error_set(err, 0, "malformed manifest");
	struct lookup *v = arena_alloc(arena, n * sizeof(*v));
	struct slice before = { NULL, 0 };
	size_t paths = 0;
	for (size_t i = 0; i < n; i++) {
		struct lookup *l = &v[i];
		struct slice kind = take_bytes(&r, 1);
		const char *path = r.malformed ? NULL : take_path(&r, before, arena);
		if (!path || (paths += strlen(path)) > PATHS_LIMIT)
			return error_set(err, 0, "malformed manifest");
		*l = (struct lookup){ .path = path, .kind = (enum lookup_kind)(*kind.ptr & ~HAS_DIGEST) };
		if (*kind.ptr & HAS_DIGEST) {
			l->digest.size_bytes = (int64_t)take_integer(&r);
			struct slice hash = take_bytes(&r, DIGEST_HASH_BYTES);
			if (!r.malformed)
				memcpy(l->digest.hash, hash.ptr, DIGEST_HASH_BYTES);
		}
		if (r.malformed || l->kind < LOOKUP_ABSENT || l->kind >= LOOKUP_SPECIAL || l->digest.size_bytes < 0 ||
			(i > 0 && strcmp(v[i - 1].path, path) > 0))
			return error_set(err, 0, "malformed manifest");
		before = slice_str(path);
	}
	if (r.left.len > 0)
		return error_set(err, 0, "malformed manifest");
	*ret = (struct manifest){ result, { v, n } };
	return 0;
}

void manifest_print(const struct manifest *manifest, struct buf *ret)
{
	for (size_t i = 0; i < manifest->lookups.n; i++) {
		const struct lookup *l = &manifest->lookups.v[i];
		char hex[DIGEST_HEX_CHARS + 1];
		digest_hex(&l->digest, hex);
		buf_printf(ret, "%-9s %.16s %s\n", lookup_kind_name(l->kind),
			l->digest.size_bytes || l->kind == LOOKUP_FILE ? hex : "-", l->path);
	}
}
