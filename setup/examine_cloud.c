#include "setup/examine.h"

#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

#include "aws/ecr.h"
#include "aws/functions.h"
#include "aws/lambda.h"
#include "aws/s3.h"
#include "aws/s3_bucket.h"
#include "aws/sts.h"
#include "exec/lambda_wire.h"
#include "setup/bootstrap.h"
#include "setup/stack.h"
#include "setup/template.h"
#include "wire/job.h"

enum {
	SKEW_S = 60,
	EXPIRY_SOON_S = 15 * 60,
	INVOKE_MS = 120 * 1000, /* the first start of a new image takes a while */
	CONCURRENCY_FEW = 100,
	MEMORY_FEW_MB = 1024,	  /* a large C++ file takes as much */
	OBJECTS_COUNTED = 100000, /* 100 requests */
};

/* What the repository keeps, at most: three images (setup/template.json) of 20 MB. */
#define IMAGES_GB 0.06

static const char concurrency_remedy[] =
	"ask for more, which is free: Service Quotas, AWS Lambda, \"Concurrent executions\" (quota code L-B99A9384)";

bool examine_wants_cloud(const struct config *config)
{
	return config->engine == CONFIG_ENGINE_LAMBDA || config->function || config->bucket;
}

/* What a check of the cloud has at hand. */
struct cloud_check {
	struct examiner *examiner;
	const struct config *config; /* NULL: none is asked */
	struct aws_session *session;
	struct arena arena;
	const char *account;
};

/* Verdict of what builds need: without it they fail over to this machine, if the cloud is what is configured. */
static enum examine_verdict verdict_of(const struct cloud_check *check)
{
	return check->config->engine == CONFIG_ENGINE_LAMBDA ? EXAMINE_FAILED : EXAMINE_WARNING;
}

/* ---- credentials ---- */

struct keys_wait {
	struct credentials_waiter waiter;
	struct arena *arena;
	const char *source, *access_key; /* NULL: there are none, and `err` says why */
	int64_t expires_ms;
	struct error err;
	bool done;
};

static void take_keys(struct keys_wait *wait, const struct aws_keys *keys)
{
	wait->source = arena_strdup(wait->arena, keys->source);
	wait->access_key = arena_strdup(wait->arena, keys->access_key);
	wait->expires_ms = keys->expires_ms;
	wait->done = true;
}

static void on_keys(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err)
{
	struct keys_wait *wait = (struct keys_wait *)waiter; /* it is the first member */
	if (keys)
		take_keys(wait, keys);
	else
		wait->err = *err;
	wait->done = true;
}

static void describe_expiry(int64_t expires_ms, struct buf *to)
{
	time_t when = (time_t)(expires_ms / 1000);
	struct tm local;
	char text[40];
	if (expires_ms && localtime_r(&when, &local) && strftime(text, sizeof(text), "%F %T %Z", &local) > 0)
		buf_printf(to, ", good until %s", text);
}

static bool examine_credentials(struct cloud_check *check)
{
	struct keys_wait wait = { .waiter.fn = on_keys, .arena = &check->arena };
	const struct aws_keys *keys = credentials_get(aws_credentials(check->session->aws), &wait.waiter);
	if (keys)
		take_keys(&wait, keys);
	while (!wait.done)
		uv_run(&check->session->loop, UV_RUN_ONCE);
	struct error err;
	struct sts_identity identity;
	if (!wait.source) {
		examine_tell(check->examiner, "credentials", verdict_of(check),
			"`aws configure`, `aws sso login`, or LLAMA_AWS_PROFILE, as your organisation has it", "%s",
			wait.err.text);
		return false;
	}
	_cleanup_buf_ struct buf until = { 0 };
	describe_expiry(wait.expires_ms, &until);
	if (sts_get_caller_identity(check->session, &check->arena, &identity, &err) < 0) {
		examine_tell(check->examiner, "credentials", verdict_of(check), NULL, "%s (key %.8s… from %s%s)",
			err.text, wait.access_key, wait.source, buf_str(&until));
		return false;
	}
	check->account = identity.account;
	bool soon = wait.expires_ms && wait.expires_ms / 1000 - time(NULL) < EXPIRY_SOON_S;
	examine_tell(check->examiner, "credentials", soon ? EXAMINE_WARNING : EXAMINE_OK,
		soon ? "log in anew if nothing does so by itself; the daemon finds what files say then" : NULL,
		"%s, from %s%s", identity.arn, wait.source, buf_str(&until));
	return true;
}

