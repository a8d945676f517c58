/* How it works: the connection's thread is the only one to touch the session and the socket. When a request is complete
 * its handler gets a thread; that puts the stream on the `finished` list and rings the bell, and the connection's
 * thread submits the response. A stream that was closed meanwhile (by the peer, or with the connection) lives on until
 * its handler has returned. */
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/cloud/server_internal.h"

struct session {
	struct connection *connection;
	nghttp2_session *nghttp2;
	struct list streams;       /* all */
	int64_t n_requests, limit; /* of requests; 0: none */
	bool paced;                /* some stream waits for its time to send more */
	struct buf out;
	int bell; /* eventfd */

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t returned;
	struct list finished;
	unsigned n_running;
};

enum { FRAME_HEAD_BYTES = 9 }; /* RFC 9113, 4.1 */

struct stream {
	struct list link;     /* session->streams */
	struct list finished; /* session->finished */
	struct session *session;
	int32_t id;
	bool running; /* its handler has it; else the connection's thread */
	bool closed;
	bool paced;
	int64_t sending_since_ms;
	size_t sent, header_bytes;
	struct buf headers; /* struct cloud_pair, growing */
	struct buf body;
	struct arena arena;
	struct cloud_request request;
	struct cloud_response response;
};

static void stream_free(struct stream *stream)
{
	list_remove(&stream->link);
	buf_deinit(&stream->headers);
	buf_deinit(&stream->body);
	buf_deinit(&stream->response.body);
	arena_deinit(&stream->arena);
	free(stream);
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *ctx)
{
	struct session *session = ctx;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	stream->session = session;
	stream->id = frame->hd.stream_id;
	list_init(&stream->finished);
	list_append(&session->streams, &stream->link);
	stream->request = (struct cloud_request){ .arena = &stream->arena,
		.http2 = true,
		.tls = session->connection->ssl != NULL,
		.listener_ctx = server_options(session->connection->server)->ctx };
	stream->response = (struct cloud_response){ .status = 200, .content_length = -1, .cut_after = -1 };
	nghttp2_session_set_stream_user_data(nghttp2, stream->id, stream);
	return 0;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
	if (!stream || stream->running)
		return 0; /* a trailer */
	stream->header_bytes += name_len + value_len + 32;
	if (stream->header_bytes > SERVER_HEADERS_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	const char *n = arena_strndup(&stream->arena, (const char *)name, name_len);
	const char *v = arena_strndup(&stream->arena, (const char *)value, value_len);
	if (strcmp(n, ":method") == 0) {
		stream->request.method = v;
	} else if (strcmp(n, ":path") == 0) {
		stream->request.target = v;
	} else if (n[0] != ':' || strcmp(n, ":authority") == 0) {
		struct cloud_pair pair = { n[0] == ':' ? "host" : n, v };
		buf_append(&stream->headers, &pair, sizeof pair);
	}
	return 0;
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *ctx)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);
	if (!stream || stream->running)
		return 0;
	if (stream->body.len + n > SERVER_BODY_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	buf_append(&stream->body, bytes, n);
	return 0;
}

static void *run_handler(void *ctx)
{
	struct stream *stream = ctx;
	struct session *session = stream->session;
	server_handle(session->connection->server, &stream->request, &stream->response);
	OPENSSL_thread_stop();
	pthread_mutex_lock(&session->lock);
	list_append(&session->finished, &stream->finished);
	session->n_running--;
	pthread_cond_signal(&session->returned);
	/* Under the lock: afterwards the session may be gone. */
	eventfd_write(session->bell, 1);
	pthread_mutex_unlock(&session->lock);
	return NULL;
}

static int submit_response(struct stream *stream);

