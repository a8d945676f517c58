/* test-services TEMPLATE IMAGE_URI: our clients of AWS's control planes against any, configured as AWS's own tools are (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …). The stack
 * of the template has to have the outputs Bucket, FunctionRole and Repository; IMAGE_URI is an image that is there for Lambda. Everything is removed again.
 * test-services push DIRECTORY ENDPOINT REPOSITORY: an image to a registry that asks for no password.
 * Says what was answered, and exits with 0 if it was all as it should be. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/cloudformation.h"
#include "aws/ecr.h"
#include "aws/functions.h"
#include "aws/logs.h"
#include "aws/registry.h"
#include "aws/s3.h"
#include "aws/s3_bucket.h"
#include "aws/sts.h"
#include "base/file.h"

static struct aws_session session;
static struct arena arena;
static struct error err;
static unsigned failed;

static bool check(const char *what, int got, int expected)
{
	bool ok = got == expected;
	failed += !ok;
	printf("%s %s: %d%s%s\n", ok ? "ok" : "FAILED", what, got, got < 0 ? ": " : "", got < 0 ? err.text : "");
	return ok;
}

static int settle(const char *id, struct stack *stack)
{
	int rc;
	while ((rc = stack_describe(&session, id, &arena, stack, &err)) == 0 && stack_phase(stack->status) == STACK_BUSY)
		aws_wait(&session, 200);
	return rc;
}

static void try_stack(const char *template)
{
	const struct aws_pair tag = { "llama:environment", "services" };
	struct stack_request request = { .name = "llama-services", .template = template, .tags = &tag, .n_tags = 1 };
	struct stack stack;
	struct stack_event *events;
	size_t n = 0;
	const char *id = "";
	check("a stack that isn't there", stack_describe(&session, request.name, &arena, &stack, &err), STACK_ABSENT);
	check("its update", stack_update(&session, &request, &err), -1);
	check("... says so", err.code, ENOENT);
	check("its events", stack_events(&session, request.name, NULL, &arena, &events, &n, &err), -1);
	check("created", stack_create(&session, &request, &arena, &id, &err), 0);
	check("created again", stack_create(&session, &request, &arena, &id, &err), STACK_EXISTS);
	check("described", settle(request.name, &stack), 0);
	check("... complete", stack_phase(stack.status), STACK_GOOD);
	check("... with a bucket", stack_output(&stack, "Bucket") != NULL, 1);
	check("... tagged", stack_tag(&stack, tag.name) && strcmp(stack_tag(&stack, tag.name), tag.value) == 0, 1);
	check("events", stack_events(&session, request.name, NULL, &arena, &events, &n, &err), 0);
	check("... some", n > 0, 1);
	size_t later = 1;
	if (n)
		check("events since the last", stack_events(&session, request.name, events[n - 1].id, &arena, &events, &later, &err), 0);
	check("... none", (int)later, 0);
	check("updated to the same", stack_update(&session, &request, &err), STACK_UNCHANGED);
}

static void try_function(const char *image_uri)
{
	static const char name[] = "llama-services";
	struct stack stack;
	struct function function;
	if (!check("the stack's role", stack_describe(&session, name, &arena, &stack, &err), 0) || !stack_output(&stack, "FunctionRole"))
		return;
	const struct aws_pair tag = { "llama:environment", "services" }, variable = { "LLAMA_A", "b c" };
	const struct function_settings settings = { .image_uri = image_uri, .role = stack_output(&stack, "FunctionRole"), .architecture = "x86_64", .memory_mb = 1769,
		.timeout_s = 60, .storage_mb = 1024, .environment = &variable, .n_environment = 1, .tags = &tag, .n_tags = 1 };
	struct account_limits limits;
	int rc;
	if (check("limits", account_limits(&session, &limits, &err), 0))
		printf("   %u functions, %u unreserved, %llu bytes\n", limits.concurrency, limits.unreserved, (unsigned long long)limits.code_bytes);
	check("a function that isn't there", function_get(&session, name, &arena, &function, &err), FUNCTION_ABSENT);
	check("its deletion", function_delete(&session, name, &err), FUNCTION_ABSENT);
	while ((rc = function_create(&session, name, &settings, &err)) == FUNCTION_ROLE_NOT_READY)
		aws_wait(&session, 200);
	check("created", rc, 0);
	check("created again", function_create(&session, name, &settings, &err), FUNCTION_EXISTS);
	check("waited for", function_wait(&session, name, NULL, NULL, &err), 0);
	if (check("read", function_get(&session, name, &arena, &function, &err), 0)) {
		printf("   %s %s %u MB %u s %u MB, %s\n", function.state, function.architecture, function.memory_mb, function.timeout_s, function.storage_mb,
			function.image_digest);
		check("... as it was made", function.memory_mb == 1769 && function.timeout_s == 60 && function.storage_mb == 1024, 1);
		check("... environment", function.n_environment == 1 && strcmp(function.environment[0].value, "b c") == 0, 1);
		check("... tag", function_tag(&function, tag.name) != NULL, 1);
	}
	check("configured", function_update_configuration(&session, name, &(struct function_settings){ .memory_mb = 2048 }, &err), 0);
	check("waited for", function_wait(&session, name, NULL, NULL, &err), 0);
	check("another image", function_update_code(&session, name, image_uri, "x86_64", &err), 0);
	check("waited for", function_wait(&session, name, NULL, NULL, &err), 0);
	if (check("read", function_get(&session, name, &arena, &function, &err), 0))
		check("... memory and tag", function.memory_mb == 2048 && function_tag(&function, tag.name) != NULL, 1);
	check("deleted", function_delete(&session, name, &err), 0);
}

static void try_rest(void)
{
	struct stack stack;
	struct ecr_login login;
	const char *uri, *bucket, *region;
	if (!check("the stack's outputs", stack_describe(&session, "llama-services", &arena, &stack, &err), 0))
		return;
	bucket = stack_output(&stack, "Bucket");
	check("login", ecr_login(&session, &arena, &login, &err), 0);
	check("a repository that isn't there", ecr_describe_repository(&session, "nowhere", &arena, &uri, &err), ECR_ABSENT);
	check("a repository", ecr_describe_repository(&session, stack_output(&stack, "Repository"), &arena, &uri, &err), 0);
	check("a bucket that isn't there", s3_bucket_exists(&session, "llama-nowhere-0123456789", &arena, &region, &err), S3_BUCKET_ABSENT);
	check("a bucket", s3_bucket_exists(&session, bucket, &arena, &region, &err), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct aws_call put = { .method = "PUT", .body = slice_str("x") };
		struct aws_reply reply;
		s3_address(session.aws, bucket, arena_printf(&arena, "a&b/%u <x>", i), &arena, &put);
		check("an object", aws_ask(&session, &put, &arena, &reply, &err) < 0 ? -1 : reply.status, 200);
	}
	check("emptied", s3_empty(&session, bucket, NULL, NULL, &err), 0);
	check("emptied again", s3_empty(&session, bucket, NULL, NULL, &err), 0);
	check("a log group that isn't there", logs_delete_group(&session, "/aws/lambda/nowhere", &err), LOGS_ABSENT);
	check("stack deleted", stack_delete(&session, stack.name, &err), 0);
	check("... gone", settle(stack.id, &stack) == STACK_ABSENT ? STACK_GONE : stack_phase(stack.status), STACK_GONE);
	check("deleted again", stack_delete(&session, "llama-services", &err), 0);
}

static void tell(void *ctx, const char *blob, int64_t sent_bytes, int64_t total_bytes)
{
	int64_t *most = ctx;
	*most = sent_bytes > *most ? sent_bytes : *most;
}

static void try_push(const char *dir, const char *endpoint, const char *repository)
{
	const struct registry registry = { .endpoint = endpoint, .user = "AWS", .password = "none", .repository = repository };
	struct registry_pushed pushed;
	int64_t most = 0;
	bool there = false;
	if (!check("pushed", registry_push(&session, &registry, dir, "latest", tell, &most, &pushed, &err), 0))
		return;
	printf("   %lld bytes in %u blobs, %u were there, %lld told of\n", (long long)pushed.bytes_sent, pushed.blobs_sent, pushed.blobs_there, (long long)most);
	check("looked for", registry_has(&session, &registry, &pushed.manifest, &there, &err), 0);
	check("... there", there, 1);
	pushed.manifest.hash[0] ^= 1;
	check("another", registry_has(&session, &registry, &pushed.manifest, &there, &err), 0);
	check("... isn't", there, 0);
}

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf template = { 0 };
	struct sts_identity identity;
	bool push = argc == 5 && strcmp(argv[1], "push") == 0;
	if ((!push && argc != 3) || aws_session_open(NULL, NULL, environ, &session, &err) < 0) {
		fprintf(stderr, "usage: test-services TEMPLATE IMAGE_URI, or test-services push DIRECTORY ENDPOINT REPOSITORY: %s\n", err.text);
		return 2;
	}
	if (push) {
		try_push(argv[2], argv[3], argv[4]);
	} else if (check("the template", file_read(argv[1], 1 << 20, &template, &err), 0)) {
		if (check("identity", sts_get_caller_identity(&session, &arena, &identity, &err), 0))
			printf("   %s %s\n", identity.account, identity.arn);
		try_stack(buf_str(&template));
		try_function(argv[2]);
		try_rest();
	}
	aws_session_close(&session);
	arena_deinit(&arena);
	printf("%u failed\n", failed);
	return failed != 0;
}
