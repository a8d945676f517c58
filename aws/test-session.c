#include "aws/test-session.h"

#include "aws/logs.h"
#include "aws/sts.h"

static void sts__tells_whose_the_credentials_are(void **state)
{
	struct script s;
	struct sts_identity identity;
	script_begin(&s);
	script_add(&s, 200, NULL,
		"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"
		"<Arn>arn:aws:iam::123456789012:user/ann</Arn><UserId>AIDA</UserId><Account>123456789012</Account>"
		"</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>");
	assert_int_equal(sts_get_caller_identity(&s.session, &s.arena, &identity, &s.err), 0);
	assert_string_equal(identity.account, "123456789012");
	assert_string_equal(identity.arn, "arn:aws:iam::123456789012:user/ann");
	assert_string_equal(identity.user_id, "AIDA");
	assert_string_equal(buf_str(&s.asked), "POST /  AWS4-HMAC-SHA256\nAction=GetCallerIdentity&Version=2011-06-15\n");
	script_is_over(&s);

	script_reset(&s);
	script_add(&s, 200, NULL, "<GetCallerIdentityResponse/>");
	assert_int_equal(sts_get_caller_identity(&s.session, &s.arena, &identity, &s.err), -1);
	assert_has(s.err.text, "names no account");
	script_reset(&s);
	script_add(&s, 200, NULL, "no XML");
	assert_int_equal(sts_get_caller_identity(&s.session, &s.arena, &identity, &s.err), -1);
	script_reset(&s);
	script_add(&s, 403, NULL,
		"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is "
		"invalid.</Message></Error></ErrorResponse>");
	assert_int_equal(sts_get_caller_identity(&s.session, &s.arena, &identity, &s.err), -1);
	assert_int_equal(s.err.code, EACCES);
	assert_has(s.err.text, "cannot find out whose the credentials are: the credentials are refused (InvalidClientTokenId: The security token");
	script_end(&s);
}

static int refused(struct script *s, int status, const char *code, const char *message)
{
	const struct aws_reply reply = { .status = status, .code = code, .message = message, .region = "" };
	s->err = (struct error){ 0 };
	assert_int_equal(aws_refused(&reply, "lambda:GetFunction", "look at the function x", &s->err), -1);
	assert_has(s->err.text, "cannot look at the function x: ");
	return s->err.code;
}

static void refused__says_what_to_do(void **state)
{
	struct script s = { 0 };
	assert_int_equal(refused(&s, 403, "AccessDeniedException",
				 "User: arn:aws:iam::1:user/ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r because no "
				 "identity-based policy allows the iam:PassRole action"),
		EACCES);
	assert_has(s.err.text, "lack the permission iam:PassRole on arn:aws:iam::1:role/r: let an administrator");
	assert_has(s.err.text, "AWS says: AccessDeniedException: User: arn:aws:iam::1:user/ann");
	refused(&s, 403, "AccessDenied", "User: u is not authorized to perform: sts:AssumeRole on resource: r with an explicit deny in a service control policy");
	assert_has(s.err.text, "lack the permission sts:AssumeRole on r: a policy denies it explicitly");
	assert_int_equal(refused(&s, 403, "", ""), EACCES);
	assert_has(s.err.text, "lack the permission lambda:GetFunction: let an administrator");
	assert_int_equal(refused(&s, 400, "AccessDeniedException", "no"), EACCES);
	assert_int_equal(refused(&s, 400, "ExpiredTokenException", "The security token included in the request is expired"), EACCES);
	assert_has(s.err.text, "`aws sso login`");
	assert_int_equal(refused(&s, 400, "UnrecognizedClientException", "The security token included in the request is invalid."), EACCES);
	assert_has(s.err.text, "this machine's clock");
	assert_int_equal(refused(&s, 403, "OptInRequired", "needs a subscription"), EACCES);
	assert_int_equal(refused(&s, 400, "Throttling", "Rate exceeded"), EAGAIN);
	assert_int_equal(refused(&s, 429, "", ""), EAGAIN);
	assert_int_equal(refused(&s, 400, "LimitExceededException", "stacks"), EDQUOT);
	assert_int_equal(refused(&s, 404, "ResourceNotFoundException", "none"), ENOENT);
	assert_int_equal(refused(&s, 409, "ResourceConflictException", "An update is in progress"), EBUSY);
	assert_int_equal(refused(&s, 503, "", ""), EIO);
	assert_has(s.err.text, "status 503, without a word");
	assert_int_equal(refused(&s, 400, "ValidationError", "the template is wrong"), EINVAL);
	assert_has(s.err.text, "AWS says: ValidationError: the template is wrong");
}

static void session__says_why_there_is_no_answer(void **state)
{
	struct script s;
	struct sts_identity identity;
	script_begin(&s);
	for (unsigned i = 0; i < 4; i++)
		script_add(&s, 0, NULL, NULL);
	assert_int_equal(sts_get_caller_identity(&s.session, &s.arena, &identity, &s.err), -1);
	assert_has(s.err.text, "cannot find out whose the credentials are: sts, 4 attempts: http://127.0.0.1:");
	script_is_over(&s);
	script_end(&s);

	struct aws_session session;
	char *const nothing[] = { NULL };
	assert_int_equal(aws_session_open("nobody", NULL, nothing, &session, &s.err), -1);
	assert_has(s.err.text, "there is no AWS profile nobody");
	aws_session_close(&session);
	aws_session_close(NULL);
}

static void logs__a_group_that_is_not_there_is_an_outcome(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 200, NULL, "");
	assert_int_equal(logs_delete_group(&s.session, "/aws/lambda/llama", &s.err), 0);
	assert_string_equal(buf_str(&s.asked), "POST / Logs_20140328.DeleteLogGroup AWS4-HMAC-SHA256\n{\"logGroupName\":\"/aws/lambda/llama\"}\n");
	script_reset(&s);
	script_add(&s, 400, NULL, "{\"__type\":\"ResourceNotFoundException\",\"message\":\"The specified log group does not exist.\"}");
	assert_int_equal(logs_delete_group(&s.session, "/aws/lambda/llama", &s.err), LOGS_ABSENT);
	script_reset(&s);
	script_add(&s, 400, NULL, "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}");
	assert_int_equal(logs_delete_group(&s.session, "/aws/lambda/llama", &s.err), -1);
	assert_int_equal(s.err.code, EACCES);
	assert_has(s.err.text, "logs:DeleteLogGroup");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sts__tells_whose_the_credentials_are),
		cmocka_unit_test(refused__says_what_to_do),
		cmocka_unit_test(session__says_why_there_is_no_answer),
		cmocka_unit_test(logs__a_group_that_is_not_there_is_an_outcome),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
