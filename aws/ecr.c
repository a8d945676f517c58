#include "aws/ecr.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "base/cleanup.h"

enum { TOKEN_CHARS_MAX = 32 << 10 };

#define TARGET "AmazonEC2ContainerRegistry_V20150921."

static bool is_visible(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* base64 of "AWS:PASSWORD". */
static int read_token(const char *base64, struct arena *arena, struct ecr_login *ret, struct error *err)
{
	size_t n = base64 ? strlen(base64) : 0;
	if (n == 0 || n > TOKEN_CHARS_MAX || n % 4 != 0)
		return error_say(err, EBADMSG, "ECR's answer has no token");
	char *text = arena_zalloc(arena, n / 4 * 3 + 1);
	int decoded = EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)base64, (int)n);
	char *colon = decoded > 0 ? strchr(text, ':') : NULL;
	if (!colon || colon == text || !colon[1] || !is_visible(text)) /* padding decodes to NULs */
		return error_say(err, EBADMSG, "ECR's answer has a token that isn't one");
	*colon = '\0';
	ret->user = text;
	ret->password = colon + 1;
	return 0;
}

int ecr_read_login(struct slice body, struct arena *arena, struct ecr_login *ret, struct error *err)
{
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	const json_t *login = json_array_get(json_object_get(answer, "authorizationData"), 0);
	const char *endpoint = json_string_value(json_object_get(login, "proxyEndpoint"));
	double expires_s = json_number_value(json_object_get(login, "expiresAt"));
	if (read_token(json_string_value(json_object_get(login, "authorizationToken")), arena, ret, err) < 0)
		return -1;
	if (!endpoint || (strncmp(endpoint, "https://", 8) != 0 && strncmp(endpoint, "http://", 7) != 0) || !is_visible(endpoint))
		return error_say(err, EBADMSG, "ECR's answer names no registry");
	size_t n = strlen(endpoint);
	while (endpoint[n - 1] == '/')
		n--;
	ret->endpoint = arena_strndup(arena, endpoint, n);
	ret->expires_s = expires_s > 0 && expires_s < 1e12 ? (int64_t)expires_s : 0;
	return 0;
}

int ecr_read_repository(struct slice body, struct arena *arena, const char **ret_uri, struct error *err)
{
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	const char *uri = json_string_value(json_object_get(json_array_get(json_object_get(answer, "repositories"), 0), "repositoryUri"));
	if (!uri || !strchr(uri, '/') || !is_visible(uri))
		return error_say(err, EBADMSG, "ECR's answer names no repository");
	*ret_uri = arena_strdup(arena, uri);
	return 0;
}

int ecr_login(struct aws_session *session, struct arena *arena, struct ecr_login *ret, struct error *err)
{
	static const char what[] = "log in to the container registry";
	struct aws_reply reply;
	if (aws_ask_json(session, "ecr", TARGET "GetAuthorizationToken", "{}", arena, &reply, err) < 0)
		return error_wrap(err, "cannot %s", what);
	return aws_succeeded(&reply) ? ecr_read_login(reply.body, arena, ret, err) : aws_refused(&reply, "ecr:GetAuthorizationToken", what, err);
}

int ecr_describe_repository(struct aws_session *session, const char *name, struct arena *arena, const char **ret_uri, struct error *err)
{
	struct aws_reply reply;
	const char *what = arena_printf(arena, "look at the repository %s", name);
	json_auto_t *question = json_pack("{s:[s]}", "repositoryNames", name);
	_cleanup_free_ char *text = json_dumps(question, JSON_COMPACT);
	if (!text)
		return error_say(err, EINVAL, "cannot %s: it isn't a name", what);
	if (aws_ask_json(session, "ecr", TARGET "DescribeRepositories", text, arena, &reply, err) < 0)
		return error_wrap(err, "cannot %s", what);
	if (strcmp(reply.code, "RepositoryNotFoundException") == 0)
		return ECR_ABSENT;
	return aws_succeeded(&reply) ? ecr_read_repository(reply.body, arena, ret_uri, err)
				     : aws_refused(&reply, "ecr:DescribeRepositories", what, err);
}
