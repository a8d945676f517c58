/* The names of the files that a compilation writes, by each driver's own rules. Found by experiment with gcc 12 and clang 14, which
 * test-drivers.c repeats. gcc derives side files from the main output (its dumpdir and dumpbase), clang some from the output and some from the
 * input. gcc before 11 has other rules for some. */
#pragma once

#include "compiler/command.h"

enum save_temps { SAVE_TEMPS_NONE, SAVE_TEMPS_PLAIN, SAVE_TEMPS_CWD, SAVE_TEMPS_OBJ };

/* What beside the main output is asked for. */
struct output_options {
	const char *output; /* -o, or NULL */
	bool split_dwarf, notes, counts, stack_usage, callgraph;
	bool lto;
	enum save_temps save_temps;
};

/* Fill outputs and n_outputs of `command`, whose family, language, input, stops_at_assembly and depfile are set; the main output comes first. */
void outputs_name(struct command *command, const struct output_options *options, struct arena *arena);

/* Where -MD writes when neither -MF nor -Wp, says so. */
const char *outputs_depfile_name(
	enum compiler_family family, const char *input, const char *output, struct arena *arena);
