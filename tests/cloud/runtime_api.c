#include "tests/cloud/runtime_api.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cloud/cloud.h"

enum runtime_state { STARTING, READY, BUSY, ANSWERED, ENDED };

struct runtime_api {
	struct server *server;
	char address[32];
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	enum runtime_state state;
	uint32_t generation;
	int status;
	bool closing, init_failed;
	const struct runtime_invocation *invocation; /* delivered, not yet fetched */
	char request_id[64];			     /* of the one fetched last */
	enum runtime_answer answer;
	struct buf body;
	int64_t size;
};

/* --- Requests of the runtime -------------------------------------------------------------------------------------- */

static void answer(struct cloud_response *response, int status, const char *type, const char *message)
{
	cloud_json(response, status,
		type ? json_pack("{s:s, s:s}", "errorMessage", message, "errorType", type)
		     : json_pack("{s:s}", "status", message));
}

static void refuse_state(struct cloud_response *response)
{
	answer(response, 403, "InvalidStateTransition", "State transition is not allowed");
}

static void give_work(const struct runtime_invocation *invocation, struct arena *arena, struct cloud_response *response)
{
	cloud_add_header(response, "Content-Type", "application/json");
	cloud_add_header(response, "Lambda-Runtime-Aws-Request-Id", arena_strdup(arena, invocation->request_id));
	cloud_add_header(response, "Lambda-Runtime-Deadline-Ms",
		arena_printf(arena, "%lld", (long long)invocation->deadline_ms));
	cloud_add_header(response, "Lambda-Runtime-Invoked-Function-Arn", arena_strdup(arena, invocation->arn));
	cloud_add_header(response, "Lambda-Runtime-Trace-Id", arena_strdup(arena, invocation->trace_id));
	if (invocation->client_context)
		cloud_add_header(
			response, "Lambda-Runtime-Client-Context", arena_strdup(arena, invocation->client_context));
	buf_append_slice(&response->body, invocation->payload);
}

/* Blocks, with the environment frozen or not. */
static void next(struct runtime_api *api, struct cloud_request *request, struct cloud_response *response)
{
	pthread_mutex_lock(&api->lock);
	if (api->state == BUSY || api->state == ENDED) {
		refuse_state(response);
	} else {
		uint32_t generation = api->generation;
		api->state = READY;
		pthread_cond_broadcast(&api->changed);
		while (!api->closing && api->generation == generation && api->state == READY && !api->invocation)
			pthread_cond_wait(&api->changed, &api->lock);
		if (!api->closing && api->generation == generation && api->state == READY) {
			give_work(api->invocation, request->arena, response);
			snprintf(api->request_id, sizeof(api->request_id), "%s", api->invocation->request_id);
			api->state = BUSY;
			api->invocation = NULL;
		} else {
			response->status = 0; /* nobody waits any more */
		}
	}
	pthread_mutex_unlock(&api->lock);
}

static void keep_answer(struct runtime_api *api, enum runtime_answer kind, struct slice body)
{
	buf_reset(&api->body);
	if (kind != RUNTIME_TOO_LARGE)
		buf_append_slice(&api->body, body);
	api->size = (int64_t)body.len;
	api->answer = kind;
	pthread_cond_broadcast(&api->changed);
}

static void take(struct runtime_api *api, struct slice id, enum runtime_answer kind, struct cloud_request *request,
	struct cloud_response *response)
{
	pthread_mutex_lock(&api->lock);
	if (api->state != BUSY) {
		refuse_state(response);
	} else if (!slice_equal_str(id, api->request_id)) {
		answer(response, 400, "InvalidRequestID", "Invalid request ID");
	} else if (request->body.len > LAMBDA_RESPONSE_BYTES) {
		keep_answer(api, RUNTIME_TOO_LARGE, request->body);
		api->state = ANSWERED;
		answer(response, 413, "RequestEntityTooLarge",
			"Exceeded maximum allowed payload size (6291556 bytes).");
	} else {
		keep_answer(api, kind, request->body);
		api->state = ANSWERED;
		answer(response, 202, NULL, "OK");
	}
	pthread_mutex_unlock(&api->lock);
}

static void take_init_error(struct runtime_api *api, struct cloud_request *request, struct cloud_response *response)
{
	pthread_mutex_lock(&api->lock);
	if (api->state == STARTING && !api->init_failed) {
		api->init_failed = true;
		keep_answer(api, RUNTIME_ERROR, request->body);
		answer(response, 202, NULL, "OK");
	} else {
		refuse_state(response);
	}
	pthread_mutex_unlock(&api->lock);
}

