#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "aws/lambda.h"

/* --- A service that answers as it is told ------------------------------------------------------------------------- */

static struct {
	struct aws_call call;
	char path[200], log_type[10];
	aws_done_fn *fn;
	void *ctx;
	bool cancelled;
} started;

struct aws_op *aws_start(struct aws *aws, const struct aws_call *call, aws_done_fn *fn, void *ctx)
{
	started.call = *call;
	snprintf(started.path, sizeof(started.path), "%s", call->path);
	for (size_t i = 0; i < call->n_headers; i++)
		if (strcmp(call->headers[i].name, "X-Amz-Log-Type") == 0)
			snprintf(started.log_type, sizeof(started.log_type), "%s", call->headers[i].value);
	started.fn = fn;
	started.ctx = ctx;
	return (struct aws_op *)&started;
}

void aws_cancel(struct aws_op *op)
{
	started.cancelled = true;
}

const char *http_header(const struct http_response *response, const char *name)
{
	for (size_t i = 0; i < response->n_headers; i++)
		if (strcmp(response->headers[i].name, name) == 0)
			return response->headers[i].value;
	return NULL;
}

static struct lambda_result got;
static struct error got_err;
static char got_reason[200];

static void take(void *ctx, const struct lambda_result *result, const struct error *err)
{
	got = *result;
	got_err = *err;
	snprintf(got_reason, sizeof(got_reason), "%s", result->reason);
}

static int64_t pause_ms; /* what Retry-After says */

static void answer(int status, const char *code, const struct aws_pair *headers, size_t n_headers, const char *body)
{
	struct http_response response = { .status = status, .headers = headers, .n_headers = n_headers };
	struct aws_answer answer = { .status = status,
		.response = &response,
		.code = code,
		.message = "its text",
		.attempts = 1,
		.retry_after_ms = pause_ms };
	buf_append_str(&response.body, body);
	lambda_invoke(NULL, "builder", slice_str("{}"), true, 1000, take, NULL);
	started.fn(started.ctx, &answer, NULL);
	buf_deinit(&response.body);
}

/* --- Tests ---------------------------------------------------------------------------------------------------------- */

static void lambda__an_invocation_is_one_attempt_over_http2(void **state)
{
	answer(200, "", NULL, 0, "{\"x\":1}");
	assert_int_equal(got.outcome, LAMBDA_OK);
	assert_string_equal(started.path, "/2015-03-31/functions/builder/invocations");
	assert_string_equal(started.call.service, "lambda");
	assert_string_equal(started.log_type, "Tail");
	assert_true(started.call.http2 && started.call.raw);
	assert_int_equal(started.call.attempts, 1);
	assert_int_equal(started.call.timeout_ms, 1000);
	assert_int_equal(got.payload.len, 7);
	assert_int_equal(got.billed_ms, 0);
}

static void lambda__every_way_to_fail_is_treated_by_its_kind(void **state)
{
	static const struct {
		int status;
		const char *code;
		enum lambda_outcome outcome;
	} rows[] = {
		{ 429, "TooManyRequestsException", LAMBDA_THROTTLED },
		{ 429, "", LAMBDA_THROTTLED },
		{ 500, "ServiceException", LAMBDA_TRANSIENT },
		{ 502, "EC2ThrottledException", LAMBDA_TRANSIENT },
		{ 502, "ENILimitReachedException", LAMBDA_TRANSIENT },
		{ 502, "KMSDisabledException", LAMBDA_BROKEN },
		{ 502, "InvalidRuntimeException", LAMBDA_BROKEN },
		{ 503, "", LAMBDA_TRANSIENT },
		{ 504, "", LAMBDA_TRANSIENT },
		{ 409, "ResourceConflictException", LAMBDA_TRANSIENT },
		{ 409, "CodeArtifactUserFailedException", LAMBDA_BROKEN },
		{ 410, "EFSIOException", LAMBDA_TRANSIENT },
		{ 402, "ServiceQuotaExceededException", LAMBDA_BROKEN },
		{ 413, "RequestTooLargeException", LAMBDA_TOO_LARGE },
		{ 415, "UnsupportedMediaTypeException", LAMBDA_BROKEN },
		{ 400, "InvalidRequestContentException", LAMBDA_BROKEN },
		{ 400, "ExpiredTokenException", LAMBDA_TRANSIENT },
		{ 403, "AccessDeniedException", LAMBDA_DENIED },
		{ 403, "", LAMBDA_DENIED },
		{ 404, "ResourceNotFoundException", LAMBDA_BROKEN },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		answer(rows[i].status, rows[i].code, NULL, 0, "");
		assert_int_equal(got.outcome, rows[i].outcome);
		assert_string_equal(got_reason, rows[i].code);
		assert_non_null(strstr(got_err.text, "builder"));
	}
	assert_non_null(strstr(got_err.text, "check `function`"));
}

