#include "tests/cloud/template.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/map.h"

/* jansson's getters take what they don't change as changeable. */
#define each(object, key, value) json_object_foreach((json_t *)(uintptr_t)(object), key, value)

enum { CONDITION_STEPS = 1000, RESOURCES_MAX = 500 };

static const char *const pseudo[] = { "AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition",
	"AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix" };

static bool is_pseudo(const char *name)
{
	for (size_t i = 0; i < sizeof(pseudo) / sizeof(pseudo[0]); i++)
		if (strcmp(pseudo[i], name) == 0)
			return true;
	return false;
}

static const json_t *section(const struct template *template, const char *name)
{
	return json_object_get(template->root, name);
}

static const json_t *resource(const struct template *template, const char *name)
{
	return json_object_get(section(template, "Resources"), name);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* --- Expressions -------------------------------------------------------------------------------------------------- */

enum function { REF, GET_ATT, SUB, JOIN, IF, SELECT, SPLIT, EQUALS, AND, OR, NOT, CONDITION, OTHER, PLAIN };

/* An object with one member whose name says so. `arg`: the member's value. */
static enum function function_of(const json_t *value, const json_t **arg)
{
	static const char *const names[] = { [REF] = "Ref",
		[GET_ATT] = "Fn::GetAtt",
		[SUB] = "Fn::Sub",
		[JOIN] = "Fn::Join",
		[IF] = "Fn::If",
		[SELECT] = "Fn::Select",
		[SPLIT] = "Fn::Split",
		[EQUALS] = "Fn::Equals",
		[AND] = "Fn::And",
		[OR] = "Fn::Or",
		[NOT] = "Fn::Not" };
	if (json_object_size(value) != 1)
		return PLAIN;
	void *at = json_object_iter((json_t *)(uintptr_t)value);
	const char *name = json_object_iter_key(at);
	*arg = json_object_iter_value(at);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (enum function)i;
	if (strcmp(name, "Condition") == 0 && json_is_string(*arg))
		return CONDITION;
	return strncmp(name, "Fn::", 4) == 0 ? OTHER : PLAIN;
}

/* The resource and the attribute of Fn::GetAtt: ["A", "B"] or "A.B". */
static bool split_attribute(
	const json_t *arg, struct arena *arena, const char **ret_resource, const char **ret_attribute)
{
	if (json_is_string(arg)) {
		const char *dot = strchr(json_string_value(arg), '.');
		if (!dot)
			return false;
		*ret_resource = arena_strndup(arena, json_string_value(arg), (size_t)(dot - json_string_value(arg)));
		*ret_attribute = dot + 1;
		return true;
	}
	*ret_resource = json_string_value(json_array_get(arg, 0));
	*ret_attribute = json_string_value(json_array_get(arg, 1));
	return json_array_size(arg) == 2 && *ret_resource && *ret_attribute;
}

/* The next ${NAME} of Fn::Sub's text: what stands before it, and its name ("!NAME" is "${NAME}" itself). False: there is
 * none; `before` is the rest. */
static bool next_variable(const char **text, struct slice *before, struct slice *name)
{
	const char *start = strstr(*text, "${");
	const char *end = start ? strchr(start, '}') : NULL;
	if (!end) {
		*before = slice_str(*text);
		*text += before->len;
		return false;
	}
	*before = slice_of(*text, (size_t)(start - *text));
	*name = slice_of(start + 2, (size_t)(end - start - 2));
	*text = end + 1;
	return true;
}

/* Fn::Sub's text, and the object of its own variables or NULL. False: malformed. */
static bool split_sub(const json_t *arg, const char **text, const json_t **variables)
{
	*variables = json_array_get(arg, 1);
	*text = json_string_value(json_is_array(arg) ? json_array_get(arg, 0) : arg);
	return *text && (!json_is_array(arg) || (json_array_size(arg) == 2 && json_is_object(*variables)));
}

/* --- Walking what is named ---------------------------------------------------------------------------------------- */

/* Called for each name: attribute NULL for a Ref. -1 ends the walk. */
typedef int name_fn(void *ctx, const char *name, const char *attribute, struct error *err);

struct walk {
	name_fn *fn;
	void *ctx;
	const struct template *template;
	int depth;
};

static int walk(struct walk *w, const json_t *value, struct error *err);

static int walk_sub(struct walk *w, const json_t *arg, struct error *err)
{
	const char *text, *key;
	const json_t *variables;
	if (!split_sub(arg, &text, &variables))
		return error_set(err, 0,
			"Template error: One or more Fn::Sub intrinsic functions don't specify expected "
			"arguments. Specify a string as first argument, and an optional second argument "
			"to specify a mapping of values to replace in the string");
	json_t *value;
	each(variables, key, value) if (walk(w, value, err) < 0) return -1;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice before, name;
	while (next_variable(&text, &before, &name)) {
		char *whole = arena_strndup(&arena, name.ptr, name.len), *dot = strchr(whole, '.');
		if (whole[0] == '!' || json_object_get(variables, whole))
			continue;
		if (!whole[0] ||
			strspn(whole, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:") != name.len)
			return error_set(err, 0,
				"Template error: variable names in Fn::Sub syntax must contain only alphanumeric "
				"characters, underscores, periods, and colons");
		if (dot)
			*dot++ = '\0';
		if (w->fn(w->ctx, whole, dot, err) < 0)
			return -1;
	}
	return 0;
}

static int walk_all(struct walk *w, const json_t *value, struct error *err)
{
	const char *key;
	json_t *member;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (walk(w, json_array_get(value, i), err) < 0)
			return -1;
	each(value, key, member) if (walk(w, member, err) < 0) return -1;
	return json_is_null(value) ? error_set(err, 0,
					     "Template format error: [/Resources] 'null' values are not allowed in "
					     "templates")
				   : 0;
}

static int walk_one(struct walk *w, const json_t *value, struct error *err)
{
	const json_t *arg = NULL;
	const char *name, *attribute;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	switch (function_of(value, &arg)) {
	case REF:
		if (!json_is_string(arg))
			return error_set(err, 0, "Template format error: Ref must be a string");
		return w->fn(w->ctx, json_string_value(arg), NULL, err);
	case GET_ATT:
		if (!split_attribute(arg, &arena, &name, &attribute))
			return error_set(err, 0,
				"Template error: every Fn::GetAtt object requires two non-empty parameters, the "
				"resource name and the resource attribute");
		return w->fn(w->ctx, name, attribute, err);
	case SUB:
		return walk_sub(w, arg, err);
	case JOIN:
		if (json_array_size(arg) != 2 || !json_is_string(json_array_get(arg, 0)))
			return error_set(err, 0,
				"Template error: every Fn::Join object requires two parameters, (1) a string "
				"delimiter and (2) a list of strings to be joined or a function that returns a "
				"list of strings (such as Fn::GetAZs) to be joined.");
		return walk(w, json_array_get(arg, 1), err);
	case IF:
		if (json_array_size(arg) != 3 || !json_is_string(json_array_get(arg, 0)))
			return error_set(err, 0, "Template error: Fn::If requires a list argument with three elements");
		name = json_string_value(json_array_get(arg, 0));
		if (!json_object_get(section(w->template, "Conditions"), name))
			return error_set(err, 0,
				"Template format error: Unresolved condition dependency %s in the Resources "
				"block of the template",
				name);
		return walk(w, json_array_get(arg, 1), err) < 0 ? -1 : walk(w, json_array_get(arg, 2), err);
	case SELECT:
		if (json_array_size(arg) != 2)
			return error_set(
				err, 0, "Template error: Fn::Select requires a list argument with two elements");
		return walk_all(w, arg, err);
	case SPLIT:
		if (json_array_size(arg) != 2 || !json_is_string(json_array_get(arg, 0)) ||
			!*json_string_value(json_array_get(arg, 0)))
			return error_set(err, 0,
				"Template error: every Fn::Split object requires two parameters, (1) a string "
				"delimiter and (2) a string to be split or a function that returns a string to be "
				"split.");
		return walk(w, json_array_get(arg, 1), err);
	case CONDITION: /* of a policy's statement it is something else */
	case PLAIN:
		return walk_all(w, value, err);
	case EQUALS:
	case AND:
	case OR:
	case NOT:
		return error_set(err, 0, "Template error: conditions may stand in the Conditions block only");
	case OTHER:
		break;
	}
	return error_set(err, 0, "Template error: this cloud has no %s",
		json_object_iter_key(json_object_iter((json_t *)(uintptr_t)value)));
}

static int walk(struct walk *w, const json_t *value, struct error *err)
{
	if (++w->depth > TEMPLATE_DEPTH)
		return error_set(err, 0, "Template format error: nested too deep");
	int r = walk_one(w, value, err);
	w->depth--;
	return r;
}

/* --- Checks ------------------------------------------------------------------------------------------------------- */

struct check {
	const struct template *template;
	const struct template_types *types;
	const char *block; /* "Resources", "Outputs" */
};

static int check_name(void *ctx, const char *name, const char *attribute, struct error *err)
{
	const struct check *check = ctx;
	const json_t *target = resource(check->template, name);
	if (target && attribute && !check->types->has_attribute(text_of(target, "Type"), attribute))
		return error_set(err, 0, "Template error: resource %s does not support attribute type %s in Fn::GetAtt",
			name, attribute);
	if (target ||
		(!attribute && (is_pseudo(name) || json_object_get(section(check->template, "Parameters"), name))))
		return 0;
	if (attribute)
		return error_set(
			err, 0, "Template error: instance of Fn::GetAtt references undefined resource %s", name);
	return error_set(err, 0,
		"Template format error: Unresolved resource dependencies [%s] in the %s block of the template", name,
		check->block);
}

static int check_keys(const json_t *object, const char *const *known, const char *what, struct error *err)
{
	const char *key;
	json_t *value;
	each(object, key, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			return error_set(err, 0, "%s [%s]", what, key);
	}
	return 0;
}

static bool is_alphanumeric(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]))
			return false;
	return n > 0 && n <= 255;
}

