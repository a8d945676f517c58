#include "setup/stack.h"

#include <string.h>

#include "aws/s3_bucket.h"
#include "setup/talk.h"
#include "setup/template.h"

#define STACK_TYPE "AWS::CloudFormation::Stack"

enum {
	PAUSE_MS = 1000,
	LOOKS_STILL = 60, /* so often what was asked for need not have begun yet */
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

enum stack_need stack_needs(const struct environment_state *state, const char *template_version)
{
	if (!state->has_stack)
		return STACK_NEEDS_CREATION;
	const char *status = state->stack.status;
	switch (stack_phase(status)) {
	case STACK_BUSY: /* REVIEW_IN_PROGRESS waits for somebody to execute a change set */
		return strcmp(status, "REVIEW_IN_PROGRESS") == 0 ? STACK_NEEDS_HELP : STACK_NEEDS_PATIENCE;
	case STACK_GOOD:
	case STACK_UNDONE:
		return state->template_version && strcmp(state->template_version, template_version) == 0
			       ? STACK_NEEDS_NOTHING
			       : STACK_NEEDS_UPDATE;
	case STACK_STUCK:
		return strcmp(status, "DELETE_FAILED") == 0 ? STACK_NEEDS_REPLACEMENT : STACK_NEEDS_HELP;
	case STACK_DEAD:
		return STACK_NEEDS_REPLACEMENT;
	case STACK_GONE:
		break;
	}
	return STACK_NEEDS_CREATION;
}

static bool is_of_stack(const struct stack_event *event)
{
	return strcmp(event->type, STACK_TYPE) == 0;
}

const struct stack_event *stack_cause(const struct stack_event *events, size_t n)
{
	static const char *const beginnings[] = { "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS" };
	const struct stack_event *cause = NULL;
	for (size_t i = 0; i < n; i++) {
		bool begins = false;
		for (size_t j = 0; is_of_stack(&events[i]) && j < sizeof(beginnings) / sizeof(beginnings[0]); j++)
			begins |= strcmp(events[i].status, beginnings[j]) == 0;
		if (begins)
			cause = NULL;
		else if (!cause && !is_of_stack(&events[i]) && stack_event_is_cause(&events[i]))
			cause = &events[i];
	}
	return cause;
}

/* What one can do about CloudFormation's words. */
static const char *remedy(const char *reason, const struct environment *environment, struct arena *arena)
{
	if (strstr(reason, "ot authorized") || strstr(reason, "AccessDenied") || strstr(reason, "Access Denied"))
		return "let an administrator run this, or add that permission to your user or role; then again";
	if (strstr(reason, "already exists") || strstr(reason, "AlreadyExists"))
		return arena_printf(arena,
			"if that is left over from Llama, `llama teardown%s%s` removes it; else choose another name by "
			"--name",
			environment->section ? " --name " : "", environment->section ? environment->name : "");
	if (strstr(reason, "attached to entities"))
		return "take the policy off the people and roles that build with it (IAM console, the policy's \"Entities "
		       "attached\"); then again";
	if (strstr(reason, "imit") || strstr(reason, "uota"))
		return "raise that quota in the Service Quotas console, or remove what isn't needed; then again";
	return arena_printf(arena,
		"run it again when that is mended; `aws cloudformation describe-stack-events --stack-name %s` has the "
		"whole story",
		environment->stack);
}

static int fail_by_cause(struct aws_session *session, const struct environment *environment, const char *id,
	const char *act, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct stack_event *events;
	size_t n;
	if (stack_events(session, id, NULL, &arena, &events, &n, err) < 0)
		return error_wrap(
			err, "the stack %s could not be %s, and there is no telling why", environment->stack, act);
	const struct stack_event *cause = stack_cause(events, n);
	const char *reason = cause && *cause->reason ? cause->reason : "CloudFormation gives no reason";
	return error_set(err, 0, "the stack %s could not be %s: %s%s%s%s%.200s: %s", environment->stack, act,
		cause ? cause->logical_id : "", cause ? " (" : "", cause ? cause->type : "", cause ? "): " : "", reason,
		remedy(reason, environment, &arena));
}

static void tell(const struct stack_event *event)
{
	static const char *const words[][2] = { { "CREATE_COMPLETE", "created" }, { "UPDATE_COMPLETE", "updated" },
		{ "DELETE_COMPLETE", "removed" } };
	if (is_of_stack(event))
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(event->status, words[i][0]) == 0)
			talk_more("%-14s %s", event->logical_id, words[i][1]);
	if (ends_with(event->status, "_FAILED"))
		talk_more("%-14s failed: %s", event->logical_id, *event->reason ? event->reason : event->status);
}

static const char *newest_event(const struct stack_event *events, size_t n, struct arena *arena, const char *otherwise)
{
	return n ? arena_strdup(arena, events[n - 1].id) : otherwise;
}

/* Until nothing is being done with the stack of this id; its status then is in `ret`, "" if there is no trace of it. `after` is the newest event before what is waited
 * for: a status without one since is still the old one. NULL: any status will do. */
