#include "cache/result.h"

#include "wire/reapi.pb-c.h"

/* The facts beside the ActionResult, by type_url. */
#define FACT_ABSENT   "llama/absent-output"   /* a label */
#define FACT_MESSAGES "llama/messages-kind"   /* a digest: 32 bytes hash, 8 bytes size, little-endian */
#define FACT_TARGETS  "llama/depfile-targets" /* text */
#define FACT_ALIASES  "llama/alias-signature" /* a digest */
#define FACT_BASE     "llama/base-directory"  /* a path; need not be there */

enum { FACT_DIGEST_BYTES = DIGEST_HASH_BYTES + 8 };

static Reapi__Digest *digest_message(struct arena *arena, const struct digest *digest)
{
	Reapi__Digest *message = arena_alloc(arena, sizeof(*message));
	reapi__digest__init(message);
	message->hash = arena_alloc(arena, DIGEST_HEX_CHARS + 1);
	digest_hex(digest, message->hash);
	message->size_bytes = digest->size_bytes;
	return message;
}

static Reapi__Any *fact(struct arena *arena, const char *name, struct slice value)
{
	Reapi__Any *any = arena_alloc(arena, sizeof(*any));
	reapi__any__init(any);
	any->type_url = (char *)name;
	any->value = (ProtobufCBinaryData){ value.len, (uint8_t *)value.ptr };
	return any;
}

static Reapi__Any *digest_fact(struct arena *arena, const char *name, const struct digest *digest)
{
	uint8_t *bytes = arena_alloc(arena, FACT_DIGEST_BYTES);
	memcpy(bytes, digest->hash, DIGEST_HASH_BYTES);
	for (size_t i = 0; i < 8; i++)
		bytes[DIGEST_HASH_BYTES + i] = (uint8_t)((uint64_t)digest->size_bytes >> (8 * i));
	return fact(arena, name, slice_of(bytes, FACT_DIGEST_BYTES));
}

void result_encode(const struct cache_result *result, struct buf *ret)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	Reapi__ActionResult message = REAPI__ACTION_RESULT__INIT;
	Reapi__ExecutedActionMetadata metadata = REAPI__EXECUTED_ACTION_METADATA__INIT;
	message.output_files = arena_array(&arena, Reapi__OutputFile *, result->n_outputs);
	metadata.auxiliary_metadata = arena_array(&arena, Reapi__Any *, result->n_outputs + 4);
	for (size_t i = 0; i < result->n_outputs; i++) {
		const struct cache_output *output = &result->outputs[i];
		if (output->absent) {
			metadata.auxiliary_metadata[metadata.n_auxiliary_metadata++] = fact(
				&arena, FACT_ABSENT, slice_str(output->label));
			continue;
		}
		Reapi__OutputFile *file = arena_alloc(&arena, sizeof(*file));
		reapi__output_file__init(file);
		file->path = (char *)output->label;
		file->digest = digest_message(&arena, &output->digest);
		file->is_executable = output->executable;
		message.output_files[message.n_output_files++] = file;
	}
	metadata.auxiliary_metadata[metadata.n_auxiliary_metadata++] = digest_fact(
		&arena, FACT_MESSAGES, &result->messages_kind);
	metadata.auxiliary_metadata[metadata.n_auxiliary_metadata++] = fact(
		&arena, FACT_TARGETS, slice_str(result->depfile_targets));
	metadata.auxiliary_metadata[metadata.n_auxiliary_metadata++] = digest_fact(
		&arena, FACT_ALIASES, &result->alias_signature);
	if (result->base && *result->base)
		metadata.auxiliary_metadata[metadata.n_auxiliary_metadata++] = fact(&arena, FACT_BASE, slice_str(result->base));
	message.exit_code = result->exit_code;
	message.stdout_digest = digest_message(&arena, &result->out);
	message.stderr_digest = digest_message(&arena, &result->err);
	message.execution_metadata = &metadata;
	size_t size = reapi__action_result__get_packed_size(&message);
	ret->len += reapi__action_result__pack(&message, (uint8_t *)buf_reserve(ret, size));
}

static void *allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

static int parse_digest(const Reapi__Digest *message, struct digest *ret)
{
	if (!message || message->size_bytes < 0 || digest_parse_hex(slice_str(message->hash), ret) < 0)
		return -1;
	ret->size_bytes = message->size_bytes;
	return 0;
}

static int parse_digest_fact(struct slice value, struct digest *ret)
{
	if (value.len != FACT_DIGEST_BYTES)
		return -1;
	uint64_t size = 0;
	for (size_t i = 0; i < 8; i++)
		size |= (uint64_t)(uint8_t)value.ptr[DIGEST_HASH_BYTES + i] << (8 * i);
	memcpy(ret->hash, value.ptr, DIGEST_HASH_BYTES);
	ret->size_bytes = (int64_t)size;
	return ret->size_bytes < 0 ? -1 : 0;
}

int result_decode(struct slice bytes, struct arena *arena, struct cache_result *ret, struct error *err)
{
	ProtobufCAllocator allocator = { allocate, release, arena };
	const Reapi__ActionResult *message = reapi__action_result__unpack(
		&allocator, bytes.len, (const uint8_t *)bytes.ptr);
	if (!message || !message->execution_metadata)
		return error_set(err, 0, "malformed result");
	const Reapi__ExecutedActionMetadata *metadata = message->execution_metadata;
	struct cache_result result = { .exit_code = message->exit_code, .base = "" };
	result.outputs = arena_array(
		arena, struct cache_output, message->n_output_files + metadata->n_auxiliary_metadata);
	if (parse_digest(message->stdout_digest, &result.out) < 0 ||
		parse_digest(message->stderr_digest, &result.err) < 0)
		return error_set(err, 0, "malformed messages in result");
	for (size_t i = 0; i < message->n_output_files; i++) {
		const Reapi__OutputFile *file = message->output_files[i];
		struct cache_output *output = &result.outputs[result.n_outputs++];
		*output = (struct cache_output){ .label = file->path, .executable = file->is_executable };
		if (parse_digest(file->digest, &output->digest) < 0)
			return error_set(err, 0, "malformed output %s in result", file->path);
	}
	bool has_messages = false, has_targets = false, has_aliases = false;
	for (size_t i = 0; i < metadata->n_auxiliary_metadata; i++) {
		const Reapi__Any *any = metadata->auxiliary_metadata[i];
		struct slice value = slice_of(any->value.data, any->value.len);
		if (strcmp(any->type_url, FACT_ABSENT) == 0) {
			result.outputs[result.n_outputs++] = (struct cache_output){
				.label = arena_strndup(arena, value.ptr, value.len), .absent = true
			};
		} else if (strcmp(any->type_url, FACT_MESSAGES) == 0) {
			has_messages = parse_digest_fact(value, &result.messages_kind) == 0;
		} else if (strcmp(any->type_url, FACT_TARGETS) == 0) {
			has_targets = true;
			result.depfile_targets = arena_strndup(arena, value.ptr, value.len);
		} else if (strcmp(any->type_url, FACT_ALIASES) == 0) {
			has_aliases = parse_digest_fact(value, &result.alias_signature) == 0;
		} else if (strcmp(any->type_url, FACT_BASE) == 0) {
			result.base = arena_strndup(arena, value.ptr, value.len);
		}
	}
	if (!has_messages || !has_targets || !has_aliases)
		return error_set(err, 0, "malformed result");
	*ret = result;
	return 0;
}
