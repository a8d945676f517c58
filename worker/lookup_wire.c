#include "worker/lookup_wire.h"

#include <string.h>

/* A list is
 *
 *	n:varint, then n times kind:varint shared:varint rest:varint bytes[rest]
 *
 * with varints as in protobuf: seven bits a byte, the lowest first. A path is the first `shared` bytes of the one before it, and its rest. */

/* Of all paths of a list together: what shares much could otherwise grow without end. */
enum { PATHS_LIMIT_BYTES = 256 << 20 };

static void put_number(struct buf *to, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_append_char(to, (char)(n | 0x80));
	buf_append_char(to, (char)n);
}

void lookup_wire_encode(const struct lookups *lookups, struct buf *ret)
{
	const char *before = "";
	put_number(ret, lookups->n);
	for (size_t i = 0; i < lookups->n; i++) {
		const char *path = lookups->v[i].path;
		size_t shared = 0;
		while (path[shared] && path[shared] == before[shared])
			shared++;
		size_t rest = strlen(path + shared);
		put_number(ret, lookups->v[i].kind);
		put_number(ret, shared);
		put_number(ret, rest);
		buf_append(ret, path + shared, rest);
		before = path;
	}
}

static bool take_number(struct slice *from, uint32_t limit, uint32_t *ret)
{
	uint64_t n = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		if (from->len == 0)
			return false;
		uint8_t byte = (uint8_t)*from->ptr++;
		from->len--;
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = (uint32_t)n;
			return n <= limit;
		}
	}
	return false;
}

/* As path_squeeze() leaves it. */
static bool is_squeezed(const char *path, size_t len)
{
	if (len == 0 || path[0] != '/' || memchr(path, '\0', len))
		return false;
	for (const char *at = path, *end = path + len; at < end;) {
		const char *slash = memchr(at + 1, '/', (size_t)(end - at - 1));
		size_t n = (size_t)((slash ? slash : end) - at) - 1; /* at: a slash */
		if ((n == 0 && len > 1) || (n == 1 && at[1] == '.'))
			return false;
		at += n + 1;
	}
	return true;
}

static bool take_lookup(struct slice *from, const struct lookup *before, struct arena *arena, struct lookup *ret)
{
	uint32_t kind, shared, rest;
	size_t had = before ? strlen(before->path) : 0;
	if (!take_number(from, LOOKUP_SPECIAL, &kind) || kind < LOOKUP_ABSENT ||
		!take_number(from, (uint32_t)had, &shared) || !take_number(from, UINT16_MAX, &rest) ||
		rest > from->len || shared + rest > UINT16_MAX)
		return false;
	char *path = arena_alloc(arena, (size_t)shared + rest + 1);
	if (shared > 0)
		memcpy(path, before->path, shared);
	if (rest > 0)
		memcpy(path + shared, from->ptr, rest);
	path[shared + rest] = '\0';
	from->ptr += rest;
	from->len -= rest;
	*ret = (struct lookup){ .path = path, .kind = (enum lookup_kind)kind };
	return is_squeezed(path, shared + rest) && (!before || lookup_compare(before, ret) < 0);
}

int lookup_wire_decode(struct slice bytes, struct arena *arena, struct lookups *ret, struct error *err)
{
	uint32_t n;
	/* A look-up has three bytes at least. */
	if (!take_number(&bytes, LOOKUP_WIRE_LIMIT, &n) || n > bytes.len / 3)
		return error_set(err, 0, "look-ups are malformed");
	struct lookup *v = arena_array(arena, struct lookup, (size_t)n + 1);
	size_t total = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!take_lookup(&bytes, i > 0 ? &v[i - 1] : NULL, arena, &v[i]))
			return error_set(err, 0, "look-up %u is malformed", i);
		total += strlen(v[i].path);
		if (total > PATHS_LIMIT_BYTES)
			return error_set(err, EFBIG, "look-ups are too many");
	}
	if (bytes.len > 0)
		return error_set(err, 0, "look-ups are malformed at their end");
	*ret = (struct lookups){ v, n };
	return 0;
}
