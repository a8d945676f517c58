#include "tests/cloud/control.h"

#include <jansson.h>

#include "tests/cloud/cloud.h"
#include "tests/cloud/ecr.h"
#include "tests/cloud/iam.h"
#include "tests/cloud/lambda.h"
#include "tests/cloud/logs.h"
#include "tests/cloud/s3.h"
#include "tests/cloud/stacks.h"

static void refuse(struct cloud_response *response, int status, const char *message)
{
	cloud_json(response, status, json_pack("{s:s}", "error", message));
}

static void get_counters(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	cloud_json(response, 200, counters_json(cloud));
}

static void add_rule(void *ctx, const char *rule, uint64_t asked, uint64_t struck)
{
	json_array_append_new(ctx, json_pack("{s:s, s:I, s:I}", "rule", rule, "asked", (json_int_t)asked, "struck", (json_int_t)struck));
}

static void get_faults(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	json_t *rules = json_array();
	faults_visit(cloud->faults, add_rule, rules);
	cloud_json(response, 200, rules);
}

static void post_faults(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	json_t *rules = json_loadb(request->body.ptr, request->body.len, 0, NULL), *rule;
	size_t i;
	struct error err;
	if (!json_is_array(rules)) {
		refuse(response, 400, "give an array of rules");
	} else {
		json_array_foreach(rules, i, rule) {
			if (!json_is_string(rule) || faults_add(cloud->faults, json_string_value(rule), &err) < 0) {
				refuse(response, 400, json_is_string(rule) ? err.text : "a rule is a string");
				json_decref(rules);
				return;
			}
		}
		get_faults(cloud, request, response);
	}
	json_decref(rules);
}

static void delete_faults(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	faults_clear(cloud->faults);
	get_faults(cloud, request, response);
}

static void get_settings(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	json_t *settings = json_object();
	for (size_t i = 0; i < CLOUD_N_SETTINGS; i++)
		json_object_set_new(settings, cloud_settings[i].name, json_integer(cloud->settings[i]));
	cloud_json(response, 200, settings);
}

static void post_settings(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	json_t *settings = json_loadb(request->body.ptr, request->body.len, 0, NULL), *value;
	const char *name;
	if (!json_is_object(settings)) {
		refuse(response, 400, "give an object of numbers");
		json_decref(settings);
		return;
	}
	json_object_foreach(settings, name, value) {
		size_t i = 0;
		while (i < CLOUD_N_SETTINGS && strcmp(cloud_settings[i].name, name) != 0)
			i++;
		if (i == CLOUD_N_SETTINGS || !json_is_integer(value)) {
			refuse(response, 400, arena_printf(request->arena, "%s: no such setting, or not a number", name));
			json_decref(settings);
			return;
		}
		cloud->settings[i] = json_integer_value(value);
	}
	json_decref(settings);
	get_settings(cloud, request, response);
}

static void get_resources(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	json_t *stacks = stacks_describe(cloud->stacks, NULL, NULL), *names = json_array();
	for (size_t i = 0; i < json_array_size(stacks); i++)
		json_array_append(names, json_object_get(json_array_get(stacks, i), "StackName"));
	json_decref(stacks);
	cloud_json(response, 200,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "buckets", s3_names(cloud->s3), "repositories", ecr_json(cloud->ecr), "roles",
			iam_names(cloud->iam, IAM_ROLE), "policies", iam_names(cloud->iam, IAM_POLICY), "functions", lambda_names(cloud),
			"log_groups", logs_names(cloud->logs), "stacks", names));
}

/* A line each. */
static const struct {
	const char *method, *path;
	cloud_handler *handle;
} controls[] = {
	{ "GET", "/_cloud/counters", get_counters },
	{ "GET", "/_cloud/environments", lambda_get_environments },
	{ "POST", "/_cloud/environments", lambda_post_environments },
	{ "GET", "/_cloud/faults", get_faults },
	{ "POST", "/_cloud/faults", post_faults },
	{ "DELETE", "/_cloud/faults", delete_faults },
	{ "GET", "/_cloud/resources", get_resources },
	{ "GET", "/_cloud/settings", get_settings },
	{ "POST", "/_cloud/settings", post_settings },
};

void control_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
		if (strcmp(controls[i].path, request->path) == 0 && strcmp(controls[i].method, request->method) == 0) {
			controls[i].handle(cloud, request, response);
			return;
		}
	}
	refuse(response, 404, "no such control");
}
