#include "daemon/share.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/map.h"
#include "cache/segments.h"
#include "daemon/daemon_internal.h"
#include "daemon/journal.h"
#include "event/work.h"
#include "store/pack.h"

#define KEY_PREFIX "share/"

enum {
	REFRESH_MS = 30000,
	FIRST_MS = 10000,	/* how long requests wait for the first answer */
	PUBLISH_MS = 5000,	/* from the first result on that waits */
	PUBLISH_ENTRIES = 256,
	SEGMENTS_LIMIT = 4096,
	LIST_LIMIT = 10000,
	LATE_MS = 600000,	/* by how much the clocks of those who write may differ */
	FETCHES_LIMIT = 8,	/* segments at a time */
	TIME_CHARS = 12,
	NAME_CHARS = TIME_CHARS + 1 + DIGEST_HEX_CHARS,
	KEY_CHARS = sizeof(KEY_PREFIX) - 1 + NAME_CHARS,
};

struct share {
	struct daemon *daemon;
	struct s3_bucket bucket;
	bool write;
	struct segments *segments;

	bool listing, answered; /* the bucket is being asked; it has answered once, or won't */
	int64_t listed_ms, opened_ms;
	struct list wanted;     /* fetch.link: segments that are not yet on their way */
	unsigned n_fetching;
	struct map refused;     /* names of segments that are no good, until the daemon leaves; keys in the arena */
	struct arena arena;
	struct list waiters;    /* for the first answer */

	struct segment_writer *writer;
	int64_t oldest_ms;      /* since when something waits in it */
};

static void note(struct share *share, const char *what, const char *text)
{
	_cleanup_buf_ struct buf line = { 0 };
	buf_printf(&line, "%s: %s", what, text);
	journal_note(share->daemon->log, "share", buf_str(&line));
}

/* It came from the bucket, and is not what it says it is. */
static void reject(struct share *share, const char *what, const struct error *err)
{
	stats_add(share->daemon->stats, NULL, share_rejected, 1);
	note(share, what, err->text);
}

static void wake(struct list *waiters)
{
	while (!list_empty(waiters)) {
		struct share_waiter *waiter = list_first(waiters, struct share_waiter, link);
		list_remove(&waiter->link);
		waiter->fn(waiter);
	}
}

void share_leave(struct share_waiter *waiter)
{
	list_remove(&waiter->link);
}

/* The daemon stays for what is under way. */
static void hold(struct share *share)
{
	share->daemon->n_requests++;
}

static void let_go(struct share *share)
{
	daemon_request_ended(share->daemon);
}

static void check_hash(struct slice bytes, const uint8_t hash[static DIGEST_HASH_BYTES], int *outcome, struct error *err)
{
	struct digest digest = digest_of(bytes);
	if (memcmp(digest.hash, hash, DIGEST_HASH_BYTES) != 0)
		*outcome = error_set(err, EBADMSG, "it is not what its name says");
}

/* --- What the bucket has ---------------------------------------------------------------------------------------- */

/* A segment on its way. */
struct fetch {
	struct list link;
	struct share *share;
	char name[NAME_CHARS + 1];
	struct buf object;
	int outcome;
	struct error err;
};

static void fetch_more(struct share *share);

static void settle(struct share *share)
{
	if (share->listing || share->n_fetching > 0 || !list_empty(&share->wanted))
		return;
	share->answered = true;
	wake(&share->waiters);
}

static void fetch_end(struct fetch *fetch)
{
	struct share *share = fetch->share;
	share->n_fetching--;
	buf_deinit(&fetch->object);
	free(fetch);
	fetch_more(share);
	settle(share);
	let_go(share);
}

static void unpack_segment(void *ctx)
{
	struct fetch *fetch = ctx;
	struct digest named;
	_cleanup_buf_ struct buf plain = { 0 };
	digest_parse_hex(slice_str(fetch->name + TIME_CHARS + 1), &named);
	check_hash(buf_slice(&fetch->object), named.hash, &fetch->outcome, &fetch->err);
	if (fetch->outcome == 0)
		fetch->outcome = segment_unpack(buf_slice(&fetch->object), &plain, &fetch->err);
	if (fetch->outcome == 0)
		fetch->outcome = segments_write(fetch->share->segments, fetch->name, buf_slice(&plain), &fetch->err);
}

static void segment_unpacked(void *ctx)
{
	struct fetch *fetch = ctx;
	struct share *share = fetch->share;
	if (fetch->outcome == 0)
		fetch->outcome = segments_add(share->segments, fetch->name, &fetch->err);
	if (fetch->outcome < 0) {
		char *name = arena_strdup(&share->arena, fetch->name);
		map_put(&share->refused, slice_str(name), name);
		reject(share, name, &fetch->err);
	}
	fetch_end(fetch);
}

