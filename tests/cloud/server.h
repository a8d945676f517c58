/* The test cloud's front: TLS and plain HTTP/1.1 by libmicrohttpd, HTTP/2 by nghttp2, every request a blocking call of a handler on a thread of its
 * own. Handlers are thread-safe. Services don't see which protocol a request came by. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct cloud; /* all state: options, buckets, functions, environments, faults (cloud.h) */

struct cloud_pair {
	const char *name, *value; /* headers: names in lower case; query: decoded, in the order they came */
};

struct cloud_request {
	struct arena *arena;        /* freed after the response was sent */
	const char *method;
	const char *target;         /* as it came: path and query, encoded */
	const char *path;           /* decoded once */
	const struct cloud_pair *query;
	size_t n_query;
	const struct cloud_pair *headers; /* with host (:authority) */
	size_t n_headers;
	struct slice body;
	bool http2, tls;
	/* Filled by the signature check (sigv4.h): */
	const char *service, *region, *access_key;
};

struct cloud_response {
	int status;
	struct cloud_pair headers[32];
	size_t n_headers;
	struct buf body;
	int64_t content_length;     /* of a HEAD answer; -1: the body's */
	/* What faults do to it: */
	int64_t cut_after;          /* bytes of the body after which the connection is cut; -1: none */
	int64_t bytes_per_s;        /* 0: unlimited */
};

const char *cloud_header(const struct cloud_request *request, const char *name);
const char *cloud_query(const struct cloud_request *request, const char *name); /* NULL: not there; "" without value */
void cloud_add_header(struct cloud_response *response, const char *name, const char *value); /* both must live as long as the request's arena */

typedef void cloud_handler(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);
