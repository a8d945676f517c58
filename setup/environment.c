#include "setup/environment.h"

#include <string.h>

int environment_name(const char *name, struct arena *arena, struct environment *ret, struct error *err)
{
	if (!name)
		name = ENVIRONMENT_DEFAULT;
	size_t n = strlen(name);
	if (n == 0 || n > 32 || name[0] < 'a' || name[0] > 'z' ||
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n || name[n - 1] == '-')
		return error_set(err, 0,
			       "`%s` can't be an environment's name: it is made of lower-case letters, digits and "
			       "hyphens, begins with a letter, doesn't end in a hyphen, and has "
			       "at most 32 of them",
			       name),
		       err->code = EINVAL, -1;
	bool is_default = strcmp(name, ENVIRONMENT_DEFAULT) == 0;
	const char *full = is_default ? name : arena_printf(arena, "llama-%s", name);
	*ret = (struct environment){
		.name = arena_strdup(arena, name),
		.stack = full,
		.function = full,
		.repository = full,
		.log_group = arena_printf(arena, "/aws/lambda/%s", full),
		.section = is_default ? NULL : arena_printf(arena, "profile.%s", name),
	};
	return 0;
}

static int not_ours(const char *what, const char *name, struct error *err)
{
	error_set(err, 0,
		"there is a %s called %s in this region that isn't Llama's (it lacks the tag %s): choose another name "
		"for the environment by --name, or another region by "
		"--region",
		what, name, ENVIRONMENT_TAG);
	err->code = EEXIST;
	return -1;
}

int environment_read_stack(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *ret, struct error *err)
{
	*ret = (struct environment_state){ 0 };
	int outcome = stack_describe(session, environment->stack, arena, &ret->stack, err);
	if (outcome != 0)
		return outcome == STACK_ABSENT ? 0 : -1;
	const char *tag = stack_tag(&ret->stack, ENVIRONMENT_TAG);
	if (!tag || strcmp(tag, environment->name) != 0)
		return not_ours("stack", environment->stack, err);
	ret->has_stack = true;
	ret->bucket = stack_output(&ret->stack, "Bucket");
	ret->role = stack_output(&ret->stack, "FunctionRole");
	ret->repository = stack_output(&ret->stack, "Repository");
	ret->policy = stack_output(&ret->stack, "BuilderPolicy");
	ret->template_version = stack_output(&ret->stack, "Version");
	return 0;
}

const char *environment_release(const struct function *function)
{
	for (size_t i = 0; i < function->n_environment; i++)
		if (strcmp(function->environment[i].name, ENVIRONMENT_VERSION) == 0)
			return function->environment[i].value;
	return NULL;
}

/* Whoever may not see tags is shown none: then the role tells, which nobody else's function has. */
static bool is_ours(const struct environment *environment, const struct environment_state *state)
{
	const struct function *function = &state->function;
	const char *tag = function_tag(function, ENVIRONMENT_TAG);
	return tag ? strcmp(tag, environment->name) == 0
		   : function->n_tags == 0 && state->role && strcmp(function->role, state->role) == 0;
}

int environment_read_function(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *state, struct error *err)
{
	state->has_function = false;
	state->release = NULL;
	int outcome = function_get(session, environment->function, arena, &state->function, err);
	if (outcome != 0)
		return outcome == FUNCTION_ABSENT ? 0 : -1;
	if (!is_ours(environment, state))
		return not_ours("function", environment->function, err);
	state->has_function = true;
	state->release = environment_release(&state->function);
	return 0;
}

int environment_read(struct aws_session *session, const struct environment *environment, struct arena *arena,
	struct environment_state *ret, struct error *err)
{
	return environment_read_stack(session, environment, arena, ret, err) < 0 ||
			       environment_read_function(session, environment, arena, ret, err) < 0
		       ? -1
		       : 0;
}

const char *environment_architecture(const char *machine)
{
	if (strcmp(machine, "x86_64") == 0 || strcmp(machine, "amd64") == 0)
		return "x86_64";
	return strcmp(machine, "aarch64") == 0 || strcmp(machine, "arm64") == 0 ? "arm64" : NULL;
}
