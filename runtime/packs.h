/* What is in the bucket, as this worker knows it: the indexes of the packs (store/pack.h) that jobs have named so far, and the stored bytes fetched
 * for the sync that is under way.
 *
 * How it works. A pack seen for the first time is fetched whole when it is small, or when none is known yet; else of a large one only the index is. What a sync needs is then asked for at
 * once (packs_fetch): neighbours in one range, ranges in parallel, so that a cold worker reads in a few large pieces what a warm one reads in a few
 * small ones. The bytes stay, compressed, until packs_drop(). Every blob is verified by its digest as it is read; one that is not what it should be is
 * fetched again, once, and then counts as missing from that pack. */
#pragma once

#include "base/error.h"
#include "runtime/bucket.h"
#include "store/digest.h"
#include "store/store.h"

struct packs;

struct pack_name {
	uint8_t hash[DIGEST_HASH_BYTES];
	int64_t size_bytes;
};

struct packs *packs_new(void);
void packs_free(struct packs *packs); /* NULL is allowed */

/* From now on blobs come out of `bucket` (borrowed until the next call) and first of all out of these packs; those not seen before are looked into. One
 * that isn't there, or is none, holds nothing. -1: the bucket can't be asked. */
int packs_use(struct packs *packs, struct bucket *bucket, const struct pack_name *names, size_t n, struct error *err);

/* Fetch what of `wanted` isn't here yet. What is nowhere to be had is put into `missing` (room for `n`; `wanted` itself is allowed), in order. -1: the bucket
 * can't be asked. */
int packs_fetch(struct packs *packs, const struct digest *wanted, size_t n, struct digest *missing, size_t *n_missing,
	struct error *err);

/* Let go of the bytes that were fetched. */
void packs_drop(struct packs *packs);

/* The blobs as a store: what isn't here is fetched, one by one. Lives as long as `packs`; store_free() is not for it. */
struct store *packs_store(struct packs *packs);