static void examine_clock(struct cloud_check *check)
{
	int64_t skew_s = aws_now_s(check->session->aws) - (int64_t)time(NULL);
	if (skew_s > SKEW_S || skew_s < -SKEW_S)
		examine_tell(check->examiner, "clock", EXAMINE_WARNING,
			"set this machine's clock (NTP); until then each first request is refused, and repeated",
			"this machine's clock is %" PRId64 " s %s AWS's", skew_s > 0 ? skew_s : -skew_s,
			skew_s > 0 ? "behind" : "ahead of");
	else
		examine_tell(check->examiner, "clock", EXAMINE_OK, NULL, "as AWS's");
}

/* ---- bucket ---- */

struct s3_wait {
	int outcome;
	struct error err;
	struct slice expected;
	bool done, same;
};

static void on_object(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct s3_wait *wait = ctx;
	wait->outcome = outcome;
	wait->same = outcome == 0 && slice_equal(buf_slice(body), wait->expected);
	if (outcome < 0)
		wait->err = *err;
	wait->done = true;
}

static int wait_for(struct cloud_check *check, struct s3_wait *wait)
{
	while (!wait->done)
		uv_run(&check->session->loop, UV_RUN_ONCE);
	return wait->outcome;
}

static bool examine_objects(struct cloud_check *check)
{
	static const char text[] = "written by llama doctor\n",
			  remedy[] = "the managed policy of `llama status` (BuilderPolicy) has what builders need; an "
				     "administrator attaches it";
	struct s3_bucket bucket = { check->session->aws, check->config->bucket, "" };
	struct s3_wait put = { 0 }, get = { .expected = slice_str(text) };
	s3_put(&bucket, EXAMINE_PROBE_KEY, slice_str(text), false, on_object, &put);
	if (wait_for(check, &put) < 0) {
		examine_tell(check->examiner, "bucket", verdict_of(check), put.err.code == EACCES ? remedy : NULL,
			"cannot write: %s", put.err.text);
		return false;
	}
	s3_get(&bucket, EXAMINE_PROBE_KEY, 0, 0, on_object, &get);
	int outcome = wait_for(check, &get);
	if (!get.same) {
		examine_tell(check->examiner, "bucket", verdict_of(check), get.err.code == EACCES ? remedy : NULL,
			"cannot read what was written: %s",
			outcome < 0   ? get.err.text
			: outcome > 0 ? "it isn't there"
				      : "it is something else");
		return false;
	}
	examine_tell(check->examiner, "bucket", EXAMINE_OK, NULL, "%s can be read and written", check->config->bucket);
	return true;
}

static bool examine_bucket(struct cloud_check *check)
{
	const char *bucket = check->config->bucket, *region = NULL;
	if (!bucket) {
		examine_tell(check->examiner, "bucket", verdict_of(check), "`llama bootstrap`, or set bucket",
			"none is configured");
		return false;
	}
	struct error err;
	switch (s3_bucket_exists(check->session, bucket, &check->arena, &region, &err)) {
	case 0:
		return examine_objects(check);
	case S3_BUCKET_ABSENT:
		examine_tell(check->examiner, "bucket", verdict_of(check),
			"`llama bootstrap` makes one, or goes on where it was; or correct bucket", "%s doesn't exist",
			bucket);
		return false;
	case S3_BUCKET_ELSEWHERE:
		examine_tell(check->examiner, "bucket", verdict_of(check),
			"correct region or bucket: they belong together, and `llama bootstrap` writes both",
			"%s is in %s, and region is %s", bucket, region, check->session->config.region);
		return false;
	default:
		examine_tell(check->examiner, "bucket", verdict_of(check), NULL, "%s", err.text);
		return false;
	}
}

/* ---- function ---- */

static bool tell_state(struct examiner *examiner, const struct function *function, enum examine_verdict bad)
{
	if (strcmp(function->state, "Failed") == 0)
		examine_tell(examiner, "function", bad, "`llama bootstrap` gives it its image again",
			"its image can't be run: %s (%s)", function->state_reason, function->state_reason_code);
	else if (strcmp(function->update_status, "Failed") == 0)
		examine_tell(examiner, "function", EXAMINE_WARNING, "`llama bootstrap` tries again",
			"its last update failed, and what was before is used: %s (%s)", function->update_reason,
			function->update_reason_code);
	else if (strcmp(function->state, "Pending") == 0 || strcmp(function->update_status, "InProgress") == 0)
		examine_tell(examiner, "function", EXAMINE_WARNING, "wait a minute", "it is being updated");
	else if (strcmp(function->state, "Inactive") == 0)
		examine_tell(examiner, "function", EXAMINE_OK, NULL,
			"inactive, as nobody used it for weeks: the first compilation wakes it, which takes a minute");
	else
		examine_tell(examiner, "function", EXAMINE_OK, NULL, "%s, %u MB, %u s, %s", function->arn,
			function->memory_mb, function->timeout_s, function->architecture);
	return strcmp(function->state, "Failed") != 0;
}

