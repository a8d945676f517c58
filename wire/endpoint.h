/* Where a daemon is found: one per user, view of the file system (device and inode of `/`, mount namespace) and profile of
 * the configuration. Uses only base/ and libc. */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum { ENDPOINT_PATH_BYTES = 256 };

struct endpoint {
	uint64_t root_dev, root_ino, mount_ns;
	char directory[ENDPOINT_PATH_BYTES]; /* the runtime directory */
	char socket[ENDPOINT_PATH_BYTES];    /* <directory>/<16 hex digits of view and profile>.sock; fits sockaddr_un or
						endpoint_init fails */
	char lock[ENDPOINT_PATH_BYTES];	     /* …lock: held by the daemon with flock */
	char heartbeat[ENDPOINT_PATH_BYTES]; /* …beat: 8 bytes, CLOCK_MONOTONIC milliseconds of the loop's last turn,
						native order */
	char start[ENDPOINT_PATH_BYTES]; /* …start: held with flock by the client that starts a daemon; not empty after
					    it failed */
};

/* Fill all of it from `profile` (LLAMA_PROFILE; NULL or "" for none) and `runtime_dir` (LLAMA_RUNTIME_DIR), or with NULL or ""
 * for that from $XDG_RUNTIME_DIR/llama, else /tmp/llama-UID. An XDG_RUNTIME_DIR that isn't this user's own directory (sudo keeps the other's) is passed over.
 * Creates nothing. -1: the directory is not absolute, the socket path is too long, or `/` can't be examined. */
int endpoint_init(struct endpoint *endpoint, const char *runtime_dir, const char *profile, struct error *err);

/* The runtime directory must be a real directory, owned by this user, mode 0700; made so if absent. -1 says what is
 * wrong. */
int endpoint_make_directory(const struct endpoint *endpoint, struct error *err);

/* A connected, blocking socket, close-on-exec, above 2; or -1: `err->code` is ENOENT or ECONNREFUSED when no daemon
 * listens. The directory must be as endpoint_make_directory wants it, and the peer's uid ours (SO_PEERCRED), or it is
 * refused with EPERM. A full backlog is waited for up to `timeout_ms`, which stays the socket's send timeout (SO_SNDTIMEO). */
int endpoint_connect(const struct endpoint *endpoint, int timeout_ms, struct error *err);

/* `fd`, or a copy of it above 2 when it landed where a standard descriptor was closed; close-on-exec. -1 stays -1,
 * errno kept. */
int endpoint_above_stdio(int fd);
