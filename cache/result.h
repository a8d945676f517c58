/* A result as bytes: a protobuf message that is an REAPI ActionResult — output_files whose paths are the labels,
 * exit_code, stdout_digest, stderr_digest — with what only we need besides in execution_metadata.auxiliary_metadata,
 * one Any per fact, whose type_url begins with "llama/". Every reader of ActionResults understands it. No I/O here. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "cache/cache.h"

void result_encode(const struct cache_result *result, struct buf *ret);

/* Decode all of `bytes`; strings and outputs in `arena`. -1: malformed, or a fact is missing. */
int result_decode(struct slice bytes, struct arena *arena, struct cache_result *ret, struct error *err);
