/* What a build's jobs have in common, so that it travels once: a dictionary (wire/compress.h) made of the beginnings of jobs, which stands in the bucket,
 * where each worker fetches it once.
 *
 * It is made of DICTIONARY_FIRST jobs or more, in the order they come, and again when there were DICTIONARY_AGAIN times as many, for another
 * project may be under way; with DICTIONARY_BYTES it is full and is sent. What is sent serves from then on; if that fails, or the bucket loses it,
 * there is none until the next. On the loop. */
#pragma once

#include "aws/s3.h"
#include "base/buf.h"
#include "store/digest.h"
#include "wire/compress.h"

enum {
	DICTIONARY_BYTES = 64 << 10,
	DICTIONARY_JOB_BYTES = 6000, /* at most, of one job */
	DICTIONARY_FIRST = 32,       /* jobs, before the first is begun */
	DICTIONARY_AGAIN = 32,
	DICTIONARIES_LIMIT = 4,
};

struct dictionary_blob {
	struct digest digest;
	struct dictionary *dictionary;
};

struct dictionaries {
	struct s3_bucket bucket;       /* strings and client borrowed */
	uint64_t n_jobs, begin;        /* so far; with how many the next is begun */
	bool gathering;
	struct buf bytes;              /* of the next */
	struct s3_op *put;             /* of it, or NULL */
	struct buf stored;             /* what is put */
	struct dictionary_blob v[DICTIONARIES_LIMIT];
	size_t n;
	const struct dictionary_blob *current;  /* NULL: none. It stays until dictionaries_deinit, also when there is a newer one */
};

void dictionaries_init(struct dictionaries *dictionaries, const struct s3_bucket *bucket);
void dictionaries_deinit(struct dictionaries *dictionaries);

/* A job begins: whether its part to fold is wanted here, when it is known. */
bool dictionaries_want(struct dictionaries *dictionaries);
void dictionaries_offer(struct dictionaries *dictionaries, struct slice part);

/* These blobs are not in the bucket; if the current dictionary is one of them, it isn't current any more. */
void dictionaries_lost(struct dictionaries *dictionaries, const struct digest *missing, size_t n);
