#include "aws/session.h"

#include <stdio.h>

#include "aws/form.h"
#include "aws/s3_answer.h"

int aws_session_open(const char *profile, const char *region, char *const *environment, struct aws_session *ret, struct error *err)
{
	*ret = (struct aws_session){ 0 };
	if (aws_config_load(profile, region, environment, &ret->config, err) < 0)
		goto fail;
	int rc = uv_loop_init(&ret->loop);
	if (rc < 0) {
		error_set(err, 0, "cannot make an event loop: %s", uv_strerror(rc));
		goto fail;
	}
	ret->aws = aws_new(&ret->loop, &ret->config, err);
	if (ret->aws)
		return 0;
	uv_run(&ret->loop, UV_RUN_DEFAULT);
	uv_loop_close(&ret->loop);
fail:
	aws_config_deinit(&ret->config);
	*ret = (struct aws_session){ 0 };
	return -1;
}

void aws_session_close(struct aws_session *session)
{
	if (!session || !session->aws)
		return;
	aws_free(session->aws);
	uv_run(&session->loop, UV_RUN_DEFAULT); /* its handles close */
	uv_loop_close(&session->loop);
	aws_config_deinit(&session->config);
	*session = (struct aws_session){ 0 };
}

/* An answer that is waited for. */
struct asking {
	uv_loop_t *loop;
	struct arena *arena;
	struct aws_reply reply;
	struct error error;
	int rc;
	bool done;
};

static void on_answer(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct asking *asking = ctx;
	asking->done = true;
	uv_stop(asking->loop); /* else it would wait for one thing more */
	if (!answer) {
		asking->error = *err;
		asking->rc = -1;
		return;
	}
	struct arena *arena = asking->arena;
	const struct buf *body = &answer->response->body;
	const char *region = http_header(answer->response, "x-amz-bucket-region");
	asking->reply = (struct aws_reply){
		.status = answer->status,
		.code = arena_strdup(arena, answer->code),
		.message = arena_strdup(arena, answer->message),
		.body = slice_of(arena_strndup(arena, buf_str(body), body->len), body->len),
		.region = region && s3_is_region(region) ? arena_strdup(arena, region) : "",
	};
}

int aws_ask(struct aws_session *session, const struct aws_call *call, struct arena *arena, struct aws_reply *ret, struct error *err)
{
	struct asking asking = { .loop = &session->loop, .arena = arena };
	aws_start(session->aws, call, on_answer, &asking);
	while (!asking.done)
		uv_run(&session->loop, UV_RUN_DEFAULT);
	if (asking.rc < 0) {
		if (err)
			*err = asking.error;
		return -1;
	}
	*ret = asking.reply;
	return 0;
}

int aws_ask_form(struct aws_session *session, const char *service, const struct buf *form, struct arena *arena, struct aws_reply *ret, struct error *err)
{
	const struct aws_pair type = { "Content-Type", FORM_TYPE };
	return aws_ask(session,
		&(struct aws_call){ .service = service, .method = "POST", .path = "/", .headers = &type, .n_headers = 1, .body = buf_slice(form) }, arena, ret, err);
}

int aws_ask_json(struct aws_session *session, const char *service, const char *target, const char *json, struct arena *arena, struct aws_reply *ret,
	struct error *err)
{
	const struct aws_pair headers[] = { { "Content-Type", "application/x-amz-json-1.1" }, { "X-Amz-Target", target } };
	return aws_ask(session,
		&(struct aws_call){ .service = service, .method = "POST", .path = "/", .headers = headers, .n_headers = 2, .body = slice_str(json) }, arena, ret,
		err);
}

/* Error answers. */

static bool is_one_of(const char *code, const char *const *codes)
{
	for (; *codes; codes++)
		if (strcmp(code, *codes) == 0)
			return true;
	return false;
}

static const char *const expired[] = { "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", NULL };
static const char *const bad_credentials[] = { "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken",
	"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
	"MissingAuthenticationTokenException", "RequestExpired", "RequestTimeTooSkewed", "AuthFailure", "NotAuthorized", NULL };
