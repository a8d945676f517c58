#include "exec/uplink.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "event/work.h"
#include "exec/known.h"
#include "exec/packing.h"
#include "store/pack.h"
#include "store/tree.h"

enum {
	MAX_AGE_S = 14 * 24 * 3600,
	EXPIRY_CHECK_S = 60,
	STATE_LIMIT = 64 << 20,
	SPARE_OBJECTS = 64, /* for what one walk finds new */
	MERGE_FACTOR = 2,   /* a pack is merged if it has at most so many times the bytes of the smaller ones together */
};

/* A blob that is known, or on its way; in `blobs` by its hash until the sweep. */
struct blob {
	struct digest digest;
	struct object *object; /* NULL: not in the bucket, as far as we know */
	bool directory;
	bool forgotten;        /* it was lost or damaged there: its next object is written over what is there */
	bool missing;          /* home doesn't have it: set while waiters are told */
};

enum object_state {
	OBJECT_QUEUED,  /* in uplink->queue; the one that is uplink->gathering takes more blobs */
	OBJECT_PACKING, /* a thread has its `packing` */
	OBJECT_PUTTING,
	OBJECT_STORED,
};

/* An object of the bucket, or one that will be. */
struct object {
	struct uplink *uplink;
	enum object_state state;
	unsigned slot;
	bool alone, overwrite;
	bool partial;         /* a pack that wasn't full when it began */
	bool dropped;         /* freed when its thread comes back */
	struct list link;     /* QUEUED */
	struct blob **blobs;  /* those whose object this is */
	size_t n_blobs, capacity;
	int64_t raw_bytes;
	struct packing packing;
	char key[128];
	struct s3_op *put;
	/* STORED. */
	uint8_t hash[DIGEST_HASH_BYTES];
	int64_t size_bytes, stored_s;
	uint64_t stored_at;   /* uplink->generation */
	bool kept;            /* its bytes are at home too, for merging */
};

/* A directory that was walked. */
struct walked {
	struct digest digest;
	struct uplink_set set; /* the objects that hold it and all below */
};

struct uplink {
	uv_loop_t *loop;
	struct uplink_options options; /* its two strings owned */
	bool stopped;
	struct map blobs, walked;      /* struct blob, struct walked; owned */
	struct object *objects[UPLINK_OBJECTS];
	struct list queue;             /* object.link */
	struct object *gathering;
	struct object *merge;          /* under way, or NULL */
	struct uplink_set merged;      /* what goes into it */
	unsigned n_under_way, n_partial; /* PACKING or PUTTING; those of them that are partial */
	unsigned n_threads;            /* PACKING, dropped ones too */
	int64_t raw_under_way;
	uint64_t generation;           /* counts objects stored */
	int64_t expiry_checked_s;
	struct list waiters;
	char *kept;                    /* the directory of kept packs */
	char *state_path;
	int state_fd;                  /* -1: nothing is remembered any more */
};

/* --- Sets ------------------------------------------------------------------------------------------------------ */

static bool set_has(const struct uplink_set *set, unsigned slot)
{
	return set->bits[slot / 64] >> (slot % 64) & 1;
}

static void set_add(struct uplink_set *set, unsigned slot)
{
	set->bits[slot / 64] |= (uint64_t)1 << (slot % 64);
}

static void set_remove(struct uplink_set *set, unsigned slot)
{
	set->bits[slot / 64] &= ~((uint64_t)1 << (slot % 64));
}

static void set_unite(struct uplink_set *set, const struct uplink_set *other)
{
	for (size_t i = 0; i < UPLINK_OBJECTS / 64; i++)
		set->bits[i] |= other->bits[i];
}

/* In the place of any of `olds` stands `slot`. */
static void set_replace(struct uplink_set *set, const struct uplink_set *olds, unsigned slot)
{
	bool any = false;
	for (size_t i = 0; i < UPLINK_OBJECTS / 64; i++) {
		any |= set->bits[i] & olds->bits[i];
		set->bits[i] &= ~olds->bits[i];
	}
	if (any)
		set_add(set, slot);
}

/* --- Objects --------------------------------------------------------------------------------------------------- */

static int64_t now_s(void)
{
	return clock_realtime_ns() / 1000000000;
}

static void note(const struct uplink *uplink, const struct error *err)
{
	if (uplink->options.note)
		uplink->options.note(uplink->options.ctx, err->text);
}

