/* Who the credentials belong to (STS, 2011-06-15). */
#pragma once

#include "aws/session.h"

struct sts_identity {
	const char *account; /* "123456789012" */
	const char *arn;     /* "arn:aws:sts::123456789012:assumed-role/Admin/ann" */
	const char *user_id;
};

/* In `arena`. It takes no permission: whoever is refused has no credentials. */
int sts_get_caller_identity(struct aws_session *session, struct arena *arena, struct sts_identity *ret, struct error *err);

/* For fuzzing: the answer. -1: it is none. */
int sts_read_identity(struct slice body, struct arena *arena, struct sts_identity *ret, struct error *err);
