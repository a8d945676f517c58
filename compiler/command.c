#include "compiler/command.h"

#include <ctype.h>
#include <string.h>

#include "base/path.h"
#include "compiler/deptarget.h"
#include "compiler/options.h"
#include "compiler/outputs.h"
#include "compiler/passthrough.h"
#include "compiler/probe.h"
#include "compiler/response.h"
#include "compiler/strlist.h"

/* How it works: one pass over the arguments turns each into an item (an option with its value, or an input) and gathers what is asked
 * for; `decide` picks the reason to run locally, if there is one, the most telling first; then the items, in order, give the
 * key and the scan. */

struct item {
	const struct option *option; /* NULL for an input */
	size_t first, n;	     /* its arguments */
	/* What stands for it there when it is a -Wp, list that lost its dependency options; "" for nothing. */
	const char *key, *scan;
};

struct parse {
	const struct command_request *request;
	struct arena *arena;
	struct command *command;
	struct strlist argv;

	struct item *items;
	size_t n_items;

	struct reason local;	/* the first thing that forbids the engine, if any */
	const char *other_mode; /* -fsyntax-only and the like */
	bool information, preprocess, deps_only, compile, assembly;
	bool reads_stdin;
	size_t n_inputs;
	const char *language_name; /* of the last -x; NULL: by suffix */
	struct reason language;	   /* why the input's language is local */

	struct output_options outputs;
	bool dep_driver;	   /* -MD or -MMD */
	bool dep_wp;		   /* -Wp,-MD… */
	const char *dep_file;	   /* -MF, or in -Wp, */
	struct deptarget *targets; /* of -MT and -MQ */
	size_t n_targets;

	bool records_all;  /* the whole command line goes into the object */
	bool records_some; /* the flags do */
	bool debug, arcs, seed;
	bool counts_elsewhere; /* not beside the output */
	struct strlist named_files, named_dirs;
};

static void local(struct parse *p, enum reason_code code, const char *detail)
{
	if (p->local.code == REASON_NONE)
		p->local = (struct reason){ code, detail };
}

/* An argument without what the user put behind the '=': the name under which it is counted. */
static const char *option_name(struct parse *p, const char *arg)
{
	size_t n = strcspn(arg, "=");
	n += arg[n] == '=';
	return arena_strndup(p->arena, arg, n < 60 ? n : 60);
}

/* Languages */