/* Forget the walks that met `slot`. */
static void forget_walks(struct uplink *uplink, unsigned slot)
{
	struct map kept = { 0 };
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&uplink->walked, &at));) {
		struct walked *walked = e->value;
		if (set_has(&walked->set, slot))
			free(walked);
		else
			map_put(&kept, digest_slice(&walked->digest), walked);
	}
	map_deinit(&uplink->walked);
	uplink->walked = kept;
}

static void forget_all_walks(struct uplink *uplink)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&uplink->walked, &at));)
		free(e->value);
	map_deinit(&uplink->walked);
}

static void kept_path(const struct uplink *uplink, const struct object *object, struct buf *ret)
{
	struct digest digest = { .size_bytes = 0 };
	char hex[DIGEST_HEX_CHARS + 1];
	memcpy(digest.hash, object->hash, DIGEST_HASH_BYTES);
	digest_hex(&digest, hex);
	buf_printf(ret, "%s/%s", uplink->kept, hex);
}

static void object_free(struct object *object)
{
	packing_deinit(&object->packing);
	free(object->blobs);
	free(object);
}

static void under_way_begin(const struct object *object)
{
	object->uplink->n_under_way++;
	object->uplink->n_partial += object->partial;
	object->uplink->raw_under_way += object->raw_bytes;
}

static void under_way_end(const struct object *object)
{
	object->uplink->n_under_way--;
	object->uplink->n_partial -= object->partial;
	object->uplink->raw_under_way -= object->raw_bytes;
}

/* It is no more, nor are its blobs. Whoever waits for it was told. */
static void object_drop(struct object *object)
{
	struct uplink *uplink = object->uplink;
	for (size_t i = 0; i < object->n_blobs; i++)
		if (object->blobs[i]->object == object)
			object->blobs[i]->object = NULL;
	forget_walks(uplink, object->slot);
	struct uplink_waiter *waiter;
	list_for_each (waiter, &uplink->waiters, struct uplink_waiter, link)
		set_remove(&waiter->set, object->slot);
	set_remove(&uplink->merged, object->slot);
	uplink->objects[object->slot] = NULL;
	if (uplink->gathering == object)
		uplink->gathering = NULL;
	if (uplink->merge == object)
		uplink->merge = NULL;
	list_remove(&object->link);
	if (object->kept) {
		_cleanup_buf_ struct buf path = { 0 };
		kept_path(uplink, object, &path);
		unlink(path.ptr); /* what stays is removed when the next daemon starts */
	}
	if (object->state == OBJECT_PACKING || object->state == OBJECT_PUTTING)
		under_way_end(object);
	if (object->state == OBJECT_PUTTING)
		s3_cancel(object->put);
	if (object->state == OBJECT_PACKING) {
		atomic_store(&object->packing.cancelled, true);
		object->dropped = true;
		return;
	}
	object_free(object);
}

/* The object stored longest ago that nobody waits with. */
static struct object *oldest(const struct uplink *uplink)
{
	struct uplink_set used = { 0 };
	struct uplink_waiter *waiter;
	list_for_each (waiter, &uplink->waiters, struct uplink_waiter, link)
		set_unite(&used, &waiter->set);
	struct object *ret = NULL;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++) {
		struct object *object = uplink->objects[i];
		if (object && object->state == OBJECT_STORED && !set_has(&used, i) && (!ret || object->stored_s < ret->stored_s))
			ret = object;
	}
	return ret;
}

/* Let there be `n` free slots, as far as that goes. */
static void make_room(struct uplink *uplink, unsigned n)
{
	unsigned n_free = 0;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		n_free += !uplink->objects[i];
	for (struct object *old; n_free < n && (old = oldest(uplink)); n_free++)
		object_drop(old);
}

/* NULL: too much is under way. Nothing is dropped for it: a walk is under way perhaps. */
static struct object *object_new(struct uplink *uplink, bool alone, struct error *err)
{
	unsigned slot = 0;
	while (slot < UPLINK_OBJECTS && uplink->objects[slot])
		slot++;
	if (slot == UPLINK_OBJECTS) {
		error_set(err, ENOBUFS, "more than %d objects are on their way to the bucket", SPARE_OBJECTS);
		return NULL;
	}
	struct object *object = calloc(1, sizeof(*object));
	if (!object)
		abort();
	object->uplink = uplink;
	object->slot = slot;
	object->alone = alone;
	list_init(&object->link);
	uplink->objects[slot] = object;
	return object;
}