/* 1: true; 0: false; -1. */
static int evaluate(const struct template_scope *scope, const json_t *condition, int *steps, struct error *err);

static int check_condition_name(
	const struct template *template, const json_t *element, const char *block, struct error *err)
{
	const json_t *condition = json_object_get(element, "Condition");
	if (!condition || (json_is_string(condition) &&
				  json_object_get(section(template, "Conditions"), json_string_value(condition))))
		return 0;
	return error_set(err, 0,
		"Template format error: Unresolved condition dependency %s in the %s block of the template",
		text_of(element, "Condition"), block);
}

static int check_resources(const struct template *template, const struct template_types *types, struct error *err)
{
	static const char *const known[] = { "Type", "Properties", "DependsOn", "Condition", "DeletionPolicy",
		"UpdateReplacePolicy", "Metadata", NULL };
	struct check check = { template, types, "Resources" };
	const char *name;
	json_t *one;
	each(section(template, "Resources"), name, one)
	{
		struct walk w = { check_name, &check, template, 0 };
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		const char *type = text_of(one, "Type"), *policy = text_of(one, "DeletionPolicy");
		if (!is_alphanumeric(name))
			return error_set(err, 0, "Template format error: Resource name %s is non alphanumeric.", name);
		if (!json_is_object(one) || !*type)
			return error_set(err, 0,
				"Template format error: [/Resources/%s] Every Resources object must contain a Type "
				"member.",
				name);
		if (check_keys(one, known,
			    arena_printf(&arena, "Invalid template resource property in resource %s:", name), err) < 0)
			return -1;
		if (!types->known(type))
			return error_set(err, 0, "Template format error: Unrecognized resource types: [%s]", type);
		if (*policy && strcmp(policy, "Delete") != 0 && strcmp(policy, "Retain") != 0)
			return error_set(err, 0, "Template error: %s DeletionPolicy %s is not supported", type, policy);
		const json_t *properties = json_object_get(one, "Properties"),
			     *depends = json_object_get(one, "DependsOn");
		if (properties && !json_is_object(properties))
			return error_set(
				err, 0, "Template format error: [/Resources/%s/Properties] must be an object", name);
		if (check_condition_name(template, one, "Resources", err) < 0 ||
			(properties && walk_all(&w, properties, err) < 0))
			return -1;
		for (size_t i = 0; i < (json_is_array(depends) ? json_array_size(depends) : depends ? 1 : 0); i++) {
			const char *other = json_string_value(
				json_is_array(depends) ? json_array_get(depends, i) : depends);
			if (!other || !resource(template, other))
				return error_set(err, 0,
					"Template format error: Unresolved resource dependencies [%s] in the Resources "
					"block of the template",
					other ? other : "");
		}
	}
	return 0;
}

