/* How it works: libcurl's multi interface says which sockets it wants watched and when it wants to be woken (the two callbacks below); the loop says what
 * happened (curl_multi_socket_action); transfers that ended are then found in a queue (drain). Our own `tick` does what libcurl can't: one limit for all
 * of a request, waiting for a connection included, and another for standing still while a body is on its way.
 *
 * A connection that died without a word is noticed by the kernel (keep-alive probes, and a limit for bytes that nobody acknowledged). libcurl's
 * curl_easy_upkeep, which sends HTTP/2 PINGs, doesn't see the connections of a multi handle in the versions we are made for; so one whose host lives while
 * the server behind it doesn't is noticed by a request that gets no answer in its time (struct pool). */
#include "aws/http.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/list.h"

enum {
	DEFAULT_CONNECTIONS = 64,
	CONNECTIONS_HTTP2 = 16, /* all that don't find a free stream open one each, up to here */
	DEFAULT_CONNECT_MS = 10000,
	DEFAULT_STALLED_MS = 30000,
	STREAMS_PER_CONNECTION = 100, /* Lambda allows 128 */
	SPARE_HANDLES = 32,
	HEADERS_LIMIT = 1024,
	TICK_MS = 1000,
};
#define DEFAULT_RESPONSE_LIMIT ((size_t)64 << 20)
#define HEADER_BYTES_LIMIT     ((size_t)256 << 10)

/* Connections of a kind. One is retired when a request that had reached the server got no answer in its time: its connections may be dead, and of HTTP/2
 * libcurl would go on using them as long as one request waits. What is new goes elsewhere then; what is under way may end. */
struct pool {
	struct list link; /* in retired; else by itself */
	struct http *http;
	CURLM *multi;
	uv_timer_t *timer; /* libcurl's; on the heap by itself: it outlives us by a turn of the loop */
	size_t n_ops;
};

struct http {
	uv_loop_t *loop;
	struct pool *pools[2]; /* [1]: what asks for HTTP/2 */
	struct list retired;
	uv_timer_t *tick; /* like the pools' timers */
	int64_t tick_ms;  /* how often `tick` has to look */
	char *ca_bundle;
	unsigned connections;
	bool proxied;	     /* maybe: the environment names one */
	struct list ops;     /* handed to libcurl */
	struct list failing; /* ended by us; told from `tick` */
	CURL *spare[SPARE_HANDLES];
	size_t n_spare;
	unsigned calling; /* depth of callbacks under way */
	bool freed;	  /* from inside one: the memory goes when it has returned */
};

struct http_op {
	struct list link; /* in ops or failing */
	struct http *http;
	struct pool *pool;
	http_done_fn *fn;
	void *ctx;
	CURL *easy;
	bool added; /* easy is in the multi handle */
	struct curl_slist *head;
	size_t head_bytes; /* of the request, about */
	size_t body_bytes; /* of the request */
	const struct http_file *file;
	int64_t file_at;
	char *origin;	   /* "https://host:port" for messages: paths and queries may hold secrets */
	int64_t started_ms, connect_ms;
	int64_t deadline_ms, stalled_ms;
	int64_t moved, moved_ms; /* bytes both ways when last looked at, and when they changed */
	size_t response_limit;
	/* the answer */
	struct arena arena;
	struct aws_pair *headers;
	size_t n_headers, header_bytes;
	int status;
	bool answering; /* its headers are complete */
	bool over;	/* over a limit of ours */
	struct buf body;
	struct error error;
	char text[CURL_ERROR_SIZE];
};

/* The loop's side of libcurl. */

struct http_socket {
	uv_poll_t poll;
	struct pool *pool;
	curl_socket_t fd;
	int events; /* watched for */
};

