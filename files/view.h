/* The file view: what this user's file system holds, asked as seldom as is safe.
 *
 * How it works. Every question is answered by a fresh stat, or by a stat made after the asking request had arrived:
 * view_arrive() counts requests up, an entry remembers the count at which it was last examined, and serves only
 * requests that had arrived by then. Content digests are kept by stat identity (dev, inode, size, mtime, ctime). The
 * racy rule: a digest (or listing) computed when the file's mtime or ctime lay less than 2 s (coarse clocks, network
 * file systems) before the reading is used for the requests at hand and never kept. Absent names are answered from
 * directory listings, kept by the directory's own stat identity with the same rule; a directory that was absent is
 * answered by its nearest existing ancestor. Where a listing would be worth little (the directory changed within the
 * last 2 s, as a build directory does all the time; it is huge; its file system hides or folds names) the names
 * themselves are asked for. No inotify: it is blind to writes through hard links and mmap.
 *
 * Paths are absolute and squeezed; `..` and symlinks in them mean what they mean to the kernel. Two spellings of one file are
 * two questions, but share one digest; those that differ only by `..`, and lead through no symlink, are one question.
 *
 * Owned by the loop thread, which hashes, too; large files it can leave to others (files/hashing.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "files/lookups.h"
#include "store/digest.h"

struct view;

struct view *view_new(void);
void view_free(struct view *view);

/* A request has arrived; the returned count is its `since` in every question below. Whoever needs to know how things
 * are *now*, for instance after a job has run, arrives anew. */
uint64_t view_arrive(struct view *view);

/* There is nothing more to ask for now. Directories in which many names are asked for are open until then, or until the next view_arrive(): less to
 * walk for each, but an open directory holds its file system. */
void view_rest(struct view *view);

/* What the view knows of one path, for whoever asks of it again and again: found once instead of each time. `{ 0 }` at first; the rest is private. */
struct view_place {
	struct entry *entry;
	uint64_t epoch;
};

/* The question that comes soon is about this place: its memory is fetched meanwhile. */
void view_fetch(const struct view *view, const struct view_place *place);

struct view_identity {
	uint64_t dev, ino;
	int64_t size, mtime_ns, ctime_ns;
};

bool view_identity_equal(const struct view_identity *a, const struct view_identity *b);

enum view_kind { VIEW_ABSENT, VIEW_FILE, VIEW_DIRECTORY, VIEW_LINK, VIEW_SPECIAL };

struct view_info {
	enum view_kind kind; /* LINK only with follow = false */
	uint32_t mode;
	uint32_t links; /* st_nlink */
	struct view_identity identity;
};

/* Examine `path` (absolute). Errors other than absence (EACCES, ELOOP, EIO) are VIEW_SPECIAL. */
struct view_info view_stat(struct view *view, uint64_t since, const char *path, bool follow);

/* The next path where something stood when it was asked for earlier, and nothing did the last time; NULL: no more. Each is told once; it is
 * valid until the next view_arrive(). */
const char *view_next_vanished(struct view *view);

/* Positive outcomes of the functions below. */
enum view_outcome { VIEW_NOT_A_FILE = 1, VIEW_NOT_A_DIRECTORY, VIEW_TOO_MANY_NAMES };

/* Digest of the regular file `path`, symlinks followed. VIEW_NOT_A_FILE; -1: could not be read (`err->code` says why),
 * or it changed while being read. `info_ret` (NULL allowed) is the file that was read. */
int view_digest(struct view *view, uint64_t since, const char *path, struct digest *ret, struct view_info *info_ret,
	struct error *err);

int view_digest_at(struct view *view, uint64_t since, struct view_place *place, const char *path, struct digest *ret,
	struct view_info *info_ret, struct error *err);

/* The content with this digest, if it is what the view read last (and not large): whoever wants it as well needn't read it again.
 * Valid until the next call on the view. */
bool view_text(const struct view *view, const struct digest *digest, struct slice *ret);

/* Target of a symlink, valid until the next call on the view; NULL when `path` is no symlink. */
const char *view_readlink(struct view *view, uint64_t since, const char *path);

enum view_name_type { VIEW_NAME_FILE = 'f', VIEW_NAME_DIRECTORY = 'd', VIEW_NAME_LINK = 'l', VIEW_NAME_SPECIAL = 'o' };

struct view_name {
	const char *name;
	enum view_name_type type;
};

/* The names in the directory `path`, sorted, without "." and "..", in `arena`. VIEW_NOT_A_DIRECTORY,
 * VIEW_TOO_MANY_NAMES, or -1: could not be read. The digest of a listing (LOOKUP_LISTING) is that of a type character,
 * a space, the name and a NUL for each. */
