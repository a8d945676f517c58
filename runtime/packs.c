#include "runtime/packs.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/map.h"
#include "store/pack.h"

enum {
	WHOLE_BYTES = 1 << 20,	       /* a pack up to this size is fetched whole */
	COLD_WHOLE_BYTES = 16 << 20,   /* likewise, as long as no pack is known: most of each will be wanted */
	INDEX_GUESS_BYTES = 256 << 10, /* of a larger one first that much, which holds most indexes */
	RANGE_BYTES = 8 << 20,	 /* what is fetched in one piece: several at a time are faster than one large one */
	GAP_BYTES = 64 << 10,	 /* what isn't wanted but lies between two that are: cheaper than a request */
	ENTRIES_LIMIT = 1 << 20, /* of all packs together: 56 bytes each */
};

/* Bytes of a pack, from `offset` on. */
struct piece {
	uint64_t offset;
	struct buf bytes;
};

struct pack {
	struct list link;
	uint8_t hash[DIGEST_HASH_BYTES];
	uint64_t size;
	bool used;   /* by the job at hand */
	bool unread; /* what is in it isn't known */
	bool gone;   /* nothing is to be had from it any more */
	struct pack_entry *entries;
	size_t n_entries;
	struct piece *pieces; /* they may overlap: the newest counts */
	size_t n_pieces;
};

/* A blob that is an object of its own, as it is stored. */
struct alone {
	struct digest digest;
	struct buf stored;
	bool gone;
};

struct packs {
	struct store store;
	struct bucket *bucket;
	struct list packs; /* the last used last */
	size_t n_entries;
	struct map alone; /* by hash */
};

/* Life */

static void drop_pieces(struct pack *pack)
{
	for (size_t i = 0; i < pack->n_pieces; i++)
		buf_deinit(&pack->pieces[i].bytes);
	free(pack->pieces);
	pack->pieces = NULL;
	pack->n_pieces = 0;
}

static void free_pack(struct packs *packs, struct pack *pack)
{
	list_remove(&pack->link);
	packs->n_entries -= pack->n_entries;
	drop_pieces(pack);
	free(pack->entries);
	free(pack);
}

void packs_drop(struct packs *packs)
{
	struct pack *pack;
	list_for_each (pack, &packs->packs, struct pack, link)
		drop_pieces(pack);
	size_t at = 0;
	for (const struct map_entry *entry; (entry = map_next(&packs->alone, &at));) {
		struct alone *alone = entry->value;
		buf_deinit(&alone->stored);
		free(alone);
	}
	map_deinit(&packs->alone);
}

void packs_free(struct packs *packs)
{
	if (!packs)
		return;
	packs_drop(packs);
	struct pack *pack;
	list_for_each (pack, &packs->packs, struct pack, link)
		free_pack(packs, pack);
	free(packs);
}

/* Finding */

static int by_hash(const void *key, const void *entry)
{
	return memcmp(key, ((const struct pack_entry *)entry)->digest.hash, DIGEST_HASH_BYTES);
}

static struct pack_entry *find_entry(const struct pack *pack, const struct digest *digest)
{
	if (pack->gone || pack->n_entries == 0)
		return NULL;
	struct pack_entry *entry = bsearch(
		digest->hash, pack->entries, pack->n_entries, sizeof(*pack->entries), by_hash);
	return entry && entry->digest.size_bytes == digest->size_bytes ? entry : NULL;
}

/* What of the pack's bytes is here at `offset`. */
static bool find_bytes(const struct pack *pack, uint64_t offset, uint64_t length, struct slice *ret)
{
	for (size_t i = pack->n_pieces; i-- > 0;) {
		const struct piece *piece = &pack->pieces[i];
		if (piece->offset <= offset && offset - piece->offset <= piece->bytes.len &&
			length <= piece->bytes.len - (offset - piece->offset)) {
			*ret = slice_of(buf_str(&piece->bytes) + (offset - piece->offset), length);
			return true;
		}
	}
	return false;
}

/* The pack to take a blob from: one that has its bytes here, else one of the job's, else any. */
static struct pack *find_pack(const struct packs *packs, const struct digest *digest, struct pack_entry **ret)
{
	struct pack *pack, *best = NULL;
	list_for_each (pack, &packs->packs, struct pack, link) {
		struct pack_entry *entry = find_entry(pack, digest);
		struct slice bytes;
		if (!entry)
			continue;
		bool here = find_bytes(pack, entry->offset, entry->stored, &bytes);
		if (!best || here || (pack->used && !best->used)) {
			best = pack;
			*ret = entry;
		}
		if (here)
			break;
	}
	return best;
}