static void drain(struct pool *pool);

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct http_socket *sock = poll->data;
	struct pool *pool = sock->pool;
	int running, action = 0;
	if (status < 0)
		events = UV_READABLE |
			 UV_WRITABLE; /* by reading libcurl finds out what it was, and repeats what it may */
	if (events & UV_READABLE)
		action |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		action |= CURL_CSELECT_OUT;
	curl_multi_socket_action(pool->multi, sock->fd, action, &running);
	if (status < 0 && !uv_is_closing((uv_handle_t *)poll)) /* it lives until the loop's next turn */
		uv_poll_start(poll, sock->events, on_ready);   /* the error had stopped it */
	drain(pool);
}

static void free_socket(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_socket(struct http_socket *sock)
{
	uv_poll_stop(&sock->poll);
	uv_close((uv_handle_t *)&sock->poll, free_socket);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *given)
{
	struct pool *pool = ctx;
	struct http_socket *sock = given;
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(pool->multi, fd, NULL);
		if (sock)
			close_socket(sock);
		return 0;
	}
	if (!sock) {
		sock = calloc(1, sizeof *sock);
		if (!sock)
			abort();
		sock->pool = pool;
		sock->fd = fd;
		if (uv_poll_init(pool->http->loop, &sock->poll, fd) < 0) {
			free(sock);
			return -1; /* libcurl ends everything with an error */
		}
		sock->poll.data = sock;
		curl_multi_assign(pool->multi, fd, sock);
	}
	sock->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return uv_poll_start(&sock->poll, sock->events, on_ready) < 0 ? -1 : 0;
}

static void on_timer(uv_timer_t *timer);

static int set_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct pool *pool = ctx;
	if (timeout_ms < 0) {
		uv_timer_stop(pool->timer);
	} else {
		uv_update_time(pool->http->loop);
		uv_timer_start(pool->timer, on_timer, timeout_ms, 0);
	}
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct pool *pool = timer->data;
	int running;
	curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	/* The loop counts whole milliseconds, libcurl finer ones: woken a little early it finds nothing to do, and doesn't say again what it has said. */
	long left_ms;
	if (!uv_is_active((uv_handle_t *)timer) && curl_multi_timeout(pool->multi, &left_ms) == CURLM_OK &&
		left_ms >= 0)
		uv_timer_start(timer, on_timer, left_ms ? left_ms : 1, 0);
	drain(pool);
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	int on = 1, idle_s = 15, interval_s = 5, probes = 3;
	unsigned unacknowledged_ms = 30000;
	/* What a kernel refuses of this it does without. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
	return fd;
}

/* OpenSSL writes to sockets without MSG_NOSIGNAL, and libcurl guards against that only by changing the signal's disposition around every
 * call. A handler that does nothing is as good as ignoring it, and programs that we start don't inherit it. */
static void nothing(int signal)
{
}

static void survive_sigpipe(void)
{
	struct sigaction old;
	if (sigaction(SIGPIPE, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL) {
		struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
		sigaction(SIGPIPE, &action, NULL);
	}
}

static bool is_proxied(void)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };
	bool named = false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		named = named || (getenv(names[i]) && *getenv(names[i]));
	return named;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static uv_timer_t *new_timer(uv_loop_t *loop, void *data)
{
	uv_timer_t *timer = calloc(1, sizeof *timer);
	if (!timer)
		abort();
	uv_timer_init(loop, timer);
	timer->data = data;
	return timer;
}

static void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	list_remove(&pool->link);
	if (pool->multi)
		curl_multi_cleanup(pool->multi); /* takes its sockets back by watch_socket */
	uv_close((uv_handle_t *)pool->timer, free_handle);
	free(pool);
}

