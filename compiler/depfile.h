/* Make's dependency files: parse what -M wrote, and render a stored one for another target.
 *
 * The format is gcc's (libcpp/mkdeps.cc) and clang's (DependencyFile.cpp): quoting of space, tab, #, $, \ differs between
 * them and is kept as found: rendering replaces only the target text and re-wraps lines as the compiler would (gcc 12 at 72 columns of quoted text, clang 14 at 75
 * of unquoted; continued lines begin with one and two spaces). Which of the two wrote a text is found out by rendering. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct depfile {
	const char **inputs; /* unquoted file names in order, phony rules left out */
	size_t n_inputs;
};

/* Parse rules as make would read them; everything in `arena`. -1: not a dependency file. */
int depfile_parse(struct slice text, struct arena *arena, struct depfile *ret, struct error *err);

/* `stored` was written by the compiler for `old_targets`; write the file it would have written for `new_targets` (equal in every other respect). 0, or
 * DEPFILE_UNSURE when the text is not of the expected form, or is so short that either compiler may have written it and they would render the new one
 * differently: then compile. The caller proves it on fresh files: rendering with the
 * same targets must reproduce the text. */
enum depfile_outcome { DEPFILE_UNSURE = 1 };
int depfile_retarget(struct slice stored, const char *const *old_targets, size_t n_old, const char *const *new_targets,
	size_t n_new, struct buf *ret);

/* The file that the compiler would have written for `new_targets` if what lies below the directory `from` lay below `to`. Both are absolute, without a slash
 * at the end, and of characters that nobody quotes in such a file. The targets are the caller's affair. */
int depfile_rebase(struct slice stored, const char *const *old_targets, size_t n_old, const char *const *new_targets, size_t n_new, const char *from,
	const char *to, struct buf *ret);
