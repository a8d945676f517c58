#include "aws/functions.h"

#include "aws/test-session.h"

#define FUNCTION(state) "{\"Configuration\":{\"FunctionName\":\"llama\",\"FunctionArn\":\"arn:f\"," state ",\"Role\":\"arn:role\",\"MemorySize\":1769,\"Timeout\":60," \
	"\"EphemeralStorage\":{\"Size\":2048},\"Architectures\":[\"arm64\"],\"Environment\":{\"Variables\":{\"LLAMA_A\":\"b\"}}}," \
	"\"Code\":{\"RepositoryType\":\"ECR\",\"ImageUri\":\"1.dkr.ecr/llama:latest\",\"ResolvedImageUri\":\"1.dkr.ecr/llama@sha256:abc\"}," \
	"\"Tags\":{\"llama:version\":\"0.1.0\"}}"
#define ACTIVE FUNCTION("\"State\":\"Active\",\"LastUpdateStatus\":\"Successful\"")
#define ABSENT "{\"Type\":\"User\",\"Message\":\"Function not found: arn:f\"}"

static const char type_absent[] = "x-amzn-ErrorType: ResourceNotFoundException\r\n", type_conflict[] = "x-amzn-ErrorType: ResourceConflictException\r\n",
		  type_invalid[] = "x-amzn-ErrorType: InvalidParameterValueException\r\n", type_denied[] = "x-amzn-ErrorType: AccessDeniedException\r\n";

static void function__is_read_with_what_it_runs_from(void **state)
{
	struct script s;
	struct function f;
	script_begin(&s);
	script_add(&s, 200, NULL, ACTIVE);
	assert_int_equal(function_get(&s.session, "llama", &s.arena, &f, &s.err), 0);
	assert_has(buf_str(&s.asked), "GET /2015-03-31/functions/llama ");
	assert_string_equal(f.arn, "arn:f");
	assert_string_equal(f.state, "Active");
	assert_string_equal(f.state_reason, "");
	assert_string_equal(f.image_uri, "1.dkr.ecr/llama:latest");
	assert_string_equal(f.image_digest, "sha256:abc");
	assert_string_equal(f.role, "arn:role");
	assert_string_equal(f.architecture, "arm64");
	assert_int_equal(f.memory_mb, 1769);
	assert_int_equal(f.timeout_s, 60);
	assert_int_equal(f.storage_mb, 2048);
	assert_int_equal(f.n_environment, 1);
	assert_string_equal(f.environment[0].value, "b");
	assert_string_equal(function_tag(&f, "llama:version"), "0.1.0");
	assert_null(function_tag(&f, "other"));
	script_reset(&s);
	script_add(&s, 404, type_absent, ABSENT);
	assert_int_equal(function_get(&s.session, "llama", &s.arena, &f, &s.err), FUNCTION_ABSENT);
	script_reset(&s);
	script_add(&s, 200, NULL, "[1]");
	assert_int_equal(function_get(&s.session, "llama", &s.arena, &f, &s.err), -1);
	script_reset(&s);
	script_add(&s, 403, type_denied, "{\"Message\":\"User: u is not authorized to perform: lambda:GetFunction on resource: arn:f\"}");
	assert_int_equal(function_get(&s.session, "llama", &s.arena, &f, &s.err), -1);
	assert_has(s.err.text, "lack the permission lambda:GetFunction on arn:f");
	script_end(&s);
}

static const struct aws_pair environment[] = { { "A", "b" } }, tags[] = { { "llama:environment", "llama" } };
static const struct function_settings settings = {
	.image_uri = "1.dkr.ecr/llama@sha256:abc",
	.role = "arn:role",
	.architecture = "x86_64",
	.memory_mb = 1769,
	.timeout_s = 60,
	.storage_mb = 2048,
	.environment = environment,
	.n_environment = 1,
	.tags = tags,
	.n_tags = 1,
};

