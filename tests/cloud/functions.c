#include "tests/cloud/functions.h"

#include <ctype.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/ecr.h"
#include "tests/cloud/iam.h"
#include "tests/cloud/image.h"
#include "tests/cloud/permissions.h"
#include "tests/cloud/registry.h"

enum { ENVIRONMENT_BYTES = 4096, BODY_BYTES = 6 << 20 };

struct function {
	struct list link;
	const char *name, *arn;		/* of `config` */
	json_t *config;			/* "Configuration" as clients see it; the truth about the numbers, too */
	char *image_uri, *previous_uri; /* previous: while the code is being updated, for the case that it cannot */
	char *resolved_uri, *previous_resolved_uri;
	struct image image, previous;
	struct revision *revision; /* what invocations run; NULL: nothing yet */
	bool updating;		   /* then nothing else may change it, nor delete it */
};

struct functions {
	struct cloud *cloud;
	struct environments *environments;
	const char *images; /* directory of unpacked images */
	struct arena arena;
	pthread_mutex_t lock; /* everything below, and what is in it */
	pthread_cond_t changed;
	struct list all;
	int n_updates;
	bool closing;
};

/* --- Requests ----------------------------------------------------------------------------------------------------- */

/* Violated constraints, all in one message. */
struct violations {
	struct buf text;
	int n;
};

static void violate(struct violations *v, const char *field, const char *value, const char *constraint)
{
	buf_printf(&v->text, "%sValue %s at '%s' failed to satisfy constraint: Member must %s", v->n++ ? "; " : "",
		value, field, constraint);
}

static void check_number(
	struct violations *v, const json_t *object, const char *key, const char *field, int min, int max)
{
	const json_t *value = json_object_get(object, key);
	char text[32], constraint[64];
	if (!value)
		return;
	snprintf(text, sizeof(text), "'%lld'", (long long)json_integer_value(value));
	if (json_integer_value(value) < min) {
		snprintf(constraint, sizeof(constraint), "have value greater than or equal to %d", min);
		violate(v, field, text, constraint);
	} else if (json_integer_value(value) > max) {
		snprintf(constraint, sizeof(constraint), "have value less than or equal to %d", max);
		violate(v, field, text, constraint);
	}
}

static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return n > 0 && n <= 64;
}

static bool is_role(const char *role)
{
	static const char prefix[] = "arn:aws:iam::";
	return strncmp(role, prefix, sizeof(prefix) - 1) == 0 &&
	       strspn(role + sizeof(prefix) - 1, "0123456789") == 12 &&
	       strncmp(role + sizeof(prefix) + 11, ":role/", 6) == 0 && role[sizeof(prefix) + 17];
}

static void check_role(struct violations *v, const json_t *body, bool required)
{
	const char *role = json_string_value(json_object_get(body, "Role"));
	if (!role && required)
		violate(v, "role", "null", "not be null");
	else if (role && !is_role(role))
		violate(v, "role", "'…'",
			"satisfy regular expression pattern: "
			"arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+");
}

static void check_configuration(struct violations *v, const json_t *body)
{
	check_number(v, body, "MemorySize", "memorySize", 128, 10240);
	check_number(v, body, "Timeout", "timeout", 1, 900);
	check_number(v, json_object_get(body, "EphemeralStorage"), "Size", "ephemeralStorage.size", 512, 10240);
}

/* True when there is any, and the answer says so. */
static bool refuse_violations(struct violations *v, struct cloud_request *request, struct cloud_response *response)
{
	if (v->n > 0)
		cloud_error(request, response, 400, "ValidationException", "%d validation error%s detected: %s", v->n,
			v->n > 1 ? "s" : "", buf_str(&v->text));
	buf_deinit(&v->text);
	return v->n > 0;
}