static void segment_came(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct fetch *fetch = ctx;
	if (outcome == 0) {
		fetch->object = *body;
		*body = (struct buf){ 0 };
		work_start(&fetch->share->daemon->loop, unpack_segment, segment_unpacked, fetch);
		return;
	}
	if (outcome < 0) /* an absent one has expired meanwhile */
		note(fetch->share, fetch->name, err->text);
	fetch_end(fetch);
}

static void fetch_more(struct share *share)
{
	while (share->n_fetching < FETCHES_LIMIT && !list_empty(&share->wanted)) {
		struct fetch *fetch = list_first(&share->wanted, struct fetch, link);
		char key[KEY_CHARS + 1];
		list_remove(&fetch->link);
		share->n_fetching++;
		hold(share);
		snprintf(key, sizeof(key), KEY_PREFIX "%s", fetch->name);
		s3_get(&share->bucket, key, 0, 0, segment_came, fetch);
	}
}

static bool is_segment_name(const char *name)
{
	struct digest digest;
	return strlen(name) == NAME_CHARS && strspn(name, "0123456789abcdef") == TIME_CHARS && name[TIME_CHARS] == '-' &&
	       digest_parse_hex(slice_str(name + TIME_CHARS + 1), &digest) == 0;
}

static void want(struct share *share, const char *name)
{
	if (!is_segment_name(name) || segments_have(share->segments, name) || map_get(&share->refused, slice_str(name)))
		return;
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		abort();
	fetch->share = share;
	strcpy(fetch->name, name);
	list_append(&share->wanted, &fetch->link);
}

static void listed(void *ctx, int outcome, const struct s3_key *keys, size_t n, const struct error *err)
{
	struct share *share = ctx;
	share->listing = false;
	share->listed_ms = clock_monotonic_ms();
	if (outcome < 0)
		note(share, "cannot list the bucket", err->text);
	/* The youngest first: they are the likeliest to be asked for. */
	for (size_t i = n; i > 0 && i + SEGMENTS_LIMIT > n; i--)
		want(share, keys[i - 1].name + strlen(KEY_PREFIX));
	fetch_more(share);
	settle(share);
	let_go(share);
}

/* Ask for what has come since the youngest that is here, and a little before, for clocks differ. */
static void refresh(struct share *share)
{
	char after[KEY_CHARS + 1];
	unsigned long long youngest = strtoull(segments_youngest(share->segments), NULL, 16);
	if (share->listing || share->n_fetching > 0)
		return;
	snprintf(after, sizeof(after), KEY_PREFIX "%0*llx", TIME_CHARS, youngest > LATE_MS ? youngest - LATE_MS : 0);
	share->listing = true;
	hold(share);
	s3_list(&share->bucket, KEY_PREFIX, after, LIST_LIMIT, listed, share);
}

bool share_wait(struct share *share, struct share_waiter *waiter)
{
	if (share->answered && clock_monotonic_ms() - share->listed_ms >= REFRESH_MS)
		refresh(share); /* for those who come later */
	if (share->answered)
		return false;
	list_append(&share->waiters, &waiter->link);
	return true;
}

int share_find(struct share *share, uint64_t since, const struct digest *key, const struct digest *messages_kind, struct arena *arena,
	struct share_found *ret)
{
	struct segments_place at = { 0 };
	for (struct segment_entry entry; segments_next(share->segments, key, &at, &entry);) {
		struct cache_why why;
		struct error err;
		int outcome = cache_judge(entry.head, entry.names, share->daemon->view, since, messages_kind, arena, &ret->result, &why, &err);
		if (outcome < 0)
			reject(share, "a result", &err);
		if (outcome != 0)
			continue;
		ret->head = entry.head;
		ret->names = entry.names;
		memcpy(ret->pack, entry.pack, sizeof(ret->pack));
		ret->pack_bytes = entry.pack_bytes;
		return 0;
	}
	return CACHE_MISS;
}

/* --- A result's content ----------------------------------------------------------------------------------------- */

/* A pack on its way into the content store. */
struct delivery {
	struct share *share;
	struct list waiters; /* one, or none when it left */
	struct digest key;
	struct cache_result result; /* what cache_put_encoded() looks at */
	struct buf head, names, body;
	uint8_t pack[DIGEST_HASH_BYTES];
	int outcome;
	struct error err;
};

static void delivery_end(struct delivery *delivery)
{
	struct share *share = delivery->share;
	wake(&delivery->waiters);
	buf_deinit(&delivery->head);
	buf_deinit(&delivery->names);
	buf_deinit(&delivery->body);
	free(delivery);
	let_go(share);
}

