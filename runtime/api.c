#include "runtime/api.h"

#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "runtime/http_answer.h"

struct api {
	char *host, *port;
	int fd; /* -1: not connected */
	struct buf in;
	struct http_answer answer; /* in `in`, until the next exchange */
};

struct api *api_open(const char *endpoint, struct error *err)
{
	const char *colon = strrchr(endpoint, ':');
	if (!colon || colon == endpoint || colon[1] == '\0') {
		error_set(err, EINVAL, "%s is no address of the Runtime API", endpoint);
		return NULL;
	}
	struct api *api = calloc(1, sizeof(*api));
	if (!api)
		abort();
	api->fd = -1;
	api->host = strndup(endpoint, (size_t)(colon - endpoint));
	api->port = strdup(colon + 1);
	if (!api->host || !api->port)
		abort();
	return api;
}

static void disconnect(struct api *api)
{
	cleanup_close(&api->fd);
	api->fd = -1;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	disconnect(api);
	http_answer_deinit(&api->answer);
	buf_deinit(&api->in);
	free(api->host);
	free(api->port);
	free(api);
}

void invocation_deinit(struct invocation *invocation)
{
	buf_deinit(&invocation->payload);
}

static int reach(struct api *api, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	int code = getaddrinfo(api->host, api->port, &hints, &list);
	if (code != 0)
		return error_set(err, 0, "cannot resolve the Runtime API's host %s: %s", api->host, gai_strerror(code));
	int last = 0;
	for (struct addrinfo *at = list; at && api->fd < 0; at = at->ai_next) {
		_cleanup_close_ int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			api->fd = take_fd(fd);
		else
			last = errno;
	}
	freeaddrinfo(list);
	/* Head and body of a request go apart; without this the body waits for the head's acknowledgement, 40 ms. */
	if (api->fd >= 0)
		setsockopt(api->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return api->fd >= 0 ? 0
			    : error_set(err, last, "cannot connect to the Runtime API at %s:%s", api->host, api->port);
}

static int send_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

/* The connection was lost before anything of the answer came: to be made anew, once. */
enum { LOST = 1 };

static int try_exchange(struct api *api, struct slice head, struct slice body, struct error *err)
{
	if (api->fd < 0 && reach(api, err) < 0)
		return -1;
	buf_reset(&api->in);
	if (send_all(api->fd, head) < 0 || send_all(api->fd, body) < 0) {
		error_set(err, errno, "cannot send to the Runtime API");
		return LOST;
	}
	for (;;) {
		char *to = buf_reserve(&api->in, 256 << 10);
		ssize_t n = recv(api->fd, to, 256 << 10, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && api->in.len == 0) {
			error_set(err, n < 0 ? errno : 0,
				n < 0 ? "cannot read from the Runtime API" : "the Runtime API hung up");
			return LOST;
		}
		if (n < 0)
			return error_set(err, errno, "cannot read from the Runtime API");
		api->in.len += (size_t)n;
		int outcome = http_answer_parse(buf_slice(&api->in), n == 0, &api->answer, err);
		if (outcome != HTTP_ANSWER_MORE)
			return outcome < 0 ? error_wrap(err, "the Runtime API") : 0;
	}
}

/* One request; its answer is in api->answer until the next. */
static int exchange(struct api *api, const char *method, const char *path, const char *headers, struct slice body,
	struct error *err)
{
	_cleanup_buf_ struct buf head = { 0 };
	buf_printf(&head, "%s /2018-06-01/runtime/%s HTTP/1.1\r\nHost: %s:%s\r\n%s", method, path, api->host, api->port,
		headers);
	if (strcmp(method, "GET") != 0)
		buf_printf(&head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
	buf_append_str(&head, "\r\n");
	http_answer_deinit(&api->answer);
	api->answer = (struct http_answer){ 0 };
	/* An idle connection may be gone without our knowing, and a fresh one is not. */
	bool fresh = api->fd < 0;
	int outcome = try_exchange(api, buf_slice(&head), body, err);
	if (outcome == LOST && !fresh) {
		disconnect(api);
		outcome = try_exchange(api, buf_slice(&head), body, err);
	}
	if (outcome != 0 || api->answer.last)
		disconnect(api);
	return outcome == 0 ? 0 : -1;
}

static int64_t parse_milliseconds(struct slice text)
{
	int64_t n = 0;
	for (size_t i = 0; i < text.len && i < 18; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return 0;
		n = n * 10 + (text.ptr[i] - '0');
	}
	return n;
}

/* It becomes part of paths. */
static bool is_id(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!memchr("-_.", id.ptr[i], 3) && !(id.ptr[i] >= '0' && id.ptr[i] <= '9') &&
			!((id.ptr[i] | 32) >= 'a' && (id.ptr[i] | 32) <= 'z'))
			return false;
	return id.len > 0;
}

int api_next(struct api *api, struct invocation *ret, struct error *err)
{
	if (exchange(api, "GET", "invocation/next", "", slice_of("", 0), err) < 0)
		return -1;
	struct slice id, deadline = { 0 };
	if (api->answer.status != 200)
		return error_set(err, 0, "the Runtime API answers %d for the next invocation", api->answer.status);
	if (!http_answer_header(&api->answer, "Lambda-Runtime-Aws-Request-Id", &id) || id.len >= sizeof(ret->id) ||
		!is_id(id))
		return error_set(err, EPROTO, "the Runtime API gives an invocation without an id");
	http_answer_header(&api->answer, "Lambda-Runtime-Deadline-Ms", &deadline);
	*ret = (struct invocation){ .deadline_ms = parse_milliseconds(deadline) };
	memcpy(ret->id, id.ptr, id.len);
	buf_append_slice(&ret->payload, api->answer.body);
	return 0;
}

/* The answer to a POST. */
static int judge(const struct api *api, struct error *err)
{
	if (api->answer.status == 413)
		return API_TOO_LARGE;
	if (api->answer.status / 100 == 2)
		return 0;
	return error_set(err, 0, "the Runtime API answers %d: %.*s", api->answer.status,
		api->answer.body.len < 200 ? (int)api->answer.body.len : 200,
		api->answer.body.len > 0 ? api->answer.body.ptr : "");
}

int api_respond(struct api *api, const char *id, struct slice json, struct error *err)
{
	char path[160];
	snprintf(path, sizeof(path), "invocation/%s/response", id);
	return exchange(api, "POST", path, "", json, err) < 0 ? -1 : judge(api, err);
}

int api_fail(struct api *api, const char *id, const char *type, const char *text, struct error *err)
{
	char path[160], header[160];
	snprintf(path, sizeof(path), "%s%s/error", id ? "invocation/" : "init", id ? id : "");
	snprintf(header, sizeof(header), "Lambda-Runtime-Function-Error-Type: %s\r\n", type);
	json_t *object = json_pack("{s:s, s:s+}", "errorType", type, "errorMessage", text, "");
	if (!object) /* no UTF-8 */
		object = json_pack("{s:s, s:s}", "errorType", type, "errorMessage", "(not printable)");
	_cleanup_free_ char *json = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(object);
	if (!json)
		abort();
	if (exchange(api, "POST", path, header, slice_str(json), err) < 0)
		return -1;
	return judge(api, err) == 0 ? 0 : error_wrap(err, "cannot report an error");
}
