/* Whether a unit's outputs would be the same bytes if a directory, the base, lay somewhere else. That is to be shown, not guessed: outputs are
 * searched for the base's path, and what could depend on it without being found so is refused.
 *
 * How a path gets into an output: __FILE__, asserts and -D with it, debug information, profiling, sanitizers, messages. It stands there as plain text in 8, 16
 * or 32 bits (L"" __FILE__), or its first eight bytes do, where a short string is put together by instructions. It can't be found where a section is compressed
 * (-gz), in another compiler's intermediate code (LTO, bitcode), in profiling data, and in names that are hashes of it (-frandom-seed=). What
 * isn't noticed, except where a text says so in plain sight (skeleton.measures_file): what compilers work out of __FILE__ or a macro given by -D and leave nothing
 * of it, such as its length or a hash.
 *
 * Everything here is pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

/* X(enumerator, name in statistics and log, explanation for the manual) */
#define PORTABLE_TABLE(X)                                                                                              \
	X(CONTAINS_PATH, contains_path, "an output contains the path (__FILE__, -g)")                                \
	X(MESSAGES, messages, "the compiler's messages contain the path")                                            \
	X(OPAQUE, opaque, "an output can't be searched for the path (compressed debug information, LTO, coverage)")  \
	X(OPTION, option, "by an option outputs may depend on the path and not show it")                             \
	X(TEXT, text, "a source or header includes something below base_dir by its absolute path")                   \
	X(SPELLING, spelling, "a system header is found by way of `..`, and compilers write the shorter of its names") \
	X(MEASURED, measured, "a text works with the length or a hash of __FILE__, which is absolute")                 \
	X(DEPFILE, depfile, "a dependency file of unknown form")

enum portable {
	PORTABLE,
#define X(enumerator, name, text) PORTABLE_##enumerator,
	PORTABLE_TABLE(X)
#undef X
		PORTABLE_COUNT
};

const char *portable_name(enum portable why); /* "contains_path"; "" for PORTABLE */
const char *portable_text(enum portable why);

/* Whether a directory's path is one that nobody quotes or escapes, in dependency files, assembler or C. */
bool portable_is_plain(const char *path);

/* An output, or messages. PORTABLE, CONTAINS_PATH or OPAQUE: neither plain text nor an object file that can be searched. */
enum portable portable_examine(struct slice output, const char *base);

/* Whether a text names `base`, or something below it, in any spelling that leads there without a look at the file system: "/a//b" and "/a/./b" are "/a/b". */
bool portable_names(const char *text, const char *base);

/* The first of the arguments by which outputs may depend on `base` unseen, or NULL. */
const char *portable_refused_option(const char *const *argv, size_t argc, const char *base);
