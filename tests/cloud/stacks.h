/* Stacks: what CloudFormation makes of templates, resource by resource, on a thread of each operation's own. The states:
 *
 *   CREATE_IN_PROGRESS → CREATE_COMPLETE, or after a failure
 *       ROLLBACK_IN_PROGRESS → ROLLBACK_COMPLETE, ROLLBACK_FAILED (on_failure ROLLBACK)
 *       CREATE_FAILED (DO_NOTHING), DELETE_IN_PROGRESS → … (DELETE)
 *   UPDATE_IN_PROGRESS → UPDATE_COMPLETE_CLEANUP_IN_PROGRESS → UPDATE_COMPLETE, or after a failure
 *       UPDATE_ROLLBACK_IN_PROGRESS → UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS → UPDATE_ROLLBACK_COMPLETE,
 *       UPDATE_ROLLBACK_FAILED
 *   DELETE_IN_PROGRESS → DELETE_COMPLETE, DELETE_FAILED
 *
 * Resources come one after the other, where AWS has several at a time. A stack that was deleted is still found by its id.
 * Thread-safe. */
#pragma once

#include <jansson.h>

#include "tests/cloud/server.h"

struct stacks;

struct stacks *stacks_new(struct cloud *cloud); /* borrowed */
void stacks_free(struct stacks *stacks);	/* waits for operations; NULL is allowed */

enum stacks_outcome {
	STACKS_THERE = 1, /* one of that name */
	STACKS_MISSING,
	STACKS_NO_CHANGE,
	STACKS_WRONG, /* the request, the template, its parameters, or the stack's state: a ValidationError */
	STACKS_CAPABILITIES,
};

struct stack_request {
	const char *name;	  /* or an id */
	struct slice body;	  /* the template; NULL: the one it has (update only) */
	const json_t *parameters; /* name → string; null: the one that it has (update only) */
	const json_t *tags;	  /* [{"Key", "Value"}]; NULL: those it has */
	const json_t *capabilities;
	const char *on_failure; /* "ROLLBACK", "DO_NOTHING", "DELETE" */
	const char *token;	/* ClientRequestToken, or NULL */
	const json_t *retain;	/* of a deletion: resources that stay */
	const char *caller;
};

/* Begin it. `ret_id`: the stack's, in the arena. Outcomes have AWS's words in `err`. */
int stacks_create(struct stacks *stacks, const struct stack_request *request, struct arena *arena, const char **ret_id,
	struct error *err);
int stacks_update(struct stacks *stacks, const struct stack_request *request, struct arena *arena, const char **ret_id,
	struct error *err);
/* A stack that isn't there is no error; one that is being created is deleted then. */
int stacks_delete(struct stacks *stacks, const struct stack_request *request, struct error *err);

/* As CloudFormation's answers have them: new references; NULL: there is none of that name or id, `err` filled. */
json_t *stacks_describe(struct stacks *stacks, const char *name, struct error *err); /* NULL: all that aren't deleted */
json_t *stacks_events(struct stacks *stacks, const char *name, struct error *err);   /* the newest first */
json_t *stacks_resources(struct stacks *stacks, const char *name, struct error *err);
json_t *stacks_template(struct stacks *stacks, const char *name, struct error *err); /* its text */
