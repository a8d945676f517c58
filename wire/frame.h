/* Frames between llamacc (or `llama`) and the daemon, over a unix stream socket. See docs/INTERFACES.md.
 *
 * A frame is a 12-byte header, little-endian — u32 magic, u16 version, u16 type, u32 payload bytes — and a payload of
 * fields in fixed order: integers of fixed width, strings and blobs as u32 length + bytes, lists as u32 count +
 * elements. A peer that sees another version closes: the client then compiles locally, the old daemon leaves when idle.
 * Uses only base/ and libc: the static client links it. No I/O here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
	FRAME_MAGIC = 0x616d6c6c, /* "llma" */
	FRAME_VERSION = 2,
	FRAME_HEADER_BYTES = 12,
	FRAME_PAYLOAD_LIMIT = 256 << 20,
};

enum frame_type {
	FRAME_REQUEST = 1,   /* client → daemon: one compiler command */
	FRAME_DONE,	     /* daemon → client: here is the result; commit it */
	FRAME_LOCAL,	     /* daemon → client: run it yourself */
	FRAME_COMMITTED,     /* client → daemon: every rename of DONE was made */
	FRAME_CONTROL,	     /* `llama` → daemon: a verb (stats, stop, …) */
	FRAME_CONTROL_REPLY, /* daemon → `llama` */
};

/* A list of strings; elements are NUL-terminated and live in the arena or the caller's memory. `v` itself ends in NULL.
 */
struct frame_strings {
	const char **v;
	size_t n;
};

enum frame_stdio { /* bits of frame_request.stdio */
	FRAME_STDIN_CLOSED = 1 << 0,
	FRAME_STDOUT_CLOSED = 1 << 1,
	FRAME_STDERR_CLOSED = 1 << 2,
	FRAME_STDOUT_TTY = 1 << 3,
	FRAME_STDERR_TTY = 1 << 4,
	FRAME_NESTED =
		1 << 5, /* an ancestor already holds a slot (LLAMACC_NESTED in the environment): take none for this */
};

struct frame_request {
	const char *compiler; /* absolute path of the real compiler as found, symlinks kept; "" when none was found */
	const char *cwd;      /* getcwd() */
	struct frame_strings argv; /* argv[0] as the compiler will see it, then the user's arguments in order */
	struct frame_strings env;  /* "NAME=value": the variables that frame_env_matters() names */
	uint32_t umask;
	uint32_t stdio;			       /* enum frame_stdio bits */
	uint32_t columns, rows;		       /* of the terminal on stderr, 0 without one */
	uint64_t root_dev, root_ino, mount_ns; /* identity of `/` and of the mount namespace */
};

struct frame_rename {
	const char *temporary; /* absolute; "" when `target` is only to be removed, as a failing compiler does */
	const char *target;    /* absolute */
};

struct frame_done {
	uint32_t exit_code;
	const char *decision;  /* "hit", "sandbox", … as in the request log, for LLAMACC_VERBOSE */
	struct slice out, err; /* to write to stdout and stderr */
	struct frame_rename *renames;
	size_t n_renames;
};

struct frame_local {
	const char *reason; /* a name of compiler/reason.h, for LLAMACC_VERBOSE */
};

/* A control verb ("stats", "stop", "status", "cache", "explain", …), its arguments and, for explain, a request. */
struct frame_control {
	const char *verb;
	struct frame_strings args;
	bool has_request;
	struct frame_request request;
};

struct frame_control_reply {
	uint32_t status;   /* 0 = done, else an exit status for the caller */
	struct slice text; /* usually JSON, else plain text for the user */
};

/* Append one whole frame to `to`. */
void frame_put_request(struct buf *to, const struct frame_request *request);
void frame_put_done(struct buf *to, const struct frame_done *done);
void frame_put_local(struct buf *to, const struct frame_local *local);
void frame_put_committed(struct buf *to);
void frame_put_control(struct buf *to, const struct frame_control *control);
void frame_put_control_reply(struct buf *to, const struct frame_control_reply *reply);

/* Outcomes of frame_next. */
enum frame_outcome { FRAME_INCOMPLETE = 1 };

/* Look for a whole frame at the start of `bytes`. 0: `type`, `payload` (inside `bytes`) and `used` (bytes to skip) are
 * set; FRAME_INCOMPLETE: read more; -1: not our protocol, another version, or over the limit. */
int frame_next(struct slice bytes, enum frame_type *type, struct slice *payload, size_t *used, struct error *err);

/* Decode a payload. Strings are copied into `arena`; slices point into `payload`. -1: malformed. Embedded NULs in
 * strings are malformed. Never reads past the payload, never allocates more than the payload justifies. */
int frame_get_request(struct slice payload, struct arena *arena, struct frame_request *ret, struct error *err);
int frame_get_done(struct slice payload, struct arena *arena, struct frame_done *ret, struct error *err);
int frame_get_local(struct slice payload, struct arena *arena, struct frame_local *ret, struct error *err);
int frame_get_control(struct slice payload, struct arena *arena, struct frame_control *ret, struct error *err);
int frame_get_control_reply(
	struct slice payload, struct arena *arena, struct frame_control_reply *ret, struct error *err);

/* Whether the daemon wants to know this "NAME=value": the variables from which a compiler, its locale or its terminal
 * messages take something, and LLAMACC_*. The list is in frame.c. */
bool frame_env_matters(const char *assignment);
