/* Who asks, and what they may not do: rules of the kind `deny` (faults.h) stand for policies that lack an action. The
 * action of a rule is what IAM calls it or what the service's API does: "s3.PutObject.deny=1000",
 * "iam.PassRole.deny=1000". */
#pragma once

#include "base/arena.h"
#include "base/error.h"

struct cloud;

/* The ARN of whoever a key belongs to, in the arena; NULL: nobody's. */
const char *permissions_caller(struct cloud *cloud, const char *access_key, struct arena *arena);

/* "s3:ListBucket" for ListObjectsV2, in the arena: what IAM calls an operation. */
const char *permissions_action(const char *service, const char *operation, struct arena *arena);

/* 0, or -1 with AWS's words: User: ARN is not authorized to perform … */
int permissions_check(struct cloud *cloud, const char *caller, const char *service, const char *operation,
	const char *resource, struct error *err);
