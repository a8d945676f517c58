/* ECR (2015-09-21): where the function's image is kept. What is pushed there goes by aws/registry.h. */
#pragma once

#include "aws/session.h"

enum ecr_outcome { ECR_ABSENT = 1 };

struct ecr_login {
	const char *endpoint; /* "https://123456789012.dkr.ecr.us-east-1.amazonaws.com" */
	const char *user, *password; /* secrets, as aws_keys are: good for twelve hours */
	int64_t expires_s;    /* since 1970; 0: it doesn't say */
};
int ecr_login(struct aws_session *session, struct arena *arena, struct ecr_login *ret, struct error *err);

/* The repository's URI ("123456789012.dkr.ecr.us-east-1.amazonaws.com/llama"), in `arena`. 0, ECR_ABSENT, -1. */
int ecr_describe_repository(struct aws_session *session, const char *name, struct arena *arena, const char **ret_uri, struct error *err);

/* For fuzzing: answers. An error never holds any of the token. */
int ecr_read_login(struct slice body, struct arena *arena, struct ecr_login *ret, struct error *err);
int ecr_read_repository(struct slice body, struct arena *arena, const char **ret_uri, struct error *err);
