/* Any bytes as a template: what passes the checks has an order and a value for everything in it, or says why not. */
#include <assert.h>
#include <stdint.h>

#include "tests/cloud/properties.h"
#include "tests/cloud/resources.h"
#include "tests/cloud/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *attribute(void *ctx, const char *resource, const char *name, struct error *err)
{
	return json_string(resource);
}

static void resolve_all(const struct template_scope *scope, const char *section, const char *member)
{
	const char *name;
	json_t *one;
	json_object_foreach(json_object_get(scope->template->root, section), name, one)
	{
		struct error err = { 0 };
		const json_t *given = json_object_get(one, member);
		const struct resource_type *type = resources_find(
			json_is_string(json_object_get(one, "Type")) ? json_string_value(json_object_get(one, "Type"))
								     : "");
		assert(template_applies(scope, one, &err) >= 0);
		json_t *value = given ? template_resolve(scope, given, &err) : NULL;
		assert(!given || value || *err.text);
		if (value && type && properties_check(type->properties, value, &err) == 0) {
			json_t *copy = json_deep_copy(value);
			properties_normalise(type->properties, copy);
			assert(properties_check(type->properties, copy, &err) == 0);
			assert(!properties_differ_fixed(type->properties, copy, copy));
			json_decref(copy);
		}
		json_decref(value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct template_types types = { resources_known, resources_has_attribute };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct template template;
	struct error err = { 0 };
	if (template_parse(slice_of(data, size), &types, &template, &err) < 0) {
		assert(*err.text);
		return 0;
	}
	size_t n = 0;
	for (const char **order = template_order(&template, &arena); *order; order++)
		n++;
	assert(n == json_object_size(json_object_get(template.root, "Resources")));
	template_capability(&template);
	json_t *given = json_object(), *parameters = template_parameters(&template, given, &err);
	if (parameters) {
		struct template_scope scope = { &template, parameters, "r", "a", "s", "id", attribute, NULL };
		resolve_all(&scope, "Resources", "Properties");
		resolve_all(&scope, "Outputs", "Value");
	}
	json_decref(parameters);
	json_decref(given);
	template_deinit(&template);
	return 0;
}