static int check_parameters(const struct template *template, struct error *err)
{
	static const char *const known[] = { "Type", "Default", "Description", "AllowedValues", "AllowedPattern",
		"ConstraintDescription", "MinLength", "MaxLength", "MinValue", "MaxValue", "NoEcho", NULL };
	const char *name;
	json_t *one;
	each(section(template, "Parameters"), name, one)
	{
		const char *type = text_of(one, "Type");
		if (!is_alphanumeric(name))
			return error_set(err, 0, "Template format error: Parameter name %s is non alphanumeric.", name);
		if (!*type)
			return error_set(
				err, 0, "Template format error: Every Parameters object must contain a Type member.");
		if (strcmp(type, "String") != 0 && strcmp(type, "Number") != 0 &&
			strcmp(type, "CommaDelimitedList") != 0)
			return error_set(err, 0, "Template format error: Unrecognized parameter type: %s", type);
		if (check_keys(one, known, "Invalid template parameter property", err) < 0)
			return -1;
	}
	return 0;
}

static int check_outputs(const struct template *template, const struct template_types *types, struct error *err)
{
	static const char *const known[] = { "Value", "Description", "Export", "Condition", NULL };
	struct check check = { template, types, "Outputs" };
	const char *name;
	json_t *one;
	each(section(template, "Outputs"), name, one)
	{
		struct walk w = { check_name, &check, template, 0 };
		if (!is_alphanumeric(name))
			return error_set(err, 0, "Template format error: Output name %s is non alphanumeric.", name);
		if (!json_object_get(one, "Value"))
			return error_set(
				err, 0, "Template format error: Every Outputs member must contain a Value object");
		if (check_keys(one, known, "Template format error: Invalid output property", err) < 0 ||
			check_condition_name(template, one, "Outputs", err) < 0 ||
			walk(&w, json_object_get(one, "Value"), err) < 0)
			return -1;
	}
	return 0;
}

