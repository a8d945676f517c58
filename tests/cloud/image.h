/* Container images for functions, from a registry's storage, or from a local OCI layout (`oci:DIR[:TAG]` in the place of
 * a registry's URI). Judged
 * as Lambda judges them, which is stricter than every other consumer: one platform's manifest and no index; gzip
 * layers; each directory has its entry before what is in it. One error at a time, in AWS's words. Beyond Lambda,
 * which finds out only when the function runs: everything is readable by everybody. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "store/digest.h"

enum image_outcome {
	IMAGE_MISSING = 1,     /* no such image */
	IMAGE_UNSUPPORTED = 2, /* a media type that Lambda doesn't take */
	IMAGE_INVALID = 3,     /* found out while unpacking; `err` is the StateReason */
};

struct image {
	char *layout;	      /* directory */
	bool sharded;	      /* its blobs are XX/XX…/data there, not blobs/sha256/XX… */
	struct digest digest; /* of the manifest, which the tag is resolved to once */
	json_t *manifest;     /* digests of the layers are checked while they are unpacked */
	json_t *config;	      /* the "config" object of the configuration, or NULL */
};

void image_deinit(struct image *image);

/* Find the image and read its manifest and configuration. 0, -1 (the URI is malformed), IMAGE_MISSING or
 * IMAGE_UNSUPPORTED. */
int image_open(const char *uri, struct image *ret, struct error *err);
/* The same of a registry that keeps its blobs below `directory`, and knows its manifest's descriptor; `uri` is for
 * messages. */
int image_open_pushed(
	const char *directory, const json_t *descriptor, const char *uri, struct image *ret, struct error *err);

/* Unpack the layers into `root`, which doesn't exist yet or was unpacked completely before, with the places of the
 * jail's mounts. 0, -1 or IMAGE_INVALID. */
int image_unpack(const struct image *image, const char *root, struct error *err);