/* The environment's rules of Lambda's own: names, sizes. */
static bool refuse_environment(const json_t *body, struct cloud_request *request, struct cloud_response *response)
{
	static const char *const reserved[] = { "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION",
		"AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
		"AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
		"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR" };
	json_t *variables = json_object_get(json_object_get(body, "Environment"), "Variables"), *value;
	const char *name;
	json_object_foreach(variables, name, value)
	{
		if (!json_is_string(value) || !isalpha((unsigned char)*name) ||
			strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
				strlen(name)) {
			cloud_error(request, response, 400, "ValidationException",
				"1 validation error detected: Value at 'environment.variables' failed to satisfy "
				"constraint: Map keys must satisfy constraint: [Member must satisfy regular expression "
				"pattern: [a-zA-Z]([a-zA-Z0-9_])+]");
			return true;
		}
		for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
			if (strcmp(name, reserved[i]) == 0) {
				cloud_error(request, response, 400, "InvalidParameterValueException",
					"Lambda was unable to configure your environment variables because the "
					"environment variables you have provided contains reserved keys that are "
					"currently not supported for modification. Reserved keys used "
					"in this request: %s",
					name);
				return true;
			}
	}
	_cleanup_free_ char *text = variables ? json_dumps(variables, JSON_COMPACT) : NULL;
	if (text && strlen(text) > ENVIRONMENT_BYTES)
		cloud_error(request, response, 400, "InvalidParameterValueException",
			"Lambda was unable to configure your environment variables because the "
			"environment variables you have provided exceeded the 4KB limit. String measured: %s",
			text);
	return text && strlen(text) > ENVIRONMENT_BYTES;
}

/* --- Functions ---------------------------------------------------------------------------------------------------- */

static const char *arn_of(struct functions *functions, struct arena *arena, const char *name)
{
	return arena_printf(arena, "arn:aws:lambda:%s:" CLOUD_ACCOUNT ":function:%s", functions->cloud->region, name);
}

/* The plain name in NAME, ACCOUNT:function:NAME or the whole ARN, with :$LATEST or not; NULL: it is none of them. */
static const char *plain_name(struct functions *functions, struct arena *arena, const char *given)
{
	const char *whole = arn_of(functions, arena, "");
	const char *partial = CLOUD_ACCOUNT ":function:", *name = given;
	if (strncmp(name, whole, strlen(whole)) == 0)
		name += strlen(whole);
	else if (strncmp(name, partial, strlen(partial)) == 0)
		name += strlen(partial);
	size_t n = strcspn(name, ":");
	bool qualified = name[n] && strcmp(name + n, ":$LATEST") != 0;
	return is_name(name, n) && !qualified ? arena_strndup(arena, name, n) : NULL;
}

static void refuse_missing(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	cloud_error(request, response, 404, "ResourceNotFoundException", "Function not found: %s",
		strncmp(name, "arn:", 4) == 0 ? name : arn_of(functions, request->arena, name));
}

/* Under the lock. NULL: `response` says why. */
static struct function *find(
	struct functions *functions, const char *given, struct cloud_request *request, struct cloud_response *response)
{
	const char *name = plain_name(functions, request->arena, given), *qualifier = cloud_query(request, "Qualifier");
	struct function *f;
	if (name && (!qualifier || strcmp(qualifier, "$LATEST") == 0))
		list_for_each (f, &functions->all, struct function, link)
			if (strcmp(f->name, name) == 0)
				return f;
	if (name || strncmp(given, "arn:", 4) == 0)
		refuse_missing(functions, given, request, response);
	else
		cloud_error(request, response, 400, "ValidationException",
			"1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: "
			"Member must satisfy regular expression pattern: "
			"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?"
			"([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
			given);
	return NULL;
}

static void set(struct function *f, const char *key, json_t *value)
{
	json_object_set_new(f->config, key, value);
}

static void set_state(struct function *f, const char *what, const char *state, const char *code, const char *reason)
{
	char key[64];
	set(f, what, json_string(state));
	snprintf(key, sizeof(key), "%sReason", what);
	json_object_del(f->config, key);
	if (reason)
		set(f, key, json_string(reason));
	snprintf(key, sizeof(key), "%sReasonCode", what);
	json_object_del(f->config, key);
	if (code)
		set(f, key, json_string(code));
}

