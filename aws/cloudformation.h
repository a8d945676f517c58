/* Stacks (CloudFormation, 2010-05-15). Strings are in the arena that the caller gives, never NULL: "" where the answer has none. A refusal is told as
 * aws_refused has it; EBUSY: another operation on the stack is under way. */
#pragma once

#include "aws/session.h"

enum stack_outcome { STACK_ABSENT = 1, STACK_UNCHANGED, STACK_EXISTS };

struct stack {
	const char *id, *name; /* the id names it after its deletion too, for 90 days */
	const char *status;    /* "CREATE_COMPLETE", "UPDATE_ROLLBACK_IN_PROGRESS", … */
	const char *status_reason;
	struct aws_pair *outputs, *tags, *parameters;
	size_t n_outputs, n_tags, n_parameters;
};

/* 0, STACK_ABSENT, -1. Of one that was deleted an id says DELETE_COMPLETE, a name STACK_ABSENT. */
int stack_describe(struct aws_session *session, const char *name_or_id, struct arena *arena, struct stack *ret, struct error *err);
const char *stack_output(const struct stack *stack, const char *key); /* NULL: it has none of that name */
const char *stack_tag(const struct stack *stack, const char *key);

/* What a status means. */
enum stack_phase {
	STACK_BUSY,   /* *_IN_PROGRESS: look again */
	STACK_GOOD,   /* CREATE_, UPDATE_, IMPORT_COMPLETE */
	STACK_UNDONE, /* UPDATE_ROLLBACK_COMPLETE and the like: as it was before an operation that failed; may be updated */
	STACK_DEAD,   /* CREATE_FAILED, ROLLBACK_COMPLETE, ROLLBACK_FAILED: only good to be deleted */
	STACK_STUCK,  /* DELETE_FAILED, UPDATE_ROLLBACK_FAILED: somebody has to see to it; deleting again may go on */
	STACK_GONE,   /* DELETE_COMPLETE */
};
enum stack_phase stack_phase(const char *status);

struct stack_request {
	const char *name;
	const char *template; /* its text; AWS takes 51,200 bytes */
	const char *token;    /* makes a repeated request the same one; or NULL */
	const struct aws_pair *parameters, *tags;
	size_t n_parameters, n_tags;
};

/* The operation is begun; stack_describe tells how it goes on. Roles without names of their own may be among the resources (CAPABILITY_IAM). */
int stack_create(struct aws_session *session, const struct stack_request *request, struct arena *arena, const char **ret_id, struct error *err); /* 0, STACK_EXISTS, -1 */
int stack_update(struct aws_session *session, const struct stack_request *request, struct error *err); /* 0, STACK_UNCHANGED, -1. ENOENT: there is none */
int stack_delete(struct aws_session *session, const char *name_or_id, struct error *err);              /* one that isn't there is deleted */

struct stack_event {
	const char *id;
	const char *logical_id, *type; /* "Bucket", "AWS::S3::Bucket"; the stack itself is "AWS::CloudFormation::Stack" */
	const char *status, *reason;
	int64_t time_s; /* -1: illegible */
};

/* Those that came after the event `after` (NULL: all), oldest first. -1 ENOENT: no such stack; one that was deleted is asked for by its id. */
int stack_events(struct aws_session *session, const char *name_or_id, const char *after, struct arena *arena, struct stack_event **ret, size_t *ret_n,
	struct error *err);

/* Whether an event is a resource's own failure: *_FAILED, and not because others failed ("Resource creation cancelled"). The first such is the cause. */
bool stack_event_is_cause(const struct stack_event *event);

/* For fuzzing: answers, in `arena`. stack_read: 0, or STACK_ABSENT for a list of none. */
int stack_read(struct slice body, struct arena *arena, struct stack *ret, struct error *err);
/* Appended (newest first, as AWS has them) to an array that grows; `ret_token` "" on the last page. */
struct stack_events {
	struct stack_event *events;
	size_t n;
};
int stack_read_events(struct slice body, struct arena *arena, struct stack_events *ret, const char **ret_token, struct error *err);
