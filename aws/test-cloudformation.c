#include "aws/cloudformation.h"

#include "aws/test-session.h"

#define STACKS(members) "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks>" members \
	"</Stacks></DescribeStacksResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeStacksResponse>"
#define EVENTS(members, token) "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents>" members "</StackEvents>" token \
	"</DescribeStackEventsResult></DescribeStackEventsResponse>"
#define EVENT(id, logical, type, status, reason) "<member><EventId>" id "</EventId><LogicalResourceId>" logical "</LogicalResourceId><ResourceType>" type \
	"</ResourceType><ResourceStatus>" status "</ResourceStatus><Timestamp>2026-11-23T18:30:06.123Z</Timestamp>" reason "</member>"
#define ERROR(code, message) "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type><Code>" code "</Code><Message>" \
	message "</Message></Error><RequestId>1</RequestId></ErrorResponse>"

static void stack__is_described_with_outputs_tags_and_parameters(void **state)
{
	struct script s;
	struct stack stack;
	script_begin(&s);
	script_add(&s, 200, NULL,
		STACKS("<member><StackId>arn:stack/llama/1</StackId><StackName>llama</StackName><StackStatus>CREATE_COMPLETE</StackStatus>"
		       "<Parameters><member><ParameterKey>Environment</ParameterKey><ParameterValue>llama</ParameterValue></member></Parameters>"
		       "<Outputs><member><OutputKey>Bucket</OutputKey><OutputValue>b-1</OutputValue></member>"
		       "<member><OutputKey>Repository</OutputKey><OutputValue>llama</OutputValue><Description>d</Description></member>"
		       "<member><OutputKey>FunctionRole</OutputKey><OutputValue>arn:role</OutputValue></member></Outputs>"
		       "<Tags><member><Key>llama:environment</Key><Value>llama</Value></member></Tags><Capabilities><member>CAPABILITY_IAM</member></Capabilities>"
		       "</member>"));
	assert_int_equal(stack_describe(&s.session, "llama", &s.arena, &stack, &s.err), 0);
	assert_string_equal(buf_str(&s.asked), "POST /  AWS4-HMAC-SHA256\nAction=DescribeStacks&Version=2010-05-15&StackName=llama\n");
	assert_string_equal(stack.id, "arn:stack/llama/1");
	assert_string_equal(stack.status, "CREATE_COMPLETE");
	assert_string_equal(stack.status_reason, "");
	assert_int_equal(stack.n_outputs, 3);
	assert_string_equal(stack_output(&stack, "Bucket"), "b-1");
	assert_string_equal(stack_output(&stack, "FunctionRole"), "arn:role");
	assert_null(stack_output(&stack, "BuilderPolicy"));
	assert_string_equal(stack_tag(&stack, "llama:environment"), "llama");
	assert_int_equal(stack.n_parameters, 1);
	assert_string_equal(stack.parameters[0].value, "llama");

	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "Stack with id llama does not exist"));
	assert_int_equal(stack_describe(&s.session, "llama", &s.arena, &stack, &s.err), STACK_ABSENT);
	script_reset(&s);
	script_add(&s, 200, NULL, STACKS(""));
	assert_int_equal(stack_describe(&s.session, "llama", &s.arena, &stack, &s.err), STACK_ABSENT);
	script_reset(&s);
	script_add(&s, 200, NULL, "<Other/>");
	assert_int_equal(stack_describe(&s.session, "llama", &s.arena, &stack, &s.err), -1);
	script_reset(&s);
	script_add(&s, 403, NULL, ERROR("AccessDenied", "User: u is not authorized to perform: cloudformation:DescribeStacks on resource: r"));
	assert_int_equal(stack_describe(&s.session, "llama", &s.arena, &stack, &s.err), -1);
	assert_int_equal(s.err.code, EACCES);
	assert_has(s.err.text, "cannot look at the stack llama: these credentials lack the permission cloudformation:DescribeStacks on r");
	script_end(&s);
}