static void set_modified(struct functions *functions, struct function *f)
{
	char text[64];
	time_t now = (time_t)cloud_now_s(functions->cloud);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000+0000", &tm);
	set(f, "LastModified", json_string(text));
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	set(f, "RevisionId", json_string(cloud_new_id(&arena)));
}

/* Settings that a client gave, over those there are. */
static void configure(struct function *f, const json_t *body)
{
	static const char *const plain[] = { "Description", "Role", "Timeout", "MemorySize", "EphemeralStorage" };
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		json_t *value = json_object_get(body, plain[i]);
		if (value && !json_is_null(value))
			json_object_set(f->config, plain[i], value);
	}
	json_t *environment = json_object_get(body, "Environment"), *image = json_object_get(body, "ImageConfig");
	if (environment) {
		json_object_del(f->config, "Environment");
		if (json_object_size(json_object_get(environment, "Variables")) > 0)
			set(f, "Environment", json_deep_copy(environment));
	}
	if (image) {
		json_object_del(f->config, "ImageConfigResponse");
		if (json_object_size(image) > 0)
			set(f, "ImageConfigResponse", json_pack("{s:O}", "ImageConfig", image));
	}
}

static void drop_previous(struct function *f)
{
	free(f->previous_uri);
	free(f->previous_resolved_uri);
	f->previous_uri = f->previous_resolved_uri = NULL;
	image_deinit(&f->previous);
}

static void set_sha256(struct function *f)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&f->image.digest, hex);
	set(f, "CodeSha256", json_string(hex));
}

static void restore_previous(struct function *f)
{
	if (!f->previous_uri)
		return;
	free(f->image_uri);
	free(f->resolved_uri);
	image_deinit(&f->image);
	f->image_uri = f->previous_uri;
	f->resolved_uri = f->previous_resolved_uri;
	f->image = f->previous;
	f->previous_uri = f->previous_resolved_uri = NULL;
	f->previous = (struct image){ 0 };
	set_sha256(f);
}

/* Takes `image`. */
static void set_image(struct function *f, const char *uri, const char *resolved, struct image *image)
{
	drop_previous(f);
	f->previous_uri = f->image_uri;
	f->previous_resolved_uri = f->resolved_uri;
	f->previous = f->image;
	f->image_uri = strdup(uri);
	f->resolved_uri = strdup(resolved);
	f->image = *image;
	*image = (struct image){ 0 };
	set_sha256(f);
}

static void function_free(struct function *f)
{
	if (!f)
		return;
	json_decref(f->config);
	drop_previous(f);
	free(f->image_uri);
	free(f->resolved_uri);
	image_deinit(&f->image);
	revision_unref(f->revision);
	free(f);
}

/* --- Revisions ---------------------------------------------------------------------------------------------------- */

static size_t add_strings(struct arena *arena, const json_t *array, const char **to)
{
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));
		to[i] = arena_strdup(arena, text ? text : "");
	}
	return n;
}

/* The image's, unless the function's configuration has its own. */
static const json_t *choose(const json_t *config, const char *key, const json_t *image, const char *image_key)
{
	const json_t *own = json_object_get(
		json_object_get(json_object_get(config, "ImageConfigResponse"), "ImageConfig"), key);
	return own ? own : json_object_get(image, image_key);
}

static const char *const *revision_env(struct arena *arena, const json_t *image, json_t *variables)
{
	const json_t *theirs = json_object_get(image, "Env");
	const char **env = arena_array(arena, const char *, json_array_size(theirs) + json_object_size(variables) + 1);
	size_t n = 0;
	for (size_t i = 0; i < json_array_size(theirs); i++) {
		const char *setting = json_string_value(json_array_get(theirs, i));
		if (setting && strchr(setting, '=') &&
			!json_object_get(variables, arena_strndup(arena, setting, strcspn(setting, "="))))
			env[n++] = arena_strdup(arena, setting);
	}
	const char *name;
	json_t *value;
	json_object_foreach(variables, name, value)
		env[n++] = arena_printf(arena, "%s=%s", name, json_string_value(value));
	return env;
}

