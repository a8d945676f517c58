#include "tests/cloud/stacks.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/properties.h"
#include "tests/cloud/resources.h"
#include "tests/cloud/template.h"

struct resource {
	struct list link;
	char *logical;
	const struct resource_type *type;
	char *physical;	    /* NULL: it isn't there */
	json_t *properties; /* as it was made, or last changed */
	bool retain;
	json_t *about; /* as DescribeStackResources has it */
	/* While the stack is updated, until it is known how that ends: */
	bool is_new;
	char *old_physical;	/* it was replaced */
	json_t *old_properties; /* it was changed or replaced */
};

struct stack {
	struct list link;
	const char *name, *id; /* of `about` */
	json_t *about;	       /* as DescribeStacks has it */
	json_t *events;	       /* the oldest first */
	struct list resources; /* in the order in which they were made */
	struct template template;
	char *body;
	json_t *parameters; /* template_parameters */
	json_t *given;	    /* name → string */
	json_t *shape;	    /* see shape_of */
	char *caller, *on_failure, *token;
	bool busy, delete_wanted;
	json_t *retain;
};

struct stacks {
	struct cloud *cloud;
	pthread_mutex_t lock; /* of everything; only the thread of a stack's operation changes its resources */
	pthread_cond_t changed;
	struct list all; /* the oldest first */
	int n_operations;
	bool closing;
};

static const struct template_types types = { resources_known, resources_has_attribute };

/* --- Words -------------------------------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
	char *new = text ? strdup(text) : NULL;
	if (text && !new)
		abort();
	return new;
}

static void replace(char **text, const char *new)
{
	free(*text);
	*text = copy(new);
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void put(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
	else
		json_object_del(object, key);
}

static const char *now(struct stacks *stacks, struct arena *arena)
{
	time_t s = (time_t)cloud_now_s(stacks->cloud);
	struct tm tm;
	char text[40];
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
	return arena_printf(arena, "%s.%03dZ", text, (int)(clock_realtime_ns() / 1000000 % 1000));
}

static bool status_is(const struct stack *stack, const char *status)
{
	return strcmp(word(stack->about, "StackStatus"), status) == 0;
}

/* --- Finding ------------------------------------------------------------------------------------------------------ */

/* The one that isn't deleted, by name; by id any. */
static struct stack *find(struct stacks *stacks, const char *name)
{
	struct stack *stack;
	list_for_each (stack, &stacks->all, struct stack, link)
		if (strcmp(stack->id, name) == 0 ||
			(strcmp(stack->name, name) == 0 && !status_is(stack, "DELETE_COMPLETE")))
			return stack;
	return NULL;
}

static int missing(const char *name, struct error *err)
{
	error_set(err, 0, "Stack with id %s does not exist", name);
	return STACKS_MISSING;
}

static struct resource *find_resource(const struct stack *stack, const char *logical)
{
	struct resource *resource;
	list_for_each (resource, &stack->resources, struct resource, link)
		if (strcmp(resource->logical, logical) == 0)
			return resource;
	return NULL;
}

/* --- Events ------------------------------------------------------------------------------------------------------- */

static void add_event(struct stacks *stacks, struct stack *stack, const char *logical, const char *physical,
	const char *type, const json_t *properties, const char *status, const char *reason)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "StackId", stack->id, "EventId",
		arena_printf(&arena, "%s-%s", logical, cloud_new_id(&arena)), "StackName", stack->name,
		"LogicalResourceId", logical, "PhysicalResourceId", physical ? physical : "", "ResourceType", type,
		"Timestamp", now(stacks, &arena), "ResourceStatus", status);
	put(event, "ResourceStatusReason", reason);
	put(event, "ClientRequestToken", stack->token);
	if (properties) {
		_cleanup_free_ char *text = json_dumps(properties, JSON_COMPACT);
		put(event, "ResourceProperties", text);
	}
	json_array_append_new(stack->events, event);
}

static void set_status(struct stacks *stacks, struct stack *stack, const char *status, const char *reason)
{
	pthread_mutex_lock(&stacks->lock);
	put(stack->about, "StackStatus", status);
	put(stack->about, "StackStatusReason", reason);
	add_event(stacks, stack, stack->name, stack->id, "AWS::CloudFormation::Stack", NULL, status, reason);
	pthread_mutex_unlock(&stacks->lock);
}

static void set_resource(
	struct stacks *stacks, struct stack *stack, struct resource *resource, const char *status, const char *reason)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	pthread_mutex_lock(&stacks->lock);
	put(resource->about, "PhysicalResourceId", resource->physical);
	put(resource->about, "ResourceStatus", status);
	put(resource->about, "ResourceStatusReason", reason);
	put(resource->about, "Timestamp", now(stacks, &arena));
	add_event(stacks, stack, resource->logical, resource->physical, resource->type->name, resource->properties,
		status, reason);
	pthread_mutex_unlock(&stacks->lock);
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

