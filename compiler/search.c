#include "compiler/search.h"

#include <string.h>

#include "base/path.h"
#include "compiler/environment.h"
#include "compiler/options.h"
#include "compiler/strlist.h"

/* Options without a path in their class that move the search path all the same; a '*' stands for any ending. -m… choose a multilib, and
 * some of them are errors without those -f… that they go with (-mcmodel=kernel and -fno-PIE, -mindirect-branch= and -fcf-protection=none).
 * Strict standards don't have the macros `linux` and `unix`, which would be replaced in a computed <linux/x.h>. */
static const char *const moving[] = { "--ansi", "--gcc-triple=", "--no-standard-includes", "--std=*", "--stdlib=", "--target=", "-I-", "-ansi",
	"-canonical-prefixes", "-fPI*", "-fcf-protection*", "-fno-PI*", "-fno-pi*", "-fpi*", "-ibuiltininc", "-imultilib", "-iprefix",
	"-iwithprefix", "-iwithprefixbefore", "-iwithsysroot", "-m*", "-no-canonical-prefixes", "-nobuiltininc", "-nostdinc", "-nostdinc++",
	"-nostdlibinc", "-std=*", "-stdlib=", "-target" };

static bool moves_search(const char *arg, const struct option *option)
{
	switch ((enum option_class)option->class) {
	case OPTION_DIRECTORY:
	case OPTION_CPU:
	case OPTION_TO_PREPROCESSOR:
	case OPTION_TO_CC1:
		return true;
	case OPTION_HARMLESS:
		break;
	default:
		return false;
	}
	for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++) {
		size_t n = strlen(moving[i]);
		bool any = moving[i][n - 1] == '*';
		if (any ? strncmp(arg, moving[i], n - 1) == 0 : strcmp(option->name, moving[i]) == 0)
			return true;
	}
	return false;
}

/* Whether the answer may depend on the working directory. */
static bool is_relative(const struct option *option, const char *value)
{
	if (option->class == OPTION_DIRECTORY)
		return value[0] != '/' && value[0] != '=' && strncmp(value, "$SYSROOT/", 9) != 0;
	return option->class == OPTION_TO_PREPROCESSOR || option->class == OPTION_TO_CC1 || strncmp(option->name, "-iprefix", 8) == 0 ||
	       strncmp(option->name, "-iwith", 6) == 0;
}

static bool has_relative(const char *path_list)
{
	for (const char *at = path_list; at; at = strchr(at, ':')) {
		at += *at == ':';
		if (*at != '/')
			return true;
	}
	return false;
}

static const char *language_name(enum language language)
{
	switch (language) {
	case LANGUAGE_CXX:
	case LANGUAGE_CXX_CPP_OUTPUT:
		return "c++";
	case LANGUAGE_ASM:
	case LANGUAGE_ASM_CPP:
		return "assembler-with-cpp";
	case LANGUAGE_UNKNOWN:
	case LANGUAGE_C:
	case LANGUAGE_C_CPP_OUTPUT:
	case LANGUAGE_LLVM_IR:
		break;
	}
	return "c";
}

void search_ask(const struct command *command, const char *cwd, const char *const *env, size_t n_env, struct arena *arena,
	struct search_question *ret)
{
	static const char *const variables[] = { "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH" };
	struct strlist argv = { 0 };
	bool relative = false;

	strlist_add(&argv, arena, command->argv[0]);
	const char *const *args = command->scan_argv ? command->scan_argv : command->argv;
	for (size_t i = 1; args[i]; i++) {
		struct option_match match;
		if (!option_find(args[i], command->family, &match))
			continue;
		if (match.option->class == OPTION_END_OF_OPTIONS)
			break;
		const char *arg = args[i], *value = match.separate ? args[++i] : match.value;
		if (!value)
			break;
		if (!moves_search(arg, match.option))
			continue;
		strlist_add(&argv, arena, arg);
		if (match.separate)
			strlist_add(&argv, arena, value);
		relative = relative || is_relative(match.option, value);
	}
	strlist_add(&argv, arena, "-E");
	strlist_add(&argv, arena, "-dM");
	strlist_add(&argv, arena, "-v");
	strlist_add(&argv, arena, "-x");
	strlist_add(&argv, arena, language_name(command->language));
	strlist_add(&argv, arena, "/dev/null");

	struct buf key = { 0 };
	for (size_t i = 0; i < argv.n; i++)
		buf_append(&key, argv.items[i], strlen(argv.items[i]) + 1);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = environment_get(env, n_env, variables[i]);
		buf_printf(&key, "%s%s%c", value ? "=" : "", value ? value : "", '\0');
		relative = relative || (value && *value && has_relative(value));
	}
	if (relative)
		buf_append_str(&key, cwd);
	ret->argv = argv.items;
	ret->key = slice_of(arena_strndup(arena, buf_str(&key), key.len), key.len);
	buf_deinit(&key);
}

/* Lines */

static bool next_line(struct slice *text, struct slice *ret)
{
	if (text->len == 0)
		return false;
	const char *end = memchr(text->ptr, '\n', text->len);
	size_t n = end ? (size_t)(end - text->ptr) : text->len;
	*ret = slice_of(text->ptr, n);
	n += end != NULL;
	*text = slice_of(text->ptr + n, text->len - n);
	return true;
}

static struct slice without(struct slice s, size_t n)
{
	return slice_of(s.ptr + n, s.len - n);
}

struct parse {
	struct arena *arena;
	const char *cwd;
	struct strlist quote, bracket, embed;
	struct lookup *lookups;
	size_t n_lookups, capacity;
};

