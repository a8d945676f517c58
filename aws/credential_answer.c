#include "aws/credential_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "aws/xml.h"

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool is_visible(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

bool credential_keys_fit(const struct aws_keys *keys)
{
	return keys->access_key && keys->access_key[0] && is_visible(keys->access_key) && keys->secret_key &&
	       keys->secret_key[0] && is_visible(keys->secret_key) &&
	       (!keys->session_token || is_visible(keys->session_token));
}

/* Two digits, or more, at *at; -1: others. */
static int digits(const char **at, int n)
{
	int value = 0;
	for (; n; n--, ++*at) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	return value;
}

static bool skip(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

/* Seconds east of Greenwich, or INT_MIN. */
static int zone(const char *at)
{
	if (strcmp(at, "Z") == 0 || strcmp(at, "UTC") == 0)
		return 0;
	int sign = *at == '-' ? -1 : 1;
	if (*at != '+' && *at != '-')
		return INT32_MIN;
	at++;
	int hours = digits(&at, 2);
	skip(&at, ':');
	int minutes = hours < 0 ? -1 : digits(&at, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || *at)
		return INT32_MIN;
	return sign * (hours * 3600 + minutes * 60);
}

int64_t credential_time_ms(const char *text)
{
	const char *at = text;
	struct tm t = { 0 };
	int year, month;
	if ((year = digits(&at, 4)) < 0 || !skip(&at, '-') || (month = digits(&at, 2)) < 1 || month > 12 ||
		!skip(&at, '-') || (t.tm_mday = digits(&at, 2)) < 1 || t.tm_mday > 31 ||
		!(skip(&at, 'T') || skip(&at, ' ')) || (t.tm_hour = digits(&at, 2)) < 0 || t.tm_hour > 23 ||
		!skip(&at, ':') || (t.tm_min = digits(&at, 2)) < 0 || t.tm_min > 59 || !skip(&at, ':') ||
		(t.tm_sec = digits(&at, 2)) < 0 || t.tm_sec > 60)
		return -1;
	if (skip(&at, '.'))
		while (*at >= '0' && *at <= '9')
			at++;
	int east = zone(at);
	t.tm_year = year - 1900;
	t.tm_mon = month - 1;
	time_t seconds = timegm(&t);
	return east == INT32_MIN || seconds - east < 0 ? -1 : ((int64_t)seconds - east) * 1000;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* Both may be what a hostile or broken server sent: keys are copied only as strings, and checked as a whole. */
struct found {
	const char *access_key, *secret_key, *session_token, *expires;
	int64_t expires_ms; /* where it is a number; -1 */
	bool expires_at_all;
};

static int accept(const struct found *found, struct arena *arena, struct aws_keys *ret, struct error *err)
{
	struct aws_keys keys = { .access_key = found->access_key,
		.secret_key = found->secret_key,
		.session_token = found->session_token && found->session_token[0] ? found->session_token : NULL };
	if (!keys.access_key || !keys.secret_key)
		return error_set(err, EBADMSG, "the answer has no %s key", keys.access_key ? "secret" : "access");
	if (!credential_keys_fit(&keys))
		return error_set(err, EBADMSG, "the answer has keys that are empty or not of visible ASCII");
	if (found->expires_at_all) {
		keys.expires_ms = found->expires ? credential_time_ms(found->expires) : found->expires_ms;
		if (keys.expires_ms <= 0)
			return error_set(err, EBADMSG, "the answer has keys without a legible time of expiry");
	}
	keys.access_key = arena_strdup(arena, keys.access_key);
	keys.secret_key = arena_strdup(arena, keys.secret_key);
	keys.session_token = keys.session_token ? arena_strdup(arena, keys.session_token) : NULL;
	*ret = keys;
	return 0;
}

static void find_expiry(const json_t *value, struct found *found)
{
	found->expires_at_all = value && !json_is_null(value);
	found->expires = json_string_value(value);
	found->expires_ms = json_is_integer(value) ? json_integer_value(value) : -1;
}

static int keys_of_json(
	enum credential_shape shape, struct slice body, struct arena *arena, struct aws_keys *ret, struct error *err)
{
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	if (!json_is_object(answer))
		return error_set(err, EBADMSG, "the answer is not a JSON object");
	struct found found = { 0 };
	if (shape == CREDENTIAL_OF_SSO) {
		const json_t *inner = json_object_get(answer, "roleCredentials");
		found = (struct found){ .access_key = text_of(inner, "accessKeyId"),
			.secret_key = text_of(inner, "secretAccessKey"),
			.session_token = text_of(inner, "sessionToken") };
		find_expiry(json_object_get(inner, "expiration"), &found);
		return accept(&found, arena, ret, err);
	}
	const char *code = text_of(answer, "Code");
	if (shape == CREDENTIAL_OF_PROCESS && json_integer_value(json_object_get(answer, "Version")) != 1)
		return error_set(err, EBADMSG, "the answer is not of \"Version\": 1");
	if (shape == CREDENTIAL_OF_METADATA && code && strcmp(code, "Success") != 0) {
		const char *ignored, *message;
		credential_answer_error(body, arena, &ignored, &message);
		return error_set(err, EBADMSG, "the answer is %s: %s", ignored, message);
	}
	found = (struct found){ .access_key = text_of(answer, "AccessKeyId"),
		.secret_key = text_of(answer, "SecretAccessKey"),
		.session_token = text_of(answer, shape == CREDENTIAL_OF_PROCESS ? "SessionToken" : "Token") };
	find_expiry(json_object_get(answer, "Expiration"), &found);
	return accept(&found, arena, ret, err);
}

struct sts_answer {
	struct arena *arena;
	struct found found;
};

static void take_element(void *ctx, const char *path, const char *text)
{
	struct sts_answer *answer = ctx;
	struct slice whole = slice_str(path);
	if (!text)
		return;
	const char *copy = arena_strdup(answer->arena, text);
	if (slice_has_suffix(whole, "/Credentials/AccessKeyId"))
		answer->found.access_key = copy;
	else if (slice_has_suffix(whole, "/Credentials/SecretAccessKey"))
		answer->found.secret_key = copy;
	else if (slice_has_suffix(whole, "/Credentials/SessionToken"))
		answer->found.session_token = copy;
	else if (slice_has_suffix(whole, "/Credentials/Expiration")) {
		answer->found.expires = copy;
		answer->found.expires_at_all = true;
	}
}

int credential_answer_keys(
	enum credential_shape shape, struct slice body, struct arena *arena, struct aws_keys *ret, struct error *err)
{
	if (shape != CREDENTIAL_OF_STS)
		return keys_of_json(shape, body, arena, ret, err);
	_cleanup_arena_ struct arena scratch = ARENA_INIT;
	struct sts_answer answer = { .arena = &scratch };
	if (xml_parse(body, take_element, &answer, err) < 0)
		return -1;
	return accept(&answer.found, arena, ret, err);
}

/* --- SSO's token --------------------------------------------------------------------------------------------------- */

int credential_answer_sso_token(
	struct slice file, struct arena *arena, struct credential_sso_token *ret, struct error *err)
{
	json_auto_t *all = json_loadb(file.len ? file.ptr : "", file.len, 0, NULL);
	const char *token = text_of(all, "accessToken"), *expires = text_of(all, "expiresAt");
	if (!token || !token[0] || !is_visible(token))
		return error_set(err, EBADMSG, "there is no access token in it");
	int64_t expires_ms = expires ? credential_time_ms(expires) : -1;
	if (expires_ms < 0)
		return error_set(err, EBADMSG, "there is no legible time of expiry in it");
	*ret = (struct credential_sso_token){ arena_strdup(arena, token), expires_ms };
	return 0;
}

static const char *dump(json_t *json, struct arena *arena)
{
	char *text = json_dumps(json, JSON_COMPACT);
	if (!text)
		abort();
	const char *copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

const char *credential_sso_refresh(struct slice file, int64_t now_ms, struct arena *arena)
{
	json_auto_t *all = json_loadb(file.len ? file.ptr : "", file.len, 0, NULL);
	const char *id = text_of(all, "clientId"), *secret = text_of(all, "clientSecret");
	const char *refresh = text_of(all, "refreshToken"), *until = text_of(all, "registrationExpiresAt");
	if (!id || !secret || !refresh || !until || credential_time_ms(until) <= now_ms)
		return NULL;
	json_auto_t *request = json_pack("{s:s, s:s, s:s, s:s}", "grantType", "refresh_token", "clientId", id,
		"clientSecret", secret, "refreshToken", refresh);
	return dump(request, arena);
}

int credential_answer_sso_refreshed(struct slice file, struct slice body, int64_t now_ms, struct arena *arena,
	struct credential_sso_token *ret, const char **ret_file, struct error *err)
{
	json_auto_t *all = json_loadb(file.len ? file.ptr : "", file.len, 0, NULL);
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	const char *token = text_of(answer, "accessToken");
	int64_t seconds = json_integer_value(json_object_get(answer, "expiresIn"));
	enum { A_YEAR = 366 * 86400 };
	if (!json_is_object(all) || !token || !token[0] || !is_visible(token) || seconds <= 0 || seconds > A_YEAR)
		return error_set(err, EBADMSG, "the answer has no access token, or no legible time of expiry");
	char expires[32];
	struct tm utc;
	time_t at = (time_t)(now_ms / 1000 + seconds);
	if (!gmtime_r(&at, &utc))
		return error_set(err, EBADMSG, "the answer has no legible time of expiry");
	strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", &utc);
	json_object_set(all, "accessToken", json_object_get(answer, "accessToken"));
	json_object_set_new(all, "expiresAt", json_string(expires));
	/* A refresh token may be good for once only. */
	json_t *refresh = json_object_get(answer, "refreshToken");
	if (json_is_string(refresh))
		json_object_set(all, "refreshToken", refresh);
	*ret = (struct credential_sso_token){ arena_strdup(arena, token), (int64_t)at * 1000 };
	*ret_file = dump(all, arena);
	return 0;
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

struct said {
	struct arena *arena;
	const char *code, *message;
};

/* The first line: what follows it in some of STS's is the canonical request, and the session token in it. */
static const char *one_line(const char *s, struct arena *arena)
{
	char *line = arena_strndup(arena, s, strnlen(s, CREDENTIAL_MESSAGE_BYTES));
	line[strcspn(line, "\r\n")] = '\0';
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == '\x7f')
			*c = '?';
	return line;
}

static void take_error_element(void *ctx, const char *path, const char *text)
{
	struct said *said = ctx;
	if (!text)
		return;
	if (slice_has_suffix(slice_str(path), "Error/Code"))
		said->code = one_line(text, said->arena);
	else if (slice_has_suffix(slice_str(path), "Error/Message"))
		said->message = one_line(text, said->arena);
}

void credential_answer_error(struct slice body, struct arena *arena, const char **ret_code, const char **ret_message)
{
	struct said said = { arena, "", "" };
	struct error not_xml;
	if (body.len && body.ptr[0] == '<') {
		/* What was understood before a break is said all the same. */
		(void)xml_parse(body, take_error_element, &said, &not_xml);
	} else {
		json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
		const char *code = text_of(answer, "Code"), *type = text_of(answer, "__type");
		const char *message = text_of(answer, "Message"), *small = text_of(answer, "message");
		code = code ? code : type ? type : text_of(answer, "code");
		message = message ? message : small;
		said.code = code ? one_line(code, arena) : "";
		said.message = message ? one_line(message, arena) : "";
	}
	*ret_code = said.code;
	*ret_message = said.message;
}