static void object_add(struct object *object, struct blob *blob)
{
	if (object->n_blobs == object->capacity) {
		object->capacity = object->capacity ? object->capacity * 2 : 16;
		object->blobs = realloc(object->blobs, object->capacity * sizeof(struct blob *));
		if (!object->blobs)
			abort();
	}
	object->blobs[object->n_blobs++] = blob;
	object->raw_bytes += blob->digest.size_bytes;
	object->overwrite |= blob->forgotten;
	blob->object = object;
}

/* --- The state on disk ----------------------------------------------------------------------------------------- */

static void add_record(const struct object *object, enum known_kind kind, struct buf *ret)
{
	_cleanup_buf_ struct buf hashes = { 0 };
	for (size_t i = 0; i < object->n_blobs && kind == KNOWN_PACK; i++)
		buf_append(&hashes, object->blobs[i]->digest.hash, DIGEST_HASH_BYTES);
	struct known_record record = {
		.kind = kind,
		.size_bytes = object->size_bytes,
		.stored_s = object->stored_s,
		.blobs = hashes.ptr,
		.n_blobs = hashes.len / DIGEST_HASH_BYTES,
	};
	memcpy(record.hash, object->hash, DIGEST_HASH_BYTES);
	known_add(&record, ret);
}

static void remember(struct uplink *uplink, const struct object *object, enum known_kind kind)
{
	struct error err;
	_cleanup_buf_ struct buf record = { 0 };
	if (uplink->state_fd < 0)
		return;
	add_record(object, kind, &record);
	if (file_write_fd(uplink->state_fd, buf_slice(&record), &err) == 0)
		return;
	/* A torn record would hide all that came after it. */
	error_wrap(&err, "%s is not written any more", uplink->state_path);
	note(uplink, &err);
	close(uplink->state_fd);
	uplink->state_fd = -1;
}

static struct blob *blob_get(struct uplink *uplink, const struct digest *digest)
{
	struct blob *blob = map_get(&uplink->blobs, digest_slice(digest));
	if (blob)
		return blob;
	blob = calloc(1, sizeof(*blob));
	if (!blob)
		abort();
	blob->digest = *digest;
	map_put(&uplink->blobs, digest_slice(&blob->digest), blob);
	return blob;
}

static struct object *object_find(const struct uplink *uplink, const uint8_t *hash)
{
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (uplink->objects[i] && memcmp(uplink->objects[i]->hash, hash, DIGEST_HASH_BYTES) == 0)
			return uplink->objects[i];
	return NULL;
}

static void load_blob(struct object *object, const void *hash)
{
	struct digest digest = { .size_bytes = 0 }; /* not remembered, nor needed before it is sent again */
	memcpy(digest.hash, hash, DIGEST_HASH_BYTES);
	object_add(object, blob_get(object->uplink, &digest));
}

/* A later record tells where its blobs are, whatever an earlier one said. */
static void load_record(void *ctx, const struct known_record *record)
{
	struct uplink *uplink = ctx;
	struct object *object = object_find(uplink, record->hash);
	if (object)
		object_drop(object);
	int64_t now = now_s();
	if (record->kind == KNOWN_GONE || record->stored_s + uplink->options.max_age_s <= now || record->stored_s > now + EXPIRY_CHECK_S)
		return;
	make_room(uplink, 1);
	object = object_new(uplink, record->kind == KNOWN_ALONE, NULL);
	assert(object);
	object->state = OBJECT_STORED;
	object->size_bytes = record->size_bytes;
	object->stored_s = record->stored_s;
	memcpy(object->hash, record->hash, DIGEST_HASH_BYTES);
	if (object->alone)
		load_blob(object, record->hash);
	for (size_t i = 0; i < record->n_blobs && !object->alone; i++)
		load_blob(object, record->blobs + i * DIGEST_HASH_BYTES);
}

/* An object's list tells those blobs only that no later object took over; one without any is not needed. */
static void settle_loaded(struct uplink *uplink)
{
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++) {
		struct object *object = uplink->objects[i];
		if (!object)
			continue;
		size_t n = 0;
		for (size_t k = 0; k < object->n_blobs; k++) {
			if (object->blobs[k]->object != object)
				continue;
			object->blobs[n++] = object->blobs[k];
		}
		object->n_blobs = n;
		if (n == 0) {
			object_drop(object);
			continue;
		}
		_cleanup_buf_ struct buf path = { 0 };
		kept_path(uplink, object, &path);
		object->kept = !object->alone && access(path.ptr, R_OK) == 0;
	}
}

