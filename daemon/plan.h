/* A plan: what one request asks for, worked out before anything runs. Pure but for looks through the file view. */
#pragma once

#include "compiler/command.h"
#include "compiler/environment.h"
#include "compiler/skeleton.h"
#include "exec/executor.h"
#include "files/view.h"
#include "wire/frame.h"

struct daemon;
struct engine;
struct toolchain;

struct plan {
	const struct frame_request *frame;
	uint64_t since;            /* view_arrive() of the request */
	const char *build_id;      /* LLAMACC_BUILD_ID or NULL */
	struct engine *engine;     /* NULL: it runs in place */
	const char *compiler;      /* for the engine: the real compiler, seen through links to ccache and the like */
	enum compiler_family family;
	bool cxx_driver;
	struct environment environment;
	struct command command;
	const char *directory;     /* what the compiler takes for the working directory: PWD if it names `.`, else getcwd */
	const char *source;        /* the input, absolute */
	struct digest source_digest;
	struct exec_output *outputs; /* one per command output, in order; temporaries set by plan_name_temporaries */
	size_t n_outputs;
	const char **engine_env;   /* complete environment of the job */
	struct digest messages_kind; /* terminal and colour: see cache_result */
};

enum plan_outcome { PLAN_LOCAL = 1 };

/* 0: the engine may do it; PLAN_LOCAL with `reason`. Strings in `arena` or the frame, which must both outlive the plan. */
int plan_make(struct daemon *daemon, const struct frame_request *frame, uint64_t since, struct arena *arena, struct plan *ret,
	struct reason *reason);

/* Whether a text with this skeleton makes the outputs depend on the clock. SOURCE_DATE_EPOCH settles the date only for gcc: clang heeds it since version 16. */
bool plan_depends_on_clock(const struct plan *plan, const struct skeleton *skeleton);

/* Key 1 of the plan with this toolchain. */
struct digest plan_key(const struct plan *plan, const struct toolchain *toolchain);
/* The same for whoever has the directory `base` elsewhere: what names it, or something below it, counts as if it lay at one place for all. */
struct digest plan_key_below(const struct plan *plan, const struct toolchain *toolchain, const char *base);

/* The key under which a unit of this key 1 that failed on the engine, but not at home, is remembered: as a result with its inputs. */
struct digest plan_remembered_key(const struct digest *key);
bool plan_is_remembered_as_local(struct daemon *daemon, const struct plan *plan, const struct digest *key);

/* Choose a temporary name beside each output. */
void plan_name_temporaries(struct plan *plan, struct arena *arena);

/* Remove what stands under the temporary names. */
void plan_remove_temporaries(const struct plan *plan);
