/* The file behind the result cache: sealed records under digests, in LMDB. It is disposable. Internal to cache/.
 *
 * How it works. Two databases: alternatives (key: digest and a number that falls with each new one, so that the
 * youngest comes first) and notes (key: digest). Every record begins with a checksum over its key and the rest. Nothing
 * is ever synced to disk on the way: a killed process loses nothing, because the kernel has the pages; after a crash of
 * the machine the file is not believed. That is what `index.state` is for: it holds the format, and "clean" after an
 * orderly close, which syncs, or the boot id of the machine while the index is open.
 *
 * A damaged index is renamed to index.mdb.damaged, and a new one begun; a full one is begun anew, for it holds nothing
 * that can't be made again. LMDB reads through a mapping without WRITEMAP, so a stray write of ours faults instead of
 * damaging it, and a file that somebody truncates raises SIGBUS: see index_arm_sigbus(). The size is checked at start,
 * for which the file is always kept at least as long as LMDB says.
 *
 * One process and one thread at a time; the caller holds the lock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/digest.h"

struct index;

/* Open or create `<dir>/index.mdb`, which may grow to `limit_bytes`; what is added then finds it begun anew. Read only:
 * nothing is changed; NULL with err->code 0 when there is no index that can be believed. */
struct index *index_open(const char *dir, bool read_only, uint64_t limit_bytes, struct error *err);
void index_close(struct index *index);

enum index_outcome { INDEX_NONE = 1 };

/* Alternatives of one key. An alternative has an identity: adding one replaces those of the same identity. */
enum { INDEX_ALTERNATIVES = 16 };

struct index_record {
	struct slice key,
		sealed;	   /* in the mapping: valid until the next call on the index that writes, or index_release() */
	struct slice body; /* without checksum and identity */
};

/* The alternatives under `key`, youngest first: at most INDEX_ALTERNATIVES. 0 or -1. */
int index_alternatives(struct index *index, const struct digest *key, struct index_record ret[INDEX_ALTERNATIVES],
	size_t *n_ret, struct error *err);
/* Whether the record is as it was written. To be asked before its body is looked at. */
bool index_record_is_whole(const struct index_record *record);
/* The records are not needed any more. */
void index_release(struct index *index);

/* Add the youngest alternative; when there are INDEX_ALTERNATIVES already, the oldest goes. */
int index_add(struct index *index, const struct digest *key, uint64_t identity, struct slice body, struct error *err);
/* Remove all alternatives. */
int index_remove(struct index *index, const struct digest *key, struct error *err);

/* Notes. 0, INDEX_NONE (none, or damaged) or -1. */
int index_note_get(
	struct index *index, const struct digest *key, struct arena *arena, struct slice *ret, struct error *err);
int index_note_put(struct index *index, const struct digest *key, struct slice value, struct error *err);
int index_note_remove(struct index *index, const struct digest *key, struct error *err);

/* Begin anew with nothing; the disk space is given back. */
int index_clear(struct index *index, struct error *err);

uint64_t index_entries(struct index *index); /* alternatives */
uint64_t index_bytes(struct index *index);

/* From now on, until it is closed, SIGBUS moves this index aside, says so on stderr, and ends the process. Failed
 * assertions in LMDB do that always. */
void index_arm_sigbus(struct index *index);