static struct alone *find_alone(const struct packs *packs, const struct digest *digest)
{
	struct alone *alone = map_get(&packs->alone, digest_slice(digest));
	return alone && alone->digest.size_bytes == digest->size_bytes ? alone : NULL;
}

/* Fetching */

/* One request; for a piece of `pack`, or for a blob alone. */
struct wish {
	struct pack *pack;
	struct digest alone;
	uint64_t offset, length; /* of the pack; length 0: all */
};

static void add_piece(struct pack *pack, uint64_t offset, struct buf *bytes)
{
	pack->pieces = reallocarray(pack->pieces, pack->n_pieces + 1, sizeof(*pack->pieces));
	if (!pack->pieces)
		abort();
	pack->pieces[pack->n_pieces++] = (struct piece){ offset, *bytes };
	*bytes = (struct buf){ 0 };
}

static void add_alone(struct packs *packs, const struct digest *digest, struct bucket_get *get)
{
	struct alone *alone = calloc(1, sizeof(*alone));
	if (!alone)
		abort();
	alone->digest = *digest;
	alone->gone = get->outcome == BUCKET_ABSENT;
	alone->stored = get->body;
	get->body = (struct buf){ 0 };
	alone = map_put(&packs->alone, digest_slice(&alone->digest), alone);
	if (alone) {
		buf_deinit(&alone->stored);
		free(alone);
	}
}

/* Let them come true. A pack that isn't there, or is shorter than it says, is gone. */
static int fetch(struct packs *packs, const struct wish *wishes, size_t n, struct error *err)
{
	struct bucket_get *gets = calloc(n + 1, sizeof(*gets));
	if (!gets)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (wishes[i].pack)
			pack_key(wishes[i].pack->hash, gets[i].key);
		else
			pack_key_alone(&wishes[i].alone, gets[i].key);
		gets[i].offset = wishes[i].offset;
		gets[i].length = wishes[i].length;
	}
	packs->bucket->ops->get(packs->bucket, gets, n);
	int result = 0;
	for (size_t i = 0; i < n; i++) {
		struct pack *pack = wishes[i].pack;
		if (gets[i].outcome < 0) {
			*err = gets[i].err;
			result = -1;
		} else if (!pack) {
			add_alone(packs, &wishes[i].alone, &gets[i]);
		} else if (gets[i].outcome == BUCKET_ABSENT ||
			   gets[i].body.len != (wishes[i].length > 0 ? wishes[i].length : pack->size)) {
			pack->gone = true;
		} else {
			add_piece(pack, wishes[i].offset, &gets[i].body);
		}
		buf_deinit(&gets[i].body);
	}
	free(gets);
	return result;
}

/* Indexes */

static struct pack *find_named(const struct packs *packs, const struct pack_name *name)
{
	struct pack *pack;
	list_for_each (pack, &packs->packs, struct pack, link)
		if (memcmp(pack->hash, name->hash, sizeof(pack->hash)) == 0 && pack->size == (uint64_t)name->size_bytes)
			return pack;
	return NULL;
}

/* How many bytes of the pack are its index; 0: it is none. */
static uint64_t index_bytes(const struct pack *pack)
{
	struct slice header;
	struct error ignored; /* a pack that is no pack holds nothing */
	if (pack->gone || !find_bytes(pack, 0, PACK_HEADER_BYTES, &header))
		return 0;
	int64_t n = pack_index_bytes(header, &ignored);
	return n < 0 || (uint64_t)n > pack->size ? 0 : (uint64_t)n;
}

/* false: there is none in what was fetched. */
static bool read_index(struct packs *packs, struct pack *pack)
{
	struct slice index, whole;
	struct error ignored;
	uint64_t n = index_bytes(pack);
	/* Of part of a pack nothing proves the index: a wrong one leads to blobs that prove to be others. */
	if (find_bytes(pack, 0, pack->size, &whole)) {
		struct digest digest = digest_of(whole);
		if (memcmp(digest.hash, pack->hash, sizeof(pack->hash)) != 0)
			return false;
	}
	if (n == 0 || !find_bytes(pack, 0, n, &index) ||
		pack_index_parse(index, pack->size, &pack->entries, &pack->n_entries, &ignored) < 0)
		return false;
	packs->n_entries += pack->n_entries;
	return true;
}

/* The first request for each pack, the second for indexes that go on after it. */
static int fetch_indexes(struct packs *packs, struct pack **fresh, size_t n, uint64_t whole_bytes, struct wish *wishes,
	struct error *err)
{
	for (size_t i = 0; i < n; i++)
		wishes[i] = (struct wish){ .pack = fresh[i],
			.length = fresh[i]->size > whole_bytes ? INDEX_GUESS_BYTES : 0 };
	if (fetch(packs, wishes, n, err) < 0)
		return -1;
	size_t m = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t length = index_bytes(fresh[i]);
		if (fresh[i]->size > whole_bytes && length > INDEX_GUESS_BYTES)
			wishes[m++] = (struct wish){ .pack = fresh[i], .length = length };
	}
	return m > 0 ? fetch(packs, wishes, m, err) : 0;
}

