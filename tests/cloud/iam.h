/* Roles and managed policies, as stacks make them; there is no API of IAM's own. Thread-safe. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

struct cloud;
struct iam;

enum iam_kind { IAM_ROLE, IAM_POLICY };

struct iam *iam_new(struct cloud *cloud); /* borrowed */
void iam_free(struct iam *iam);		  /* NULL is allowed */

/* `properties` are CloudFormation's, copied. -1: there is one of that name, or a policy in it is none. */
int iam_create(struct iam *iam, enum iam_kind kind, const char *name, const json_t *properties, struct error *err);
/* -1: a policy in `properties` is none. What isn't there is made. */
int iam_update(struct iam *iam, enum iam_kind kind, const char *name, const json_t *properties, struct error *err);
void iam_delete(struct iam *iam, enum iam_kind kind, const char *name);

/* Whether Lambda can be the role of this ARN now. A name that no stack ever made counts as a role that does, unless the
 * setting strict-roles is set. */
bool iam_lambda_can_assume(struct iam *iam, const char *arn);

/* What exists, for GET /_cloud/resources: its names. */
json_t *iam_names(struct iam *iam, enum iam_kind kind);
