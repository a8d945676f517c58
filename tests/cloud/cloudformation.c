#include "tests/cloud/cloudformation.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cloud/cloud.h"
#include "tests/cloud/permissions.h"
#include "tests/cloud/query.h"
#include "tests/cloud/resources.h"
#include "tests/cloud/stacks.h"
#include "tests/cloud/template.h"
#include "tests/cloud/xml.h"

#define XMLNS "http://cloudformation.amazonaws.com/doc/2010-05-15/"

struct call {
	struct cloud *cloud;
	struct cloud_request *request;
	struct cloud_response *response;
	const struct query_form *form;
	const char *action, *name; /* StackName, or NULL */
};

#define fail(call, code, ...) cloud_error((call)->request, (call)->response, 400, code, __VA_ARGS__)

static const char *field(const struct call *call, const char *name)
{
	return query_get(call->form, name);
}

static const char *member(const struct call *call, const char *name, size_t i, const char *of)
{
	return query_member(call->form, call->request->arena, name, i, of);
}

/* --- XML ---------------------------------------------------------------------------------------------------------- */

static void append(struct buf *to, const char *name, const json_t *value)
{
	const char *key;
	json_t *one;
	switch (json_typeof(value)) {
	case JSON_STRING:
		xml_element(to, name, json_string_value(value));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		xml_element(to, name, json_is_true(value) ? "true" : "false");
		return;
	case JSON_INTEGER:
	case JSON_REAL:
		buf_printf(to, "<%s>%g</%s>", name, json_number_value(value), name);
		return;
	case JSON_NULL:
		return;
	case JSON_OBJECT:
	case JSON_ARRAY:
		break;
	}
	buf_printf(to, "<%s>", name);
	for (size_t i = 0; i < json_array_size(value); i++)
		append(to, "member", json_array_get(value, i));
	json_object_foreach((json_t *)(uintptr_t)value, key, one) append(to, key, one);
	buf_printf(to, "</%s>", name);
}

/* An answer whose only member is `value`, which may be NULL; takes the reference. */
static void answer(struct call *call, const char *name, json_t *value)
{
	struct buf *body = query_begin(call->response, call->action, XMLNS);
	if (value)
		append(body, name, value);
	json_decref(value);
	query_end(call->request, call->response, call->action);
}