static void unpack_pack(void *ctx)
{
	struct delivery *delivery = ctx;
	struct slice pack = buf_slice(&delivery->body);
	struct pack_entry *entries = NULL;
	size_t n = 0;
	check_hash(pack, delivery->pack, &delivery->outcome, &delivery->err);
	if (delivery->outcome == 0)
		delivery->outcome = pack_index_parse(pack, pack.len, &entries, &n, &delivery->err);
	for (size_t i = 0; i < n && delivery->outcome == 0; i++) {
		_cleanup_buf_ struct buf blob = { 0 };
		delivery->outcome = pack_blob(&entries[i], slice_of(pack.ptr + entries[i].offset, entries[i].stored), &blob, &delivery->err);
		if (delivery->outcome == 0)
			delivery->outcome =
				store_put(delivery->share->daemon->content, &entries[i].digest, buf_slice(&blob), &delivery->err);
	}
	free(entries);
}

static void pack_unpacked(void *ctx)
{
	struct delivery *delivery = ctx;
	struct share *share = delivery->share;
	struct error err;
	if (delivery->outcome < 0)
		reject(share, "a pack", &delivery->err);
	else if (cache_put_encoded(share->daemon->cache, &delivery->key, buf_slice(&delivery->head), buf_slice(&delivery->names),
			 &delivery->result, &err) < 0)
		note(share, "cache", err.text);
	delivery_end(delivery);
}

static void pack_came(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct delivery *delivery = ctx;
	if (outcome == 0) {
		delivery->body = *body;
		*body = (struct buf){ 0 };
		work_start(&delivery->share->daemon->loop, unpack_pack, pack_unpacked, delivery);
		return;
	}
	if (outcome < 0) /* an absent one has expired before its segment */
		note(delivery->share, "a pack", err->text);
	delivery_end(delivery);
}

void share_fetch(struct share *share, const struct share_found *found, const struct digest *key, struct share_waiter *waiter)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	char name[128];
	if (!delivery)
		abort();
	delivery->share = share;
	delivery->key = *key;
	memcpy(delivery->pack, found->pack, sizeof(delivery->pack));
	buf_append_slice(&delivery->head, found->head);
	buf_append_slice(&delivery->names, found->names);
	list_init(&delivery->waiters);
	list_append(&delivery->waiters, &waiter->link);
	delivery->result.messages_kind = found->result.messages_kind;
	delivery->result.alias_signature = found->result.alias_signature;
	hold(share);
	pack_key(found->pack, name);
	s3_get(&share->bucket, name, 0, 0, pack_came, delivery);
}

/* --- Publishing ------------------------------------------------------------------------------------------------- */

/* A result on its way out: its pack first, then it waits in the writer. */
struct offer {
	struct share *share;
	struct segment_entry entry; /* its slices are those below */
	struct buf head, names, pack;
	struct digest *blobs; /* owned */
	size_t n_blobs;
	int outcome;
	struct error err;
};

static void offer_free(struct offer *offer)
{
	buf_deinit(&offer->head);
	buf_deinit(&offer->names);
	buf_deinit(&offer->pack);
	free(offer->blobs);
	free(offer);
}

static void put_down(struct offer *offer)
{
	struct share *share = offer->share;
	if (segment_writer_count(share->writer) == 0)
		share->oldest_ms = clock_monotonic_ms();
	offer->entry.head = buf_slice(&offer->head);
	offer->entry.names = buf_slice(&offer->names);
	segment_writer_add(share->writer, &offer->entry);
	offer_free(offer);
	if (segment_writer_count(share->writer) >= PUBLISH_ENTRIES)
		share_flush(share);
}

static void pack_put(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct offer *offer = ctx;
	struct share *share = offer->share;
	if (outcome < 0) {
		note(share, "cannot put a pack", err->text);
		offer_free(offer);
	} else {
		put_down(offer);
	}
	let_go(share);
}

static void make_pack(void *ctx)
{
	struct offer *offer = ctx;
	struct pack_writer *writer = pack_writer_new();
	for (size_t i = 0; i < offer->n_blobs && offer->outcome == 0; i++) {
		_cleanup_buf_ struct buf blob = { 0 };
		offer->outcome = store_get(offer->share->daemon->content, &offer->blobs[i], &blob, &offer->err);
		if (offer->outcome == 0)
			pack_writer_add(writer, &offer->blobs[i], buf_slice(&blob));
	}
	pack_writer_end(writer, &offer->pack);
	pack_writer_free(writer);
	struct digest digest = digest_of(buf_slice(&offer->pack));
	memcpy(offer->entry.pack, digest.hash, sizeof(offer->entry.pack));
	offer->entry.pack_bytes = offer->pack.len;
}

