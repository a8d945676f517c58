/* The types of resources that stacks can have, by CloudFormation's names: what their properties may be, and how one is
 * made, changed and taken away in this cloud's own services. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

struct cloud;
struct property;

struct resource_type {
	const char *name; /* "AWS::S3::Bucket" */
	const struct property *properties;
	const char *const *attributes; /* of Fn::GetAtt; NULL-terminated */
};

const struct resource_type *resources_find(const char *name); /* NULL: there is none */
bool resources_known(const char *type);
bool resources_has_attribute(const char *type, const char *attribute);

struct resource_call {
	struct cloud *cloud;
	const struct resource_type *type;
	const char *caller; /* ARN */
	const char *stack, *logical;
	const json_t *properties; /* checked and normalised */
	const json_t *old;	  /* of an update: what they were */
	const char *physical;	  /* NULL when it is made; an ARN for a managed policy */
	struct arena *arena;
};

/* Errors are the reasons that events give, in AWS's words. `ret_physical` is in the arena. */
int resources_create(const struct resource_call *call, const char **ret_physical, struct error *err);
int resources_update(const struct resource_call *call, struct error *err); /* nothing that is fixed has changed */
int resources_delete(const struct resource_call *call, struct error *err); /* what isn't there is no error */

/* The value of an attribute, or for NULL of Ref: a new reference. */
json_t *resources_attribute(const struct resource_call *call, const char *attribute);
