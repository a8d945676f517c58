/* What the two protocols share. A connection has a thread; of HTTP/1.1 it calls the handlers itself, of HTTP/2 it
 * serves the session and every stream's handler has a thread of its own. */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "tests/cloud/server.h"

struct connection {
	struct list link; /* in server->connections, under its lock */
	struct server *server;
	int fd;
	SSL *ssl; /* NULL: plain */
};

const struct server_options *server_options(const struct server *server);

/* Call the handler; from any thread. */
void server_handle(struct server *server, struct cloud_request *request, struct cloud_response *response);
/* A detached thread with a small stack and all signals blocked. */
int server_thread(void *(*fn)(void *), void *ctx, struct error *err);

const char *server_date(struct server *server, struct arena *arena); /* the Date header's value */
int64_t server_goaway_requests(struct server *server);
const char *server_reason(int status);

/* Serve it until it ends. */
void http1_serve(struct connection *connection);
void http2_serve(struct connection *connection);
