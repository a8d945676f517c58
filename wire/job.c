#include "wire/job.h"

#include <jansson.h>
#include <stdio.h>

#include "wire/compress.h"
#include "wire/text91.h"

#define HEAD_FORMAT "{\"llama\":%d,\"%s\":\""

static const char *const part_names[] = { [JOB_REQUEST] = "job", [JOB_RESULT] = "result" };

void job_seal(enum job_part part, struct slice message, struct buf *json)
{
	_cleanup_buf_ struct buf frame = { 0 };
	compress_append(message, &frame);
	buf_printf(json, HEAD_FORMAT, JOB_VERSION, part_names[part]);
	text91_append(buf_slice(&frame), json);
	buf_append_str(json, "\"}");
}

/* What job_seal writes, byte for byte, needs no JSON parser; NULL: it is something else. */
static const char *quick_value(enum job_part part, struct slice json, size_t *len)
{
	char head[64];
	int n = snprintf(head, sizeof(head), HEAD_FORMAT, JOB_VERSION, part_names[part]);
	if (!slice_has_prefix(json, head) || !slice_has_suffix(json, "\"}") || json.len < (size_t)n + 2)
		return NULL;
	*len = json.len - (size_t)n - 2;
	return memchr(json.ptr + n, '"', *len) ? NULL : json.ptr + n;
}

static int decode_frame(struct slice text, struct buf *message, struct error *err)
{
	_cleanup_buf_ struct buf frame = { 0 };
	if (text.len > JOB_BODY_LIMIT * 2 || text91_read(text, &frame) < 0)
		return error_set(err, EBADMSG, "it has a malformed text");
	return decompress_append(buf_slice(&frame), JOB_MESSAGE_LIMIT, message, err);
}

int job_open(enum job_part part, struct slice json, struct buf *message, struct error *err)
{
	size_t len;
	const char *quick = quick_value(part, json, &len);
	if (quick)
		return decode_frame(slice_of(quick, len), message, err);
	json_error_t why;
	json_auto_t *object = json_loadb(json.ptr, json.len, 0, &why);
	if (!object)
		return error_set(err, EBADMSG, "no JSON: %s", why.text);
	json_t *version = json_object_get(object, "llama");
	if (!json_is_integer(version))
		return error_set(err, EBADMSG, "no %s of Llama's", part_names[part]);
	if (json_integer_value(version) != JOB_VERSION)
		return error_set(err, EPROTO, "version %lld of the protocol, %d is spoken here", (long long)json_integer_value(version), JOB_VERSION);
	json_t *value = json_object_get(object, part_names[part]);
	if (!json_is_string(value))
		return error_set(err, EBADMSG, "no %s in it", part_names[part]);
	return decode_frame(slice_of(json_string_value(value), json_string_length(value)), message, err);
}

void job_part_to_fold(const Job__Job *job, struct buf *ret)
{
	Job__Job part = JOB__JOB__INIT;
	part.command = job->command;
	part.n_overlays = job->n_overlays;
	part.overlays = job->overlays;
	char *at = buf_reserve(ret, job__job__get_packed_size(&part));
	ret->len += job__job__pack(&part, (uint8_t *)at);
}

int job_unfold(Job__Job *job, struct slice dictionary, struct error *err)
{
	_cleanup_buf_ struct buf message = { 0 };
	const ProtobufCBinaryData *frame = &job->folded->frame;
	if (decompress_append_with(dictionary, slice_of(frame->data, frame->len), JOB_MESSAGE_LIMIT, &message, err) < 0)
		return -1;
	Job__Job *part = job__job__unpack(NULL, message.len, (const uint8_t *)buf_str(&message));
	if (!part || job->command || job->n_overlays > 0) {
		job__job__free_unpacked(part, NULL);
		return error_set(err, EBADMSG, "a job is malformed");
	}
	job->command = part->command;
	job->overlays = part->overlays;
	job->n_overlays = part->n_overlays;
	part->command = NULL;
	part->overlays = NULL;
	part->n_overlays = 0;
	job__job__free_unpacked(part, NULL);
	job__folded__free_unpacked(job->folded, NULL);
	job->folded = NULL;
	return 0;
}
