#include "aws/test-client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server answers, in turn (the last one from then on), and what it was asked. */
static struct {
	int status;
	const char *head, *body;
} plan[8];
static unsigned n_planned;
static struct seen {
	char method[8], target[512], date[32], authorization[512], sha[80], host[80];
} seen[32];

static void play(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	char value[1024];
	struct seen *s = &seen[request->serial % 32];
	snprintf(s->method, sizeof s->method, "%s", request->method);
	snprintf(s->target, sizeof s->target, "%.511s", request->target);
	snprintf(s->date, sizeof s->date, "%.31s", server_header(request, "x-amz-date", value));
	snprintf(s->authorization, sizeof s->authorization, "%.511s", server_header(request, "authorization", value));
	snprintf(s->sha, sizeof s->sha, "%.79s", server_header(request, "x-amz-content-sha256", value));
	snprintf(s->host, sizeof s->host, "%.79s", server_header(request, "host", value));
	unsigned i = request->serial < n_planned ? request->serial : n_planned - 1;
	reply->status = plan[i].status;
	buf_append_str(&reply->head, plan[i].head ? plan[i].head : "");
	buf_append_str(&reply->body, plan[i].body ? plan[i].body : "");
}

struct outcome {
	unsigned calls, attempts;
	int status, error;
	int64_t retry_after_ms;
	char code[64], message[256], text[600], body[64];
};

static void on_done(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct outcome *out = ctx;
	out->calls++;
	if (!answer) {
		out->error = err->code;
		snprintf(out->text, sizeof out->text, "%s", err->text);
		return;
	}
	out->status = answer->status;
	out->attempts = answer->attempts;
	out->retry_after_ms = answer->retry_after_ms;
	snprintf(out->code, sizeof out->code, "%s", answer->code);
	snprintf(out->message, sizeof out->message, "%s", answer->message);
	snprintf(out->body, sizeof out->body, "%.63s", buf_str(&answer->response->body));
}

static struct client client;
static struct outcome out;

static struct aws_op *start(const struct aws_call *call)
{
	out = (struct outcome){ 0 };
	struct aws_op *op = aws_start(client.aws, call, on_done, &out);
	assert_int_equal(out.calls, 0);
	return op;
}

static void run(const struct aws_call *call)
{
	start(call);
	client_run_until(&client, &out.calls);
	assert_int_equal(out.calls, 1);
}

static const struct aws_call lambda_call = {
	.service = "lambda", .method = "GET", .path = "/2016-08-19/account-settings/"
};

#define PLAN(...)                                                                                                      \
	do {                                                                                                           \
		typeof(plan[0]) given[] = { __VA_ARGS__ };                                                             \
		memcpy(plan, given, sizeof given);                                                                     \
		n_planned = sizeof given / sizeof given[0];                                                            \
	} while (0)

static void call__an_answer_comes_back(void **state)
{
	PLAN({ 200, "", "yes" });
	client_begin(&client, play, NULL, NULL);
	struct aws_pair query[] = { { "b", "two words" }, { "a", "1" } };
	struct aws_call call = lambda_call;
	call.query = query;
	call.n_query = 2;
	run(&call);
	assert_int_equal(out.status, 200);
	assert_string_equal(out.body, "yes");
	assert_string_equal(out.code, "");
	assert_int_equal(out.attempts, 1);
	assert_non_null(strstr(seen[0].target, "/2016-08-19/account-settings/?"));
	assert_non_null(strstr(seen[0].target, "b=two%20words"));
	assert_non_null(strstr(seen[0].authorization, "Credential=AKIDEXAMPLE/20270115/us-east-1/lambda/aws4_request"));
	assert_string_equal(seen[0].host, server_url(client.server) + strlen("http://"));
	client_end(&client);
}

static void call__what_may_pass_is_tried_again_and_signed_anew(void **state)
{
	PLAN({ 500, "", "oops" }, { 502, "", "" }, { 503, "", "" }, { 200, "", "yes" });
	client_begin(&client, play, NULL, NULL);
	run(&lambda_call);
	assert_int_equal(out.status, 200);
	assert_int_equal(out.attempts, 4);
	assert_int_equal(server_requests(client.server), 4);
	assert_int_equal(client.n_pauses, 3);
	assert_int_equal(client.pauses_ms[0], 100);
	assert_int_equal(client.pauses_ms[1], 200);
	assert_int_equal(client.pauses_ms[2], 400);
	for (int i = 1; i < 4; i++) {
		assert_string_not_equal(seen[i - 1].date, seen[i].date);
		assert_string_not_equal(seen[i - 1].authorization, seen[i].authorization);
	}
	client_end(&client);
}