static void remove_unknown_packs(struct uplink *uplink)
{
	_cleanup_closedir_ DIR *dir = opendir(uplink->kept);
	for (const struct dirent *e; dir && (e = readdir(dir));) {
		struct digest digest;
		struct object *object = digest_parse_hex(slice_str(e->d_name), &digest) == 0 ? object_find(uplink, digest.hash) : NULL;
		if (e->d_name[0] != '.' && !(object && object->kept))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
}

static struct digest identity_of(const struct uplink_options *options)
{
	_cleanup_buf_ struct buf text = { 0 };
	const char *const parts[] = { options->endpoint, options->bucket.name, options->bucket.prefix };
	for (size_t i = 0; i < 3; i++)
		buf_append(&text, parts[i], strlen(parts[i]) + 1);
	return digest_of(buf_slice(&text));
}

/* Read what an earlier daemon knew, and begin the file anew with what is still good of it. */
static int load(struct uplink *uplink, struct error *err)
{
	struct digest identity = identity_of(&uplink->options);
	_cleanup_buf_ struct buf file = { 0 }, fresh = { 0 };
	struct error read_err = { 0 };
	if (file_read(uplink->state_path, STATE_LIMIT, &file, &read_err) == 0)
		known_parse(buf_slice(&file), &identity, load_record, uplink);
	else if (read_err.code != ENOENT)
		note(uplink, &read_err);
	settle_loaded(uplink);
	remove_unknown_packs(uplink);
	known_begin(&identity, &fresh);
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (uplink->objects[i])
			add_record(uplink->objects[i], uplink->objects[i]->alone ? KNOWN_ALONE : KNOWN_PACK, &fresh);
	if (file_replace(uplink->state_path, buf_slice(&fresh), 0600, err) < 0)
		return -1;
	uplink->state_fd = open(uplink->state_path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (uplink->state_fd < 0)
		return error_set(err, errno, "cannot open %s", uplink->state_path);
	return 0;
}

/* --- Walking --------------------------------------------------------------------------------------------------- */

/* The set gets the object that holds the blob, which may be about to. */
static int need(struct uplink *uplink, const struct digest *digest, bool directory, struct uplink_set *set, struct uplink_waiter *waiter)
{
	struct blob *blob = blob_get(uplink, digest);
	if (blob->missing) {
		waiter->missing = *digest;
		return UPLINK_MISSING;
	}
	if (!blob->object) {
		blob->digest = *digest;
		blob->directory = directory;
		bool alone = digest->size_bytes >= PACK_ALONE_BYTES;
		struct object *object = alone ? NULL : uplink->gathering;
		if (!object) {
			object = object_new(uplink, alone, &waiter->err);
			if (!object)
				return -1;
			list_append(&uplink->queue, &object->link);
		}
		object_add(object, blob);
		if (!alone) {
			bool full = object->raw_bytes >= UPLINK_PACK_BYTES || object->n_blobs >= UPLINK_PACK_BLOBS;
			uplink->gathering = full ? NULL : object;
		}
	}
	set_add(set, blob->object->slot);
	return 0;
}

static int walk(struct uplink *uplink, const struct digest *digest, unsigned depth, struct uplink_set *set, struct uplink_waiter *waiter)
{
	const struct walked *known = map_get(&uplink->walked, digest_slice(digest));
	if (known) {
		set_unite(set, &known->set);
		return 0;
	}
	if (depth > UPLINK_DEPTH)
		return error_set(&waiter->err, ELOOP, "an input root is deeper than %d directories", UPLINK_DEPTH);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf message = { 0 };
	int outcome = store_get(uplink->options.directories, digest, &message, &waiter->err);
	if (outcome == STORE_MISS) {
		waiter->missing = *digest;
		return UPLINK_MISSING;
	}
	struct tree_entry *entries;
	size_t n = 0;
	if (outcome < 0 || tree_parse_directory(buf_slice(&message), &arena, &entries, &n, &waiter->err) < 0)
		return -1;
	struct uplink_set own = { 0 };
	for (size_t i = 0; i < n && outcome == 0; i++) {
		if (entries[i].kind == TREE_DIRECTORY)
			outcome = walk(uplink, &entries[i].digest, depth + 1, &own, waiter);
		else if (entries[i].kind == TREE_FILE)
			outcome = need(uplink, &entries[i].digest, false, &own, waiter);
	}
	if (outcome == 0)
		outcome = need(uplink, digest, true, &own, waiter);
	if (outcome != 0)
		return outcome;
	struct walked *walked = malloc(sizeof(*walked));
	if (!walked)
		abort();
	*walked = (struct walked){ *digest, own };
	map_put(&uplink->walked, digest_slice(&walked->digest), walked);
	set_unite(set, &own);
	return 0;
}

static bool is_stored(const struct uplink *uplink, const struct uplink_set *set)
{
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (set_has(set, i) && uplink->objects[i]->state != OBJECT_STORED)
			return false;
	return true;
}

/* 0, UPLINK_LATER, … by what the waiter's set says. */
static int standing(const struct uplink *uplink, struct uplink_waiter *waiter)
{
	if (!is_stored(uplink, &waiter->set))
		return UPLINK_LATER;
	waiter->as_of = uplink->generation;
	return 0;
}

static int look(struct uplink *uplink, struct uplink_waiter *waiter)
{
	waiter->set = (struct uplink_set){ 0 };
	int outcome = walk(uplink, &waiter->root, 0, &waiter->set, waiter);
	for (size_t i = 0; i < waiter->n_extra && outcome == 0; i++)
		outcome = need(uplink, &waiter->extra[i], false, &waiter->set, waiter);
	return outcome != 0 ? outcome : standing(uplink, waiter);
}

/* --- Sending --------------------------------------------------------------------------------------------------- */

static void pump(struct uplink *uplink);

/* Tell those whose outcome is decided. What is told may leave, come back, or make others leave. */
static void tell(struct uplink *uplink)
{
	struct list *link = uplink->waiters.next;
	while (link != &uplink->waiters) {
		struct uplink_waiter *waiter = container_of(link, struct uplink_waiter, link);
		link = link->next;
		if (waiter->outcome == UPLINK_LATER)
			continue;
		list_remove(&waiter->link);
		waiter->fn(waiter, waiter->outcome);
		link = uplink->waiters.next;
	}
}

/* The packs stay as they are; if what is kept of them is no good, for ever. */
static void merge_failed(struct object *merge, const struct error *err)
{
	struct uplink *uplink = merge->uplink;
	note(uplink, err);
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (set_has(&uplink->merged, i) && merge->packing.outcome < 0)
			uplink->objects[i]->kept = false;
	uplink->merged = (struct uplink_set){ 0 };
}

/* It could not be sent. */
static void object_failed(struct object *object, const struct error *err, bool refused)
{
	struct uplink *uplink = object->uplink;
	struct uplink_waiter *waiter;
	list_for_each (waiter, &uplink->waiters, struct uplink_waiter, link) {
		if (!set_has(&waiter->set, object->slot))
			continue;
		waiter->outcome = -1;
		waiter->err = *err;
		waiter->refused = refused;
	}
	if (uplink->merge == object)
		merge_failed(object, err);
	object_drop(object);
	pump(uplink);
	tell(uplink);
}

/* The merged pack stands for what it was made of. */
static void take_over(struct uplink *uplink, struct object *merge)
{
	struct uplink_set olds = uplink->merged;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++) {
		struct object *old = set_has(&olds, i) ? uplink->objects[i] : NULL;
		for (size_t k = 0; old && k < old->n_blobs; k++)
			object_add(merge, old->blobs[k]);
		if (old)
			old->n_blobs = 0;
	}
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&uplink->walked, &at));)
		set_replace(&((struct walked *)e->value)->set, &olds, merge->slot);
	struct uplink_waiter *waiter;
	list_for_each (waiter, &uplink->waiters, struct uplink_waiter, link)
		set_replace(&waiter->set, &olds, merge->slot);
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (set_has(&olds, i))
			object_drop(uplink->objects[i]);
	uplink->merge = NULL;
}