static void tell_release(struct examiner *examiner, const struct function *function)
{
	const char *release = environment_release(function);
	if (!release)
		examine_tell(examiner, "image", EXAMINE_SKIPPED, NULL,
			"%.19s: the function doesn't say of which llama it is", function->image_digest);
	else if (strcmp(release, LLAMA_VERSION) != 0)
		examine_tell(examiner, "image", EXAMINE_WARNING,
			"`llama bootstrap` updates it; it serves everybody who builds with it",
			"it is of llama %s, and this is %s", release, LLAMA_VERSION);
	else
		examine_tell(
			examiner, "image", EXAMINE_OK, NULL, "of llama %s, %.19s", release, function->image_digest);
	if (function->memory_mb < MEMORY_FEW_MB)
		examine_tell(examiner, "memory", EXAMINE_WARNING,
			"`llama bootstrap --memory 1769`, if the account allows it: that is one whole processor",
			"%u MB: large files will not fit and be compiled here, the others take longer",
			function->memory_mb);
}

static bool look_at_function(
	struct examiner *examiner, struct aws_session *session, const char *name, enum examine_verdict bad)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct function function;
	struct error err;
	int outcome = function_get(session, name, &arena, &function, &err);
	if (outcome == FUNCTION_ABSENT) {
		examine_tell(examiner, "function", bad,
			"`llama bootstrap` makes it, or goes on where it was; or correct function and region",
			"there is no %s in %s", name, session->config.region);
		return false;
	}
	if (outcome < 0 && err.code == EACCES) {
		/* Who may invoke it need not be allowed to look at it. */
		examine_tell(examiner, "function", EXAMINE_SKIPPED, NULL, "%s", err.text);
		return true;
	}
	if (outcome < 0) {
		examine_tell(examiner, "function", bad, NULL, "%s", err.text);
		return false;
	}
	if (!tell_state(examiner, &function, bad))
		return false;
	tell_release(examiner, &function);
	return true;
}

/* ---- invocation ---- */

struct invocation {
	const struct exec_job *job;
	const uint8_t *id;
	enum examine_verdict bad;
	struct examiner *examiner;
	bool done;
};

static void judge_answer(struct invocation *invocation, struct slice payload)
{
	struct lambda_answer answer = { 0 };
	struct exec_result result = { 0 };
	struct error err;
	if (lambda_wire_answer(payload, invocation->id, invocation->job, &answer, &result, &err) < 0)
		examine_tell(invocation->examiner, "invocation", invocation->bad,
			"`llama bootstrap` gives the function this llama's image", "%s", err.text);
	else if (answer.kind == LAMBDA_ANSWER_MISSING)
		examine_tell(invocation->examiner, "invocation", EXAMINE_OK, NULL,
			"the function answers, understands this llama, and sees the bucket");
	else
		examine_tell(invocation->examiner, "invocation", invocation->bad,
			"`llama bootstrap` mends the function's role; a bucket of your own needs to let it in "
			"(docs/LAMBDA.md)",
			"the function answers, but can't look into the bucket: %s",
			answer.error ? answer.error : "it says otherwise");
	lambda_answer_deinit(&answer);
	exec_result_deinit(&result);
}

static void on_answer(void *ctx, const struct lambda_result *result, const struct error *err)
{
	struct invocation *invocation = ctx;
	invocation->done = true;
	if (result->outcome == LAMBDA_OK)
		judge_answer(invocation, result->payload);
	else if (result->outcome == LAMBDA_THROTTLED)
		examine_tell(invocation->examiner, "invocation", EXAMINE_WARNING, concurrency_remedy,
			"the account is busy: %s", err->text);
	else if (strcmp(result->reason, JOB_ERROR_VERSION) == 0)
		examine_tell(invocation->examiner, "invocation", invocation->bad,
			"`llama bootstrap` gives the function this llama's image", "%s", err->text);
	else
		examine_tell(invocation->examiner, "invocation", invocation->bad, NULL, "%s", err->text);
}