static const char *image_root(struct functions *functions, struct arena *arena, const struct image *image)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&image->digest, hex);
	return arena_printf(arena, "%s/%s", functions->images, hex);
}

static struct revision *make_revision(struct functions *functions, const struct function *f)
{
	struct revision *revision = revision_new();
	struct arena *arena = &revision->arena;
	const json_t *entry = choose(f->config, "EntryPoint", f->image.config, "Entrypoint"),
		     *command = choose(f->config, "Command", f->image.config, "Cmd");
	const char *directory = json_string_value(choose(f->config, "WorkingDirectory", f->image.config, "WorkingDir"));
	const char **args = arena_array(arena, const char *, json_array_size(entry) + json_array_size(command) + 2);
	size_t n = add_strings(arena, entry, args);
	n += add_strings(arena, command, args + n);
	if (n == 0)
		args[0] = "";
	revision->function = arena_strdup(arena, f->name);
	revision->arn = arena_strdup(arena, f->arn);
	revision->root = image_root(functions, arena, &f->image);
	revision->directory = arena_strdup(arena, directory && *directory ? directory : "/");
	revision->args = args;
	revision->env = revision_env(
		arena, f->image.config, json_object_get(json_object_get(f->config, "Environment"), "Variables"));
	revision->memory_mb = (int)json_integer_value(json_object_get(f->config, "MemorySize"));
	revision->timeout_s = (int)json_integer_value(json_object_get(f->config, "Timeout"));
	revision->tmp_mb = (int)json_integer_value(
		json_object_get(json_object_get(f->config, "EphemeralStorage"), "Size"));
	return revision;
}

/* --- Updates ------------------------------------------------------------------------------------------------------ */

struct update {
	struct functions *functions;
	struct function *function; /* stays, because it is updating */
};

static void *update(void *ctx)
{
	struct update *u = ctx;
	struct functions *functions = u->functions;
	struct function *f = u->function;
	free(u);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = { 0 };
	int64_t until_ms = clock_monotonic_ms() + cloud_setting(functions->cloud, SETTING_UPDATE_MS);
	struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
	int done = image_unpack(&f->image, image_root(functions, &arena, &f->image), &err);
	pthread_mutex_lock(&functions->lock);
	while (!functions->closing && clock_monotonic_ms() < until_ms)
		pthread_cond_timedwait(&functions->changed, &functions->lock, &until);
	struct revision *old = NULL;
	if (done == 0) {
		old = f->revision;
		f->revision = make_revision(functions, f);
		set_state(f, "State", "Active", NULL, NULL);
		set_state(f, "LastUpdateStatus", "Successful", NULL, NULL);
	} else {
		const char *code = done == IMAGE_INVALID ? "InvalidImage" : "InternalError";
		/* The old code goes on, if there is any. */
		if (!f->revision)
			set_state(f, "State", "Failed", code, err.text);
		set_state(f, "LastUpdateStatus", "Failed", code, err.text);
		restore_previous(f);
	}
	drop_previous(f);
	f->updating = false;
	pthread_mutex_unlock(&functions->lock);
	if (old) {
		environments_retire(functions->environments, old);
		revision_unref(old);
	}
	pthread_mutex_lock(&functions->lock);
	functions->n_updates--;
	pthread_cond_broadcast(&functions->changed);
	pthread_mutex_unlock(&functions->lock);
	return NULL;
}

/* Under the lock. */
static void start_update(struct functions *functions, struct function *f)
{
	struct update *u = malloc(sizeof(*u));
	if (!u)
		abort();
	*u = (struct update){ functions, f };
	set_modified(functions, f);
	set_state(f, "LastUpdateStatus", "InProgress", "Creating", "The function is being created.");
	f->updating = true;
	functions->n_updates++;
	pthread_t thread;
	if (pthread_create(&thread, NULL, update, u) != 0)
		abort();
	pthread_detach(thread);
}

