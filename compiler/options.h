/* The one table of gcc's and clang's options: how each takes its argument, which drivers know it, and what it means to us. From the gcc
 * manual and its .opt files (12 to 14) and clang's Options.td (14 to 18), checked against gcc 12 and clang 14.
 *
 * To teach Llama an option, add its row. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/command.h"

enum option_style {
	ARG_NONE,     /* -c */
	ARG_JOINED,   /* -std=c99; the value may be empty */
	ARG_SEPARATE, /* -Xlinker value */
	ARG_EITHER,   /* -Ivalue, -I value */
	ARG_COMMA,    /* -Wa,value,value */
};

enum option_class {
	OPTION_HARMLESS,  /* names no file, or only the linker's */
	OPTION_DIRECTORY, /* its value is a directory that is searched */
	OPTION_FILE,	  /* its value is a file that is read */

	OPTION_COMPILE,	 /* -c */
	OPTION_ASSEMBLY, /* -S */
	OPTION_OUTPUT,	 /* -o */
	OPTION_LANGUAGE, /* -x */
	OPTION_END_OF_OPTIONS,

	OPTION_DEP_ALL,	   /* -MD */
	OPTION_DEP_USER,   /* -MMD */
	OPTION_DEP_FILE,   /* -MF */
	OPTION_DEP_TARGET, /* -MT */
	OPTION_DEP_QUOTED, /* -MQ */
	OPTION_DEP_PHONY,  /* -MP */

	OPTION_COLOR,
	OPTION_PLAIN, /* no colour, and more: stays in the key */
	OPTION_CPU,   /* -march= and friends: "native" must be resolved */
	OPTION_DEBUG, /* -g… */
	OPTION_LTO,
	OPTION_SEED,
	OPTION_RECORDS,	     /* clang copies the whole command line into the object; gcc only the flags */
	OPTION_PROFILE_FILE, /* clang: profile data, a file or a directory with default.profdata */

	/* Write further files beside the main output. */
	OPTION_SPLIT_DWARF,
	OPTION_COVERAGE, /* notes and arcs */
	OPTION_NOTES,
	OPTION_ARCS, /* no file, but the output's name goes into the object; its value is as the next one's */
	OPTION_COUNTS_DIRECTORY, /* where the program will write its counts */
	OPTION_STACK_USAGE,
	OPTION_CALLGRAPH,
	OPTION_SAVE_TEMPS,

	/* Pass their value on to another program, which has options of its own. */
	OPTION_TO_PREPROCESSOR,
	OPTION_TO_ASSEMBLER,
	OPTION_TO_CC1,
	OPTION_TO_LLVM,

	/* Reasons to run locally. */
	OPTION_UNLESS_ASSIGNS, /* local only when its value holds a '=', which then precedes a file name */
	OPTION_LOCAL,
	OPTION_OTHER_MODE, /* neither compiles, nor assembles, nor links */
	OPTION_PREPROCESS,
	OPTION_DEPS_ONLY,
	OPTION_INFORMATION,
	OPTION_PCH,
	OPTION_MODULES,
	OPTION_PROFILE,
	OPTION_OTHER_LANGUAGE,
};

struct option {
	const char *name;
	uint8_t style;	  /* enum option_style */
	uint8_t families; /* a set, private to the table */
	uint8_t class;	  /* enum option_class */
};

struct option_match {
	const struct option *option; /* static */
	const char *value;	     /* the joined value, inside the argument; NULL when it is the next argument */
	bool separate;		     /* the next argument belongs to it */
};

/* What `arg` is for this family's driver; false when it is unknown, and might name a file, or isn't an option. */
bool option_find(const char *arg, enum compiler_family family, struct option_match *ret);

/* The rows of the table, NULL after the last: for tests and documentation. */
const struct option *option_at(size_t i);
