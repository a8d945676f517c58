/* Whole-file operations that retry EINTR and say which path failed. Blocking: call them from workers or at start-up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

/* Append the whole of an open file or of `path` to `ret`; at most `limit_bytes`, more is an error (EFBIG). */
int file_read_fd(int fd, size_t limit_bytes, struct buf *ret, struct error *err);
int file_read(const char *path, size_t limit_bytes, struct buf *ret, struct error *err);

/* Write everything; short writes are continued. */
int file_write_fd(int fd, struct slice bytes, struct error *err);

/* Replace `path` by a new file with these bytes, all or nothing (temporary name, then rename; not synced to disk). */
int file_replace(const char *path, struct slice bytes, mode_t mode, struct error *err);

/* A new, empty file for writing, as open() makes it for a process with umask `mask`: where the directory has a default ACL,
 * that takes the umask's place. The descriptor, or -1; what stands at `path` is an error. */
int file_create(const char *path, mode_t mode, mode_t mask, struct error *err);

/* Copy all of the file `from`, whatever its offset, to `to`, which is new and empty or a stream; by reflink, copy_file_range or
 * read/write, whichever works first. */
int file_copy_fd(int from, int to, struct error *err);

/* mkdir -p with `mode` for every directory that is made. */
int file_make_dirs(const char *path, mode_t mode, struct error *err);

/* 0: a directory, itself or behind a symlink, that belongs to this user and that nobody else may write to. -1 says how not. */
int file_check_own_dir(const char *path, struct error *err);

/* rm -rf of `name` below the directory `dirfd` (AT_FDCWD for a plain path); never follows a symlink; what isn't there is no
 * error. Directories without write permission are made writable first. */
int file_remove_tree(int dirfd, const char *name, struct error *err);
