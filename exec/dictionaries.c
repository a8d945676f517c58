#include "exec/dictionaries.h"

#include "store/pack.h"

void dictionaries_init(struct dictionaries *dictionaries, const struct s3_bucket *bucket)
{
	*dictionaries = (struct dictionaries){ .bucket = *bucket, .begin = DICTIONARY_FIRST };
}

void dictionaries_deinit(struct dictionaries *dictionaries)
{
	s3_cancel(dictionaries->put);
	buf_deinit(&dictionaries->bytes);
	buf_deinit(&dictionaries->stored);
	for (size_t i = 0; i < DICTIONARIES_LIMIT; i++)
		dictionary_free(dictionaries->v[i].dictionary);
	*dictionaries = (struct dictionaries){ 0 };
}

bool dictionaries_want(struct dictionaries *dictionaries)
{
	if (++dictionaries->n_jobs >= dictionaries->begin && dictionaries->n < DICTIONARIES_LIMIT) {
		dictionaries->gathering = true;
		dictionaries->begin *= DICTIONARY_AGAIN;
	}
	return dictionaries->gathering;
}

static void put_done(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct dictionaries *dictionaries = ctx;
	dictionaries->put = NULL;
	buf_deinit(&dictionaries->stored);
	if (outcome >= 0)
		dictionaries->current = &dictionaries->v[dictionaries->n - 1];
}

void dictionaries_offer(struct dictionaries *dictionaries, struct slice part)
{
	struct buf *bytes = &dictionaries->bytes;
	if (!dictionaries->gathering || dictionaries->put)
		return;
	buf_append(bytes, part.ptr, part.len < DICTIONARY_JOB_BYTES ? part.len : DICTIONARY_JOB_BYTES);
	if (bytes->len < DICTIONARY_BYTES)
		return;
	char key[128];
	struct dictionary_blob *blob = &dictionaries->v[dictionaries->n++];
	blob->digest = digest_of(buf_slice(bytes));
	blob->dictionary = dictionary_new(buf_slice(bytes));
	dictionaries->gathering = false;
	pack_alone_write(buf_slice(bytes), &dictionaries->stored);
	buf_deinit(bytes);
	pack_key_alone(&blob->digest, key);
	dictionaries->put = s3_put(&dictionaries->bucket, key, buf_slice(&dictionaries->stored), true, put_done, dictionaries);
}

void dictionaries_lost(struct dictionaries *dictionaries, const struct digest *missing, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (dictionaries->current && digest_equal(&missing[i], &dictionaries->current->digest))
			dictionaries->current = NULL;
}