static struct resource *resource_new(struct stack *stack, const char *logical, const char *type)
{
	struct resource *resource = calloc(1, sizeof(*resource));
	if (!resource)
		abort();
	resource->logical = copy(logical);
	resource->type = resources_find(type);
	resource->about = json_pack("{s:s, s:s, s:s, s:s}", "StackName", stack->name, "StackId", stack->id,
		"LogicalResourceId", logical, "ResourceType", type);
	list_append(&stack->resources, &resource->link);
	return resource;
}

static void resource_free(struct resource *resource)
{
	list_remove(&resource->link);
	free(resource->logical);
	free(resource->physical);
	free(resource->old_physical);
	json_decref(resource->properties);
	json_decref(resource->old_properties);
	json_decref(resource->about);
	free(resource);
}

static void stack_free(struct stack *stack)
{
	list_remove(&stack->link);
	for (struct resource *resource; (resource = list_first(&stack->resources, struct resource, link));)
		resource_free(resource);
	template_deinit(&stack->template);
	json_decref(stack->about);
	json_decref(stack->events);
	json_decref(stack->parameters);
	json_decref(stack->given);
	json_decref(stack->shape);
	json_decref(stack->retain);
	free(stack->body);
	free(stack->caller);
	free(stack->on_failure);
	free(stack->token);
	free(stack);
}

struct stacks *stacks_new(struct cloud *cloud)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	if (!stacks)
		abort();
	stacks->cloud = cloud;
	list_init(&stacks->all);
	pthread_mutex_init(&stacks->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&stacks->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return stacks;
}

void stacks_free(struct stacks *stacks)
{
	if (!stacks)
		return;
	pthread_mutex_lock(&stacks->lock);
	stacks->closing = true;
	pthread_cond_broadcast(&stacks->changed);
	while (stacks->n_operations > 0)
		pthread_cond_wait(&stacks->changed, &stacks->lock);
	pthread_mutex_unlock(&stacks->lock);
	for (struct stack *stack; (stack = list_first(&stacks->all, struct stack, link));)
		stack_free(stack);
	pthread_cond_destroy(&stacks->changed);
	pthread_mutex_destroy(&stacks->lock);
	free(stacks);
}

/* --- Operations --------------------------------------------------------------------------------------------------- */

enum operation_kind { CREATE, UPDATE, DELETE };

struct operation {
	struct stacks *stacks;
	struct stack *stack;
	enum operation_kind kind;
	struct arena arena;
	/* Of an update, what the stack will have when it is done: */
	struct template template;
	char *body;
	json_t *parameters, *given, *shape, *tags;
};

static void operation_free(struct operation *op)
{
	template_deinit(&op->template);
	json_decref(op->parameters);
	json_decref(op->given);
	json_decref(op->shape);
	json_decref(op->tags);
	free(op->body);
	arena_deinit(&op->arena);
	free(op);
}

static struct resource_call call_of(struct operation *op, const struct resource *resource)
{
	return (struct resource_call){ .cloud = op->stacks->cloud,
		.type = resource->type,
		.caller = op->stack->caller,
		.stack = op->stack->name,
		.logical = resource->logical,
		.properties = resource->properties,
		.physical = resource->physical,
		.arena = &op->arena };
}

static json_t *attribute(void *ctx, const char *logical, const char *attribute, struct error *err)
{
	struct operation *op = ctx;
	const struct resource *resource = find_resource(op->stack, logical);
	if (!resource || !resource->physical)
		return error_set(err, 0, "Template error: resource %s doesn't exist: its condition doesn't hold",
			       logical),
		       NULL;
	struct resource_call call = call_of(op, resource);
	return resources_attribute(&call, attribute);
}

static struct template_scope scope_of(struct operation *op)
{
	const struct stack *stack = op->stack;
	return (struct template_scope){ .template = op->kind == UPDATE ? &op->template : &stack->template,
		.parameters = op->kind == UPDATE ? op->parameters : stack->parameters,
		.region = op->stacks->cloud->region,
		.account = CLOUD_ACCOUNT,
		.stack_name = stack->name,
		.stack_id = stack->id,
		.attribute = attribute,
		.ctx = op };
}

/* As long as a step takes at least. */
static void pause_step(struct stacks *stacks)
{
	int64_t until_ms = clock_monotonic_ms() + cloud_setting(stacks->cloud, SETTING_RESOURCE_MS);
	struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
	pthread_mutex_lock(&stacks->lock);
	while (!stacks->closing && clock_monotonic_ms() < until_ms)
		pthread_cond_timedwait(&stacks->changed, &stacks->lock, &until);
	pthread_mutex_unlock(&stacks->lock);
}

/* -1: it was ordered to. */
static int check_fault(struct operation *op, const struct resource *resource, enum fault_kind kind, struct error *err)
{
	const char *reason = "";
	if (!faults_strike(op->stacks->cloud->faults, "cloudformation", resource->logical, kind, &op->arena, &reason))
		return 0;
	return error_set(err, 0, "%s", *reason ? reason : "This fault was ordered.");
}

static const json_t *definition(struct operation *op, const char *logical)
{
	struct template_scope scope = scope_of(op);
	return json_object_get(json_object_get(scope.template->root, "Resources"), logical);
}