/* Under the lock. The function, ready to be changed; NULL: `response` says why not. */
static struct function *find_to_change(struct functions *functions, const char *name, const json_t *body,
	struct cloud_request *request, struct cloud_response *response)
{
	struct function *f = find(functions, name, request, response);
	if (!f)
		return NULL;
	const char *expected = json_string_value(json_object_get(body, "RevisionId"));
	if (f->updating && !f->revision)
		cloud_error(request, response, 409, "ResourceConflictException",
			"The operation cannot be performed at this time. The function is currently in the following "
			"state: Pending");
	else if (f->updating)
		cloud_error(request, response, 409, "ResourceConflictException",
			"The operation cannot be performed at this time. An update is in progress for resource: %s",
			f->arn);
	else if (expected && strcmp(expected, json_string_value(json_object_get(f->config, "RevisionId"))) != 0)
		cloud_error(request, response, 412, "PreconditionFailedException",
			"The Revision Id provided does not match the latest Revision Id. "
			"Call the GetFunction/GetAlias API to retrieve the latest Revision Id");
	else
		return f;
	return NULL;
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

static void answer(struct cloud_response *response, int status, const struct function *f)
{
	cloud_json(response, status, json_deep_copy(f->config));
}

/* HOST:PORT/NAME:TAG or HOST:PORT/NAME@DIGEST, of this cloud's registry, with :latest for neither. False: it is none. */
static bool split_uri(const char *uri, const char *host, struct arena *arena, const char **name, const char **reference)
{
	size_t n = strlen(host);
	if (strncmp(uri, host, n) != 0 || uri[n] != '/' || !uri[n + 1])
		return false;
	char *copy = arena_strdup(arena, uri + n + 1), *end = strpbrk(copy, "@:");
	*name = copy;
	*reference = end ? end + 1 : "latest";
	if (end)
		*end = '\0';
	return true;
}

/* `ret` gets the URI with its digest. False: `response` says why not. */
static bool open_image(struct functions *functions, const char *uri, struct image *ret, const char **ret_resolved,
	struct cloud_request *request, struct cloud_response *response)
{
	struct cloud *cloud = functions->cloud;
	struct arena *arena = request->arena;
	const char *name = NULL, *reference = NULL, *host = ecr_host(cloud, arena);
	char hex[DIGEST_HEX_CHARS + 1];
	struct error err;
	int done;
	if (!split_uri(uri, host, arena, &name, &reference)) {
		done = image_open(uri, ret, &err);
	} else {
		json_t *descriptor = NULL;
		bool may = permissions_check(cloud, permissions_caller(cloud, request->access_key, arena), "ecr",
				   "SetRepositoryPolicy", name, &err) == 0;
		if (ecr_has(cloud->ecr, name) && !ecr_admit_lambda(cloud->ecr, name, may)) {
			cloud_error(request, response, 403, "AccessDeniedException",
				"Lambda does not have permission to access the ECR image. Check the ECR permissions.");
			return false;
		}
		ecr_resolve(cloud->ecr, name, reference, &descriptor, &err);
		done = image_open_pushed(registry_blobs(ecr_registry(cloud->ecr)), descriptor, uri, ret, &err);
		json_decref(descriptor);
	}
	if (done != 0) {
		cloud_error(request, response, 400, "InvalidParameterValueException", "%s", err.text);
		return false;
	}
	digest_hex(&ret->digest, hex);
	*ret_resolved = ret->sharded ? arena_printf(arena, "%s/%s@sha256:%s", host, name, hex)
				     : arena_printf(arena, "oci:%s@sha256:%s", ret->layout, hex);
	return true;
}

/* True: the role isn't one that Lambda can have, or the caller may not pass it, and the answer says so. */
static bool refuse_role(
	struct functions *functions, const json_t *body, struct cloud_request *request, struct cloud_response *response)
{
	struct cloud *cloud = functions->cloud;
	const char *role = json_string_value(json_object_get(body, "Role"));
	struct error err;
	if (!role)
		return false;
	if (permissions_check(cloud, permissions_caller(cloud, request->access_key, request->arena), "iam", "PassRole",
		    role, &err) < 0)
		cloud_error(request, response, 403, "AccessDeniedException", "%s", err.text);
	else if (!iam_lambda_can_assume(cloud->iam, role))
		cloud_error(request, response, 400, "InvalidParameterValueException",
			"The role defined for the function cannot be assumed by Lambda.");
	else
		return false;
	return true;
}

/* True: it is more memory than the account has for a function. */
static bool refuse_memory(
	struct functions *functions, const json_t *body, struct cloud_request *request, struct cloud_response *response)
{
	int64_t limit_mb = cloud_setting(functions->cloud, SETTING_MEMORY_LIMIT_MB);
	if (json_integer_value(json_object_get(body, "MemorySize")) <= limit_mb)
		return false;
	cloud_error(request, response, 400, "InvalidParameterValueException",
		"'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to %lld",
		(long long)limit_mb);
	return true;
}

static struct function *new_function(struct functions *functions, const char *name, const json_t *body)
{
	struct function *f = calloc(1, sizeof(*f));
	if (!f)
		abort();
	list_init(&f->link);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *architecture = json_string_value(json_array_get(json_object_get(body, "Architectures"), 0));
	f->config = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:{s:i}, s:{s:s}, s:[s], s:{s:s, s:s}, s:{s:s, s:s}}",
		"FunctionName", name, "FunctionArn", arn_of(functions, &arena, name), "PackageType", "Image", "Version",
		"$LATEST", "Description", "", "CodeSize", 0, "Timeout", 3, "MemorySize", 128, "EphemeralStorage",
		"Size", 512, "TracingConfig", "Mode", "PassThrough", "Architectures",
		architecture ? architecture : "x86_64", "SnapStart", "ApplyOn", "None", "OptimizationStatus", "Off",
		"LoggingConfig", "LogFormat", "Text", "LogGroup", arena_printf(&arena, "/aws/lambda/%s", name));
	if (!f->config)
		abort();
	f->name = json_string_value(json_object_get(f->config, "FunctionName"));
	f->arn = json_string_value(json_object_get(f->config, "FunctionArn"));
	configure(f, body);
	return f;
}

