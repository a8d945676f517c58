#include "daemon/share.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/map.h"
#include "cache/key.h"
#include "cache/manifest.h"
#include "cache/rebase.h"
#include "cache/result.h"
#include "cache/segments.h"
#include "daemon/answer.h"
#include "daemon/daemon_internal.h"
#include "daemon/journal.h"
#include "event/work.h"
#include "store/pack.h"

#define KEY_PREFIX "share/"

enum {
	REFRESH_MS = 30000,
	FIRST_MS = 10000,  /* how long requests wait for the first answer */
	PUBLISH_MS = 5000, /* from the first result on that waits */
	PUBLISH_ENTRIES = 256,
	PUBLISH_BYTES = 16 << 20, /* before compression; what would be too large for a segment stays at home */
	SEGMENTS_LIMIT = 4096,
	LIST_LIMIT = 100000,
	DELIVERY_MS = 10000, /* how long a request waits for a result that is known to be there */
	SLOW_MS = 60000,     /* how long after one that didn't come nobody waits for another */
	LEAVE_MS = 10000,    /* how long a daemon that leaves goes on putting */
	LATE_MS = 600000,    /* by how much the clocks of those who write may differ */
	FETCHES_LIMIT = 8,   /* segments at a time */
	TIME_CHARS = 12,
	NAME_CHARS = TIME_CHARS + 1 + DIGEST_HEX_CHARS,
	KEY_CHARS = sizeof(KEY_PREFIX) - 1 + NAME_CHARS,
};

struct share {
	struct daemon *daemon;
	struct s3_bucket bucket;
	bool write;
	char *base; /* owned: share_base() */
	struct segments *segments;

	bool listing, answered; /* the bucket is being asked; it has answered once, or won't */
	int64_t listed_ms, opened_ms;
	struct list wanted, fetching; /* fetch.link: segments that are not yet on their way, and those that are */
	unsigned n_fetching;
	struct map refused; /* names of segments that are no good, until the daemon leaves; keys in the arena */
	struct arena arena;
	struct list waiters; /* for the first answer */

