#include "cli/tree.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "client/resolve.h"

static bool is_llamacc(const char *path)
{
	char real[PATH_MAX];
	const char *name = path_basename(realpath(path, real) ? real : path);
	return strcmp(name, "llamacc") == 0 || strcmp(name, "llamac++") == 0;
}

/* A word of a shell command: up to a space; quotes go. */
static const char *first_word(const char *text, struct arena *arena)
{
	bool quoted = *text == '"' || *text == '\'';
	text += quoted;
	return arena_strndup(arena, text, strcspn(text, quoted ? "\"'\n" : " \t\n"));
}

/* What follows "NAME:TYPE=" when `line` sets `name`, or NULL. */
static const char *cache_value(const char *line, const char *name, struct arena *arena)
{
	size_t n = strlen(name);
	if (strncmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	const char *equals = strchr(line, '=');
	return equals ? arena_strndup(arena, equals + 1, strcspn(equals + 1, "\n")) : NULL;
}

static bool cmake_names_compiler(FILE *cache, const char *directory, const char *llamacc, struct arena *arena,
	const char **fact, const char **remedy)
{
	static const char *const languages[] = { "C", "CXX" };
	const char *compilers[2] = { NULL, NULL }, *launchers[2] = { NULL, NULL };
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0;
	while (getline(&line, &capacity, cache) > 0) {
		for (int i = 0; i < 2; i++) {
			const char *value = cache_value(
				line, arena_printf(arena, "CMAKE_%s_COMPILER", languages[i]), arena);
			if (value)
				compilers[i] = value;
			value = cache_value(
				line, arena_printf(arena, "CMAKE_%s_COMPILER_LAUNCHER", languages[i]), arena);
			if (value)
				launchers[i] = value;
		}
	}
	for (int i = 0; i < 2; i++) {
		/* A launcher is a ;-list; llamacc anywhere in it will do. */
		bool launched = launchers[i] && strstr(launchers[i], "llamac");
		if (!compilers[i] || compilers[i][0] != '/' || launched || is_llamacc(compilers[i]))
			continue;
		*fact = arena_printf(arena, "CMakeCache.txt names %s", compilers[i]);
		*remedy = arena_printf(arena,
			"cmake -DCMAKE_C_COMPILER_LAUNCHER=%s -DCMAKE_CXX_COMPILER_LAUNCHER=%s %s", llamacc, llamacc,
			directory);
		return true;
	}
	return false;
}

static bool ninja_names_compiler(FILE *ninja, const char *directory, const char *llamacc, struct arena *arena,
	const char **fact, const char **remedy)
{
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0;
	while (getline(&line, &capacity, ninja) > 0) {
		const char *at = line + strspn(line, " \t");
		if (at == line || strncmp(at, "command = ", 10) != 0)
			continue;
		const char *word = first_word(at + 10, arena);
		if (word[0] != '/' || !resolve_is_compiler_name(path_basename(word)) || is_llamacc(word))
			continue;
		*fact = arena_printf(arena, "build.ninja names %s", word);
		bool meson = access(arena_printf(arena, "%s/meson-private", directory), F_OK) == 0;
		if (meson)
			*remedy = arena_printf(arena, "env CC='%s' CXX='%s' meson setup --wipe %s", llamacc,
				arena_printf(arena, "%s/llamac++", path_dirname(arena, llamacc)), directory);
		else
			*remedy = arena_printf(
				arena, "env CC=llamacc CXX=llamac++ … (what wrote %s/build.ninja)", directory);
		return true;
	}
	return false;
}

enum tree tree_examine(
	const char *directory, const char *llamacc, struct arena *arena, const char **fact, const char **remedy)
{
	bool names;
	_cleanup_fclose_ FILE *cache = fopen(arena_printf(arena, "%s/CMakeCache.txt", directory), "re");
	_cleanup_fclose_ FILE *ninja = fopen(arena_printf(arena, "%s/build.ninja", directory), "re");
	if (cache)
		names = cmake_names_compiler(cache, directory, llamacc, arena, fact, remedy);
	else if (ninja)
		names = ninja_names_compiler(ninja, directory, llamacc, arena, fact, remedy);
	else
		return TREE_UNKNOWN;
	return names ? TREE_NAMES_COMPILER : TREE_FINE;
}
