/* HTTP over libcurl's multi interface on the loop: HTTP/2 where asked for and offered by ALPN (Lambda), a pool of HTTP/1.1 connections else
 * (S3). Knows nothing of AWS. One struct http per loop; the Lambda runtime has a loop of its own.
 *
 * No call blocks: names are resolved by libcurl's threads. Bounded: responses have a limit, connections too. Proxies as the environment says
 * (https_proxy, no_proxy). No redirect is followed. SIGPIPE, where it would end the process, is given a handler that does nothing. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "aws/sign.h"
#include "base/buf.h"
#include "base/error.h"

struct http;

struct http_options {
	const char *ca_bundle;     /* NULL: the system's */
	unsigned connections;      /* per host; 0 = 64. Of HTTP/2, which carries a hundred requests each, a few */
};

struct http *http_new(uv_loop_t *loop, const struct http_options *options, struct error *err);
void http_free(struct http *http); /* requests under way are cancelled, also from a callback; NULL is allowed. Its handles close with the loop's next turns */

enum { HTTP_SLOWEST_BYTES_PER_MS = 16 }; /* what the time for a large body is reckoned by */

/* A body that is read while it is sent. `sent` (NULL: none) is told how much of it is on its way, from inside libcurl: it must not call http_*. */
typedef void http_sent_fn(void *ctx, int64_t bytes);
struct http_file {
	int fd;                 /* from its first byte, whatever its offset */
	int64_t size_bytes;
	http_sent_fn *sent;
	void *ctx;
};

struct http_request {
	const char *method;
	const char *url;               /* whole, encoded */
	const struct aws_pair *headers; /* sent as they are; libcurl adds nothing but Host, Content-Length and :authority */
	size_t n_headers;
	struct slice body;             /* borrowed until the callback */
	const struct http_file *file;  /* or this instead of `body`, borrowed until the callback; or NULL */
	bool http2;                    /* by ALPN; over plain http, and where the environment names a proxy, it is 1.1 */
	int64_t connect_ms;            /* limit for connecting; 0 = 10 s */
	int64_t timeout_ms;            /* for all of it, waiting for a connection included; 0 = none. An answer that says how long it is gets more for that */
	int64_t stalled_ms;            /* without a byte either way while a body is on its way; 0 = 30 s */
	size_t response_limit;         /* bytes of body; 0 = 64 MiB */
	bool no_proxy;                 /* link-local endpoints */
};

struct http_response {
	int status;
	const struct aws_pair *headers; /* names in lower case */
	size_t n_headers;
	struct buf body;                /* the callee may take it */
	int64_t bytes_sent, bytes_received;
};

const char *http_header(const struct http_response *response, const char *name); /* NULL: none. Name in lower case */

/* Exactly once, from the loop, never from inside http_start. `response` NULL: no answer came; `err->code` is ETIMEDOUT, ECONNREFUSED or another of connect(2),
 * ECONNRESET, EMSGSIZE (over the limit), ESTALE (a file that is shorter now), EHOSTUNREACH (no such name, or no connection within `connect_ms`), EPROTO (TLS), EINVAL (a header that can't be sent), EIO; its text names the server,
 * but neither path nor query. `sent` tells whether any of the request may have reached the server. */
typedef void http_done_fn(void *ctx, struct http_response *response, bool sent, const struct error *err);

struct http_op;
struct http_op *http_start(struct http *http, const struct http_request *request, http_done_fn *fn, void *ctx);
void http_cancel(struct http_op *op); /* the callback will not run; NULL is allowed */