static void fail_outcome(struct call *call, int outcome, const struct error *err)
{
	switch ((enum stacks_outcome)outcome) {
	case STACKS_THERE:
		fail(call, "AlreadyExistsException", "%s", err->text);
		break;
	case STACKS_CAPABILITIES:
		fail(call, "InsufficientCapabilitiesException", "%s", err->text);
		break;
	case STACKS_MISSING:
	case STACKS_NO_CHANGE:
	case STACKS_WRONG:
		fail(call, "ValidationError", "%s", err->text);
		break;
	}
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

/* What belongs to the request, in JSON; freed by free_lists. */
struct lists {
	json_t *parameters, *tags, *capabilities, *retain;
};

static json_t *strings(const struct call *call, const char *name)
{
	json_t *list = json_array();
	const char *value;
	for (size_t i = 1; (value = member(call, name, i, NULL)); i++)
		json_array_append_new(list, json_string(value));
	return list;
}

/* False: answered. */
static bool read_lists(struct call *call, struct lists *ret)
{
	static const char *const known[] = { "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND" };
	const char *key;
	*ret = (struct lists){ json_object(), NULL, strings(call, "Capabilities"), strings(call, "RetainResources") };
	for (size_t i = 1; (key = member(call, "Parameters", i, "ParameterKey")); i++) {
		const char *value = member(call, "Parameters", i, "ParameterValue"),
			   *previous = member(call, "Parameters", i, "UsePreviousValue");
		bool keeps = previous && strcmp(previous, "true") == 0;
		json_object_set_new(ret->parameters, key, keeps ? json_null() : json_string(value ? value : ""));
	}
	for (size_t i = 1; (key = member(call, "Tags", i, "Key")); i++) {
		const char *value = member(call, "Tags", i, "Value");
		if (!ret->tags)
			ret->tags = json_array();
		json_array_append_new(ret->tags, json_pack("{s:s, s:s}", "Key", key, "Value", value ? value : ""));
	}
	for (size_t i = 0; i < json_array_size(ret->capabilities); i++) {
		const char *one = json_string_value(json_array_get(ret->capabilities, i));
		size_t j = 0;
		while (j < sizeof(known) / sizeof(known[0]) && strcmp(known[j], one) != 0)
			j++;
		if (j < sizeof(known) / sizeof(known[0]))
			continue;
		fail(call, "ValidationError",
			"1 validation error detected: Value '[%s]' at 'capabilities' failed to satisfy constraint: "
			"Member must "
			"satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]",
			one);
		return false;
	}
	return true;
}

static void free_lists(struct lists *lists)
{
	json_decref(lists->parameters);
	json_decref(lists->tags);
	json_decref(lists->capabilities);
	json_decref(lists->retain);
}

/* NULL: answered. */
static const char *on_failure(struct call *call)
{
	const char *given = field(call, "OnFailure"), *disable = field(call, "DisableRollback");
	if (given && disable) {
		fail(call, "ValidationError", "You can specify either DisableRollback or OnFailure, but not both.");
		return NULL;
	}
	if (!given)
		return disable && strcmp(disable, "true") == 0 ? "DO_NOTHING" : "ROLLBACK";
	if (strcmp(given, "ROLLBACK") == 0 || strcmp(given, "DO_NOTHING") == 0 || strcmp(given, "DELETE") == 0)
		return given;
	fail(call, "ValidationError",
		"1 validation error detected: Value '%s' at 'onFailure' failed to satisfy constraint: Member must "
		"satisfy enum value "
		"set: [ROLLBACK, DELETE, DO_NOTHING]",
		given);
	return NULL;
}

static struct stack_request request_of(const struct call *call, const struct lists *lists)
{
	return (struct stack_request){ .name = call->name,
		.body = slice_str(field(call, "TemplateBody")),
		.parameters = lists->parameters,
		.tags = lists->tags,
		.capabilities = lists->capabilities,
		.retain = lists->retain,
		.token = field(call, "ClientRequestToken"),
		.caller = permissions_caller(call->cloud, call->request->access_key, call->request->arena) };
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

static void create_or_update(struct call *call)
{
	bool creates = strcmp(call->action, "CreateStack") == 0;
	struct lists lists;
	const char *id, *failure = on_failure(call), *same = field(call, "UsePreviousTemplate");
	struct error err;
	if (failure && read_lists(call, &lists)) {
		struct stack_request request = request_of(call, &lists);
		request.on_failure = failure;
		bool keeps = !creates && same && strcmp(same, "true") == 0;
		if (!request.body.ptr == !keeps) {
			fail(call, "ValidationError", "Either Template URL or Template Body must be specified.");
		} else {
			int r = (creates ? stacks_create : stacks_update)(
				call->cloud->stacks, &request, call->request->arena, &id, &err);
			if (r == 0)
				answer(call, "StackId", json_string(id));
			else
				fail_outcome(call, r, &err);
		}
	}
	if (failure)
		free_lists(&lists);
}

static void delete_stack(struct call *call)
{
	struct lists lists;
	struct error err;
	if (read_lists(call, &lists)) {
		struct stack_request request = request_of(call, &lists);
		int r = stacks_delete(call->cloud->stacks, &request, &err);
		if (r == 0)
			answer(call, NULL, NULL);
		else
			fail_outcome(call, r, &err);
	}
	free_lists(&lists);
}

static void describe_stacks(struct call *call)
{
	struct error err;
	json_t *all = stacks_describe(call->cloud->stacks, call->name, &err);
	if (all)
		answer(call, "Stacks", all);
	else
		fail(call, "ValidationError", "%s", err.text);
}

static void describe_stack_events(struct call *call)
{
	struct error err;
	json_t *all = stacks_events(call->cloud->stacks, call->name, &err);
	const char *token = field(call, "NextToken");
	size_t first = token ? strtoul(token, NULL, 10) : 0,
	       page = (size_t)cloud_setting(call->cloud, SETTING_EVENTS_PAGE);
	if (!all) {
		fail(call, "ValidationError", "%s", err.text);
		return;
	}
	/* The token says how many older ones there are: newer ones come in front of them. */
	size_t n = json_array_size(all);
	first = token ? n - (first < n ? first : n) : 0;
	struct buf *body = query_begin(call->response, call->action, XMLNS);
	buf_append_str(body, "<StackEvents>");
	for (size_t i = first; i < n && i < first + page; i++)
		append(body, "member", json_array_get(all, i));
	buf_append_str(body, "</StackEvents>");
	if (first + page < n)
		buf_printf(body, "<NextToken>%zu</NextToken>", n - first - page);
	query_end(call->request, call->response, call->action);
	json_decref(all);
}

static void describe_stack_resources(struct call *call)
{
	struct error err;
	json_t *all = stacks_resources(call->cloud->stacks, call->name, &err);
	if (all)
		answer(call, "StackResources", all);
	else
		fail(call, "ValidationError", "%s", err.text);
}

static void get_template(struct call *call)
{
	struct error err;
	json_t *text = stacks_template(call->cloud->stacks, call->name, &err);
	if (text)
		answer(call, "TemplateBody", text);
	else
		fail(call, "ValidationError", "%s", err.text);
}

static void validate_template(struct call *call)
{
	static const struct template_types types = { resources_known, resources_has_attribute };
	struct template template;
	struct error err;
	const char *body = field(call, "TemplateBody"), *name;
	if (!body) {
		fail(call, "ValidationError", "Either Template URL or Template Body must be specified.");
		return;
	}
	if (template_parse(slice_str(body), &types, &template, &err) < 0) {
		fail(call, "ValidationError", "%s", err.text);
		return;
	}
	json_t *parameters = json_array(), *one;
	json_object_foreach(json_object_get(template.root, "Parameters"), name, one)
	{
		json_t *parameter = json_pack("{s:s, s:b}", "ParameterKey", name, "NoEcho", 0);
		json_t *value = json_object_get(one, "Default"), *text = json_object_get(one, "Description");
		if (value)
			json_object_set(parameter, "DefaultValue", value);
		if (text)
			json_object_set(parameter, "Description", text);
		json_array_append_new(parameters, parameter);
	}
	struct buf *to = query_begin(call->response, call->action, XMLNS);
	append(to, "Parameters", parameters);
	if (json_object_get(template.root, "Description"))
		append(to, "Description", json_object_get(template.root, "Description"));
	const char *capability = template_capability(&template);
	if (capability) {
		buf_printf(to, "<Capabilities><member>%s</member></Capabilities>", capability);
		xml_element(to, "CapabilitiesReason", "The following resource(s) require capabilities: IAM's");
	}
	query_end(call->request, call->response, call->action);
	json_decref(parameters);
	template_deinit(&template);
}

static const struct {
	const char *action;
	bool of_stack; /* StackName must be given */
	void (*handle)(struct call *call);
} actions[] = {
	{ "CreateStack", true, create_or_update },
	{ "DeleteStack", true, delete_stack },
	{ "DescribeStackEvents", true, describe_stack_events },
	{ "DescribeStackResources", true, describe_stack_resources },
	{ "DescribeStacks", false, describe_stacks },
	{ "GetTemplate", true, get_template },
	{ "UpdateStack", true, create_or_update },
	{ "ValidateTemplate", false, validate_template },
};
enum { N_ACTIONS = sizeof(actions) / sizeof(actions[0]) };

const char *cloudformation_operation(const struct cloud_request *request)
{
	const char *action = query_action(request);
	for (size_t i = 0; action && i < N_ACTIONS; i++)
		if (strcmp(actions[i].action, action) == 0)
			return actions[i].action;
	return NULL;
}

const char *cloudformation_resource(struct cloud *cloud, const struct cloud_request *request)
{
	struct query_form form;
	const char *name = query_parse(request->body, request->arena, &form, NULL) == 0 ? query_get(&form, "StackName")
											: NULL;
	if (!name)
		return "*";
	return strncmp(name, "arn:", 4) == 0
		       ? name
		       : arena_printf(request->arena, "arn:aws:cloudformation:%s:" CLOUD_ACCOUNT ":stack/%s/*",
				 cloud->region, name);
}

/* Fields that a request of CloudFormation's may have and that this one heeds, or may ignore; a name before its first dot. */
static const char *const fields[] = { "Action", "Version", "StackName", "TemplateBody", "Parameters", "Capabilities",
	"Tags", "OnFailure", "DisableRollback", "ClientRequestToken", "NextToken", "UsePreviousTemplate",
	"RetainResources", "TemplateStage", "TimeoutInMinutes", "EnableTerminationProtection" };

/* NULL: all are known. */
static const char *unknown_field(const struct query_form *form)
{
	for (size_t i = 0; i < form->n; i++) {
		size_t n = strcspn(form->pairs[i].name, "."), j = 0;
		while (j < sizeof(fields) / sizeof(fields[0]) &&
			(strlen(fields[j]) != n || strncmp(fields[j], form->pairs[i].name, n) != 0))
			j++;
		if (j == sizeof(fields) / sizeof(fields[0]))
			return form->pairs[i].name;
	}
	return NULL;
}

void cloudformation_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	struct query_form form;
	struct call call = { cloud, request, response, &form, cloudformation_operation(request), NULL };
	struct error err;
	if (query_parse(request->body, request->arena, &form, &err) < 0) {
		fail(&call, "MalformedQueryString", "%s", err.text);
		return;
	}
	const char *version = query_get(&form, "Version"), *unknown = unknown_field(&form);
	call.name = query_get(&form, "StackName");
	size_t i = 0;
	while (call.action && strcmp(actions[i].action, call.action) != 0)
		i++;
	if (!call.action || !version || strcmp(version, "2010-05-15") != 0)
		fail(&call, "InvalidAction", "Could not find operation %s for version %s",
			query_get(&form, "Action") ? query_get(&form, "Action") : "",
			version ? version : "NO_VERSION_SPECIFIED");
	else if (unknown)
		fail(&call, "ValidationError", "This cloud's CloudFormation has no %s", unknown);
	else if (actions[i].of_stack && (!call.name || !*call.name))
		fail(&call, "ValidationError",
			"1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member "
			"must not be null");
	else
		actions[i].handle(&call);
}
