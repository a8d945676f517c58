#include "aws/call.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <sys/random.h>

#include "aws/credential_answer.h"
#include "base/clock.h"
#include "base/list.h"

enum {
	DEFAULT_ATTEMPTS = 4,
	DEFAULT_TIMEOUT_MS = 60000,
	PAUSE_MS = 100, /* the most before the second attempt; then twice as much each time */
	PAUSE_THROTTLED_MS = 500,
	PAUSE_LIMIT_MS = 20000,
	SKEW_NOTICED_S = 60, /* a signature is good for five minutes */
	ATTACHED_MAX = 4,
};

struct aws {
	uv_loop_t *loop;
	const struct aws_config *config; /* borrowed */
	struct http *http;
	struct credentials *credentials;
	struct list ops;
	int64_t skew_s; /* the server's clock minus ours */
	struct aws_hooks hooks;
	struct {
		const char *name;
		void *object;
		aws_free_fn *fn;
	} attached[ATTACHED_MAX];
};

/* It waits for one thing at a time: keys, an answer, or the timer. */
struct aws_op {
	struct list link;
	struct aws *aws;
	aws_done_fn *fn;
	void *ctx;
	struct arena arena; /* the call */
	struct aws_call call;
	struct arena scratch; /* the attempt under way */
	struct credentials_waiter waiter;
	bool waiting;
	struct http_op *http;
	uv_timer_t *timer; /* NULL: none runs; on the heap by itself, it closes later than we end */
	unsigned attempts;
	int64_t skew_s;		 /* that the attempt under way was signed with */
	bool renewed, corrected; /* keys, clock: once each */
	struct error error;	 /* to be told by the timer, if `failed` */
	bool failed;
};

static void attempt(struct aws_op *op);

/* The client. */

struct aws *aws_new(uv_loop_t *loop, const struct aws_config *config, struct error *err)
{
	struct http *http = http_new(loop, &(struct http_options){ .ca_bundle = config->ca_bundle }, err);
	if (!http)
		return NULL;
	struct aws *aws = calloc(1, sizeof *aws);
	if (!aws)
		abort();
	aws->loop = loop;
	aws->config = config;
	aws->http = http;
	aws->credentials = credentials_new(loop, http, config);
	list_init(&aws->ops);
	return aws;
}

void aws_free(struct aws *aws)
{
	if (!aws)
		return;
	for (int i = 0; i < ATTACHED_MAX; i++) {
		if (aws->attached[i].object)
			aws->attached[i].fn(aws->attached[i].object);
	}
	struct aws_op *op;
	list_for_each (op, &aws->ops, struct aws_op, link)
		aws_cancel(op);
	credentials_free(aws->credentials);
	http_free(aws->http);
	free(aws);
}

const struct aws_config *aws_config(const struct aws *aws)
{
	return aws->config;
}

struct credentials *aws_credentials(const struct aws *aws)
{
	return aws->credentials;
}

void *aws_attached(const struct aws *aws, const char *name)
{
	for (int i = 0; i < ATTACHED_MAX; i++) {
		if (aws->attached[i].object && strcmp(aws->attached[i].name, name) == 0)
			return aws->attached[i].object;
	}
	return NULL;
}

void aws_attach(struct aws *aws, const char *name, void *object, aws_free_fn *fn)
{
	for (int i = 0; i < ATTACHED_MAX; i++) {
		if (!aws->attached[i].object) {
			aws->attached[i].name = name;
			aws->attached[i].object = object;
			aws->attached[i].fn = fn;
			return;
		}
	}
	abort(); /* ATTACHED_MAX is too small */
}

void aws_set_hooks(struct aws *aws, const struct aws_hooks *hooks)
{
	aws->hooks = hooks ? *hooks : (struct aws_hooks){ 0 };
}

const struct aws_hooks *aws_hooks(const struct aws *aws)
{
	return &aws->hooks;
}

static int64_t machine_now_s(const struct aws *aws)
{
	return aws->hooks.now_s ? aws->hooks.now_s(aws->hooks.ctx) : clock_realtime_ns() / 1000000000;
}

int64_t aws_now_s(const struct aws *aws)
{
	return machine_now_s(aws) + aws->skew_s;
}

