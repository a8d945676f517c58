#include "compiler/closure_request.h"

#include <string.h>

#include "compiler/options.h"
#include "compiler/strlist.h"

static struct skeleton_macro macro_of(const char *definition, struct arena *arena)
{
	char *name = arena_strdup(arena, definition + strspn(definition, " "));
	char *after = name + strcspn(name, "=(");
	struct skeleton_macro macro = { .name = name, .body = "1" };
	if (*after == '(') {
		char *close = after + strcspn(after, ")");
		macro.parameters = after + 1;
		*after = '\0';
		after = *close ? close + 1 : close;
		*close = '\0';
	}
	if (*after == '=') {
		*after = '\0';
		macro.body = after + 1;
	}
	return macro;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

void closure_request_of(
	const struct command *command, const char *cwd, const char *source, struct arena *arena, struct closure_request *ret)
{
	static const char *const defines[] = { "-D", "--define-macro", "--define-macro=", NULL };
	static const char *const includes[] = { "-include", "-imacros", "--include", "--include=", "--imacros", "--imacros=", NULL };
	struct strlist forced = { 0 };
	*ret = (struct closure_request){
		.cwd = cwd,
		.source = source,
		.language = command->language,
		.implicit = command->family == FAMILY_GCC,
		.dirs = command->named_dirs,
		.n_dirs = command->n_named_dirs,
		.macros = arena_array(arena, struct skeleton_macro, command->argc),
	};
	for (size_t i = 1; i < command->argc; i++) {
		struct option_match match;
		if (!option_find(command->argv[i], command->family, &match))
			continue;
		if (match.separate && i + 1 == command->argc)
			break;
		const char *value = match.separate ? command->argv[++i] : match.value;
		if (match.option->class == OPTION_END_OF_OPTIONS)
			break;
		if (is_one_of(match.option->name, defines))
			ret->macros[ret->n_macros++] = macro_of(value, arena);
		else if (is_one_of(match.option->name, includes))
			strlist_add(&forced, arena, value);
		else if (strcmp(match.option->name, "-I-") == 0)
			ret->no_source_dir = true;
	}
	ret->forced = forced.items;
	ret->n_forced = forced.n;
}