static const struct {
	const char *suffix;
	enum language language;
	enum reason_code reason;
	enum compiler_family only; /* FAMILY_UNKNOWN: both */
} suffixes[] = {
	{ "c", LANGUAGE_C, REASON_NONE, FAMILY_UNKNOWN },
	{ "cc", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "cpp", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "cxx", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "c++", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "cp", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "C", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "CPP", LANGUAGE_CXX, REASON_NONE, FAMILY_UNKNOWN },
	{ "CC", LANGUAGE_CXX, REASON_NONE, FAMILY_CLANG },
	{ "CXX", LANGUAGE_CXX, REASON_NONE, FAMILY_CLANG },
	{ "i", LANGUAGE_C_CPP_OUTPUT, REASON_NONE, FAMILY_UNKNOWN },
	{ "ii", LANGUAGE_CXX_CPP_OUTPUT, REASON_NONE, FAMILY_UNKNOWN },
	{ "s", LANGUAGE_ASM, REASON_NONE, FAMILY_UNKNOWN },
	{ "S", LANGUAGE_ASM_CPP, REASON_NONE, FAMILY_UNKNOWN },
	{ "sx", LANGUAGE_ASM_CPP, REASON_NONE, FAMILY_GCC },
	{ "ll", LANGUAGE_LLVM_IR, REASON_LANGUAGE, FAMILY_CLANG },
	{ "bc", LANGUAGE_LLVM_IR, REASON_LANGUAGE, FAMILY_CLANG },
	{ "h", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "hh", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "hpp", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "hxx", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "hp", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "h++", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "H", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "HPP", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "tcc", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
	{ "cppm", LANGUAGE_UNKNOWN, REASON_MODULES, FAMILY_UNKNOWN },
	{ "ccm", LANGUAGE_UNKNOWN, REASON_MODULES, FAMILY_UNKNOWN },
	{ "cxxm", LANGUAGE_UNKNOWN, REASON_MODULES, FAMILY_UNKNOWN },
	{ "c++m", LANGUAGE_UNKNOWN, REASON_MODULES, FAMILY_UNKNOWN },
	{ "ixx", LANGUAGE_UNKNOWN, REASON_MODULES, FAMILY_UNKNOWN },
	{ "pcm", LANGUAGE_UNKNOWN, REASON_MODULES, FAMILY_UNKNOWN },
	{ "pch", LANGUAGE_UNKNOWN, REASON_PCH, FAMILY_UNKNOWN },
};

static const struct {
	const char *name;
	enum language language;
	enum reason_code reason;
} languages[] = {
	{ "c", LANGUAGE_C, REASON_NONE },
	{ "c++", LANGUAGE_CXX, REASON_NONE },
	{ "cpp-output", LANGUAGE_C_CPP_OUTPUT, REASON_NONE },
	{ "c-cpp-output", LANGUAGE_C_CPP_OUTPUT, REASON_NONE },
	{ "c++-cpp-output", LANGUAGE_CXX_CPP_OUTPUT, REASON_NONE },
	{ "assembler", LANGUAGE_ASM, REASON_NONE },
	{ "assembler-with-cpp", LANGUAGE_ASM_CPP, REASON_NONE },
	{ "ir", LANGUAGE_LLVM_IR, REASON_LANGUAGE },
	{ "c-header", LANGUAGE_UNKNOWN, REASON_PCH },
	{ "c++-header", LANGUAGE_UNKNOWN, REASON_PCH },
	{ "c++-module", LANGUAGE_UNKNOWN, REASON_MODULES },
	{ "c++-system-header", LANGUAGE_UNKNOWN, REASON_MODULES },
	{ "c++-user-header", LANGUAGE_UNKNOWN, REASON_MODULES },
};

static void set_language(struct parse *p, const char *input)
{
	enum language language = LANGUAGE_UNKNOWN;
	enum reason_code reason = REASON_LANGUAGE;

	if (p->language_name) {
		for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
			if (strcmp(languages[i].name, p->language_name) == 0) {
				language = languages[i].language;
				reason = languages[i].reason;
			}
		}
	} else {
		const char *dot = strrchr(path_basename(input), '.');
		for (size_t i = 0; dot && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
			if (strcmp(suffixes[i].suffix, dot + 1) == 0 &&
				(suffixes[i].only == FAMILY_UNKNOWN || suffixes[i].only == p->request->family)) {
				language = suffixes[i].language;
				reason = suffixes[i].reason;
			}
		}
		/* g++ and clang++ compile C's suffixes as C++. */
		if (p->request->cxx_driver && language == LANGUAGE_C)
			language = LANGUAGE_CXX;
		if (p->request->cxx_driver && language == LANGUAGE_C_CPP_OUTPUT)
			language = LANGUAGE_CXX_CPP_OUTPUT;
	}
	p->command->language = language;
	p->language = (struct reason){ reason, NULL };
}

static bool has_preprocessor(enum language language)
{
	return language == LANGUAGE_C || language == LANGUAGE_CXX || language == LANGUAGE_ASM_CPP;
}

static bool is_assembler(enum language language)
{
	return language == LANGUAGE_ASM || language == LANGUAGE_ASM_CPP;
}

/* Arguments */

static void add_input(struct parse *p, const char *name)
{
	p->n_inputs++;
	if (strcmp(name, "-") == 0 || strcmp(name, "/dev/stdin") == 0)
		p->reads_stdin = true;
	if (p->n_inputs == 1) {
		p->command->input = name;
		set_language(p, name);
	}
}

static void add_directory(struct parse *p, const char *name)
{
	/* "=" and "$SYSROOT" stand for the sysroot; the look-up log knows what became of them. */
	if (name[0] != '=' && strncmp(name, "$SYSROOT", 8) != 0 && name[0])
		strlist_add(&p->named_dirs, p->arena, name);
}

static void add_target(struct parse *p, const char *name, bool quoted)
{
	p->targets[p->n_targets++] = (struct deptarget){ name, quoted };
}

static char **split_commas(struct parse *p, const char *list, size_t *n_ret)
{
	size_t n = 1;
	for (const char *c = list; *c; c++)
		n += *c == ',';
	char **pieces = arena_array(p->arena, char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t length = strcspn(list, ",");
		pieces[i] = arena_strndup(p->arena, list, length);
		list += length + (list[length] == ',');
	}
	*n_ret = n;
	return pieces;
}

