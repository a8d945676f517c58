#include "aws/lambda.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

enum {
	RESPONSE_LIMIT = 8 << 20, /* Lambda's is 6 MiB */
	REASON_CHARS = 120,
	TAIL_CHARS = 8192, /* base64 of 4 KB */
};

struct lambda_op {
	struct aws_op *call;
	struct arena arena;
	const char *function;
	lambda_done_fn *fn;
	void *ctx;
};

/* By name, where a name says more than its status. Names and statuses: the service's model (botocore's lambda/2015-03-31) and "Troubleshoot invocation
 * issues in Lambda". 502s of networks, keys and images are configuration: they stay until somebody mends it. */
static const struct {
	const char *code;
	enum lambda_outcome outcome;
} by_code[] = {
	{ "EC2AccessDeniedException", LAMBDA_BROKEN },
	{ "KMSAccessDeniedException", LAMBDA_BROKEN },
	{ "KMSDisabledException", LAMBDA_BROKEN },
	{ "KMSInvalidStateException", LAMBDA_BROKEN },
	{ "KMSNotFoundException", LAMBDA_BROKEN },
	{ "InvalidRuntimeException", LAMBDA_BROKEN },
	{ "InvalidZipFileException", LAMBDA_BROKEN },
	{ "InvalidSubnetIDException", LAMBDA_BROKEN },
	{ "InvalidSecurityGroupIDException", LAMBDA_BROKEN },
	{ "CodeArtifactUserDeletedException", LAMBDA_BROKEN },
	{ "CodeArtifactUserFailedException", LAMBDA_BROKEN },
	{ "ResourceConflictException", LAMBDA_TRANSIENT },
	{ "CodeArtifactUserPendingException", LAMBDA_TRANSIENT },
	{ "SnapStartNotReadyException", LAMBDA_TRANSIENT },
	{ "ResourceNotReadyException", LAMBDA_TRANSIENT },
	{ "RequestTooLargeException", LAMBDA_TOO_LARGE },
	{ "TooManyRequestsException", LAMBDA_THROTTLED },
	{ "ThrottlingException", LAMBDA_THROTTLED },
	{ "AccessDeniedException", LAMBDA_DENIED },
	{ "ExpiredTokenException",
		LAMBDA_TRANSIENT }, /* others are on their way (credentials.h); where there are none that is said */
	{ "UnrecognizedClientException", LAMBDA_DENIED },
	{ "InvalidSignatureException", LAMBDA_DENIED },
	{ "ServiceQuotaExceededException", LAMBDA_BROKEN },
};

/* Function errors: 200, and the payload says {"errorType": …, "errorMessage": …}. A response over the limit, a runtime that was too slow, an image that can't
 * be started, trouble of Lambda's own; whatever else a function can die of is its end. Types: internal/lambda/fatalerror of AWS's runtime interface emulator. */
static enum lambda_outcome judge_function_error(const char *type, const char *message)
{
	if (strcmp(type, "Runtime.InvalidEntrypoint") == 0 || strcmp(type, "Runtime.InvalidWorkingDir") == 0 ||
		strcmp(type, "Runtime.InvalidTaskConfig") == 0)
		return LAMBDA_BROKEN;
	if (strcmp(type, "Sandbox.Failure") == 0)
		return LAMBDA_TRANSIENT;
	if (strcmp(type, "Function.ResponseSizeTooLarge") == 0)
		return LAMBDA_TOO_LARGE;
	if (strcmp(type, "Sandbox.Timedout") == 0 || strcmp(type, "Sandbox.Timeout") == 0 ||
		strstr(message, "Task timed out after"))
		return LAMBDA_TIMED_OUT;
	return LAMBDA_CRASHED;
}

static const char *printable(const char *text, struct arena *arena)
{
	char *copy = arena_strndup(arena, text, strnlen(text, REASON_CHARS));
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return copy;
}

enum lambda_outcome lambda_judge(int status, const char *code, const char *function_error, struct slice payload,
	struct arena *arena, const char **reason)
{
	*reason = *code ? printable(code, arena) : "";
	if (status >= 200 && status < 300 && function_error) {
		json_auto_t *json = json_loadb(payload.ptr ? payload.ptr : "", payload.len, JSON_DISABLE_EOF_CHECK, NULL);
		const char *type = json_string_value(json_object_get(json, "errorType"));
		const char *message = json_string_value(json_object_get(json, "errorMessage"));
		*reason = printable(type && *type ? type : function_error, arena);
		return judge_function_error(type ? type : "", message ? message : "");
	}
	if (status >= 200 && status < 300)
		return LAMBDA_OK;
	if (status == 429) {
		/* Which of the limits it was: {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": …} */
		json_auto_t *json = json_loadb(payload.ptr ? payload.ptr : "", payload.len, JSON_DISABLE_EOF_CHECK, NULL);
		const char *limit = json_string_value(json_object_get(json, "Reason"));
		if (limit)
			*reason = printable(limit, arena);
		return LAMBDA_THROTTLED;
	}
	for (size_t i = 0; i < sizeof(by_code) / sizeof(*by_code); i++)
		if (strcmp(by_code[i].code, code) == 0)
			return by_code[i].outcome;
	switch (status) {
	case 413:
		return LAMBDA_TOO_LARGE;
	case 401:
	case 403:
		return LAMBDA_DENIED;
	case 408:
	case 409:
	case 410:
		return LAMBDA_TRANSIENT;
	default:
		return status >= 500 ? LAMBDA_TRANSIENT : LAMBDA_BROKEN;
	}
}

