/* The log file: a line per request with what was decided, why, and the times; `log = FILE`. Fields are key=value, values percent-encoded. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "cache/cache.h"
#include "compiler/reason.h"
#include "daemon/plan.h"

struct journal_entry {
	int64_t started_ns;	      /* CLOCK_MONOTONIC */
	const char *decision;	      /* hit, sandbox, inplace, local, verified, differed, cancelled; static */
	const struct cache_why *miss; /* why the cache had nothing; NULL: it had, or was not asked */
	const char *unkept;	      /* why the result of a run was not kept: clock, inputs, outputs; static; NULL: it was */
	int64_t scan_us, engine_us;
};

void journal_begin(struct journal_entry *entry);
/* `file` NULL: nothing is written. */
void journal_write(FILE *file, const struct journal_entry *entry, const struct plan *plan, const struct reason *reason);
/* A line about something that is no request: an engine's failure, a damaged index. */
void journal_note(FILE *file, const char *subject, const char *text);
