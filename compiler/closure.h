/* Closures: which files a compilation will read, told from the skeletons of its texts without running anything.
 *
 * How it works. All texts met are files, known by absolute path and shared by all commands. For each search path there is a graph: a node is
 * a file as that search path sees it, its edges are what its skeleton asks for, resolved. A prediction walks the graph from the source and from
 * what options put before it. Nodes and edges are remembered; each request examines, through the file view, every file it meets (a stat)
 * and every directory in which a name was looked for in vain (another): equal content and equal names mean equal edges. An absent
 * directory is an absent name in the nearest one that exists. So an edit, a file gone and a header that appears earlier on the path are
 * seen at once and cost only the nodes that depend on them.
 *
 * The prediction is a superset: all branches of #if are taken, __has_include counts as #include, #include_next and what the assembler
 * and #embed ask for is taken from everywhere it exists. Where it falls short (names that only the preprocessor could compute) the look-up log
 * finds out.
 *
 * Use: per (toolchain, search_question.key) keep a struct search as long as view_check() of its look-ups holds; then
 *	closure_request_of(&command, cwd, source, &arena, &request);
 *	closures_predict(closures, since, search, &request, &arena, &prediction);
 * and enter prediction.paths into the snapshot, beside the directories and files that options name and the search path's own
 * directories, which must exist where they exist at home. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "compiler/closure_request.h"
#include "compiler/search.h"
#include "compiler/skeletons.h"
#include "files/view.h"

struct closures;

/* Both are borrowed. */
struct closures *closures_new(struct view *view, struct skeletons *skeletons);
void closures_free(struct closures *closures);

struct prediction {
	/* Every file that may be read, the source first, each once; absolute and squeezed, `..` kept: the way the compiler will take. Borrowed until
	 * the next prediction. */
	const char **paths;
	size_t n_paths;
	/* Directories in which a name was looked for in vain, each once, in no order. Compilers ask first whether such a one exists (inc/llvm, for
	 * <llvm/x.h>), so it must where it does at home. */
	const char **directories;
	size_t n_directories;
	size_t unresolved;	/* computed names that lead to nothing though their macros are known, texts that can't be read */
	const char *pch;	/* a precompiled header that the compiler may take; or NULL */
	const char *date_time;	/* the first file that uses __DATE__ or __TIME__; or NULL */
	const char *timestamp;	/* the same for __TIMESTAMP__ and #pragma GCC dependency */
	bool once;		/* `#pragma once` or #import: file identities matter */
};

void closures_predict(struct closures *closures, uint64_t since, const struct search *search, const struct closure_request *request,
	struct arena *arena, struct prediction *ret);

/* Counters for statistics and tests. */
struct closure_counters {
	uint64_t files, nodes; /* known */
	uint64_t resolved;     /* how often the edges of a node were made */
};
struct closure_counters closure_counters(const struct closures *closures);