static void call__the_last_answer_is_given(void **state)
{
	PLAN({ 503, "", "<Error><Code>SlowDown</Code><Message>Please reduce\n your rate</Message></Error>" });
	client_begin(&client, play, NULL, NULL);
	struct aws_call call = lambda_call;
	call.attempts = 9;
	run(&call);
	assert_int_equal(out.status, 503);
	assert_int_equal(out.attempts, 9);
	assert_string_equal(out.code, "SlowDown");
	assert_string_equal(out.message, "Please reduce");
	assert_int_equal(client.pauses_ms[0], 500); /* throttled */
	assert_int_equal(client.pauses_ms[7], 20000);
	client_end(&client);
}

static void call__who_has_flow_control_gets_429_at_once(void **state)
{
	PLAN({ 429, "Retry-After: 2\r\nx-amzn-ErrorType: TooManyRequestsException:http://internal/\r\n",
		"{\"message\":\"Rate exceeded\"}" });
	client_begin(&client, play, NULL, NULL);
	struct aws_call call = lambda_call;
	call.raw = true;
	run(&call);
	assert_int_equal(out.status, 429);
	assert_int_equal(out.attempts, 1);
	assert_int_equal(out.retry_after_ms, 2000);
	assert_string_equal(out.code, "TooManyRequestsException");
	assert_string_equal(out.message, "Rate exceeded");
	client_end(&client);
}

static void call__retry_after_is_heeded(void **state)
{
	PLAN({ 429, "Retry-After: 0.15\r\n", "" }, { 200, "", "" });
	client_begin(&client, play, NULL, NULL);
	int64_t before_ms = clock_monotonic_ms();
	run(&lambda_call);
	assert_int_equal(out.status, 200);
	assert_true(clock_monotonic_ms() - before_ms >= 140);
	client_end(&client);
}

static void call__a_refusal_is_an_answer(void **state)
{
	PLAN({ 404, "",
		"{\"__type\":\"com.amazonaws.lambda#ResourceNotFoundException\",\"Message\":\"Function not found\"}" });
	client_begin(&client, play, NULL, NULL);
	run(&lambda_call);
	assert_int_equal(out.status, 404);
	assert_int_equal(out.attempts, 1);
	assert_string_equal(out.code, "ResourceNotFoundException");
	client_end(&client);
}

/* A server whose clock is an hour ahead of ours. */
static void refuse_our_time(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	char value[1024];
	bool good = strncmp(server_header(request, "x-amz-date", value), "20270115T0900", 13) == 0;
	reply->status = good ? 200 : 403;
	buf_append_str(&reply->head, "Date: Fri, 15 Jan 2027 09:00:00 GMT\r\n");
	if (!good)
		buf_append_str(&reply->body, "<Error><Code>RequestTimeTooSkewed</Code></Error>");
}

static void call__a_wrong_clock_is_corrected_once(void **state)
{
	/* An hour ahead of ours: 1800003600. */
	PLAN({ 403, "Date: Fri, 15 Jan 2027 09:00:00 GMT\r\n", "<Error><Code>RequestTimeTooSkewed</Code></Error>" },
		{ 200, "", "" });
	client_begin(&client, play, NULL, NULL);
	run(&lambda_call);
	assert_int_equal(out.status, 200);
	assert_int_equal(server_requests(client.server), 2);
	assert_memory_equal(seen[0].date, "20270115T0800", 13);
	assert_memory_equal(seen[1].date, "20270115T0900", 13);
	assert_in_range(aws_now_s(client.aws), 1800003600, 1800003610);
	client_end(&client);

	/* Several find out at the same time. */
	client_begin(&client, refuse_our_time, NULL, NULL);
	struct outcome other = { 0 };
	aws_start(client.aws, &lambda_call, on_done, &other);
	run(&lambda_call);
	client_run_until(&client, &other.calls);
	assert_int_equal(out.status, 200);
	assert_int_equal(other.status, 200);
	assert_in_range(server_requests(client.server), 3, 4); /* the second may have heard of it before it was sent */
	client_end(&client);

	/* The same refusal by a server that has our time is final. */
	PLAN({ 403, "Date: Fri, 15 Jan 2027 08:00:05 GMT\r\n", "{\"__type\":\"InvalidSignatureException\"}" });
	client_begin(&client, play, NULL, NULL);
	run(&lambda_call);
	assert_int_equal(out.status, 403);
	assert_int_equal(server_requests(client.server), 1);
	client_end(&client);
}

