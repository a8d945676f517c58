/* What those who hand out keys answer: credential processes, containers, instances, SSO, STS. Bytes in, keys out; no I/O. An error never holds any of
 * the bytes, but for what the answer itself says went wrong. */
#pragma once

#include "aws/sign.h"
#include "base/arena.h"
#include "base/error.h"

enum credential_shape {
	CREDENTIAL_OF_PROCESS,	/* JSON of credential_process, version 1 */
	CREDENTIAL_OF_METADATA, /* JSON of container endpoints and of the instance metadata service */
	CREDENTIAL_OF_SSO,	/* JSON of GetRoleCredentials */
	CREDENTIAL_OF_STS,	/* XML of AssumeRole and AssumeRoleWithWebIdentity */
};

/* In `arena`; `source` is left NULL. What comes back can stand in a header. */
int credential_answer_keys(
	enum credential_shape shape, struct slice body, struct arena *arena, struct aws_keys *ret, struct error *err);

/* A file of ~/.aws/sso/cache, which `aws sso login` leaves. */
struct credential_sso_token {
	const char *token;
	int64_t expires_ms;
};
int credential_answer_sso_token(
	struct slice file, struct arena *arena, struct credential_sso_token *ret, struct error *err);

/* The body of a CreateToken request that makes the session of `file` go on, or NULL: it can't be, only a login helps. In `arena`. */
const char *credential_sso_refresh(struct slice file, int64_t now_ms, struct arena *arena);
/* What that was answered: the token, and the file as it must be now. In `arena`. */
int credential_answer_sso_refreshed(struct slice file, struct slice body, int64_t now_ms, struct arena *arena,
	struct credential_sso_token *ret, const char **ret_file, struct error *err);

/* What an error answer says, XML or JSON: "AccessDenied", and the first line of its text, fit to print, cut where it would be longer. "" where it says nothing.
 * In `arena`. */
enum { CREDENTIAL_MESSAGE_BYTES = 400 }; /* of a permission: who lacks it, which, on what, and by whose word */
void credential_answer_error(struct slice body, struct arena *arena, const char **ret_code, const char **ret_message);

/* "2026-11-23T18:30:06Z", with a fraction or not, "UTC" or an offset for the Z: milliseconds since 1970, or -1. */
int64_t credential_time_ms(const char *text);

/* Whether `keys` are there and can stand in a header: visible ASCII. */
bool credential_keys_fit(const struct aws_keys *keys);
