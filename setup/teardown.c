#include "setup/teardown.h"

#include <inttypes.h>
#include <string.h>

#include "aws/logs.h"
#include "aws/s3_bucket.h"
#include "aws/sts.h"
#include "base/clock.h"
#include "base/file.h"
#include "setup/environment.h"
#include "setup/scratch.h"
#include "setup/settings.h"
#include "setup/stack.h"
#include "setup/talk.h"

enum { REMOVALS = 3 };

struct teardown {
	const struct teardown_options *options;
	struct talk talk;
	struct arena arena;
	struct aws_session session;
	struct scratch scratch;
	struct environment environment;
	struct environment_state state;
};

static double seconds_since(int64_t begin_ms)
{
	return (double)(clock_monotonic_ms() - begin_ms) / 1000;
}

/* Whether the configuration speaks of an environment that is called the same, in another region or account. */
static int is_elsewhere(struct teardown *t, bool *ret, struct error *err)
{
	const char *bucket = t->options->bucket;
	*ret = false;
	if (!bucket || (t->state.bucket && strcmp(bucket, t->state.bucket) == 0))
		return 0;
	int outcome = s3_bucket_exists(&t->session, bucket, &t->arena, NULL, err);
	if (outcome < 0 && err->code != EACCES)
		return -1;
	*ret = outcome != S3_BUCKET_ABSENT;
	return 0;
}

/* What it says there is kept only as long as there is an environment. */
static int remove_settings(struct teardown *t, struct error *err)
{
	static const struct settings_entry entries[] = { { "engine", NULL }, { "region", NULL }, { "bucket", NULL },
		{ "function", NULL }, { "concurrency", NULL }, { "profile", NULL } };
	const char *file = t->options->config_file, *section = t->environment.section;
	struct error missing;
	bool elsewhere;
	if (!t->options->is_configured)
		return 0;
	if (is_elsewhere(t, &elsewhere, err) < 0)
		return -1;
	if (elsewhere) {
		talk_step("config", "%s stays: it names the bucket %s, of another environment", file, t->options->bucket);
		return 0;
	}
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 };
	if (file_read(file, 1 << 20, &before, &missing) < 0 && missing.code == ENOENT)
		return 0;
	int rc = section ? settings_remove_section(file, section, err)
			 : settings_write(file, NULL, entries, sizeof(entries) / sizeof(entries[0]), err);
	if (rc < 0 || file_read(file, 1 << 20, &after, err) < 0)
		return -1;
	bool changed = before.len != after.len || (after.len && memcmp(before.ptr, after.ptr, after.len) != 0);
	talk_step("config", "%s: %s", file, changed ? "the environment is taken out" : "nothing to take out");
	return 0;
}

/* A daemon that goes on would write into the bucket while it is emptied. */
static void stop_daemon(struct teardown *t)
{
	struct error err;
	const char *profile = t->environment.section ? t->environment.name : NULL;
	if (scratch_stop_daemon(&t->scratch, t->options->llama, profile, t->options->environment, &err) < 0)
		talk_step("daemon", "it can't be stopped: %s", err.text);
}

static int remove_function(struct teardown *t, struct error *err)
{
	if (!t->state.has_function)
		return 0;
	if (function_delete(&t->session, t->environment.function, err) < 0)
		return -1;
	talk_step("function", "%s is removed", t->environment.function);
	return 0;
}

static void count_emptied(void *ctx, uint64_t deleted)
{
	*(uint64_t *)ctx = deleted;
}

static int remove_stack(struct teardown *t, struct error *err)
{
	if (!t->state.has_stack)
		return 0;
	int64_t begin_ms = clock_monotonic_ms();
	int outcome = -1;
	for (int tries = 0; outcome < 0 && tries < REMOVALS; tries++) {
		uint64_t deleted = 0;
		if (t->state.bucket && s3_empty(&t->session, t->state.bucket, count_emptied, &deleted, err) < 0)
			return -1;
		if (deleted)
			talk_step("bucket", "%s is emptied of %" PRIu64 " objects", t->state.bucket, deleted);
		/* Somebody's build may have put something into it meanwhile. */
		outcome = stack_remove(&t->session, &t->environment, &t->arena, err);
	}
	if (outcome < 0)
		return -1;
	talk_step("stack", "%s is removed after %.0f s", t->environment.stack, seconds_since(begin_ms));
	return 0;
}

/* The stack has taken it along, but what still ran then makes it anew. */
static int remove_logs(struct teardown *t, struct error *err)
{
	int outcome = logs_delete_group(&t->session, t->environment.log_group, err);
	if (outcome == 0)
		talk_step("logs", "%s is removed", t->environment.log_group);
	return outcome < 0 ? -1 : 0;
}

/* The proof: it is asked for again. */
static int see_that_nothing_is_left(struct teardown *t, struct error *err)
{
	const char *bucket = t->state.bucket;
	struct environment_state left;
	if (environment_read(&t->session, &t->environment, &t->arena, &left, err) < 0)
		return -1;
	int there = bucket ? s3_bucket_exists(&t->session, bucket, &t->arena, NULL, err) : S3_BUCKET_ABSENT;
	if (there < 0)
		return -1;
	if (left.has_stack || left.has_function || there == 0)
		return error_set(err, 0, "this is left, as somebody has made it meanwhile: %s%s%s; run it again",
			left.has_stack ? "the stack " : "", left.has_function ? "the function " : "",
			there == 0 ? "the bucket" : "");
	talk_step("left", "nothing");
	return 0;
}

static int run(struct teardown *t, struct error *err)
{
	const struct teardown_options *options = t->options;
	struct sts_identity identity;
	if (environment_name(options->name, &t->arena, &t->environment, err) < 0 ||
		aws_session_open(options->profile, options->region, options->environment, &t->session, err) < 0)
		return -1;
	if (!t->session.config.region)
		return error_set(err, 0, "no region is configured: say --region, the one that the environment is in");
	if (scratch_open(&t->session, &t->scratch, err) < 0 ||
		sts_get_caller_identity(&t->session, &t->arena, &identity, err) < 0)
		return -1;
	talk_step("account", "%s, as %s", identity.account, identity.arn);
	talk_step("region", "%s", t->session.config.region);
	if (environment_read(&t->session, &t->environment, &t->arena, &t->state, err) < 0)
		return -1;
	if (!t->state.has_stack && !t->state.has_function)
		talk_step("plan", "there is no environment \"%s\" here; to be removed, should it be left over: the log group %s",
			t->environment.name, t->environment.log_group);
	else
		talk_step("plan", "to be removed for ever: %s%s%s%s%s", t->state.has_function ? "the function, " : "",
			t->state.has_stack ? "the stack " : "", t->state.has_stack ? t->environment.stack : "",
			t->state.bucket ? " with all images and all that is in the bucket " : "",
			t->state.bucket ? t->state.bucket : "");
	int outcome = talk_confirm(&t->talk, "Go on?", err);
	if (outcome != 0)
		return outcome == TALK_NO ? TEARDOWN_DECLINED : -1;
	stop_daemon(t);
	return remove_function(t, err) < 0 || remove_stack(t, err) < 0 || remove_logs(t, err) < 0 ||
			       remove_settings(t, err) < 0 || see_that_nothing_is_left(t, err) < 0
		       ? -1
		       : 0;
}

int teardown(const struct teardown_options *options, struct error *err)
{
	struct teardown t = { .options = options };
	talk_begin(options->yes, &t.session.loop, &t.talk);
	int outcome = run(&t, err);
	scratch_close(&t.scratch);
	aws_session_close(&t.session);
	arena_deinit(&t.arena);
	return outcome;
}