/* Conditions are evaluated with every parameter empty: whether they can be doesn't depend on values. */
static int check_conditions(const struct template *template, struct error *err)
{
	json_t *parameters = json_object();
	const char *name;
	json_t *one;
	each(section(template, "Parameters"), name, one) json_object_set_new(parameters, name,
		strcmp(text_of(one, "Type"), "CommaDelimitedList") == 0 ? json_array() : json_string(""));
	struct template_scope scope = { template, parameters, "", "", "", "", NULL, NULL };
	int r = 0;
	each(section(template, "Conditions"), name, one)
	{
		int steps = 0;
		if (r >= 0)
			r = evaluate(&scope, one, &steps, err);
	}
	json_decref(parameters);
	return r < 0 ? -1 : 0;
}

/* --- The order ---------------------------------------------------------------------------------------------------- */

struct ordering {
	const struct template *template;
	struct arena *arena;
	struct map visited; /* name → &DOING or &DONE */
	const char **names;
	size_t n;
};

static char doing, done;

static int visit(struct ordering *o, const char *name, struct error *err);

static int visit_named(void *ctx, const char *name, const char *attribute, struct error *err)
{
	struct ordering *o = ctx;
	return resource(o->template, name) ? visit(o, name, err) : 0;
}

static int visit(struct ordering *o, const char *name, struct error *err)
{
	void *mark = map_get(&o->visited, slice_str(name));
	if (mark == &doing)
		return error_set(err, 0, "Circular dependency between resources: [%s]", name);
	if (mark == &done)
		return 0;
	name = arena_strdup(o->arena, name);
	map_put(&o->visited, slice_str(name), &doing);
	const json_t *one = resource(o->template, name), *depends = json_object_get(one, "DependsOn");
	struct walk w = { visit_named, o, o->template, 0 };
	for (size_t i = 0; i < (json_is_array(depends) ? json_array_size(depends) : depends ? 1 : 0); i++)
		if (visit(o, json_string_value(json_is_array(depends) ? json_array_get(depends, i) : depends), err) < 0)
			return -1;
	if (json_object_get(one, "Properties") && walk_all(&w, json_object_get(one, "Properties"), err) < 0)
		return -1;
	map_put(&o->visited, slice_str(name), &done);
	o->names[o->n++] = name;
	return 0;
}

static const char **order(const struct template *template, struct arena *arena, struct error *err)
{
	const json_t *resources = section(template, "Resources");
	struct ordering o = { .template = template,
		.arena = arena,
		.names = arena_array(arena, const char *, json_object_size(resources) + 1) };
	const char *name;
	json_t *one;
	int r = 0;
	each(resources, name, one) if (r == 0) r = visit(&o, name, err);
	map_deinit(&o.visited);
	return r == 0 ? o.names : NULL;
}

const char **template_order(const struct template *template, struct arena *arena)
{
	return order(template, arena, NULL);
}

