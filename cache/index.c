#include "cache/index.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

enum {
	FORMAT = 1,
	CHECKSUM_BYTES = 8,
	IDENTITY_BYTES = 8,
	KEY_BYTES = DIGEST_HASH_BYTES + 4,
	GROW_BYTES = 1 << 20,
};

enum database { ALTERNATIVES, NOTES, DATABASES };
static const char *const database_names[DATABASES] = { "alternatives", "notes" };

struct index {
	char *path, *damaged_path, *state_path; /* owned */
	bool read_only;
	uint64_t limit_bytes; /* of the mapping */
	MDB_env *env;	      /* NULL while closed */
	MDB_dbi databases[DATABASES];
	MDB_txn *reader;     /* for reading: active or reset, NULL before the first time */
	bool reading;	     /* it is active */
	uint64_t file_bytes; /* the file is at least so long */
};

/* SIGBUS */

static char armed_path[4096], armed_damaged_path[4096 + 16];

static void leave_damaged(void)
{
	static const char text[] =
		"llama: the cache index is damaged; it was moved aside, the next daemon begins a new one\n";
	if (armed_path[0])
		rename(armed_path, armed_damaged_path);
	ssize_t ignored = write(2, text, sizeof(text) - 1);
	(void)ignored;
	_exit(70); /* EX_SOFTWARE */
}

static void on_sigbus(int number)
{
	(void)number;
	leave_damaged();
}

static void on_assertion(MDB_env *env, const char *text)
{
	ssize_t ignored = write(2, text, strlen(text));
	(void)ignored;
	ignored = write(2, "\n", 1);
	(void)ignored;
	leave_damaged();
}

static void arm(const struct index *index)
{
	if (strlen(index->path) >= sizeof(armed_path))
		return;
	strcpy(armed_damaged_path, index->damaged_path);
	strcpy(armed_path, index->path);
}

