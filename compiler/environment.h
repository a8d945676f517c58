/* The environment variables of a request, by one table: in the key and on the worker; resolved by us; harmless; or local. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "compiler/command.h"

struct environment {
	/* "NAME=value" for the worker's environment and the key, sorted by name, NULL-terminated. LANG, LC_*, LANGUAGE, CPATH family, SOURCE_DATE_EPOCH,
	 * TZ, PATH, COMPILER_PATH, GCC_EXEC_PREFIX. PWD is the caller's to add, who knows whether it names the cwd. */
	const char **key;
	size_t n_key;
	/* Only when stderr is a terminal or colour is asked for: TERM, COLUMNS, GCC_COLORS, NO_COLOR, CLICOLOR*. For the worker; for the key of
	 * results that have messages. */
	const char **color;
	size_t n_color;
	const char *path; /* value of PATH, or NULL */
	bool source_date_epoch;
	const char *engine;   /* LLAMACC_ENGINE, or NULL: as configured */
	bool recache;	      /* LLAMACC_RECACHE */
	bool requested_local; /* LLAMACC_LOCAL */
	bool remote_assemble;
};

/* `env` as in the request frame. 0 or COMMAND_LOCAL with `reason` = environment:<name> (DEPENDENCIES_OUTPUT, SUNPRO_DEPENDENCIES, CCC_OVERRIDE_OPTIONS,
 * LD_PRELOAD, LD_LIBRARY_PATH, unknown GCC_*, CLANG_*, CCC_*, LD_*; set but empty counts as unset where the compilers treat it so). */
int environment_parse(
	const char *const *env, size_t n_env, struct arena *arena, struct environment *ret, struct reason *reason);

/* The value of a variable in a list of "NAME=value", or NULL. */
const char *environment_get(const char *const *env, size_t n_env, const char *name);

/* Row `i` of the table, '*' for any ending; NULL behind the last. For tests. */
const char *environment_name_at(size_t i);
