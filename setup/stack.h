/* The stack of an environment: brought up to the template, or taken down, from whatever state it is found in. Resources are told as they come. */
#pragma once

#include "setup/environment.h"

enum stack_need {
	STACK_NEEDS_NOTHING,
	STACK_NEEDS_CREATION,
	STACK_NEEDS_UPDATE,
	STACK_NEEDS_REPLACEMENT, /* dead: it can only be removed, and made anew */
	STACK_NEEDS_PATIENCE,	 /* something is being done with it */
	STACK_NEEDS_HELP,	 /* of a person */
};

/* By its status, and the template that it was made from. */
enum stack_need stack_needs(const struct environment_state *state, const char *template_version);

/* The event that tells why the last operation failed: the first failure of it that isn't the consequence of another; NULL: none failed. Oldest first. */
const struct stack_event *stack_cause(const struct stack_event *events, size_t n);

/* Until the stack is there and as the template says. `state` is what environment_read said, and then says it anew. -1: AWS refused, or a resource could not
 * be made: `err` has CloudFormation's first cause and what to do. What goes on there when we end goes on; called again it is waited for. */
int stack_ensure(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *state, struct error *err);

/* Until there is no stack; none is fine. */
int stack_remove(
	struct aws_session *session, const struct environment *environment, struct arena *arena, struct error *err);