static bool refuse_new(const json_t *body, const char *name, const char *uri, struct cloud_request *request,
	struct cloud_response *response)
{
	struct violations v = { 0 };
	const char *type = json_string_value(json_object_get(body, "PackageType"));
	const char *architecture = json_string_value(json_array_get(json_object_get(body, "Architectures"), 0));
	if (!*name || !is_name(name, strlen(name)))
		violate(&v, "functionName", *name ? arena_printf(request->arena, "'%s'", name) : "null",
			"satisfy regular expression pattern: [a-zA-Z0-9-_]+");
	if (!json_object_get(body, "Code"))
		violate(&v, "code", "null", "not be null");
	if (architecture && strcmp(architecture, "x86_64") != 0 && strcmp(architecture, "arm64") != 0)
		violate(&v, "architectures", arena_printf(request->arena, "'[%s]'", architecture),
			"satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be "
			"null]");
	check_role(&v, body, true);
	check_configuration(&v, body);
	if (refuse_violations(&v, request, response))
		return true;
	if (!type || strcmp(type, "Image") != 0)
		cloud_error(request, response, 400, "InvalidParameterValueException",
			"This cloud runs container images only: PackageType must be Image.");
	else if (json_object_get(body, "Runtime") || json_object_get(body, "Handler") ||
		 json_array_size(json_object_get(body, "Layers")) > 0)
		cloud_error(request, response, 400, "InvalidParameterValueException",
			"Please don't provide Handler or Runtime or Layer when the intended function PackageType is "
			"Image.");
	else if (!uri)
		cloud_error(request, response, 400, "InvalidParameterValueException",
			"Please provide ImageUri when updating a function with packageType Image.");
	else
		return refuse_environment(body, request, response);
	return true;
}

