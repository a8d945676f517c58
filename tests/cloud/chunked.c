#include "tests/cloud/chunked.h"

#include <ctype.h>
#include <stdint.h>

/* The line at the front of `bytes`, taken off with its end; without "\r\n". False: there is none. */
static bool take_line(struct slice *bytes, struct slice *ret)
{
	const char *eol = bytes->len ? memmem(bytes->ptr, bytes->len, "\r\n", 2) : NULL;
	if (!eol)
		return false;
	*ret = slice_of(bytes->ptr, (size_t)(eol - bytes->ptr));
	bytes->len -= ret->len + 2;
	bytes->ptr = eol + 2;
	return true;
}

static bool parse_size(struct slice line, size_t *digits, uint64_t *ret)
{
	size_t i = 0;
	uint64_t size = 0;
	for (; i < line.len && i < 12 && isxdigit((unsigned char)line.ptr[i]); i++) {
		char c = line.ptr[i];
		size = size * 16 + (uint64_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	*digits = i;
	*ret = size;
	return i > 0 && (i == line.len || line.ptr[i] == ';');
}

static int parse_trailers(struct slice bytes, struct arena *arena, struct chunked *ret, struct error *err)
{
	struct slice line;
	ret->trailers = arena_array(arena, struct cloud_pair, 8);
	while (take_line(&bytes, &line)) {
		if (line.len == 0)
			return bytes.len ? error_set(err, 0, "bytes behind the last chunk") : 0;
		const char *colon = memchr(line.ptr, ':', line.len);
		if (!colon || ret->n_trailers == 8)
			return error_set(err, 0, "a malformed trailer");
		char *name = arena_strndup(arena, line.ptr, (size_t)(colon - line.ptr));
		const char *value = arena_strndup(arena, colon + 1, line.len - (size_t)(colon + 1 - line.ptr));
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (strcmp(name, "x-amz-trailer-signature") == 0)
			ret->trailer_signature = value;
		else
			ret->trailers[ret->n_trailers++] = (struct cloud_pair){ name, value };
	}
	return error_set(err, 0, "the last chunk has no end");
}

int chunked_parse(struct slice bytes, struct arena *arena, struct chunked *ret, struct error *err)
{
	/* A chunk is at least five bytes long. */
	*ret = (struct chunked){ .chunks = arena_array(arena, struct chunked_chunk, bytes.len / 5 + 1) };
	static const char extension[] = ";chunk-signature=";
	for (struct slice line; take_line(&bytes, &line);) {
		struct chunked_chunk *chunk = &ret->chunks[ret->n];
		size_t digits;
		uint64_t size;
		if (!parse_size(line, &digits, &size))
			return error_set(err, 0, "a malformed chunk size");
		line = slice_of(line.ptr + digits, line.len - digits);
		if (line.len > 0) {
			if (!slice_has_prefix(line, extension))
				return error_set(err, 0, "an unknown chunk extension");
			chunk->signature = arena_strndup(
				arena, line.ptr + sizeof extension - 1, line.len - (sizeof extension - 1));
		}
		ret->n++;
		if (size == 0)
			return parse_trailers(bytes, arena, ret, err);
		if (bytes.len < 2 || size > bytes.len - 2 || memcmp(bytes.ptr + size, "\r\n", 2) != 0)
			return error_set(err, 0, "a chunk without its end");
		chunk->bytes = slice_of(bytes.ptr, (size_t)size);
		ret->n_bytes += (size_t)size;
		bytes.ptr += size + 2;
		bytes.len -= (size_t)size + 2;
	}
	return error_set(err, 0, "a chunk is missing");
}
