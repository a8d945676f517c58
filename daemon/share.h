/* Results shared by way of a bucket: what one machine has compiled, another finds.
 *
 * What is to be had is known here: the bucket's segments (cache/segment.h) are fetched when the daemon starts and then at most every 30 s while
 * somebody asks, and kept below the cache directory. So a look-up costs no request, a miss no round trip, and a hit one: the pack with what
 * the result names. Results are published a few seconds after they were made, many in one segment; their packs are in the bucket before.
 *
 * Nothing that comes from the bucket is believed: segments and packs are named by their digests, blobs are verified, and whether a result holds
 * here is asked of this machine's own files. What is damaged or forged is reported, counted, and as good as absent.
 *
 * Keys in the bucket: "share/<milliseconds since 1970, 12 hex digits>-<SHA-256 of the object>", and packs (store/pack.h). */
#pragma once

#include "aws/s3.h"
#include "base/list.h"
#include "cache/cache.h"
#include "compiler/portable.h"

struct daemon;
struct share;

/* `bucket` is copied, its strings borrowed; `endpoint` is where it is, "" AWS's own: elsewhere others have its name. `write`: results are published, too.
 * `base_dir`: of the configuration, or NULL. NULL: the directory for segments can't be had. */
struct share *share_new(struct daemon *daemon, const struct s3_bucket *bucket, const char *endpoint, bool write, const char *base_dir, struct error *err);
void share_free(struct share *share); /* NULL is allowed; nobody waits */

struct share_waiter {
	struct list link; /* list_init() */
	void (*fn)(struct share_waiter *waiter);
};
/* False: what the bucket has is known. True: it is being asked for the first time; `waiter->fn` is called when it has answered, or has not for 10 s. */
bool share_wait(struct share *share, struct share_waiter *waiter);

/* The real path of base_dir: what lies below it is shared with others who have it elsewhere. NULL: nothing is. */
const char *share_base(const struct share *share);

/* What a result is shared under. */
struct share_key {
	struct digest key;   /* key 1 */
	const char *base;    /* share_base() */
	struct digest below; /* plan_key_below(), with `base` */
	size_t depfile;	     /* which output is a dependency file, whose paths are moved; SIZE_MAX: none is */
	enum portable unportable; /* for share_publish(): why it isn't for another place than `base`, as far as is known before the outputs are looked at */
	const char *detail;	  /* of that: what it was; or NULL */
};

/* A result that holds here and now. */
struct share_found {
	struct cache_result result; /* in the arena */
	struct slice head, names;   /* its manifest; in the arena, or borrowed until the loop's next turn */
	uint8_t pack[DIGEST_HASH_BYTES];
	uint64_t pack_bytes;
};
/* The youngest one under `key`, asked as cache_get() does: 0 or CACHE_MISS with `why`. A miss, too, in the minute after one that didn't come in time. */
int share_find(struct share *share, uint64_t since, const struct share_key *key, const struct digest *messages_kind, struct arena *arena,
	struct share_found *ret, struct cache_why *why);

/* Bring what `found` names into the daemon's content store and cache; `waiter->fn` then, also when it failed or took 10 s: who looks finds it there, or not. */
void share_fetch(struct share *share, const struct share_found *found, const struct share_key *key, struct share_waiter *waiter);
/* Nobody waits any more; harmless otherwise. */
void share_leave(struct share_waiter *waiter);

/* Publish a result that was verified here, whose outputs and messages are in the content store. `kept`: the worker has put them into this pack; size 0:
 * nobody has, and they are put from here. For all places of `base` if its outputs are the same there (compiler/portable.h), and their dependency file can be
 * moved; else for this place only, and why is counted, logged and remembered. Nothing is done unless this daemon writes. */
void share_publish(struct share *share, const struct share_key *key, const struct lookups *lookups, const struct cache_result *result,
	const struct digest *kept);

/* Why the last result under this key 1 is for one place only; false: it isn't, or was not published by this daemon. In `to`, a sentence without its end. */
bool share_why_unportable(struct share *share, const struct digest *key, struct buf *to);

/* Once a second. */
void share_tick(struct share *share);
/* Publish what there is, now; while something is on its way out it counts as a request of the daemon's, for at most 10 s once that leaves. */
void share_flush(struct share *share);
