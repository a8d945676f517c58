/* HTTP/1.1's syntax (RFC 9112), bytes in and steps out. Strict where leniency has been a hole: no folded lines, no
 * space before a colon, one Content-Length, none beside Transfer-Encoding. */
#pragma once

#include "tests/cloud/server.h"

enum http1_outcome { HTTP1_MORE = 1 }; /* there must be more bytes */

struct http1_head {
	size_t length; /* bytes of the head, with its empty line */
	bool chunked;
	bool keep_alive;
	bool expects_continue;
	uint64_t content_length; /* unless chunked */
};

/* Parse the head of a request at the begin of `bytes`; method, target and headers go into `request`, in its arena. 0,
 * HTTP1_MORE, or -1. */
int http1_parse_head(struct slice bytes, struct cloud_request *request, struct http1_head *ret, struct error *err);

/* Decode the chunks at the begin of `bytes` into `body`: *used is how many bytes of it can be dropped. 0: that was the
 * last. HTTP1_MORE: as far as they went. -1: malformed, or more than `limit` bytes. */
int http1_parse_chunks(struct slice bytes, size_t limit, struct buf *body, size_t *used, struct error *err);
