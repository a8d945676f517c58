/* Results recorded earlier, in a directory: what exec/record.h writes and exec/replay.h reads.
 *
 * A directory per job, named by the digest of the job's arguments and working directory:
 *   about      a line of numbers: format, size class, outputs, exit code, user, system and wall microseconds, resident KiB
 *   log        the look-ups: a letter of the kind and the path, each ended by a NUL; without the files that the arguments name, for
 *              another job that this one stands in for has its own
 *   out, err   stdout and stderr
 *   0, 1, …    the outputs that were made, in the job's order, executable or not as they were
 * It appears under its name only when it is whole. */
#pragma once

#include <stddef.h>

#include "exec/executor.h"
#include "store/store.h"

struct recording {
	struct digest key;
	uint64_t size;    /* class: bytes of the files that the arguments name */
	size_t n_outputs;
	int exit_code;
	int64_t user_us, system_us, wall_us, max_rss_kb;
	bool entered;     /* its own job was started since the recordings were opened: see recordings_choose */
};

struct recordings;

/* Keep what came of `job`; its outputs are still under their temporary names. It replaces what came of the same job before: a repetition,
 * after an input was missing, is the better one. 0 or -1. Blocking. */
int recording_save(const char *directory, const struct exec_job *job, const struct exec_result *result, struct error *err);

/* NULL with `err` when there is nothing to be had. Blocking. */
struct recordings *recordings_open(const char *directory, struct error *err);
void recordings_close(struct recordings *recordings); /* NULL is allowed */

/* The recording of this very job; else the stand-in: a success with as many outputs, of the nearest size, and of a job that was started
 * itself if there is such a one, because then every path of its log is in the input roots of all later jobs. `exact_ret` says which.
 * NULL: none has as many outputs. Valid until recordings_close. */
const struct recording *recordings_choose(struct recordings *recordings, const struct exec_job *job, bool *exact_ret);

/* Answer `job` from `recording`: write the outputs to their temporaries, and with keep_outputs into `content` as well, fill `ret` (zeroed). A
 * stand-in's object gets this job's key appended, which no ELF reader minds: every job makes content of its own, as it would if
 * it were compiled. 0 or -1. Blocking; safe on any thread. */
int recording_load(const struct recordings *recordings, const struct recording *recording, bool exact, const struct exec_job *job,
	struct store *content, struct exec_result *ret, struct error *err);