static void handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	static const char prefix[] = "/2018-06-01/runtime/", invocation[] = "invocation/";
	struct runtime_api *api = request->listener_ctx;
	const char *path = request->path;
	path = strncmp(path, prefix, sizeof(prefix) - 1) == 0 ? path + sizeof(prefix) - 1 : "";
	bool is_next = strcmp(path, "invocation/next") == 0, is_init_error = strcmp(path, "init/error") == 0;
	size_t id_len = 0;
	const char *rest = "";
	if (!is_next && strncmp(path, invocation, sizeof(invocation) - 1) == 0) {
		path += sizeof(invocation) - 1;
		id_len = strcspn(path, "/");
		rest = path + id_len;
	}
	bool is_response = strcmp(rest, "/response") == 0, is_error = strcmp(rest, "/error") == 0;
	if (!is_next && !is_init_error && !is_response && !is_error)
		answer(response, 404, "NotFound", "404 page not found");
	else if (strcmp(request->method, is_next ? "GET" : "POST") != 0)
		answer(response, 405, "MethodNotAllowed", "Method Not Allowed");
	else if (is_next)
		next(api, request, response);
	else if (is_init_error)
		take_init_error(api, request, response);
	else
		take(api, slice_of(path, id_len), is_response ? RUNTIME_RESPONSE : RUNTIME_ERROR, request, response);
}

/* --- The environment's side --------------------------------------------------------------------------------------- */

struct runtime_api *runtime_api_open(struct cloud *cloud, struct error *err)
{
	struct runtime_api *api = calloc(1, sizeof(*api));
	if (!api)
		abort();
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&api->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&api->lock, NULL);
	api->state = ENDED;
	uint16_t port = 0;
	api->server = server_listen_plain(cloud, &port, handle, api, err);
	if (!api->server) {
		runtime_api_close(api);
		return NULL;
	}
	snprintf(api->address, sizeof(api->address), "127.0.0.1:%u", port);
	return api;
}

void runtime_api_close(struct runtime_api *api)
{
	if (!api)
		return;
	pthread_mutex_lock(&api->lock);
	api->closing = true;
	pthread_cond_broadcast(&api->changed);
	pthread_mutex_unlock(&api->lock);
	server_close(api->server);
	buf_deinit(&api->body);
	pthread_cond_destroy(&api->changed);
	pthread_mutex_destroy(&api->lock);
	free(api);
}

const char *runtime_api_address(const struct runtime_api *api)
{
	return api->address;
}

uint32_t runtime_api_start(struct runtime_api *api)
{
	pthread_mutex_lock(&api->lock);
	uint32_t generation = ++api->generation;
	api->state = STARTING;
	api->init_failed = false;
	api->invocation = NULL;
	api->answer = RUNTIME_NONE;
	buf_reset(&api->body);
	pthread_cond_broadcast(&api->changed);
	pthread_mutex_unlock(&api->lock);
	return generation;
}

void runtime_api_end(struct runtime_api *api, uint32_t generation, int status)
{
	pthread_mutex_lock(&api->lock);
	if (generation == RUNTIME_ANY || generation == api->generation) {
		api->state = ENDED;
		api->status = status;
		api->invocation = NULL;
		pthread_cond_broadcast(&api->changed);
	}
	pthread_mutex_unlock(&api->lock);
}

void runtime_api_deliver(struct runtime_api *api, const struct runtime_invocation *invocation)
{
	pthread_mutex_lock(&api->lock);
	api->answer = RUNTIME_NONE;
	buf_reset(&api->body);
	if (api->state == READY)
		api->invocation = invocation;
	pthread_cond_broadcast(&api->changed);
	pthread_mutex_unlock(&api->lock);
}

enum runtime_event runtime_api_wait(struct runtime_api *api, int64_t until_ms)
{
	struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
	pthread_mutex_lock(&api->lock);
	enum runtime_event event = RUNTIME_LATE;
	for (bool late = false;; late = pthread_cond_timedwait(&api->changed, &api->lock, &until) == ETIMEDOUT) {
		if (api->init_failed)
			event = RUNTIME_INIT_ERROR; /* also when it has ended since */
		else if (api->state == ENDED)
			event = RUNTIME_ENDED;
		else if (api->state == READY && !api->invocation)
			event = RUNTIME_READY;
		else if (!late)
			continue;
		break;
	}
	if (event == RUNTIME_LATE)
		api->invocation = NULL; /* its owner goes on */
	pthread_mutex_unlock(&api->lock);
	return event;
}

enum runtime_answer runtime_api_take_answer(struct runtime_api *api, struct buf *ret, int64_t *ret_size)
{
	pthread_mutex_lock(&api->lock);
	enum runtime_answer answer = api->answer;
	buf_deinit(ret);
	*ret = api->body;
	*ret_size = api->size;
	api->body = (struct buf){ 0 };
	api->answer = RUNTIME_NONE;
	pthread_mutex_unlock(&api->lock);
	return answer;
}

int runtime_api_status(struct runtime_api *api)
{
	pthread_mutex_lock(&api->lock);
	int status = api->status;
	pthread_mutex_unlock(&api->lock);
	return status;
}
