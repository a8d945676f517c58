#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "setup/stack.h"

#define STACK "AWS::CloudFormation::Stack"

static struct stack_event event(const char *logical_id, const char *type, const char *status, const char *reason)
{
	return (struct stack_event){
		.id = "1", .logical_id = logical_id, .type = type, .status = status, .reason = reason
	};
}

static void cause__first_failure_that_is_no_consequence(void **state)
{
	const struct stack_event events[] = {
		event("llama", STACK, "CREATE_IN_PROGRESS", "User Initiated"),
		event("Bucket", "AWS::S3::Bucket", "CREATE_IN_PROGRESS", ""),
		event("Log", "AWS::Logs::LogGroup", "CREATE_FAILED", "Resource creation cancelled"),
		event("FunctionRole", "AWS::IAM::Role", "CREATE_FAILED", "API: iam:CreateRole User is not authorized"),
		event("Bucket", "AWS::S3::Bucket", "CREATE_FAILED", "Resource creation cancelled"),
		event("llama", STACK, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create"),
		event("Bucket", "AWS::S3::Bucket", "DELETE_FAILED", "not empty"),
		event("llama", STACK, "ROLLBACK_COMPLETE", ""),
	};
	assert_ptr_equal(stack_cause(events, sizeof(events) / sizeof(events[0])), &events[3]);
	assert_null(stack_cause(events, 3));
	assert_null(stack_cause(NULL, 0));
}

static void cause__of_the_last_operation(void **state)
{
	const struct stack_event events[] = {
		event("llama", STACK, "CREATE_IN_PROGRESS", "User Initiated"),
		event("Bucket", "AWS::S3::Bucket", "CREATE_FAILED", "first"),
		event("llama", STACK, "DELETE_IN_PROGRESS", "User Initiated"),
		event("Repository", "AWS::ECR::Repository", "DELETE_FAILED", "second"),
		event("llama", STACK, "DELETE_FAILED", "The following resource(s) failed to delete"),
	};
	assert_ptr_equal(stack_cause(events, 5), &events[3]);
	assert_null(stack_cause(events, 3));
}

static void needs__by_status_and_template(void **state)
{
	static const struct {
		const char *status, *version;
		enum stack_need need;
	} rows[] = {
		{ "CREATE_COMPLETE", "a", STACK_NEEDS_NOTHING },
		{ "CREATE_COMPLETE", "b", STACK_NEEDS_UPDATE },
		{ "UPDATE_COMPLETE", NULL, STACK_NEEDS_UPDATE },
		{ "UPDATE_ROLLBACK_COMPLETE", "a", STACK_NEEDS_NOTHING },
		{ "UPDATE_ROLLBACK_COMPLETE", "b", STACK_NEEDS_UPDATE },
		{ "CREATE_FAILED", NULL, STACK_NEEDS_REPLACEMENT },
		{ "ROLLBACK_COMPLETE", NULL, STACK_NEEDS_REPLACEMENT },
		{ "ROLLBACK_FAILED", NULL, STACK_NEEDS_REPLACEMENT },
		{ "DELETE_FAILED", "a", STACK_NEEDS_REPLACEMENT },
		{ "CREATE_IN_PROGRESS", NULL, STACK_NEEDS_PATIENCE },
		{ "ROLLBACK_IN_PROGRESS", NULL, STACK_NEEDS_PATIENCE },
		{ "DELETE_IN_PROGRESS", "a", STACK_NEEDS_PATIENCE },
		{ "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "a", STACK_NEEDS_PATIENCE },
		{ "REVIEW_IN_PROGRESS", NULL, STACK_NEEDS_HELP },
		{ "UPDATE_ROLLBACK_FAILED", "a", STACK_NEEDS_HELP },
		{ "DELETE_COMPLETE", "a", STACK_NEEDS_CREATION },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct environment_state there = {
			.has_stack = true, .stack.status = rows[i].status, .template_version = rows[i].version
		};
		assert_int_equal(stack_needs(&there, "a"), rows[i].need);
	}
	assert_int_equal(stack_needs(&(struct environment_state){ 0 }, "a"), STACK_NEEDS_CREATION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cause__first_failure_that_is_no_consequence),
		cmocka_unit_test(cause__of_the_last_operation),
		cmocka_unit_test(needs__by_status_and_template),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