static void add_lookup(struct parse *p, const char *path, enum lookup_kind kind)
{
	if (p->n_lookups == p->capacity) {
		p->capacity = p->capacity ? p->capacity * 2 : 32;
		struct lookup *grown = arena_array(p->arena, struct lookup, p->capacity);
		if (p->n_lookups)
			memcpy(grown, p->lookups, p->n_lookups * sizeof(*grown));
		p->lookups = grown;
	}
	p->lookups[p->n_lookups++] = (struct lookup){ .path = path, .kind = kind };
}

static const char *directory(struct parse *p, struct slice name)
{
	return path_squeeze(p->arena, path_absolute(p->arena, p->cwd, arena_strndup(p->arena, name.ptr, name.len)));
}

static bool starts_list(struct parse *p, struct slice line, struct strlist **ret)
{
	if (slice_equal_str(line, "#include \"...\" search starts here:"))
		*ret = &p->quote;
	else if (slice_equal_str(line, "#include <...> search starts here:"))
		*ret = &p->bracket;
	else if (slice_equal_str(line, "#embed <...> search starts here:"))
		*ret = &p->embed;
	else
		return false;
	return true;
}

/* What the compiler passed over: `ignoring nonexistent directory "x"`. A name that stands twice, under whatever other name, hangs on where
 * symlinks lead. */
static void note_ignored(struct parse *p, struct slice line)
{
	static const char gone[] = "ignoring nonexistent directory \"", twice[] = "ignoring duplicate directory \"";
	bool is_gone = slice_has_prefix(line, gone);
	if (!slice_has_suffix(line, "\"") || (!is_gone && !slice_has_prefix(line, twice)))
		return;
	struct slice name = without(line, is_gone ? sizeof(gone) - 1 : sizeof(twice) - 1);
	if (name.len == 0)
		return;
	name.len--;
	const char *path = directory(p, name);
	add_lookup(p, path, is_gone ? LOOKUP_ABSENT : LOOKUP_DIRECTORY);
	if (!is_gone)
		add_lookup(p, path, LOOKUP_LINK);
}

static int parse_directories(struct parse *p, struct slice text, struct error *err)
{
	struct strlist *list = NULL;
	struct slice line;
	bool complete = false;
	while (next_line(&text, &line)) {
		if (starts_list(p, line, &list))
			continue;
		if (!list) {
			note_ignored(p, line);
			continue;
		}
		if (slice_equal_str(line, "End of search list.") || slice_equal_str(line, "End of #embed search list.")) {
			complete = complete || list != &p->embed;
			list = NULL;
			continue;
		}
		if (line.len == 0 || line.ptr[0] != ' ' || memchr(line.ptr, '\0', line.len))
			return error_set(err, 0, "the compiler's search list has a line that is no directory");
		if (slice_has_suffix(line, " (framework directory)") || slice_has_suffix(line, " (headermap)"))
			return error_set(err, 0, "frameworks and header maps aren't followed");
		const char *path = directory(p, without(line, 1));
		strlist_add(list, p->arena, path);
		add_lookup(p, path, LOOKUP_DIRECTORY);
	}
	if (!complete)
		return error_set(err, 0, "the compiler's answer has no search list");
	return 0;
}

/* "#define NAME body", "#define NAME(a,b) body" */
static bool parse_macro(struct slice line, struct arena *arena, struct skeleton_macro *ret)
{
	static const char define[] = "#define ";
	if (!slice_has_prefix(line, define) || memchr(line.ptr, '\0', line.len))
		return false;
	char *name = arena_strndup(arena, line.ptr + sizeof(define) - 1, line.len - (sizeof(define) - 1));
	char *after = name + strcspn(name, " (");
	*ret = (struct skeleton_macro){ .name = name };
	if (*after == '(') {
		char *close = strchr(after, ')');
		if (!close)
			return false;
		*close = *after = '\0';
		ret->parameters = after + 1;
		after = close + 1;
	}
	if (*after == ' ')
		*after++ = '\0';
	ret->body = after;
	return true;
}

int search_parse(struct slice directories, struct slice macros, const char *cwd, struct arena *arena, struct search *ret, struct error *err)
{
	struct parse p = { .arena = arena, .cwd = cwd };
	struct slice line;
	if (parse_directories(&p, directories, err) < 0)
		return -1;

	size_t n = 0;
	for (size_t i = 0; i < macros.len; i++)
		n += macros.ptr[i] == '\n';
	*ret = (struct search){
		.quote = p.quote.items,
		.n_quote = p.quote.n,
		.bracket = p.bracket.items,
		.n_bracket = p.bracket.n,
		.embed = p.embed.items,
		.n_embed = p.embed.n,
		.macros = arena_array(arena, struct skeleton_macro, n + 1),
		.lookups = { p.lookups, p.n_lookups },
	};
	while (next_line(&macros, &line))
		ret->n_macros += parse_macro(line, arena, &ret->macros[ret->n_macros]);
	lookups_sort(&ret->lookups);
	return 0;
}

int search_observe(struct search *search, struct view *view, uint64_t since, struct error *err)
{
	int outcome = 0;
	for (size_t i = 0; i < search->lookups.n; i++) {
		struct lookup now = search->lookups.v[i];
		if (view_observe(view, since, &now, err) < 0)
			return -1;
		if (now.kind != search->lookups.v[i].kind)
			outcome = SEARCH_CHANGED;
		search->lookups.v[i].digest = now.digest;
	}
	return outcome;
}