/* Once more where it was damaged on its way. */
static int look_into(struct packs *packs, struct pack **fresh, size_t n, struct error *err)
{
	_cleanup_free_ struct wish *wishes = calloc(n + 1, sizeof(*wishes));
	if (!wishes)
		abort();
	uint64_t whole_bytes = packs->n_entries == 0 ? COLD_WHOLE_BYTES : WHOLE_BYTES;
	for (int attempt = 0; attempt < 2 && n > 0; attempt++) {
		size_t unread = 0;
		if (fetch_indexes(packs, fresh, n, whole_bytes, wishes, err) < 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			if (!fresh[i]->gone && !read_index(packs, fresh[i]))
				fresh[unread++] = fresh[i];
			else
				fresh[i]->unread = false;
		n = unread;
	}
	for (size_t i = 0; i < n; i++) {
		fresh[i]->unread = false;
		fresh[i]->gone = true;
	}
	return 0;
}

int packs_use(struct packs *packs, struct bucket *bucket, const struct pack_name *names, size_t n, struct error *err)
{
	struct pack *pack;
	packs->bucket = bucket;
	list_for_each (pack, &packs->packs, struct pack, link)
		pack->used = false;
	_cleanup_free_ struct pack **fresh = calloc(n + 1, sizeof(*fresh));
	if (!fresh)
		abort();
	size_t n_fresh = 0;
	for (size_t i = 0; i < n; i++) {
		pack = find_named(packs, &names[i]);
		if (pack && pack->gone) { /* it may be there again */
			free_pack(packs, pack);
			pack = NULL;
		}
		if (!pack && names[i].size_bytes > PACK_HEADER_BYTES) {
			pack = calloc(1, sizeof(*pack));
			if (!pack)
				abort();
			memcpy(pack->hash, names[i].hash, sizeof(pack->hash));
			pack->size = (uint64_t)names[i].size_bytes;
			pack->unread = true;
			list_init(&pack->link);
			fresh[n_fresh++] = pack;
		}
		if (!pack)
			continue;
		pack->used = true;
		list_remove(&pack->link);
		list_append(&packs->packs, &pack->link);
	}
	int result = look_into(packs, fresh, n_fresh, err);
	list_for_each (pack, &packs->packs, struct pack, link)
		if (pack->unread || (!pack->used && packs->n_entries > ENTRIES_LIMIT))
			free_pack(packs, pack);
	return result;
}

/* Wanted blobs */

struct wanted {
	struct pack *pack;
	uint64_t offset, end;
};

static int by_place(const void *a, const void *b)
{
	const struct wanted *one = a, *two = b;
	if (one->pack != two->pack)
		return one->pack < two->pack ? -1 : 1;
	return one->offset < two->offset ? -1 : one->offset > two->offset;
}

/* Neighbours become one wish. `ret` has room for `n`. */
static size_t join(struct wanted *wanted, size_t n, struct wish *ret)
{
	size_t m = 0;
	if (n > 0)
		qsort(wanted, n, sizeof(*wanted), by_place);
	for (size_t i = 0; i < n; i++) {
		struct wish *last = m > 0 ? &ret[m - 1] : NULL;
		uint64_t end = last ? last->offset + last->length : 0;
		if (last && last->pack == wanted[i].pack && wanted[i].offset <= end + GAP_BYTES &&
			wanted[i].end - last->offset <= RANGE_BYTES) {
			if (wanted[i].end > end)
				last->length = wanted[i].end - last->offset;
			continue;
		}
		ret[m++] = (struct wish){
			.pack = wanted[i].pack, .offset = wanted[i].offset, .length = wanted[i].end - wanted[i].offset
		};
	}
	return m;
}

/* Whether the blob is here, or has no bytes. */
static bool is_here(const struct packs *packs, const struct digest *digest)
{
	struct pack_entry *entry;
	struct slice bytes;
	const struct pack *pack = find_pack(packs, digest, &entry);
	const struct alone *alone = find_alone(packs, digest);
	return digest->size_bytes == 0 || (pack && find_bytes(pack, entry->offset, entry->stored, &bytes)) ||
	       (alone && !alone->gone);
}

static bool may_be_alone(const struct packs *packs, const struct digest *digest)
{
	const struct alone *alone = find_alone(packs, digest);
	return digest->size_bytes >= PACK_ALONE_BYTES && (!alone || !alone->gone);
}

int packs_fetch(struct packs *packs, const struct digest *wanted, size_t n, struct digest *missing, size_t *n_missing,
	struct error *err)
{
	_cleanup_free_ struct wanted *places = calloc(n + 1, sizeof(*places));
	_cleanup_free_ struct wish *wishes = calloc(n + 1, sizeof(*wishes));
	if (!places || !wishes)
		abort();
	/* Each turn either brings everything or finds a pack or a blob gone. */
	for (;;) {
		size_t n_places = 0, n_wishes;
		for (size_t i = 0; i < n; i++) {
			struct pack_entry *entry;
			if (is_here(packs, &wanted[i]))
				continue;
			struct pack *pack = find_pack(packs, &wanted[i], &entry);
			if (pack)
				places[n_places++] = (struct wanted){ pack, entry->offset,
					entry->offset + entry->stored };
		}
		n_wishes = join(places, n_places, wishes);
		for (size_t i = 0; i < n; i++) {
			struct pack_entry *entry;
			if (!is_here(packs, &wanted[i]) && may_be_alone(packs, &wanted[i]) &&
				!find_pack(packs, &wanted[i], &entry))
				wishes[n_wishes++] = (struct wish){ .alone = wanted[i] };
		}
		if (n_wishes == 0)
			break;
		if (fetch(packs, wishes, n_wishes, err) < 0)
			return -1;
	}
	*n_missing = 0;
	for (size_t i = 0; i < n; i++)
		if (!is_here(packs, &wanted[i]))
			missing[(*n_missing)++] = wanted[i];
	return 0;
}

/* As a store */

/* From the bytes that are here. 0; STORE_MISS: they are not; -1: they are not what they should be. */
static int read_here(const struct packs *packs, const struct digest *digest, struct buf *ret, struct error *err)
{
	struct pack_entry *entry;
	struct slice stored;
	const struct pack *pack = find_pack(packs, digest, &entry);
	if (pack && find_bytes(pack, entry->offset, entry->stored, &stored))
		return pack_blob(entry, stored, ret, err);
	const struct alone *alone = find_alone(packs, digest);
	if (alone && !alone->gone)
		return pack_alone_read(digest, buf_slice(&alone->stored), ret, err);
	return STORE_MISS;
}

/* They were damaged on their way, or are so in the bucket: fetch them anew, and only them. STORE_MISS: there they are not to be had. */
static int read_again(struct packs *packs, const struct digest *digest, struct buf *ret, struct error *err)
{
	struct pack_entry *entry = NULL;
	struct pack *pack = find_pack(packs, digest, &entry);
	struct wish wish = { .pack = pack, .alone = *digest };
	if (pack) {
		wish.offset = entry->offset;
		wish.length = entry->stored;
	}
	if (fetch(packs, &wish, 1, err) < 0)
		return -1;
	size_t length = ret->len;
	struct error ignored;
	if (read_here(packs, digest, ret, &ignored) == 0)
		return 0;
	ret->len = length;
	if (pack)
		entry->digest.size_bytes = -1; /* never found again */
	else
		find_alone(packs, digest)->gone = true;
	return STORE_MISS;
}

static int packs_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	struct packs *packs = container_of(store, struct packs, store);
	size_t length = ret->len, n_missing;
	struct digest missing;
	if (digest->size_bytes == 0)
		return 0;
	/* Each turn that doesn't succeed takes the blob from another pack, or from none. */
	for (;;) {
		struct error damage;
		if (packs_fetch(packs, digest, 1, &missing, &n_missing, err) < 0)
			return -1;
		if (n_missing > 0)
			return STORE_MISS;
		if (read_here(packs, digest, ret, &damage) == 0)
			return 0;
		ret->len = length;
		int outcome = read_again(packs, digest, ret, err);
		if (outcome != STORE_MISS)
			return outcome;
	}
}

static int packs_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	return error_set(err, EROFS, "packs are not written to");
}

static int packs_contains(struct store *store, const struct digest *digest)
{
	const struct packs *packs = container_of(store, struct packs, store);
	return is_here(packs, digest) ? 0 : STORE_MISS;
}

static void packs_store_free(struct store *store)
{
	packs_free(container_of(store, struct packs, store));
}

struct packs *packs_new(void)
{
	static const struct store_ops ops = { "packs", packs_get, NULL, packs_put, NULL, packs_contains,
		packs_store_free };
	struct packs *packs = calloc(1, sizeof(*packs));
	if (!packs)
		abort();
	packs->store.ops = &ops;
	list_init(&packs->packs);
	return packs;
}

struct store *packs_store(struct packs *packs)
{
	return &packs->store;
}
