/* Reading the look-up log (format: worker/trace.h): which paths the processes of one job asked for, and what they changed. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "files/lookups.h"
#include "worker/trace.h"

struct lookup_log {
	struct lookups lookups; /* sorted; digests zero */
	/* What the job created, changed or removed, outputs included: absolute, squeezed, sorted, without doubles. */
	const char **written;
	size_t n_written;
	bool clock;    /* the local time was asked for: compilers do for __DATE__, __TIME__ and __TIMESTAMP__, and for nothing else */
	bool complete; /* no overflow, nothing torn, and every executed program had the interposer */
};

struct lookup_log_filter {
	/* Absolute paths of the outputs and of their temporaries: look-ups of them are no inputs. NULL-terminated; NULL allowed. */
	const char *const *outputs;
	/* "/.llama" or the job's TMPDIR: everything below is ours; NULL allowed. */
	const char *private_dir;
	/* The path that the command was started by: the first look-up of all, made before any of it could be observed. NULL allowed. */
	const char *program;
	/* The interposer, where commands see it outside of `private_dir`; NULL allowed. */
	const char *interposer;
};

/* Decode the log. What the job itself had written before it looked is no input. What compilers ask of themselves and of the machine
 * (/dev/null, /proc/self/…, /proc/cpuinfo: list in the .c) is left out; other paths below /proc, /dev and /sys are LOOKUP_SPECIAL. Paths and lists
 * are in `arena`. -1: malformed. */
int lookup_log_parse(struct slice mapping, const struct lookup_log_filter *filter, struct arena *arena,
	struct lookup_log *ret, struct error *err);
