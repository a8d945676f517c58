/* Where keys come from, worked out from the configuration alone: the chain's order is here, and nothing else knows it. No I/O. */
#pragma once

#include "aws/config.h"
#include "aws/sign.h"

enum credential_kind {
	CREDENTIAL_STATIC,
	CREDENTIAL_ROLE,	 /* STS AssumeRole with the keys of `base` */
	CREDENTIAL_WEB_IDENTITY, /* STS AssumeRoleWithWebIdentity with a token from a file */
	CREDENTIAL_SSO,		 /* GetRoleCredentials with the token that `aws sso login` left */
	CREDENTIAL_PROCESS,
	CREDENTIAL_CONTAINER,
	CREDENTIAL_INSTANCE, /* IMDSv2 */
};

struct credential_source {
	enum credential_kind kind;
	const char *name;		      /* for people: "profile dev" */
	const char *profile;		      /* NULL: not from one */
	const struct credential_source *base; /* ROLE */
	struct aws_keys keys;		      /* STATIC */
	const char *role_arn, *session_name, *external_id,
		*duration_s;				 /* ROLE, WEB_IDENTITY; all but the first may be NULL */
	const char *token_file;				 /* WEB_IDENTITY; CONTAINER: or NULL */
	const char *token;				 /* CONTAINER: or NULL */
	const char *sso_region, *sso_account, *sso_role; /* SSO */
	const char *sso_cache_file;			 /* SSO: a path */
	char **command;					 /* PROCESS */
	const char *url;				 /* CONTAINER: whole; INSTANCE: up to the path */
	const char *tried; /* INSTANCE: what was looked at before, for people; NULL: it was asked for by name */
};

/* In `arena`, borrowing from `config`. -1: nothing could give keys, or what is configured is wrong or beyond us; the text says what to do. */
int credential_plan(
	const struct aws_config *config, struct arena *arena, const struct credential_source **ret, struct error *err);
