#include "daemon/server.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "daemon/control.h"
#include "daemon/daemon_internal.h"
#include "daemon/request.h"

enum { BACKLOG = 4096, READ_BYTES = 64 * 1024 };

struct server {
	struct daemon *daemon;
	uv_pipe_t pipe;
	char room[READ_BYTES]; /* what one read brings; connections keep only what is incomplete: there may be thousands, waiting */
	bool open;
	struct list connections;
};

struct connection {
	uv_pipe_t pipe;
	struct server *server;
	struct list link;
	pid_t peer;
	struct buf in;
	bool closing;
	struct connection_user *user; /* not owned: it lives as long as it needs to */
};

struct sending {
	uv_write_t write;
	struct connection *connection;
	struct buf bytes;
	bool last;
};

static void connection_freed(uv_handle_t *handle)
{
	struct connection *connection = container_of((uv_pipe_t *)handle, struct connection, pipe);
	list_remove(&connection->link);
	buf_deinit(&connection->in);
	free(connection);
}

void connection_close(struct connection *connection)
{
	if (connection->closing)
		return;
	connection->closing = true;
	uv_close((uv_handle_t *)&connection->pipe, connection_freed);
}

static void hang_up(struct connection *connection)
{
	struct connection_user *user = connection->user;
	connection->user = NULL;
	connection_close(connection);
	if (user)
		user->hung_up(user);
}

static void sent(uv_write_t *write, int status)
{
	struct sending *sending = container_of(write, struct sending, write);
	struct connection *connection = sending->connection;
	bool last = sending->last;
	buf_deinit(&sending->bytes);
	free(sending);
	if (status < 0 && status != UV_ECANCELED)
		hang_up(connection);
	else if (last)
		connection_close(connection);
}

void connection_send(struct connection *connection, struct buf *bytes, bool last)
{
	if (connection->closing) {
		buf_deinit(bytes);
		return;
	}
	/* Nearly every answer fits into the socket's buffer: try without a request first. */
	uv_buf_t b = uv_buf_init(bytes->ptr, (unsigned)bytes->len);
	int n = uv_try_write((uv_stream_t *)&connection->pipe, &b, 1);
	if (n == (int)bytes->len) {
		buf_deinit(bytes);
		if (last)
			connection_close(connection);
		return;
	}
	struct sending *sending = calloc(1, sizeof(*sending));
	if (!sending)
		abort();
	size_t already = n > 0 ? (size_t)n : 0;
	sending->connection = connection;
	sending->bytes = *bytes;
	sending->last = last;
	*bytes = (struct buf){ 0 };
	b = uv_buf_init(sending->bytes.ptr + already, (unsigned)(sending->bytes.len - already));
	int status = uv_write(&sending->write, (uv_stream_t *)&connection->pipe, &b, 1, sent);
	if (status < 0) {
		buf_deinit(&sending->bytes);
		free(sending);
		hang_up(connection);
	}
}

void connection_set_user(struct connection *connection, struct connection_user *user)
{
	connection->user = user;
}

pid_t connection_peer(const struct connection *connection)
{
	return connection->peer;
}

/* False: the peer doesn't speak our language. */
static bool take_frame(struct connection *connection, enum frame_type type, struct slice payload)
{
	struct daemon *daemon = connection->server->daemon;
	struct error err;
	switch (type) {
	case FRAME_REQUEST:
		return !connection->user && request_start(daemon, connection, payload, &err) == 0;
	case FRAME_COMMITTED:
		if (connection->user && connection->user->committed) {
			struct connection_user *user = connection->user;
			connection->user = NULL;
			user->committed(user);
		}
		return true;
	case FRAME_CONTROL:
		return !connection->user && control_answer(daemon, connection, payload, &err) == 0;
	case FRAME_DONE:
	case FRAME_LOCAL:
	case FRAME_CONTROL_REPLY:
		return false;
	}
	return false;
}