/* Arguments for the preprocessor: those of a -Wp, list, or one after -Xpreprocessor. Dependency options among them are followed (the Linux
 * kernel's -Wp,-MMD,file), the rest must be harmless. */
static bool to_preprocessor(struct parse *p, struct item *item, char **pieces, size_t n)
{
	struct command_depfile *depfile = &p->command->depfile;
	bool clang = p->request->family == FAMILY_CLANG;
	const char *key = "-Wp", *scan = "-Wp";

	/* clang's driver takes -Wp,-MD[,file] itself and gives everything else to -cc1, whose -M options are others. */
	for (size_t i = 0; i < n; i++) {
		const char *piece = pieces[i];
		bool all = strcmp(piece, "-MD") == 0, user = strcmp(piece, "-MMD") == 0;
		if (all || user) {
			bool last = i + 1 == n;
			if (p->dep_wp || (last && !clang) || (clang && (i > 0 || n > 2)))
				return false;
			p->dep_wp = true;
			depfile->user_headers = user;
			key = arena_printf(p->arena, "%s,%s", key, piece);
			if (!last && p->dep_file)
				return false;
			if (!last)
				p->dep_file = pieces[++i];
			continue;
		}
		if (piece[0] == '-' && piece[1] == 'M') {
			if (clang)
				return false;
			if (strcmp(piece, "-MP") == 0) {
				depfile->phony = true;
				key = arena_printf(p->arena, "%s,-MP", key);
				continue;
			}
			bool quoted = piece[2] == 'Q';
			if ((!quoted && piece[2] != 'T') || (!piece[3] && i + 1 == n))
				return false;
			add_target(p, piece[3] ? piece + 3 : pieces[++i], quoted);
			continue;
		}
		struct option_match match;
		if (!option_find(piece, p->request->family, &match) || (match.separate && i + 1 == n))
			return false;
		const char *value = match.separate ? pieces[++i] : match.value;
		if (match.option->class == OPTION_DIRECTORY)
			add_directory(p, value);
		else if (match.option->class == OPTION_FILE)
			strlist_add(&p->named_files, p->arena, value);
		else if (match.option->class != OPTION_HARMLESS)
			return false;
		const char *text = match.separate ? arena_printf(p->arena, "%s,%s", piece, value) : piece;
		key = arena_printf(p->arena, "%s,%s", key, text);
		scan = arena_printf(p->arena, "%s,%s", scan, text);
	}
	item->key = strcmp(key, "-Wp") == 0 ? "" : key;
	item->scan = strcmp(scan, "-Wp") == 0 ? "" : scan;
	return true;
}

static bool to_assembler(struct parse *p, char **pieces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum assembler_option option = passthrough_assembler(pieces[i]);
		bool pair = option == ASSEMBLER_HARMLESS_PAIR || option == ASSEMBLER_DIRECTORY_PAIR;
		if (option == ASSEMBLER_UNKNOWN || (pair && i + 1 == n))
			return false;
		if (option == ASSEMBLER_DIRECTORY)
			add_directory(p, pieces[i] + 2);
		i += pair;
		if (option == ASSEMBLER_DIRECTORY_PAIR)
			add_directory(p, pieces[i]);
	}
	return true;
}

/* `-Xclang value` at `at`; a value that takes another must be followed by `-Xclang other` at once. Returns how many further arguments belong to
 * it, or -1. */
static int to_cc1(struct parse *p, size_t at, const char *value)
{
	switch (passthrough_cc1(value)) {
	case 1:
		return 0;
	case 2:
		return at + 3 < p->argv.n && strcmp(p->argv.items[at + 2], "-Xclang") == 0 ? 2 : -1;
	}
	if (strcmp(value, "-mllvm") == 0 && at + 3 < p->argv.n && strcmp(p->argv.items[at + 2], "-Xclang") == 0 &&
		passthrough_llvm(p->argv.items[at + 3]))
		return 2;
	return -1;
}