static int create(struct script *s, int status, const char *head, const char *body)
{
	script_reset(s);
	script_add(s, status, head, body);
	return function_create(&s->session, "llama", &settings, &s->err);
}

static void function__a_creation_has_outcomes(void **state)
{
	struct script s;
	script_begin(&s);
	assert_int_equal(create(&s, 201, NULL, "{}"), 0);
	assert_has(buf_str(&s.asked), "POST /2015-03-31/functions ");
	assert_has(buf_str(&s.asked),
		"{\"FunctionName\":\"llama\",\"PackageType\":\"Image\",\"Code\":{\"ImageUri\":\"1.dkr.ecr/llama@sha256:abc\"},\"Architectures\":[\"x86_64\"],"
		"\"Role\":\"arn:role\",\"MemorySize\":1769,\"Timeout\":60,\"EphemeralStorage\":{\"Size\":2048},\"Environment\":{\"Variables\":{\"A\":\"b\"}},"
		"\"Tags\":{\"llama:environment\":\"llama\"}}");
	assert_int_equal(create(&s, 400, type_invalid, "{\"Message\":\"The role defined for the function cannot be assumed by Lambda.\"}"), FUNCTION_ROLE_NOT_READY);
	assert_int_equal(create(&s, 409, type_conflict, "{\"Message\":\"Function already exist: llama\"}"), FUNCTION_EXISTS);
	assert_int_equal(create(&s, 400, type_invalid,
				 "{\"Message\":\"'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008\"}"),
		-1);
	assert_int_equal(s.err.code, ERANGE);
	assert_has(s.err.text, "may have 3008 MB of memory at most");
	assert_int_equal(create(&s, 400, type_invalid, "{\"Message\":\"Source image 1.dkr.ecr/llama:latest does not exist. Provide a valid source image.\"}"), -1);
	assert_has(s.err.text, "the image isn't in the function's region, or gone");
	assert_int_equal(create(&s, 403, type_denied, "{\"Message\":\"Lambda does not have permission to access the ECR image. Check the ECR permissions.\"}"), -1);
	assert_int_equal(s.err.code, EACCES);
	assert_has(s.err.text, "ecr:SetRepositoryPolicy");
	assert_int_equal(create(&s, 403, type_denied, "{\"Message\":\"User: u is not authorized to perform: iam:PassRole on resource: arn:role\"}"), -1);
	assert_has(s.err.text, "cannot create the function llama: these credentials lack the permission iam:PassRole on arn:role");
	script_end(&s);
}

static void function__is_updated_and_deleted(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 200, NULL, "{}");
	script_add(&s, 200, NULL, "{}");
	script_add(&s, 204, NULL, NULL);
	assert_int_equal(function_update_code(&s.session, "llama", "u@sha256:1", "arm64", &s.err), 0);
	assert_int_equal(function_update_configuration(&s.session, "llama", &(struct function_settings){ .memory_mb = 2048 }, &s.err), 0);
	assert_int_equal(function_delete(&s.session, "llama", &s.err), 0);
	assert_string_equal(buf_str(&s.asked),
		"PUT /2015-03-31/functions/llama/code  AWS4-HMAC-SHA256\n{\"ImageUri\":\"u@sha256:1\",\"Architectures\":[\"arm64\"]}\n"
		"PUT /2015-03-31/functions/llama/configuration  AWS4-HMAC-SHA256\n{\"MemorySize\":2048}\n"
		"DELETE /2015-03-31/functions/llama  AWS4-HMAC-SHA256\n\n");
	script_reset(&s);
	script_add(&s, 404, type_absent, ABSENT);
	assert_int_equal(function_delete(&s.session, "llama", &s.err), FUNCTION_ABSENT);
	script_reset(&s);
	script_add(&s, 409, type_conflict, "{\"Message\":\"The operation cannot be performed at this time. An update is in progress for resource: arn:f\"}");
	assert_int_equal(function_update_code(&s.session, "llama", "u", NULL, &s.err), -1);
	assert_int_equal(s.err.code, EBUSY);
	script_reset(&s);
	script_add(&s, 404, type_absent, ABSENT);
	assert_int_equal(function_update_configuration(&s.session, "llama", &(struct function_settings){ .timeout_s = 1 }, &s.err), -1);
	assert_int_equal(s.err.code, ENOENT);
	script_end(&s);
}