void functions_create(
	struct functions *functions, const char *unused, struct cloud_request *request, struct cloud_response *response)
{
	json_t *body = cloud_body(request, response);
	const char *name = json_string_value(json_object_get(body, "FunctionName"));
	const char *uri = json_string_value(json_object_get(json_object_get(body, "Code"), "ImageUri"));
	const char *resolved;
	struct image image = { 0 };
	if (!body || refuse_new(body, name ? name : "", uri, request, response) ||
		refuse_memory(functions, body, request, response) || refuse_role(functions, body, request, response) ||
		!open_image(functions, uri, &image, &resolved, request, response)) {
		json_decref(body);
		return;
	}
	struct function *f, *there = NULL;
	pthread_mutex_lock(&functions->lock);
	list_for_each (f, &functions->all, struct function, link)
		if (strcmp(f->name, name) == 0)
			there = f;
	if (there) {
		cloud_error(request, response, 409, "ResourceConflictException", "Function already exist: %s", name);
	} else {
		f = new_function(functions, name, body);
		set_image(f, uri, resolved, &image);
		list_append(&functions->all, &f->link);
		set_state(f, "State", "Pending", "Creating", "The function is being created.");
		start_update(functions, f);
		answer(response, 201, f);
	}
	pthread_mutex_unlock(&functions->lock);
	image_deinit(&image);
	json_decref(body);
}

void functions_list(
	struct functions *functions, const char *unused, struct cloud_request *request, struct cloud_response *response)
{
	json_t *all = json_array();
	struct function *f;
	pthread_mutex_lock(&functions->lock);
	list_for_each (f, &functions->all, struct function, link)
		json_array_append_new(all, json_deep_copy(f->config));
	pthread_mutex_unlock(&functions->lock);
	cloud_json(response, 200, json_pack("{s:o}", "Functions", all));
}

void functions_get(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	pthread_mutex_lock(&functions->lock);
	const struct function *f = find(functions, name, request, response);
	if (f) {
		cloud_json(response, 200,
			json_pack("{s:o, s:{s:s, s:s, s:s}}", "Configuration", json_deep_copy(f->config), "Code",
				"RepositoryType", "ECR", "ImageUri", f->image_uri, "ResolvedImageUri",
				f->resolved_uri));
	}
	pthread_mutex_unlock(&functions->lock);
}

void functions_get_configuration(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	pthread_mutex_lock(&functions->lock);
	const struct function *f = find(functions, name, request, response);
	if (f)
		answer(response, 200, f);
	pthread_mutex_unlock(&functions->lock);
}

void functions_update_code(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	json_t *body = cloud_body(request, response);
	if (!body)
		return;
	const char *uri = json_string_value(json_object_get(body, "ImageUri")), *resolved;
	struct image image = { 0 };
	pthread_mutex_lock(&functions->lock);
	struct function *f = find_to_change(functions, name, body, request, response);
	if (f && !uri) {
		cloud_error(request, response, 400, "InvalidParameterValueException",
			"Please provide ImageUri when updating a function with packageType Image.");
	} else if (f && open_image(functions, uri, &image, &resolved, request, response)) {
		if (!json_is_true(json_object_get(body, "DryRun"))) {
			set_image(f, uri, resolved, &image);
			start_update(functions, f);
		}
		answer(response, 200, f);
	}
	pthread_mutex_unlock(&functions->lock);
	image_deinit(&image);
	json_decref(body);
}