static const struct aws_pair parameters[] = { { "A", "a b" } }, tags[] = { { "llama:environment", "x" }, { "llama:version", "1" } };
static const struct stack_request request = {
	.name = "llama-x", .template = "{\"a\":1}", .token = "t-1", .parameters = parameters, .n_parameters = 1, .tags = tags, .n_tags = 2
};

static void stack__is_created_once(void **state)
{
	struct script s;
	const char *id;
	script_begin(&s);
	script_add(&s, 200, NULL, "<CreateStackResponse><CreateStackResult><StackId>arn:1</StackId></CreateStackResult></CreateStackResponse>");
	assert_int_equal(stack_create(&s.session, &request, &s.arena, &id, &s.err), 0);
	assert_string_equal(id, "arn:1");
	assert_string_equal(buf_str(&s.asked),
		"POST /  AWS4-HMAC-SHA256\nAction=CreateStack&Version=2010-05-15&StackName=llama-x&TemplateBody=%7B%22a%22%3A1%7D&Capabilities.member.1=CAPABILITY_IAM"
		"&ClientRequestToken=t-1&Parameters.member.1.ParameterKey=A&Parameters.member.1.ParameterValue=a%20b&Tags.member.1.Key=llama%3Aenvironment"
		"&Tags.member.1.Value=x&Tags.member.2.Key=llama%3Aversion&Tags.member.2.Value=1\n");
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("AlreadyExistsException", "Stack [llama-x] already exists"));
	assert_int_equal(stack_create(&s.session, &request, &s.arena, &id, &s.err), STACK_EXISTS);
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"));
	assert_int_equal(stack_create(&s.session, &request, &s.arena, &id, &s.err), -1);
	assert_has(s.err.text, "cannot create the stack llama-x: AWS says: InsufficientCapabilitiesException: Requires");
	script_reset(&s);
	struct stack_request large = request;
	char *text = arena_zalloc(&s.arena, 51202);
	memset(text, ' ', 51201);
	large.template = text;
	assert_int_equal(stack_create(&s.session, &large, &s.arena, &id, &s.err), -1);
	assert_int_equal(s.err.code, E2BIG);
	script_is_over(&s);
	script_end(&s);
}

static void stack__an_update_of_nothing_is_an_outcome(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 200, NULL, "<UpdateStackResponse><UpdateStackResult><StackId>arn:1</StackId></UpdateStackResult></UpdateStackResponse>");
	assert_int_equal(stack_update(&s.session, &request, &s.err), 0);
	assert_has(buf_str(&s.asked), "Action=UpdateStack&");
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "No updates are to be performed."));
	assert_int_equal(stack_update(&s.session, &request, &s.err), STACK_UNCHANGED);
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "Stack:arn:1 is in UPDATE_IN_PROGRESS state and can not be updated."));
	assert_int_equal(stack_update(&s.session, &request, &s.err), -1);
	assert_int_equal(s.err.code, EBUSY);
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "Stack [llama-x] does not exist"));
	assert_int_equal(stack_update(&s.session, &request, &s.err), -1);
	assert_int_equal(s.err.code, ENOENT);
	script_end(&s);
}

static void stack__a_deletion_may_be_repeated(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 200, NULL, "<DeleteStackResponse/>");
	assert_int_equal(stack_delete(&s.session, "arn:1", &s.err), 0);
	assert_has(buf_str(&s.asked), "Action=DeleteStack&Version=2010-05-15&StackName=arn%3A1\n");
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "Stack [x] does not exist"));
	assert_int_equal(stack_delete(&s.session, "x", &s.err), 0);
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "Stack [x] cannot be deleted while TerminationProtection is enabled"));
	assert_int_equal(stack_delete(&s.session, "x", &s.err), -1);
	assert_has(s.err.text, "TerminationProtection");
	script_end(&s);
}