static struct pool *pool_new(struct http *http, bool http2, struct error *err)
{
	struct pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		abort();
	list_init(&pool->link);
	pool->http = http;
	pool->timer = new_timer(http->loop, pool);
	pool->multi = curl_multi_init();
	long connections = http2 && CONNECTIONS_HTTP2 < http->connections ? CONNECTIONS_HTTP2 : http->connections;
	CURLMcode code = pool->multi ? CURLM_OK : CURLM_OUT_OF_MEMORY;
#define SET(option, value) (code = code ?: curl_multi_setopt(pool->multi, (option), (value)))
	SET(CURLMOPT_SOCKETFUNCTION, watch_socket);
	SET(CURLMOPT_SOCKETDATA, pool);
	SET(CURLMOPT_TIMERFUNCTION, set_timer);
	SET(CURLMOPT_TIMERDATA, pool);
	SET(CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	SET(CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_PER_CONNECTION);
	SET(CURLMOPT_MAX_HOST_CONNECTIONS, connections);
	SET(CURLMOPT_MAXCONNECTS, 4L * http->connections); /* else as many are kept as there are requests, times four */
#undef SET
	if (code) {
		error_set(err, 0, "libcurl can't be set up: %s", curl_multi_strerror(code));
		pool_free(pool);
		return NULL;
	}
	return pool;
}

struct http *http_new(uv_loop_t *loop, const struct http_options *options, struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		error_set(err, 0, "libcurl can't be initialised");
		return NULL;
	}
	survive_sigpipe();
	struct http *http = calloc(1, sizeof *http);
	if (!http)
		abort();
	http->loop = loop;
	list_init(&http->ops);
	list_init(&http->failing);
	list_init(&http->retired);
	http->tick_ms = TICK_MS;
	http->proxied = is_proxied();
	http->connections = options && options->connections ? options->connections : DEFAULT_CONNECTIONS;
	if (options && options->ca_bundle && !(http->ca_bundle = strdup(options->ca_bundle)))
		abort();
	http->tick = new_timer(loop, http);
	http->pools[0] = pool_new(http, false, err);
	http->pools[1] = http->pools[0] ? pool_new(http, true, err) : NULL;
	if (!http->pools[1]) {
		http_free(http);
		return NULL;
	}
	return http;
}

/* Out of the lists and out of libcurl; its memory stays. */
static void detach(struct http_op *op)
{
	struct http *http = op->http;
	list_remove(&op->link);
	if (op->added)
		curl_multi_remove_handle(op->pool->multi, op->easy);
	op->pool->n_ops -= op->added;
	op->added = false;
	if (op->easy && http->n_spare < SPARE_HANDLES) {
		curl_easy_reset(op->easy);
		http->spare[http->n_spare++] = op->easy;
	} else if (op->easy) {
		curl_easy_cleanup(op->easy);
	}
	op->easy = NULL;
}

static void op_free(struct http_op *op)
{
	curl_slist_free_all(op->head);
	buf_deinit(&op->body);
	arena_deinit(&op->arena);
	free(op->headers);
	free(op->origin);
	free(op);
}

void http_free(struct http *http)
{
	if (!http || http->freed)
		return;
	struct http_op *op;
	list_for_each (op, &http->ops, struct http_op, link)
		http_cancel(op);
	list_for_each (op, &http->failing, struct http_op, link)
		http_cancel(op);
	while (http->n_spare)
		curl_easy_cleanup(http->spare[--http->n_spare]);
	pool_free(http->pools[0]);
	pool_free(http->pools[1]);
	struct pool *pool;
	list_for_each (pool, &http->retired, struct pool, link)
		pool_free(pool);
	uv_close((uv_handle_t *)http->tick, free_handle);
	free(http->ca_bundle);
	curl_global_cleanup();
	http->freed = true;
	if (!http->calling)
		free(http);
}

/* The only place that calls back. True: go on. False: the callback freed `http`, and now it is gone. */
static bool finish(struct http_op *op, struct http_response *response, bool sent, const struct error *err)
{
	struct http *http = op->http;
	detach(op);
	http->calling++;
	op->fn(op->ctx, response, sent, err);
	http->calling--;
	if (response)
		buf_deinit(&response->body);
	op_free(op);
	if (http->freed && !http->calling)
		free(http);
	else if (!http->freed)
		return true;
	return false;
}