static void function_error(const char *payload)
{
	answer(200, "", &(struct aws_pair){ "x-amz-function-error", "Unhandled" }, 1, payload);
}

static void lambda__a_function_that_failed_is_no_success(void **state)
{
	function_error("{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"RequestId: 1 Error: Runtime exited "
		       "with error: signal: killed\"}");
	assert_int_equal(got.outcome, LAMBDA_CRASHED);
	assert_string_equal(got_reason, "Runtime.ExitError");
	function_error("{\"errorMessage\":\"2026-01-01T00:00:00.000Z 1 Task timed out after 3.00 seconds\"}");
	assert_int_equal(got.outcome, LAMBDA_TIMED_OUT);
	function_error("{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"\"}");
	assert_int_equal(got.outcome, LAMBDA_TIMED_OUT);
	function_error("{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size "
		       "exceeded\"}");
	assert_int_equal(got.outcome, LAMBDA_TOO_LARGE);
	function_error("{\"errorType\":\"Runtime.InvalidEntrypoint\"}");
	assert_int_equal(got.outcome, LAMBDA_BROKEN);
	function_error("{\"errorType\":\"Sandbox.Failure\"}");
	assert_int_equal(got.outcome, LAMBDA_TRANSIENT);
	function_error("not JSON");
	assert_int_equal(got.outcome, LAMBDA_CRASHED);
	assert_string_equal(got_reason, "Unhandled");
	function_error("{\"errorType\":\"with\\u001b[31m escapes\"}");
	assert_string_equal(got_reason, "with [31m escapes");
}

static void lambda__headers_tell_pauses_and_the_bill(void **state)
{
	pause_ms = 1500;
	answer(429, "TooManyRequestsException", NULL, 0, "");
	pause_ms = 0;
	assert_int_equal(got.retry_after_ms, 1500);
	assert_string_equal(got_reason, "TooManyRequestsException");
	answer(429, "TooManyRequestsException", NULL, 0,
		"{\"Reason\":\"CallerRateLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}");
	assert_int_equal(got.outcome, LAMBDA_THROTTLED);
	assert_string_equal(got_reason, "CallerRateLimitExceeded");
	assert_int_equal(got.retry_after_ms, 0);
	/* base64 of "REPORT RequestId: 1\tDuration: 1.2 ms\tBilled Duration: 35 ms\tMemory Size: 1769 MB\tInit Duration: 33.5 ms\t\n" */
	answer(200, "",
		&(struct aws_pair){ "x-amz-log-result",
			"UkVQT1JUIFJlcXVlc3RJZDogMQlEdXJhdGlvbjogMS4yIG1zCUJpbGxlZCBEdXJhdGlvbjogMz"
			"UgbXMJTWVtb3J5IFNpemU6IDE3NjkgTUIJSW5pdCBEdXJhdGlvbjogMzMuNSBtcwkK" },
		1, "{}");
	assert_int_equal(got.billed_ms, 35);
	assert_int_equal(got.memory_mb, 1769);
	assert_int_equal(got.init_ms, 33);
}

static void lambda__no_answer_is_transient_unless_there_are_no_credentials(void **state)
{
	static const struct {
		int code;
		enum lambda_outcome outcome;
	} rows[] = { { ECONNRESET, LAMBDA_TRANSIENT }, { ETIMEDOUT, LAMBDA_TRANSIENT }, { EACCES, LAMBDA_DENIED },
		{ EMSGSIZE, LAMBDA_TOO_LARGE }, { EPROTO, LAMBDA_BROKEN } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error err = { rows[i].code, "why" };
		lambda_invoke(NULL, "builder", slice_str("{}"), false, 0, take, NULL);
		started.fn(started.ctx, NULL, &err);
		assert_int_equal(got.outcome, rows[i].outcome);
		assert_string_equal(got_err.text, "why");
	}
	assert_string_equal(started.log_type, "None");
}

static void lambda__a_cancelled_one_is_silent(void **state)
{
	got.outcome = LAMBDA_OK;
	lambda_cancel(lambda_invoke(NULL, "builder", slice_str("{}"), false, 0, take, NULL));
	assert_true(started.cancelled);
	assert_int_equal(got.outcome, LAMBDA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lambda__an_invocation_is_one_attempt_over_http2),
		cmocka_unit_test(lambda__every_way_to_fail_is_treated_by_its_kind),
		cmocka_unit_test(lambda__a_function_that_failed_is_no_success),
		cmocka_unit_test(lambda__headers_tell_pauses_and_the_bill),
		cmocka_unit_test(lambda__no_answer_is_transient_unless_there_are_no_credentials),
		cmocka_unit_test(lambda__a_cancelled_one_is_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
