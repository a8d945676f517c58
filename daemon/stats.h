/* Counters of what happened, as the documented keys of `llama stats --json`: one set since the daemon's state began, one per build
 * (LLAMACC_BUILD_ID) for the summary of `llama build`. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "compiler/reason.h"

struct stats;

/* X(field, json key) — plain counters, dotted keys are nested objects */
#define STATS_TABLE(X)                                    \
	X(requests, "requests")                           \
	X(hits_local, "hits.local")                       \
	X(executed_sandbox, "executed.sandbox")           \
	X(executed_inplace, "executed.inplace")           \
	X(local_total, "local.total")                     \
	X(scan_miss, "scan_miss")                         \
	X(verify_checked, "verify.checked")               \
	X(verify_differed, "verify.differed")             \
	X(compile_errors, "compile_errors")               \
	X(cancelled, "cancelled")                         \
	X(engine_wall_us, "engine.wall_us")               \
	X(engine_cpu_us, "engine.cpu_us")                 \
	X(engine_max_rss_kb, "engine.max_rss_kb")         \
	X(input_bytes_synced, "engine.synced_bytes")      \
	X(local_wall_us, "local.wall_us")

struct stats_counters {
#define X(field, key) uint64_t field;
	STATS_TABLE(X)
#undef X
};