static int64_t choose_pause_ms(const struct aws *aws, int64_t most_ms)
{
	if (aws->hooks.pause_ms)
		return aws->hooks.pause_ms(aws->hooks.ctx, most_ms);
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = (uint32_t)clock_monotonic_ns() * 2654435761u;
	return random % (most_ms + 1);
}

/* An operation's end. */

static void free_timer(uv_handle_t *handle)
{
	free(handle);
}

static void stop_timer(struct aws_op *op)
{
	if (op->timer)
		uv_close((uv_handle_t *)op->timer, free_timer);
	op->timer = NULL;
}

static void op_free(struct aws_op *op)
{
	list_remove(&op->link);
	stop_timer(op);
	arena_deinit(&op->arena);
	arena_deinit(&op->scratch);
	free(op);
}

void aws_cancel(struct aws_op *op)
{
	if (!op)
		return;
	if (op->waiting)
		credentials_leave(op->aws->credentials, &op->waiter);
	http_cancel(op->http);
	op_free(op);
}

static void finish(struct aws_op *op, struct aws_answer *answer, const struct error *err)
{
	list_remove(&op->link); /* out of aws_free's sight */
	op->fn(op->ctx, answer, err);
	op_free(op);
}

static void on_timer(uv_timer_t *timer)
{
	struct aws_op *op = timer->data;
	stop_timer(op);
	if (op->failed)
		finish(op, NULL, &op->error);
	else
		attempt(op);
}

static void wait_ms(struct aws_op *op, int64_t ms)
{
	op->timer = calloc(1, sizeof *op->timer);
	if (!op->timer)
		abort();
	uv_timer_init(op->aws->loop, op->timer);
	op->timer->data = op;
	uv_timer_start(op->timer, on_timer, ms, 0);
}

/* From the loop's next turn. */
static void fail_later(struct aws_op *op)
{
	op->failed = true;
	wait_ms(op, 0);
}

/* What an answer means. */

static bool is_one_of(const char *code, const char *const *names)
{
	for (; *names; names++) {
		if (strcmp(code, *names) == 0)
			return true;
	}
	return false;
}