static void add_option(struct parse *p, struct item *item, const char *value)
{
	struct command *command = p->command;
	const char *arg = p->argv.items[item->first];
	bool clang = p->request->family == FAMILY_CLANG;

	switch ((enum option_class)item->option->class) {
	case OPTION_HARMLESS:
	case OPTION_END_OF_OPTIONS:
		break;
	case OPTION_DIRECTORY:
		add_directory(p, value);
		break;
	case OPTION_FILE:
		/* "-fxray-attr-list= FILE" in two arguments: clang takes it, the table does not. */
		if (*value)
			strlist_add(&p->named_files, p->arena, value);
		else
			local(p, REASON_OPTION, item->option->name);
		break;
	case OPTION_PROFILE_FILE:
		strlist_add(&p->named_files, p->arena, value);
		strlist_add(&p->named_files, p->arena, arena_printf(p->arena, "%s/default.profdata", value));
		break;
	case OPTION_COMPILE:
		p->compile = true;
		break;
	case OPTION_ASSEMBLY:
		p->assembly = true;
		break;
	case OPTION_OUTPUT:
		if (p->outputs.output || !*value)
			local(p, REASON_OPTION, "-o");
		p->outputs.output = value;
		break;
	case OPTION_LANGUAGE:
		p->language_name = strcmp(value, "none") == 0 ? NULL : value;
		break;
	case OPTION_DEP_ALL:
		p->dep_driver = true;
		break;
	case OPTION_DEP_USER:
		p->dep_driver = true;
		command->depfile.user_headers = true;
		break;
	case OPTION_DEP_FILE:
		if (p->dep_wp)
			local(p, REASON_OPTION, "-Wp,");
		p->dep_file = value;
		break;
	case OPTION_DEP_TARGET:
	case OPTION_DEP_QUOTED:
		add_target(p, value, item->option->class == OPTION_DEP_QUOTED);
		break;
	case OPTION_DEP_PHONY:
		command->depfile.phony = true;
		break;
	case OPTION_COLOR:
	case OPTION_PLAIN:
		command->user_set_color = true;
		break;
	case OPTION_CPU:
		if (strcmp(value, "native") == 0)
			command->wants_native = true;
		else if (strncmp(value, "native", 6) == 0)
			local(p, REASON_NATIVE, NULL);
		break;
	case OPTION_DEBUG:
		if (strcmp(arg, "-g0") != 0)
			p->debug = true;
		if (strcmp(arg, "-gno-split-dwarf") == 0)
			p->outputs.split_dwarf = false;
		break;
	case OPTION_LTO:
		p->outputs.lto = true;
		break;
	case OPTION_SEED:
		p->seed = true;
		break;
	case OPTION_RECORDS:
		p->records_some = true;
		p->records_all = clang;
		break;
	case OPTION_SPLIT_DWARF:
		p->debug = true;
		p->outputs.split_dwarf = true;
		break;
	case OPTION_COVERAGE:
		p->outputs.notes = p->arcs = true;
		break;
	case OPTION_NOTES:
		p->outputs.notes = true;
		break;
	case OPTION_ARCS:
		p->arcs = true;
		p->counts_elsewhere |= value && *value;
		break;
	case OPTION_COUNTS_DIRECTORY:
		p->counts_elsewhere = true;
		break;
	case OPTION_STACK_USAGE:
		p->outputs.stack_usage = true;
		break;
	case OPTION_CALLGRAPH:
		p->outputs.callgraph = true;
		break;
	case OPTION_SAVE_TEMPS:
		if (item->option->style == ARG_NONE) {
			if (clang || p->outputs.save_temps == SAVE_TEMPS_NONE)
				p->outputs.save_temps = clang ? SAVE_TEMPS_CWD : SAVE_TEMPS_PLAIN;
		} else if (strcmp(value, "cwd") == 0) {
			p->outputs.save_temps = SAVE_TEMPS_CWD;
		} else if (strcmp(value, "obj") == 0) {
			p->outputs.save_temps = SAVE_TEMPS_OBJ;
		} else {
			local(p, REASON_OPTION, "-save-temps=");
		}
		break;
	case OPTION_TO_PREPROCESSOR: {
		bool list = item->option->style == ARG_COMMA;
		size_t n = 1;
		char **pieces = list ? split_commas(p, value, &n) : (char *[]){ (char *)value };
		if ((!list && value[0] == '-' && value[1] == 'M') || !to_preprocessor(p, item, pieces, n))
			local(p, REASON_OPTION, item->option->name);
		if (!list)
			item->key = item->scan = NULL;
		break;
	}
	case OPTION_TO_ASSEMBLER: {
		size_t n = 1;
		char **pieces = item->option->style == ARG_COMMA ? split_commas(p, value, &n)
								 : (char *[]){ (char *)value };
		if (!to_assembler(p, pieces, n))
			local(p, REASON_OPTION, item->option->name);
		break;
	}
	case OPTION_TO_CC1: {
		int more = to_cc1(p, item->first, value);
		if (more < 0)
			local(p, REASON_OPTION, "-Xclang");
		else
			item->n += (size_t)more;
		break;
	}
	case OPTION_TO_LLVM:
		if (!passthrough_llvm(value))
			local(p, REASON_OPTION, "-mllvm");
		break;
	case OPTION_UNLESS_ASSIGNS:
		if (strchr(value, '='))
			local(p, REASON_OPTION, item->option->name);
		break;
	case OPTION_LOCAL:
		local(p, REASON_OPTION, item->option->name);
		break;
	case OPTION_OTHER_MODE:
		p->other_mode = item->option->name;
		break;
	case OPTION_PREPROCESS:
		p->preprocess = true;
		break;
	case OPTION_DEPS_ONLY:
		p->deps_only = true;
		break;
	case OPTION_INFORMATION:
		p->information = true;
		break;
	case OPTION_PCH:
		local(p, REASON_PCH, NULL);
		break;
	case OPTION_MODULES:
		local(p, REASON_MODULES, NULL);
		break;
	case OPTION_PROFILE:
		local(p, REASON_PROFILE_USE, NULL);
		break;
	case OPTION_OTHER_LANGUAGE:
		local(p, REASON_LANGUAGE, NULL);
		break;
	}
}

