#include "tests/cloud/http1.h"

#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "tests/cloud/server_internal.h"

static bool is_token(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !memchr("!#$%&'*+-.^_`|~", s[i], 15))
			return false;
	return n > 0;
}

/* 0, or -1: not a plain decimal number below 2^48. */
static int parse_length(const char *s, uint64_t *ret)
{
	size_t n = strspn(s, "0123456789");
	if (n == 0 || n > 14 || s[n])
		return -1;
	*ret = strtoull(s, NULL, 10);
	return 0;
}

static int parse_headers(
	const char *at, const char *end, struct cloud_request *request, struct http1_head *head, struct error *err)
{
	size_t n_lines = 0;
	for (const char *p = at; p < end; p++)
		n_lines += *p == '\n';
	struct cloud_pair *headers = arena_array(request->arena, struct cloud_pair, n_lines + 1);
	bool has_length = false;
	for (; at < end; request->n_headers++) {
		const char *eol = memmem(at, (size_t)(end - at), "\r\n", 2);
		const char *colon = memchr(at, ':', (size_t)(eol - at));
		if (!colon || !is_token(at, (size_t)(colon - at)))
			return error_set(err, 0, "a header line without a name");
		char *name = arena_strndup(request->arena, at, (size_t)(colon - at));
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		const char *from = colon + 1, *to = eol;
		while (from < to && (*from == ' ' || *from == '\t'))
			from++;
		while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
			to--;
		if (memchr(from, 0, (size_t)(to - from)) || memchr(from, '\r', (size_t)(to - from)) ||
			memchr(from, '\n', (size_t)(to - from)))
			return error_set(err, 0, "a control character in header %.40s", name);
		char *value = arena_strndup(request->arena, from, (size_t)(to - from));
		headers[request->n_headers] = (struct cloud_pair){ name, value };
		if (strcmp(name, "content-length") == 0) {
			if (has_length || parse_length(value, &head->content_length) < 0)
				return error_set(err, 0, "a bad Content-Length");
			has_length = true;
		} else if (strcmp(name, "transfer-encoding") == 0) {
			if (head->chunked || strcasecmp(value, "chunked") != 0)
				return error_set(err, 0, "an unknown Transfer-Encoding");
			head->chunked = true;
		} else if (strcmp(name, "connection") == 0) {
			head->keep_alive = strcasecmp(value, "close") != 0;
		} else if (strcmp(name, "expect") == 0) {
			head->expects_continue = strcasecmp(value, "100-continue") == 0;
		}
		at = eol + 2;
	}
	if (has_length && head->chunked)
		return error_set(err, 0, "both Content-Length and Transfer-Encoding");
	request->headers = headers;
	return 0;
}

