#include "tests/cloud/server_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct server {
	struct cloud *cloud;
	struct server_options options;
	int fd;   /* listening */
	int stop; /* eventfd */
	pthread_t thread;

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t ended;
	struct list connections;
	unsigned n_threads; /* of connections */
};

const char *cloud_header(const struct cloud_request *request, const char *name)
{
	for (size_t i = 0; i < request->n_headers; i++)
		if (strcmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

const char *cloud_query(const struct cloud_request *request, const char *name)
{
	for (size_t i = 0; i < request->n_query; i++)
		if (strcmp(request->query[i].name, name) == 0)
			return request->query[i].value;
	return NULL;
}

void cloud_add_header(struct cloud_response *response, const char *name, const char *value)
{
	assert(response->n_headers < sizeof response->headers / sizeof response->headers[0]);
	response->headers[response->n_headers++] = (struct cloud_pair){ name, value };
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: a malformed escape, or an escaped NUL. */
static const char *decode(struct arena *arena, const char *from, size_t n, bool plus_is_space)
{
	char *text = arena_alloc(arena, n + 1), *to = text;
	for (size_t i = 0; i < n; i++) {
		char c = from[i];
		if (c == '%') {
			int high = i + 2 < n ? hex_value(from[i + 1]) : -1;
			int low = i + 2 < n ? hex_value(from[i + 2]) : -1;
			if (high < 0 || low < 0 || high + low == 0)
				return NULL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		*to++ = c;
	}
	*to = '\0';
	return text;
}

int server_parse_target(struct cloud_request *request, struct error *err)
{
	const char *target = request->target;
	if (!request->method || !target || target[0] != '/')
		return error_set(err, 0, "a request without an absolute path");
	size_t path_length = strcspn(target, "?");
	request->path = decode(request->arena, target, path_length, false);
	if (!request->path)
		return error_set(err, 0, "a malformed escape in the path");
	request->n_query = 0;
	const char *at = target + path_length;
	if (!*at)
		return 0;
	size_t n = 1;
	for (const char *p = ++at; *p; p++)
		n += *p == '&';
	struct cloud_pair *query = arena_array(request->arena, struct cloud_pair, n);
	while (*at) {
		size_t length = strcspn(at, "&"), name_length = strcspn(at, "=&");
		if (length > 0) {
			const char *value = name_length < length ? at + name_length + 1 : at + length;
			query[request->n_query].name = decode(request->arena, at, name_length, true);
			query[request->n_query].value = decode(
				request->arena, value, (size_t)(at + length - value), true);
			if (!query[request->n_query].name || !query[request->n_query].value)
				return error_set(err, 0, "a malformed escape in the query");
			request->n_query++;
		}
		at += length + (at[length] == '&');
	}
	request->query = query;
	return 0;
}

const char *server_date(struct server *server, struct arena *arena)
{
	time_t now = server->options.now_s ? (time_t)server->options.now_s(server->cloud) : time(NULL);
	struct tm tm;
	char *text = arena_alloc(arena, 40);
	strftime(text, 40, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	return text;
}

int64_t server_goaway_requests(struct server *server)
{
	return server->options.goaway_requests ? server->options.goaway_requests(server->cloud) : 0;
}

const char *server_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Payload Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

const struct server_options *server_options(const struct server *server)
{
	return &server->options;
}

void server_handle(struct server *server, struct cloud_request *request, struct cloud_response *response)
{
	server->options.handler(server->cloud, request, response);
}

/* Blocks all signals for the threads made meanwhile; they belong to main's thread. */
static int make_thread(pthread_t *thread, bool detached, void *(*fn)(void *), void *ctx, struct error *err)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 512 << 10);
	pthread_attr_setdetachstate(&attributes, detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(thread, &attributes, fn, ctx);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r ? error_set(err, r, "cannot start a thread") : 0;
}

int server_thread(void *(*fn)(void *), void *ctx, struct error *err)
{
	pthread_t thread;
	return make_thread(&thread, true, fn, ctx, err);
}

static bool handshake(struct connection *c)
{
	c->ssl = SSL_new(c->server->options.tls);
	return c->ssl && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_accept(c->ssl) == 1;
}

static void *serve(void *ctx)
{
	struct connection *c = ctx;
	struct server *server = c->server;
	int64_t delay_ms = server->options.connect_delay_ms ? server->options.connect_delay_ms(server->cloud) : 0;
	if (delay_ms > 0)
		poll(NULL, 0, (int)delay_ms);
	if (!server->options.tls || handshake(c)) {
		const unsigned char *protocol = NULL;
		unsigned n = 0;
		if (c->ssl)
			SSL_get0_alpn_selected(c->ssl, &protocol, &n);
		if (n == 2 && memcmp(protocol, "h2", 2) == 0)
			http2_serve(c);
		else
			http1_serve(c);
	}
	pthread_mutex_lock(&server->lock);
	list_remove(&c->link);
	pthread_mutex_unlock(&server->lock);
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	OPENSSL_thread_stop(); /* what it keeps for each thread would be a leak of a process that ends first */
	/* Last: server_close waits for it, and frees the server. */
	pthread_mutex_lock(&server->lock);
	server->n_threads--;
	pthread_cond_signal(&server->ended);
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void take_connection(struct server *server, int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return;
	}
	int yes = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (server->options.idle_ms) {
		struct timeval limit = { server->options.idle_ms / 1000, server->options.idle_ms % 1000 * 1000 };
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	}
	*c = (struct connection){ .server = server, .fd = fd };
	struct error err;
	pthread_mutex_lock(&server->lock);
	list_append(&server->connections, &c->link);
	server->n_threads++;
	if (server_thread(serve, c, &err) < 0) {
		fprintf(stderr, "llama-cloud: a connection is refused: %s\n", err.text);
		list_remove(&c->link);
		server->n_threads--;
		close(fd);
		free(c);
	}
	pthread_mutex_unlock(&server->lock);
}

static void *accept_all(void *ctx)
{
	struct server *server = ctx;
	for (;;) {
		struct pollfd fds[] = { { server->fd, POLLIN, 0 }, { server->stop, POLLIN, 0 } };
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[1].revents)
			return NULL;
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			take_connection(server, fd);
		else if (errno == EMFILE || errno == ENFILE)
			poll(NULL, 0, 10); /* until some connection ends */
	}
}

struct server *server_listen_fd(struct cloud *cloud, int fd, const struct server_options *options, struct error *err)
{
	struct server *server = calloc(1, sizeof *server);
	if (!server) {
		close(fd);
		error_set(err, ENOMEM, "cannot start a server");
		return NULL;
	}
	*server = (struct server){ .cloud = cloud,
		.options = *options,
		.fd = fd,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER };
	list_init(&server->connections);
	server->stop = eventfd(0, EFD_CLOEXEC);
	/* The thread shall never block in accept4 on a connection that has gone meanwhile. */
	int flags = fcntl(fd, F_GETFL);
	if (server->stop < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		error_set(err, errno, "cannot start a server");
	else if (make_thread(&server->thread, false, accept_all, server, err) == 0)
		return server;
	if (server->stop >= 0)
		close(server->stop);
	close(fd);
	free(server);
	return NULL;
}

struct server *server_listen(
	struct cloud *cloud, uint16_t *port, const struct server_options *options, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t length = sizeof address;
	int yes = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
		bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1024) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
		error_set(err, errno, "cannot listen on port %u of 127.0.0.1", *port);
		return NULL;
	}
	*port = ntohs(address.sin_port);
	return server_listen_fd(cloud, take_fd(fd), options, err);
}

struct server *server_listen_plain(
	struct cloud *cloud, uint16_t *port, cloud_handler *handler, void *ctx, struct error *err)
{
	return server_listen(cloud, port, &(struct server_options){ .handler = handler, .ctx = ctx }, err);
}

void server_close(struct server *server)
{
	if (!server)
		return;
	eventfd_write(server->stop, 1);
	pthread_join(server->thread, NULL);
	close(server->fd);
	pthread_mutex_lock(&server->lock);
	struct connection *c;
	list_for_each (c, &server->connections, struct connection, link)
		shutdown(c->fd, SHUT_RDWR);
	while (server->n_threads > 0)
		pthread_cond_wait(&server->ended, &server->lock);
	pthread_mutex_unlock(&server->lock);
	close(server->stop);
	free(server);
}