static int errno_of(CURLcode code, CURL *easy)
{
	long number = 0;
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
		return number == ETIMEDOUT ? EHOSTUNREACH : number ? (int)number : ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT: /* libcurl knows of no other limit than that for connecting */
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return EHOSTUNREACH;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SSL_CONNECT_ERROR: /* cut while shaking hands, mostly */
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return ECONNRESET;
	case CURLE_ABORTED_BY_CALLBACK:
		return ESTALE;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_USE_SSL_FAILED:
		return EPROTO;
	default:
		return EIO;
	}
}

static bool may_have_been_sent(struct http_op *op)
{
	curl_off_t pretransfer_us = 0;
	return op->easy && curl_easy_getinfo(op->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer_us) == CURLE_OK &&
	       pretransfer_us > 0;
}

/* It ends from `tick`. */
static void fail(struct http_op *op, int code, const char *text)
{
	error_set(&op->error, 0, "%s: %s", op->origin ? op->origin : "http", text);
	op->error.code = code;
	list_remove(&op->link);
	list_append(&op->http->failing, &op->link);
}

static void schedule(struct http *http);

/* No connection came for `op`. Those that were to share it would each try for one, one after the other, and as long. */
static void fail_waiting(const struct http_op *op)
{
	struct http *http = op->http;
	struct http_op *other;
	list_for_each (other, &http->ops, struct http_op, link) {
		if (other != op && other->pool == op->pool && strcmp(other->origin, op->origin) == 0 && !may_have_been_sent(other) &&
			(int64_t)uv_now(http->loop) - other->started_ms >= other->connect_ms / 2)
			fail(other, EHOSTUNREACH, "no connection in time");
	}
	schedule(http);
}

static bool complete(struct http_op *op, CURLcode result)
{
	if (result == CURLE_OPERATION_TIMEDOUT)
		fail_waiting(op);
	if (result || op->over || !op->answering) {
		bool sent = may_have_been_sent(op);
		const char *text = op->over	 ? "the answer is larger than it may be"
				   : op->text[0] ? op->text
				   : result	 ? curl_easy_strerror(result)
						 : "no answer";
		struct error err;
		error_set(&err, 0, "%s: %s", op->origin, text);
		err.code = op->over ? EMSGSIZE : result ? errno_of(result, op->easy) : ECONNRESET;
		return finish(op, NULL, sent, &err);
	}
	curl_off_t sent = 0, received = 0;
	long received_head = 0, version = 0;
	curl_easy_getinfo(op->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(op->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
	curl_easy_getinfo(op->easy, CURLINFO_HEADER_SIZE, &received_head);
	curl_easy_getinfo(op->easy, CURLINFO_HTTP_VERSION, &version);
	/* Who speaks no HTTP/2 needs a connection for each request. */
	if (op->pool == op->http->pools[1] && version < CURL_HTTP_VERSION_2_0)
		curl_multi_setopt(op->pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 4L * op->http->connections);
	struct http_response response = {
		.status = op->status,
		.headers = op->headers,
		.n_headers = op->n_headers,
		.body = op->body,
		.bytes_sent = op->head_bytes + sent,
		.bytes_received = received + received_head,
	};
	op->body = (struct buf){ 0 };
	return finish(op, &response, true, NULL);
}

static void drain(struct pool *pool)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(pool->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct http_op *op = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &op);
		if (!complete(op, message->data.result))
			return;
	}
}

/* Limits of our own. */

