/* The aws-chunked content encoding, as AWS's own clients send uploads:
 * "SIZE;chunk-signature=HEX\r\nBYTES\r\n…0\r\nTRAILER:VALUE\r\n\r\n". Syntax only. */
#pragma once

#include "tests/cloud/server.h"

struct chunked_chunk {
	struct slice bytes;    /* into the input */
	const char *signature; /* NULL: none */
};

struct chunked {
	struct chunked_chunk *chunks; /* the last one is empty; in the arena, as all strings */
	size_t n;
	size_t n_bytes;              /* of all chunks */
	struct cloud_pair *trailers; /* without x-amz-trailer-signature */
	size_t n_trailers;
	const char *trailer_signature;
};

/* 0, or -1: malformed, cut, or followed by something. */
int chunked_parse(struct slice bytes, struct arena *arena, struct chunked *ret, struct error *err);
