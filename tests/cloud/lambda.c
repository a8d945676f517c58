#include "tests/cloud/lambda.h"

#include <jansson.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cloud/cloud.h"
#include "tests/cloud/environments.h"
#include "tests/cloud/functions.h"
#include "tests/cloud/invoke.h"
#include "tests/cloud/recorded.h"

struct lambda {
	struct cloud *cloud;
	struct recorded *recorded; /* NULL: functions run */
	struct arena arena;
	struct sigv4_keys keys;
	struct environments *environments;
	struct functions *functions;
};

/* --- Routes ------------------------------------------------------------------------------------------------------- */

/* A line each. The name of the function is between `prefix` and `suffix`; "" suffix: there is none, or it is the
 * rest. */
static const struct route {
	const char *operation, *method, *prefix, *suffix;
	bool named;
	functions_handler *handle; /* NULL: Invoke */
} routes[] = {
	{ "CreateFunction", "POST", "/2015-03-31/functions", "", false, functions_create },
	{ "ListFunctions", "GET", "/2015-03-31/functions", "", false, functions_list },
	{ "GetFunction", "GET", "/2015-03-31/functions/", "", true, functions_get },
	{ "DeleteFunction", "DELETE", "/2015-03-31/functions/", "", true, functions_delete },
	{ "GetFunctionConfiguration", "GET", "/2015-03-31/functions/", "/configuration", true,
		functions_get_configuration },
	{ "UpdateFunctionConfiguration", "PUT", "/2015-03-31/functions/", "/configuration", true,
		functions_update_configuration },
	{ "UpdateFunctionCode", "PUT", "/2015-03-31/functions/", "/code", true, functions_update_code },
	{ "Invoke", "POST", "/2015-03-31/functions/", "/invocations", true, NULL },
	{ "GetAccountSettings", "GET", "/2016-08-19/account-settings", "", false, functions_account_settings },
};

/* NULL: no call of ours. `name` is in the arena. */
static const struct route *find_route(const struct cloud_request *request, const char **name)
{
	size_t len = strlen(request->path);
	while (len > 1 && request->path[len - 1] == '/')
		len--;
	const char *path = arena_strndup(request->arena, request->path, len);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *r = &routes[i];
		size_t prefix = strlen(r->prefix), suffix = strlen(r->suffix);
		if (strcmp(r->method, request->method) != 0 || strncmp(path, r->prefix, prefix) != 0)
			continue;
		if (!r->named && len == prefix)
			return r;
		if (!r->named || len <= prefix + suffix || strcmp(path + len - suffix, r->suffix) != 0)
			continue;
		*name = arena_strndup(request->arena, path + prefix, len - prefix - suffix);
		if (!strchr(*name, '/'))
			return r;
	}
	return NULL;
}

const char *lambda_operation(const struct cloud_request *request)
{
	const char *name;
	const struct route *route = find_route(request, &name);
	return route ? route->operation : NULL;
}

const char *lambda_resource(struct cloud *cloud, const struct cloud_request *request)
{
	const char *name = "";
	find_route(request, &name);
	return *name ? arena_printf(request->arena, "arn:aws:lambda:%s:" CLOUD_ACCOUNT ":function:%s", cloud->region, name)
		     : "*";
}

json_t *lambda_names(struct cloud *cloud)
{
	return functions_names(cloud->lambda->functions);
}

void lambda_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	const char *name = "";
	const struct route *route = find_route(request, &name);
	struct lambda *lambda = cloud->lambda;
	if (!route)
		cloud_error(request, response, 404, "UnknownOperationException",
			"There is no such operation, or not in this cloud: %s %s", request->method, request->path);
	else if (route->handle)
		route->handle(lambda->functions, name, request, response);
	else
		invoke_handle(cloud, lambda->functions, lambda->environments, name, request, response);
}

/* --- Control ------------------------------------------------------------------------------------------------------ */

void lambda_get_environments(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	cloud_json(response, 200, environments_json(cloud->lambda->environments));
}

