/* What AWS's control planes and a registry answer, and image layouts of others: whatever kind of document the bytes are, all readers get them. */
#include <assert.h>
#include <stdint.h>

#include "aws/cloudformation.h"
#include "aws/ecr.h"
#include "aws/functions.h"
#include "aws/oci.h"
#include "aws/registry.h"
#include "aws/s3_bucket.h"
#include "aws/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool is_visible(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static bool is_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static void check_pairs(const struct aws_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert(pairs[i].name && pairs[i].value);
}

static void read_stacks(struct slice body, struct arena *arena)
{
	struct stack stack;
	struct stack_events events = { 0 };
	const char *token;
	struct error err;
	if (stack_read(body, arena, &stack, &err) == 0) {
		assert(*stack.id && *stack.status && stack.name && stack.status_reason);
		check_pairs(stack.outputs, stack.n_outputs);
		check_pairs(stack.tags, stack.n_tags);
		check_pairs(stack.parameters, stack.n_parameters);
		stack_phase(stack.status);
	}
	/* A second page is appended to the first. */
	if (stack_read_events(body, arena, &events, &token, &err) < 0)
		return;
	size_t first = events.n;
	assert(token && stack_read_events(body, arena, &events, &token, &err) == 0 && events.n == 2 * first);
	for (size_t i = 0; i < events.n; i++) {
		assert(events.events[i].id && events.events[i].logical_id && events.events[i].type && events.events[i].time_s >= -1);
		stack_event_is_cause(&events.events[i]);
	}
}

static void read_functions(struct slice body, struct arena *arena)
{
	struct function function;
	struct account_limits limits;
	struct error err;
	if (function_read(body, arena, &function, &err) == 0) {
		assert(function.arn && function.state && function.update_status && function.image_uri && function.image_digest && function.architecture);
		check_pairs(function.environment, function.n_environment);
		check_pairs(function.tags, function.n_tags);
	}
	(void)account_read_limits(body, &limits, &err);
}

static void read_registry(struct slice body, struct arena *arena)
{
	struct ecr_login login;
	struct oci_contents contents = { 0 };
	struct digest digest = { 0 };
	struct error err;
	const char *text, *message;
	bool own;
	if (ecr_read_login(body, arena, &login, &err) == 0)
		assert(*login.user && *login.password && is_visible(login.user) && is_visible(login.password) && is_visible(login.endpoint));
	if (ecr_read_repository(body, arena, &text, &err) == 0)
		assert(is_visible(text));
	registry_read_error(body, arena, &text, &message);
	assert(is_line(text) && is_line(message));
	const char *line = arena_strndup(arena, body.ptr, body.len);
	if (registry_resolve("https://registry:1", line, &digest, arena, &text, &own, &err) == 0) {
		assert(is_visible(text) && strncasecmp(text, "https://", 8) == 0 && strstr(text, "digest=sha256:"));
		assert(!own || (strncasecmp(text, "https://registry:1", 18) == 0 && strchr("/?", text[18])));
	}
	if ((text = registry_repository_of(line, arena)))
		assert(*text && !strpbrk(text, "@:"));
	if (oci_read_index(body, arena, &contents, &err) == 0)
		assert(contents.manifest_type && contents.manifest.size_bytes >= 0);
	if (oci_read_manifest(body, arena, &contents, &err) == 0)
		assert(contents.n_blobs > 0);
}

static void read_buckets(struct slice body, struct arena *arena)
{
	struct s3_version *versions;
	struct s3_undeleted undeleted;
	struct error err;
	size_t n;
	if (s3_read_versions(body, arena, &versions, &n, &err) == 0) {
		for (size_t i = 0; i < n; i++)
			assert(versions[i].key && versions[i].version);
	}
	int rc = s3_read_deleted(body, arena, &undeleted, &err);
	assert(rc != 1 || (undeleted.n && is_line(undeleted.key) && is_line(undeleted.code) && is_line(undeleted.message)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice body = slice_of(bytes, n);
	struct sts_identity identity;
	struct error err;
	if (sts_read_identity(body, &arena, &identity, &err) == 0)
		assert(*identity.account && *identity.arn && identity.user_id);
	read_stacks(body, &arena);
	read_functions(body, &arena);
	read_registry(body, &arena);
	read_buckets(body, &arena);
	return 0;
}