/* The resource's properties with values in them. NULL: `err`. */
static json_t *properties_of(
	struct operation *op, const char *logical, const struct resource_type *type, struct error *err)
{
	struct template_scope scope = scope_of(op);
	const json_t *given = json_object_get(definition(op, logical), "Properties");
	json_t *resolved = given ? template_resolve(&scope, given, err) : json_object();
	struct error cause;
	if (!resolved)
		return NULL;
	if (properties_check(type->properties, resolved, &cause) < 0) {
		error_set(
			err, 0, "Properties validation failed for resource %s with message:\n%s", logical, cause.text);
		json_decref(resolved);
		return NULL;
	}
	json_t *properties = json_deep_copy(resolved);
	json_decref(resolved);
	properties_normalise(type->properties, properties);
	return properties;
}

/* Make it: physical and properties of `resource` become the new ones; also where it fails half-way. */
static int make(struct operation *op, struct resource *resource, json_t *properties, struct error *err)
{
	const char *physical = NULL;
	resource->properties = properties;
	struct resource_call call = call_of(op, resource);
	int r = check_fault(op, resource, FAULT_RESOURCE_FAIL, err);
	if (r == 0)
		r = resources_create(&call, &physical, err);
	pthread_mutex_lock(&op->stacks->lock);
	resource->physical = copy(physical);
	pthread_mutex_unlock(&op->stacks->lock);
	return r;
}

static int create_resource(struct operation *op, const char *logical, struct error *err)
{
	struct stacks *stacks = op->stacks;
	const json_t *one = definition(op, logical);
	pthread_mutex_lock(&stacks->lock);
	struct resource *resource = resource_new(op->stack, logical, word(one, "Type"));
	resource->retain = strcmp(word(one, "DeletionPolicy"), "Retain") == 0;
	resource->is_new = true;
	pthread_mutex_unlock(&stacks->lock);
	set_resource(stacks, op->stack, resource, "CREATE_IN_PROGRESS", NULL);
	json_t *properties = properties_of(op, logical, resource->type, err);
	pause_step(stacks);
	if (properties && make(op, resource, properties, err) == 0) {
		set_resource(stacks, op->stack, resource, "CREATE_IN_PROGRESS", "Resource creation Initiated");
		set_resource(stacks, op->stack, resource, "CREATE_COMPLETE", NULL);
		return 0;
	}
	set_resource(stacks, op->stack, resource, "CREATE_FAILED", err->text);
	return -1;
}

/* Take it away; then it is gone from the stack. -1: it stays. */
static int delete_resource(struct operation *op, struct resource *resource)
{
	struct stacks *stacks = op->stacks;
	struct error err;
	bool there = resource->physical;
	if (there && resource->retain) {
		set_resource(stacks, op->stack, resource, "DELETE_SKIPPED", NULL);
	} else if (there) {
		set_resource(stacks, op->stack, resource, "DELETE_IN_PROGRESS", NULL);
		pause_step(stacks);
		struct resource_call call = call_of(op, resource);
		if (check_fault(op, resource, FAULT_DELETE_FAIL, &err) < 0 || resources_delete(&call, &err) < 0) {
			set_resource(stacks, op->stack, resource, "DELETE_FAILED", err.text);
			return -1;
		}
		set_resource(stacks, op->stack, resource, "DELETE_COMPLETE", NULL);
	}
	pthread_mutex_lock(&stacks->lock);
	resource_free(resource);
	pthread_mutex_unlock(&stacks->lock);
	return 0;
}

/* All those for which `which` (NULL: every one) is true, the newest first. How many stay, their names in `ret`. */
static int delete_resources(struct operation *op, bool (*which)(const struct resource *), struct buf *ret)
{
	int n = 0;
	for (struct list *link = op->stack->resources.prev, *before = link->prev; link != &op->stack->resources;
		link = before, before = link->prev) {
		struct resource *resource = container_of(link, struct resource, link);
		if ((!which || which(resource)) && delete_resource(op, resource) < 0)
			buf_printf(ret, "%s%s", n++ ? ", " : "", resource->logical);
	}
	return n;
}

static void set_outputs(struct operation *op)
{
	struct template_scope scope = scope_of(op);
	json_t *outputs = json_array(), *one;
	const char *name;
	json_object_foreach(json_object_get(scope.template->root, "Outputs"), name, one)
	{
		json_t *value = template_applies(&scope, one, NULL) == 1
					? template_resolve(&scope, json_object_get(one, "Value"), NULL)
					: NULL;
		if (json_is_string(value)) {
			json_t *output = json_pack("{s:s, s:O}", "OutputKey", name, "OutputValue", value);
			if (json_object_get(one, "Description"))
				json_object_set(output, "Description", json_object_get(one, "Description"));
			json_array_append_new(outputs, output);
		}
		json_decref(value);
	}
	pthread_mutex_lock(&op->stacks->lock);
	json_object_set_new(op->stack->about, "Outputs", outputs);
	pthread_mutex_unlock(&op->stacks->lock);
}

