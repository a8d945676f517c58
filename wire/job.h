/* Jobs and results between the daemon and a worker in a cloud function (job.proto), as the JSON that Lambda wants:
 *
 *	{"llama":2,"job":"<a zstd frame of a job.Job, as wire/text91.h has it>"}
 *	{"llama":2,"result":"<… of a job.Result>"}
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/job.pb-c.h"

enum {
	JOB_VERSION = 2,
	JOB_BODY_LIMIT = 6 << 20,     /* bytes of JSON that Lambda takes in a request and in a response */
	JOB_MESSAGE_LIMIT = 64 << 20, /* bytes of a message, decompressed; what says more is refused unread */
};

/* The errorType of a function's error, when a worker can give no answer: what it got was no job of its version, or none at all. */
#define JOB_ERROR_VERSION "Llama.Version"
#define JOB_ERROR_REQUEST "Llama.Request"

enum job_part { JOB_REQUEST, JOB_RESULT };

/* The part of a job that may come folded, encoded: its command and overlays. Appended. */
void job_part_to_fold(const Job__Job *job, struct buf *ret);

/* In the place of its folded part `job` gets that itself, to be freed with it. -1: it is not to be read with this dictionary. */
int job_unfold(Job__Job *job, struct slice dictionary, struct error *err);

/* Append the JSON of `message`, an encoded Job or Result. */
void job_seal(enum job_part part, struct slice message, struct buf *json);

/* Append the message in `json` to `message`. -1: no such JSON, another version (`err->code` EPROTO), a malformed text or frame, too large. */
int job_open(enum job_part part, struct slice json, struct buf *message, struct error *err);
