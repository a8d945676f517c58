/* Making one object of the bucket, on a thread: a pack of blobs that are read and compressed, a blob alone, or one pack of several small ones. */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "store/digest.h"
#include "store/store.h"

enum { PACKING_SMALL_BYTES = 4 << 20 }; /* a pack below this size is kept at home as well, to be merged with others */

struct packing_blob {
	struct digest digest;
	bool directory; /* a Directory message: from `directories`, else from `files` */
	bool missing;   /* result: the store doesn't have it any more */
};

struct packing {
	struct store *directories, *files;
	const char *kept;            /* the directory where small packs are kept, each under its hash */
	struct packing_blob *blobs;  /* owned */
	size_t n_blobs;
	bool alone;                  /* the one blob is an object of its own */
	uint8_t (*merged)[DIGEST_HASH_BYTES]; /* owned; not NULL: no blobs, but these kept packs */
	size_t n_merged;
	atomic_bool cancelled;
	/* Results. */
	int outcome;                 /* 0 or -1 */
	struct error err;
	struct buf body;             /* empty when every blob is missing */
	struct digest digest;        /* of the body */
	bool is_kept;
	struct error keep_err;       /* why not, if it is small */
};

void packing_run(struct packing *packing);
void packing_deinit(struct packing *packing);
