#include "aws/credential_fetch.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "aws/credential_answer.h"
#include "aws/form.h"
#include "aws/credential_plan.h"
#include "aws/process.h"
#include "base/file.h"

enum {
	ATTEMPTS = 3,
	FILE_LIMIT = 64 * 1024,
	ANSWER_LIMIT = 256 * 1024,
	PROCESS_LIMIT_MS = 120 * 1000, /* a helper may open a browser */
	STS_LIMIT_MS = 15 * 1000,
	CONTAINER_LIMIT_MS = 2 * 1000,
	INSTANCE_LIMIT_MS = 1000,
	SSO_REFRESH_MS = 15 * 60 * 1000,
	SKEW_MS = 60 * 1000, /* smaller differences are the network's */
};

/* How it works: the plan is a chain, innermost first: something that gives keys, then any number of roles that each turn the keys before
 * them into others. `at` is where we are. Each step is one request, but for the instance's, which are three. */
struct credential_fetch {
	uv_loop_t *loop;
	struct http *http;
	struct credential_clock clock;
	credential_fetch_fn *fn;
	void *ctx;
	uv_timer_t timer; /* the beginning, and the pause before another attempt */
	struct aws_config config;
	struct arena arena;
	const struct aws_config *model;

	const struct credential_source **chain;
	size_t n, at;
	struct aws_keys keys; /* of what is before `at` */
	struct http_op *op;
	struct process *process;
	unsigned attempt;
	int64_t skew_ms;			    /* the server's clock is ahead by that; 0: about the same */
	const char *instance_token, *instance_role; /* NULL: to be asked for */
	struct credential_sso_token sso;
	const char *sso_file; /* the text of the token's cache, while a new one is asked for; else NULL */
};

static void run(struct credential_fetch *f);
static void answered(void *ctx, struct http_response *response, bool sent, const struct error *err);

static int64_t now_ms(const struct credential_fetch *f)
{
	return f->clock.now_ms(f->clock.ctx);
}

static void timer_closed(uv_handle_t *handle)
{
	struct credential_fetch *f = handle->data;
	aws_config_deinit(&f->config);
	arena_deinit(&f->arena);
	free(f);
}

static void finish(struct credential_fetch *f, const struct aws_keys *keys, const struct error *err)
{
	credential_fetch_fn *fn = f->fn;
	f->fn = NULL;
	fn(f->ctx, keys, err);
	uv_close((uv_handle_t *)&f->timer, timer_closed);
}

static const struct credential_source *current(const struct credential_fetch *f)
{
	return f->chain[f->at];
}

/* `err` says what went wrong; here comes whose it was. */
static void fail(struct credential_fetch *f, struct error *err)
{
	const struct credential_source *source = current(f);
	if (source->tried)
		error_wrap(err, "no AWS credentials (`aws configure` or `aws configure sso` sets up a profile): %s, %s",
			source->tried, source->name);
	else
		error_wrap(err, "no AWS credentials from %s", source->name);
	finish(f, NULL, err);
}

