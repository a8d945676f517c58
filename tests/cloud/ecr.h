/* The service "ecr": repositories and what is known of their images (registry.h has the bytes, and the protocol that
 * images come by). Thread-safe. */
#pragma once

#include "tests/cloud/server.h"

struct ecr;
struct registry;
struct json_t;

struct ecr *ecr_new(struct cloud *cloud, struct error *err); /* borrowed */
void ecr_free(struct ecr *ecr);				     /* NULL is allowed */
struct registry *ecr_registry(struct ecr *ecr);

/* "127.0.0.1:PORT": where clients find the registry, in the arena. */
const char *ecr_host(struct cloud *cloud, struct arena *arena);

/* Outcomes have AWS's words in `err`. */
enum ecr_outcome {
	ECR_THERE = 1, /* a repository of that name, a tag that may not be moved */
	ECR_MISSING,   /* no such repository or image */
	ECR_NOT_EMPTY,
	ECR_WRONG, /* a name, or a policy */
};

/* `settings`: as CreateRepository's; "lifecyclePolicyText" and "policyText" may be among them. */
int ecr_create(struct ecr *ecr, const char *name, const struct json_t *settings, struct error *err);
int ecr_update(struct ecr *ecr, const char *name, const struct json_t *settings, struct error *err);
/* With `force`: with its images. */
int ecr_delete(struct ecr *ecr, const char *name, bool force, struct error *err);
bool ecr_has(struct ecr *ecr, const char *name);

/* What came by the registry. `tag` NULL: none. */
int ecr_may_put(struct ecr *ecr, const char *name, const char *tag, struct error *err);
int ecr_put(struct ecr *ecr, const char *name, const char *tag, const char *digest, const char *media_type,
	struct slice manifest, struct error *err);
/* The descriptor of the image that a tag or digest names: {"mediaType", "digest", "size"}, a new reference. */
int ecr_resolve(struct ecr *ecr, const char *name, const char *reference, struct json_t **ret, struct error *err);
/* The repository's policy lets Lambda fetch images; if it doesn't and `may`, it is made so. False: it doesn't. */
bool ecr_admit_lambda(struct ecr *ecr, const char *name, bool may);
/* The tags of its images: an array; NULL: there is no such repository. */
struct json_t *ecr_tags(struct ecr *ecr, const char *name);

/* [{"repository": "llama", "images": 1}] */
struct json_t *ecr_json(struct ecr *ecr);

const char *ecr_operation(const struct cloud_request *request);
const char *ecr_resource(struct cloud *cloud, const struct cloud_request *request);
cloud_handler ecr_handle;
