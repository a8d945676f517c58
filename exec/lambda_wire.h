/* A job as a worker in a function gets it, and what its answer is worth (wire/job.proto). Nothing in an answer is believed: it must be to this
 * attempt, tell of asked outputs only, and every content must have the digest that it says. Blocking where stores and files are named; for threads. */
#pragma once

#include "exec/dictionaries.h"
#include "exec/executor.h"
#include "exec/uplink.h"
#include "store/store.h"

enum { LAMBDA_ID_BYTES = 16, LAMBDA_CONTENT_LIMIT = 512 << 20 /* bytes of one output */ };

/* Where the worker finds the bucket. */
struct lambda_place {
	const char *bucket, *prefix, *region, *endpoint; /* no endpoint ("") is AWS's own */
};

struct lambda_parcel {
	const struct exec_job *job;
	uint8_t id[LAMBDA_ID_BYTES];
	const struct uplink_pack *packs;
	size_t n_packs;
	const struct lambda_place *place;
	bool overlays_apart;  /* the overlays' contents are in the bucket, and don't travel with the job */
	int64_t timeout_ms;
	const struct dictionary_blob *dictionary; /* NULL: nothing is folded */
	struct buf *part;     /* NULL, or gets what may be folded */
};

/* Append the body of the request. STORE_MISS: an overlay is gone from `files`: `missing`. -1. */
int lambda_wire_job(const struct lambda_parcel *parcel, struct store *files, struct buf *json, struct digest *missing, struct error *err);

/* Content of an output or a message. */
struct lambda_content {
	bool present, executable;
	struct digest digest;
	struct slice bytes;  /* in the answer's arena; verified */
	bool apart;          /* not with the answer but in the bucket: in the shared pack if there is one, else alone */
	struct buf stored;   /* alone: filled by who fetches it */
};

enum lambda_answer_kind { LAMBDA_ANSWER_DONE, LAMBDA_ANSWER_MISSING, LAMBDA_ANSWER_FAILED, LAMBDA_ANSWER_LEAKED };

struct lambda_answer {
	struct arena arena;
	enum lambda_answer_kind kind;
	const char *error;              /* FAILED, LEAKED: the worker's words, fit to print */
	const struct digest *missing;   /* MISSING: at least one */
	size_t n_missing;
	struct lambda_content *contents; /* the job's outputs, then stdout, then stderr */
	size_t n_contents;
	struct buf shared;              /* the shared pack, if anything apart is in it: filled by who fetches it */
	bool cold;
	unsigned memory_mb;             /* that the function has; 0: it doesn't say */
	int64_t overhead_us;
	uint64_t s3_gets, s3_puts, s3_bytes_in, s3_bytes_out;
};

/* Read the answer to the attempt `id` of `job`: into `ret`, and what is no content into `result`. -1: `err->code` EPROTO for another version, else it is
 * no honest answer, or was damaged. `ret` and `result`, zeroed before, want deinit in either case. */
int lambda_wire_answer(struct slice json, const uint8_t id[static LAMBDA_ID_BYTES], const struct exec_job *job, struct lambda_answer *ret,
	struct exec_result *result, struct error *err);
void lambda_answer_deinit(struct lambda_answer *answer);

/* Bring a DONE answer's contents to where the job wants them: temporaries, messages, and, where outputs are to be kept, `content` (NULL: nowhere).
 * -1: EBADMSG is the fault of what came apart, all else is this machine's. */
int lambda_wire_deliver(struct lambda_answer *answer, const struct exec_job *job, struct store *content, struct exec_result *result, struct error *err);