/* A job whose input nobody has. A function that is well asks the bucket for it and answers that it is missing: so it was started, has our version, and
 * its role may read the bucket. */
static void examine_invocation(struct cloud_check *check)
{
	uint8_t id[LAMBDA_ID_BYTES], nonce[16];
	bool custom;
	struct error err;
	if (getrandom(id, sizeof(id), 0) != sizeof(id) || getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce)) {
		examine_tell(
			check->examiner, "invocation", EXAMINE_SKIPPED, NULL, "no random bytes: %s", strerror(errno));
		return;
	}
	const char *endpoint = aws_config_endpoint(&check->session->config, "s3", &check->arena, &custom);
	struct exec_job job = {
		.argv = (const char *const[]){ "/llama-doctor", NULL },
		.env = (const char *const[]){ NULL },
		.cwd = "/",
		.root = digest_of(slice_of(nonce, sizeof(nonce))),
	};
	struct lambda_place place = { check->config->bucket, "", check->session->config.region,
		custom ? endpoint : "" };
	struct lambda_parcel parcel = { .job = &job, .place = &place, .timeout_ms = INVOKE_MS };
	memcpy(parcel.id, id, sizeof(id));
	_cleanup_buf_ struct buf payload = { 0 };
	struct digest missing;
	if (lambda_wire_job(&parcel, NULL, &payload, &missing, &err) != 0) {
		examine_tell(check->examiner, "invocation", EXAMINE_SKIPPED, NULL, "%s", err.text);
		return;
	}
	struct invocation invocation = { .job = &job, .id = id, .bad = verdict_of(check), .examiner = check->examiner };
	lambda_invoke(check->session->aws, check->config->function, buf_slice(&payload), false, INVOKE_MS, on_answer,
		&invocation);
	while (!invocation.done)
		uv_run(&check->session->loop, UV_RUN_ONCE);
}

static void examine_concurrency(struct examiner *examiner, struct aws_session *session)
{
	struct account_limits limits;
	struct error err;
	if (account_limits(session, &limits, &err) < 0)
		examine_tell(examiner, "limit", EXAMINE_SKIPPED, NULL, "%s", err.text);
	else if (limits.concurrency < CONCURRENCY_FEW)
		examine_tell(examiner, "limit", EXAMINE_WARNING, concurrency_remedy,
			"this account runs %u functions at once in this region, so at most %u files are compiled at "
			"once",
			limits.concurrency, limits.concurrency);
	else
		examine_tell(examiner, "limit", EXAMINE_OK, NULL, "%u functions at once", limits.concurrency);
}

/* ---- all of it ---- */

static void examine_services(struct cloud_check *check)
{
	if (!check->session->config.region) {
		examine_tell(
			check->examiner, "region", verdict_of(check), "set region, or AWS_REGION", "none is known");
		return;
	}
	examine_tell(check->examiner, "region", EXAMINE_OK, NULL, "%s", check->session->config.region);
	bool known = examine_credentials(check);
	examine_clock(check);
	if (!known)
		return;
	bool bucket = examine_bucket(check);
	if (!check->config->function) {
		examine_tell(check->examiner, "function", verdict_of(check), "`llama bootstrap`, or set function",
			"none is configured");
		return;
	}
	if (look_at_function(check->examiner, check->session, check->config->function, verdict_of(check)) && bucket)
		examine_invocation(check);
	examine_concurrency(check->examiner, check->session);
}

void examine_cloud(struct examiner *examiner, const struct config *config, char *const *environment)
{
	struct aws_session session;
	struct cloud_check check = { .examiner = examiner, .config = config, .session = &session, .arena = ARENA_INIT };
	struct error err;
	examiner->area = "cloud";
	if (aws_session_open(config->profile, config->region, environment, &session, &err) < 0) {
		examine_tell(examiner, "configuration", verdict_of(&check), NULL, "%s", err.text);
		return;
	}
	examine_services(&check);
	aws_session_close(&session);
	arena_deinit(&check.arena);
}

/* ---- an environment ---- */

