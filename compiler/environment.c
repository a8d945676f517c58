#include "compiler/environment.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/strlist.h"

enum class { HARMLESS, KEY, KEY_IF_SET, COLOR, FORBIDDEN, FORBIDDEN_IF_SET };

/* The first entry that fits decides; a '*' at the end stands for any ending. _IF_SET: empty counts as unset, because the programs that read it treat
 * it so. What is not here is harmless: the client sends only what might matter. */
static const struct {
	const char *name;
	enum class class;
} table[] = {
	{ "LANG", KEY_IF_SET },
	{ "LC_*", KEY_IF_SET },
	{ "LANGUAGE", KEY_IF_SET },
	{ "CPATH", KEY_IF_SET },
	{ "C_INCLUDE_PATH", KEY_IF_SET },
	{ "CPLUS_INCLUDE_PATH", KEY_IF_SET },
	{ "OBJC_INCLUDE_PATH", KEY_IF_SET },
	{ "OBJCPLUS_INCLUDE_PATH", KEY_IF_SET },
	{ "SOURCE_DATE_EPOCH", KEY },
	{ "TZ", KEY },
	{ "OUTPUT_CHARSET", KEY_IF_SET },
	{ "SDKROOT", KEY_IF_SET },
	{ "MACOSX_DEPLOYMENT_TARGET", KEY_IF_SET },
	{ "PATH", KEY },
	{ "COMPILER_PATH", KEY },
	{ "GCC_EXEC_PREFIX", KEY },

	{ "TERM", COLOR },
	{ "COLUMNS", COLOR },
	{ "GCC_COLORS", COLOR },
	{ "GCC_URLS", COLOR },
	{ "TERM_URLS", COLOR },
	{ "NO_COLOR", COLOR },
	{ "CLICOLOR*", COLOR },
	{ "COLORTERM", COLOR }, /* some terminals get no links from gcc */
	{ "TERMINFO*", COLOR },

	{ "DEPENDENCIES_OUTPUT", FORBIDDEN },
	{ "SUNPRO_DEPENDENCIES", FORBIDDEN },
	{ "QA_OVERRIDE_GCC3_OPTIONS", FORBIDDEN },
	{ "BINUTILS_ROOT", FORBIDDEN }, /* where gcc's driver looks for `as`; see update_path() of its prefix.cc */
	{ "AS_SECURE_LOG_FILE", FORBIDDEN },
	{ "LLVM_OVERRIDE_PRODUCER", FORBIDDEN },
	{ "FORCE_CLANG_DIAGNOSTICS_CRASH", FORBIDDEN },
	{ "CC_PRINT_*", FORBIDDEN },
	{ "CC_LOG_*", FORBIDDEN },
	{ "GCONV_PATH", FORBIDDEN_IF_SET },
	{ "LOCPATH", FORBIDDEN_IF_SET },
	{ "NLSPATH", FORBIDDEN_IF_SET },
	{ "LD_RUN_PATH", HARMLESS }, /* ld's */
	{ "LD_*", FORBIDDEN_IF_SET },
	{ "GCC_*", FORBIDDEN },
	{ "CLANG_*", FORBIDDEN },
	{ "CCC_*", FORBIDDEN },
};

static bool name_fits(const char *pattern, struct slice name)
{
	size_t n = strlen(pattern);
	if (pattern[n - 1] == '*')
		return name.len >= n - 1 && memcmp(name.ptr, pattern, n - 1) == 0;
	return slice_equal_str(name, pattern);
}

static enum class classify(struct slice name) {
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++){
		if (name_fits(table[i].name, name)) return table[i].class; }
return HARMLESS;
}

const char *environment_name_at(size_t i)
{
	return i < sizeof(table) / sizeof(table[0]) ? table[i].name : NULL;
}

static bool is_on(const char *value)
{
	return value && *value && strcmp(value, "0") != 0 && strcasecmp(value, "no") != 0 &&
	       strcasecmp(value, "off") != 0 && strcasecmp(value, "false") != 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *environment_get(const char *const *env, size_t n_env, const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < n_env; i++) {
		if (strncmp(env[i], name, length) == 0 && env[i][length] == '=')
			return env[i] + length + 1;
	}
	return NULL;
}

int environment_parse(
	const char *const *env, size_t n_env, struct arena *arena, struct environment *ret, struct reason *reason)
{
	struct strlist key = { 0 }, color = { 0 };

	*ret = (struct environment){ 0 };
	*reason = (struct reason){ REASON_NONE, NULL };
	for (size_t i = 0; i < n_env; i++) {
		const char *equals = strchr(env[i], '=');
		if (!equals)
			continue;
		struct slice name = slice_of(env[i], (size_t)(equals - env[i]));
		bool empty = equals[1] == '\0';
		enum class class = classify(name);
		switch (class) {
		case HARMLESS:
			break;
		case KEY_IF_SET:
			if (empty)
				break;
			/* fall through */
		case KEY:
			strlist_add(&key, arena, arena_strdup(arena, env[i]));
			break;
		case COLOR:
			strlist_add(&color, arena, arena_strdup(arena, env[i]));
			break;
		case FORBIDDEN_IF_SET:
			if (empty)
				break;
			/* fall through */
		case FORBIDDEN:
			if (reason->code == REASON_NONE)
				*reason = (struct reason){ REASON_ENVIRONMENT,
					arena_strndup(arena, name.ptr, name.len) };
			break;
		}
	}
	if (key.n)
		qsort(key.items, key.n, sizeof(*key.items), by_name);
	if (color.n)
		qsort(color.items, color.n, sizeof(*color.items), by_name);
	ret->key = key.items;
	ret->n_key = key.n;
	ret->color = color.items;
	ret->n_color = color.n;

	const char *path = environment_get(env, n_env, "PATH");
	const char *assemble = environment_get(env, n_env, "LLAMACC_REMOTE_ASSEMBLE");
	const char *engine = environment_get(env, n_env, "LLAMACC_ENGINE");
	ret->path = path ? arena_strdup(arena, path) : NULL;
	ret->engine = engine && *engine ? arena_strdup(arena, engine) : NULL;
	ret->source_date_epoch = environment_get(env, n_env, "SOURCE_DATE_EPOCH") != NULL;
	ret->recache = is_on(environment_get(env, n_env, "LLAMACC_RECACHE"));
	ret->requested_local = is_on(environment_get(env, n_env, "LLAMACC_LOCAL"));
	ret->remote_assemble = !assemble || !*assemble || is_on(assemble);
	return reason->code == REASON_NONE ? 0 : COMMAND_LOCAL;
}