static void parse_arguments(struct parse *p)
{
	bool options_ended = false;
	size_t n_commas = 0;
	for (size_t i = 1; i < p->argv.n; i++) {
		for (const char *c = p->argv.items[i]; *c; c++)
			n_commas += *c == ',';
	}
	p->items = arena_array(p->arena, struct item, p->argv.n);
	p->targets = arena_array(p->arena, struct deptarget, p->argv.n + n_commas);

	for (size_t i = 1; i < p->argv.n;) {
		const char *arg = p->argv.items[i];
		struct item *item = &p->items[p->n_items++];
		struct option_match match;
		*item = (struct item){ .first = i, .n = 1 };

		if (options_ended || arg[0] != '-' || arg[1] == '\0') {
			add_input(p, arg);
		} else if (!option_find(arg, p->request->family, &match)) {
			local(p, REASON_OPTION, option_name(p, arg));
		} else if (match.separate && i + 1 == p->argv.n) {
			local(p, REASON_OPTION, match.option->name);
		} else {
			item->option = match.option;
			item->n = match.separate ? 2 : 1;
			add_option(p, item, match.separate ? p->argv.items[i + 1] : match.value);
			options_ended = match.option->class == OPTION_END_OF_OPTIONS;
		}
		i += item->n;
	}
}