static void got_keys(struct credential_fetch *f, struct aws_keys keys)
{
	struct error err;
	if (!credential_keys_fit(&keys)) {
		error_set(&err, 0, "the keys are empty, or have characters that no key has");
		fail(f, &err);
		return;
	}
	if (keys.expires_ms)
		keys.expires_ms -= f->skew_ms;
	if (keys.expires_ms && keys.expires_ms <= now_ms(f)) {
		error_set(&err, 0, "its keys have expired already");
		fail(f, &err);
		return;
	}
	keys.source = current(f)->name;
	f->keys = keys;
	f->attempt = 0;
	if (++f->at == f->n)
		finish(f, &f->keys, NULL);
	else
		run(f);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void ask(struct credential_fetch *f, const char *method, const char *url, const struct aws_pair *headers,
	size_t n, const char *body, int64_t limit_ms, bool no_proxy)
{
	const struct http_request request = { .method = method,
		.url = url,
		.headers = headers,
		.n_headers = n,
		.body = slice_str(body),
		.connect_ms = limit_ms,
		.timeout_ms = limit_ms,
		.response_limit = ANSWER_LIMIT,
		.no_proxy = no_proxy };
	f->attempt++;
	f->op = http_start(f->http, &request, answered, f);
}

/* "https://host:1/path" → "host:1", "/path" or "". */
static const char *split_url(const char *url, struct arena *arena, const char **ret_path)
{
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	size_t n = strcspn(host, "/");
	*ret_path = host + n;
	return arena_strndup(arena, host, n);
}

static void ask_sts(struct credential_fetch *f, const char *action, const char *web_token)
{
	const struct credential_source *source = current(f);
	bool custom;
	const char *url = aws_config_endpoint(&f->config, "sts", &f->arena, &custom), *path;
	const char *host = split_url(url, &f->arena, &path);
	const char *name = source->session_name;
	if (!name)
		name = arena_printf(&f->arena, "llama-%lld", (long long)(now_ms(f) / 1000));
	_cleanup_buf_ struct buf body = { 0 };
	form_add(&body, "Action", action);
	form_add(&body, "Version", "2011-06-15");
	form_add(&body, "RoleArn", source->role_arn);
	form_add(&body, "RoleSessionName", name);
	form_add(&body, "ExternalId", source->external_id);
	form_add(&body, "DurationSeconds", source->duration_s);
	form_add(&body, "WebIdentityToken", web_token);
	/* Borrowed until the answer. */
	const char *text = arena_strdup(&f->arena, body.ptr);
	static const struct aws_pair form = { "Content-Type", FORM_TYPE };
	if (web_token) { /* which is all that it is signed by */
		ask(f, "POST", arena_printf(&f->arena, "%s%s", url, path[0] ? "" : "/"), &form, 1, text, STS_LIMIT_MS,
			false);
		return;
	}
	const struct sign_request request = { .service = "sts",
		.region = aws_config_signing_region(&f->config, "sts"), /* STS is somewhere in any case */
		.method = "POST",
		.host = host,
		.path = path,
		.headers = &form,
		.n_headers = 1,
		.body = slice_str(text),
		.now_s = (now_ms(f) + f->skew_ms) / 1000 };
	struct signed_request made;
	sign(&request, &f->keys, &f->arena, &made);
	size_t before_path = strlen(url) - strlen(path);
	ask(f, "POST", arena_printf(&f->arena, "%.*s%s", (int)before_path, url, made.target), made.headers,
		made.n_headers, text, STS_LIMIT_MS, false);
}

/* The file's text without the blanks around it. */
static const char *read_token(struct credential_fetch *f, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (file_read(path, FILE_LIMIT, &text, err) < 0)
		return NULL;
	const char *begin = buf_str(&text);
	begin += strspn(begin, " \t\r\n");
	size_t n = strlen(begin);
	while (n && strchr(" \t\r\n", begin[n - 1]))
		n--;
	if (n == 0) {
		error_set(err, 0, "%s is empty", path);
		return NULL;
	}
	return arena_strndup(&f->arena, begin, n);
}

static void run_web_identity(struct credential_fetch *f)
{
	struct error err;
	const char *token = read_token(f, current(f)->token_file, &err);
	if (token)
		ask_sts(f, "AssumeRoleWithWebIdentity", token);
	else
		fail(f, &err);
}

static void advise_login(const struct credential_source *source, struct error *err)
{
	error_wrap(err, "nobody is logged in (`aws sso login --profile %s`)", source->profile);
}

/* "https://portal.sso.REGION.amazonaws.com": where the session is, not where we are. */
static const char *sso_endpoint(struct credential_fetch *f, const char *service)
{
	struct aws_config there = f->config;
	bool custom;
	there.region = current(f)->sso_region;
	return aws_config_endpoint(&there, service, &f->arena, &custom);
}

static void ask_sso_keys(struct credential_fetch *f)
{
	const struct credential_source *source = current(f);
	_cleanup_buf_ struct buf query = { 0 };
	form_add(&query, "account_id", source->sso_account);
	form_add(&query, "role_name", source->sso_role);
	const char *url = arena_printf(
		&f->arena, "%s/federation/credentials?%s", sso_endpoint(f, "sso"), query.ptr);
	const struct aws_pair bearer = { "x-amz-sso_bearer_token", f->sso.token };
	ask(f, "GET", url, &bearer, 1, NULL, STS_LIMIT_MS, false);
}

static void run_sso(struct credential_fetch *f)
{
	const struct credential_source *source = current(f);
	_cleanup_buf_ struct buf file = { 0 };
	struct error err;
	int result = file_read(source->sso_cache_file, FILE_LIMIT, &file, &err);
	if (result == 0 && credential_answer_sso_token(buf_slice(&file), &f->arena, &f->sso, &err) < 0)
		result = error_wrap(&err, "%s", source->sso_cache_file);
	if (result < 0) {
		advise_login(source, &err);
		fail(f, &err);
		return;
	}
	/* Logins outlive their tokens, which are good for an hour. */
	const char *request = f->sso.expires_ms - now_ms(f) < SSO_REFRESH_MS
				      ? credential_sso_refresh(buf_slice(&file), now_ms(f), &f->arena)
				      : NULL;
	if (request) {
		static const struct aws_pair json = { "Content-Type", "application/json" };
		f->sso_file = arena_strdup(&f->arena, file.ptr);
		ask(f, "POST", arena_printf(&f->arena, "%s/token", sso_endpoint(f, "sso-oidc")), &json, 1, request,
			STS_LIMIT_MS, false);
	} else if (f->sso.expires_ms > now_ms(f)) {
		ask_sso_keys(f);
	} else {
		error_set(&err, 0, "the session has expired");
		advise_login(source, &err);
		fail(f, &err);
	}
}

static void run_container(struct credential_fetch *f)
{
	const struct credential_source *source = current(f);
	struct error err;
	struct aws_pair headers[2] = { { "Accept", "application/json" } };
	size_t n = 1;
	const char *token = source->token_file ? read_token(f, source->token_file, &err) : source->token;
	if (source->token_file && !token) {
		fail(f, &err);
		return;
	}
	if (token && strpbrk(token, "\r\n")) {
		error_set(&err, 0, "its authorization token has more than one line");
		fail(f, &err);
		return;
	}
	if (token)
		headers[n++] = (struct aws_pair){ "Authorization", token };
	ask(f, "GET", source->url, headers, n, NULL, CONTAINER_LIMIT_MS, true);
}

static void run_instance(struct credential_fetch *f)
{
	const char *base = current(f)->url;
	if (!f->instance_token) {
		const struct aws_pair lifetime = { "x-aws-ec2-metadata-token-ttl-seconds", "21600" };
		ask(f, "PUT", arena_printf(&f->arena, "%s/latest/api/token", base), &lifetime, 1, NULL,
			INSTANCE_LIMIT_MS, true);
		return;
	}
	const struct aws_pair token = { "x-aws-ec2-metadata-token", f->instance_token };
	const char *role = f->instance_role ? f->instance_role : "";
	ask(f, "GET", arena_printf(&f->arena, "%s/latest/meta-data/iam/security-credentials/%s", base, role), &token, 1,
		NULL, INSTANCE_LIMIT_MS, true);
}

/* --- credential_process ------------------------------------------------------------------------------------------- */

static void process_ended(void *ctx, const struct process_result *result, const struct error *reason)
{
	struct credential_fetch *f = ctx;
	struct aws_keys keys;
	struct error err;
	f->process = NULL;
	if (!result) {
		err = *reason;
	} else if (result->term_signal) {
		error_set(&err, 0, "it was killed by signal %d", result->term_signal);
	} else if (result->exit_status) {
		/* Keys go to standard output; what a helper says on the other is for people. */
		size_t n = 0;
		while (n < result->err.len && n < 200 && (unsigned char)result->err.ptr[n] >= ' ' &&
			result->err.ptr[n] != '\x7f')
			n++;
		error_set(&err, 0, "it exited with %d: %.*s", result->exit_status, (int)n, n ? result->err.ptr : "");
	} else if (credential_answer_keys(CREDENTIAL_OF_PROCESS, result->out, &f->arena, &keys, &err) == 0) {
		got_keys(f, keys);
		return;
	}
	error_wrap(&err, "%s", current(f)->command[0]);
	fail(f, &err);
}

static void run_process(struct credential_fetch *f)
{
	struct error err;
	f->process = process_start(f->loop, current(f)->command, f->config.environment, PROCESS_LIMIT_MS, FILE_LIMIT,
		process_ended, f, &err);
	if (!f->process)
		fail(f, &err);
}

static void run(struct credential_fetch *f)
{
	switch (current(f)->kind) {
	case CREDENTIAL_STATIC:
		got_keys(f, current(f)->keys);
		break;
	case CREDENTIAL_ROLE:
		ask_sts(f, "AssumeRole", NULL);
		break;
	case CREDENTIAL_WEB_IDENTITY:
		run_web_identity(f);
		break;
	case CREDENTIAL_SSO:
		run_sso(f);
		break;
	case CREDENTIAL_PROCESS:
		run_process(f);
		break;
	case CREDENTIAL_CONTAINER:
		run_container(f);
		break;
	case CREDENTIAL_INSTANCE:
		run_instance(f);
		break;
	}
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void pause_over(uv_timer_t *timer)
{
	run(timer->data);
}

static bool try_again(struct credential_fetch *f)
{
	if (f->attempt >= ATTEMPTS || current(f)->kind == CREDENTIAL_INSTANCE)
		return false;
	uint16_t random = 0;
	uv_random(NULL, NULL, &random, sizeof(random), 0, NULL); /* without it the pauses are short, no more */
	uint64_t most_ms = 200u << f->attempt;
	uv_timer_start(&f->timer, pause_over, most_ms * random / UINT16_MAX, 0);
	return true;
}

/* True: the clocks differ by more than was thought. */
static bool learn_skew(struct credential_fetch *f, const struct http_response *response)
{
	const char *date = http_header(response, "date");
	time_t server = date ? curl_getdate(date, NULL) : -1;
	if (server == -1)
		return false;
	int64_t ahead_ms = (int64_t)server * 1000 - now_ms(f), before_ms = f->skew_ms;
	if (ahead_ms > -SKEW_MS && ahead_ms < SKEW_MS)
		ahead_ms = 0;
	f->skew_ms = ahead_ms;
	return ahead_ms - before_ms > SKEW_MS || before_ms - ahead_ms > SKEW_MS;
}

static void answered_instance(struct credential_fetch *f, const struct http_response *response)
{
	struct error err;
	struct aws_keys keys;
	const char *text = arena_strndup(&f->arena, response->body.ptr, strcspn(buf_str(&response->body), "\r\n"));
	if (!f->instance_token) {
		f->instance_token = text;
	} else if (!f->instance_role) {
		if (!text[0] || strpbrk(text, "/?#% ")) {
			error_set(&err, 0, "it names no role");
			fail(f, &err);
			return;
		}
		f->instance_role = text;
	} else if (credential_answer_keys(CREDENTIAL_OF_METADATA, buf_slice(&response->body), &f->arena, &keys, &err) ==
		   0) {
		got_keys(f, keys);
		return;
	} else {
		fail(f, &err);
		return;
	}
	run(f);
}

static void answered_well(struct credential_fetch *f, const struct http_response *response)
{
	struct error err;
	struct aws_keys keys;
	enum credential_kind kind = current(f)->kind;
	if (kind == CREDENTIAL_INSTANCE) {
		answered_instance(f, response);
		return;
	}
	enum credential_shape shape = kind == CREDENTIAL_SSO	     ? CREDENTIAL_OF_SSO
				      : kind == CREDENTIAL_CONTAINER ? CREDENTIAL_OF_METADATA
								     : CREDENTIAL_OF_STS;
	if (credential_answer_keys(shape, buf_slice(&response->body), &f->arena, &keys, &err) == 0)
		got_keys(f, keys);
	else
		fail(f, &err);
}

static bool is_transient(int status, const char *code)
{
	static const char *const codes[] = { "Throttling", "ThrottlingException", "TooManyRequestsException",
		"RequestLimitExceeded", "IDPCommunicationError" };
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return status >= 500 || status == 429;
}

/* "HTTP 403 AccessDenied: …"; returns the code. */
static const char *say_answer(struct credential_fetch *f, const struct http_response *response, struct error *err)
{
	const char *code, *message;
	credential_answer_error(buf_slice(&response->body), &f->arena, &code, &message);
	error_set(
		err, 0, "HTTP %d%s%s%s%s", response->status, code[0] ? " " : "", code, message[0] ? ": " : "", message);
	return code;
}

static void answered_badly(struct credential_fetch *f, const struct http_response *response)
{
	const struct credential_source *source = current(f);
	struct error err;
	const char *code = say_answer(f, response, &err);
	if (is_transient(response->status, code) && try_again(f))
		return;
	if (source->kind == CREDENTIAL_SSO && response->status == 401)
		advise_login(source, &err);
	else if (source->kind == CREDENTIAL_ROLE)
		error_wrap(
			&err, "STS refuses (so it will `aws sts get-caller-identity --profile %s`)", source->profile);
	else if (source->kind == CREDENTIAL_WEB_IDENTITY)
		error_wrap(&err, "STS refuses (is this issuer in the role's trust policy?)");
	else if (source->kind == CREDENTIAL_INSTANCE && response->status == 404)
		error_wrap(&err, "this instance has no role");
	fail(f, &err);
}

static void not_answered(struct credential_fetch *f, const struct error *reason)
{
	struct error err = *reason;
	if (!try_again(f))
		fail(f, &err);
}

/* The new token goes where the old one was, as the tools do it: they may not be able to use the old one any more. */
static void answered_sso_token(
	struct credential_fetch *f, const struct http_response *response, const struct error *reason)
{
	struct error err;
	const char *file;
	struct slice before = slice_str(f->sso_file);
	f->sso_file = NULL;
	f->attempt = 0;
	if (!response)
		err = *reason;
	else if (response->status != 200)
		say_answer(f, response, &err);
	else if (credential_answer_sso_refreshed(
			 before, buf_slice(&response->body), now_ms(f), &f->arena, &f->sso, &file, &err) == 0) {
		if (file_replace(current(f)->sso_cache_file, slice_str(file), 0600, &err) < 0)
			fail(f, &err);
		else
			ask_sso_keys(f);
		return;
	}
	if (f->sso.expires_ms > now_ms(f)) { /* the old one will do */
		ask_sso_keys(f);
		return;
	}
	advise_login(current(f), &err);
	fail(f, &err);
}

static void answered(void *ctx, struct http_response *response, bool sent, const struct error *err)
{
	struct credential_fetch *f = ctx;
	f->op = NULL;
	if (f->sso_file) {
		answered_sso_token(f, response, err);
		return;
	}
	if (!response) {
		not_answered(f, err);
		return;
	}
	/* A wrong clock is mended once: the next request has the server's time. */
	bool signed_wrongly = learn_skew(f, response) && response->status / 100 == 4 &&
			      current(f)->kind == CREDENTIAL_ROLE;
	if (signed_wrongly && f->attempt < ATTEMPTS)
		run(f);
	else if (response->status == 200)
		answered_well(f, response);
	else
		answered_badly(f, response);
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

static void begin(uv_timer_t *timer)
{
	struct credential_fetch *f = timer->data;
	struct error err;
	const struct credential_source *last;
	const struct aws_config *model = f->model;
	if (aws_config_load(model->profile_named ? model->profile : NULL, model->region, model->environment, &f->config,
		    &err) < 0 ||
		credential_plan(&f->config, &f->arena, &last, &err) < 0) {
		finish(f, NULL, &err);
		return;
	}
	for (const struct credential_source *source = last; source; source = source->base)
		f->n++;
	f->chain = arena_array(&f->arena, const struct credential_source *, f->n);
	size_t i = f->n;
	for (const struct credential_source *source = last; source; source = source->base)
		f->chain[--i] = source;
	run(f);
}

struct credential_fetch *credential_fetch_start(uv_loop_t *loop, struct http *http, const struct aws_config *config,
	struct credential_clock clock, credential_fetch_fn *fn, void *ctx)
{
	struct credential_fetch *f = calloc(1, sizeof(*f));
	if (!f)
		abort();
	*f = (struct credential_fetch){
		.loop = loop, .http = http, .model = config, .clock = clock, .fn = fn, .ctx = ctx, .arena = ARENA_INIT
	};
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	uv_timer_start(&f->timer, begin, 0, 0);
	return f;
}

void credential_fetch_cancel(struct credential_fetch *f)
{
	if (!f || !f->fn)
		return;
	f->fn = NULL;
	if (f->op)
		http_cancel(f->op);
	process_cancel(f->process);
	uv_close((uv_handle_t *)&f->timer, timer_closed);
}