static void begin_merge(struct uplink *uplink);

static void put_done(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct object *object = ctx;
	struct uplink *uplink = object->uplink;
	under_way_end(object);
	object->put = NULL;
	object->state = OBJECT_STORED; /* or about to be dropped */
	if (outcome < 0) {
		object_failed(object, err, err->code == EACCES || err->code == ENOENT || err->code == EINVAL || err->code == EPROTO);
		return;
	}
	packing_deinit(&object->packing);
	object->stored_s = now_s();
	object->stored_at = ++uplink->generation;
	if (uplink->merge == object)
		take_over(uplink, object);
	for (size_t i = 0; i < object->n_blobs; i++)
		object->blobs[i]->forgotten = false;
	remember(uplink, object, object->alone ? KNOWN_ALONE : KNOWN_PACK);
	struct uplink_waiter *waiter;
	list_for_each (waiter, &uplink->waiters, struct uplink_waiter, link)
		if (waiter->outcome == UPLINK_LATER)
			waiter->outcome = standing(uplink, waiter);
	begin_merge(uplink);
	pump(uplink);
	tell(uplink);
}

/* Home doesn't have all that was to go into it. Whoever needs what is missing is told; the others wait on. */
static void object_missing(struct object *object)
{
	struct uplink *uplink = object->uplink;
	size_t n = 0;
	for (size_t i = 0; i < object->n_blobs; i++) {
		struct blob *blob = object->blobs[i];
		blob->missing = object->packing.blobs[i].missing;
		if (blob->missing)
			blob->object = NULL;
		else
			object->blobs[n++] = blob;
	}
	object->n_blobs = n;
	forget_walks(uplink, object->slot);
	struct uplink_waiter *waiter;
	list_for_each (waiter, &uplink->waiters, struct uplink_waiter, link)
		if (waiter->outcome == UPLINK_LATER && set_has(&waiter->set, object->slot))
			waiter->outcome = look(uplink, waiter);
	for (size_t i = 0; i < object->packing.n_blobs; i++) {
		struct blob *blob = map_get(&uplink->blobs, digest_slice(&object->packing.blobs[i].digest));
		if (blob)
			blob->missing = false;
	}
}

