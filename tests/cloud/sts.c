#include "tests/cloud/sts.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "tests/cloud/cloud.h"
#include "tests/cloud/permissions.h"
#include "tests/cloud/query.h"
#include "tests/cloud/xml.h"

#define XMLNS "https://sts.amazonaws.com/doc/2011-06-15/"

enum { LIFE_S = 3600, TEMPORARY_KEY = 1 /* of cloud.c's */ };

const char *sts_operation(const struct cloud_request *request)
{
	static const char *const operations[] = { "GetCallerIdentity", STS_WEB_IDENTITY };
	const char *action = query_action(request);
	for (size_t i = 0; action && i < sizeof operations / sizeof operations[0]; i++)
		if (strcmp(action, operations[i]) == 0)
			return operations[i];
	return NULL;
}

/* The claims of a JSON web token, HEADER.CLAIMS.SIGNATURE in base64url; NULL: it is none. */
static json_t *read_claims(const char *token, struct arena *arena)
{
	const char *begin = strchr(token, '.'), *end = begin ? strchr(begin + 1, '.') : NULL;
	if (!end || begin == token || !end[1] || strchr(end + 1, '.'))
		return NULL;
	size_t n = (size_t)(end - begin - 1), padded = (n + 3) / 4 * 4;
	char *text = arena_alloc(arena, padded + 1);
	memset(text, '=', padded);
	for (size_t i = 0; i < n; i++)
		text[i] = begin[1 + i] == '-' ? '+' : begin[1 + i] == '_' ? '/' : begin[1 + i];
	unsigned char *bytes = arena_alloc(arena, padded);
	int length = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)padded);
	return length < 0 ? NULL : json_loadb((const char *)bytes, (size_t)length - (padded - n), 0, NULL);
}

static bool claim_is(const json_t *claims, const char *name, const char *expected)
{
	const char *value = json_string_value(json_object_get(claims, name));
	return value && strcmp(value, expected) == 0;
}

/* AWS's words for what is wrong with them; NULL: nothing. */
static const char *judge_claims(struct cloud *cloud, const json_t *claims, const char **ret_code)
{
	const char *subject = json_string_value(json_object_get(claims, "sub"));
	*ret_code = "InvalidIdentityToken";
	if (!claims)
		return "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
	if (!claim_is(claims, "iss", "https://token.actions.githubusercontent.com"))
		return "No OpenIDConnect provider found in your account for that issuer";
	if (!claim_is(claims, "aud", "sts.amazonaws.com"))
		return "Incorrect token audience";
	if (json_integer_value(json_object_get(claims, "exp")) <= cloud_now_s(cloud)) {
		*ret_code = "ExpiredTokenException";
		return "Token expired";
	}
	*ret_code = "AccessDenied";
	return subject && strncmp(subject, "repo:", 5) == 0 ? NULL
							    : "Not authorized to perform sts:AssumeRoleWithWebIdentity";
}

static void give_keys(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	struct query_form form;
	struct error err;
	const char *code = "ValidationError", *problem = NULL, *role = NULL, *session = NULL, *token = NULL;
	if (query_parse(request->body, request->arena, &form, &err) == 0) {
		role = query_get(&form, "RoleArn");
		session = query_get(&form, "RoleSessionName");
		token = query_get(&form, "WebIdentityToken");
	}
	if (!role || !session || !token || strncmp(role, "arn:aws:iam::" CLOUD_ACCOUNT ":role/", 31) != 0) {
		problem = "Request ARN is invalid, or a parameter is missing";
	} else {
		json_t *claims = read_claims(token, request->arena);
		problem = judge_claims(cloud, claims, &code);
		json_decref(claims);
	}
	if (problem) {
		cloud_error(request, response, strcmp(code, "AccessDenied") == 0 ? 403 : 400, code, "%s", problem);
		return;
	}
	const struct sigv4_key *key = &cloud->keys->keys[TEMPORARY_KEY];
	time_t expires = (time_t)cloud_now_s(cloud) + LIFE_S;
	struct tm utc;
	char until[32];
	strftime(until, sizeof until, "%FT%TZ", gmtime_r(&expires, &utc));
	struct buf *body = query_begin(response, STS_WEB_IDENTITY, XMLNS);
	buf_append_str(body, "<Credentials>");
	xml_element(body, "AccessKeyId", key->access_key);
	xml_element(body, "SecretAccessKey", key->secret_key);
	xml_element(body, "SessionToken", key->session_token);
	xml_element(body, "Expiration", until);
	buf_append_str(body, "</Credentials>");
	query_end(request, response, STS_WEB_IDENTITY);
}

void sts_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	const char *operation = sts_operation(request);
	if (!operation) {
		cloud_error(request, response, 400, "InvalidAction",
			"This cloud's STS has GetCallerIdentity and " STS_WEB_IDENTITY " only.");
		return;
	}
	if (strcmp(operation, STS_WEB_IDENTITY) == 0) {
		give_keys(cloud, request, response);
		return;
	}
	struct buf *body = query_begin(response, operation, XMLNS);
	xml_element(body, "Arn", permissions_caller(cloud, request->access_key, request->arena));
	xml_element(body, "UserId", arena_printf(request->arena, "AIDA%.16s", request->access_key + 4));
	xml_element(body, "Account", CLOUD_ACCOUNT);
	query_end(request, response, operation);
}