static int start_handler(struct stream *stream)
{
	struct session *session = stream->session;
	struct error err;
	stream->request.headers = (const struct cloud_pair *)(void *)stream->headers.ptr;
	stream->request.n_headers = stream->headers.len / sizeof(struct cloud_pair);
	stream->request.body = buf_slice(&stream->body);
	/* As AWS: an empty authority is malformed, though nghttp2 lets it pass. */
	const char *host = cloud_header(&stream->request, "host");
	int r = host && host[0] ? server_parse_target(&stream->request, &err)
				: error_set(&err, 0, "a request without :authority");
	if (r < 0) {
		stream->response.status = 400;
		buf_printf(&stream->response.body, "%s\n", err.text);
		r = submit_response(stream);
	} else {
		stream->running = true;
		pthread_mutex_lock(&session->lock);
		session->n_running++;
		pthread_mutex_unlock(&session->lock);
		r = server_thread(run_handler, stream, &err);
		if (r < 0) {
			stream->running = false;
			pthread_mutex_lock(&session->lock);
			session->n_running--;
			pthread_mutex_unlock(&session->lock);
			stream->response.status = 503;
			r = submit_response(stream);
		}
	}
	if (++session->n_requests == session->limit)
		r = nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR, NULL, 0);
	return r;
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *ctx)
{
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	struct stream *stream = nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
	if (stream && !stream->running)
		stream->request.frames_bytes += FRAME_HEAD_BYTES + frame->hd.length;
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	if (stream && !stream->running && start_handler(stream) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_close(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *ctx)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);
	if (!stream)
		return 0;
	stream->closed = true;
	if (!stream->running)
		stream_free(stream);
	return 0;
}

static ssize_t read_body(nghttp2_session *nghttp2, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
	nghttp2_data_source *source, void *ctx)
{
	struct stream *stream = source->ptr;
	const struct cloud_response *response = &stream->response;
	size_t n = response->body.len - stream->sent;
	if (response->cut_after >= 0) {
		if (stream->sent >= (size_t)response->cut_after)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		if (n > (size_t)response->cut_after - stream->sent)
			n = (size_t)response->cut_after - stream->sent;
	}
	if (response->bytes_per_s > 0 && n > 0) {
		int64_t due = (clock_monotonic_ms() - stream->sending_since_ms + 10) * response->bytes_per_s / 1000;
		if (due <= (int64_t)stream->sent) {
			stream->paced = stream->session->paced = true;
			return NGHTTP2_ERR_DEFERRED;
		}
		if (n > (size_t)due - stream->sent)
			n = (size_t)due - stream->sent;
	}
	if (n > room)
		n = room;
	if (n > 0)
		memcpy(to, response->body.ptr + stream->sent, n);
	stream->sent += n;
	if (stream->sent == response->body.len && response->cut_after < 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_nv header_field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE };
}

static int submit_response(struct stream *stream)
{
	struct cloud_response *response = &stream->response;
	struct session *session = stream->session;
	if (response->status == 0)
		return nghttp2_submit_rst_stream(
			session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	nghttp2_nv fields[40];
	size_t n = 0;
	fields[n++] = header_field(":status", arena_printf(&stream->arena, "%d", response->status));
	fields[n++] = header_field("date", server_date(session->connection->server, &stream->arena));
	for (size_t i = 0; i < response->n_headers; i++) {
		char *name = arena_strdup(&stream->arena, response->headers[i].name);
		for (char *p = name; *p; p++)
			*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
		fields[n++] = header_field(name, response->headers[i].value);
	}
	bool bodyless = stream->request.method && strcmp(stream->request.method, "HEAD") == 0;
	if (response->status != 204 && response->status != 304)
		fields[n++] = header_field("content-length",
			arena_printf(&stream->arena, "%lld",
				(long long)(response->content_length >= 0 ? response->content_length
									  : (int64_t)response->body.len)));
	stream->sending_since_ms = clock_monotonic_ms();
	nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_body };
	bool has_body = !bodyless && (response->body.len > 0 || response->cut_after >= 0);
	return nghttp2_submit_response(session->nghttp2, stream->id, fields, n, has_body ? &provider : NULL);
}

/* -1: the connection is over. */
static int submit_finished(struct session *session)
{
	eventfd_t count;
	eventfd_read(session->bell, &count);
	for (;;) {
		pthread_mutex_lock(&session->lock);
		struct stream *stream = list_first(&session->finished, struct stream, finished);
		if (stream)
			list_remove(&stream->finished);
		pthread_mutex_unlock(&session->lock);
		if (!stream)
			return 0;
		stream->running = false;
		if (stream->closed)
			stream_free(stream);
		else if (submit_response(stream) < 0)
			return -1;
	}
}