static void put(struct object *object)
{
	struct s3_bucket *bucket = &object->uplink->options.bucket;
	object->put = s3_put(bucket, object->key, buf_slice(&object->packing.body), !object->overwrite, put_done, object);
}

/* Whether another machine has sent it. Why that can't be told sending it will tell. */
static void asked(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct object *object = ctx;
	if (outcome == 0)
		put_done(object, S3_EXISTS, body, err);
	else
		put(object);
}

static void packed(void *ctx)
{
	struct object *object = ctx;
	struct uplink *uplink = object->uplink;
	uplink->n_threads--;
	if (object->dropped) {
		object_free(object);
		return;
	}
	struct packing *packing = &object->packing;
	object->state = OBJECT_QUEUED; /* of no list: with no thread */
	under_way_end(object);
	if (packing->outcome < 0) {
		object_failed(object, &packing->err, false);
		return;
	}
	bool missing = false;
	for (size_t i = 0; i < packing->n_blobs; i++)
		missing |= packing->blobs[i].missing;
	if (missing)
		object_missing(object);
	if (packing->body.len == 0) {
		object_drop(object);
		pump(uplink);
		tell(uplink);
		return;
	}
	if (packing->keep_err.text[0] != '\0')
		note(uplink, &packing->keep_err);
	const struct digest *name = object->alone ? &packing->blobs[0].digest : &packing->digest;
	memcpy(object->hash, name->hash, DIGEST_HASH_BYTES);
	object->size_bytes = (int64_t)packing->body.len;
	object->kept = packing->is_kept;
	if (object->alone)
		pack_key_alone(name, object->key);
	else
		pack_key(name->hash, object->key);
	object->state = OBJECT_PUTTING;
	under_way_begin(object);
	/* A merged pack is nobody else's. */
	if (packing->body.len >= UPLINK_ASK_BYTES && !object->overwrite && uplink->merge != object)
		object->put = s3_head(&uplink->options.bucket, object->key, asked, object);
	else
		put(object);
	tell(uplink);
}

static void pack(void *ctx)
{
	struct object *object = ctx;
	packing_run(&object->packing);
}

