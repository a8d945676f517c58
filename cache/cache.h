/* The result cache: key 1 → manifest (alternatives of verified look-ups → result) → result, in an LMDB index and a content store.
 *
 * Index: LMDB without WRITEMAP, one writer (the loop thread), every value with a checksum in front, size checked at start. The index is disposable: when it
 * is damaged cache_open moves it aside and begins anew; a SIGBUS handler (cache_index.c) does the same at run time and ends the process.
 * All calls are made from the loop thread and are memory- or page-cache-speed; blobs are put into the store by worker threads beforehand. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "files/lookups.h"
#include "files/view.h"
#include "store/store.h"

struct cache;

/* A result as it is stored: an REAPI ActionResult whose output_files paths are the names "main", "depfile", or the side output's
 * suffix path relative to the main output's directory… the caller's labels; see cache_output. */
struct cache_output {
	const char *label; /* which output of the command: index in the command's list as decimal */
	struct digest digest;
	bool executable;
	bool absent; /* the compiler did not make this optional output */
};

struct cache_result {
	int exit_code; /* always 0 today: failures are not cached */
	struct cache_output *outputs;
	size_t n_outputs;
	struct digest out, err;     /* stdout and stderr; zero-size when empty */
	struct digest messages_kind; /* of the terminal and colour settings the messages were made for; matters only if err is not empty */
	const char *depfile_targets; /* the target text the stored dependency file was written for, "" without one */
	struct digest alias_signature; /* see view_alias_signature */
};

enum cache_outcome { CACHE_MISS = 1 };
enum cache_mode { CACHE_READWRITE, CACHE_READONLY, CACHE_OFF };

/* Why the last look-up of this key missed, for `llama explain`. */
struct cache_why {
	enum { CACHE_WHY_NO_KEY, CACHE_WHY_INPUT, CACHE_WHY_MESSAGES, CACHE_WHY_BLOB, CACHE_WHY_ALIAS } what;
	char path[512]; /* the input that differs, for the youngest alternative */
};

/* Open or create the index in `dir`. `store` is borrowed. */
struct cache *cache_open(const char *dir, enum cache_mode mode, struct error *err);
void cache_close(struct cache *cache);
int cache_clear(struct cache *cache, struct error *err);

/* The youngest alternative under `key` whose look-ups the file view confirms. `messages_kind` is the asking client's. In `arena`.
 * 0, CACHE_MISS (with `why`, NULL allowed), or -1. */
int cache_get(struct cache *cache, struct view *view, uint64_t since, const struct digest *key, const struct digest *messages_kind,
	struct arena *arena, struct cache_result *ret, struct cache_why *why, struct error *err);

/* Add an alternative. `lookups` have their digests; at most 16 alternatives a key, the oldest goes. */
int cache_put(struct cache *cache, const struct digest *key, const struct lookups *lookups, const struct cache_result *result,
	struct error *err);

/* Forget a key (verification found a difference). */
int cache_drop(struct cache *cache, const struct digest *key, struct error *err);

/* Remembered notes: "this unit is local because…", under a key of the caller's (for instance of key 1 and the source): small values. */
int cache_note_get(struct cache *cache, const struct digest *key, struct arena *arena, struct slice *ret, struct error *err);
int cache_note_put(struct cache *cache, const struct digest *key, struct slice value, struct error *err);
int cache_note_drop(struct cache *cache, const struct digest *key, struct error *err);

struct cache_counters {
	uint64_t entries, index_bytes;
};
struct cache_counters cache_counters(struct cache *cache);
