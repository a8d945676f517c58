/* The result cache: key 1 → alternatives of a manifest (verified look-ups → result), in an LMDB index (cache/index.h).
 * Outputs and messages are named by digest; whoever answers with them finds them in a content store, and calls it a
 * miss when one is gone.
 *
 * The index is disposable: a damaged one is moved aside and begun anew, at open and at run time. All calls are made
 * from the loop thread and are memory- or page-cache-speed; nothing waits for the disk, but cache_close(). The caller
 * makes sure that one process at a time has the directory. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "files/lookups.h"
#include "files/view.h"

struct cache;

/* A result; stored as an REAPI ActionResult (cache/result.h). */
struct cache_output {
	const char *label; /* which output of the command: index in the command's list as decimal */
	struct digest digest;
	bool executable;
	bool absent; /* the compiler did not make this optional output; after cache_get() these follow the others */
};

struct cache_result {
	int exit_code; /* of a compilation always 0 today: failures are not cached */
	struct cache_output *outputs;
	size_t n_outputs;
	struct digest out, err;	     /* stdout and stderr; size 0 when empty */
	struct digest messages_kind; /* of the terminal and colour settings the messages were made for; matters only if
					err is not empty */
	const char *depfile_targets; /* the target text the stored dependency file was written for, "" without one */
	struct digest alias_signature; /* see view_alias_signature */
	const char *base; /* only of what is shared below a base directory: where that was, which the dependency file still names; else "" or NULL */
};

enum cache_outcome { CACHE_MISS = 1 };
enum cache_mode { CACHE_READWRITE, CACHE_READONLY, CACHE_OFF };

/* Why a look-up missed, for `llama explain`. */
struct cache_why {
	enum {
		CACHE_WHY_NO_KEY,   /* nothing is known under this key */
		CACHE_WHY_INPUT,    /* the answer to a look-up differs */
		CACHE_WHY_MESSAGES, /* the result's messages were made for another kind of terminal */
		CACHE_WHY_BLOB,	    /* for the caller to say: an output is gone */
		CACHE_WHY_ALIAS,    /* files of equal content changed in which share inode or mtime */
		CACHE_WHY_RECACHE,  /* for the caller to say: nobody looked */
	} what;			    /* of the youngest alternative */
	char path[512];		    /* CACHE_WHY_INPUT: what was looked up, else "" */
};

/* Open or create the index in `dir`, which exists. CACHE_READONLY: nothing is ever written, and without an index
 * everything misses. CACHE_OFF: no file is touched, everything misses. */
struct cache *cache_open(const char *dir, enum cache_mode mode, struct error *err);
void cache_close(struct cache *cache);
int cache_clear(struct cache *cache, struct error *err);

/* A truncated index raises SIGBUS, in any thread: from now on that moves the index aside and ends the process, saying
 * so on stderr. Once, by the daemon. */
void cache_arm_sigbus(struct cache *cache);

/* Whether `dir` can hold the index, whose mapping needs a local file system. -1: it is on a network file system; the
 * text names it and the next step. cache_open() asks this, too. */
int cache_check_directory(const char *dir, struct error *err);

/* The youngest alternative under `key` whose look-ups the file view confirms. `messages_kind` is the asking client's.
 * In `arena`. 0, CACHE_MISS (with `why`, NULL allowed), or -1. */
int cache_get(struct cache *cache, struct view *view, uint64_t since, const struct digest *key,
	const struct digest *messages_kind, struct arena *arena, struct cache_result *ret, struct cache_why *why,
	struct error *err);

/* Add an alternative; one with the same look-ups, messages' kind and aliases is replaced. `lookups` are sorted and have
 * their digests; a SPECIAL one among them is an error. At most 16 alternatives a key, the oldest goes. Unless the mode
 * is CACHE_READWRITE, this and the other changes below do nothing. */
int cache_put(struct cache *cache, const struct digest *key, const struct lookups *lookups,
	const struct cache_result *result, struct error *err);

/* A result in the form that travels (cache/manifest.h): what cache_put() would keep. -1: it can't be kept. */
int cache_encode(const struct lookups *lookups, const struct cache_result *result, struct buf *head, struct buf *names, struct error *err);
/* Whether such a one, which came from elsewhere, holds here and now, as cache_get() would ask: 0 with the result in `arena`, CACHE_MISS with
 * `why`, or -1: malformed. */
int cache_judge(struct slice head, struct slice names, struct view *view, uint64_t since, const struct digest *messages_kind,
	struct arena *arena, struct cache_result *ret, struct cache_why *why, struct error *err);
/* Keep one that cache_judge() or cache_encode() knows, as cache_put() would. Of `result` only messages_kind and alias_signature are looked at. */
int cache_put_encoded(struct cache *cache, const struct digest *key, struct slice head, struct slice names, const struct cache_result *result,
	struct error *err);

/* Forget a key (verification found a difference). */
int cache_drop(struct cache *cache, const struct digest *key, struct error *err);

/* Remembered notes: "this unit is local because…", under a key of the caller's (for instance of key 1 and the source):
 * small values. 0, CACHE_MISS or -1. */
int cache_note_get(
	struct cache *cache, const struct digest *key, struct arena *arena, struct slice *ret, struct error *err);
int cache_note_put(struct cache *cache, const struct digest *key, struct slice value, struct error *err);
int cache_note_drop(struct cache *cache, const struct digest *key, struct error *err);

struct cache_counters {
	uint64_t entries;     /* alternatives: results */
	uint64_t index_bytes; /* in use */
};
struct cache_counters cache_counters(struct cache *cache);