static bool cancelled(struct operation *op)
{
	pthread_mutex_lock(&op->stacks->lock);
	bool wanted = op->kind == CREATE && op->stack->delete_wanted;
	pthread_mutex_unlock(&op->stacks->lock);
	return wanted;
}

static void run_delete(struct operation *op)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf failed = { 0 };
	struct stack *stack = op->stack;
	set_status(op->stacks, stack, "DELETE_IN_PROGRESS", "User Initiated");
	for (size_t i = 0; i < json_array_size(stack->retain); i++) {
		struct resource *resource = find_resource(stack, json_string_value(json_array_get(stack->retain, i)));
		if (resource)
			resource->retain = true;
	}
	if (delete_resources(op, NULL, &failed) > 0) {
		set_status(op->stacks, stack, "DELETE_FAILED",
			arena_printf(&arena, "The following resource(s) failed to delete: [%s]. ", buf_str(&failed)));
		return;
	}
	pthread_mutex_lock(&op->stacks->lock);
	put(stack->about, "DeletionTime", now(op->stacks, &arena));
	pthread_mutex_unlock(&op->stacks->lock);
	set_status(op->stacks, stack, "DELETE_COMPLETE", NULL);
}

static void run_create(struct operation *op)
{
	struct stacks *stacks = op->stacks;
	struct stack *stack = op->stack;
	struct arena *arena = &op->arena;
	const char **order = template_order(&stack->template, arena), *failed = NULL;
	struct template_scope scope = scope_of(op);
	struct error err;
	for (; *order && !failed && !cancelled(op); order++) {
		int applies = template_applies(&scope, definition(op, *order), &err);
		if (applies != 0 && create_resource(op, *order, &err) < 0)
			failed = *order;
	}
	if (cancelled(op))
		return;
	const char *reason = failed ? arena_printf(arena, "The following resource(s) failed to create: [%s]. ", failed)
				    : NULL;
	if (!failed) {
		set_outputs(op);
		set_status(stacks, stack, "CREATE_COMPLETE", NULL);
	} else if (strcmp(stack->on_failure, "DO_NOTHING") == 0) {
		set_status(stacks, stack, "CREATE_FAILED", reason);
	} else if (strcmp(stack->on_failure, "DELETE") == 0) {
		set_status(stacks, stack, "CREATE_FAILED", arena_printf(arena, "%sDelete requested by user.", reason));
		run_delete(op);
	} else {
		_cleanup_buf_ struct buf left = { 0 };
		set_status(stacks, stack, "ROLLBACK_IN_PROGRESS",
			arena_printf(arena, "%sRollback requested by user.", reason));
		if (delete_resources(op, NULL, &left) > 0)
			set_status(stacks, stack, "ROLLBACK_FAILED",
				arena_printf(
					arena, "The following resource(s) failed to delete: [%s]. ", buf_str(&left)));
		else
			set_status(stacks, stack, "ROLLBACK_COMPLETE", NULL);
	}
}

/* --- Updates ------------------------------------------------------------------------------------------------------ */

/* Change it in place, or make another in its place. */
static int update_resource(struct operation *op, struct resource *resource, struct error *err)
{
	struct stacks *stacks = op->stacks;
	const struct resource_type *type = resources_find(word(definition(op, resource->logical), "Type"));
	if (type != resource->type)
		return error_set(err, 0,
			"Update of resource type is not permitted. The new template modifies resource type of the "
			"following resources: [%s]",
			resource->logical);
	json_t *properties = properties_of(op, resource->logical, type, err);
	if (!properties) {
		set_resource(stacks, op->stack, resource, "UPDATE_FAILED", err->text);
		return -1;
	}
	if (json_equal(properties, resource->properties)) {
		json_decref(properties);
		return 0;
	}
	bool another = properties_differ_fixed(type->properties, resource->properties, properties);
	set_resource(stacks, op->stack, resource, "UPDATE_IN_PROGRESS",
		another ? "Requested update requires the creation of a new physical resource; hence creating one."
			: NULL);
	pause_step(stacks);
	pthread_mutex_lock(&stacks->lock);
	resource->old_properties = resource->properties;
	if (another) {
		resource->old_physical = resource->physical;
		resource->physical = NULL;
	}
	pthread_mutex_unlock(&stacks->lock);
	int r;
	if (another) {
		r = make(op, resource, properties, err);
	} else {
		resource->properties = properties;
		struct resource_call call = call_of(op, resource);
		call.old = resource->old_properties;
		r = check_fault(op, resource, FAULT_RESOURCE_FAIL, err);
		if (r == 0)
			r = resources_update(&call, err);
	}
	set_resource(
		stacks, op->stack, resource, r < 0 ? "UPDATE_FAILED" : "UPDATE_COMPLETE", r < 0 ? err->text : NULL);
	return r;
}

static bool is_new(const struct resource *resource)
{
	return resource->is_new;
}