static void call__an_expired_token_is_renewed_at_once(void **state)
{
	PLAN({ 403, "x-amzn-errortype: ExpiredTokenException\r\n", "{}" });
	client_begin(&client, play, NULL, NULL);
	struct aws_call call = lambda_call;
	call.attempts = 1;
	run(&call);
	assert_int_equal(out.status, 403);
	assert_int_equal(server_requests(client.server), 2);
	assert_int_equal(client.n_pauses, 0);
	run(&lambda_call); /* and may be so for a while */
	assert_int_equal(server_requests(client.server), 2 + 4);
	assert_int_equal(client.n_pauses, 2);
	client_end(&client);
}

static void call__nobody_at_home_is_an_error(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	char url[64];
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	client_begin(&client, NULL, NULL, url); /* bound, not listening */
	run(&lambda_call);
	assert_int_equal(out.error, ECONNREFUSED);
	assert_int_equal(client.n_pauses, 3);
	assert_non_null(strstr(out.text, "lambda, 4 attempts"));
	assert_non_null(strstr(out.text, url));
	client_end(&client);
	close(fd);
}

static void call__a_wrong_endpoint_is_named(void **state)
{
	client_begin(&client, NULL, NULL, "ftp://example.invalid");
	run(&lambda_call);
	assert_non_null(strstr(out.text, "ftp://example.invalid"));
	client_end(&client);
}

static void call__an_endpoint_may_have_a_path_and_the_host_a_prefix(void **state)
{
	char url[96];
	PLAN({ 200, "", "" });
	struct server *server = server_start(play, NULL);
	snprintf(url, sizeof url, "%s/base/", server_url(server));
	client_begin(&client, NULL, NULL, url);
	run(&(struct aws_call){ .service = "s3", .method = "GET", .path = "/bucket/a b/../c" });
	assert_int_equal(out.status, 200);
	assert_string_equal(seen[0].target, "/base/bucket/a%20b/../c");
	assert_int_equal(strlen(seen[0].sha), 64); /* signed, over plain http */
	client_end(&client);
	server_stop(server);
}

static void call__cancelled_in_every_state(void **state)
{
	PLAN({ 500, "Retry-After: 20\r\n", "" });
	client_begin(&client, play, NULL, NULL);
	aws_cancel(start(&lambda_call)); /* before anything */
	struct aws_op *op = start(&lambda_call);
	while (!client.n_pauses)
		uv_run(&client.loop, UV_RUN_ONCE);
	aws_cancel(op); /* in its pause */
	aws_cancel(NULL);
	start(&lambda_call);
	uv_run(&client.loop, UV_RUN_NOWAIT);
	client_end(&client); /* under way */
	assert_int_equal(out.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call__an_answer_comes_back),
		cmocka_unit_test(call__what_may_pass_is_tried_again_and_signed_anew),
		cmocka_unit_test(call__the_last_answer_is_given),
		cmocka_unit_test(call__who_has_flow_control_gets_429_at_once),
		cmocka_unit_test(call__retry_after_is_heeded),
		cmocka_unit_test(call__a_refusal_is_an_answer),
		cmocka_unit_test(call__a_wrong_clock_is_corrected_once),
		cmocka_unit_test(call__an_expired_token_is_renewed_at_once),
		cmocka_unit_test(call__nobody_at_home_is_an_error),
		cmocka_unit_test(call__a_wrong_endpoint_is_named),
		cmocka_unit_test(call__an_endpoint_may_have_a_path_and_the_host_a_prefix),
		cmocka_unit_test(call__cancelled_in_every_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
