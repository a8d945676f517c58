#include "aws/functions.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum {
	LOOK_MS = 1000,
	LOOKS_MAX = 600,
	LOOKS_ABSENT_MAX = 10, /* a function that was made just now may not be seen everywhere yet */
};

/* Answers. */

static const char *text(const json_t *object, const char *key, struct arena *arena)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? arena_strdup(arena, s) : "";
}

static unsigned count(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));
	return n < 0 || n > UINT32_MAX ? 0 : (unsigned)n;
}

static void read_pairs(json_t *object, struct arena *arena, struct aws_pair **ret, size_t *ret_n)
{
	const char *key;
	json_t *value;
	*ret_n = 0;
	*ret = arena_array(arena, struct aws_pair, json_object_size(object));
	json_object_foreach(object, key, value)
		if (json_is_string(value))
			(*ret)[(*ret_n)++] = (struct aws_pair){ arena_strdup(arena, key), arena_strdup(arena, json_string_value(value)) };
}

int function_read(struct slice body, struct arena *arena, struct function *ret, struct error *err)
{
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	const json_t *configuration = json_object_get(answer, "Configuration"), *code = json_object_get(answer, "Code");
	if (!json_is_object(configuration))
		return error_say(err, EBADMSG, "Lambda's answer is no function");
	const char *resolved = text(code, "ResolvedImageUri", arena), *digest = strrchr(resolved, '@');
	*ret = (struct function){
		.arn = text(configuration, "FunctionArn", arena),
		.state = text(configuration, "State", arena),
		.state_reason = text(configuration, "StateReason", arena),
		.state_reason_code = text(configuration, "StateReasonCode", arena),
		.update_status = text(configuration, "LastUpdateStatus", arena),
		.update_reason = text(configuration, "LastUpdateStatusReason", arena),
		.update_reason_code = text(configuration, "LastUpdateStatusReasonCode", arena),
		.image_uri = text(code, "ImageUri", arena),
		.image_digest = digest ? digest + 1 : "",
		.role = text(configuration, "Role", arena),
		.memory_mb = count(configuration, "MemorySize"),
		.timeout_s = count(configuration, "Timeout"),
		.storage_mb = count(json_object_get(configuration, "EphemeralStorage"), "Size"),
	};
	const char *architecture = json_string_value(json_array_get(json_object_get(configuration, "Architectures"), 0));
	ret->architecture = architecture ? arena_strdup(arena, architecture) : "x86_64"; /* what it is where none is said */
	read_pairs(json_object_get(json_object_get(configuration, "Environment"), "Variables"), arena, &ret->environment, &ret->n_environment);
	read_pairs(json_object_get(answer, "Tags"), arena, &ret->tags, &ret->n_tags);
	return 0;
}

int account_read_limits(struct slice body, struct account_limits *ret, struct error *err)
{
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	const json_t *limit = json_object_get(answer, "AccountLimit");
	if (!json_is_integer(json_object_get(limit, "ConcurrentExecutions")))
		return error_say(err, EBADMSG, "Lambda's answer names no limit of concurrency");
	json_int_t bytes = json_integer_value(json_object_get(limit, "TotalCodeSize"));
	*ret = (struct account_limits){
		.concurrency = count(limit, "ConcurrentExecutions"),
		.unreserved = count(limit, "UnreservedConcurrentExecutions"),
		.code_bytes = bytes < 0 ? 0 : (uint64_t)bytes,
	};
	return 0;
}

const char *function_tag(const struct function *function, const char *key)
{
	for (size_t i = 0; i < function->n_tags; i++)
		if (strcmp(function->tags[i].name, key) == 0)
			return function->tags[i].value;
	return NULL;
}

/* Requests. */

/* `body` NULL: none. `what` is for people. */
static int ask(struct aws_session *session, const char *method, const char *path, const json_t *body, const char *what, struct arena *arena,
	struct aws_reply *ret, struct error *err)
{
	_cleanup_free_ char *json = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct aws_pair type = { "Content-Type", "application/json" };
	const struct aws_call call = {
		.service = "lambda",
		.method = method,
		.path = path,
		.headers = &type,
		.n_headers = body ? 1 : 0,
		.body = slice_str(json),
	};
	return aws_ask(session, &call, arena, ret, err) < 0 ? error_wrap(err, "cannot %s", what) : 0;
}

static const char *path_of(const char *name, const char *rest, struct arena *arena)
{
	return arena_printf(arena, "/2015-03-31/functions/%s%s", name, rest);
}

