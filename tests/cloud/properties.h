/* What a resource's properties may be: CloudFormation's schemas, as tables. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

enum property_kind {
	PROPERTY_STRING,
	PROPERTY_INTEGER, /* or its digits */
	PROPERTY_BOOLEAN, /* or "true", "false" */
	PROPERTY_OBJECT,  /* `members` */
	PROPERTY_OBJECTS, /* an array of them */
	PROPERTY_STRINGS,
	PROPERTY_JSON, /* an object, free inside */
};

struct property {
	const char *name; /* NULL ends a table */
	enum property_kind kind;
	bool required;
	bool fixed;			/* changing it makes another resource */
	const struct property *members; /* of objects */
	const char *values;		/* of strings: "A|B"; NULL: any */
};

extern const struct property properties_tags[]; /* of a list of Key and Value */

/* -1 with the words that stand in a failed resource's reason: "#/Rules/0: required key [Status] not found". */
int properties_check(const struct property *table, const json_t *value, struct error *err);

/* Booleans and integers given as text become such, in place. Checked before. */
void properties_normalise(const struct property *table, json_t *value);

/* Whether one that is fixed differs. */
bool properties_differ_fixed(const struct property *table, const json_t *old, const json_t *new);
