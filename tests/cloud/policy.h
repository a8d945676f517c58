/* Policy documents, as far as services judge them when they are given one. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

enum policy_kind {
	POLICY_IDENTITY, /* what a role or user may do: has no Principal */
	POLICY_TRUST,	 /* who may be a role: has a Principal, no Resource */
	POLICY_RESOURCE, /* who may do what with a resource: has a Principal */
};

/* -1: no policy of that kind, in IAM's words. */
int policy_check(const json_t *policy, enum policy_kind kind, struct error *err);

/* Whether a statement allows the service ("lambda.amazonaws.com") the action, by its full name. */
bool policy_allows(const json_t *policy, const char *service, const char *action);
