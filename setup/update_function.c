#include "setup/update_function.h"

#include "aws/functions.h"
#include "aws/image_lint.h"
#include "aws/registry.h"
#include "setup/push.h"
#include "setup/talk.h"

struct update {
	struct aws_session *session;
	const char *name;
	const struct update_options *options;
	struct arena arena;
	struct function function; /* as it was */
	bool changed;
};

static void count_finding(void *ctx, enum image_rule rule, const char *text)
{
	unsigned *n = ctx;
	++*n;
	talk_more("%s: %s", image_rule_names[rule], text);
}

/* What Lambda wouldn't take is better told before the push: it names one thing at a time. */
static int examine_image(const char *dir, struct error *err)
{
	unsigned n = 0;
	if (image_lint(dir, NULL, count_finding, &n, err) < 0)
		return -1;
	return n ? error_say(err, EINVAL, "Lambda wouldn't take the image in %s: `llama image lint` says what each of these means", dir) : 0;
}

static int push(struct update *u, struct pushed *ret, struct error *err)
{
	const struct update_options *options = u->options;
	const char *repository = options->repository ? options->repository : registry_repository_of(u->function.image_uri, &u->arena);
	if (!repository)
		return error_set(err, 0, "the function %s has no repository of its own: say --repository", u->name);
	if (examine_image(options->image, err) < 0)
		return -1;
	int outcome = push_image(u->session, repository, options->image, &u->arena, ret, err);
	if (outcome == PUSH_NO_REPOSITORY)
		return error_say(err, ENOENT, 
			"there is no repository %s in %s: make it (aws ecr create-repository --repository-name %s), or say --repository", repository,
			u->session->config.region, repository);
	return outcome;
}

static int wait_for(struct update *u, struct error *err)
{
	u->changed = true;
	return function_wait(u->session, u->name, NULL, NULL, err);
}

static int update_image(struct update *u, struct error *err)
{
	const struct update_options *options = u->options;
	struct function now;
	struct pushed pushed = { .uri = options->image_uri };
	if (options->image && push(u, &pushed, err) < 0)
		return -1;
	if (!pushed.uri)
		return 0;
	const char *digest = strrchr(pushed.uri, '@');
	if (digest && strcmp(digest + 1, u->function.image_digest) == 0) {
		talk_step("image", "%s, as it was", digest + 1);
		return 0;
	}
	/* The architecture goes with the image; of one that we haven't seen it stays. */
	if (function_update_code(u->session, u->name, pushed.uri, pushed.architecture, err) < 0 || wait_for(u, err) < 0)
		return -1;
	int outcome = function_get(u->session, u->name, &u->arena, &now, err);
	if (outcome != 0)
		return outcome < 0 ? -1 : error_say(err, ENOENT, "the function %s has gone meanwhile", u->name);
	talk_step("image", "%s, was %s", now.image_digest, *u->function.image_digest ? u->function.image_digest : "none");
	if (strcmp(now.architecture, u->function.architecture) != 0)
		talk_step("processor", "%s, was %s", now.architecture, u->function.architecture);
	return 0;
}

static int update_settings(struct update *u, struct error *err)
{
	unsigned memory_mb = u->options->memory_mb, timeout_s = u->options->timeout_s;
	struct function_settings settings = {
		.memory_mb = memory_mb != u->function.memory_mb ? memory_mb : 0,
		.timeout_s = timeout_s != u->function.timeout_s ? timeout_s : 0,
	};
	if (settings.memory_mb || settings.timeout_s) {
		if (function_update_configuration(u->session, u->name, &settings, err) < 0 || wait_for(u, err) < 0)
			return -1;
	}
	if (settings.memory_mb)
		talk_step("memory", "%u MB, was %u MB", memory_mb, u->function.memory_mb);
	else if (memory_mb)
		talk_step("memory", "%u MB, as it was", memory_mb);
	if (settings.timeout_s)
		talk_step("timeout", "%u s, was %u s", timeout_s, u->function.timeout_s);
	else if (timeout_s)
		talk_step("timeout", "%u s, as it was", timeout_s);
	return 0;
}

int update_function(struct aws_session *session, const char *name, const struct update_options *options, struct error *err)
{
	struct update u = { .session = session, .name = name, .options = options, .arena = ARENA_INIT };
	int outcome = function_get(session, name, &u.arena, &u.function, err);
	/* Somebody else's update. One that has failed is what ours may mend. */
	if (outcome == 0 && (strcmp(u.function.update_status, "InProgress") == 0 || strcmp(u.function.state, "Pending") == 0))
		outcome = function_wait(session, name, NULL, NULL, err);
	else if (outcome == FUNCTION_ABSENT)
		outcome = error_say(err, ENOENT, "there is no function %s in %s: `llama bootstrap` makes one", name, session->config.region);
	if (outcome == 0 && (update_image(&u, err) < 0 || update_settings(&u, err) < 0))
		outcome = -1;
	if (outcome == 0 && !u.changed)
		talk_step("function", "%s is as it should be", name);
	arena_deinit(&u.arena);
	return outcome;
}