static int wait_for(struct aws_session *session, const char *id, const char *after, struct arena *arena,
	const char **ret, struct error *err)
{
	bool begun = !after;
	for (unsigned looks = 1;; looks++) {
		_cleanup_arena_ struct arena turn = ARENA_INIT;
		struct stack stack;
		struct stack_event *events;
		size_t n;
		int outcome = stack_describe(session, id, &turn, &stack, err);
		if (outcome < 0 || (outcome == 0 && stack_events(session, id, after, &turn, &events, &n, err) < 0))
			return -1;
		if (outcome == STACK_ABSENT) {
			*ret = "";
			return 0;
		}
		for (size_t i = 0; i < n; i++)
			tell(&events[i]);
		begun |= n > 0;
		after = newest_event(events, n, arena, after);
		*ret = arena_strdup(arena, stack.status);
		if (stack_phase(stack.status) != STACK_BUSY && (begun || looks >= LOOKS_STILL))
			return 0;
		aws_wait(session, PAUSE_MS);
	}
}

static int remove_by_id(
	struct aws_session *session, const char *id, struct arena *arena, const char **ret, struct error *err)
{
	struct stack_event *events;
	size_t n;
	if (stack_events(session, id, NULL, arena, &events, &n, err) < 0 || stack_delete(session, id, err) < 0)
		return -1;
	return wait_for(session, id, newest_event(events, n, arena, NULL), arena, ret, err);
}

static int make(struct aws_session *session, const struct environment *environment,
	const struct environment_state *state, struct arena *arena, struct error *err)
{
	const struct aws_pair tags[] = { { ENVIRONMENT_TAG, environment->name },
		{ "llama:version", template_version(arena) } };
	struct stack_request request = {
		.name = environment->stack, .template = template_text(arena), .tags = tags, .n_tags = 2
	};
	const char *id = state->stack.id, *status, *after = NULL;
	struct stack_event *events;
	size_t n;
	int outcome;
	if (state->has_stack) {
		if (stack_events(session, id, NULL, arena, &events, &n, err) < 0)
			return -1;
		after = newest_event(events, n, arena, NULL);
		outcome = stack_update(session, &request, err);
	} else {
		outcome = stack_create(session, &request, arena, &id, err);
	}
	if (outcome != 0)
		return outcome; /* nothing to update, or another bootstrap was faster */
	if (wait_for(session, id, after, arena, &status, err) < 0)
		return -1;
	if (strcmp(status, state->has_stack ? "UPDATE_COMPLETE" : "CREATE_COMPLETE") != 0)
		return fail_by_cause(session, environment, id, state->has_stack ? "updated" : "created", err);
	return 0;
}

int stack_ensure(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *state, struct error *err)
{
	const char *status, *id;
	int outcome;
	for (bool made = false;;) {
		switch (stack_needs(state, template_version(arena))) {
		case STACK_NEEDS_NOTHING:
			return 0;
		case STACK_NEEDS_CREATION:
		case STACK_NEEDS_UPDATE:
			outcome = made ? STACK_UNCHANGED : make(session, environment, state, arena, err);
			if (outcome < 0)
				return -1;
			if (outcome == STACK_UNCHANGED)
				return error_set(err, 0,
					"the stack %s is %s, but not of this template: somebody else changes it at the "
					"same time; run it again",
					environment->stack, state->has_stack ? state->stack.status : "gone");
			made = outcome == 0;
			break;
		case STACK_NEEDS_REPLACEMENT:
			talk_more("the stack is %s: it is removed, and made anew", state->stack.status);
			id = state->stack.id;
			if ((state->bucket && s3_empty(session, state->bucket, NULL, NULL, err) < 0) ||
				remove_by_id(session, id, arena, &status, err) < 0)
				return -1;
			if (*status && strcmp(status, "DELETE_COMPLETE") != 0)
				return fail_by_cause(session, environment, id, "removed", err);
			break;
		case STACK_NEEDS_PATIENCE:
			talk_more("the stack is %s: waiting for that", state->stack.status);
			if (wait_for(session, state->stack.id, NULL, arena, &status, err) < 0)
				return -1;
			break;
		case STACK_NEEDS_HELP:
			return error_set(err, 0,
				"the stack %s is %s, which takes a person to end: in the CloudFormation console "
				"(continue its rollback, or delete it); then again",
				environment->stack, state->stack.status);
		}
		if (environment_read_stack(session, environment, arena, state, err) < 0)
			return -1;
	}
}

int stack_remove(
	struct aws_session *session, const struct environment *environment, struct arena *arena, struct error *err)
{
	struct environment_state state;
	for (;;) {
		if (environment_read_stack(session, environment, arena, &state, err) < 0)
			return -1;
		if (!state.has_stack)
			return 0;
		const char *status, *id = state.stack.id;
		if (stack_needs(&state, "") != STACK_NEEDS_PATIENCE) {
			if (remove_by_id(session, id, arena, &status, err) < 0)
				return -1;
			return !*status || strcmp(status, "DELETE_COMPLETE") == 0
				       ? 0
				       : fail_by_cause(session, environment, id, "removed", err);
		}
		if (wait_for(session, id, NULL, arena, &status, err) < 0)
			return -1;
	}
}
