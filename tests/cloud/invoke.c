#include "tests/cloud/invoke.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "tests/cloud/cloud.h"
#include "tests/cloud/logs.h"
#include "tests/cloud/runtime_api.h"

enum { EVENT_REQUEST_BYTES = 1 << 20 };

enum invocation_type { REQUEST_RESPONSE, EVENT, DRY_RUN, UNKNOWN_TYPE };

static enum invocation_type type_of(const struct cloud_request *request)
{
	const char *type = cloud_header(request, "x-amz-invocation-type");
	if (!type || strcmp(type, "RequestResponse") == 0)
		return REQUEST_RESPONSE;
	return strcmp(type, "Event") == 0 ? EVENT : strcmp(type, "DryRun") == 0 ? DRY_RUN : UNKNOWN_TYPE;
}

/* Clients that send none, or plain bytes, are taken at the body's word. */
static bool may_be_json(const char *content_type)
{
	static const char *const types[] = { "application/json", "application/octet-stream", "binary/octet-stream",
		"application/x-amz-json-1.0", "application/x-amz-json-1.1" };
	size_t n = content_type ? strcspn(content_type, "; ") : 0;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i]) == n && strncasecmp(types[i], content_type, n) == 0)
			return true;
	return n == 0;
}

/* True: `response` says what is wrong with it. */
static bool refuse(enum invocation_type type, struct cloud_request *request, struct cloud_response *response)
{
	size_t limit = type == EVENT ? EVENT_REQUEST_BYTES : LAMBDA_REQUEST_BYTES;
	json_error_t problem;
	if (type == UNKNOWN_TYPE) {
		cloud_error(request, response, 400, "ValidationException",
			"1 validation error detected: Value '%s' at 'invocationType' failed to satisfy constraint: "
			"Member must satisfy enum value set: [Event, RequestResponse, DryRun]",
			cloud_header(request, "x-amz-invocation-type"));
	} else if (request->body.len > limit) {
		cloud_error(request, response, 413, "RequestTooLargeException",
			"Request must be smaller than %zu bytes for the InvokeFunction operation", limit);
	} else if (!may_be_json(cloud_header(request, "content-type"))) {
		cloud_error(request, response, 415, "UnsupportedMediaTypeException", "Unsupported content type: %s",
			cloud_header(request, "content-type"));
	} else if (request->body.len > 0) {
		json_t *json = json_loadb(request->body.ptr, request->body.len, JSON_DECODE_ANY, &problem);
		if (!json)
			cloud_error(request, response, 400, "InvalidRequestContentException",
				"Could not parse request body into json: Could not parse payload into json: %s",
				problem.text);
		json_decref(json);
		return !json;
	} else {
		return false;
	}
	return true;
}

static void throttle(const char *reason, struct cloud_request *request, struct cloud_response *response)
{
	cloud_error(request, response, 429, "TooManyRequestsException", "Rate Exceeded.");
	buf_reset(&response->body);
	response->n_headers = 0;
	cloud_json(response, 429,
		json_pack("{s:s, s:s, s:s}", "Reason", reason, "Type", "User", "message", "Rate Exceeded."));
	cloud_add_header(response, "x-amzn-ErrorType", "TooManyRequestsException");
	cloud_add_header(response, "Retry-After", "1");
}

static const char *base64(struct arena *arena, struct slice bytes)
{
	char *text = arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.ptr, (int)bytes.len);
	return text;
}

static void answer(
	const struct invocation_result *result, struct cloud_request *request, struct cloud_response *response)
{
	const char *tail = cloud_header(request, "x-amz-log-type");
	response->status = 200;
	cloud_add_header(response, "Content-Type", "application/json");
	cloud_add_header(response, "X-Amz-Executed-Version", "$LATEST");
	if (result->outcome == INVOCATION_FUNCTION_ERROR)
		cloud_add_header(response, "X-Amz-Function-Error", "Unhandled");
	if (tail && strcmp(tail, "Tail") == 0)
		cloud_add_header(response, "X-Amz-Log-Result", base64(request->arena, buf_slice(&result->log)));
	buf_append_slice(&response->body, buf_slice(&result->payload));
}

void invoke_handle(struct cloud *cloud, struct functions *functions, struct environments *environments,
	const char *name, struct cloud_request *request, struct cloud_response *response)
{
	enum invocation_type type = type_of(request);
	const char *reason = "";
	if (refuse(type, request, response))
		return;
	struct revision *revision = functions_find(functions, name, request, response);
	if (!revision)
		return;
	const char *id = cloud_new_id(request->arena), *root = cloud_new_id(request->arena);
	struct invocation invocation = {
		.request_id = id,
		.trace_id = arena_printf(request->arena, "Root=1-%08llx-%.8s%.4s%.12s;Parent=%.8s%.8s;Sampled=0",
			(long long)cloud_now_s(cloud), root, root + 9, root + 24, id, root),
		.client_context = cloud_header(request, "x-amz-client-context"),
		.payload = request->body.len > 0 ? request->body : slice_str("{}"),
	};
	if (type != DRY_RUN)
		logs_ensure(cloud->logs, arena_printf(request->arena, "/aws/lambda/%s", revision->function));
	if (type == DRY_RUN) {
		response->status = 204;
	} else if (faults_strike(cloud->faults, "lambda", "Invoke", FAULT_THROTTLE, request->arena, &reason)) {
		throttle(*reason ? reason : "ConcurrentInvocationLimitExceeded", request, response);
	} else if (type == EVENT) {
		environments_invoke_later(environments, revision, &invocation);
		response->status = 202;
	} else {
		struct invocation_result result;
		environments_invoke(environments, revision, &invocation, &result);
		switch (result.outcome) {
		case INVOCATION_DONE:
		case INVOCATION_FUNCTION_ERROR:
			answer(&result, request, response);
			break;
		case INVOCATION_THROTTLED:
			throttle(result.reason, request, response);
			break;
		case INVOCATION_LOST:
			cloud_error(request, response, 500, "ServiceException",
				"An error occurred and the request cannot be processed.");
			break;
		}
		invocation_result_deinit(&result);
	}
	if (response->status < 300 || response->status == 429)
		cloud_add_header(response, "x-amzn-RequestId", id);
	revision_unref(revision);
}
