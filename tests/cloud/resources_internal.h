/* What the files of resource types share. */
#pragma once

#include "tests/cloud/resources.h"

/* How one type does it; see resources.h. */
struct resource_ops {
	struct resource_type type;
	int (*create)(const struct resource_call *call, const char **ret_physical, struct error *err);
	int (*update)(const struct resource_call *call, struct error *err);
	int (*delete)(const struct resource_call *call, struct error *err);
	json_t *(*attribute)(const struct resource_call *call, const char *attribute);
};

extern const struct resource_ops resources_bucket, resources_bucket_policy;

const char *resources_text(const json_t *object, const char *key); /* NULL: none */
/* The name that the properties give, or one that is made: STACK-LOGICAL-RANDOM, `small`: in lower case. */
const char *resources_name(const struct resource_call *call, const char *key, size_t max, bool small);

/* The reason of a failed call of a service: its message with what CloudFormation puts around it. Returns -1. */
int resources_fail(const struct resource_call *call, const char *service, int status, const char *code,
	const char *message, struct error *err);
/* -1: the caller may not. */
int resources_permit(const struct resource_call *call, const char *service, const char *operation, const char *resource,
	struct error *err);