static void pack_made(void *ctx)
{
	struct offer *offer = ctx;
	struct share *share = offer->share;
	char name[128];
	if (offer->outcome != 0) { /* what has left the content store meanwhile is nobody's loss */
		if (offer->outcome < 0)
			note(share, "cannot make a pack", offer->err.text);
		offer_free(offer);
		let_go(share);
		return;
	}
	pack_key(offer->entry.pack, name);
	s3_put(&share->bucket, name, buf_slice(&offer->pack), true, pack_put, offer);
}

static void add_blob(struct offer *offer, const struct digest *digest)
{
	if (digest->size_bytes > 0)
		offer->blobs[offer->n_blobs++] = *digest;
}

void share_publish(struct share *share, const struct digest *key, const struct lookups *lookups, const struct cache_result *result,
	const struct digest *kept)
{
	if (!share->write)
		return;
	struct offer *offer = calloc(1, sizeof(*offer));
	struct error err;
	if (!offer || !(offer->blobs = calloc(result->n_outputs + 2, sizeof(*offer->blobs))))
		abort();
	offer->share = share;
	memcpy(offer->entry.key, key->hash, sizeof(offer->entry.key));
	if (cache_encode(lookups, result, &offer->head, &offer->names, &err) < 0) {
		note(share, "a result", err.text);
		offer_free(offer);
		return;
	}
	if (kept->size_bytes > 0) {
		memcpy(offer->entry.pack, kept->hash, sizeof(offer->entry.pack));
		offer->entry.pack_bytes = (uint64_t)kept->size_bytes;
		put_down(offer);
		return;
	}
	for (size_t i = 0; i < result->n_outputs; i++)
		if (!result->outputs[i].absent)
			add_blob(offer, &result->outputs[i].digest);
	add_blob(offer, &result->out);
	add_blob(offer, &result->err);
	hold(share);
	work_start(&share->daemon->loop, make_pack, pack_made, offer);
}

/* A segment on its way out. */
struct publication {
	struct share *share;
	struct buf object;
};

static void segment_put(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct publication *publication = ctx;
	struct share *share = publication->share;
	if (outcome < 0)
		note(share, "cannot publish results", err->text);
	buf_deinit(&publication->object);
	free(publication);
	let_go(share);
}

void share_flush(struct share *share)
{
	char key[KEY_CHARS + 1], hex[DIGEST_HEX_CHARS + 1];
	if (segment_writer_count(share->writer) == 0)
		return;
	struct publication *publication = calloc(1, sizeof(*publication));
	if (!publication)
		abort();
	publication->share = share;
	segment_writer_end(share->writer, &publication->object);
	struct digest digest = digest_of(buf_slice(&publication->object));
	digest_hex(&digest, hex);
	snprintf(key, sizeof(key), KEY_PREFIX "%0*llx-%s", TIME_CHARS, (unsigned long long)clock_realtime_ns() / 1000000, hex);
	hold(share);
	s3_put(&share->bucket, key, buf_slice(&publication->object), true, segment_put, publication);
}

/* ---------------------------------------------------------------------------------------------------------------- */

void share_tick(struct share *share)
{
	int64_t now_ms = clock_monotonic_ms();
	if (!share->answered && now_ms - share->opened_ms >= FIRST_MS) {
		share->answered = true;
		note(share, "the bucket", "no answer yet; going on without it");
		wake(&share->waiters);
	}
	if (segment_writer_count(share->writer) > 0 && (share->daemon->leaving || now_ms - share->oldest_ms >= PUBLISH_MS))
		share_flush(share);
}

struct share *share_new(struct daemon *daemon, const struct s3_bucket *bucket, bool write, struct error *err)
{
	_cleanup_buf_ struct buf directory = { 0 };
	buf_printf(&directory, "%s/share/%s", daemon->cache_dir, bucket->name);
	struct segments *segments = segments_open(directory.ptr, SEGMENTS_LIMIT, err);
	if (!segments)
		return NULL;
	struct share *share = calloc(1, sizeof(*share));
	if (!share)
		abort();
	share->daemon = daemon;
	share->bucket = *bucket;
	share->write = write;
	share->segments = segments;
	share->writer = segment_writer_new();
	share->opened_ms = clock_monotonic_ms();
	list_init(&share->wanted);
	list_init(&share->waiters);
	refresh(share);
	return share;
}

void share_free(struct share *share)
{
	if (!share)
		return;
	segments_close(share->segments);
	segment_writer_free(share->writer);
	map_deinit(&share->refused);
	arena_deinit(&share->arena);
	free(share);
}