void index_arm_sigbus(struct index *index)
{
	arm(index);
	struct sigaction action = { .sa_handler = on_sigbus };
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

/* State */

static void boot_id(struct buf *ret)
{
	if (file_read("/proc/sys/kernel/random/boot_id", 64, ret, NULL) < 0)
		buf_append_str(ret, "unknown");
	while (ret->len > 0 && ret->ptr[ret->len - 1] == '\n')
		ret->ptr[--ret->len] = '\0';
}

static int write_state(const struct index *index, bool clean, struct error *err)
{
	_cleanup_buf_ struct buf id = { 0 }, text = { 0 };
	boot_id(&id);
	buf_printf(&text, "llama index %d\n%s\n", FORMAT, clean ? "clean" : buf_str(&id));
	return file_replace(index->state_path, buf_slice(&text), 0600, err);
}

/* Whether every page that was written is there: the index was closed in order, or the machine is still up. */
static bool state_is_good(const struct index *index)
{
	_cleanup_buf_ struct buf text = { 0 }, id = { 0 }, dirty = { 0 }, clean = { 0 };
	boot_id(&id);
	buf_printf(&clean, "llama index %d\nclean\n", FORMAT);
	buf_printf(&dirty, "llama index %d\n%s\n", FORMAT, buf_str(&id));
	return file_read(index->state_path, 256, &text, NULL) == 0 &&
	       (slice_equal(buf_slice(&text), buf_slice(&clean)) || slice_equal(buf_slice(&text), buf_slice(&dirty)));
}

/* Opening and closing */

static int lmdb_error(struct error *err, int code, const struct index *index, const char *act)
{
	if (code > 0)
		return error_set(err, code, "cannot %s the cache index %s", act, index->path);
	return error_set(err, 0, "cannot %s the cache index %s: %s", act, index->path, mdb_strerror(code));
}

/* The codes below zero by which LMDB says that the file makes no sense. */
static bool is_damage(int code)
{
	return code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
	       code == MDB_VERSION_MISMATCH || code == MDB_PANIC || code == MDB_BAD_TXN || code == MDB_INCOMPATIBLE ||
	       code == MDB_CURSOR_FULL || code == MDB_PAGE_FULL;
}

static void close_env(struct index *index)
{
	if (index->reader)
		mdb_txn_abort(index->reader);
	index->reader = NULL;
	index->reading = false;
	if (index->env)
		mdb_env_close(index->env);
	index->env = NULL;
}

static uint64_t used_bytes(const struct index *index)
{
	MDB_envinfo info;
	MDB_stat stat;
	mdb_env_info(index->env, &info);
	mdb_env_stat(index->env, &stat);
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* LMDB itself may leave pages at the end unwritten, so that its file is shorter than it says. Ours never is. */
static int keep_long_enough(struct index *index)
{
	uint64_t need = used_bytes(index);
	if (need <= index->file_bytes)
		return 0;
	mdb_filehandle_t fd;
	mdb_env_get_fd(index->env, &fd);
	need = (need + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES;
	if (ftruncate(fd, (off_t)need) < 0)
		return errno;
	index->file_bytes = need;
	return 0;
}

static int open_databases(struct index *index)
{
	MDB_txn *txn;
	int r = mdb_txn_begin(index->env, NULL, index->read_only ? MDB_RDONLY : 0, &txn);
	if (r != 0)
		return r;
	for (int i = 0; i < DATABASES && r == 0; i++)
		r = mdb_dbi_open(txn, database_names[i], index->read_only ? 0 : MDB_CREATE, &index->databases[i]);
	if (r == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return r == MDB_NOTFOUND ? MDB_INVALID : r;
}

/* Returns an errno value or an LMDB code. */
static int open_env(struct index *index)
{
	int r = mdb_env_create(&index->env);
	if (r != 0)
		return r;
	mdb_env_set_mapsize(index->env, index->limit_bytes);
	mdb_env_set_maxdbs(index->env, DATABASES);
	mdb_env_set_assert(index->env, on_assertion);
	/* The caller's lock excludes other processes, and readers never live while we write. */
	unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | (index->read_only ? MDB_RDONLY : 0);
	r = mdb_env_open(index->env, index->path, flags, 0600);
	struct stat st;
	if (r == 0 && stat(index->path, &st) < 0)
		r = errno;
	if (r == 0) {
		/* Until now only the two meta pages were read. */
		index->file_bytes = (uint64_t)st.st_size;
		if (index->file_bytes < used_bytes(index))
			r = MDB_CORRUPTED;
	}
	if (r == 0)
		r = open_databases(index);
	if (r == 0 && !index->read_only)
		r = keep_long_enough(index);
	if (r != 0)
		close_env(index);
	return r;
}

/* Begin anew; what there was is kept under the other name if `damaged`. */
static int begin_anew(struct index *index, bool damaged, struct error *err)
{
	close_env(index);
	if ((damaged ? rename(index->path, index->damaged_path) : unlink(index->path)) < 0 && errno != ENOENT)
		return error_set(err, errno, "cannot move the cache index %s aside", index->path);
	int r = open_env(index);
	return r == 0 ? 0 : lmdb_error(err, r, index, "create");
}

static int open_or_begin(struct index *index, struct error *err)
{
	bool good = state_is_good(index);
	if (index->read_only) {
		int r = good ? open_env(index) : MDB_INVALID;
		if (r == ENOENT || is_damage(r))
			return error_set(err, 0, "there is no cache index %s to read", index->path);
		return r == 0 ? 0 : lmdb_error(err, r, index, "open");
	}
	if (write_state(index, false, err) < 0)
		return -1;
	if (!good)
		return begin_anew(index, true, err);
	int r = open_env(index);
	if (is_damage(r))
		return begin_anew(index, true, err);
	return r == 0 ? 0 : lmdb_error(err, r, index, "open");
}

static char *join(const char *dir, const char *name)
{
	struct buf buf = { 0 };
	buf_printf(&buf, "%s/%s", dir, name);
	return buf_take(&buf);
}

static void index_free(struct index *index)
{
	close_env(index);
	if (index->path && strcmp(armed_path, index->path) == 0)
		armed_path[0] = '\0';
	free(index->path);
	free(index->damaged_path);
	free(index->state_path);
	free(index);
}

struct index *index_open(const char *dir, bool read_only, uint64_t limit_bytes, struct error *err)
{
	struct index *index = calloc(1, sizeof(*index));
	if (!index)
		abort();
	index->path = join(dir, "index.mdb");
	index->damaged_path = join(dir, "index.mdb.damaged");
	index->state_path = join(dir, "index.state");
	index->read_only = read_only;
	index->limit_bytes = limit_bytes;
	if (open_or_begin(index, err) < 0) {
		index_free(index);
		return NULL;
	}
	if (!read_only)
		arm(index);
	return index;
}

void index_close(struct index *index)
{
	if (!index)
		return;
	/* Should the disk not take it, the state stays what it is: good as long as the machine is up. */
	if (!index->read_only && index->env && mdb_env_sync(index->env, 1) == 0)
		write_state(index, true, NULL);
	index_free(index);
}

int index_clear(struct index *index, struct error *err)
{
	return begin_anew(index, false, err);
}

uint64_t index_entries(struct index *index)
{
	uint64_t n = 0;
	MDB_txn *txn;
	index_release(index);
	if (mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	MDB_stat stat;
	if (mdb_stat(txn, index->databases[ALTERNATIVES], &stat) == 0)
		n = stat.ms_entries;
	mdb_txn_abort(txn);
	return n;
}

uint64_t index_bytes(struct index *index)
{
	return used_bytes(index);
}

/* Records */

static void checksum(struct slice key, struct slice rest, uint8_t ret[CHECKSUM_BYTES])
{
	struct digest_hash *hash = digest_hash_new();
	struct digest digest;
	digest_hash_add(hash, key);
	digest_hash_add(hash, rest);
	digest_hash_end(hash, &digest);
	memcpy(ret, digest.hash, CHECKSUM_BYTES);
}

static bool is_whole(struct slice key, struct slice sealed)
{
	uint8_t expected[CHECKSUM_BYTES];
	if (sealed.len < CHECKSUM_BYTES)
		return false;
	checksum(key, slice_of(sealed.ptr + CHECKSUM_BYTES, sealed.len - CHECKSUM_BYTES), expected);
	return memcmp(expected, sealed.ptr, CHECKSUM_BYTES) == 0;
}

bool index_record_is_whole(const struct index_record *record)
{
	return record->sealed.len >= CHECKSUM_BYTES + IDENTITY_BYTES && is_whole(record->key, record->sealed);
}

static struct slice val_slice(MDB_val val)
{
	return slice_of(val.mv_data, val.mv_size);
}

static MDB_val slice_val(struct slice s)
{
	return (MDB_val){ s.len, (void *)s.ptr };
}

/* Put `head` and `body` under `key`, sealed together. */
static int put_sealed(MDB_txn *txn, MDB_dbi database, struct slice key, struct slice head, struct slice body)
{
	_cleanup_buf_ struct buf sealed = { 0 };
	memset(buf_reserve(&sealed, CHECKSUM_BYTES + head.len + body.len), 0, CHECKSUM_BYTES);
	sealed.len = CHECKSUM_BYTES;
	buf_append_slice(&sealed, head);
	buf_append_slice(&sealed, body);
	checksum(key, slice_of(sealed.ptr + CHECKSUM_BYTES, sealed.len - CHECKSUM_BYTES), (uint8_t *)sealed.ptr);
	MDB_val k = slice_val(key), v = slice_val(buf_slice(&sealed));
	return mdb_put(txn, database, &k, &v, 0);
}

static int begin_reading(struct index *index)
{
	if (index->reading)
		return 0;
	int r = index->reader ? mdb_txn_renew(index->reader)
			      : mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader);
	index->reading = r == 0;
	return r;
}

void index_release(struct index *index)
{
	if (index->reading)
		mdb_txn_reset(index->reader);
	index->reading = false;
}

/* Call `fn` in a write transaction, and once more in a new index when the old one turns out to be damaged or full. */
static int change(struct index *index, const char *act, int (*fn)(struct index *index, MDB_txn *txn, void *ctx),
	void *ctx, struct error *err)
{
	for (bool again = false;; again = true) {
		index_release(index);
		MDB_txn *txn;
		int r = index->env ? mdb_txn_begin(index->env, NULL, 0, &txn) : MDB_PANIC;
		if (r == 0) {
			r = fn(index, txn, ctx);
			if (r == 0)
				r = mdb_txn_commit(txn);
			else
				mdb_txn_abort(txn);
		}
		if (r == 0)
			r = keep_long_enough(index);
		if (r == 0)
			return 0;
		if (again || !(is_damage(r) || r == MDB_MAP_FULL))
			return lmdb_error(err, r, index, act);
		if (begin_anew(index, r != MDB_MAP_FULL, err) < 0)
			return -1;
	}
}

/* Reading failed with `code`: a damaged index is replaced, and holds nothing then. */
static int reading_failed(struct index *index, int code, struct error *err)
{
	index_release(index);
	if (index->read_only || !is_damage(code))
		return lmdb_error(err, code, index, "read");
	return begin_anew(index, true, err);
}

/* Alternatives: the key is the digest and, big-endian, a number that is smaller the younger the alternative is. */

static uint32_t number_of(MDB_val key)
{
	const uint8_t *p = (const uint8_t *)key.mv_data + DIGEST_HASH_BYTES;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void make_key(uint8_t ret[KEY_BYTES], const struct digest *digest, uint32_t number)
{
	memcpy(ret, digest->hash, DIGEST_HASH_BYTES);
	for (size_t i = 0; i < 4; i++)
		ret[DIGEST_HASH_BYTES + i] = (uint8_t)(number >> (24 - 8 * i));
}

static bool key_belongs(MDB_val key, const struct digest *digest)
{
	return key.mv_size == KEY_BYTES && memcmp(key.mv_data, digest->hash, DIGEST_HASH_BYTES) == 0;
}

int index_alternatives(struct index *index, const struct digest *key, struct index_record ret[INDEX_ALTERNATIVES],
	size_t *n_ret, struct error *err)
{
	*n_ret = 0;
	MDB_cursor *cursor;
	int r = index->env ? begin_reading(index) : MDB_PANIC;
	if (r == 0)
		r = mdb_cursor_open(index->reader, index->databases[ALTERNATIVES], &cursor);
	if (r != 0)
		return reading_failed(index, r, err);
	uint8_t first[KEY_BYTES];
	make_key(first, key, 0);
	MDB_val k = { sizeof(first), first }, v;
	size_t n = 0;
	r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	for (; r == 0 && n < INDEX_ALTERNATIVES && key_belongs(k, key); r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		struct index_record *record = &ret[n++];
		*record = (struct index_record){ .key = val_slice(k), .sealed = val_slice(v) };
		size_t head = CHECKSUM_BYTES + IDENTITY_BYTES;
		if (v.mv_size >= head)
			record->body = slice_of(record->sealed.ptr + head, record->sealed.len - head);
	}
	mdb_cursor_close(cursor);
	if (r != 0 && r != MDB_NOTFOUND)
		return reading_failed(index, r, err);
	*n_ret = n;
	return 0;
}

struct addition {
	const struct digest *key;
	uint64_t identity;
	struct slice body;
};

static int add_alternative(struct index *index, MDB_txn *txn, void *ctx)
{
	const struct addition *a = ctx;
	MDB_cursor *cursor;
	int r = mdb_cursor_open(txn, index->databases[ALTERNATIVES], &cursor);
	if (r != 0)
		return r;
	uint8_t key[KEY_BYTES];
	make_key(key, a->key, 0);
	MDB_val k = { sizeof(key), key }, v;
	size_t kept = 0;
	uint32_t number = UINT32_MAX;
	r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (r == 0 && key_belongs(k, a->key)) {
		if (kept == 0 && number == UINT32_MAX)
			number = number_of(k) - 1;
		bool same = v.mv_size >= CHECKSUM_BYTES + IDENTITY_BYTES &&
			    memcmp((char *)v.mv_data + CHECKSUM_BYTES, &a->identity, IDENTITY_BYTES) == 0;
		if (same || kept == INDEX_ALTERNATIVES - 1)
			r = mdb_cursor_del(cursor, 0);
		else
			kept++;
		if (r == 0)
			r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (r != 0 && r != MDB_NOTFOUND)
		return r;
	make_key(key, a->key, number);
	return put_sealed(txn, index->databases[ALTERNATIVES], slice_of(key, sizeof(key)),
		slice_of(&a->identity, IDENTITY_BYTES), a->body);
}

int index_add(struct index *index, const struct digest *key, uint64_t identity, struct slice body, struct error *err)
{
	struct addition addition = { key, identity, body };
	return change(index, "write to", add_alternative, &addition, err);
}

static int remove_alternatives(struct index *index, MDB_txn *txn, void *ctx)
{
	const struct digest *digest = ctx;
	MDB_cursor *cursor;
	int r = mdb_cursor_open(txn, index->databases[ALTERNATIVES], &cursor);
	if (r != 0)
		return r;
	uint8_t key[KEY_BYTES];
	make_key(key, digest, 0);
	MDB_val k = { sizeof(key), key }, v;
	r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (r == 0 && key_belongs(k, digest)) {
		r = mdb_cursor_del(cursor, 0);
		if (r == 0)
			r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : r;
}

int index_remove(struct index *index, const struct digest *key, struct error *err)
{
	return change(index, "write to", remove_alternatives, (void *)key, err);
}

/* Notes */

int index_note_get(
	struct index *index, const struct digest *key, struct arena *arena, struct slice *ret, struct error *err)
{
	MDB_val k = slice_val(digest_slice(key)), v;
	int r = index->env ? begin_reading(index) : MDB_PANIC;
	if (r == 0)
		r = mdb_get(index->reader, index->databases[NOTES], &k, &v);
	if (r == MDB_NOTFOUND) {
		index_release(index);
		return INDEX_NONE;
	}
	if (r != 0)
		return reading_failed(index, r, err) < 0 ? -1 : INDEX_NONE;
	bool whole = is_whole(val_slice(k), val_slice(v));
	if (whole) {
		size_t n = v.mv_size - CHECKSUM_BYTES;
		*ret = slice_of(arena_strndup(arena, (const char *)v.mv_data + CHECKSUM_BYTES, n), n);
	}
	index_release(index);
	return whole ? 0 : INDEX_NONE;
}

static int put_note(struct index *index, MDB_txn *txn, void *ctx)
{
	const struct addition *a = ctx;
	return put_sealed(txn, index->databases[NOTES], digest_slice(a->key), slice_of(NULL, 0), a->body);
}

int index_note_put(struct index *index, const struct digest *key, struct slice value, struct error *err)
{
	struct addition addition = { key, 0, value };
	return change(index, "write to", put_note, &addition, err);
}

static int remove_note(struct index *index, MDB_txn *txn, void *ctx)
{
	MDB_val k = slice_val(digest_slice(ctx));
	int r = mdb_del(txn, index->databases[NOTES], &k, NULL);
	return r == MDB_NOTFOUND ? 0 : r;
}

int index_note_remove(struct index *index, const struct digest *key, struct error *err)
{
	return change(index, "write to", remove_note, (void *)key, err);
}