/* What is wrong with it now, or NULL. */
static const char *overdue(struct http_op *op, int64_t now_ms)
{
	if (op->deadline_ms && now_ms >= op->deadline_ms)
		return "no complete answer in time";
	curl_off_t uploaded = 0;
	curl_easy_getinfo(op->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
	int64_t moved = uploaded + op->header_bytes + op->body.len;
	bool underway = op->answering || ((size_t)uploaded < op->body_bytes && may_have_been_sent(op));
	if (moved != op->moved || !underway) {
		op->moved = moved;
		op->moved_ms = now_ms;
	}
	return now_ms - op->moved_ms >= op->stalled_ms ? "the connection stalled" : NULL;
}

static void retire(struct pool *pool)
{
	struct http *http = pool->http;
	struct error err;
	struct pool *next = pool == http->pools[1] ? pool_new(http, true, &err) : NULL;
	if (!next)
		return; /* has been; or HTTP/1.1, which has a connection for each request; or libcurl can't */
	http->pools[1] = next;
	list_append(&http->retired, &pool->link);
}

static void on_tick(uv_timer_t *tick);

static void schedule(struct http *http)
{
	if (!list_empty(&http->failing))
		uv_timer_start(http->tick, on_tick, 0, 0);
	else if (!list_empty(&http->ops) || !list_empty(&http->retired))
		uv_timer_start(http->tick, on_tick, http->tick_ms, 0);
}

static void on_tick(uv_timer_t *tick)
{
	struct http *http = tick->data;
	struct http_op *op;
	int64_t now_ms = uv_now(http->loop);
	list_for_each (op, &http->ops, struct http_op, link) {
		const char *text = overdue(op, now_ms);
		if (!text)
			continue;
		if (may_have_been_sent(op))
			retire(op->pool);
		fail(op, ETIMEDOUT, text);
	}
	/* Only those there are now: a callback that starts what fails at once must not keep us here. */
	size_t n = 0;
	list_for_each (op, &http->failing, struct http_op, link)
		n++;
	while (n-- && (op = list_first(&http->failing, struct http_op, link))) {
		struct error err = op->error;
		if (!finish(op, NULL, may_have_been_sent(op), &err))
			return;
	}
	struct pool *pool;
	list_for_each (pool, &http->retired, struct pool, link) {
		if (!pool->n_ops)
			pool_free(pool);
	}
	if (list_empty(&http->ops))
		http->tick_ms = TICK_MS;
	schedule(http);
}

/* A request. */

static size_t on_header(char *bytes, size_t one, size_t n, void *ctx)
{
	struct http_op *op = ctx;
	struct slice line = { bytes, n };
	while (line.len && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
		line.len--;
	if (slice_has_prefix(line, "HTTP/")) { /* the first line; earlier answers were 1xx */
		const char *space = memchr(line.ptr, ' ', line.len);
		op->status = 0;
		for (const char *c = space ? space + 1 : line.ptr;
			c < line.ptr + line.len && isdigit((unsigned char)*c) && op->status < 100; c++)
			op->status = 10 * op->status + (*c - '0');
		op->n_headers = 0;
		op->answering = false;
		return n;
	}
	op->header_bytes += n;
	if (op->header_bytes > HEADER_BYTES_LIMIT || op->n_headers == HEADERS_LIMIT) {
		op->over = true;
		return 0;
	}
	if (!line.len) {
		op->answering = op->status >= 200;
		return n;
	}
	const char *start = line.ptr, *end = line.ptr + line.len;
	struct aws_pair *last = op->n_headers ? &op->headers[op->n_headers - 1] : NULL;
	const char *colon = memchr(start, ':', line.len);
	bool folded = *start == ' ' || *start == '\t';
	if (folded ? !last : !colon)
		return n;
	const char *value = folded ? start : colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (folded) {
		last->value = arena_printf(&op->arena, "%s%s%.*s", last->value, *last->value && value < end ? " " : "",
			(int)(end - value), value);
		return n;
	}
	if ((op->n_headers & (op->n_headers - 1)) == 0) {
		op->headers = reallocarray(op->headers, op->n_headers ? 2 * op->n_headers : 1, sizeof *op->headers);
		if (!op->headers)
			abort();
	}
	char *name = arena_strndup(&op->arena, start, colon - start);
	for (char *c = name; *c; c++)
		*c = tolower((unsigned char)*c);
	op->headers[op->n_headers++] = (struct aws_pair){ name, arena_strndup(&op->arena, value, end - value) };
	return n;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *ctx)
{
	struct http_op *op = ctx;
	if (!op->body.ptr) {
		curl_off_t length = -1;
		curl_easy_getinfo(op->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		if (length > 0 && (size_t)length <= op->response_limit) {
			buf_reserve(&op->body, length);
			op->deadline_ms += op->deadline_ms ? length / HTTP_SLOWEST_BYTES_PER_MS : 0;
		}
	}
	if (n > op->response_limit - op->body.len) {
		op->over = true;
		return 0;
	}
	buf_append(&op->body, bytes, n);
	return n;
}

static size_t read_file(char *to, size_t one, size_t n, void *ctx)
{
	struct http_op *op = ctx;
	int64_t left = op->file->size_bytes - op->file_at;
	if ((int64_t)n > left)
		n = (size_t)left;
	ssize_t got;
	do
		got = pread(op->file->fd, to, n, op->file_at);
	while (got < 0 && errno == EINTR);
	if (got < 0 || (got == 0 && n)) {
		snprintf(op->text, sizeof op->text, "the file to be sent %s", got < 0 ? strerror(errno) : "has become shorter");
		return CURL_READFUNC_ABORT;
	}
	op->file_at += got;
	if (op->file->sent)
		op->file->sent(op->file->ctx, op->file_at);
	return (size_t)got;
}

/* For a connection that turns out to be dead when it is used again. */
static int seek_file(void *ctx, curl_off_t offset, int whence)
{
	struct http_op *op = ctx;
	op->file_at = offset;
	return whence == SEEK_SET ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static bool fit_to_send(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' && *s != '\t')
			return false;
	}
	return true;
}

/* The headers as libcurl wants them, with those switched off that it would add. NULL: one can't be sent. */
static struct curl_slist *make_head(const struct http_request *request, size_t *bytes)
{
	struct curl_slist *head = NULL;
	static const char *const unwanted[] = { "Expect:", "Accept:", "Content-Type:" };
	_cleanup_buf_ struct buf line = { 0 };
	for (size_t i = 0; i < request->n_headers + sizeof unwanted / sizeof *unwanted; i++) {
		const char *text;
		if (i < request->n_headers) {
			const struct aws_pair *header = &request->headers[i];
			const char *value = header->value ? header->value : "";
			if (!fit_to_send(header->name) || !fit_to_send(value))
				goto refused;
			buf_reset(&line);
			buf_printf(&line, *value ? "%s: %s" : "%s;", header->name, value);
			*bytes += line.len + 2;
			text = buf_str(&line);
		} else {
			text = unwanted[i - request->n_headers];
			bool given = false;
			for (size_t k = 0; k < request->n_headers; k++)
				given = given || strncasecmp(request->headers[k].name, text, strlen(text) - 1) == 0;
			if (given)
				continue;
		}
		struct curl_slist *longer = curl_slist_append(head, text);
		if (!longer)
			abort();
		head = longer;
	}
	return head;
refused:
	curl_slist_free_all(head);
	return NULL;
}

static CURLcode set_up(struct http_op *op, const struct http_request *request)
{
	struct http *http = op->http;
	CURLcode code = CURLE_OK;
#define SET(option, value) (code = code ?: curl_easy_setopt(op->easy, (option), (value)))
	SET(CURLOPT_PRIVATE, op);
	SET(CURLOPT_ERRORBUFFER, op->text);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* cancelling doesn't wait for a name that is being resolved */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PATH_AS_IS, 1L); /* the keys of S3 may have any components */
	SET(CURLOPT_HTTPHEADER, op->head);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, op);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, op);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)op->connect_ms);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* libcurl 7.88 closes HTTP/2 connections through a proxy under the requests that share them ("no filter connected"). */
	bool http2 = request->http2 && (!http->proxied || request->no_proxy);
	SET(CURLOPT_HTTP_VERSION, (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_PIPEWAIT, (long)http2);
	if (http->ca_bundle)
		SET(CURLOPT_CAINFO, http->ca_bundle);
	if (request->no_proxy)
		SET(CURLOPT_PROXY, "");
	if (strcmp(request->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (request->file) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->file->size_bytes);
		SET(CURLOPT_READFUNCTION, read_file);
		SET(CURLOPT_READDATA, op);
		SET(CURLOPT_SEEKFUNCTION, seek_file);
		SET(CURLOPT_SEEKDATA, op);
		SET(CURLOPT_CUSTOMREQUEST, request->method);
	} else if (strcmp(request->method, "GET") != 0 || request->body.len) {
		/* What has a body, and whatever else has one of no bytes but is no DELETE: a POST to libcurl, by another name. */
		if (strcmp(request->method, "DELETE") != 0 || request->body.len) {
			SET(CURLOPT_POST, 1L);
			SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
			SET(CURLOPT_POSTFIELDS, request->body.len ? request->body.ptr : "");
		}
		SET(CURLOPT_CUSTOMREQUEST, request->method);
	}
#undef SET
	/* What S3 sends is large; a thousand invocations had better not have this each. Refused by a used handle that still has a
	 * buffer. */
	if (!request->http2)
		(void)curl_easy_setopt(op->easy, CURLOPT_BUFFERSIZE, 64L << 10);
	return code;
}

