#include "exec/packing.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "store/pack.h"

static void name_kept(const struct packing *packing, const uint8_t *hash, struct buf *ret)
{
	struct digest digest = { .size_bytes = 0 };
	char hex[DIGEST_HEX_CHARS + 1];
	memcpy(digest.hash, hash, DIGEST_HASH_BYTES);
	digest_hex(&digest, hex);
	buf_printf(ret, "%s/%s", packing->kept, hex);
}

/* 0, STORE_MISS (noted in the blob) or -1. */
static int read_blob(struct packing *packing, struct packing_blob *blob, struct buf *ret)
{
	struct store *store = blob->directory ? packing->directories : packing->files;
	int outcome = store_get(store, &blob->digest, ret, &packing->err);
	blob->missing = outcome == STORE_MISS;
	return outcome;
}

static int pack_blobs(struct packing *packing, struct pack_writer *writer)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	for (size_t i = 0; i < packing->n_blobs; i++) {
		if (atomic_load(&packing->cancelled))
			return error_set(&packing->err, ECANCELED, "stopped");
		buf_reset(&bytes);
		int outcome = read_blob(packing, &packing->blobs[i], &bytes);
		if (outcome < 0)
			return -1;
		if (outcome == 0)
			pack_writer_add(writer, &packing->blobs[i].digest, buf_slice(&bytes));
	}
	return 0;
}

/* Add what the kept pack of this hash holds. */
static int take_over(struct packing *packing, const uint8_t *hash, struct pack_writer *writer)
{
	_cleanup_buf_ struct buf path = { 0 }, pack = { 0 };
	name_kept(packing, hash, &path);
	if (file_read(path.ptr, PACKING_SMALL_BYTES, &pack, &packing->err) < 0)
		return -1;
	struct digest digest = digest_of(buf_slice(&pack));
	if (memcmp(digest.hash, hash, DIGEST_HASH_BYTES) != 0)
		return error_set(&packing->err, EBADMSG, "%s is not the pack that its name says", path.ptr);
	_cleanup_free_ struct pack_entry *entries = NULL;
	size_t n;
	if (pack_index_parse(buf_slice(&pack), pack.len, &entries, &n, &packing->err) < 0)
		return error_wrap(&packing->err, "%s", path.ptr);
	for (size_t i = 0; i < n; i++)
		pack_writer_add_stored(writer, &entries[i], slice_of(pack.ptr + entries[i].offset, entries[i].stored));
	return 0;
}

static int make(struct packing *packing)
{
	if (packing->alone) {
		_cleanup_buf_ struct buf bytes = { 0 };
		int outcome = read_blob(packing, &packing->blobs[0], &bytes);
		if (outcome == 0)
			pack_alone_write(buf_slice(&bytes), &packing->body);
		return outcome < 0 ? -1 : 0;
	}
	struct pack_writer *writer = pack_writer_new();
	int outcome = packing->merged ? 0 : pack_blobs(packing, writer);
	for (size_t i = 0; outcome == 0 && i < packing->n_merged; i++)
		outcome = take_over(packing, packing->merged[i], writer);
	if (outcome == 0 && pack_writer_count(writer) > 0) {
		pack_writer_end(writer, &packing->body);
		packing->digest = digest_of(buf_slice(&packing->body));
	}
	pack_writer_free(writer);
	return outcome;
}

/* A small pack that can't be kept is never merged: no more than that. */
static void keep(struct packing *packing)
{
	_cleanup_buf_ struct buf path = { 0 };
	name_kept(packing, packing->digest.hash, &path);
	packing->is_kept = file_replace(path.ptr, buf_slice(&packing->body), 0600, &packing->keep_err) == 0;
}

void packing_run(struct packing *packing)
{
	packing->outcome = make(packing);
	if (packing->outcome == 0 && !packing->alone && packing->body.len > 0 && packing->body.len < PACKING_SMALL_BYTES)
		keep(packing);
}

void packing_deinit(struct packing *packing)
{
	free(packing->blobs);
	free(packing->merged);
	buf_deinit(&packing->body);
	packing->blobs = NULL;
	packing->merged = NULL;
}
