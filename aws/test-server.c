#include "aws/test-server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { CONNECTIONS_MAX = 512 };

struct connection {
	struct server *server;
	pthread_t thread;
	int fd;
	unsigned serial;
	bool shut;
};

struct server {
	server_fn *fn;
	void *ctx;
	int fd;
	pthread_t thread;
	char url[64];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct connection connections[CONNECTIONS_MAX];
	unsigned n_connections, n_requests, n_open, peak;
	bool released, stopping;
};

static bool send_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		bytes += sent;
		n -= sent;
	}
	return true;
}

static void hold(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	while (!server->released && !server->stopping)
		pthread_cond_wait(&server->changed, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static bool answer(struct connection *connection, const struct server_request *request, struct server_reply *reply)
{
	bool no_body = strcmp(request->method, "HEAD") == 0 || reply->status == 204 || reply->status == 304;
	_cleanup_buf_ struct buf head = { 0 };
	if (!reply->status)
		return false;
	buf_printf(&head, "HTTP/1.1 %d Whatever\r\n", reply->status);
	if (!strcasestr(buf_str(&reply->head), "content-length:") &&
		!strcasestr(buf_str(&reply->head), "transfer-encoding:") && reply->status != 204)
		buf_printf(&head, "Content-Length: %zu\r\n", reply->body.len);
	buf_append_slice(&head, buf_slice(&reply->head));
	buf_append_str(&head, "\r\n");
	if (reply->hold_after == 0)
		hold(connection->server);
	if (!send_all(connection->fd, head.ptr, head.len))
		return false;
	size_t n = no_body ? 0 : reply->body.len, at = 0;
	if (reply->hold_after > 0 && (size_t)reply->hold_after < n) {
		if (!send_all(connection->fd, reply->body.ptr, at = reply->hold_after))
			return false;
		hold(connection->server);
	}
	bool cut = reply->cut_after >= 0 && (size_t)reply->cut_after < n;
	if (cut)
		n = reply->cut_after;
	return send_all(connection->fd, buf_str(&reply->body) + at, n - at) && !cut && !reply->close;
}

/* One request; false: the connection is at its end. */
static bool serve(struct connection *connection, struct buf *in)
{
	struct server *server = connection->server;
	char *end;
	while (!in->len || !(end = strstr(in->ptr, "\r\n\r\n"))) {
		ssize_t n = recv(connection->fd, buf_reserve(in, 65536), 65536, 0);
		if (n <= 0)
			return false;
		in->len += n;
		in->ptr[in->len] = '\0';
	}
	end += 2;
	*end = '\0';
	size_t head_len = end + 2 - in->ptr;
	struct server_request request = { .connection = connection->serial };
	char value[1024], method[16], target[8192];
	char *lines = strstr(in->ptr, "\r\n");
	if (sscanf(in->ptr, "%15s %8191s", method, target) != 2)
		return false;
	_cleanup_free_ char *head = strdup(lines + 2);
	request.method = method;
	request.target = target;
	request.head = head;
	size_t length = strtoul(server_header(&request, "content-length", value), NULL, 10);
	while (in->len < head_len + length) {
		ssize_t n = recv(connection->fd, buf_reserve(in, 65536), 65536, 0);
		if (n <= 0)
			return false;
		in->len += n;
	}
	request.body = slice_of(in->ptr + head_len, length);
	struct server_reply reply = { .status = 200, .cut_after = -1, .hold_after = -1 };
	pthread_mutex_lock(&server->lock);
	request.serial = server->n_requests++;
	server->fn(server->ctx, &request, &reply);
	pthread_mutex_unlock(&server->lock);
	bool more = answer(connection, &request, &reply);
	buf_deinit(&reply.head);
	buf_deinit(&reply.body);
	memmove(in->ptr, in->ptr + head_len + length, in->len - head_len - length);
	in->len -= head_len + length;
	in->ptr[in->len] = '\0';
	return more;
}

static void *run_connection(void *arg)
{
	struct connection *connection = arg;
	struct server *server = connection->server;
	_cleanup_buf_ struct buf in = { 0 };
	while (serve(connection, &in))
		;
	pthread_mutex_lock(&server->lock);
	connection->shut = true;
	server->n_open--;
	shutdown(connection->fd, SHUT_RDWR);
	close(connection->fd);
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void *run(void *arg)
{
	struct server *server = arg;
	for (;;) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&server->lock);
		assert(server->n_connections < CONNECTIONS_MAX);
		struct connection *connection = &server->connections[server->n_connections];
		*connection = (struct connection){ .server = server, .fd = fd, .serial = server->n_connections++ };
		if (++server->n_open > server->peak)
			server->peak = server->n_open;
		pthread_create(&connection->thread, NULL, run_connection, connection);
		pthread_mutex_unlock(&server->lock);
	}
}

struct server *server_start(server_fn *fn, void *ctx)
{
	struct server *server = calloc(1, sizeof *server);
	assert(server);
	server->fn = fn;
	server->ctx = ctx;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int rc = bind(server->fd, (struct sockaddr *)&address, len);
	assert(rc == 0);
	rc = listen(server->fd, 512);
	assert(rc == 0);
	getsockname(server->fd, (struct sockaddr *)&address, &len);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	pthread_create(&server->thread, NULL, run, server);
	return server;
}

void server_stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR); /* ends accept */
	pthread_join(server->thread, NULL);
	close(server->fd);
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_cond_broadcast(&server->changed);
	for (unsigned i = 0; i < server->n_connections; i++) {
		if (!server->connections[i].shut)
			shutdown(server->connections[i].fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < server->n_connections; i++)
		pthread_join(server->connections[i].thread, NULL);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->changed);
	free(server);
}

const char *server_url(const struct server *server)
{
	return server->url;
}

static unsigned locked(struct server *server, const unsigned *value)
{
	pthread_mutex_lock(&server->lock);
	unsigned copy = *value;
	pthread_mutex_unlock(&server->lock);
	return copy;
}

unsigned server_requests(struct server *server)
{
	return locked(server, &server->n_requests);
}

unsigned server_connections(struct server *server)
{
	return locked(server, &server->n_connections);
}

unsigned server_peak(struct server *server)
{
	return locked(server, &server->peak);
}

void server_release(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->released = true;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

const char *server_header(const struct server_request *request, const char *name, char value[static 1024])
{
	size_t n = strlen(name);
	value[0] = '\0';
	for (const char *line = request->head; line && *line;
		line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *from = line + n + 1 + strspn(line + n + 1, " ");
			snprintf(value, 1024, "%.*s", (int)strcspn(from, "\r"), from);
		}
	}
	return value;
}