int http1_parse_head(struct slice bytes, struct cloud_request *request, struct http1_head *ret, struct error *err)
{
	struct http1_head head = { .keep_alive = true };
	/* An empty line before a request is allowed (RFC 9112, 2.2). */
	size_t skip = 0;
	while (bytes.len - skip >= 2 && memcmp(bytes.ptr + skip, "\r\n", 2) == 0)
		skip += 2;
	const char *start = bytes.len > skip ? bytes.ptr + skip : NULL;
	const char *end = start ? memmem(start, bytes.len - skip, "\r\n\r\n", 4) : NULL;
	if (!start || !end)
		return bytes.len > SERVER_HEADERS_MAX ? error_set(err, 0, "the head is too long") : HTTP1_MORE;
	end += 2;
	head.length = (size_t)(end + 2 - bytes.ptr);

	const char *eol = memmem(start, (size_t)(end - start), "\r\n", 2);
	const char *space = memchr(start, ' ', (size_t)(eol - start));
	const char *second = space ? memchr(space + 1, ' ', (size_t)(eol - space - 1)) : NULL;
	if (!second || !is_token(start, (size_t)(space - start)) || second == space + 1)
		return error_set(err, 0, "a malformed request line");
	for (const char *p = space + 1; p < second; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return error_set(err, 0, "a character in the request's target that must be encoded");
	struct slice version = slice_of(second + 1, (size_t)(eol - second - 1));
	if (slice_equal_str(version, "HTTP/1.0"))
		head.keep_alive = false;
	else if (!slice_equal_str(version, "HTTP/1.1"))
		return error_set(err, 0, "not HTTP/1.1");
	request->method = arena_strndup(request->arena, start, (size_t)(space - start));
	request->target = arena_strndup(request->arena, space + 1, (size_t)(second - space - 1));
	request->n_headers = 0;
	if (parse_headers(eol + 2, end, request, &head, err) < 0)
		return -1;
	*ret = head;
	return 0;
}

int http1_parse_chunks(struct slice bytes, size_t limit, struct buf *body, size_t *used, struct error *err)
{
	*used = 0;
	for (;;) {
		const char *at = bytes.ptr + *used;
		size_t left = bytes.len - *used;
		const char *eol = left ? memmem(at, left, "\r\n", 2) : NULL;
		if (!eol)
			return left > 1024 ? error_set(err, 0, "a chunk's size line is too long") : HTTP1_MORE;
		uint64_t size = 0;
		const char *p = at;
		for (; p < eol && isxdigit((unsigned char)*p) && p - at < 12; p++)
			size = size * 16 + (uint64_t)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10);
		if (p == at || (p < eol && *p != ';'))
			return error_set(err, 0, "a malformed chunk");
		size_t head = (size_t)(eol + 2 - at);
		if (size == 0) {
			/* Trailers are dropped: nobody sends any that we know. */
			const char *last = left - head >= 2 && memcmp(eol + 2, "\r\n", 2) == 0
						   ? eol
						   : memmem(eol, left - head + 2, "\r\n\r\n", 4);
			if (!last)
				return left > SERVER_HEADERS_MAX ? error_set(err, 0, "trailers too long") : HTTP1_MORE;
			*used = (size_t)(last + 4 - bytes.ptr);
			return 0;
		}
		if (size > limit - body->len)
			return error_set(err, 0, "the body is too long");
		if (left - head < size + 2)
			return HTTP1_MORE;
		if (memcmp(eol + 2 + size, "\r\n", 2) != 0)
			return error_set(err, 0, "a chunk without an end");
		buf_append(body, eol + 2, (size_t)size);
		*used += head + (size_t)size + 2;
	}
}

/* -1: closed, cut, or silent for too long. */
static int receive(struct connection *c, struct buf *in)
{
	char *space = buf_reserve(in, 64 << 10);
	ssize_t n;
	if (c->ssl)
		n = SSL_read(c->ssl, space, 64 << 10);
	else
		while ((n = read(c->fd, space, 64 << 10)) < 0 && errno == EINTR)
			;
	if (n <= 0)
		return -1;
	in->len += (size_t)n;
	return 0;
}

