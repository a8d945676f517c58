/* The socket: accepting clients, cutting their bytes into frames, sending answers. One request per connection. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "wire/frame.h"

struct daemon;
struct server;
struct connection;
struct request;

/* Listen on the endpoint's socket; an old one in its place is replaced (the caller holds the lock). */
struct server *server_new(struct daemon *daemon, struct error *err);
/* Stop accepting and remove the socket; what is connected stays. */
void server_close(struct server *server);
/* No connection may be left. */
void server_free(struct server *server);

/* Send these bytes (taken; emptied) and, with `last`, close once they are gone. */
void connection_send(struct connection *connection, struct buf *bytes, bool last);
/* The request that wants to hear of COMMITTED and of the hang-up; NULL: nobody any more. */
void connection_set_request(struct connection *connection, struct request *request);
/* Process id of the peer, as it was when it connected, or 0. */
pid_t connection_peer(const struct connection *connection);
void connection_close(struct connection *connection);