static void stack__events_come_oldest_first_and_only_new_ones(void **state)
{
	struct script s;
	struct stack_event *events;
	size_t n;
	script_begin(&s);
	script_add(&s, 200, NULL,
		EVENTS(EVENT("4", "llama", "AWS::CloudFormation::Stack", "ROLLBACK_IN_PROGRESS", "<ResourceStatusReason>The following resource(s) failed</ResourceStatusReason>")
				EVENT("3", "Role", "AWS::IAM::Role", "CREATE_FAILED", "<ResourceStatusReason>Resource creation cancelled</ResourceStatusReason>"),
			"<NextToken>p2</NextToken>"));
	script_add(&s, 200, NULL,
		EVENTS(EVENT("2", "Bucket", "AWS::S3::Bucket", "CREATE_FAILED", "<ResourceStatusReason>Access Denied</ResourceStatusReason>")
				EVENT("1", "llama", "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", ""),
			""));
	assert_int_equal(stack_events(&s.session, "llama", NULL, &s.arena, &events, &n, &s.err), 0);
	assert_has(buf_str(&s.asked), "&NextToken=p2\n");
	assert_int_equal(n, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(events[i].id[0], '1' + i);
	assert_int_equal(events[0].time_s, 1795458606);
	assert_string_equal(events[1].reason, "Access Denied");
	assert_false(stack_event_is_cause(&events[0]));
	assert_true(stack_event_is_cause(&events[1]));
	assert_false(stack_event_is_cause(&events[2]));
	assert_false(stack_event_is_cause(&events[3]));

	script_reset(&s);
	script_add(&s, 200, NULL,
		EVENTS(EVENT("3", "a", "t", "CREATE_COMPLETE", "") EVENT("2", "b", "t", "CREATE_COMPLETE", "") EVENT("1", "c", "t", "CREATE_COMPLETE", ""),
			"<NextToken>p2</NextToken>"));
	assert_int_equal(stack_events(&s.session, "llama", "2", &s.arena, &events, &n, &s.err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(events[0].id, "3");
	script_is_over(&s);
	script_reset(&s);
	script_add(&s, 400, NULL, ERROR("ValidationError", "Stack [llama] does not exist"));
	assert_int_equal(stack_events(&s.session, "llama", NULL, &s.arena, &events, &n, &s.err), -1);
	assert_int_equal(s.err.code, ENOENT);
	script_end(&s);
}

static void stack__statuses_have_a_meaning(void **state)
{
	static const struct {
		const char *status;
		enum stack_phase phase;
	} rows[] = {
		{ "CREATE_IN_PROGRESS", STACK_BUSY },
		{ "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", STACK_BUSY },
		{ "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", STACK_BUSY },
		{ "REVIEW_IN_PROGRESS", STACK_BUSY },
		{ "CREATE_COMPLETE", STACK_GOOD },
		{ "UPDATE_COMPLETE", STACK_GOOD },
		{ "IMPORT_COMPLETE", STACK_GOOD },
		{ "UPDATE_ROLLBACK_COMPLETE", STACK_UNDONE },
		{ "UPDATE_FAILED", STACK_UNDONE },
		{ "CREATE_FAILED", STACK_DEAD },
		{ "ROLLBACK_COMPLETE", STACK_DEAD },
		{ "ROLLBACK_FAILED", STACK_DEAD },
		{ "DELETE_FAILED", STACK_STUCK },
		{ "UPDATE_ROLLBACK_FAILED", STACK_STUCK },
		{ "DELETE_COMPLETE", STACK_GONE },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(stack_phase(rows[i].status), rows[i].phase);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack__is_described_with_outputs_tags_and_parameters),
		cmocka_unit_test(stack__is_created_once),
		cmocka_unit_test(stack__an_update_of_nothing_is_an_outcome),
		cmocka_unit_test(stack__a_deletion_may_be_repeated),
		cmocka_unit_test(stack__events_come_oldest_first_and_only_new_ones),
		cmocka_unit_test(stack__statuses_have_a_meaning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
