/* Counters of what happened, as the documented keys of `llama stats --json`: one set since the state directory began, and one per
 * recent build (LLAMACC_BUILD_ID), for the summary of `llama build`. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "compiler/reason.h"

/* X(field, json key) — plain counters; dotted keys are nested objects. */
#define STATS_TABLE(X)                                                                                                \
	X(requests, "requests")                       /* compiler commands that asked */                              \
	X(hits_local, "hits.local")                   /* answered from the local cache */                             \
	X(hits_shared, "hits.shared")                 /* answered from the bucket that is shared with others */       \
	X(share_rejected, "share.rejected")           /* objects of that bucket that were damaged or forged */        \
	/* results that are shared for one place only although there is a base_dir, by reason (compiler/portable.h) */              \
	X(share_skipped_contains_path, "share.skipped.contains_path")                                                 \
	X(share_skipped_messages, "share.skipped.messages")                                                           \
	X(share_skipped_opaque, "share.skipped.opaque")                                                               \
	X(share_skipped_option, "share.skipped.option")                                                               \
	X(share_skipped_text, "share.skipped.text")                                                                   \
	X(share_skipped_spelling, "share.skipped.spelling")                                                           \
	X(share_skipped_measured, "share.skipped.measured")                                                           \
	X(share_skipped_depfile, "share.skipped.depfile")                                                             \
	X(executed_sandbox, "executed.sandbox")       /* results of the sandbox engine */                             \
	X(executed_lambda, "executed.lambda")         /* results of Lambda functions */                               \
	X(executed_inplace, "executed.inplace")       /* results of the engine in place */                            \
	X(local_total, "local.total")                 /* handed back to the client; local.reasons says why */         \
	X(predict_us, "predict_us")                   /* spent on telling inputs from texts, without running anything */ \
	X(scan_miss, "scan_miss")                     /* jobs repeated because an input had not been predicted */     \
	X(scan_fallback, "scan_fallback")             /* jobs whose inputs the compiler's own -M told, for the closure could not */  \
	X(verify_checked, "verify.checked")           /* results compared with a second compilation */                \
	X(verify_differed, "verify.differed")         /* … that were not equal */                                     \
	X(compile_errors, "compile_errors")           /* commands that failed on the engine */                        \
	X(cancelled, "cancelled")                     /* clients that went away before their answer */                \
	X(engine_wall_us, "engine.wall_us")           /* of commands on the engine, summed */                         \
	X(engine_cpu_us, "engine.cpu_us")                                                                             \
	X(engine_max_rss_kb, "engine.max_rss_kb")     /* largest single command */                                    \
	X(engine_synced_bytes, "engine.synced_bytes") /* file content copied into sandbox roots */                    \
	X(local_wall_us, "local.wall_us")             /* of metered local commands, summed */                         \
	X(lambda_requests, "lambda.requests")         /* invocations; like all below not counted by build */                                            \
	X(lambda_billed_ms, "lambda.billed_ms")                                                                       \
	X(lambda_billed_mb_ms, "lambda.billed_mb_ms") /* times the function's memory; also told as lambda.gb_seconds */ \
	X(lambda_overhead_us, "lambda.overhead_us")   /* of the workers around the commands, as their answers tell */  \
	X(lambda_cold_starts, "lambda.cold_starts")                                                                   \
	X(lambda_throttles, "lambda.throttles")       /* invocations refused with 429 */                              \
	X(lambda_retries, "lambda.retries")           /* other attempts at a job */                                   \
	X(lambda_errors, "lambda.errors")             /* jobs that failed for good */                                 \
	X(lambda_bytes_in, "lambda.bytes_in")         /* of invocations */                                            \
	X(lambda_bytes_out, "lambda.bytes_out")                                                                       \
	X(s3_gets, "s3.gets")                         /* requests, of this machine and of the workers */              \
	X(s3_puts, "s3.puts")                                                                                         \
	X(s3_bytes_in, "s3.bytes_in")                 /* of this machine */                                           \
	X(s3_bytes_out, "s3.bytes_out")

struct stats_counters {
#define X(field, key) uint64_t field;
	STATS_TABLE(X)
#undef X
};

struct stats;

/* Load what `path` holds (absent: zeros; damaged: zeros too, the file is replaced at the next save). */
struct stats *stats_new(const char *path);
void stats_free(struct stats *stats);
int stats_save(struct stats *stats, struct error *err);
void stats_reset(struct stats *stats);

/* Count one event for everything and for the build `build_id` (NULL or "": none). */
#define stats_add(stats, build_id, field, n) stats_add_at((stats), (build_id), offsetof(struct stats_counters, field), (n))
void stats_add_at(struct stats *stats, const char *build_id, size_t offset, uint64_t n);
void stats_max_rss(struct stats *stats, const char *build_id, uint64_t rss_kb);
/* Count a command handed back, and its reason. */
void stats_add_local(struct stats *stats, const char *build_id, const struct reason *reason);

/* The documented JSON object, indented; `build_id` NULL: everything, with the daemon's own CPU time and memory; an unknown build has zeros. */
void stats_print(const struct stats *stats, const char *build_id, struct buf *to);