static int transmit(struct connection *c, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n;
		size_t part = bytes.len < (1 << 20) ? bytes.len : 1 << 20;
		if (c->ssl)
			n = SSL_write(c->ssl, bytes.ptr, (int)part);
		else if ((n = write(c->fd, bytes.ptr, part)) < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

static void drop(struct buf *buf, size_t n)
{
	memmove(buf->ptr, buf->ptr + n, buf->len - n);
	buf->len -= n;
}

/* The body of a request whose head was dropped from `in`. -1: it doesn't come. */
static int receive_body(
	struct connection *c, const struct http1_head *head, struct buf *in, struct buf *body, struct error *err)
{
	if (head->expects_continue && (head->chunked || head->content_length > in->len) &&
		transmit(c, slice_str("HTTP/1.1 100 Continue\r\n\r\n")) < 0)
		return error_set(err, 0, "the connection was cut");
	for (;;) {
		if (head->chunked) {
			size_t used;
			int r = http1_parse_chunks(buf_slice(in), SERVER_BODY_MAX, body, &used, err);
			drop(in, used);
			if (r <= 0)
				return r;
		} else {
			size_t missing = (size_t)head->content_length - body->len;
			size_t n = in->len < missing ? in->len : missing;
			buf_append(body, in->ptr, n);
			drop(in, n);
			if (n == missing)
				return 0;
		}
		if (receive(c, in) < 0)
			return error_set(err, 0, "the connection was cut");
	}
}

/* -1: the connection is over. */
static int respond(struct connection *c, const struct cloud_request *request, const struct cloud_response *response,
	bool keep_alive)
{
	if (response->status == 0)
		return -1;
	bool bodyless = strcmp(request->method, "HEAD") == 0 || response->status == 204 || response->status == 304;
	_cleanup_buf_ struct buf head = { 0 };
	buf_printf(&head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", response->status, server_reason(response->status),
		server_date(c->server, request->arena));
	for (size_t i = 0; i < response->n_headers; i++)
		buf_printf(&head, "%s: %s\r\n", response->headers[i].name, response->headers[i].value);
	if (response->status != 204 && response->status != 304)
		buf_printf(&head, "Content-Length: %lld\r\n",
			(long long)(response->content_length >= 0 ? response->content_length
								  : (int64_t)response->body.len));
	if (!keep_alive)
		buf_append_str(&head, "Connection: close\r\n");
	buf_append_str(&head, "\r\n");
	struct slice body = bodyless ? slice_of(NULL, 0) : buf_slice(&response->body);
	bool cut = response->cut_after >= 0 && (uint64_t)response->cut_after <= body.len;
	if (cut)
		body.len = (size_t)response->cut_after;
	/* In one write where it is small: two cost a segment and, with Nagle's algorithm, a round trip. */
	size_t first = body.len < 16384 && !response->bytes_per_s ? body.len : 0;
	buf_append(&head, body.ptr, first);
	if (transmit(c, buf_slice(&head)) < 0)
		return -1;
	if (first > 0)
		body = slice_of(body.ptr + first, body.len - first);
	size_t piece = response->bytes_per_s ? (size_t)response->bytes_per_s / 20 + 1 : body.len;
	while (body.len > 0) {
		size_t n = piece < body.len ? piece : body.len;
		if (transmit(c, slice_of(body.ptr, n)) < 0)
			return -1;
		body.ptr += n;
		body.len -= n;
		if (response->bytes_per_s)
			poll(NULL, 0, 50);
	}
	return cut || !keep_alive ? -1 : 0;
}

static int serve_one(struct connection *c, struct buf *in)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf body = { 0 };
	struct cloud_request request = {
		.arena = &arena, .tls = c->ssl != NULL, .listener_ctx = server_options(c->server)->ctx
	};
	struct cloud_response response = { .status = 200, .content_length = -1, .cut_after = -1 };
	struct http1_head head;
	struct error err;
	int r;
	while ((r = http1_parse_head(buf_slice(in), &request, &head, &err)) == HTTP1_MORE)
		if (receive(c, in) < 0)
			return -1;
	if (r == 0) {
		drop(in, head.length);
		if (!head.chunked && head.content_length > SERVER_BODY_MAX)
			r = error_set(&err, 0, "the body is too long");
		else
			r = receive_body(c, &head, in, &body, &err);
	}
	if (r == 0)
		r = server_parse_target(&request, &err);
	if (r < 0) {
		request.method = "";
		response.status = 400;
		cloud_add_header(&response, "Content-Type", "text/plain");
		buf_printf(&response.body, "%s\n", err.text);
		head.keep_alive = false;
	} else {
		request.body = buf_slice(&body);
		server_handle(c->server, &request, &response);
	}
	r = respond(c, &request, &response, head.keep_alive);
	buf_deinit(&response.body);
	return r;
}

void http1_serve(struct connection *connection)
{
	_cleanup_buf_ struct buf in = { 0 };
	while (serve_one(connection, &in) == 0)
		;
}