static const char *const throttled[] = { "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", NULL };
static const char *const quota[] = { "LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException", "CodeStorageExceededException",
	"TooManyBuckets", NULL };

/* "User: … is not authorized to perform: iam:PassRole on resource: …": the words after `mark`, up to a space; or NULL. */
static const char *named_after(const char *message, const char *mark, struct arena *arena)
{
	const char *at = strstr(message, mark);
	if (!at)
		return NULL;
	at += strlen(mark);
	size_t n = strcspn(at, " ,");
	return n ? arena_strndup(arena, at, n) : NULL;
}

static int refuse_permission(const struct aws_reply *reply, const char *said, const char *action, const char *what, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *named = named_after(reply->message, "to perform: ", &arena);
	const char *resource = named ? named_after(reply->message, "on resource: ", &arena) : NULL;
	bool one = resource && strcmp(resource, "*") != 0;
	const char *remedy = strstr(reply->message, "explicit deny")
				     ? "a policy denies it explicitly, which only whoever made that policy can change"
				     : "let an administrator add it to your user's or role's policies";
	return error_say(err, EACCES, "cannot %s: these credentials lack the permission %s%s%.160s: %s. AWS says: %.140s", what, named ? named : action,
		one ? " on " : "", one ? resource : "", remedy, said);
}

int aws_refused(const struct aws_reply *reply, const char *action, const char *what, struct error *err)
{
	const char *code = reply->code, *message = reply->message;
	char said[360];
	if (*code || *message)
		snprintf(said, sizeof said, "%s%s%.300s", code, *code && *message ? ": " : "", message);
	else
		snprintf(said, sizeof said, "status %d, without a word", reply->status);
	if (is_one_of(code, expired))
		return error_say(err, EACCES,
			"cannot %s: the credentials have expired (%s): renew them (`aws sso login`, `aws login`, or wherever they come from)", what, said);
	if (is_one_of(code, bad_credentials))
		return error_say(err, EACCES,
			"cannot %s: the credentials are refused (%s): see that they are whole and of this account, that this machine's clock is right, and "
			"that the region is enabled for the account",
			what, said);
	if (strcmp(code, "OptInRequired") == 0)
		return error_say(err, EACCES, "cannot %s: the account isn't ready for it (%s): finish its sign-up, or enable the region for it", what, said);
	if (is_one_of(code, throttled) || reply->status == 429)
		return error_say(err, EAGAIN, "cannot %s: AWS takes no more requests at present (%s): again in a minute", what, said);
	if (is_one_of(code, quota))
		return error_say(err, EDQUOT,
			"cannot %s: a quota of the account is reached (%s): raise it in the Service Quotas console, or remove what isn't needed", what, said);
	if (reply->status == 401 || reply->status == 403 || strstr(code, "AccessDenied") || strstr(code, "Unauthorized"))
		return refuse_permission(reply, said, action, what, err);
	if (reply->status >= 500)
		return error_say(
			err, EIO, "cannot %s: AWS has trouble (%s): again in some minutes; health.aws.amazon.com tells of it", what, said);
	return error_say(err, reply->status == 404 ? ENOENT : reply->status == 409 ? EBUSY : EINVAL, "cannot %s: AWS says: %s", what, said);
}

static void on_closed(uv_handle_t *handle)
{
	bool *over = handle->data;
	*over = true;
	uv_stop(handle->loop);
}

static void on_timer(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, on_closed);
}

void aws_wait(struct aws_session *session, int64_t ms)
{
	const struct aws_hooks *hooks = aws_hooks(session->aws);
	bool over = false;
	uv_timer_t timer;
	uv_timer_init(&session->loop, &timer);
	uv_update_time(&session->loop);
	timer.data = &over;
	uv_timer_start(&timer, on_timer, (uint64_t)(hooks->pause_ms ? hooks->pause_ms(hooks->ctx, ms) : ms), 0);
	while (!over)
		uv_run(&session->loop, UV_RUN_DEFAULT);
}