/* --- Parsing ------------------------------------------------------------------------------------------------------ */

static int check_root(const struct template *template, struct error *err)
{
	static const char *const known[] = { "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters",
		"Conditions", "Resources", "Outputs", NULL };
	static const char *const objects[] = { "Parameters", "Conditions", "Resources", "Outputs" };
	const json_t *version = section(template, "AWSTemplateFormatVersion"),
		     *description = section(template, "Description");
	if (check_keys(template->root, known, "Invalid template property or properties", err) < 0)
		return -1;
	if (version && (!json_is_string(version) || strcmp(json_string_value(version), "2010-09-09") != 0))
		return error_set(err, 0, "Template format error: unsupported value for AWSTemplateFormatVersion.");
	if (description && (!json_is_string(description) || json_string_length(description) > 1024))
		return error_set(err, 0, "Template format error: 'Description' must be a string of at most 1024 bytes");
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		if (section(template, objects[i]) && !json_is_object(section(template, objects[i])))
			return error_set(err, 0, "Template format error: %s must be an object", objects[i]);
	if (json_object_size(section(template, "Resources")) == 0)
		return error_set(err, 0, "Template format error: At least one Resources member must be defined.");
	if (json_object_size(section(template, "Resources")) > RESOURCES_MAX)
		return error_set(
			err, 0, "Template format error: Number of resources is greater than maximum allowed, 500");
	return 0;
}

int template_parse(struct slice text, const struct template_types *types, struct template *ret, struct error *err)
{
	json_error_t problem;
	if (text.len > TEMPLATE_BYTES)
		return error_set(err, 0,
			"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member "
			"must "
			"have length less than or equal to 51200");
	size_t blank = 0;
	while (blank < text.len && isspace((unsigned char)text.ptr[blank]))
		blank++;
	if (blank == text.len || text.ptr[blank] != '{')
		return error_set(err, 0, "Template format error: this cloud takes templates in JSON, not in YAML.");
	struct template template = { json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &problem) };
	if (!template.root)
		return error_set(err, 0, "Template format error: JSON not well-formed. (line %d, column %d)",
			problem.line, problem.column);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (check_root(&template, err) == 0 && check_parameters(&template, err) == 0 &&
		check_conditions(&template, err) == 0 && check_resources(&template, types, err) == 0 &&
		check_outputs(&template, types, err) == 0 && order(&template, &arena, err)) {
		*ret = template;
		return 0;
	}
	template_deinit(&template);
	return -1;
}

void template_deinit(struct template *template)
{
	if (!template)
		return;
	json_decref(template->root);
	template->root = NULL;
}

/* --- Parameters --------------------------------------------------------------------------------------------------- */

/* As a string: numbers of defaults may be numbers. NULL: neither. */
static const char *scalar(const json_t *value, struct arena *arena)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_integer(value))
		return arena_printf(arena, "%lld", (long long)json_integer_value(value));
	if (json_is_real(value))
		return arena_printf(arena, "%g", json_real_value(value));
	return json_is_boolean(value) ? json_is_true(value) ? "true" : "false" : NULL;
}

static int check_value(const char *name, const json_t *parameter, const char *value, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const json_t *allowed = json_object_get(parameter, "AllowedValues");
	const char *pattern = json_string_value(json_object_get(parameter, "AllowedPattern"));
	const char *limit;
	bool is_number = strcmp(text_of(parameter, "Type"), "Number") == 0, is_allowed = !allowed;
	char *end;
	double number = strtod(value, &end);
	if (is_number && (*end || end == value))
		return error_set(err, 0, "Parameter '%s' must be a number.", name);
	for (size_t i = 0; i < json_array_size(allowed); i++) {
		const char *one = scalar(json_array_get(allowed, i), &arena);
		is_allowed |= one && strcmp(one, value) == 0;
	}
	if (!is_allowed)
		return error_set(err, 0, "Parameter '%s' must be one of AllowedValues", name);
	if ((limit = scalar(json_object_get(parameter, "MinLength"), &arena)) &&
		strlen(value) < strtoul(limit, NULL, 10))
		return error_set(err, 0, "Parameter '%s' must contain at least %s characters", name, limit);
	if ((limit = scalar(json_object_get(parameter, "MaxLength"), &arena)) &&
		strlen(value) > strtoul(limit, NULL, 10))
		return error_set(err, 0, "Parameter '%s' must contain at most %s characters", name, limit);
	if (is_number && (limit = scalar(json_object_get(parameter, "MinValue"), &arena)) &&
		number < strtod(limit, NULL))
		return error_set(err, 0, "Parameter '%s' must be a number not less than %s", name, limit);
	if (is_number && (limit = scalar(json_object_get(parameter, "MaxValue"), &arena)) &&
		number > strtod(limit, NULL))
		return error_set(err, 0, "Parameter '%s' must be a number not greater than %s", name, limit);
	regex_t regex;
	if (pattern) {
		if (regcomp(&regex, arena_printf(&arena, "^(%s)$", pattern), REG_EXTENDED | REG_NOSUB) != 0)
			return error_set(err, 0,
				"Template error: AllowedPattern of parameter %s is no regular expression", name);
		bool fits = regexec(&regex, value, 0, NULL, 0) == 0;
		regfree(&regex);
		if (!fits)
			return error_set(err, 0, "Parameter '%s' must match pattern %s", name, pattern);
	}
	return 0;
}