static bool is_absent(const struct aws_reply *reply)
{
	return reply->status == 404 && strcmp(reply->code, "ResourceNotFoundException") == 0;
}

/* What an image can be refused for when it is named, by AWS's words; the rest comes later, as a reason code. */
static int refuse(const struct aws_reply *reply, const char *action, const char *what, struct error *err)
{
	const char *message = reply->message;
	const char *lower = strcasestr(message, "memorysize") ? strstr(message, "less than or equal to") : NULL;
	if (lower) {
		lower += strlen("less than or equal to");
		return error_say(err, ERANGE,
			"cannot %s: this account's functions may have %u MB of memory at most: choose less, or ask AWS Support for more. AWS says: %.200s", what,
			(unsigned)strtoul(lower, NULL, 10), message);
	}
	if (strcasestr(message, "permission to access the ECR image")) {
		return error_say(err, EACCES,
			"cannot %s: Lambda may not read the image: whoever makes the function needs ecr:SetRepositoryPolicy and ecr:GetRepositoryPolicy on the "
			"repository, or its policy has to let lambda.amazonaws.com have ecr:BatchGetImage and ecr:GetDownloadUrlForLayer. AWS says: %.120s",
			what, message);
	}
	if (strcasestr(message, "source image") && strstr(message, "does not exist")) {
		return error_say(err, EINVAL, "cannot %s: the image isn't in the function's region, or gone: push it there first. AWS says: %.200s", what, message);
	}
	return aws_refused(reply, action, what, err);
}

static bool is_role_not_ready(const struct aws_reply *reply)
{
	return reply->status == 400 && (strstr(reply->message, "cannot be assumed by Lambda") || strstr(reply->message, "role defined for the function is invalid"));
}

int function_get(struct aws_session *session, const char *name, struct arena *arena, struct function *ret, struct error *err)
{
	struct aws_reply reply;
	const char *what = arena_printf(arena, "look at the function %s", name);
	if (ask(session, "GET", path_of(name, "", arena), NULL, what, arena, &reply, err) < 0)
		return -1;
	if (is_absent(&reply))
		return FUNCTION_ABSENT;
	return aws_succeeded(&reply) ? function_read(reply.body, arena, ret, err) : refuse(&reply, "lambda:GetFunction", what, err);
}

static json_t *make_pairs(const struct aws_pair *pairs, size_t n)
{
	json_t *object = json_object();
	for (size_t i = 0; i < n; i++)
		json_object_set_new(object, pairs[i].name, json_string(pairs[i].value ? pairs[i].value : ""));
	return object;
}

/* What creation and update have in common. */
static void add_settings(json_t *to, const struct function_settings *settings)
{
	if (settings->role)
		json_object_set_new(to, "Role", json_string(settings->role));
	if (settings->memory_mb)
		json_object_set_new(to, "MemorySize", json_integer(settings->memory_mb));
	if (settings->timeout_s)
		json_object_set_new(to, "Timeout", json_integer(settings->timeout_s));
	if (settings->storage_mb)
		json_object_set_new(to, "EphemeralStorage", json_pack("{s:I}", "Size", (json_int_t)settings->storage_mb));
	if (settings->environment)
		json_object_set_new(to, "Environment", json_pack("{s:o}", "Variables", make_pairs(settings->environment, settings->n_environment)));
}

int function_create(struct aws_session *session, const char *name, const struct function_settings *settings, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "create the function %s", name);
	json_auto_t *body = json_pack("{s:s, s:s, s:{s:s}, s:[s]}", "FunctionName", name, "PackageType", "Image", "Code", "ImageUri",
		settings->image_uri, "Architectures", settings->architecture);
	add_settings(body, settings);
	if (settings->n_tags)
		json_object_set_new(body, "Tags", make_pairs(settings->tags, settings->n_tags));
	if (ask(session, "POST", "/2015-03-31/functions", body, what, &arena, &reply, err) < 0)
		return -1;
	if (is_role_not_ready(&reply))
		return FUNCTION_ROLE_NOT_READY;
	if (reply.status == 409 && strstr(reply.message, "already exist")) /* "Function already exist: …" */
		return FUNCTION_EXISTS;
	return aws_succeeded(&reply) ? 0 : refuse(&reply, "lambda:CreateFunction", what, err);
}