/* As botocore has them (retries/standard.py, and each service's model). */
static const char *const throttling[] = { "Throttling", "ThrottlingException", "ThrottledException",
	"RequestThrottledException", "TooManyRequestsException", "ProvisionedThroughputExceededException",
	"TransactionInProgressException", "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException",
	"RequestThrottled", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException", NULL };
static const char *const transient[] = { "RequestTimeout", "RequestTimeoutException", "InternalError",
	"ConditionalRequestConflict", "OperationAborted", NULL };
static const char *const expired[] = { "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", NULL };
static const char *const wrong_time[] = { "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture",
	"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "AccessDenied",
	NULL }; /* which mean other things too: the Date header decides */

static int64_t date_s(const struct http_response *response)
{
	const char *text = http_header(response, "date");
	return text ? (int64_t)curl_getdate(text, NULL) : -1;
}

static int64_t retry_after_ms(const struct http_response *response)
{
	const char *text = http_header(response, "retry-after");
	if (!text)
		return 0;
	if (isdigit((unsigned char)*text)) {
		char *end;
		double s = strtod(text, &end);
		return *end || s > 86400 ? 0 : (int64_t)(s * 1000);
	}
	int64_t then_s = curl_getdate(text, NULL), now_s = date_s(response);
	return then_s > now_s && now_s > 0 && then_s - now_s < 86400 ? (then_s - now_s) * 1000 : 0;
}

/* "Prefix#Code" and "Code:http://…" are "Code". */
static const char *bare_code(const char *code, struct arena *arena)
{
	const char *hash = strrchr(code, '#');
	code = hash ? hash + 1 : code;
	return arena_strndup(arena, code, strcspn(code, ":"));
}

static void read_error(const struct http_response *response, struct arena *arena, struct aws_answer *answer)
{
	const char *code, *message;
	credential_answer_error(buf_slice(&response->body), arena, &code, &message);
	const char *header = http_header(response, "x-amzn-errortype");
	answer->code = bare_code(header ? header : code, arena);
	answer->message = message;
}

static void pause_and_repeat(struct aws_op *op, int64_t first_ms, int64_t at_least_ms)
{
	int64_t most_ms = first_ms;
	for (unsigned i = 1; i < op->attempts && most_ms < PAUSE_LIMIT_MS; i++)
		most_ms *= 2;
	most_ms = most_ms < PAUSE_LIMIT_MS ? most_ms : PAUSE_LIMIT_MS;
	at_least_ms = at_least_ms < PAUSE_LIMIT_MS ? at_least_ms : PAUSE_LIMIT_MS;
	int64_t ms = choose_pause_ms(op->aws, most_ms);
	wait_ms(op, ms > at_least_ms ? ms : at_least_ms);
}

/* True: another attempt is on its way. */
static bool repeat(struct aws_op *op, const struct aws_answer *answer)
{
	struct aws *aws = op->aws;
	int status = answer->status;
	bool refused = status == 400 || status == 401 || status == 403;
	bool is_expired = refused && is_one_of(answer->code, expired);
	if (is_expired)
		credentials_drop(aws->credentials);
	if (is_expired && !op->renewed) {
		op->renewed = true;
		wait_ms(op, 0);
		return true;
	}
	/* A HEAD has no body to name a code in. */
	if (refused && !op->corrected && (!*answer->code || is_one_of(answer->code, wrong_time))) {
		/* Many may find out at the same time: each looks at what it was signed with itself. */
		int64_t server_s = date_s(answer->response), off_s = server_s - (machine_now_s(aws) + op->skew_s);
		if (server_s > 0 && (off_s > SKEW_NOTICED_S || off_s < -SKEW_NOTICED_S)) {
			op->corrected = true;
			aws->skew_s = server_s - machine_now_s(aws);
			wait_ms(op, 0);
			return true;
		}
	}
	if (op->call.raw && (status == 429 || status == 503))
		return false;
	if (op->attempts >= op->call.attempts)
		return false;
	bool throttled = status == 429 || (status >= 400 && is_one_of(answer->code, throttling));
	if (!throttled && !is_expired && !(status >= 400 && is_one_of(answer->code, transient)) && status != 500 &&
		status != 502 && status != 503 && status != 504)
		return false;
	pause_and_repeat(op, throttled ? PAUSE_THROTTLED_MS : PAUSE_MS, answer->retry_after_ms);
	return true;
}

static void on_answer(void *ctx, struct http_response *response, bool sent, const struct error *err)
{
	struct aws_op *op = ctx;
	op->http = NULL;
	if (!response) {
		bool hopeless = err->code == EMSGSIZE || err->code == EINVAL || err->code == EPROTO;
		if (!hopeless && op->attempts < op->call.attempts) {
			pause_and_repeat(op, PAUSE_MS, 0);
			return;
		}
		bool unreachable = err->code == ECONNREFUSED || err->code == EHOSTUNREACH || err->code == ENETUNREACH;
		error_set(&op->error, 0, "%s, %u attempt%s: %s%s", op->call.service, op->attempts, op->attempts == 1 ? "" : "s", err->text,
			unreachable ? " (is this machine online, and AWS_ENDPOINT_URL right if it is set?)" : "");
		op->error.code = err->code;
		finish(op, NULL, &op->error);
		return;
	}
	struct aws_answer answer = {
		.status = response->status,
		.response = response,
		.code = "",
		.message = "",
		.attempts = op->attempts,
		.retry_after_ms = retry_after_ms(response),
	};
	if (response->status >= 300)
		read_error(response, &op->scratch, &answer);
	if (!repeat(op, &answer))
		finish(op, &answer, NULL);
}

/* An attempt. */

/* The parts of "https://host:port/path"; false: it is none. */
static bool split_endpoint(
	const char *url, struct arena *arena, const char **ret_scheme, const char **ret_host, const char **ret_path)
{
	bool tls = strncasecmp(url, "https://", 8) == 0;
	if (!tls && strncasecmp(url, "http://", 7) != 0)
		return false;
	const char *host = url + (tls ? 8 : 7);
	size_t n = strcspn(host, "/");
	*ret_path = host + n;
	const char *usual = tls ? ":443" : ":80"; /* isn't part of the Host header */
	if (slice_has_suffix(slice_of(host, n), usual))
		n -= strlen(usual);
	*ret_scheme = tls ? "https" : "http";
	*ret_host = arena_strndup(arena, host, n);
	return n > 0;
}

static void send_request(struct aws_op *op, const struct aws_keys *keys)
{
	struct aws *aws = op->aws;
	const struct aws_call *call = &op->call;
	bool custom;
	const char *scheme, *host, *base;
	const char *endpoint = aws_config_endpoint(aws->config, call->service, &op->scratch, &custom);
	const char *region = aws_config_signing_region(aws->config, call->service);
	if (!endpoint || !region) {
		error_set(&op->error, EINVAL,
			"%s: no region is known: set `region` in Llama's configuration, AWS_REGION, or `region` of the "
			"profile \"%s\"",
			call->service, aws->config->profile);
		fail_later(op);
		return;
	}
	if (!split_endpoint(endpoint, &op->scratch, &scheme, &host, &base)) {
		error_set(&op->error, EINVAL, "%s: the endpoint's URL has to begin with https:// or http://: %s",
			call->service, endpoint);
		fail_later(op);
		return;
	}
	if (call->host_prefix)
		host = arena_printf(&op->scratch, "%s%s", call->host_prefix, host);
	struct sign_request request = {
		.service = call->service,
		.region = region,
		.method = call->method,
		.host = host,
		.path = *base ? arena_printf(&op->scratch, "%s%s", base, call->path) : call->path,
		.query = call->query,
		.n_query = call->n_query,
		.headers = call->headers,
		.n_headers = call->n_headers,
		.body = call->body,
		.unsigned_payload = strcmp(call->service, "s3") == 0 && strcmp(scheme, "https") == 0,
		.now_s = aws_now_s(aws),
	};
	struct signed_request signed_request;
	sign(&request, keys, &op->scratch, &signed_request);
	op->attempts++;
	op->skew_s = aws->skew_s;
	op->http = http_start(aws->http,
		&(struct http_request){
			.method = call->method,
			.url = arena_printf(&op->scratch, "%s://%s%s", scheme, host, signed_request.target),
			.headers = signed_request.headers,
			.n_headers = signed_request.n_headers,
			.body = call->body,
			.http2 = call->http2,
			.timeout_ms = call->timeout_ms < 0 ? 0 : call->timeout_ms,
			.response_limit = call->response_limit,
		},
		on_answer, op);
}

static void on_keys(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err)
{
	struct aws_op *op = container_of(waiter, struct aws_op, waiter);
	op->waiting = false;
	if (keys) {
		send_request(op, keys);
		return;
	}
	op->error = *err;
	op->error.code = EACCES;
	finish(op, NULL, &op->error);
}

static void attempt(struct aws_op *op)
{
	arena_deinit(&op->scratch);
	op->waiter.fn = on_keys;
	const struct aws_keys *keys = credentials_get(op->aws->credentials, &op->waiter);
	if (keys)
		send_request(op, keys);
	else
		op->waiting = true;
}

static const struct aws_pair *copy_pairs(struct arena *arena, const struct aws_pair *pairs, size_t n)
{
	struct aws_pair *copy = arena_array(arena, struct aws_pair, n);
	for (size_t i = 0; i < n; i++) {
		copy[i].name = arena_strdup(arena, pairs[i].name);
		copy[i].value = pairs[i].value ? arena_strdup(arena, pairs[i].value) : NULL;
	}
	return copy;
}

struct aws_op *aws_start(struct aws *aws, const struct aws_call *call, aws_done_fn *fn, void *ctx)
{
	struct aws_op *op = calloc(1, sizeof *op);
	if (!op)
		abort();
	*op = (struct aws_op){
		.aws = aws, .fn = fn, .ctx = ctx, .call = *call, .arena = ARENA_INIT, .scratch = ARENA_INIT
	};
	op->call.service = arena_strdup(&op->arena, call->service);
	op->call.host_prefix = call->host_prefix ? arena_strdup(&op->arena, call->host_prefix) : NULL;
	op->call.method = arena_strdup(&op->arena, call->method);
	op->call.path = arena_strdup(&op->arena, call->path);
	op->call.query = copy_pairs(&op->arena, call->query, call->n_query);
	op->call.headers = copy_pairs(&op->arena, call->headers, call->n_headers);
	op->call.attempts = call->attempts ? call->attempts : DEFAULT_ATTEMPTS;
	op->call.timeout_ms = call->timeout_ms ? call->timeout_ms : DEFAULT_TIMEOUT_MS;
	list_append(&aws->ops, &op->link);
	attempt(op);
	return op;
}