static bool count_ticks(void *ctx, const struct function *function)
{
	unsigned *left = ctx;
	return (*left)-- > 0;
}

static int wait_for(struct script *s, unsigned ticks)
{
	return function_wait(&s->session, "llama", count_ticks, &ticks, &s->err);
}

static void function__is_waited_for(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 404, type_absent, ABSENT);
	script_add(&s, 200, NULL, FUNCTION("\"State\":\"Pending\",\"StateReasonCode\":\"Creating\""));
	script_add(&s, 200, NULL, FUNCTION("\"State\":\"Active\",\"LastUpdateStatus\":\"InProgress\""));
	script_add(&s, 200, NULL, ACTIVE);
	assert_int_equal(wait_for(&s, 9), 0);
	assert_int_equal(s.waited_ms, 3000);
	script_is_over(&s);

	script_reset(&s);
	script_add(&s, 200, NULL, FUNCTION("\"State\":\"Failed\",\"StateReasonCode\":\"InvalidImage\",\"StateReason\":\"UnsupportedImageLayerDetected\""));
	assert_int_equal(wait_for(&s, 9), -1);
	assert_has(s.err.text, "the function llama failed: InvalidImage: UnsupportedImageLayerDetected: `llama image lint`");
	script_reset(&s);
	script_add(&s, 200, NULL,
		FUNCTION("\"State\":\"Active\",\"LastUpdateStatus\":\"Failed\",\"LastUpdateStatusReasonCode\":\"ImageAccessDenied\",\"LastUpdateStatusReason\":\"no\""));
	assert_int_equal(wait_for(&s, 9), -1);
	assert_has(s.err.text, "ImageAccessDenied: no: let lambda.amazonaws.com have");
	script_reset(&s);
	for (unsigned i = 0; i < 3; i++)
		script_add(&s, 200, NULL, FUNCTION("\"State\":\"Pending\""));
	assert_int_equal(wait_for(&s, 2), -1);
	assert_int_equal(s.err.code, ECANCELED);
	script_is_over(&s);
	script_reset(&s);
	for (unsigned i = 0; i < 11; i++)
		script_add(&s, 404, type_absent, ABSENT);
	assert_int_equal(wait_for(&s, 9), -1);
	assert_int_equal(s.err.code, ENOENT);
	script_is_over(&s);
	script_end(&s);
}

static void account__has_limits(void **state)
{
	struct script s;
	struct account_limits limits;
	script_begin(&s);
	script_add(&s, 200, NULL, "{\"AccountLimit\":{\"TotalCodeSize\":80530636800,\"ConcurrentExecutions\":10,\"UnreservedConcurrentExecutions\":8},\"AccountUsage\":{}}");
	assert_int_equal(account_limits(&s.session, &limits, &s.err), 0);
	assert_has(buf_str(&s.asked), "GET /2016-08-19/account-settings/ ");
	assert_int_equal(limits.concurrency, 10);
	assert_int_equal(limits.unreserved, 8);
	assert_int_equal(limits.code_bytes, 80530636800);
	script_reset(&s);
	script_add(&s, 200, NULL, "{}");
	assert_int_equal(account_limits(&s.session, &limits, &s.err), -1);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function__is_read_with_what_it_runs_from),
		cmocka_unit_test(function__a_creation_has_outcomes),
		cmocka_unit_test(function__is_updated_and_deleted),
		cmocka_unit_test(function__is_waited_for),
		cmocka_unit_test(account__has_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