static void resume_paced(struct session *session)
{
	struct stream *stream;
	session->paced = false;
	list_for_each (stream, &session->streams, struct stream, link) {
		if (stream->paced) {
			stream->paced = false;
			nghttp2_session_resume_data(session->nghttp2, stream->id);
		}
	}
}

/* Bytes of the socket, not blocking: > 0, 0: would block, -1: over. */
static ssize_t transfer(struct connection *c, void *in, const void *out, size_t n)
{
	ssize_t r;
	if (c->ssl) {
		r = in ? SSL_read(c->ssl, in, (int)n) : SSL_write(c->ssl, out, (int)n);
		if (r > 0)
			return r;
		int why = SSL_get_error(c->ssl, (int)r);
		return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
	}
	r = in ? read(c->fd, in, n) : write(c->fd, out, n);
	if (r > 0)
		return r;
	return r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* -1: the connection is over. */
static int receive_all(struct session *session)
{
	static _Thread_local uint8_t bytes[64 << 10];
	ssize_t n;
	while ((n = transfer(session->connection, bytes, NULL, sizeof bytes)) > 0)
		if (nghttp2_session_mem_recv(session->nghttp2, bytes, (size_t)n) < 0)
			return -1;
	return (int)n;
}

static int transmit_all(struct session *session)
{
	for (;;) {
		while (session->out.len < (256 << 10)) {
			const uint8_t *bytes;
			ssize_t n = nghttp2_session_mem_send(session->nghttp2, &bytes);
			if (n < 0)
				return -1;
			if (n == 0)
				break;
			buf_append(&session->out, bytes, (size_t)n);
		}
		if (session->out.len == 0)
			return 0;
		ssize_t n = transfer(session->connection, NULL, session->out.ptr, session->out.len);
		if (n <= 0)
			return (int)n;
		memmove(session->out.ptr, session->out.ptr + n, session->out.len - (size_t)n);
		session->out.len -= (size_t)n;
	}
}

static void loop(struct session *session)
{
	int64_t idle_ms = server_options(session->connection->server)->idle_ms;
	for (;;) {
		if (receive_all(session) < 0 || submit_finished(session) < 0)
			return;
		resume_paced(session);
		if (transmit_all(session) < 0)
			return;
		if (session->out.len == 0 && !nghttp2_session_want_read(session->nghttp2) &&
			!nghttp2_session_want_write(session->nghttp2))
			return;
		struct pollfd fds[] = {
			{ session->connection->fd, (short)(POLLIN | (session->out.len ? POLLOUT : 0)), 0 },
			{ session->bell, POLLIN, 0 },
		};
		int wait_ms = session->paced ? 10 : list_empty(&session->streams) && idle_ms ? (int)idle_ms : -1;
		int n = poll(fds, 2, wait_ms);
		if (n < 0 && errno != EINTR)
			return;
		if (n == 0 && !session->paced)
			return;
	}
}

static int session_start(struct session *session)
{
	nghttp2_session_callbacks *callbacks;
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return -1;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	int r = nghttp2_session_server_new(&session->nghttp2, callbacks, session);
	nghttp2_session_callbacks_del(callbacks);
	if (r != 0)
		return -1;
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, SERVER_STREAMS },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20 },
	};
	if (nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
		nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0, 8 << 20) != 0)
		return -1;
	return 0;
}

void http2_serve(struct connection *connection)
{
	struct session session = {
		.connection = connection, .lock = PTHREAD_MUTEX_INITIALIZER, .returned = PTHREAD_COND_INITIALIZER
	};
	list_init(&session.streams);
	list_init(&session.finished);
	session.limit = server_goaway_requests(connection->server);
	session.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int flags = fcntl(connection->fd, F_GETFL);
	if (session.bell >= 0 && fcntl(connection->fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
		session_start(&session) == 0)
		loop(&session);
	/* The peer shall see the end now, not when the last handler returns. */
	shutdown(connection->fd, SHUT_RDWR);
	pthread_mutex_lock(&session.lock);
	while (session.n_running > 0)
		pthread_cond_wait(&session.returned, &session.lock);
	pthread_mutex_unlock(&session.lock);
	struct stream *stream;
	list_for_each (stream, &session.streams, struct stream, link)
		stream_free(stream);
	nghttp2_session_del(session.nghttp2);
	buf_deinit(&session.out);
	if (session.bell >= 0)
		close(session.bell);
}
