#include "compiler/outputs.h"

#include <string.h>

#include "base/path.h"

/* `path` without its suffix; without its directory as well unless `keep_directory`. For LLVM a leading dot begins a suffix too. */
static struct slice stem(const char *path, bool keep_directory, bool dot_may_lead)
{
	const char *base = path_basename(path);
	const char *dot = strrchr(base, '.');
	const char *end = dot && (dot > base || dot_may_lead) ? dot : base + strlen(base);
	const char *start = keep_directory ? path : base;
	return slice_of(start, (size_t)(end - start));
}

static const char *join(struct arena *arena, struct slice stem, const char *suffix)
{
	return arena_printf(arena, "%.*s%s", (int)stem.len, stem.ptr, suffix);
}

const char *outputs_depfile_name(
	enum compiler_family family, const char *input, const char *output, struct arena *arena)
{
	if (output)
		return join(arena, stem(output, true, true), ".d");
	return join(arena, stem(input, false, family == FAMILY_CLANG), ".d");
}

#define MAX_OUTPUTS 10

static void add(struct command *command, enum output_kind kind, const char *path, bool optional)
{
	/* Two names for one file: the first is the more certain. */
	for (size_t i = 0; i < command->n_outputs; i++) {
		if (strcmp(command->outputs[i].path, path) == 0)
			return;
	}
	command->outputs[command->n_outputs++] = (struct command_output){ kind, path, optional };
}

static bool is_preprocessed(enum language language)
{
	return language == LANGUAGE_C_CPP_OUTPUT || language == LANGUAGE_CXX_CPP_OUTPUT || language == LANGUAGE_ASM;
}

static bool is_assembler(enum language language)
{
	return language == LANGUAGE_ASM || language == LANGUAGE_ASM_CPP;
}

static bool is_cxx(enum language language)
{
	return language == LANGUAGE_CXX || language == LANGUAGE_CXX_CPP_OUTPUT;
}

static void add_save_temps(
	struct command *command, const struct output_options *options, struct arena *arena, struct slice gcc_stem)
{
	bool clang = command->family == FAMILY_CLANG;
	struct slice temps = gcc_stem;
	if (clang) {
		/* Named after the input; =obj puts them beside the output. */
		temps = stem(command->input, false, true);
		if (options->save_temps == SAVE_TEMPS_OBJ && options->output && strchr(options->output, '/')) {
			const char *base = path_basename(options->output);
			temps = slice_str(arena_printf(arena, "%.*s%.*s", (int)(base - options->output),
				options->output, (int)temps.len, temps.ptr));
		}
	}
	bool assembler = is_assembler(command->language);
	if (!assembler && !is_preprocessed(command->language))
		add(command, OUTPUT_SIDE, join(arena, temps, is_cxx(command->language) ? ".ii" : ".i"), true);
	if (!assembler && clang)
		add(command, OUTPUT_SIDE, join(arena, temps, ".bc"), true);
	/* clang -flto ends with the .bc; preprocessed assembler is a .s. */
	bool ends_before = command->stops_at_assembly || command->language == LANGUAGE_ASM;
	if (!ends_before && (assembler || !clang || !options->lto))
		add(command, OUTPUT_SIDE, join(arena, temps, ".s"), true);
}

void outputs_name(struct command *command, const struct output_options *options, struct arena *arena)
{
	bool clang = command->family == FAMILY_CLANG;
	const char *output = options->output;
	struct slice from_input = stem(command->input, false, clang);
	/* gcc: -save-temps=cwd moves every side file but the dependency file to the cwd. */
	bool in_cwd = !clang && options->save_temps == SAVE_TEMPS_CWD;
	struct slice side = output ? stem(output, !in_cwd, clang) : from_input;

	command->outputs = arena_array(arena, struct command_output, MAX_OUTPUTS);
	add(command, OUTPUT_MAIN, output ? output : join(arena, from_input, command->stops_at_assembly ? ".s" : ".o"),
		false);
	if (command->depfile.wanted)
		add(command, OUTPUT_DEPFILE, command->depfile.path, false);

	/* Whether a side file really comes depends on more than the options (an empty source, -flto, no -g): all are optional. */
	if (options->split_dwarf) {
		/* clang -S names it after the input; gcc -S makes none. */
		if (!command->stops_at_assembly)
			add(command, OUTPUT_SIDE, join(arena, side, ".dwo"), true);
		else if (clang)
			add(command, OUTPUT_SIDE, join(arena, from_input, ".dwo"), true);
	}
	if (options->notes && !is_assembler(command->language))
		add(command, OUTPUT_SIDE, join(arena, side, ".gcno"), true);
	if (options->counts && !is_assembler(command->language))
		add(command, OUTPUT_COUNTS, join(arena, side, ".gcda"), true);
	if (options->stack_usage && !is_assembler(command->language))
		add(command, OUTPUT_SIDE, join(arena, side, ".su"), true);
	if (options->callgraph && !is_assembler(command->language))
		add(command, OUTPUT_SIDE, join(arena, side, ".ci"), true);
	if (options->save_temps != SAVE_TEMPS_NONE)
		add_save_temps(command, options, arena, side);
}