int view_names(struct view *view, uint64_t since, const char *path, struct arena *arena, struct view_name **ret,
	size_t *n_ret, struct error *err);

/* Whether there is nothing at `path`: as view_stat, but of its directory rather than of the name, where that is safe. */
bool view_is_absent(struct view *view, uint64_t since, const char *path);

/* While this number of the directory `path` stays the same, no name has appeared in it. 0: nothing can be said, ask for the names (no
 * directory; it changed within the last 2 s; its file system can't be trusted). */
uint64_t view_names_state(struct view *view, uint64_t since, struct view_place *place, const char *path);

/* What a process would be told now: fills kind and digest from the file system for `lookup->path`, given the kind that
 * was asked (FILE/DIRECTORY/ABSENT/SPECIAL are one question — "what is there?" —, LISTING and LINK are their own; where
 * no directory or nothing at all is there, these two become what is). A file or directory that this user can't read is
 * SPECIAL. -1: a file could not be read or changed while being read. */
int view_observe(struct view *view, uint64_t since, struct lookup *lookup, struct error *err);

/* Whether every look-up of the list is answered now exactly as it says. 0 = yes; VIEW_DIFFERS with the index of the
 * first difference in `at` (NULL allowed). Absences are asked of directories, not names. Unreadable = differs, SPECIAL
 * always differs. */
enum { VIEW_DIFFERS = 1 };
int view_check(struct view *view, uint64_t since, const struct lookups *lookups, size_t *at);

/* Names for view_lacks(): the end of a name's hash, 4 bytes, little-endian. Names no longer than 255 bytes, but "", "." and "..". */
enum { VIEW_NAME_HASH_BYTES = 4 };
void view_name_hash(struct slice name, unsigned char ret[VIEW_NAME_HASH_BYTES]);
/* Whether it is certain that `directory` holds none of the names with these `n` hashes, or that there is no such directory: one stat, and a look
 * into a listing for each. False: the names must be asked for. */
bool view_lacks(struct view *view, uint64_t since, const char *directory, const unsigned char *hashes, size_t n);

/* Whether any file or listed directory that the list found has an mtime or ctime at or after `since_ns`
 * (CLOCK_REALTIME), or a directory or symlink on the way to it was renamed or replaced since: an input that may have
 * been edited while a job read it. For jobs that ran in place. Names that merely appeared in or left a directory don't
 * count: they are look-ups of their own. */
bool view_any_newer(struct view *view, uint64_t since, const struct lookups *lookups, int64_t since_ns);

/* Inode and mtime equality are inputs: clang drops a second header that shares the inode, gcc one that shares mtime (in
 * whole seconds) and content (#pragma once, #import). A digest over the classes of equal inode and of equal mtime among
 * the found files that share content with another one; zero when there are none. `lookups` have their digests; what else is among them
 * than files makes no difference. */
void view_alias_signature(struct view *view, uint64_t since, const struct lookups *lookups, struct digest *ret);

/* Where digests of large files outlive the process: hashing a compiler anew takes longer than compiling with it. `get` 0: `ret` is filled. Asked and told only
 * of contents that are kept. NULL functions: nowhere. */
struct view_memory {
	int (*get)(void *ctx, const struct view_identity *identity, struct digest *ret);
	void (*put)(void *ctx, const struct view_identity *identity, const struct digest *digest);
	void *ctx;
};
void view_set_memory(struct view *view, const struct view_memory *memory);

/* Who reads files of VIEW_LARGE_BYTES or more, if not the view itself (NULL). `read` only makes a note of `path`, to be read
 * (reading_make) from now on; the question that it was called for fails with EAGAIN, and so does every other until view_take() gives it
 * back, together with `arrived`. */
enum { VIEW_LARGE_BYTES = 1 << 20 };
struct view_reader {
	void (*read)(void *ctx, const char *path, uint64_t arrived, int64_t (*now_ns)(void));
	void *ctx;
};
void view_set_reader(struct view *view, const struct view_reader *reader);
/* What came of it; NULL: nothing. The requests that had arrived by `arrived` find the digest known, or have the view read that file
 * itself. */
struct reading;
void view_take(struct view *view, uint64_t arrived, const char *path, const struct reading *reading);

/* Counters for statistics and tests. */
struct view_counters {
	uint64_t stats, hashes, hashed_bytes, listings;
};
struct view_counters view_counters(const struct view *view);

/* For tests: where the racy rule takes the time from (CLOCK_REALTIME in ns). */
void view_set_clock(struct view *view, int64_t (*now_ns)(void));
/* For tests: how recent a change is racy, instead of 2 s. Below the grain of the file system's clock, stale answers are to be expected. */
void view_set_racy(struct view *view, unsigned ms);
