/* The look-up log as bytes: written by the interposer (worker/interposer.c, preloaded into the processes of a job) into a shared
 * mapping, read by lookup_log.h.
 *
 * The mapping is a memfd that every process of the job inherits under the descriptor number in LLAMA_TRACE. It begins with struct
 * trace_header; then come the NUL-terminated strings of the redirect table; then records. A process claims room with an atomic add
 * on `used`; a record that doesn't fit sets `overflow` and is lost: the log is then incomplete and the job is not trusted.
 *
 * LLAMA_TRACE is "FD", or "FD:ROOT" where the tree of home stands below the directory ROOT (absolute, squeezed) and only symlinks lead there from the
 * real root. Processes then see, and the log has, home's own paths. Beside ROOT stands the directory TRACE_FOREIGN_PRIVATE, which is looked up as it is,
 * like TRACE_FOREIGN_OWN, /proc, /dev and /sys.
 *
 * A record is one word, then the path: absolute (the interposer puts its cwd, or the directory's path for openat, before a
 * relative one), not squeezed, no NUL. Records start at multiples of 4. The word is stored last; a record that is claimed but
 * still zero belongs to a process that was killed. */
#pragma once

#include <stdint.h>

#define TRACE_VARIABLE "LLAMA_TRACE"

#define TRACE_FOREIGN_OWN     "/llama"  /* the worker's programs and libraries */
#define TRACE_FOREIGN_PRIVATE "/.llama" /* in ROOT's directory: state, and the job's temporaries */

enum {
	TRACE_MAGIC = 0x6c747265, /* another for each layout: a daemon may meet the interposer of another version */
	/* Sparse: only what is written takes memory; a unit with 3,000 absent names writes 300 KB. */
	TRACE_BYTES = 32 << 20,
};

struct trace_header {
	uint32_t magic;
	uint32_t size;	   /* of the mapping */
	uint32_t used;	   /* atomic: offset of the next record */
	uint32_t overflow; /* atomic flag: something is missing from the log */
	uint32_t started;  /* atomic: programs whose interposer came up */
	uint32_t executed; /* atomic: successful exec and spawn calls; the command itself is counted before it starts */
	uint32_t n_redirects;
	uint32_t redirects; /* offset of the table: pairs of strings, absolute squeezed target, absolute temporary */
	uint32_t records;   /* offset of the first record */
	uint32_t clock;	    /* atomic flag: somebody asked for the local time */
	uint32_t columns, rows;		     /* of the terminal */
	uint64_t terminal_dev, terminal_ino; /* the pipe that is to be taken for a terminal; 0: none */
};

enum trace_op {
	TRACE_FOUND = 1, /* opened or examined, exists: regular file */
	TRACE_DIRECTORY,
	TRACE_ABSENT,
	TRACE_LISTED,  /* opendir and the like */
	TRACE_LINK,    /* readlink, realpath, lstat */
	TRACE_LOADED,  /* mapped by the loader or by libc itself: program, shared objects, locale */
	TRACE_WRITTEN, /* opened for writing or creating, renamed from or to, linked, made, removed: an effect */
	TRACE_SPECIAL, /* found, but not a regular file or directory; or an error other than absence */
	TRACE_OPS,
};

/* The word before a record's path. */
static inline uint32_t trace_word(enum trace_op op, uint32_t path_len)
{
	return (uint32_t)op << 16 | path_len;
}

static inline uint32_t trace_word_op(uint32_t word)
{
	return word >> 16;
}

static inline uint32_t trace_word_len(uint32_t word)
{
	return word & 0xffff;
}

/* Bytes that a record with a path of this length takes. */
static inline uint32_t trace_record_size(uint32_t path_len)
{
	return (4 + path_len + 3) & ~3u;
}