static json_t *split(const char *text, const char *delimiter)
{
	json_t *list = json_array();
	for (const char *end; (end = strstr(text, delimiter)); text = end + strlen(delimiter))
		json_array_append_new(list, json_stringn(text, (size_t)(end - text)));
	json_array_append_new(list, json_string(text));
	return list;
}

json_t *template_parameters(const struct template *template, const json_t *given, struct error *err)
{
	const json_t *parameters = section(template, "Parameters");
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf lacking = { 0 };
	json_t *values = json_object(), *one;
	const char *name;
	int r = 0;
	each(given, name, one) if (r == 0 && !json_object_get(parameters, name))
		r = error_set(err, 0, "Parameters: [%s] do not exist in the template", name);
	each(parameters, name, one)
	{
		const json_t *value = json_object_get(given, name);
		const char *text = scalar(value ? value : json_object_get(one, "Default"), &arena);
		if (!text)
			buf_printf(&lacking, "%s%s", lacking.len ? ", " : "", name);
		if (r < 0 || !text)
			continue;
		r = check_value(name, one, text, err);
		bool list = strcmp(text_of(one, "Type"), "CommaDelimitedList") == 0;
		json_object_set_new(values, name, list ? split(text, ",") : json_string(text));
	}
	if (r == 0 && lacking.len)
		r = error_set(err, 0, "Parameters: [%s] must have values", buf_str(&lacking));
	if (r == 0)
		return values;
	json_decref(values);
	return NULL;
}

/* --- Values ------------------------------------------------------------------------------------------------------- */

static json_t *resolve(const struct template_scope *scope, const json_t *value, int depth, struct error *err);

static json_t *resolve_ref(const struct template_scope *scope, const char *name, struct error *err)
{
	if (strncmp(name, "AWS::", 5) == 0) {
		const char *text = strcmp(name, "AWS::AccountId") == 0	 ? scope->account
				   : strcmp(name, "AWS::Partition") == 0 ? "aws"
				   : strcmp(name, "AWS::Region") == 0	 ? scope->region
				   : strcmp(name, "AWS::StackId") == 0	 ? scope->stack_id
				   : strcmp(name, "AWS::StackName") == 0 ? scope->stack_name
				   : strcmp(name, "AWS::URLSuffix") == 0 ? "amazonaws.com"
									 : NULL;
		return text					    ? json_string(text)
		       : strcmp(name, "AWS::NotificationARNs") == 0 ? json_array()
								    : json_null();
	}
	json_t *parameter = json_object_get(scope->parameters, name);
	if (parameter)
		return json_incref(parameter);
	return scope->attribute ? scope->attribute(scope->ctx, name, NULL, err)
				: (error_set(err, 0, "Template error: %s", name), NULL);
}

/* Appends it as text, and drops the reference. -1: it is none. */
static int append_text(struct buf *to, json_t *value, const char *where, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *text = value ? scalar(value, &arena) : NULL;
	if (text)
		buf_append_str(to, text);
	else if (value)
		error_set(err, 0, "Template error: every value in %s must be a string", where);
	json_decref(value);
	return text ? 0 : -1;
}

