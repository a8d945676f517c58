/* The socket: accepting clients, cutting their bytes into frames, sending answers. One request per connection. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "wire/frame.h"

struct daemon;
struct server;
struct connection;

/* Who waits on a connection: embedded by a request or an explanation, which may outlive it. Both callbacks come from the loop and are the last: the
 * connection forgets its user first. */
struct connection_user {
	void (*hung_up)(struct connection_user *user);
	void (*committed)(struct connection_user *user); /* NULL: COMMITTED is not expected */
};

/* Listen on the endpoint's socket; an old one in its place is replaced (the caller holds the lock). */
struct server *server_new(struct daemon *daemon, struct error *err);
/* Stop accepting and remove the socket; what is connected stays. */
void server_close(struct server *server);
/* No connection may be left. */
void server_free(struct server *server);

/* Send these bytes (taken; emptied) and, with `last`, close once they are gone. */
void connection_send(struct connection *connection, struct buf *bytes, bool last);
/* NULL: nobody waits any more. */
void connection_set_user(struct connection *connection, struct connection_user *user);
/* Process id of the peer, as it was when it connected, or 0. */
pid_t connection_peer(const struct connection *connection);
void connection_close(struct connection *connection);
