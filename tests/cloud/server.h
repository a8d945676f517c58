/* The test cloud's front: TLS (HTTP/1.1, or HTTP/2 by ALPN) and plain HTTP/1.1, every request a blocking call of a
 * handler on a thread of its own. Handlers are thread-safe. Services don't see which protocol a request came by. */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct cloud; /* all state: options, buckets, functions, environments, faults (cloud.h) */

struct cloud_pair {
	const char *name, *value; /* headers: names in lower case; query: decoded, in the order they came */
};

struct cloud_request {
	struct arena *arena; /* freed after the response was sent */
	const char *method;
	const char *target; /* as it came: path and query, encoded */
	const char *path;   /* decoded once */
	const struct cloud_pair *query;
	size_t n_query;
	const struct cloud_pair *headers; /* with host (:authority) */
	size_t n_headers;
	struct slice body;
	bool http2, tls;
	size_t frames_bytes; /* of HTTP/2: its frames, as they came */
	void *listener_ctx; /* what the listener was given: of a Runtime API, its environment */
	/* Filled by the signature check (sigv4.h): */
	const char *service, *region, *access_key;
};

struct cloud_response {
	int status; /* 0: no answer at all, the connection (of HTTP/2 the stream) is cut */
	struct cloud_pair headers[32];
	size_t n_headers;
	struct buf body;
	int64_t content_length; /* of a HEAD answer; -1: the body's */
	/* What faults do to it: */
	int64_t cut_after;   /* bytes of the body after which the connection (of HTTP/2 the stream) is cut; -1: none */
	int64_t bytes_per_s; /* 0: unlimited */
};

const char *cloud_header(const struct cloud_request *request, const char *name);
const char *cloud_query(const struct cloud_request *request, const char *name); /* NULL: not there; "" without value */
/* Both must live as long as the request's arena. */
void cloud_add_header(struct cloud_response *response, const char *name, const char *value);

/* Split and decode `target` into path and query; the front has done it. -1: malformed. */
int server_parse_target(struct cloud_request *request, struct error *err);

/* Fills `response`, which comes as { .status = 200, .content_length = -1, .cut_after = -1 }. May block as long as it
 * likes. All signals are blocked in its thread, and SIGPIPE is ignored in the process: what starts a program sets both
 * right there. */
typedef void cloud_handler(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);

enum {
	SERVER_HEADERS_MAX = 64 << 10, /* bytes */
	SERVER_BODY_MAX = 1 << 30,
	SERVER_STREAMS = 128,
};

/* A listening socket, its thread and its connections. */
struct server;

struct server_options {
	cloud_handler *handler;
	void *ctx;       /* request->listener_ctx */
	SSL_CTX *tls;    /* borrowed; NULL: plain HTTP/1.1 */
	int64_t idle_ms; /* a connection without a request is closed after this; 0: never */
	/* May be NULL: never, none, the machine's own. */
	int64_t (*goaway_requests)(struct cloud *cloud);  /* of an HTTP/2 connection, then GOAWAY; 0: never */
	int64_t (*connect_delay_ms)(struct cloud *cloud); /* before a connection is served */
	int64_t (*now_s)(struct cloud *cloud);            /* of the Date header */
};

/* On 127.0.0.1; *port 0 becomes the one it got. */
struct server *server_listen(
	struct cloud *cloud, uint16_t *port, const struct server_options *options, struct error *err);
/* The same on a bound and listening socket of any kind or network namespace; takes `fd`, even on failure. */
struct server *server_listen_fd(struct cloud *cloud, int fd, const struct server_options *options, struct error *err);
/* The common case: plain HTTP/1.1 on a port of its own, never idle. */
struct server *server_listen_plain(
	struct cloud *cloud, uint16_t *port, cloud_handler *handler, void *ctx, struct error *err);

/* Accept no more, cut all connections, wait until their handlers have returned (a blocked one must be woken by whoever
 * made it block), free. NULL is allowed. Not from a handler of the same server. */
void server_close(struct server *server);
