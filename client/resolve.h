/* Which compiler a call of llamacc means.
 *
 *   as compiler    llamacc -c x.c              LLAMACC_LOCAL_CC / LLAMACC_LOCAL_CXX, else the next cc / c++ on PATH
 *   as launcher    llamacc /usr/bin/g++ …      the command that is its first argument, by path or by name
 *   as masquerade  gcc -> llamacc              the next file of that name on PATH
 *
 * "Next on PATH" passes over ourselves under whatever name: a link or copy of this program, a symlink that ends in a
 * file named llamacc. A launched path that turns out to be ourselves means the next file of its name, so that launcher
 * and masquerade together count once. Links to ccache, distcc and the like are taken as found. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"

/* The world as resolving sees it; all borrowed. */
struct resolve_context {
	struct stat self;      /* of this program's file */
	const char *self_path; /* a path that opens it */
	const char *cwd;       /* absolute */
	const char *path;      /* PATH, NULL when unset */
	const char *local_cc;  /* LLAMACC_LOCAL_CC, NULL when unset */
	const char *local_cxx; /* LLAMACC_LOCAL_CXX, NULL when unset */
	bool nested; /* Below another llamacc: a wrapper that searches PATH may have found us again, so prefer a
		      * compiler to a wrapper (ccache and the like, any script), or the two would call each other for
		      * ever. */
};

enum resolve_mode { RESOLVE_COMPILER, RESOLVE_LAUNCHER, RESOLVE_MASQUERADE };

struct resolved {
	enum resolve_mode mode;
	const char *compiler; /* absolute path as found: neither symlinks nor dots are resolved; argv[0] is the same
				 pointer */
	const char **argv;    /* what the compiler will see; ends in NULL */
	size_t argc;
};

/* Results live in `arena` or `argv`. -1: there is no such compiler; the error names it and the next step. */
int resolve_compiler(const struct resolve_context *context, int argc, char **argv, struct arena *arena,
	struct resolved *ret, struct error *err);

/* Whether this is a compiler's file name: (triple-)? gcc|g++|cc|c++|clang|clang++ (-version)? */
bool resolve_is_compiler_name(const char *name);
