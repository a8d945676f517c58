/* Pushing an OCI layout to a registry (OCI distribution spec v1.1): a HEAD for each blob, a POST, and one PUT with all of it, from the file; then the manifest, as its own
 * media type. ECR needs it so: of what comes in several PATCHes it keeps the first alone. A blob whose connection is cut is begun again, a few times. */
#pragma once

#include "aws/session.h"
#include "store/digest.h"

struct registry {
	const char *endpoint;		   /* "https://HOST[:PORT]", see ecr_login */
	const char *user, *password;	   /* secrets: sent to the endpoint's own host only */
	const char *repository;		   /* its name: "llama" */
};

/* Of the bytes that the registry hasn't got; `blob` "sha256:…" is under way. Called when something has changed. */
typedef void registry_progress_fn(void *ctx, const char *blob, int64_t sent_bytes, int64_t total_bytes);

struct registry_pushed {
	struct digest manifest;
	int64_t bytes_sent;
	unsigned blobs_sent, blobs_there;
};

/* `tag` NULL: by its digest alone. Every blob of the layout is held against its digest before the first is sent, and the registry's word for the manifest's digest against
 * ours. -1: as aws_refused has it; EBADMSG: the layout, or what the registry says, is wrong. `fn` may be NULL. */
int registry_push(struct aws_session *session, const struct registry *registry, const char *layout_dir, const char *tag, registry_progress_fn *fn, void *ctx,
	struct registry_pushed *ret, struct error *err);

/* Whether the image is there already. */
int registry_has(struct aws_session *session, const struct registry *registry, const struct digest *manifest, bool *ret, struct error *err);

/* The repository of an image's URI: "llama/x" of "HOST/llama/x:tag" and "HOST/llama/x@sha256:…", in `arena`; NULL: it is no such URI. */
const char *registry_repository_of(const char *image_uri, struct arena *arena);

/* For fuzzing. Where an upload's PUT goes: the Location that a registry answered, absolute or not, with the digest in its query; in `arena`. `ret_own`: to the endpoint's
 * host, which may see the password. -1: it can't be a URL, or leaves https. */
int registry_resolve(const char *endpoint, const char *location, const struct digest *digest, struct arena *arena, const char **ret, bool *ret_own,
	struct error *err);
/* What an error answer ({"errors": [{"code": …, "message": …}]}) says, fit to print; "" each if it says nothing. */
void registry_read_error(struct slice body, struct arena *arena, const char **ret_code, const char **ret_message);