/* A place that isn't a file to be replaced: it also changes gcc's names for side files. */
static bool is_special(const char *path)
{
	return strcmp(path, "-") == 0 || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

static struct reason decide(const struct parse *p)
{
	const struct command *command = p->command;
	bool clang = p->request->family == FAMILY_CLANG;
	enum reason_code code = REASON_NONE;

	if (p->information)
		code = REASON_INFORMATION;
	else if (p->n_inputs == 0)
		code = REASON_NO_INPUT;
	else if (p->preprocess)
		code = REASON_PREPROCESS_ONLY;
	else if (p->deps_only)
		code = REASON_DEPENDENCIES_ONLY;
	else if (p->other_mode)
		return (struct reason){ REASON_OPTION, p->other_mode };
	else if (p->language.code == REASON_PCH || p->language.code == REASON_MODULES)
		code = p->language.code;
	else if (!p->compile && !p->assembly)
		code = REASON_LINK;
	else if (p->reads_stdin)
		code = REASON_STDIN;
	else if (p->local.code != REASON_NONE)
		return p->local; /* before the inputs are counted: the value of an unknown option looks like one */
	else if (p->n_inputs > 1)
		code = REASON_MULTIPLE_INPUTS;
	else if (p->language.code != REASON_NONE)
		code = p->language.code;
	else if (is_assembler(command->language) && p->assembly)
		return (struct reason){ REASON_OPTION, "-S" };
	else if (is_assembler(command->language) && !p->request->remote_assemble)
		code = REASON_ASSEMBLE;
	else if (p->dep_wp && p->dep_driver)
		return (struct reason){ REASON_OPTION, "-Wp," };
	else if (command->wants_native && (clang ? p->records_all || is_assembler(command->language)
						 : p->debug || p->records_some || p->outputs.lto))
		code = REASON_NATIVE;
	else if ((p->outputs.output && is_special(p->outputs.output)) || (p->dep_file && is_special(p->dep_file)))
		code = REASON_OUTPUT_SPECIAL;
	return (struct reason){ code, NULL };
}

static void fill_depfile(struct parse *p)
{
	struct command_depfile *depfile = &p->command->depfile;
	bool clang = p->request->family == FAMILY_CLANG;
	const char *output = p->outputs.output;

	depfile->wanted = (p->dep_driver || p->dep_wp) && has_preprocessor(p->command->language);
	if (!depfile->wanted)
		return;
	depfile->path = p->dep_file ? p->dep_file
				    : outputs_depfile_name(p->request->family, p->command->input, output, p->arena);
	/* Without -MT and -MQ: gcc's driver passes -MQ with the output's name, but not for -Wp,-MD, which it doesn't see. */
	if (p->n_targets == 0 && output && (clang || p->dep_driver))
		add_target(p, output, true);
	if (p->n_targets == 0)
		add_target(p, deptarget_default(p->command->input, p->arena), true);
	depfile->targets = deptarget_render(p->request->family, p->targets, p->n_targets, p->arena);
	depfile->n_targets = p->n_targets;
}

static void fill_key(struct parse *p)
{
	struct strlist key = { 0 };
	/* The name matters beside the compiler's identity: clang++ is clang, and a prefix of clang's name is its target. */
	strlist_add(&key, p->arena, path_basename(p->argv.items[0]));
	for (size_t i = 0; i < p->n_items; i++) {
		const struct item *item = &p->items[i];
		if (!p->records_all && item->option) {
			enum option_class class = item->option->class;
			if (class == OPTION_DEP_FILE || class == OPTION_DEP_TARGET || class == OPTION_DEP_QUOTED ||
				class == OPTION_COLOR || (class == OPTION_OUTPUT && !p->command->records_output_name))
				continue;
			if (item->key) {
				if (*item->key)
					strlist_add(&key, p->arena, item->key);
				continue;
			}
		}
		for (size_t k = 0; k < item->n; k++)
			strlist_add(&key, p->arena, p->argv.items[item->first + k]);
	}
	p->command->key_args = key.items;
	p->command->n_key_args = key.n;
}

/* What a scan must not be told: it would write files, or compile. */
static const bool left_out_of_scan[] = {
	[OPTION_COMPILE] = true,
	[OPTION_ASSEMBLY] = true,
	[OPTION_OUTPUT] = true,
	[OPTION_DEP_ALL] = true,
	[OPTION_DEP_USER] = true,
	[OPTION_DEP_FILE] = true,
	[OPTION_DEP_TARGET] = true,
	[OPTION_DEP_QUOTED] = true,
	[OPTION_DEP_PHONY] = true,
	[OPTION_SPLIT_DWARF] = true,
	[OPTION_COVERAGE] = true,
	[OPTION_NOTES] = true,
	[OPTION_ARCS] = true,
	[OPTION_STACK_USAGE] = true,
	[OPTION_CALLGRAPH] = true,
	[OPTION_SAVE_TEMPS] = true,
	[OPTION_TO_ASSEMBLER] = true,
	[OPTION_OTHER_LANGUAGE] = false, /* the last: gives the table its length */
};

static void fill_scan(struct parse *p)
{
	if (!has_preprocessor(p->command->language))
		return;
	struct strlist scan = { 0 };
	strlist_add(&scan, p->arena, p->argv.items[0]);
	strlist_add(&scan, p->arena, "-M");
	for (size_t i = 0; i < p->n_items; i++) {
		const struct item *item = &p->items[i];
		if (item->option && left_out_of_scan[item->option->class])
			continue;
		if (item->scan) {
			if (*item->scan)
				strlist_add(&scan, p->arena, item->scan);
			continue;
		}
		for (size_t k = 0; k < item->n; k++)
			strlist_add(&scan, p->arena, p->argv.items[item->first + k]);
	}
	p->command->scan_argv = scan.items;
}

static void fill(struct parse *p)
{
	struct command *command = p->command;
	bool gcc = p->request->family == FAMILY_GCC;

	command->assembles_only = command->language == LANGUAGE_ASM;
	command->stops_at_assembly = p->assembly;
	command->argv = p->argv.items;
	command->argc = p->argv.n;
	fill_depfile(p);
	/* gcc tells old counts from new by a stamp, which differs each time; with a seed it is the same, and -ftest-coverage removes them instead. */
	p->outputs.counts = gcc && (p->outputs.notes || (p->arcs && !p->seed)) && !p->counts_elsewhere;
	outputs_name(command, &p->outputs, p->arena);

	/* Side files' names are made from the output's, and some stand in the object (.dwo, .gcda). */
	bool sides = p->outputs.split_dwarf || p->outputs.notes || p->outputs.stack_usage || p->outputs.callgraph ||
		     p->outputs.save_temps != SAVE_TEMPS_NONE;
	command->records_output_name = sides || p->arcs || p->records_all;
	command->random_seed = gcc && !p->seed && (p->outputs.lto || p->arcs || p->outputs.notes);

	command->named_files = p->named_files.items;
	command->n_named_files = p->named_files.n;
	command->named_dirs = p->named_dirs.items;
	command->n_named_dirs = p->named_dirs.n;
	fill_key(p);
	fill_scan(p);
}

int command_parse(
	const struct command_request *request, struct arena *arena, struct command *ret, struct reason *reason)
{
	struct parse p = { .request = request, .arena = arena, .command = ret };

	*ret = (struct command){ .family = request->family };
	*reason = (struct reason){ REASON_NONE, NULL };
	if (request->argc == 0)
		reason->code = REASON_NO_INPUT;
	else if (probe_command(request->argv, request->argc, request->cwd))
		reason->code = REASON_CONFIGURE_PROBE;
	else if (request->family == FAMILY_UNKNOWN)
		reason->code = REASON_UNKNOWN_COMPILER;
	else if (response_expand(request, arena, &p.argv) < 0)
		reason->code = REASON_RESPONSE_FILE;
	if (reason->code != REASON_NONE)
		return COMMAND_LOCAL;

	parse_arguments(&p);
	*reason = decide(&p);
	if (reason->code != REASON_NONE)
		return COMMAND_LOCAL;
	fill(&p);
	for (size_t i = 0; i < ret->n_outputs; i++) {
		/* The compilers refuse, or overwrite their own input: theirs to say. */
		if (strcmp(ret->outputs[i].path, ret->input) == 0) {
			reason->code = REASON_OUTPUT_SPECIAL;
			return COMMAND_LOCAL;
		}
	}
	return 0;
}

/* Names */

/* The driver's own word in "x86_64-linux-gnu-g++-12.2": the last component that isn't a version. */
static struct slice driver_word(const char *name)
{
	size_t end = strlen(name);
	for (;;) {
		size_t start = end;
		while (start > 0 && (isdigit((unsigned char)name[start - 1]) || name[start - 1] == '.'))
			start--;
		if (start == end || start == 0 || name[start - 1] != '-')
			break;
		end = start - 1;
	}
	size_t start = end;
	while (start > 0 && name[start - 1] != '-')
		start--;
	return slice_of(name + start, end - start);
}

enum compiler_family command_family_of_name(const char *basename)
{
	struct slice word = driver_word(basename);
	if (slice_equal_str(word, "gcc") || slice_equal_str(word, "g++"))
		return FAMILY_GCC;
	if (slice_equal_str(word, "clang") || slice_equal_str(word, "clang++"))
		return FAMILY_CLANG;
	return FAMILY_UNKNOWN;
}

bool command_is_cxx_name(const char *basename)
{
	struct slice word = driver_word(basename);
	return slice_equal_str(word, "g++") || slice_equal_str(word, "clang++") || slice_equal_str(word, "c++");
}