int function_update_code(struct aws_session *session, const char *name, const char *image_uri, const char *architecture, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "give the function %s another image", name);
	json_auto_t *body = json_pack("{s:s}", "ImageUri", image_uri);
	if (architecture)
		json_object_set_new(body, "Architectures", json_pack("[s]", architecture));
	if (ask(session, "PUT", path_of(name, "/code", &arena), body, what, &arena, &reply, err) < 0)
		return -1;
	return aws_succeeded(&reply) ? 0 : refuse(&reply, "lambda:UpdateFunctionCode", what, err);
}

int function_update_configuration(struct aws_session *session, const char *name, const struct function_settings *settings, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "configure the function %s", name);
	json_auto_t *body = json_object();
	add_settings(body, settings);
	if (ask(session, "PUT", path_of(name, "/configuration", &arena), body, what, &arena, &reply, err) < 0)
		return -1;
	if (is_role_not_ready(&reply))
		return FUNCTION_ROLE_NOT_READY;
	return aws_succeeded(&reply) ? 0 : refuse(&reply, "lambda:UpdateFunctionConfiguration", what, err);
}

int function_delete(struct aws_session *session, const char *name, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "delete the function %s", name);
	if (ask(session, "DELETE", path_of(name, "", &arena), NULL, what, &arena, &reply, err) < 0)
		return -1;
	if (is_absent(&reply))
		return FUNCTION_ABSENT;
	return aws_succeeded(&reply) ? 0 : refuse(&reply, "lambda:DeleteFunction", what, err);
}

int account_limits(struct aws_session *session, struct account_limits *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_reply reply;
	static const char what[] = "read the account's limits";
	if (ask(session, "GET", "/2016-08-19/account-settings/", NULL, what, &arena, &reply, err) < 0)
		return -1;
	return aws_succeeded(&reply) ? account_read_limits(reply.body, ret, err) : refuse(&reply, "lambda:GetAccountSettings", what, err);
}

/* Waiting. */

/* Codes: StateReasonCode and LastUpdateStatusReasonCode of the service's model. */
static const char *remedy(const char *code)
{
	static const struct {
		const char *code, *remedy;
	} remedies[] = {
		{ "ImageDeleted", "the image is no longer in its repository: push it again" },
		{ "ImageAccessDenied", "let lambda.amazonaws.com have ecr:BatchGetImage and ecr:GetDownloadUrlForLayer by the repository's policy" },
		{ "InvalidImage", "`llama image lint` says what Lambda doesn't take" },
		{ "InsufficientRolePermissions", "see the policies of the function's role" },
		{ "InvalidConfiguration", "see the function's settings" },
		{ "KMSKeyAccessDenied", "let the function's role use the key" },
		{ "KMSKeyNotFound", "give the function a key that exists" },
		{ "DisabledKMSKey", "enable the key" },
		{ "InvalidStateKMSKey", "see the state of the key" },
		{ "InternalError", "again in some minutes; health.aws.amazon.com tells of it" },
	};
	for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
		if (strcmp(remedies[i].code, code) == 0)
			return remedies[i].remedy;
	return strncmp(code, "FunctionError", 13) == 0 ? "its program can't be started: see its log" : "see the function in the Lambda console";
}

static int failed(const char *name, const char *code, const char *reason, struct error *err)
{
	return error_say(err, EINVAL, "the function %s failed: %s%s%.240s: %s", name, *code ? code : "no reason is given", *reason ? ": " : "", reason,
		remedy(code));
}

int function_wait(struct aws_session *session, const char *name, function_tick_fn *tick, void *ctx, struct error *err)
{
	unsigned absent = 0;
	for (unsigned looks = 0; looks < LOOKS_MAX; looks++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct function function;
		int rc = function_get(session, name, &arena, &function, err);
		if (rc < 0)
			return -1;
		if (rc == FUNCTION_ABSENT) {
			if (++absent > LOOKS_ABSENT_MAX)
				return error_say(err, ENOENT, "the function %s isn't there", name);
		} else if (strcmp(function.state, "Failed") == 0) {
			return failed(name, function.state_reason_code, function.state_reason, err);
		} else if (strcmp(function.update_status, "Failed") == 0) {
			return failed(name, function.update_reason_code, function.update_reason, err);
		} else if (strcmp(function.state, "Pending") != 0 && strcmp(function.update_status, "InProgress") != 0) {
			return 0;
		} else if (tick && !tick(ctx, &function)) {
			return error_say(err, ECANCELED, "the function %s isn't waited for any longer", name);
		}
		aws_wait(session, LOOK_MS);
	}
	return error_say(err, ETIMEDOUT, "the function %s isn't ready after ten minutes: see it in the Lambda console", name);
}
