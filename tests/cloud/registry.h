/* ECR's registry: the protocol of OCI registries below /v2/ on the cloud's own port, in front of a real one (Debian's
 * docker-registry, a child that starts with the first request that needs it; its storage is in the state directory).
 *
 * As ECR: Basic authentication by a token of GetAuthorizationToken; repositories must exist; of an upload's PATCHes the
 * first counts, and later ones are answered with 201 and dropped; blobs aren't mounted from other repositories; tags may
 * be immutable; what was deleted by the API is gone. */
#pragma once

#include "tests/cloud/server.h"

struct registry;

struct registry *registry_new(struct cloud *cloud, struct error *err); /* borrowed */
void registry_free(struct registry *registry);			       /* ends the child; NULL is allowed */

/* base64 of AWS:PASSWORD, valid for 12 hours of the cloud's, for whoever has the key. */
const char *registry_token(
	struct registry *registry, const char *access_key, struct arena *arena, int64_t *ret_expires_s);
/* Fills `access_key`. False: no such token, or an old one, and the answer says so. */
bool registry_check_token(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);

/* The repository has no blobs any more. */
int registry_forget(struct registry *registry, const char *repository, struct error *err);

/* The directory of its blobs, which are XX/XX…/data there; it may not exist. */
const char *registry_blobs(const struct registry *registry);

/* In the words of ECR's policies: PutImage, InitiateLayerUpload, … */
const char *registry_operation(const struct cloud_request *request);
const char *registry_resource(struct cloud *cloud, const struct cloud_request *request);
cloud_handler registry_handle;
