/* CloudFormation templates in JSON: what is wrong with one, in AWS's words, and what its expressions stand for. Of the
 * language there are Parameters, Conditions (Fn::Equals, And, Or, Not, Condition), Resources, Outputs, Ref, Fn::GetAtt,
 * Fn::Sub, Fn::Join, Fn::If, Fn::Select, Fn::Split and the pseudo parameters; the rest (mappings, transforms, YAML, …) is
 * refused by name.
 *
 * Pure: bytes and values in, values out. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

enum { TEMPLATE_BYTES = 51200, TEMPLATE_DEPTH = 64 };

struct template
{
	json_t *root; /* owned */
};

/* What the template may name. */
struct template_types {
	bool (*known)(const char *type);
	bool (*has_attribute)(const char *type, const char *attribute);
};

/* Parse and check everything that can be without values. -1 with the words of AWS's ValidationError. */
int template_parse(struct slice text, const struct template_types *types, struct template *ret, struct error *err);
void template_deinit(struct template *template); /* NULL is allowed */

/* The names of its parameters with their values: of `given` (name → string), else their defaults. A new reference; lists
 * are arrays. NULL: one has none, is none of the template's, or breaks a constraint. */
json_t *template_parameters(const struct template *template, const json_t *given, struct error *err);

/* What expressions may see. */
struct template_scope {
	const struct template *template;
	const json_t *parameters; /* template_parameters */
	const char *region, *account, *stack_name, *stack_id;
	/* The value of a resource's attribute, or (NULL) of a Ref to it: a new reference, or NULL, `err` filled. */
	json_t *(*attribute)(void *ctx, const char *resource, const char *attribute, struct error *err);
	void *ctx;
};

/* The value with all expressions evaluated: a new reference; JSON's null where AWS::NoValue is the whole. NULL: `err`. */
json_t *template_resolve(const struct template_scope *scope, const json_t *value, struct error *err);

/* Whether the resource's or output's Condition holds, or it has none. -1: it can't be evaluated. */
int template_applies(const struct template_scope *scope, const json_t *element, struct error *err);

/* The resources in an order in which each comes after what it names: a NULL-terminated array in the arena. */
const char **template_order(const struct template *template, struct arena *arena);

/* The capabilities it takes to create it: CAPABILITY_NAMED_IAM, CAPABILITY_IAM; NULL: none. */
const char *template_capability(const struct template *template);