/* Take away what replaced another, or was replaced. -1: it stays. */
static int delete_physical(struct operation *op, struct resource *resource, char *physical, const json_t *properties)
{
	struct error err;
	struct resource_call call = call_of(op, resource);
	call.physical = physical;
	call.properties = properties;
	pthread_mutex_lock(&op->stacks->lock);
	add_event(op->stacks, op->stack, resource->logical, physical, resource->type->name, properties,
		"DELETE_IN_PROGRESS", NULL);
	pthread_mutex_unlock(&op->stacks->lock);
	pause_step(op->stacks);
	int r = check_fault(op, resource, FAULT_DELETE_FAIL, &err);
	if (r == 0)
		r = resources_delete(&call, &err);
	pthread_mutex_lock(&op->stacks->lock);
	add_event(op->stacks, op->stack, resource->logical, physical, resource->type->name, properties,
		r < 0 ? "DELETE_FAILED" : "DELETE_COMPLETE", r < 0 ? err.text : NULL);
	pthread_mutex_unlock(&op->stacks->lock);
	return r;
}

/* What was changed becomes what it was. -1: that failed. */
static int restore_resource(struct operation *op, struct resource *resource)
{
	struct error err;
	struct resource_call call = call_of(op, resource);
	int r = 0;
	set_resource(op->stacks, op->stack, resource, "UPDATE_IN_PROGRESS", NULL);
	char *replacement = resource->old_physical ? resource->physical : NULL;
	json_t *properties = resource->properties;
	if (!resource->old_physical) {
		call.properties = resource->old_properties;
		call.old = properties;
		r = resources_update(&call, &err);
	}
	pthread_mutex_lock(&op->stacks->lock);
	if (resource->old_physical) {
		resource->physical = resource->old_physical;
		resource->old_physical = NULL;
	}
	resource->properties = resource->old_properties;
	resource->old_properties = NULL;
	pthread_mutex_unlock(&op->stacks->lock);
	set_resource(
		op->stacks, op->stack, resource, r < 0 ? "UPDATE_FAILED" : "UPDATE_COMPLETE", r < 0 ? err.text : NULL);
	if (replacement)
		delete_physical(op, resource, replacement, properties);
	free(replacement);
	json_decref(properties);
	return r;
}

