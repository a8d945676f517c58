/* The look-up log: written by the interposer (worker/interposer.c, preloaded into the compiler's processes) into a shared mapping, read here.
 *
 * The mapping is a memfd that every process of the job inherits under the descriptor number in LLAMA_TRACE. It begins with struct trace_header; then
 * come NUL-terminated strings of the redirect table; then records. A process claims room with an atomic add on `used`; a record that doesn't
 * fit sets `overflow` and is lost: the log is then incomplete and the job is not trusted.
 *
 * The interposer is async-signal-safe in what it adds (it runs between vfork and exec), keeps no state but the mapping and the cached cwd, never
 * allocates, and never changes errno or a result, except that paths in the redirect table are replaced (in place: outputs go to temporaries). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "files/lookups.h"

enum { TRACE_MAGIC = 0x6c747263, TRACE_BYTES = 8 << 20 /* sparse: only what is written takes memory */ };

struct trace_header {
	uint32_t magic;
	uint32_t size;       /* of the mapping */
	uint32_t used;       /* atomic: offset of the next record */
	uint32_t overflow;   /* atomic flag */
	uint32_t started;    /* atomic: processes whose interposer constructor ran */
	uint32_t executed;   /* atomic: exec and spawn calls made, minus those that returned with failure; the runner counts the first one */
	uint32_t n_redirects;
	uint32_t redirects;  /* offset of the table: pairs of strings, absolute squeezed target, absolute temporary */
};

enum trace_op {
	TRACE_FOUND = 1,  /* opened or examined, exists: regular file */
	TRACE_DIRECTORY,
	TRACE_ABSENT,
	TRACE_LISTED,     /* opendir and the like */
	TRACE_LINK,       /* readlink, realpath, lstat */
	TRACE_LOADED,     /* a shared object or program of the process (dl_iterate_phdr at start) */
	TRACE_WRITTEN,    /* opened for writing or creating, renamed to, linked, made, removed: an effect */
	TRACE_SPECIAL,    /* found, but not a regular file or directory; or an error other than absence */
};

/* A record: u16 length of the path, u8 op, u8 unused, then the path, absolute (the interposer adds its cwd, or the directory's for openat), not
 * squeezed, no NUL. Records start at multiples of 4. */

struct lookup_log {
	struct lookups lookups;   /* sorted; digests zero */
	const char **written;     /* absolute, squeezed, without doubles: what the job created, changed or removed, outputs included */
	size_t n_written;
	bool complete;            /* no overflow, and every executed process had the interposer */
};

struct lookup_log_filter {
	const char *const *outputs; /* absolute paths of the outputs (and their temporaries): look-ups of them are no inputs; NULL-terminated */
	const char *private_dir;    /* "/.llama" or the job's TMPDIR: everything below is ours; NULL allowed */
};

/* Decode the log. What the job itself had written before it looked is no input; /dev/null, /dev/tty, /dev/urandom and /proc/self/… that compilers
 * use of themselves (exe, fd, maps, cgroup, cpuinfo, meminfo: list in the .c) are left out; other /proc, /dev, /sys paths are LOOKUP_SPECIAL. In `arena`. -1: malformed. */
int lookup_log_parse(struct slice mapping, const struct lookup_log_filter *filter, struct arena *arena, struct lookup_log *ret,
	struct error *err);
