/* Why a command is run locally. The names are a documented enum: they are the keys of `local.reasons` in `llama stats --json`. */
#pragma once

#include "base/buf.h"

/* X(enumerator, name, explanation for `llama explain` and the manual) */
#define REASON_TABLE(X)                                                                                                \
	X(LINK, "link", "linking is done locally")                                                                     \
	X(PREPROCESS_ONLY, "preprocess_only", "-E: the text is made locally")                                          \
	X(DEPENDENCIES_ONLY, "dependencies_only", "-M or -MM alone")                                                   \
	X(INFORMATION, "information",                                                                                  \
		"a question to the compiler, not a compilation (--version, -dumpmachine, -###…)")                      \
	X(CONFIGURE_PROBE, "configure_probe", "a probe of configure, CMake or Meson")                                  \
	X(MULTIPLE_INPUTS, "multiple_inputs", "more than one input file")                                              \
	X(NO_INPUT, "no_input", "no input file")                                                                       \
	X(STDIN, "stdin", "input from a pipe or the terminal")                                                         \
	X(OPTION, "option", "an option that is unknown, or not for the engine")                                        \
	X(ENVIRONMENT, "environment", "an environment variable changes the compiler in ways we don't follow")          \
	X(DATE_TIME, "date_time", "__DATE__, __TIME__, __TIMESTAMP__ or #pragma GCC dependency")                       \
	X(LANGUAGE, "language", "a language that is not for the engine")                                               \
	X(ASSEMBLE, "assemble", "assembler source, by configuration")                                                  \
	X(RESPONSE_FILE, "response_file", "a response file that can't be read")                                        \
	X(PCH, "pch", "precompiled headers")                                                                           \
	X(MODULES, "modules", "C++ or clang modules")                                                                  \
	X(PROFILE_USE, "profile_use", "gcc's profile data")                                                            \
	X(NATIVE, "native", "-march=native whose flags would be recorded")                                             \
	X(SPECIAL_FILE, "special_file", "an input that is missing, or no regular file")                               \
	X(OUTPUT_SPECIAL, "output_special", "an output that is not a plain file we may replace")                       \
	X(CLOSED_STDIO, "closed_stdio", "standard input, output or error is closed")                                   \
	X(WRAPPER, "wrapper", "the compiler is a script or an unknown wrapper")                                        \
	X(UNKNOWN_COMPILER, "unknown_compiler", "neither gcc nor clang, or its toolchain could not be observed")       \
	X(UNOBSERVED, "unobserved", "a compiler process could not be observed (static or privileged)")                 \
	X(PATH_NOT_MIRRORED, "path_not_mirrored",                                                                      \
		"a path leads into /proc, /dev or another place that can't be mirrored")                               \
	X(HARD_LINKED, "hard_linked", "one inode under two paths")                                                     \
	X(SCAN_FAILED, "scan_failed", "the compiler's own -M failed")                                                  \
	X(SCAN_MISS, "scan_miss", "inputs were still missing after two repetitions")                                   \
	X(INPUT_CHANGED, "input_changed", "an input changed while the job was prepared")                               \
	X(COMPILE_ERROR_RETRY, "compile_error_retry", "failed on the engine; run again here for the exact messages")   \
	X(REMEMBERED, "remembered", "this unit failed on the engine before and succeeded locally")                     \
	X(ENGINE_FAILED, "engine_failed", "the engine could not run the job")                                          \
	X(ENGINE_OFF, "engine_off", "engine = local")                                                                  \
	X(UNFORESEEN_OUTPUT, "unforeseen_output", "the compiler wrote a file that the option table does not foresee")  \
	X(ROOT_LEAK, "root_leak", "an output names the worker's private root")                                         \
	X(REQUESTED, "requested", "LLAMACC_LOCAL")                                                                     \
	X(NESTED, "nested", "started by a compiler that already holds a slot")                                         \
	X(DAEMON_LEAVING, "daemon_leaving", "the daemon is about to stop")

enum reason_code {
	REASON_NONE,
#define X(enumerator, name, text) REASON_##enumerator,
	REASON_TABLE(X)
#undef X
		REASON_COUNT
};

struct reason {
	enum reason_code code;
	const char *detail; /* the name of the option or variable, or a path, or NULL; borrowed from the command's arena or static */
};

const char *reason_name(enum reason_code code); /* "link" */
const char *reason_text(enum reason_code code); /* "linking is done locally" */

/* "link", or "option:-fplugin=", "environment:LD_PRELOAD": the key in the statistics. Appended to `to`. */
void reason_format(const struct reason *reason, struct buf *to);