void lambda_post_environments(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	static const char *const acts[] = {
		[ENVIRONMENT_KILL] = "kill", [ENVIRONMENT_CRASH] = "crash", [ENVIRONMENT_HANG] = "hang"
	};
	json_t *body = json_loadb(request->body.ptr ? request->body.ptr : "", request->body.len, 0, NULL);
	const char *act = json_string_value(json_object_get(body, "act"));
	size_t i = 0;
	while (act && i < sizeof(acts) / sizeof(acts[0]) && strcmp(acts[i], act) != 0)
		i++;
	if (!act || i == sizeof(acts) / sizeof(acts[0])) {
		cloud_json(response, 400,
			json_pack("{s:s}", "error",
				"give {\"act\": \"kill\", \"crash\" or \"hang\", \"n\": how many of the busy, or "
				"\"id\": which}"));
	} else {
		int done = environments_act(cloud->lambda->environments, (enum environment_act)i,
			json_integer_value(json_object_get(body, "id")),
			(int)json_integer_value(json_object_get(body, "n")));
		cloud_json(response, 200, json_pack("{s:i}", "done", done));
	}
	json_decref(body);
}

bool lambda_is_inside(struct cloud *cloud, const struct cloud_request *request)
{
	const struct sigv4_keys *keys = &cloud->lambda->keys;
	const char *authorization = cloud_header(request, "authorization");
	return authorization && strstr(authorization, keys->keys[keys->n - 1].access_key);
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

static const char *random_hex(struct arena *arena)
{
	unsigned char bytes[20];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	char *text = arena_alloc(arena, 2 * sizeof(bytes) + 1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02X", bytes[i]);
	return text;
}

/* The role's temporary key, new in each cloud: beside those that everybody may use. As settings for the
 * environments. */
static const char *const *add_role_key(struct cloud *cloud, struct lambda *lambda)
{
	struct arena *arena = &lambda->arena;
	size_t n = cloud->keys->n;
	struct sigv4_key *keys = arena_array(arena, struct sigv4_key, n + 1);
	memcpy(keys, cloud->keys->keys, n * sizeof(*keys));
	keys[n] = (struct sigv4_key){ .access_key = arena_printf(arena, "ASIA%.16s", random_hex(arena)),
		.secret_key = random_hex(arena),
		.session_token = arena_printf(arena, "FunctionRole/%s+==", random_hex(arena)),
		.identity = "sts::" CLOUD_ACCOUNT ":assumed-role/function/function" };
	lambda->keys = (struct sigv4_keys){ keys, n + 1 };
	cloud->keys = &lambda->keys;
	const char **settings = arena_array(arena, const char *, 4);
	settings[0] = arena_printf(arena, "AWS_ACCESS_KEY_ID=%s", keys[n].access_key);
	settings[1] = arena_printf(arena, "AWS_SECRET_ACCESS_KEY=%s", keys[n].secret_key);
	settings[2] = arena_printf(arena, "AWS_SESSION_TOKEN=%s", keys[n].session_token);
	return settings;
}

struct lambda *lambda_new(struct cloud *cloud, struct error *err)
{
	struct lambda *lambda = calloc(1, sizeof(*lambda));
	if (!lambda)
		abort();
	lambda->cloud = cloud;
	const char *const *settings = add_role_key(cloud, lambda);
	lambda->environments = environments_new(
		cloud, arena_printf(&lambda->arena, "%s/ca.pem", cloud->state_dir), settings);
	lambda->functions = functions_new(cloud, lambda->environments, err);
	if (lambda->functions)
		return lambda;
	lambda_free(lambda);
	return NULL;
}

int lambda_replay(struct lambda *lambda, const char *directory, struct error *err)
{
	lambda->recorded = recorded_open(lambda->cloud, directory, err);
	if (!lambda->recorded)
		return -1;
	environments_replay(lambda->environments, lambda->recorded);
	return 0;
}

void lambda_stop(struct lambda *lambda)
{
	environments_stop(lambda->environments);
}

void lambda_free(struct lambda *lambda)
{
	if (!lambda)
		return;
	functions_free(lambda->functions);
	environments_free(lambda->environments);
	recorded_close(lambda->recorded);
	arena_deinit(&lambda->arena);
	free(lambda);
}
