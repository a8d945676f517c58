/* For tests: an HTTP/1.1 server on loopback, a blocking thread per connection. It does to its clients whatever a test asks for: answers cut short,
 * answers held back until the test lets them go, head lines of any shape. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct server;

struct server_request {
	const char *method, *target; /* as they came */
	const char *head;            /* all header lines */
	struct slice body;
	unsigned serial;             /* of all requests: 0, 1, … */
	unsigned connection;         /* of all connections */
};

struct server_reply {
	int status;          /* 200 unless set; 0 = close without a word */
	struct buf head;     /* further header lines, each ending in \r\n */
	struct buf body;
	int64_t cut_after;   /* bytes of the body after which the connection is cut; -1: none */
	int64_t hold_after;  /* bytes of the body (0: before the first; the head is held too) after which it waits for server_release; -1: none */
	bool close;          /* after the reply, though it didn't say so */
};

/* On a thread of the server's; one at a time. */
typedef void server_fn(void *ctx, const struct server_request *request, struct server_reply *reply);

struct server *server_start(server_fn *fn, void *ctx);
void server_stop(struct server *server);
const char *server_url(const struct server *server); /* "http://127.0.0.1:PORT" */
unsigned server_requests(struct server *server);
unsigned server_connections(struct server *server); /* so far */
unsigned server_peak(struct server *server);        /* most that were open at a time */
void server_release(struct server *server);         /* all that is held, now and later */

/* The value of a header, in the caller's memory; "" if there is none. */
const char *server_header(const struct server_request *request, const char *name, char value[static 1024]);
