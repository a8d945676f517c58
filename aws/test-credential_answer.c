#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/credential_answer.h"

#define STS(inner)                                                                                                     \
	"<AssumeRoleResponse "                                                                                         \
	"xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>" inner                    \
	"</Credentials></AssumeRoleResult></AssumeRoleResponse>"

static void credential_answer__each_shape_gives_keys(void **state)
{
	(void)state;
	static const struct {
		enum credential_shape shape;
		const char *body, *token;
		int64_t expires_ms;
	} cases[] = {
		{ CREDENTIAL_OF_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}", NULL, 0 },
		{ CREDENTIAL_OF_PROCESS,
			"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\","
			"\"Expiration\":"
			"\"2026-11-23T19:30:00+01:00\"}",
			"t", 1795458600000 },
		{ CREDENTIAL_OF_PROCESS,
			"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"\","
			"\"Expiration\":null}",
			NULL, 0 },
		{ CREDENTIAL_OF_METADATA,
			"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
			"\"Expiration\":"
			"\"2026-11-23T18:30:00Z\"}",
			"t", 1795458600000 },
		{ CREDENTIAL_OF_SSO,
			"{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\","
			"\"expiration\":1795458600000}}",
			"t", 1795458600000 },
		{ CREDENTIAL_OF_STS,
			STS("<AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</"
			    "SessionToken>"
			    "<Expiration>2026-11-23T18:30:00.5Z</Expiration>"),
			"t", 1795458600000 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct aws_keys keys;
		struct error err = { 0 };
		assert_int_equal(
			credential_answer_keys(cases[i].shape, slice_str(cases[i].body), &arena, &keys, &err), 0);
		assert_string_equal(keys.access_key, "A");
		assert_string_equal(keys.secret_key, "s");
		if (cases[i].token)
			assert_string_equal(keys.session_token, cases[i].token);
		else
			assert_null(keys.session_token);
		assert_int_equal(keys.expires_ms, cases[i].expires_ms);
	}
}

static void credential_answer__what_is_missing_or_illegible_is_an_error_without_secrets(void **state)
{
	(void)state;
	static const struct {
		enum credential_shape shape;
		const char *body, *message;
	} cases[] = {
		{ CREDENTIAL_OF_PROCESS, "", "the answer is not a JSON object" },
		{ CREDENTIAL_OF_PROCESS, "SECRET", "the answer is not a JSON object" },
		{ CREDENTIAL_OF_PROCESS, "[\"SECRET\"]", "the answer is not a JSON object" },
		{ CREDENTIAL_OF_PROCESS, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\"}",
			"the answer is not of \"Version\": 1" },
		{ CREDENTIAL_OF_PROCESS, "{\"Version\":1,\"SecretAccessKey\":\"SECRET\"}",
			"the answer has no access key" },
		{ CREDENTIAL_OF_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\"}", "the answer has no secret key" },
		{ CREDENTIAL_OF_PROCESS,
			"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\\r\\nHost: x\"}",
			"the answer has keys that are empty or not of visible ASCII" },
		{ CREDENTIAL_OF_PROCESS,
			"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":\"soon\"}",
			"the answer has keys without a legible time of expiry" },
		{ CREDENTIAL_OF_METADATA,
			"{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume the role\"}",
			"the answer is AssumeRoleUnauthorizedAccess: EC2 cannot assume the role" },
		{ CREDENTIAL_OF_SSO, "{\"roleCredentials\":7}", "the answer has no access key" },
		{ CREDENTIAL_OF_STS, STS("<AccessKeyId>A</AccessKeyId>"), "the answer has no secret key" },
		{ CREDENTIAL_OF_STS, "<AssumeRoleResponse>",
			"not the XML that was expected: no element found, line 1" },
		{ CREDENTIAL_OF_STS, "<AccessKeyId>A</AccessKeyId>", "the answer has no access key" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct aws_keys keys;
		struct error err = { 0 };
		assert_int_equal(
			credential_answer_keys(cases[i].shape, slice_str(cases[i].body), &arena, &keys, &err), -1);
		assert_null(strstr(err.text, "SECRET"));
		assert_non_null(strstr(err.text, cases[i].message));
	}
}

static void credential_answer__times_are_those_of_iso_8601(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-23T18:30:06Z", 1795458606000 },
		{ "2026-11-23 18:30:06.999999Z", 1795458606000 },
		{ "2026-11-23T18:30:06UTC", 1795458606000 },
		{ "2026-11-23T20:00:06+0130", 1795458606000 },
		{ "2026-11-23T12:30:06-06:00", 1795458606000 },
		{ "2026-11-23T18:30:06", -1 },
		{ "2026-11-23T18:30Z", -1 },
		{ "2026-13-23T18:30:06Z", -1 },
		{ "26-11-23T18:30:06Z", -1 },
		{ "2026-11-23T18:30:06+01:00x", -1 },
		{ "0000-01-01T00:00:00Z", -1 },
		{ "", -1 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(credential_time_ms(cases[i].text), cases[i].ms);
}

static void credential_answer__errors_are_told_in_one_line(void **state)
{
	(void)state;
	static const struct {
		const char *body, *code, *message;
	} cases[] = {
		{ "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>It does not "
		  "match.\n\n"
		  "The Canonical String: x-amz-security-token:SECRET</Message></Error></ErrorResponse>",
			"SignatureDoesNotMatch", "It does not match." },
		{ "<Error><Code>SlowDown</Code><Message>\x7f</Message></Error>", "SlowDown", "?" },
		{ "{\"__type\":\"UnauthorizedException\",\"message\":\"Session token not found\"}",
			"UnauthorizedException", "Session token not found" },
		{ "{\"code\":\"x\",\"Message\":\"y\\nz\"}", "x", "y" },
		{ "<Error><Code>A</Code>", "A", "" },
		{ "<html>", "", "" },
		{ "", "", "" },
		{ "7", "", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		const char *code, *message;
		credential_answer_error(slice_str(cases[i].body), &arena, &code, &message);
		assert_string_equal(code, cases[i].code);
		assert_string_equal(message, cases[i].message);
	}
}

static void credential_answer__sso_tokens_come_with_their_expiry(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	struct credential_sso_token token;
	static const char good[] = "{\"accessToken\":\"SECRET\",\"expiresAt\":\"2026-11-23T18:30:06UTC\"}";
	assert_int_equal(credential_answer_sso_token(slice_str(good), &arena, &token, &err), 0);
	assert_string_equal(token.token, "SECRET");
	assert_int_equal(token.expires_ms, 1795458606000);
	static const char *const bad[] = { "", "{}", "{\"accessToken\":\"\"}", "{\"accessToken\":\"SECRET\"}",
		"{\"accessToken\":\"SECRET\\n\",\"expiresAt\":\"2026-11-23T18:30:06UTC\"}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(credential_answer_sso_token(slice_str(bad[i]), &arena, &token, &err), -1);
		assert_null(strstr(err.text, "SECRET"));
	}
}

#define SESSION                                                                                                        \
	"{\"startUrl\":\"u\",\"accessToken\":\"old\",\"expiresAt\":\"2026-11-23T18:30:06Z\",\"clientId\":\"i\","       \
	"\"clientSecret\":\"s\",\"registrationExpiresAt\":\"2026-11-23T18:30:06Z\",\"refreshToken\":\"r\"}"

static void credential_answer__sso_sessions_go_on_while_the_registration_lasts(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	struct credential_sso_token token;
	const char *file;
	struct slice before = slice_str(SESSION);
	assert_string_equal(credential_sso_refresh(before, 1795458605999, &arena),
		"{\"grantType\":\"refresh_token\",\"clientId\":\"i\",\"clientSecret\":\"s\",\"refreshToken\":\"r\"}");
	assert_null(credential_sso_refresh(before, 1795458606000, &arena));
	assert_null(credential_sso_refresh(slice_str("{\"accessToken\":\"old\"}"), 0, &arena));
	static const char answer[] = "{\"accessToken\":\"new\",\"expiresIn\":3600,\"refreshToken\":\"r2\"}";
	assert_int_equal(
		credential_answer_sso_refreshed(before, slice_str(answer), 1795458606789, &arena, &token, &file, &err),
		0);
	assert_string_equal(token.token, "new");
	assert_int_equal(token.expires_ms, 1795462206000);
	assert_string_equal(file, "{\"startUrl\":\"u\",\"accessToken\":\"new\",\"expiresAt\":\"2026-11-23T19:30:06Z\","
				  "\"clientId\":\"i\",\"clientSecret\":\"s\",\"registrationExpiresAt\":"
				  "\"2026-11-23T18:30:06Z\",\"refreshToken\":\"r2\"}");
	static const char *const bad[] = { "", "{}", "{\"accessToken\":\"new\"}",
		"{\"accessToken\":\"\",\"expiresIn\":1}", "{\"accessToken\":\"new\",\"expiresIn\":-1}",
		"{\"accessToken\":\"new\",\"expiresIn\":9007199254740993}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			credential_answer_sso_refreshed(before, slice_str(bad[i]), 0, &arena, &token, &file, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credential_answer__each_shape_gives_keys),
		cmocka_unit_test(credential_answer__what_is_missing_or_illegible_is_an_error_without_secrets),
		cmocka_unit_test(credential_answer__times_are_those_of_iso_8601),
		cmocka_unit_test(credential_answer__errors_are_told_in_one_line),
		cmocka_unit_test(credential_answer__sso_tokens_come_with_their_expiry),
		cmocka_unit_test(credential_answer__sso_sessions_go_on_while_the_registration_lasts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