static void begin(struct object *object)
{
	struct uplink *uplink = object->uplink;
	struct packing *packing = &object->packing;
	object->partial = uplink->gathering == object;
	if (object->partial)
		uplink->gathering = NULL;
	list_remove(&object->link);
	packing->directories = uplink->options.directories;
	packing->files = uplink->options.files;
	packing->kept = uplink->kept;
	packing->alone = object->alone;
	packing->n_blobs = object->n_blobs;
	packing->blobs = calloc(object->n_blobs + 1, sizeof(*packing->blobs));
	if (!packing->blobs)
		abort();
	for (size_t i = 0; i < object->n_blobs; i++)
		packing->blobs[i] = (struct packing_blob){ .digest = object->blobs[i]->digest, .directory = object->blobs[i]->directory };
	object->state = OBJECT_PACKING;
	under_way_begin(object);
	uplink->n_threads++;
	work_start(uplink->loop, pack, packed, object);
}

static bool is_small(const struct object *object)
{
	return object && object->state == OBJECT_STORED && object->kept;
}

static size_t n_small(const struct uplink *uplink)
{
	size_t n = 0;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		n += is_small(uplink->objects[i]);
	return n;
}

/* Begin what may begin: a pack that isn't full waits while another such is under way, and merging waits for all else, until packs pile up. */
static void pump(struct uplink *uplink)
{
	struct object *object;
	list_for_each (object, &uplink->queue, struct object, link) {
		if (uplink->stopped || uplink->n_under_way >= UPLINK_PARALLEL)
			return;
		if (object == uplink->gathering && uplink->n_partial > 0)
			continue;
		bool busy = uplink->n_under_way > 0 || uplink->queue.next != uplink->queue.prev;
		if (object == uplink->merge && busy && n_small(uplink) <= 2 * UPLINK_SMALL_PACKS)
			continue;
		if (uplink->n_under_way > 0 && uplink->raw_under_way + object->raw_bytes > UPLINK_READ_BYTES)
			return;
		begin(object);
	}
}

static int by_size(const void *a, const void *b)
{
	const struct object *one = *(struct object *const *)a, *two = *(struct object *const *)b;
	return one->size_bytes < two->size_bytes ? -1 : one->size_bytes > two->size_bytes;
}

static void begin_merge(struct uplink *uplink)
{
	struct object *small[UPLINK_OBJECTS];
	size_t n = 0, n_merged = 0;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (is_small(uplink->objects[i]))
			small[n++] = uplink->objects[i];
	if (uplink->merge || n <= UPLINK_SMALL_PACKS)
		return;
	qsort(small, n, sizeof(*small), by_size);
	for (int64_t bytes = 0; n_merged < n && (n_merged < 2 || small[n_merged]->size_bytes <= MERGE_FACTOR * bytes); n_merged++)
		bytes += small[n_merged]->size_bytes;
	struct error err;
	struct object *merge = object_new(uplink, false, &err);
	if (!merge)
		return; /* the next pack tries again */
	struct packing *packing = &merge->packing;
	packing->merged = calloc(n_merged, sizeof(*packing->merged));
	if (!packing->merged)
		abort();
	packing->n_merged = n_merged;
	for (size_t i = 0; i < n_merged; i++) {
		memcpy(packing->merged[i], small[i]->hash, DIGEST_HASH_BYTES);
		set_add(&uplink->merged, small[i]->slot);
	}
	uplink->merge = merge;
	list_append(&uplink->queue, &merge->link);
}

/* --- The face -------------------------------------------------------------------------------------------------- */

/* What isn't in the bucket any more for sure, and what is too much. */
static void trim(struct uplink *uplink)
{
	int64_t now = now_s();
	if (now - uplink->expiry_checked_s >= EXPIRY_CHECK_S) {
		uplink->expiry_checked_s = now;
		for (struct object *old; (old = oldest(uplink)) && old->stored_s + uplink->options.max_age_s <= now;)
			object_drop(old);
	}
	make_room(uplink, SPARE_OBJECTS);
	if (uplink->walked.n > UPLINK_DIRECTORIES)
		forget_all_walks(uplink);
	if (uplink->blobs.n <= UPLINK_BLOBS)
		return;
	size_t held = 0;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		held += uplink->objects[i] ? uplink->objects[i]->n_blobs : 0;
	for (struct object *old; held > UPLINK_BLOBS / 2 && (old = oldest(uplink));) {
		held -= old->n_blobs;
		object_drop(old);
	}
	struct map blobs = { 0 };
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&uplink->blobs, &at));) {
		struct blob *blob = e->value;
		if (blob->object)
			map_put(&blobs, digest_slice(&blob->digest), blob);
		else
			free(blob);
	}
	map_deinit(&uplink->blobs);
	uplink->blobs = blobs;
}