void functions_update_configuration(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	json_t *body = cloud_body(request, response);
	if (!body)
		return;
	struct violations v = { 0 };
	check_role(&v, body, false);
	check_configuration(&v, body);
	if (!refuse_violations(&v, request, response) && !refuse_environment(body, request, response) &&
		!refuse_memory(functions, body, request, response) &&
		!refuse_role(functions, body, request, response)) {
		pthread_mutex_lock(&functions->lock);
		struct function *f = find_to_change(functions, name, body, request, response);
		if (f) {
			configure(f, body);
			start_update(functions, f);
			answer(response, 200, f);
		}
		pthread_mutex_unlock(&functions->lock);
	}
	json_decref(body);
}

void functions_delete(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	pthread_mutex_lock(&functions->lock);
	struct function *f = find_to_change(functions, name, NULL, request, response);
	if (f)
		list_remove(&f->link);
	pthread_mutex_unlock(&functions->lock);
	if (!f)
		return;
	if (f->revision)
		environments_retire(functions->environments, f->revision);
	function_free(f);
	response->status = 204;
}

void functions_account_settings(
	struct functions *functions, const char *unused, struct cloud_request *request, struct cloud_response *response)
{
	json_int_t concurrency = cloud_setting(functions->cloud, SETTING_CONCURRENCY);
	int n = 0;
	pthread_mutex_lock(&functions->lock);
	for (const struct list *link = functions->all.next; link != &functions->all; link = link->next)
		n++;
	pthread_mutex_unlock(&functions->lock);
	cloud_json(response, 200,
		json_pack("{s:{s:I, s:I, s:I, s:I, s:I}, s:{s:i, s:i}}", "AccountLimit", "TotalCodeSize",
			(json_int_t)80530636800, "CodeSizeUnzipped", (json_int_t)262144000, "CodeSizeZipped",
			(json_int_t)52428800, "ConcurrentExecutions", concurrency, "UnreservedConcurrentExecutions",
			concurrency, "AccountUsage", "TotalCodeSize", 0, "FunctionCount", n));
}

json_t *functions_names(struct functions *functions)
{
	json_t *names = json_array();
	struct function *f;
	pthread_mutex_lock(&functions->lock);
	list_for_each (f, &functions->all, struct function, link)
		json_array_append_new(names, json_string(f->name));
	pthread_mutex_unlock(&functions->lock);
	return names;
}

struct revision *functions_find(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response)
{
	struct revision *revision = NULL;
	pthread_mutex_lock(&functions->lock);
	const struct function *f = find(functions, name, request, response);
	if (f && f->revision)
		revision = revision_ref(f->revision);
	else if (f)
		cloud_error(request, response, 409, "ResourceConflictException",
			"The operation cannot be performed at this time. The function is currently in the following "
			"state: %s",
			json_string_value(json_object_get(f->config, "State")));
	pthread_mutex_unlock(&functions->lock);
	return revision;
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

struct functions *functions_new(struct cloud *cloud, struct environments *environments, struct error *err)
{
	struct functions *functions = calloc(1, sizeof(*functions));
	if (!functions)
		abort();
	functions->cloud = cloud;
	functions->environments = environments;
	functions->images = arena_printf(&functions->arena, "%s/images", cloud->state_dir);
	list_init(&functions->all);
	pthread_mutex_init(&functions->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&functions->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (mkdir(functions->images, 0755) == 0)
		return functions;
	error_set(err, errno, "cannot make directory %s", functions->images);
	functions_free(functions);
	return NULL;
}

void functions_free(struct functions *functions)
{
	if (!functions)
		return;
	pthread_mutex_lock(&functions->lock);
	functions->closing = true;
	pthread_cond_broadcast(&functions->changed);
	while (functions->n_updates > 0)
		pthread_cond_wait(&functions->changed, &functions->lock);
	pthread_mutex_unlock(&functions->lock);
	for (struct function *f; (f = list_first(&functions->all, struct function, link));) {
		list_remove(&f->link);
		function_free(f);
	}
	pthread_cond_destroy(&functions->changed);
	pthread_mutex_destroy(&functions->lock);
	arena_deinit(&functions->arena);
	free(functions);
}