	struct segment_writer *writer;
	size_t n_bytes;		/* in it, about */
	int64_t oldest_ms;	/* since when something waits in it */
	struct list deliveries; /* delivery.link */
	struct list puts;	/* put.link */
	int64_t slow_until_ms;	/* nothing is fetched until then; 0: it may be */
	int64_t leaving_ms;	/* since when the daemon leaves; 0: it doesn't */
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

static unsigned long long now_ms(void)
{
	return (unsigned long long)clock_realtime_ns() / 1000000;
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

/* The daemon stays for what others wait for. It doesn't for what it would itself like to know. */
static void hold(struct share *share)
{
	share->daemon->n_requests++;
}

static void let_go(struct share *share)
{
	daemon_request_ended(share->daemon);
}

static int check_hash(struct slice bytes, const uint8_t hash[static DIGEST_HASH_BYTES], struct error *err)
{
	struct digest digest = digest_of(bytes);
	return memcmp(digest.hash, hash, DIGEST_HASH_BYTES) == 0
		       ? 0
		       : error_set(err, EBADMSG, "it is not what its name says");
}

/* --- What the bucket has ---------------------------------------------------------------------------------------- */

/* A segment on its way. */
struct fetch {
	struct list link;
	struct share *share;
	char name[NAME_CHARS + 1];
	struct buf object;
	bool sound; /* it is what it says it is */
	int outcome;
	struct error err;
};

static void fetch_free(struct fetch *fetch)
{
	list_remove(&fetch->link);
	buf_deinit(&fetch->object);
	free(fetch);
}

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
	fetch_free(fetch);
	fetch_more(share);
	settle(share);
}

static void unpack_segment(void *ctx)
{
	struct fetch *fetch = ctx;
	struct digest named;
	_cleanup_buf_ struct buf plain = { 0 };
	fetch->outcome = digest_parse_hex(slice_str(fetch->name + TIME_CHARS + 1), &named);
	assert(fetch->outcome == 0); /* is_segment_name() */
	fetch->outcome = check_hash(buf_slice(&fetch->object), named.hash, &fetch->err);
	if (fetch->outcome == 0)
		fetch->outcome = segment_unpack(buf_slice(&fetch->object), &plain, &fetch->err);
	fetch->sound = fetch->outcome == 0;
	if (fetch->sound)
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
		if (fetch->sound) /* this machine can't keep it */
			note(share, name, fetch->err.text);
		else
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
	/* Who leaves needs nothing any more, and what it would ask may be gone. */
	while (!share->daemon->leaving && share->n_fetching < FETCHES_LIMIT && !list_empty(&share->wanted)) {
		struct fetch *fetch = list_first(&share->wanted, struct fetch, link);
		char key[KEY_CHARS + 1];
		list_remove(&fetch->link);
		list_append(&share->fetching, &fetch->link);
		share->n_fetching++;
		snprintf(key, sizeof(key), KEY_PREFIX "%s", fetch->name);
		s3_get(&share->bucket, key, 0, 0, segment_came, fetch);
	}
}

static bool is_segment_name(const char *name)
{
	struct digest digest;
	return strlen(name) == NAME_CHARS && strspn(name, "0123456789abcdef") == TIME_CHARS &&
	       name[TIME_CHARS] == '-' && digest_parse_hex(slice_str(name + TIME_CHARS + 1), &digest) == 0;
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
}

/* Ask for what has come since the youngest that is here, and a little before, for clocks differ. A name may say that it is of the year 10000. */
static void refresh(struct share *share)
{
	char after[KEY_CHARS + 1];
	unsigned long long youngest = strtoull(segments_youngest(share->segments), NULL, 16), now = now_ms();
	if (share->listing || share->n_fetching > 0)
		return;
	if (youngest > now)
		youngest = now;
	snprintf(after, sizeof(after), KEY_PREFIX "%0*llx", TIME_CHARS, youngest > LATE_MS ? youngest - LATE_MS : 0);
	share->listing = true;
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

/* The entry with its manifest as it is below `base`, in `arena`. -1: malformed. */
static int bring_below(struct segment_entry *entry, const char *base, struct arena *arena, struct error *err)
{
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	if (manifest_rebase(entry->head, entry->names, REBASE_MARK, base, &head, &names, err) < 0)
		return -1;
	entry->head = slice_of(arena_strndup(arena, buf_str(&head), head.len), head.len);
	entry->names = slice_of(arena_strndup(arena, buf_str(&names), names.len), names.len);
	return 0;
}

static bool is_base(const char *path)
{
	size_t n = strlen(path);
	return n > 1 && path[0] == '/' && path[n - 1] != '/' && portable_is_plain(path);
}

/* `base` NULL: under a key of absolute paths. */
static int find_under(struct share *share, uint64_t since, const struct digest *key, const char *base,
	const struct digest *messages_kind, struct arena *arena, struct share_found *ret, struct cache_why *youngest)
{
	struct segments_place at = { 0 };
	for (struct segment_entry entry; segments_next(share->segments, key, &at, &entry);) {
		struct cache_why why;
		struct error err;
		int outcome = base ? bring_below(&entry, base, arena, &err) : 0;
		if (outcome == 0)
			outcome = cache_judge(entry.head, entry.names, share->daemon->view, since, messages_kind, arena,
				&ret->result, &why, &err);
		if (outcome == 0 && base && !is_base(ret->result.base))
			outcome = error_set(&err, EBADMSG, "it says nowhere that it was made below a base directory");
		if (outcome < 0)
			reject(share, "a result", &err);
		else if (outcome > 0 && youngest->what == CACHE_WHY_NO_KEY)
			*youngest = why;
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

int share_find(struct share *share, uint64_t since, const struct share_key *key, const struct digest *messages_kind,
	struct arena *arena, struct share_found *ret, struct cache_why *why)
{
	*why = (struct cache_why){ .what = CACHE_WHY_NO_KEY };
	if (clock_monotonic_ms() < share->slow_until_ms)
		return CACHE_MISS;
	if (key->base && find_under(share, since, &key->below, key->base, messages_kind, arena, ret, why) == 0)
		return 0;
	return find_under(share, since, &key->key, NULL, messages_kind, arena, ret, why);
}

/* --- A result's content ----------------------------------------------------------------------------------------- */

/* A pack on its way into the content store. */
struct delivery {
	struct share *share;
	struct list link; /* share.deliveries, while it comes */
	struct s3_op *op; /* under way then */
	int64_t started_ms;
	struct list waiters; /* one, or none when it left */
	struct digest key;
	char *base; /* owned: where base_dir is here, for a result that was made below another place of it; or NULL */
	size_t depfile;
	struct cache_result result; /* what cache_put_encoded() looks at */
	struct digest *blobs;	    /* owned: what the result names */
	size_t n_blobs;
	struct buf head, names, body;
	uint8_t pack[DIGEST_HASH_BYTES];
	bool sound; /* it is what it says it is */
	int outcome;
	struct error err;
};

/* The blobs that the result names, without the empty one; owned by the caller. Also which of them is the output `depfile`, and the first that is a
 * message: SIZE_MAX, or their number, if there is none. */
static struct digest *blobs_of(
	const struct cache_result *result, size_t depfile, size_t *n_ret, size_t *depfile_ret, size_t *messages_ret)
{
	struct digest *blobs = calloc(result->n_outputs + 2, sizeof(*blobs));
	size_t n = 0;
	if (!blobs)
		abort();
	*depfile_ret = SIZE_MAX;
	for (size_t i = 0; i < result->n_outputs; i++) {
		if (result->outputs[i].absent || result->outputs[i].digest.size_bytes == 0)
			continue;
		if (strtoul(result->outputs[i].label, NULL, 10) == depfile)
			*depfile_ret = n;
		blobs[n++] = result->outputs[i].digest;
	}
	*messages_ret = n;
	if (result->out.size_bytes > 0)
		blobs[n++] = result->out;
	if (result->err.size_bytes > 0)
		blobs[n++] = result->err;
	*n_ret = n;
	return blobs;
}

static void delivery_end(struct delivery *delivery)
{
	struct share *share = delivery->share;
	wake(&delivery->waiters);
	buf_deinit(&delivery->head);
	buf_deinit(&delivery->names);
	buf_deinit(&delivery->body);
	free(delivery->base);
	free(delivery->blobs);
	free(delivery);
	let_go(share);
}

static int compare_entry(const void *a, const void *b)
{
	const struct digest *digest = a;
	const struct pack_entry *entry = b;
	return memcmp(digest->hash, entry->digest.hash, DIGEST_HASH_BYTES);
}

static int take_blob(struct delivery *delivery, const struct digest *digest, const struct pack_entry *entries, size_t n)
{
	_cleanup_buf_ struct buf blob = { 0 };
	const struct pack_entry *entry = n ? bsearch(digest, entries, n, sizeof(*entries), compare_entry) : NULL;
	if (!entry || entry->digest.size_bytes != digest->size_bytes)
		return error_set(&delivery->err, EBADMSG, "it lacks what a result names");
	if (pack_blob(entry, slice_of(delivery->body.ptr + entry->offset, entry->stored), &blob, &delivery->err) < 0)
		return -1;
	delivery->sound = true;
	return store_put(delivery->share->daemon->content, digest, buf_slice(&blob), &delivery->err);
}

/* The dependency file as the compiler would have written it here, in place of the one that came. */
static int move_depfile(struct delivery *delivery, struct cache_result *result, struct arena *arena)
{
	struct store *content = delivery->share->daemon->content;
	for (size_t i = 0; i < result->n_outputs; i++) {
		struct cache_output *output = &result->outputs[i];
		_cleanup_buf_ struct buf stored = { 0 }, moved = { 0 };
		if (output->absent || strtoul(output->label, NULL, 10) != delivery->depfile)
			continue;
		if (store_get(content, &output->digest, &stored, &delivery->err) != 0 ||
			answer_move_depfile(buf_slice(&stored), result->depfile_targets, result->base, delivery->base, arena,
				&result->depfile_targets, &moved) < 0)
			return error_set(&delivery->err, 0, "its dependency file can't be moved from %s", result->base);
		output->digest = digest_of(buf_slice(&moved));
		return store_put(content, &output->digest, buf_slice(&moved), &delivery->err);
	}
	return 0;
}

/* The result as it would be if it had been made here. */
static int bring_home(struct delivery *delivery)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf encoded = { 0 }, head = { 0 };
	struct manifest manifest;
	struct cache_result result;
	if (manifest_decode(buf_slice(&delivery->head), &arena, &manifest, &delivery->err) < 0 ||
		result_decode(manifest.result, &arena, &result, &delivery->err) < 0)
		return -1;
	if (result.depfile_targets[0] == '=' && move_depfile(delivery, &result, &arena) < 0)
		return -1;
	result.base = "";
	result_encode(&result, &encoded);
	manifest_replace_result(buf_slice(&delivery->head), buf_slice(&encoded), &head);
	buf_reset(&delivery->head);
	buf_append_slice(&delivery->head, buf_slice(&head));
	return 0;
}

/* Only what the result names: a pack may hold anything. */
static void unpack_pack(void *ctx)
{
	struct delivery *delivery = ctx;
	struct slice pack = buf_slice(&delivery->body);
	struct pack_entry *entries = NULL;
	size_t n = 0;
	delivery->outcome = check_hash(pack, delivery->pack, &delivery->err);
	if (delivery->outcome == 0)
		delivery->outcome = pack_index_parse(pack, pack.len, &entries, &n, &delivery->err);
	delivery->sound = delivery->outcome == 0;
	for (size_t i = 0; i < delivery->n_blobs && delivery->outcome == 0; i++) {
		delivery->sound = false;
		delivery->outcome = take_blob(delivery, &delivery->blobs[i], entries, n);
	}
	free(entries);
	if (delivery->outcome == 0 && delivery->base)
		delivery->outcome = bring_home(delivery);
}

static void pack_unpacked(void *ctx)
{
	struct delivery *delivery = ctx;
	struct share *share = delivery->share;
	struct error err;
	if (!delivery->sound)
		reject(share, "a pack", &delivery->err);
	else if (delivery->outcome < 0)
		note(share, "a pack", delivery->err.text);
	else if (cache_put_encoded(share->daemon->cache, &delivery->key, buf_slice(&delivery->head),
			 buf_slice(&delivery->names), &delivery->result, &err) < 0)
		note(share, "cache", err.text);
	delivery_end(delivery);
}

static void pack_came(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct delivery *delivery = ctx;
	list_remove(&delivery->link);
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

void share_fetch(
	struct share *share, const struct share_found *found, const struct share_key *key, struct share_waiter *waiter)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	char name[128];
	if (!delivery)
		abort();
	delivery->share = share;
	delivery->key = key->key;
	if (*found->result.base && !(delivery->base = strdup(key->base)))
		abort();
	delivery->depfile = key->depfile;
	memcpy(delivery->pack, found->pack, sizeof(delivery->pack));
	buf_append_slice(&delivery->head, found->head);
	buf_append_slice(&delivery->names, found->names);
	list_init(&delivery->waiters);
	list_append(&delivery->waiters, &waiter->link);
	delivery->result.messages_kind = found->result.messages_kind;
	delivery->result.alias_signature = found->result.alias_signature;
	size_t depfile, messages;
	delivery->blobs = blobs_of(&found->result, key->depfile, &delivery->n_blobs, &depfile, &messages);
	hold(share);
	pack_key(found->pack, name);
	delivery->started_ms = clock_monotonic_ms();
	list_append(&share->deliveries, &delivery->link);
	delivery->op = s3_get(&share->bucket, name, 0, 0, pack_came, delivery);
}

/* To compile takes less. */
static void give_up_deliveries(struct share *share, int64_t now)
{
	for (struct delivery *delivery; (delivery = list_first(&share->deliveries, struct delivery, link));) {
		if (now - delivery->started_ms < DELIVERY_MS)
			return; /* the oldest is the first */
		note(share, "a pack", "it takes too long to come");
		share->slow_until_ms = now + SLOW_MS;
		list_remove(&delivery->link);
		s3_cancel(delivery->op);
		delivery_end(delivery);
	}
}

/* --- Publishing ------------------------------------------------------------------------------------------------- */

/* An object that is being put. */
struct put {
	struct list link;
	struct s3_op *op;
	void (*drop)(struct put *put); /* nothing comes of it */
};

static void put_start(
	struct share *share, struct put *put, const char *key, struct slice body, s3_done_fn *fn, void *ctx)
{
	list_append(&share->puts, &put->link);
	put->op = s3_put(&share->bucket, key, body, true, fn, ctx);
}

/* A result on its way out: its pack first, then it waits in the writer. */
struct offer {
	struct share *share;
	struct put put;
	struct segment_entry entry; /* its slices are those below */
	struct buf head, names, pack;
	char *base;                 /* owned: it may be shared below it, unless its outputs tell otherwise; or NULL */
	struct digest key, below;   /* then its keys, */
	struct buf below_head, below_names; /* and its manifest */
	char *depfile_targets;      /* owned: of the blob `depfile`, if there is one */
	size_t depfile, messages;   /* which blob is a dependency file, and from which on they are messages */
	enum portable unportable;
	bool kept;                  /* the pack is in the bucket already */
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
	buf_deinit(&offer->below_head);
	buf_deinit(&offer->below_names);
	free(offer->base);
	free(offer->depfile_targets);
	free(offer->blobs);
	free(offer);
}

static struct digest unportable_key(const struct digest *key)
{
	struct key *unportable = key_new("unportable 1");
	key_add_digest(unportable, "key", key);
	return key_end(unportable);
}

bool share_why_unportable(struct share *share, const struct digest *key, struct buf *to)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct digest unportable = unportable_key(key);
	struct slice why;
	if (cache_note_get(share->daemon->cache, &unportable, &arena, &why, NULL) != 0)
		return false;
	buf_append_slice(to, why);
	return true;
}

/* A result that is shared for this place only. */
static void stays_here(struct share *share, const struct digest *key, enum portable why, const char *detail)
{
	static const size_t counters[] = {
#define X(enumerator, name, text) [PORTABLE_##enumerator] = offsetof(struct stats_counters, share_skipped_##name),
		PORTABLE_TABLE(X)
#undef X
	};
	_cleanup_buf_ struct buf text = { 0 };
	struct digest unportable = unportable_key(key);
	char hex[DIGEST_HEX_CHARS + 1];
	struct error err;
	stats_add_at(share->daemon->stats, NULL, counters[why], 1);
	buf_printf(&text, "%s: %s%s%s", portable_name(why), portable_text(why), detail ? ": " : "", detail ? detail : "");
	if (cache_note_put(share->daemon->cache, &unportable, buf_slice(&text), &err) < 0)
		note(share, "cache", err.text);
	digest_hex(key, hex);
	buf_printf(&text, " (key %s)", hex);
	note(share, "not for another base_dir", buf_str(&text));
}

static void put_down(struct offer *offer)
{
	struct share *share = offer->share;
	if (segment_writer_count(share->writer) == 0)
		share->oldest_ms = clock_monotonic_ms();
	bool below = offer->base && offer->unportable == PORTABLE;
	if (offer->base && !below)
		stays_here(share, &offer->key, offer->unportable, NULL);
	if (below)
		memcpy(offer->entry.key, offer->below.hash, sizeof(offer->entry.key));
	offer->entry.head = buf_slice(below ? &offer->below_head : &offer->head);
	offer->entry.names = buf_slice(below ? &offer->below_names : &offer->names);
	segment_writer_add(share->writer, &offer->entry);
	share->n_bytes += offer->entry.head.len + offer->entry.names.len;
	offer_free(offer);
	if (segment_writer_count(share->writer) >= PUBLISH_ENTRIES || share->n_bytes >= PUBLISH_BYTES)
		share_flush(share);
}

static void pack_put(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct offer *offer = ctx;
	struct share *share = offer->share;
	list_remove(&offer->put.link);
	if (outcome < 0) {
		note(share, "cannot put a pack", err->text);
		offer_free(offer);
	} else {
		put_down(offer);
	}
	let_go(share);
}

static void drop_offer(struct put *put)
{
	struct offer *offer = container_of(put, struct offer, put);
	struct share *share = offer->share;
	offer_free(offer);
	let_go(share);
}

/* Whether one of an offer's blobs is the same below another directory. */
static enum portable examine(const struct offer *offer, size_t i, struct slice blob)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf moved = { 0 };
	const char *targets;
	if (i == offer->depfile && offer->depfile_targets[0] == '=')
		return answer_move_depfile(blob, offer->depfile_targets, offer->base, REBASE_MARK, &arena, &targets, &moved) < 0
			       ? PORTABLE_DEPFILE
			       : PORTABLE;
	enum portable why = portable_examine(blob, offer->base);
	return why == PORTABLE ? PORTABLE : i == offer->depfile ? PORTABLE_DEPFILE : i >= offer->messages ? PORTABLE_MESSAGES : why;
}

static void make_pack(void *ctx)
{
	struct offer *offer = ctx;
	struct pack_writer *writer = pack_writer_new();
	for (size_t i = 0; i < offer->n_blobs && offer->outcome == 0; i++) {
		_cleanup_buf_ struct buf blob = { 0 };
		offer->outcome = store_get(offer->share->daemon->content, &offer->blobs[i], &blob, &offer->err);
		if (offer->outcome == 0 && offer->base && offer->unportable == PORTABLE)
			offer->unportable = examine(offer, i, buf_slice(&blob));
		if (offer->outcome == 0 && !offer->kept)
			pack_writer_add(writer, &offer->blobs[i], buf_slice(&blob));
	}
	if (offer->kept) {
		pack_writer_free(writer);
		return;
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
	if (offer->kept) {
		put_down(offer);
		let_go(share);
		return;
	}
	pack_key(offer->entry.pack, name);
	put_start(share, &offer->put, name, buf_slice(&offer->pack), pack_put, offer);
}

static int offer_below(struct offer *offer, const struct share_key *key, const struct lookups *lookups, const struct cache_result *result,
	struct error *err)
{
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	struct cache_result below = *result;
	offer->base = strdup(key->base);
	offer->depfile_targets = strdup(result->depfile_targets);
	if (!offer->base || !offer->depfile_targets)
		abort();
	offer->key = key->key;
	offer->below = key->below;
	below.base = key->base;
	return cache_encode(lookups, &below, &head, &names, err) < 0 ||
			       manifest_rebase(buf_slice(&head), buf_slice(&names), offer->base, REBASE_MARK, &offer->below_head,
				       &offer->below_names, err) < 0
		       ? -1
		       : 0;
}

void share_publish(struct share *share, const struct share_key *key, const struct lookups *lookups,
	const struct cache_result *result, const struct digest *kept)
{
	if (!share->write)
		return;
	struct offer *offer = calloc(1, sizeof(*offer));
	struct error err;
	if (!offer)
		abort();
	offer->share = share;
	offer->put.drop = drop_offer;
	memcpy(offer->entry.key, key->key.hash, sizeof(offer->entry.key));
	if (key->base && key->unportable != PORTABLE)
		stays_here(share, &key->key, key->unportable, key->detail);
	if (cache_encode(lookups, result, &offer->head, &offer->names, &err) < 0 ||
		(key->base && key->unportable == PORTABLE && offer_below(offer, key, lookups, result, &err) < 0)) {
		note(share, "a result", err.text);
		offer_free(offer);
		return;
	}
	if (kept->size_bytes > 0) {
		memcpy(offer->entry.pack, kept->hash, sizeof(offer->entry.pack));
		offer->entry.pack_bytes = (uint64_t)kept->size_bytes;
		offer->kept = true;
	}
	if (offer->kept && !offer->base) {
		put_down(offer);
		return;
	}
	offer->blobs = blobs_of(result, key->depfile, &offer->n_blobs, &offer->depfile, &offer->messages);
	hold(share);
	work_start(&share->daemon->loop, make_pack, pack_made, offer);
}

/* A segment on its way out. */
struct publication {
	struct share *share;
	struct put put;
	struct segment_writer *writer; /* owned */
	char key[KEY_CHARS + 1];
	struct buf object;
};

static void publication_end(struct publication *publication)
{
	struct share *share = publication->share;
	buf_deinit(&publication->object);
	free(publication);
	let_go(share);
}

static void drop_publication(struct put *put)
{
	publication_end(container_of(put, struct publication, put));
}

static void segment_put(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct publication *publication = ctx;
	list_remove(&publication->put.link);
	if (outcome < 0)
		note(publication->share, "cannot publish results", err->text);
	publication_end(publication);
}

/* Some megabytes to compress. */
static void make_segment(void *ctx)
{
	struct publication *publication = ctx;
	char hex[DIGEST_HEX_CHARS + 1];
	segment_writer_end(publication->writer, &publication->object);
	segment_writer_free(publication->writer);
	struct digest digest = digest_of(buf_slice(&publication->object));
	digest_hex(&digest, hex);
	snprintf(publication->key, sizeof(publication->key), KEY_PREFIX "%0*llx-%s", TIME_CHARS, now_ms(), hex);
}

static void segment_made(void *ctx)
{
	struct publication *publication = ctx;
	put_start(publication->share, &publication->put, publication->key, buf_slice(&publication->object), segment_put,
		publication);
}

void share_flush(struct share *share)
{
	if (segment_writer_count(share->writer) == 0)
		return;
	struct publication *publication = calloc(1, sizeof(*publication));
	if (!publication)
		abort();
	publication->share = share;
	publication->put.drop = drop_publication;
	publication->writer = share->writer;
	share->writer = segment_writer_new();
	share->n_bytes = 0;
	hold(share);
	work_start(&share->daemon->loop, make_segment, segment_made, publication);
}

/* ---------------------------------------------------------------------------------------------------------------- */

static void answer_without(struct share *share)
{
	share->answered = true;
	wake(&share->waiters);
}

/* Others wait for this daemon's place. */
static void leave(struct share *share, int64_t now)
{
	if (share->leaving_ms == 0)
		share->leaving_ms = now;
	if (!share->answered)
		answer_without(share);
	if (segment_writer_count(share->writer) > 0)
		share_flush(share);
	if (now - share->leaving_ms < LEAVE_MS || list_empty(&share->puts))
		return;
	note(share, "cannot publish results", "the bucket doesn't answer, and the daemon leaves");
	while (!list_empty(&share->puts)) {
		struct put *put = list_first(&share->puts, struct put, link);
		list_remove(&put->link);
		s3_cancel(put->op);
		put->drop(put);
	}
}

void share_tick(struct share *share)
{
	int64_t now = clock_monotonic_ms();
	give_up_deliveries(share, now);
	if (share->daemon->leaving) {
		leave(share, now);
		return;
	}
	if (!share->answered && now - share->opened_ms >= FIRST_MS) {
		note(share, "the bucket", "no answer yet; going on without it");
		answer_without(share);
	}
	if (segment_writer_count(share->writer) > 0 && now - share->oldest_ms >= PUBLISH_MS)
		share_flush(share);
}

/* Compilers that look through symlinks name what they find by its real path. */
static void find_base(struct share *share, const char *base_dir)
{
	if (!base_dir)
		return;
	share->base = realpath(base_dir, NULL);
	if (share->base && is_base(share->base))
		return;
	note(share, "base_dir", share->base ? "its path has characters that are quoted, or it is /: nothing is shared below it" : strerror(errno));
	free(share->base);
	share->base = NULL;
}

const char *share_base(const struct share *share)
{
	return share->base;
}

/* What is known of a bucket is known of it alone. */
static void name_directory(const struct daemon *daemon, const char *bucket, const char *endpoint, struct buf *ret)
{
	buf_printf(ret, "%s/share/%s", daemon->cache_dir, bucket);
	if (!*endpoint)
		return;
	struct digest digest = digest_of(slice_str(endpoint));
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&digest, hex);
	buf_printf(ret, "@%.16s", hex);
}

struct share *share_new(struct daemon *daemon, const struct s3_bucket *bucket, const char *endpoint, bool write, const char *base_dir, struct error *err)
{
	_cleanup_buf_ struct buf directory = { 0 };
	name_directory(daemon, bucket->name, endpoint, &directory);
	struct segments *segments = segments_open(directory.ptr, SEGMENTS_LIMIT, err);
	if (!segments)
		return NULL;
	struct share *share = calloc(1, sizeof(*share));
	if (!share)
		abort();
	share->daemon = daemon;
	share->bucket = *bucket;
	share->write = write;
	find_base(share, base_dir);
	share->segments = segments;
	share->writer = segment_writer_new();
	share->opened_ms = clock_monotonic_ms();
	list_init(&share->wanted);
	list_init(&share->fetching);
	list_init(&share->puts);
	list_init(&share->deliveries);
	list_init(&share->waiters);
	refresh(share);
	return share;
}

void share_free(struct share *share)
{
	if (!share)
		return;
	struct fetch *fetch;
	list_for_each (fetch, &share->wanted, struct fetch, link)
		fetch_free(fetch);
	list_for_each (fetch, &share->fetching, struct fetch, link)
		fetch_free(fetch);
	segments_close(share->segments);
	segment_writer_free(share->writer);
	free(share->base);
	map_deinit(&share->refused);
	arena_deinit(&share->arena);
	free(share);
}