int uplink_ensure(struct uplink *uplink, struct uplink_waiter *waiter, const struct digest *root, const struct digest *extra, size_t n_extra)
{
	list_init(&waiter->link);
	waiter->root = *root;
	waiter->extra = extra;
	waiter->n_extra = n_extra;
	waiter->refused = false;
	if (uplink->stopped)
		return error_set(&waiter->err, ECANCELED, "nothing is sent any more");
	trim(uplink);
	int outcome = waiter->outcome = look(uplink, waiter);
	if (outcome == UPLINK_LATER)
		list_append(&uplink->waiters, &waiter->link);
	pump(uplink);
	return outcome;
}

void uplink_leave(struct uplink_waiter *waiter)
{
	list_remove(&waiter->link);
}

struct uplink_pack *uplink_packs(struct uplink *uplink, const struct uplink_waiter *waiter, struct arena *arena, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 0; i < UPLINK_OBJECTS / 64; i++)
		n += (size_t)__builtin_popcountll(waiter->set.bits[i]);
	struct uplink_pack *packs = arena_array(arena, struct uplink_pack, n + 1);
	n = 0;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++) {
		const struct object *object = set_has(&waiter->set, i) ? uplink->objects[i] : NULL;
		if (!object || object->alone)
			continue;
		memcpy(packs[n].hash, object->hash, DIGEST_HASH_BYTES);
		packs[n++].size_bytes = object->size_bytes;
	}
	*ret_n = n;
	return packs;
}

void uplink_forget(struct uplink *uplink, const struct digest *digests, size_t n, uint64_t as_of)
{
	for (size_t i = 0; i < n; i++) {
		const struct blob *blob = map_get(&uplink->blobs, digest_slice(&digests[i]));
		struct object *object = blob ? blob->object : NULL;
		if (!object || object->state != OBJECT_STORED || object->stored_at > as_of)
			continue;
		for (size_t k = 0; k < object->n_blobs; k++)
			object->blobs[k]->forgotten = true;
		remember(uplink, object, KNOWN_GONE);
		object_drop(object);
	}
}

struct uplink *uplink_new(uv_loop_t *loop, const struct uplink_options *options, struct error *err)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	if (!uplink)
		abort();
	struct buf kept = { 0 }, state = { 0 };
	buf_printf(&kept, "%s/packs", options->directory);
	buf_printf(&state, "%s/known", options->directory);
	uplink->loop = loop;
	uplink->options = *options;
	uplink->options.directory = strdup(options->directory);
	uplink->options.endpoint = strdup(options->endpoint);
	if (!uplink->options.directory || !uplink->options.endpoint)
		abort();
	if (uplink->options.max_age_s == 0)
		uplink->options.max_age_s = MAX_AGE_S;
	uplink->kept = buf_take(&kept);
	uplink->state_path = buf_take(&state);
	uplink->state_fd = -1;
	uplink->expiry_checked_s = now_s();
	list_init(&uplink->queue);
	list_init(&uplink->waiters);
	if (file_make_dirs(options->directory, 0700, err) < 0 || file_make_dirs(uplink->kept, 0700, err) < 0 || load(uplink, err) < 0) {
		uplink_free(uplink);
		return NULL;
	}
	return uplink;
}

void uplink_stop(struct uplink *uplink)
{
	assert(list_empty(&uplink->waiters));
	uplink->stopped = true;
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (uplink->objects[i] && uplink->objects[i]->state != OBJECT_STORED)
			object_drop(uplink->objects[i]);
}

void uplink_free(struct uplink *uplink)
{
	if (!uplink)
		return;
	uplink_stop(uplink);
	assert(uplink->n_threads == 0);
	for (unsigned i = 0; i < UPLINK_OBJECTS; i++)
		if (uplink->objects[i])
			object_free(uplink->objects[i]);
	forget_all_walks(uplink);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&uplink->blobs, &at));)
		free(e->value);
	map_deinit(&uplink->blobs);
	if (uplink->state_fd >= 0)
		close(uplink->state_fd);
	free(uplink->kept);
	free(uplink->state_path);
	free((char *)uplink->options.directory);
	free((char *)uplink->options.endpoint);
	free(uplink);
}
