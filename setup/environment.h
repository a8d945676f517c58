/* An environment: what one `llama bootstrap` makes in one region of an account, by its name. Used by all that make, examine or remove one. */
#pragma once

#include "aws/cloudformation.h"
#include "aws/functions.h"

#define ENVIRONMENT_DEFAULT "llama"
#define ENVIRONMENT_TAG	    "llama:environment" /* of stack and function; its value is the environment's name */
#define ENVIRONMENT_VERSION "LLAMA_VERSION"	/* in the function's variables: the release that its image is of */

struct environment {
	const char *name;			   /* "llama", or what --name says */
	const char *stack, *function, *repository; /* "llama", or "llama-NAME" */
	const char *log_group;			   /* "/aws/lambda/…" */
	const char *section; /* of the configuration file: NULL (the top level), or "profile.NAME" */
};

/* `name` NULL: the default one. Strings in `arena`. -1: it is no name (EINVAL): [a-z][a-z0-9-]{0,31}, without a hyphen at its end. */
int environment_name(const char *name, struct arena *arena, struct environment *ret, struct error *err);

/* What AWS says now. */
struct environment_state {
	bool has_stack, has_function;
	struct stack stack;
	struct function function;
	/* The stack's outputs; NULL: it hasn't come so far. */
	const char *bucket, *role, *repository, *policy, *template_version;
	const char *release; /* of llama, that the function's image is of; NULL: unknown */
};

/* In `arena`. -1 also when a stack or a function of that name is somebody else's (EEXIST): not ours is what lacks the tag, but for a function whose tags we
 * aren't shown and that has the stack's role. */
int environment_read(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *ret, struct error *err);
/* Its two parts: has_stack, stack and its outputs; then has_function, function and release, the rest of `state` staying as it is. */
int environment_read_stack(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *ret, struct error *err);
int environment_read_function(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *state, struct error *err);
/* The release of llama that a function's image is of; NULL: it doesn't say. */
const char *environment_release(const struct function *function);

/* The configuration file's and AWS's words for a processor, of this machine or of the image: "x86_64", "arm64"; NULL: Lambda has none such. */
const char *environment_architecture(const char *machine);