static void rollback_update(struct operation *op, const char *reason)
{
	struct stacks *stacks = op->stacks;
	_cleanup_buf_ struct buf left = { 0 };
	set_status(stacks, op->stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason);
	struct resource *resource;
	int r = 0;
	list_for_each (resource, &op->stack->resources, struct resource, link)
		if (resource->old_properties && restore_resource(op, resource) < 0)
			r = -1;
	if (r < 0) {
		set_status(stacks, op->stack, "UPDATE_ROLLBACK_FAILED",
			"A resource can't be what it was: see the events.");
		return;
	}
	set_status(stacks, op->stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", NULL);
	delete_resources(op, is_new, &left);
	set_status(stacks, op->stack, "UPDATE_ROLLBACK_COMPLETE", NULL);
}

static void clean_up(struct operation *op, const struct template_scope *scope)
{
	struct resource *resource;
	list_for_each (resource, &op->stack->resources, struct resource, link) {
		if (resource->old_physical) {
			delete_physical(op, resource, resource->old_physical, resource->old_properties);
			free(resource->old_physical);
			resource->old_physical = NULL;
		}
		json_decref(resource->old_properties);
		resource->old_properties = NULL;
		resource->is_new = false;
	}
	for (struct list *link = op->stack->resources.prev, *before = link->prev; link != &op->stack->resources;
		link = before, before = link->prev) {
		resource = container_of(link, struct resource, link);
		const json_t *one = definition(op, resource->logical);
		if (!one || template_applies(scope, one, NULL) == 0)
			delete_resource(op, resource);
	}
}

/* The stack has now what the update brought. */
static void adopt(struct operation *op)
{
	struct stack *stack = op->stack;
	struct resource *resource;
	pthread_mutex_lock(&op->stacks->lock);
	template_deinit(&stack->template);
	json_decref(stack->parameters);
	json_decref(stack->given);
	json_decref(stack->shape);
	free(stack->body);
	stack->template = op->template;
	stack->parameters = op->parameters;
	stack->given = op->given;
	stack->shape = op->shape;
	stack->body = op->body;
	json_object_set(stack->about, "Tags", op->tags);
	op->template = (struct template){ NULL };
	op->parameters = op->given = op->shape = NULL;
	op->body = NULL;
	op->kind = CREATE; /* from now on the template is the stack's */
	list_for_each (resource, &stack->resources, struct resource, link)
		resource->retain = strcmp(word(definition(op, resource->logical), "DeletionPolicy"), "Retain") == 0;
	pthread_mutex_unlock(&op->stacks->lock);
}

static void run_update(struct operation *op)
{
	struct stacks *stacks = op->stacks;
	struct stack *stack = op->stack;
	struct template_scope scope = scope_of(op);
	const char **order = template_order(&op->template, &op->arena);
	struct resource *resource;
	struct error err;
	list_for_each (resource, &stack->resources, struct resource, link)
		resource->is_new = false;
	for (; *order; order++) {
		if (template_applies(&scope, definition(op, *order), &err) == 0)
			continue;
		resource = find_resource(stack, *order);
		if ((resource ? update_resource(op, resource, &err) : create_resource(op, *order, &err)) == 0)
			continue;
		rollback_update(op, arena_printf(&op->arena, "The following resource(s) failed to %s: [%s]. ",
					    resource ? "update" : "create", *order));
		return;
	}
	set_outputs(op);
	set_status(stacks, stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", NULL);
	clean_up(op, &scope);
	adopt(op);
	set_status(stacks, stack, "UPDATE_COMPLETE", NULL);
}

static void *run(void *ctx)
{
	struct operation *op = ctx;
	struct stacks *stacks = op->stacks;
	switch (op->kind) {
	case CREATE:
		run_create(op);
		break;
	case UPDATE:
		run_update(op);
		break;
	case DELETE:
		run_delete(op);
		break;
	}
	pthread_mutex_lock(&stacks->lock);
	bool delete = op->stack->delete_wanted && op->kind != DELETE;
	if (!delete)
		op->stack->busy = false;
	pthread_mutex_unlock(&stacks->lock);
	if (delete) {
		op->kind = DELETE;
		run_delete(op);
	}
	OPENSSL_thread_stop(); /* what it keeps for each thread would be a leak of a process that ends first */
	pthread_mutex_lock(&stacks->lock);
	op->stack->busy = op->stack->delete_wanted = false;
	operation_free(op);
	stacks->n_operations--;
	pthread_cond_broadcast(&stacks->changed);
	pthread_mutex_unlock(&stacks->lock);
	return NULL;
}

static struct operation *operation_new(struct stacks *stacks, struct stack *stack, enum operation_kind kind)
{
	struct operation *op = calloc(1, sizeof(*op));
	if (!op)
		abort();
	*op = (struct operation){ .stacks = stacks, .stack = stack, .kind = kind };
	return op;
}

/* Under the lock. */
static void start(struct operation *op)
{
	op->stack->busy = true;
	op->stacks->n_operations++;
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, op) != 0)
		abort();
	pthread_detach(thread);
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

static json_t *symbol(void *ctx, const char *logical, const char *attribute, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	return json_string(
		arena_printf(&arena, "${%s%s%s}", logical, attribute ? "." : "", attribute ? attribute : ""));
}

/* What decides whether an update changes anything: resources, outputs and tags, with every value in them but those that
 * resources have. */
static json_t *shape_of(struct stacks *stacks, const struct template *template, const json_t *parameters, json_t *tags,
	const char *name)
{
	struct template_scope scope = { template, parameters, stacks->cloud->region, CLOUD_ACCOUNT, name, "${id}",
		symbol, NULL };
	static const char *const sections[] = { "Resources", "Outputs" };
	json_t *shape = json_pack("{s:O?}", "Tags", tags);
	for (size_t i = 0; i < 2; i++) {
		json_t *resolved = json_object(), *one;
		const char *key;
		json_object_foreach(json_object_get(template->root, sections[i]), key, one)
		{
			json_t *plain = json_copy(one);
			json_object_del(plain, "Condition");
			if (template_applies(&scope, one, NULL) == 1)
				json_object_set_new(resolved, key, template_resolve(&scope, plain, NULL));
			json_decref(plain);
		}
		json_object_set_new(shape, sections[i], resolved);
	}
	return shape;
}

static bool is_name(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-')
			return false;
	return n > 0 && n <= 128 && isalpha((unsigned char)name[0]);
}

/* Of the names and strings given, those that are null are the stack's; none: all. */
static json_t *merge_parameters(const json_t *given, const json_t *before)
{
	json_t *merged = json_object(), *value;
	const char *name;
	json_object_foreach((json_t *)(uintptr_t)given, name, value)
	{
		json_t *chosen = json_is_null(value) ? json_object_get(before, name) : value;
		if (chosen)
			json_object_set(merged, name, chosen);
	}
	return merged;
}

static int check_capabilities(const struct template *template, const json_t *given, struct error *err)
{
	const char *needed = template_capability(template);
	bool has = !needed;
	for (size_t i = 0; i < json_array_size(given); i++) {
		const char *one = json_string_value(json_array_get(given, i));
		has |= needed && (strcmp(one, needed) == 0 || strcmp(one, "CAPABILITY_NAMED_IAM") == 0);
	}
	if (has)
		return 0;
	error_set(err, 0, "Requires capabilities : [%s]", needed);
	return STACKS_CAPABILITIES;
}

static json_t *parameter_list(const json_t *parameters)
{
	json_t *list = json_array(), *value;
	const char *name;
	json_object_foreach((json_t *)(uintptr_t)parameters, name, value)
	{
		_cleanup_buf_ struct buf text = { 0 };
		for (size_t i = 0; i < json_array_size(value); i++)
			buf_printf(&text, "%s%s", i ? "," : "", json_string_value(json_array_get(value, i)));
		json_array_append_new(list, json_pack("{s:s, s:s}", "ParameterKey", name, "ParameterValue",
						    json_is_string(value) ? json_string_value(value) : buf_str(&text)));
	}
	return list;
}

static void set_about(struct stack *stack, const struct stack_request *request, const struct template *template,
	const json_t *parameters)
{
	json_object_set_new(stack->about, "Parameters", parameter_list(parameters));
	json_object_set_new(stack->about, "Capabilities",
		request->capabilities ? json_deep_copy(request->capabilities) : json_array());
	put(stack->about, "Description", json_string_value(json_object_get(template->root, "Description")));
}

int stacks_create(struct stacks *stacks, const struct stack_request *request, struct arena *arena, const char **ret_id,
	struct error *err)
{
	struct template template;
	if (!is_name(request->name)) {
		error_set(err, 0,
			"1 validation error detected: Value '%.128s' at 'stackName' failed to satisfy constraint: "
			"Member must satisfy "
			"regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*",
			request->name);
		return STACKS_WRONG;
	}
	if (template_parse(request->body, &types, &template, err) < 0)
		return STACKS_WRONG;
	json_t *given = merge_parameters(request->parameters, NULL),
	       *parameters = template_parameters(&template, given, err);
	int r = parameters ? check_capabilities(&template, request->capabilities, err) : STACKS_WRONG;
	pthread_mutex_lock(&stacks->lock);
	struct stack *stack = r == 0 ? find(stacks, request->name) : NULL;
	if (stack && request->token && stack->token && strcmp(stack->token, request->token) == 0) {
		*ret_id = arena_strdup(arena, stack->id); /* the same request, again */
		r = -1;
	} else if (stack) {
		error_set(err, 0, "Stack [%s] already exists", request->name);
		r = STACKS_THERE;
	}
	if (r == 0) {
		json_t *tags = request->tags ? json_deep_copy(request->tags) : json_array();
		stack = calloc(1, sizeof(*stack));
		if (!stack)
			abort();
		*ret_id = arena_printf(arena, "arn:aws:cloudformation:%s:" CLOUD_ACCOUNT ":stack/%s/%s",
			stacks->cloud->region, request->name, cloud_new_id(arena));
		stack->about = json_pack("{s:s, s:s, s:s, s:b, s:b, s:o}", "StackName", request->name, "StackId",
			*ret_id, "CreationTime", now(stacks, arena), "DisableRollback",
			strcmp(request->on_failure, "DO_NOTHING") == 0, "EnableTerminationProtection", 0, "Tags", tags);
		stack->name = word(stack->about, "StackName");
		stack->id = word(stack->about, "StackId");
		stack->events = json_array();
		list_init(&stack->resources);
		stack->body = copy(arena_strndup(arena, request->body.ptr, request->body.len));
		stack->template = template;
		stack->given = given;
		stack->parameters = parameters;
		stack->shape = shape_of(stacks, &template, parameters, tags, request->name);
		stack->caller = copy(request->caller);
		stack->on_failure = copy(request->on_failure);
		stack->token = copy(request->token);
		set_about(stack, request, &template, parameters);
		list_append(&stacks->all, &stack->link);
		put(stack->about, "StackStatus", "CREATE_IN_PROGRESS");
		put(stack->about, "StackStatusReason", "User Initiated");
		add_event(stacks, stack, stack->name, stack->id, "AWS::CloudFormation::Stack", NULL,
			"CREATE_IN_PROGRESS", "User Initiated");
		start(operation_new(stacks, stack, CREATE));
		pthread_mutex_unlock(&stacks->lock);
		return 0;
	}
	pthread_mutex_unlock(&stacks->lock);
	json_decref(parameters);
	json_decref(given);
	template_deinit(&template);
	return r < 0 ? 0 : r;
}

/* Under the lock. 0: `op` is complete. */
static int prepare_update(
	struct stack *stack, const struct stack_request *request, struct operation *op, struct error *err)
{
	static const char *const ready[] = { "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE" };
	size_t i = 0;
	while (i < sizeof(ready) / sizeof(ready[0]) && !status_is(stack, ready[i]))
		i++;
	if (i == sizeof(ready) / sizeof(ready[0])) {
		error_set(err, 0, "Stack:%s is in %s state and can not be updated.", stack->id,
			word(stack->about, "StackStatus"));
		return STACKS_WRONG;
	}
	struct slice body = request->body.ptr ? request->body : slice_str(stack->body);
	op->body = strndup(body.ptr, body.len);
	if (template_parse(body, &types, &op->template, err) < 0)
		return STACKS_WRONG;
	op->given = merge_parameters(request->parameters, stack->given);
	op->parameters = template_parameters(&op->template, op->given, err);
	if (!op->parameters)
		return STACKS_WRONG;
	int r = check_capabilities(&op->template, request->capabilities, err);
	if (r != 0)
		return r;
	op->tags = json_deep_copy(request->tags ? request->tags : json_object_get(stack->about, "Tags"));
	op->shape = shape_of(op->stacks, &op->template, op->parameters, op->tags, stack->name);
	if (json_equal(op->shape, stack->shape)) {
		error_set(err, 0, "No updates are to be performed.");
		return STACKS_NO_CHANGE;
	}
	return 0;
}

int stacks_update(struct stacks *stacks, const struct stack_request *request, struct arena *arena, const char **ret_id,
	struct error *err)
{
	pthread_mutex_lock(&stacks->lock);
	struct stack *stack = find(stacks, request->name);
	struct operation *op = stack ? operation_new(stacks, stack, UPDATE) : NULL;
	int r;
	if (!stack) {
		error_set(err, 0, "Stack [%s] does not exist", request->name);
		r = STACKS_MISSING;
	} else if (request->token && stack->token && strcmp(stack->token, request->token) == 0) {
		*ret_id = arena_strdup(arena, stack->id);
		r = 0;
	} else if ((r = prepare_update(stack, request, op, err)) == 0) {
		*ret_id = arena_strdup(arena, stack->id);
		replace(&stack->caller, request->caller);
		replace(&stack->token, request->token);
		put(stack->about, "LastUpdatedTime", now(stacks, arena));
		put(stack->about, "StackStatus", "UPDATE_IN_PROGRESS");
		put(stack->about, "StackStatusReason", "User Initiated");
		set_about(stack, request, &op->template, op->parameters);
		add_event(stacks, stack, stack->name, stack->id, "AWS::CloudFormation::Stack", NULL,
			"UPDATE_IN_PROGRESS", "User Initiated");
		start(op);
		op = NULL;
	}
	pthread_mutex_unlock(&stacks->lock);
	if (op)
		operation_free(op);
	return r;
}

int stacks_delete(struct stacks *stacks, const struct stack_request *request, struct error *err)
{
	pthread_mutex_lock(&stacks->lock);
	struct stack *stack = find(stacks, request->name);
	int r = 0;
	if (stack && !status_is(stack, "DELETE_COMPLETE") && !status_is(stack, "DELETE_IN_PROGRESS")) {
		if (json_array_size(request->retain) > 0 && !status_is(stack, "DELETE_FAILED")) {
			error_set(err, 0,
				"Invalid operation on stack [%s]. Specify resources to retain only when deleting a "
				"stack in "
				"the DELETE_FAILED state",
				stack->id);
			r = STACKS_WRONG;
		} else if (stack->busy && strncmp(word(stack->about, "StackStatus"), "UPDATE_", 7) == 0) {
			error_set(err, 0, "Stack [%s] cannot be deleted while in status %s", stack->id,
				word(stack->about, "StackStatus"));
			r = STACKS_WRONG;
		} else {
			replace(&stack->caller, request->caller);
			replace(&stack->token, request->token);
			json_decref(stack->retain);
			stack->retain = request->retain ? json_deep_copy(request->retain) : NULL;
			stack->delete_wanted = true;
			put(stack->about, "StackStatus", "DELETE_IN_PROGRESS");
			if (!stack->busy)
				start(operation_new(stacks, stack, DELETE));
		}
	}
	pthread_mutex_unlock(&stacks->lock);
	return r;
}

/* --- Views -------------------------------------------------------------------------------------------------------- */

json_t *stacks_describe(struct stacks *stacks, const char *name, struct error *err)
{
	json_t *all = json_array();
	struct stack *stack;
	pthread_mutex_lock(&stacks->lock);
	if (!name) {
		list_for_each (stack, &stacks->all, struct stack, link)
			if (!status_is(stack, "DELETE_COMPLETE"))
				json_array_append_new(all, json_deep_copy(stack->about));
	} else if ((stack = find(stacks, name))) {
		json_array_append_new(all, json_deep_copy(stack->about));
	} else {
		missing(name, err);
		json_decref(all);
		all = NULL;
	}
	pthread_mutex_unlock(&stacks->lock);
	return all;
}

json_t *stacks_events(struct stacks *stacks, const char *name, struct error *err)
{
	pthread_mutex_lock(&stacks->lock);
	const struct stack *stack = find(stacks, name);
	json_t *events = stack ? json_array() : NULL;
	for (size_t i = stack ? json_array_size(stack->events) : 0; i > 0; i--)
		json_array_append(events, json_array_get(stack->events, i - 1));
	pthread_mutex_unlock(&stacks->lock);
	if (!events)
		error_set(err, 0, "Stack [%s] does not exist", name);
	return events;
}

json_t *stacks_resources(struct stacks *stacks, const char *name, struct error *err)
{
	pthread_mutex_lock(&stacks->lock);
	const struct stack *stack = find(stacks, name);
	json_t *all = stack ? json_array() : NULL;
	struct resource *resource;
	if (stack)
		list_for_each (resource, &stack->resources, struct resource, link)
			json_array_append_new(all, json_deep_copy(resource->about));
	else
		missing(name, err);
	pthread_mutex_unlock(&stacks->lock);
	return all;
}

json_t *stacks_template(struct stacks *stacks, const char *name, struct error *err)
{
	pthread_mutex_lock(&stacks->lock);
	const struct stack *stack = find(stacks, name);
	json_t *text = stack ? json_string(stack->body) : NULL;
	if (!stack)
		missing(name, err);
	pthread_mutex_unlock(&stacks->lock);
	return text;
}
