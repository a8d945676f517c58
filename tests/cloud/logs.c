#include "tests/cloud/logs.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/cloud/cloud.h"

#define MISSING "The specified log group does not exist."

struct logs {
	struct cloud *cloud;
	pthread_mutex_t lock;
	json_t *groups; /* name → as DescribeLogGroups has it */
};

struct logs *logs_new(struct cloud *cloud)
{
	struct logs *logs = calloc(1, sizeof(*logs));
	if (!logs)
		abort();
	*logs = (struct logs){ cloud, PTHREAD_MUTEX_INITIALIZER, json_object() };
	return logs;
}

void logs_free(struct logs *logs)
{
	if (!logs)
		return;
	json_decref(logs->groups);
	free(logs);
}

static void set_days(json_t *group, int64_t days)
{
	if (days > 0)
		json_object_set_new(group, "retentionInDays", json_integer(days));
	else
		json_object_del(group, "retentionInDays");
}

int logs_create(struct logs *logs, const char *name, int64_t days, struct error *err)
{
	pthread_mutex_lock(&logs->lock);
	bool there = json_object_get(logs->groups, name);
	if (!there) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		json_t *group = json_pack("{s:s, s:s, s:I, s:i, s:i}", "logGroupName", name, "arn",
			arena_printf(
				&arena, "arn:aws:logs:%s:" CLOUD_ACCOUNT ":log-group:%s:*", logs->cloud->region, name),
			"creationTime", (json_int_t)(clock_realtime_ns() / 1000000), "metricFilterCount", 0,
			"storedBytes", 0);
		set_days(group, days);
		json_object_set_new(logs->groups, name, group);
	}
	pthread_mutex_unlock(&logs->lock);
	return there ? error_set(err, 0, "The specified log group already exists") : 0;
}

void logs_ensure(struct logs *logs, const char *name)
{
	logs_create(logs, name, 0, NULL);
}

void logs_keep(struct logs *logs, const char *name, int64_t days)
{
	pthread_mutex_lock(&logs->lock);
	set_days(json_object_get(logs->groups, name), days);
	pthread_mutex_unlock(&logs->lock);
}

bool logs_delete(struct logs *logs, const char *name)
{
	pthread_mutex_lock(&logs->lock);
	bool was = json_object_del(logs->groups, name) == 0;
	pthread_mutex_unlock(&logs->lock);
	return was;
}

json_t *logs_names(struct logs *logs)
{
	json_t *names = json_array(), *group;
	const char *name;
	pthread_mutex_lock(&logs->lock);
	json_object_foreach(logs->groups, name, group) json_array_append_new(names, json_string(name));
	pthread_mutex_unlock(&logs->lock);
	return names;
}

static json_t *describe(struct logs *logs, const json_t *body)
{
	const char *prefix = json_string_value(json_object_get(body, "logGroupNamePrefix")), *name;
	json_t *found = json_array(), *group;
	pthread_mutex_lock(&logs->lock);
	json_object_foreach(logs->groups, name, group)
	{
		if (!prefix || strncmp(name, prefix, strlen(prefix)) == 0)
			json_array_append_new(found, json_deep_copy(group));
	}
	pthread_mutex_unlock(&logs->lock);
	return json_pack("{s:o}", "logGroups", found);
}

const char *logs_operation(const struct cloud_request *request)
{
	static const char *const operations[] = { "CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups",
		"PutRetentionPolicy", "DeleteRetentionPolicy", NULL };
	return cloud_target(request, "Logs_20140328.", operations);
}

const char *logs_resource(struct cloud *cloud, const struct cloud_request *request)
{
	json_t *body = json_loadb(request->body.ptr ? request->body.ptr : "", request->body.len, 0, NULL);
	const char *name = json_string_value(json_object_get(body, "logGroupName"));
	const char *arn = arena_printf(request->arena,
		"arn:aws:logs:%s:" CLOUD_ACCOUNT ":log-group:%s:log-stream:", cloud->region, name ? name : "");
	json_decref(body);
	return arn;
}

void logs_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	struct logs *logs = cloud->logs;
	const char *operation = logs_operation(request);
	if (!operation) {
		cloud_error(request, response, 400, "UnknownOperationException",
			"This cloud's logs have no such operation.");
		return;
	}
	json_t *body = cloud_body(request, response);
	if (!body)
		return;
	const char *name = json_string_value(json_object_get(body, "logGroupName"));
	struct error err;
	if (strcmp(operation, "DescribeLogGroups") == 0) {
		cloud_json(response, 200, describe(logs, body));
	} else if (!name || !*name) {
		cloud_error(request, response, 400, "InvalidParameterException",
			"1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: "
			"Member "
			"must not be null");
	} else if (strcmp(operation, "CreateLogGroup") == 0) {
		if (logs_create(logs, name, 0, &err) < 0)
			cloud_error(request, response, 400, "ResourceAlreadyExistsException", "%s", err.text);
	} else if (strcmp(operation, "DeleteLogGroup") == 0) {
		if (!logs_delete(logs, name))
			cloud_error(request, response, 400, "ResourceNotFoundException", MISSING);
	} else {
		pthread_mutex_lock(&logs->lock);
		json_t *group = json_object_get(logs->groups, name);
		if (group)
			set_days(group, strcmp(operation, "PutRetentionPolicy") == 0
						? json_integer_value(json_object_get(body, "retentionInDays"))
						: 0);
		pthread_mutex_unlock(&logs->lock);
		if (!group)
			cloud_error(request, response, 400, "ResourceNotFoundException", MISSING);
	}
	json_decref(body);
}