static void tell_stack(struct examiner *examiner, const struct environment_state *state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *status = state->stack.status;
	if (!state->has_stack) {
		examine_tell(examiner, "stack", EXAMINE_FAILED, "`llama bootstrap` makes it anew",
			"there is none, but a function");
		return;
	}
	switch (stack_needs(state, template_version(&arena))) {
	case STACK_NEEDS_NOTHING:
		examine_tell(examiner, "stack", EXAMINE_OK, NULL, "%s, %s", state->stack.name, status);
		break;
	case STACK_NEEDS_UPDATE:
		examine_tell(examiner, "stack", EXAMINE_WARNING, "`llama bootstrap` updates it",
			"%s, %s: it is of another template than this llama's", state->stack.name, status);
		break;
	case STACK_NEEDS_PATIENCE:
		examine_tell(examiner, "stack", EXAMINE_WARNING, "wait; `llama bootstrap` shows how it goes on",
			"%s, %s: something is being done with it", state->stack.name, status);
		break;
	case STACK_NEEDS_CREATION:
	case STACK_NEEDS_REPLACEMENT:
		examine_tell(examiner, "stack", EXAMINE_FAILED, "`llama bootstrap` makes it anew", "%s, %s: %s",
			state->stack.name, status, state->stack.status_reason);
		break;
	case STACK_NEEDS_HELP:
		examine_tell(examiner, "stack", EXAMINE_FAILED,
			"see its events in the AWS console (CloudFormation); `llama teardown` removes what it can",
			"%s, %s: %s", state->stack.name, status, state->stack.status_reason);
		break;
	}
}

struct list_wait {
	struct error err;
	uint64_t bytes;
	size_t n;
	int outcome;
	bool done;
};

static void on_list(void *ctx, int outcome, const struct s3_key *keys, size_t n, const struct error *err)
{
	struct list_wait *wait = ctx;
	for (size_t i = 0; outcome == 0 && i < n; i++)
		wait->bytes += (uint64_t)keys[i].size_bytes;
	if (outcome < 0)
		wait->err = *err;
	wait->outcome = outcome;
	wait->n = n;
	wait->done = true;
}

static void tell_bucket_and_cost(struct examiner *examiner, struct aws_session *session, const char *name)
{
	struct s3_bucket bucket = { session->aws, name, "" };
	struct list_wait wait = { 0 };
	s3_list(&bucket, "", NULL, OBJECTS_COUNTED, on_list, &wait);
	while (!wait.done)
		uv_run(&session->loop, UV_RUN_ONCE);
	if (wait.outcome != 0) {
		examine_tell(examiner, "bucket", wait.err.code == EACCES ? EXAMINE_SKIPPED : EXAMINE_FAILED,
			wait.err.code == EACCES ? NULL : "`llama bootstrap` says more", "%s: %s", name,
			wait.outcome < 0 ? wait.err.text : "it isn't there");
		return;
	}
	const char *more = wait.n >= OBJECTS_COUNTED ? "more than " : "";
	examine_tell(examiner, "bucket", EXAMINE_OK, NULL,
		"%s: %s%zu objects, %.1f MB, each gone 45 days after it was put there", name, more, wait.n,
		(double)wait.bytes / 1e6);
	examine_tell(examiner, "idle cost", EXAMINE_OK, NULL,
		"about $%.2f a month: $%.2f for images of at most %.0f MB, %s$%.2f for what is in the bucket",
		IMAGES_GB * ECR_DOLLARS + (double)wait.bytes / 1e9 * S3_DOLLARS, IMAGES_GB * ECR_DOLLARS,
		IMAGES_GB * 1000, more, (double)wait.bytes / 1e9 * S3_DOLLARS);
}

int examine_environment(struct examiner *examiner, struct aws_session *session, const struct environment *environment,
	struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct environment_state state;
	const char *uri;
	examiner->area = "cloud";
	if (environment_read(session, environment, &arena, &state, err) < 0)
		return -1;
	if (!state.has_stack && !state.has_function)
		return EXAMINE_ABSENT;
	tell_stack(examiner, &state);
	struct error why;
	int outcome = state.repository ? ecr_describe_repository(session, state.repository, &arena, &uri, &why)
				       : ECR_ABSENT;
	if (outcome < 0)
		examine_tell(examiner, "repository", why.code == EACCES ? EXAMINE_SKIPPED : EXAMINE_WARNING, NULL, "%s",
			why.text);
	else
		examine_tell(examiner, "repository", outcome == 0 ? EXAMINE_OK : EXAMINE_FAILED,
			outcome == 0 ? NULL : "`llama teardown` and `llama bootstrap` make it anew", "%s",
			outcome == 0 ? uri : "there is none");
	look_at_function(examiner, session, environment->function, EXAMINE_FAILED);
	examine_concurrency(examiner, session);
	if (state.policy)
		examine_tell(examiner, "policy", EXAMINE_OK, NULL, "%s, for people who only build", state.policy);
	if (state.bucket)
		tell_bucket_and_cost(examiner, session, state.bucket);
	return 0;
}