/* "REPORT RequestId: …	Duration: 1.00 ms	Billed Duration: 2 ms	Memory Size: 128 MB	Max Memory Used: 9 MB	Init Duration: 33.50 ms" */
static int64_t take_figure(struct slice line, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i + n < line.len; i++) {
		if ((i > 0 && line.ptr[i - 1] != '\t') || memcmp(line.ptr + i, name, n) != 0)
			continue;
		int64_t number = 0;
		for (i += n; i < line.len && line.ptr[i] >= '0' && line.ptr[i] <= '9' && number < INT64_MAX / 100; i++)
			number = number * 10 + (line.ptr[i] - '0');
		return number;
	}
	return 0;
}

void lambda_read_report(struct slice log, struct lambda_result *ret)
{
	static const char begin[] = "REPORT RequestId:";
	while (log.len > 0) {
		const char *end = memchr(log.ptr, '\n', log.len);
		struct slice line = slice_of(log.ptr, end ? (size_t)(end - log.ptr) : log.len);
		log = slice_of(line.ptr + line.len + (end != NULL), log.len - line.len - (end != NULL));
		if (!slice_has_prefix(line, begin))
			continue;
		ret->billed_ms = take_figure(line, "Billed Duration: ");
		ret->memory_mb = take_figure(line, "Memory Size: ");
		ret->init_ms = take_figure(line, "Init Duration: ");
	}
}

static void read_tail(const char *base64, struct lambda_result *ret)
{
	unsigned char log[TAIL_CHARS / 4 * 3 + 1];
	size_t length = base64 ? strlen(base64) : 0;
	if (length == 0 || length > TAIL_CHARS || length % 4 != 0)
		return;
	int n = EVP_DecodeBlock(log, (const unsigned char *)base64, (int)length);
	if (n > 0)
		lambda_read_report(slice_of(log, (size_t)n), ret);
}

/* What people are told. */
static void explain(
	const struct lambda_op *op, const struct lambda_result *result, const char *message, struct error *err)
{
	const char *function = op->function, *reason = *result->reason ? result->reason : "no reason given";
	switch (result->outcome) {
	case LAMBDA_OK:
		break;
	case LAMBDA_THROTTLED:
		error_set(err, 0, "function %s takes no more at present: %s", function, reason);
		break;
	case LAMBDA_TRANSIENT:
		error_set(err, 0, "function %s couldn't be invoked: %s %s", function, reason, message);
		break;
	case LAMBDA_CRASHED:
		error_set(err, 0, "function %s ended before it answered: %s (out of memory? its log says more)",
			function, reason);
		break;
	case LAMBDA_TIMED_OUT:
		error_set(err, 0, "function %s reached its own time limit", function);
		break;
	case LAMBDA_TOO_LARGE:
		error_set(err, 0, "function %s: request or response over 6 MB: %s", function, reason);
		break;
	case LAMBDA_DENIED:
		error_set(err, 0, "function %s: %s: %s; %s", function, reason, message,
			strcmp(reason, "AccessDeniedException") == 0
				? "these credentials need lambda:InvokeFunction for it"
				: "renew the credentials, and see that this machine's clock is right");
		err->code = EACCES;
		break;
	case LAMBDA_BROKEN:
		error_set(err, 0, "function %s: %s: %s; check `function` and `region`", function, reason, message);
		break;
	}
}

static void answered(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct lambda_op *op = ctx;
	struct lambda_result result = { .outcome = LAMBDA_TRANSIENT, .reason = "" };
	struct error told = { 0 };
	if (answer) {
		const struct http_response *response = answer->response;
		const char *function_error = http_header(response, "x-amz-function-error");
		result.payload = buf_slice(&response->body);
		result.outcome = lambda_judge(
			answer->status, answer->code, function_error, result.payload, &op->arena, &result.reason);
		result.bytes_sent = response->bytes_sent;
		result.bytes_received = response->bytes_received;
		result.retry_after_ms = answer->retry_after_ms;
		read_tail(http_header(response, "x-amz-log-result"), &result);
		explain(op, &result, answer->message, &told);
	} else {
		told = *err;
		/* No credentials, no region, a server that can't be trusted: nothing gets better by trying. */
		if (err->code == EACCES)
			result.outcome = LAMBDA_DENIED;
		else if (err->code == EINVAL || err->code == EPROTO)
			result.outcome = LAMBDA_BROKEN;
		else if (err->code == EMSGSIZE)
			result.outcome = LAMBDA_TOO_LARGE;
	}
	op->fn(op->ctx, &result, &told);
	arena_deinit(&op->arena);
	free(op);
}

struct lambda_op *lambda_invoke(struct aws *aws, const char *function, struct slice payload, bool log_tail,
	int64_t timeout_ms, lambda_done_fn *fn, void *ctx)
{
	struct lambda_op *op = calloc(1, sizeof(*op));
	if (!op)
		abort();
	op->fn = fn;
	op->ctx = ctx;
	op->function = arena_strdup(&op->arena, function);
	const struct aws_pair headers[] = {
		{ "Content-Type", "application/json" },
		{ "X-Amz-Invocation-Type", "RequestResponse" },
		{ "X-Amz-Log-Type", log_tail ? "Tail" : "None" },
	};
	struct aws_call call = {
		.service = "lambda",
		.method = "POST",
		.path = arena_printf(&op->arena, "/2015-03-31/functions/%s/invocations", function),
		.headers = headers,
		.n_headers = sizeof(headers) / sizeof(*headers),
		.body = payload,
		.http2 = true,
		.raw = true,
		.attempts = 1,
		.timeout_ms = timeout_ms,
		.response_limit = RESPONSE_LIMIT,
	};
	op->call = aws_start(aws, &call, answered, op);
	return op;
}

void lambda_cancel(struct lambda_op *op)
{
	if (!op)
		return;
	aws_cancel(op->call);
	arena_deinit(&op->arena);
	free(op);
}
