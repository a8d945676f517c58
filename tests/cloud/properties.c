#include "tests/cloud/properties.h"

#include <stdlib.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

#define each(object, key, value) json_object_foreach((json_t *)(uintptr_t)(object), key, value)

const struct property properties_tags[] = {
	{ "Key", PROPERTY_STRING, true, false, NULL, NULL },
	{ "Value", PROPERTY_STRING, true, false, NULL, NULL },
	{ NULL, 0, false, false, NULL, NULL },
};

static const struct property *find(const struct property *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static int wrong_type(const char *path, const char *wanted, const json_t *value, struct error *err)
{
	static const char *const names[] = { [JSON_OBJECT] = "JSONObject",
		[JSON_ARRAY] = "JSONArray",
		[JSON_STRING] = "String",
		[JSON_INTEGER] = "Integer",
		[JSON_REAL] = "BigDecimal",
		[JSON_TRUE] = "Boolean",
		[JSON_FALSE] = "Boolean",
		[JSON_NULL] = "Null" };
	return error_set(err, 0, "#%s: expected type: %s, found: %s", path, wanted, names[json_typeof(value)]);
}

static bool is_digits(const json_t *value)
{
	const char *text = json_string_value(value);
	return text && *text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 18;
}

static bool is_truth(const json_t *value)
{
	const char *text = json_string_value(value);
	return text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
}

static bool is_among(const char *values, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = values; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strncmp(at, word, n) == 0 && (at[n] == '|' || !at[n]))
			return true;
	return false;
}

static int check_object(
	const struct property *table, const json_t *value, const char *path, struct arena *arena, struct error *err);

static int check_one(
	const struct property *property, const json_t *value, const char *path, struct arena *arena, struct error *err)
{
	switch (property->kind) {
	case PROPERTY_STRING:
		if (!json_is_string(value) && !json_is_integer(value))
			return wrong_type(path, "String", value, err);
		if (property->values &&
			(!json_is_string(value) || !is_among(property->values, json_string_value(value))))
			return error_set(err, 0, "#%s: #: %s is not a valid enum value", path,
				json_is_string(value) ? json_string_value(value) : "a number");
		return 0;
	case PROPERTY_INTEGER:
		return json_is_integer(value) || is_digits(value) ? 0 : wrong_type(path, "Integer", value, err);
	case PROPERTY_BOOLEAN:
		return json_is_boolean(value) || is_truth(value) ? 0 : wrong_type(path, "Boolean", value, err);
	case PROPERTY_OBJECT:
		return check_object(property->members, value, path, arena, err);
	case PROPERTY_JSON:
		return json_is_object(value) ? 0 : wrong_type(path, "JSONObject", value, err);
	case PROPERTY_OBJECTS:
	case PROPERTY_STRINGS:
		break;
	}
	if (!json_is_array(value))
		return wrong_type(path, "JSONArray", value, err);
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *at = arena_printf(arena, "%s/%zu", path, i);
		const json_t *member = json_array_get(value, i);
		if (property->kind == PROPERTY_STRINGS
				? !json_is_string(member) && wrong_type(at, "String", member, err)
				: check_object(property->members, member, at, arena, err))
			return -1;
	}
	return 0;
}

static int check_object(
	const struct property *table, const json_t *value, const char *path, struct arena *arena, struct error *err)
{
	const char *name;
	json_t *member;
	if (!json_is_object(value))
		return wrong_type(path, "JSONObject", value, err);
	each(value, name, member)
	{
		const struct property *property = find(table, name);
		if (!property)
			return error_set(err, 0, "#%s: extraneous key [%s] is not permitted", path, name);
		if (check_one(property, member, arena_printf(arena, "%s/%s", path, name), arena, err) < 0)
			return -1;
	}
	for (; table->name; table++)
		if (table->required && !json_object_get(value, table->name))
			return error_set(err, 0, "#%s: required key [%s] not found", path, table->name);
	return 0;
}

int properties_check(const struct property *table, const json_t *value, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	return check_object(table, value, "", &arena, err);
}

void properties_normalise(const struct property *table, json_t *value)
{
	for (; table->name; table++) {
		json_t *member = json_object_get(value, table->name);
		if (!member)
			continue;
		switch (table->kind) {
		case PROPERTY_STRING:
			if (json_is_integer(member)) {
				_cleanup_arena_ struct arena arena = ARENA_INIT;
				json_object_set_new(value, table->name,
					json_string(
						arena_printf(&arena, "%lld", (long long)json_integer_value(member))));
			}
			break;
		case PROPERTY_INTEGER:
			if (json_is_string(member))
				json_object_set_new(
					value, table->name, json_integer(strtoll(json_string_value(member), NULL, 10)));
			break;
		case PROPERTY_BOOLEAN:
			if (json_is_string(member))
				json_object_set_new(value, table->name,
					json_boolean(strcmp(json_string_value(member), "true") == 0));
			break;
		case PROPERTY_OBJECT:
			properties_normalise(table->members, member);
			break;
		case PROPERTY_OBJECTS:
			for (size_t i = 0; i < json_array_size(member); i++)
				properties_normalise(table->members, json_array_get(member, i));
			break;
		case PROPERTY_STRINGS:
		case PROPERTY_JSON:
			break;
		}
	}
}

bool properties_differ_fixed(const struct property *table, const json_t *old, const json_t *new)
{
	for (; table->name; table++) {
		json_t *a = json_object_get(old, table->name), *b = json_object_get(new, table->name);
		if (table->fixed && (!a != !b || (a && !json_equal(a, b))))
			return true;
	}
	return false;
}