static json_t *resolve_sub(const struct template_scope *scope, const json_t *arg, int depth, struct error *err)
{
	const char *text;
	const json_t *variables;
	_cleanup_buf_ struct buf out = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice before, name;
	if (!split_sub(arg, &text, &variables))
		return error_set(err, 0, "Template error: malformed Fn::Sub"), NULL;
	while (next_variable(&text, &before, &name)) {
		buf_append_slice(&out, before);
		char *whole = arena_strndup(&arena, name.ptr, name.len), *dot = strchr(whole, '.');
		const json_t *variable = json_object_get(variables, whole);
		json_t *value;
		if (whole[0] == '!') {
			buf_printf(&out, "${%s}", whole + 1);
			continue;
		}
		if (variable) {
			value = resolve(scope, variable, depth, err);
		} else if (dot) {
			*dot++ = '\0';
			value = scope->attribute ? scope->attribute(scope->ctx, whole, dot, err) : NULL;
		} else {
			value = resolve_ref(scope, whole, err);
		}
		if (append_text(&out, value, "Fn::Sub", err) < 0)
			return NULL;
	}
	buf_append_slice(&out, before);
	return json_stringn(buf_str(&out), out.len);
}

static json_t *resolve_join(const struct template_scope *scope, const json_t *arg, int depth, struct error *err)
{
	const char *delimiter = json_string_value(json_array_get(arg, 0));
	json_t *list = resolve(scope, json_array_get(arg, 1), depth, err);
	_cleanup_buf_ struct buf out = { 0 };
	int r = list ? 0 : -1;
	if (list && !json_is_array(list))
		r = error_set(err, 0, "Template error: every Fn::Join object requires a list of strings to be joined");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		if (i)
			buf_append_str(&out, delimiter);
		r = append_text(&out, json_incref(json_array_get(list, i)), "Fn::Join", err);
	}
	json_decref(list);
	return r == 0 ? json_stringn(buf_str(&out), out.len) : NULL;
}

static json_t *resolve_select(const struct template_scope *scope, const json_t *arg, int depth, struct error *err)
{
	json_t *index = resolve(scope, json_array_get(arg, 0), depth, err);
	json_t *list = index ? resolve(scope, json_array_get(arg, 1), depth, err) : NULL;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *text = index ? scalar(index, &arena) : NULL;
	size_t i = text && isdigit((unsigned char)text[0]) ? strtoul(text, NULL, 10) : SIZE_MAX;
	json_t *value = json_incref(json_array_get(list, i));
	if (list && !value)
		error_set(err, 0, "Template error: Fn::Select cannot select nonexistent value at index %s",
			text ? text : "?");
	json_decref(index);
	json_decref(list);
	return value;
}

static json_t *resolve_split(const struct template_scope *scope, const json_t *arg, int depth, struct error *err)
{
	json_t *text = resolve(scope, json_array_get(arg, 1), depth, err);
	json_t *list = json_is_string(text) ? split(json_string_value(text), json_string_value(json_array_get(arg, 0)))
					    : NULL;
	if (text && !list)
		error_set(err, 0, "Template error: every Fn::Split object requires a string to be split");
	json_decref(text);
	return list;
}

static json_t *resolve_members(const struct template_scope *scope, const json_t *value, int depth, struct error *err)
{
	if (!json_is_object(value) && !json_is_array(value))
		return json_incref((json_t *)(uintptr_t)value);
	json_t *copy = json_is_object(value) ? json_object() : json_array(), *member;
	const char *key;
	for (size_t i = 0; i < json_array_size(value); i++) {
		member = resolve(scope, json_array_get(value, i), depth, err);
		if (!member)
			return json_decref(copy), NULL;
		if (json_is_null(member))
			json_decref(member);
		else
			json_array_append_new(copy, member);
	}
	json_t *one;
	each(value, key, one)
	{
		member = resolve(scope, one, depth, err);
		if (!member)
			return json_decref(copy), NULL;
		if (json_is_null(member))
			json_decref(member);
		else
			json_object_set_new(copy, key, member);
	}
	return copy;
}

