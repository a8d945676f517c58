/* An HTTP/1.1 answer as bytes: head and body, by Content-Length, in chunks, or up to the connection's end. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

enum {
	HTTP_ANSWER_HEAD_LIMIT = 64 << 10,
	HTTP_ANSWER_BODY_LIMIT = 64 << 20,
};

struct http_answer {
	int status;
	struct slice head; /* in the bytes given: the lines of the header, each ending in a newline */
	struct slice body; /* in the bytes given, or in `chunks` */
	struct buf chunks; /* owned */
	size_t length;	   /* of the bytes given, how many are the answer */
	bool last;	   /* the connection ends with it */
};

/* Positive outcome. */
enum http_answer_outcome { HTTP_ANSWER_MORE = 1 };

/* Whether `bytes` begin with a whole answer; `ended`: the peer sends no more. Interim answers (1xx) are passed over. HTTP_ANSWER_MORE: they don't yet. -1: no
 * HTTP, over a limit, or cut off. `ret` is written on success only, and wants http_answer_deinit. */
int http_answer_parse(struct slice bytes, bool ended, struct http_answer *ret, struct error *err);
void http_answer_deinit(struct http_answer *answer); /* { 0 } is allowed */

/* The value of a header, without the space around it; false: there is none. The name's case doesn't matter. */
bool http_answer_header(const struct http_answer *answer, const char *name, struct slice *ret);
