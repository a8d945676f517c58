/* The file view: what this user's file system holds, asked as seldom as is safe.
 *
 * How it works. Every question is answered by a fresh stat, or by a stat made after the asking request had arrived: view_arrive()
 * counts requests up, an entry remembers the count at which it was last examined, and serves only requests that had arrived by then. Content
 * digests are kept by stat identity (dev, inode, size, mtime, ctime). The racy rule: a digest (or listing) computed when the file's mtime or ctime lay
 * less than 2 s (coarse clocks, network file systems) before the reading is used for the requests at hand and never kept.
 * Absent names are answered from directory listings, kept by the directory's own stat identity with the same rule; a directory
 * that doesn't exist is answered by its nearest existing ancestor.
 * No inotify: it is blind to writes through hard links and mmap.
 *
 * Owned by the loop thread; hashing happens in the caller's thread. Persistent part: digests by identity in the cache's index (view_save/load
 * through callbacks), optional. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "files/lookups.h"
#include "store/digest.h"

struct view;

struct view *view_new(void);
void view_free(struct view *view);

/* A request has arrived; the returned count is its `since` in every question below. */
uint64_t view_arrive(struct view *view);

struct view_identity {
	uint64_t dev, ino;
	int64_t size, mtime_ns, ctime_ns;
};

enum view_kind { VIEW_ABSENT, VIEW_FILE, VIEW_DIRECTORY, VIEW_LINK, VIEW_SPECIAL };

struct view_info {
	enum view_kind kind; /* LINK only with follow = false */
	uint32_t mode;
	uint32_t links; /* st_nlink */
	struct view_identity identity;
};

/* Examine `path` (absolute). Errors other than absence (EACCES, ELOOP, EIO) are VIEW_SPECIAL. */
struct view_info view_stat(struct view *view, uint64_t since, const char *path, bool follow);

/* Digest of the regular file `path`. Positive outcome VIEW_NOT_A_FILE; -1: could not be read, or it changed while being read. */
enum view_outcome { VIEW_NOT_A_FILE = 1 };
int view_digest(struct view *view, uint64_t since, const char *path, struct digest *ret, struct view_info *info_ret, struct error *err);

/* Target of a symlink, valid until the next call on the view; NULL when `path` is no symlink. */
const char *view_readlink(struct view *view, uint64_t since, const char *path);

/* What a process would be told now: fills kind and digest from the file system for `lookup->path`, given the kind that was asked
 * (FILE/DIRECTORY/ABSENT/SPECIAL are one question — "what is there?" —, LISTING and LINK are their own). */
int view_observe(struct view *view, uint64_t since, struct lookup *lookup, struct error *err);

/* Whether every look-up of the list is answered now exactly as it says. 0 = yes; VIEW_DIFFERS with the index of the first difference in
 * `at` (NULL allowed). Absences are asked of directories, not names. Unreadable = differs. */
enum { VIEW_DIFFERS = 1 };
int view_check(struct view *view, uint64_t since, const struct lookups *lookups, size_t *at);

/* Whether any file or directory that the list found has an mtime or ctime at or after `since_ns` (CLOCK_REALTIME): an input that may have
 * been edited while a job read it. For jobs that ran in place. */
bool view_any_newer(struct view *view, uint64_t since, const struct lookups *lookups, int64_t since_ns);

/* Inode and mtime equality are inputs: gcc and clang drop a second header that shares inode, or mtime and content (#pragma once,
 * #import). A digest over the classes of equal inode and of equal mtime among the found files that share content with another one;
 * zero when there are none. */
int view_alias_signature(struct view *view, uint64_t since, const struct lookups *lookups, struct digest *ret, struct error *err);

/* Counters for statistics and tests. */
struct view_counters {
	uint64_t stats, hashes, hashed_bytes, listings;
};
struct view_counters view_counters(const struct view *view);