static void take_frames(struct connection *connection)
{
	size_t at = 0;
	while (!connection->closing) {
		enum frame_type type;
		struct slice payload;
		size_t used;
		struct error err;
		struct slice rest = slice_of(connection->in.ptr + at, connection->in.len - at);
		int outcome = frame_next(rest, &type, &payload, &used, &err);
		if (outcome == FRAME_INCOMPLETE)
			break;
		if (outcome < 0) {
			/* A client of another version, after an upgrade: it compiles locally; we make room for a new daemon. */
			if (err.code == EPROTONOSUPPORT)
				daemon_leave(connection->server->daemon);
			hang_up(connection);
			return;
		}
		at += used;
		if (!take_frame(connection, type, payload)) {
			hang_up(connection);
			return;
		}
	}
	if (connection->closing)
		return;
	connection->in.len -= at;
	if (connection->in.len > 0)
		memmove(connection->in.ptr, connection->in.ptr + at, connection->in.len);
	else
		buf_deinit(&connection->in);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *b)
{
	struct connection *connection = container_of((uv_pipe_t *)handle, struct connection, pipe);
	*b = uv_buf_init(connection->server->room, READ_BYTES);
}

static void arrived(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct connection *connection = container_of((uv_pipe_t *)stream, struct connection, pipe);
	if (n > 0) {
		buf_append(&connection->in, b->base, (size_t)n);
		take_frames(connection);
	} else if (n < 0) {
		hang_up(connection);
	}
}

static void connected(uv_stream_t *stream, int status)
{
	struct server *server = container_of((uv_pipe_t *)stream, struct server, pipe);
	if (status < 0)
		return;
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		abort();
	connection->server = server;
	list_append(&server->connections, &connection->link);
	uv_pipe_init(&server->daemon->loop, &connection->pipe, 0);
	int fd;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (uv_accept(stream, (uv_stream_t *)&connection->pipe) < 0 ||
		uv_fileno((uv_handle_t *)&connection->pipe, &fd) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != getuid() ||
		uv_read_start((uv_stream_t *)&connection->pipe, give_room, arrived) < 0) {
		connection_close(connection);
		return;
	}
	connection->peer = peer.pid;
}

struct server *server_new(struct daemon *daemon, struct error *err)
{
	const char *path = daemon->options->endpoint.socket;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path)) {
		error_set(err, ENAMETOOLONG, "cannot use socket %s; set LLAMA_RUNTIME_DIR to a shorter directory", path);
		return NULL;
	}
	strcpy(address.sun_path, path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		error_set(err, errno, "cannot make a socket");
		return NULL;
	}
	if (unlink(path) < 0 && errno != ENOENT) {
		error_set(err, errno, "cannot replace socket %s", path);
		return NULL;
	}
	/* The directory is 0700 already; the mode only says so again. */
	mode_t before = umask(0177);
	int bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (bound < 0) {
		error_set(err, errno, "cannot bind socket %s", path);
		return NULL;
	}
	struct server *server = calloc(1, sizeof(*server));
	if (!server)
		abort();
	server->daemon = daemon;
	list_init(&server->connections);
	uv_pipe_init(&daemon->loop, &server->pipe, 0);
	int status = uv_pipe_open(&server->pipe, fd);
	if (status == 0) {
		(void)take_fd(fd);
		status = uv_listen((uv_stream_t *)&server->pipe, BACKLOG, connected);
	}
	server->open = true;
	if (status < 0) {
		error_set(err, -status, "cannot listen on socket %s", path);
		server_close(server);
		return NULL; /* the caller leaves at once; the handle is freed with the process */
	}
	return server;
}

void server_close(struct server *server)
{
	if (!server->open)
		return;
	server->open = false;
	unlink(server->daemon->options->endpoint.socket);
	uv_close((uv_handle_t *)&server->pipe, NULL);
	/* Clients that sent nothing yet find another daemon, or compile locally. */
	struct connection *connection;
	list_for_each(connection, &server->connections, struct connection, link)
		if (!connection->user && connection->in.len == 0)
			connection_close(connection);
}

void server_free(struct server *server)
{
	if (!server)
		return;
	assert(!server->open && list_empty(&server->connections));
	free(server);
}