static json_t *resolve(const struct template_scope *scope, const json_t *value, int depth, struct error *err)
{
	const json_t *arg = NULL;
	const char *name, *attribute;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (++depth > TEMPLATE_DEPTH)
		return error_set(err, 0, "Template format error: nested too deep"), NULL;
	switch (function_of(value, &arg)) {
	case REF:
		return resolve_ref(scope, json_string_value(arg), err);
	case GET_ATT:
		split_attribute(arg, &arena, &name, &attribute);
		return scope->attribute ? scope->attribute(scope->ctx, name, attribute, err) : NULL;
	case SUB:
		return resolve_sub(scope, arg, depth, err);
	case JOIN:
		return resolve_join(scope, arg, depth, err);
	case IF: {
		int steps = 0;
		const char *condition = json_string_value(json_array_get(arg, 0));
		int holds = evaluate(
			scope, json_object_get(section(scope->template, "Conditions"), condition), &steps, err);
		return holds < 0 ? NULL : resolve(scope, json_array_get(arg, holds ? 1 : 2), depth, err);
	}
	case SELECT:
		return resolve_select(scope, arg, depth, err);
	case SPLIT:
		return resolve_split(scope, arg, depth, err);
	case EQUALS:
	case AND:
	case OR:
	case NOT:
	case OTHER:
	case CONDITION:
	case PLAIN:
		break;
	}
	return resolve_members(scope, value, depth, err);
}

json_t *template_resolve(const struct template_scope *scope, const json_t *value, struct error *err)
{
	return resolve(scope, value, 0, err);
}

/* --- Conditions --------------------------------------------------------------------------------------------------- */

/* A Ref to a parameter or pseudo parameter, or a plain value, as a string in the arena; NULL: neither. */
static const char *operand(const struct template_scope *scope, const json_t *value, struct arena *arena)
{
	const json_t *arg = NULL;
	if (function_of(value, &arg) != REF || !json_is_string(arg))
		return scalar(value, arena);
	const char *name = json_string_value(arg);
	if (!is_pseudo(name) && !json_object_get(scope->parameters, name))
		return NULL;
	json_t *resolved = resolve_ref(scope, name, NULL);
	const char *text = scalar(resolved, arena);
	text = text ? arena_strdup(arena, text) : NULL;
	json_decref(resolved);
	return text;
}

static int evaluate(const struct template_scope *scope, const json_t *condition, int *steps, struct error *err)
{
	const json_t *arg = NULL;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	enum function function = function_of(condition, &arg);
	if (++*steps > CONDITION_STEPS)
		return error_set(err, 0, "Template format error: conditions are circular, or too many");
	if (function == EQUALS) {
		const char *a = operand(scope, json_array_get(arg, 0), &arena),
			   *b = operand(scope, json_array_get(arg, 1), &arena);
		if (json_array_size(arg) != 2 || !a || !b)
			return error_set(err, 0,
				"Template error: every Fn::Equals object requires a list of 2 string parameters.");
		return strcmp(a, b) == 0;
	}
	if (function == CONDITION) {
		const json_t *other = json_object_get(section(scope->template, "Conditions"), json_string_value(arg));
		if (!other)
			return error_set(err, 0,
				"Template format error: Unresolved condition dependency %s in the Conditions block of "
				"the "
				"template",
				json_string_value(arg));
		return evaluate(scope, other, steps, err);
	}
	size_t n = json_array_size(arg), least = function == NOT ? 1 : 2, most = function == NOT ? 1 : 10;
	if ((function != AND && function != OR && function != NOT) || n < least || n > most)
		return error_set(err, 0,
			"Template format error: a member of Conditions must be Fn::Equals, Fn::And, Fn::Or, Fn::Not or "
			"Condition, with as many arguments as it takes");
	int result = function == AND;
	for (size_t i = 0; i < n; i++) {
		int one = evaluate(scope, json_array_get(arg, i), steps, err);
		if (one < 0)
			return -1;
		result = function == AND ? result && one : function == OR ? result || one : !one;
	}
	return result;
}

int template_applies(const struct template_scope *scope, const json_t *element, struct error *err)
{
	const char *name = json_string_value(json_object_get(element, "Condition"));
	int steps = 0;
	return name ? evaluate(scope, json_object_get(section(scope->template, "Conditions"), name), &steps, err) : 1;
}

const char *template_capability(const struct template *template)
{
	static const struct {
		const char *type, *name;
	} iam[] = { { "AWS::IAM::Role", "RoleName" }, { "AWS::IAM::ManagedPolicy", "ManagedPolicyName" } };
	const char *needed = NULL, *name;
	json_t *one;
	each(section(template, "Resources"), name, one)
	{
		for (size_t i = 0; i < 2; i++) {
			if (strcmp(text_of(one, "Type"), iam[i].type) != 0)
				continue;
			if (json_object_get(json_object_get(one, "Properties"), iam[i].name))
				return "CAPABILITY_NAMED_IAM";
			needed = "CAPABILITY_IAM";
		}
	}
	return needed;
}
