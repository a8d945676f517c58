/* The command model: what a gcc or clang command line asks for, as far as an engine must know it.
 *
 * Parsing is pure: it reads response files through a callback and nothing else. Facts come from the gcc manual ("Invoking
 * GCC") and clang's Options.td. The table is compiler/options.c. An option the table doesn't know is harmless only when it provably can't
 * name a file; otherwise the command is local, reason option:<name>. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "compiler/reason.h"

enum compiler_family { FAMILY_UNKNOWN, FAMILY_GCC, FAMILY_CLANG };

enum language {
	LANGUAGE_UNKNOWN,
	LANGUAGE_C,
	LANGUAGE_CXX,
	LANGUAGE_C_CPP_OUTPUT,	 /* .i */
	LANGUAGE_CXX_CPP_OUTPUT, /* .ii */
	LANGUAGE_ASM,		 /* .s */
	LANGUAGE_ASM_CPP,	 /* .S .sx */
	LANGUAGE_LLVM_IR,	 /* .ll .bc: local */
};

/* What a file the compiler writes is. */
enum output_kind {
	OUTPUT_MAIN,	/* -o, or the default name in the cwd */
	OUTPUT_DEPFILE, /* -MD/-MMD, -Wp,-MD,… */
	OUTPUT_SIDE,	/* .dwo .gcno .su, -save-temps files, …: names follow the compiler's own rules */
	OUTPUT_COUNTS,	/* gcc's .gcda: never made, but what a program wrote there that was compiled before goes, or is void */
};

struct command_output {
	enum output_kind kind;
	const char *path; /* as the compiler will open it: relative to the cwd or absolute */
	bool optional;	  /* the compiler may not make it: all side files */
};

/* How the dependency file is asked for; meaningful when `wanted`. */
struct command_depfile {
	bool wanted;
	const char *path;  /* where it goes */
	bool user_headers; /* -MMD */
	bool phony;	   /* -MP */
	const char **
		targets; /* as they'll stand in the file after quoting (-MT verbatim, -MQ quoted, or the default), NULL-terminated */
	size_t n_targets;
};

struct command {
	enum compiler_family family;
	enum language language;
	const char *input;	/* as given */
	bool assembles_only;	/* input is assembler: no preprocessing, no -M */
	bool stops_at_assembly; /* -S */

	const char **argv; /* what to run: argv[0] as received, @files expanded, order kept; NULL-terminated */
	size_t argc;

	/* What of the command can reach the outputs, in order, for the key: the compiler's basename (clang++ is clang by another name), then argv
	 * without the names in -o, -MF, -MT, -MQ (unless recorded) and colour options. */
	const char **key_args;
	size_t n_key_args;

	/* argv of the prediction: the same command as a dependency scan to standard output (-M): it preprocesses alike and writes no file; its
	 * diagnostics don't matter. NULL when there is nothing to preprocess. argv[0] included. */
	const char **scan_argv;

	struct command_output *outputs;
	size_t n_outputs;
	struct command_depfile depfile;

	/* Files and directories named by options that must be in the input root if they exist, beyond what -M finds (profile data, ignorelists,
	 * -include, sysroot, search directories, …); as given. Not all need exist: -include is also searched like #include "…", and profile data may be
	 * a directory, for which default.profdata in it is listed as well. */
	const char **named_files;
	size_t n_named_files;
	const char **named_dirs;
	size_t n_named_dirs;

	bool user_set_color; /* -f[no-]diagnostics-color or -f[no-]color-diagnostics given */
	bool wants_native;   /* -march/-mtune/-mcpu=native to be resolved with compiler/native.h before use */
	bool records_output_name; /* the -o name reaches an output: -gsplit-dwarf, --coverage, -save-temps, … (then it is in key_args) */
	bool random_seed; /* outputs differ between two runs of the plain compiler (gcc -flto, --coverage without -frandom-seed) */
};

/* The request as the parser sees it. */
struct command_request {
	const char *const *argv; /* argv[0] included; NULL-terminated */
	size_t argc;
	const char *cwd; /* for nothing but the text of default names; not examined */
	bool cxx_driver; /* g++, clang++, c++: .c is C++ for clang++ and g++ */
	enum compiler_family family;
	bool remote_assemble; /* LLAMACC_REMOTE_ASSEMBLE isn't off: assembler sources may go to the engine (default: yes) */
	/* Read a response file named as given; text in `arena`. -1: can't. */
	int (*read_file)(void *ctx, const char *name, struct arena *arena, struct slice *ret);
	void *ctx;
};

enum command_outcome { COMMAND_LOCAL = 1 };

/* 0: `ret` is filled, everything in `arena`. COMMAND_LOCAL: `reason` says why (probes of configure scripts included). Cannot fail otherwise. */
int command_parse(
	const struct command_request *request, struct arena *arena, struct command *ret, struct reason *reason);

/* The family by the name alone ("gcc-12", "x86_64-linux-gnu-g++", "clang++-14", "cc"/"c++" → FAMILY_UNKNOWN). */
enum compiler_family command_family_of_name(const char *basename);
bool command_is_cxx_name(const char *basename);