struct http_op *http_start(struct http *http, const struct http_request *request, http_done_fn *fn, void *ctx)
{
	struct http_op *op = calloc(1, sizeof *op);
	if (!op)
		abort();
	op->http = http;
	op->pool = http->pools[request->http2];
	op->fn = fn;
	op->ctx = ctx;
	op->body_bytes = request->file ? (size_t)request->file->size_bytes : request->body.len;
	op->file = request->file;
	op->response_limit = request->response_limit ? request->response_limit : DEFAULT_RESPONSE_LIMIT;
	op->stalled_ms = request->stalled_ms ? request->stalled_ms : DEFAULT_STALLED_MS;
	const char *host = strstr(request->url, "://");
	host = host ? host + 3 : request->url;
	op->origin = strndup(request->url, host - request->url + strcspn(host, "/?"));
	op->easy = http->n_spare ? http->spare[--http->n_spare] : curl_easy_init();
	if (!op->origin || !op->easy)
		abort();
	op->head_bytes = strlen(request->method) + strlen(request->url) + 16;
	op->head = make_head(request, &op->head_bytes);

	uv_update_time(http->loop);
	op->started_ms = op->moved_ms = uv_now(http->loop);
	op->connect_ms = request->connect_ms ? request->connect_ms : DEFAULT_CONNECT_MS;
	int64_t look_ms = op->stalled_ms / 4;
	if (request->timeout_ms) {
		op->deadline_ms = op->moved_ms + request->timeout_ms;
		if (request->timeout_ms / 4 < look_ms)
			look_ms = request->timeout_ms / 4;
	}
	if (look_ms < http->tick_ms)
		http->tick_ms = look_ms ? look_ms : 1;

	list_append(&http->ops, &op->link);
	CURLcode code = op->head ? set_up(op, request) : CURLE_OK;
	CURLMcode added = op->head && !code ? curl_multi_add_handle(op->pool->multi, op->easy) : CURLM_OK;
	op->added = op->head && !code && !added;
	op->pool->n_ops += op->added;
	if (!op->head)
		fail(op, EINVAL, "a header has a control character in it");
	else if (code)
		fail(op, EIO, curl_easy_strerror(code));
	else if (added)
		fail(op, EIO, curl_multi_strerror(added));
	/* A tick that is due sooner stays. */
	uint64_t due_ms = uv_is_active((uv_handle_t *)http->tick) ? uv_timer_get_due_in(http->tick) : UINT64_MAX;
	if (due_ms > (uint64_t)http->tick_ms || !list_empty(&http->failing))
		schedule(http);
	return op;
}

void http_cancel(struct http_op *op)
{
	if (!op)
		return;
	detach(op);
	op_free(op);
}

const char *http_header(const struct http_response *response, const char *name)
{
	for (size_t i = 0; i < response->n_headers; i++) {
		if (strcmp(response->headers[i].name, name) == 0)
			return response->headers[i].value;
	}
	return NULL;
}
