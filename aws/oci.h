/* An OCI image layout (github.com/opencontainers/image-spec, v1.0): a directory with oci-layout, index.json and blobs/sha256/. Written here with one
 * image of one platform, gzip layers, and bytes that depend on the arguments alone. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "store/digest.h"

#define OCI_INDEX_TYPE	  "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG_TYPE	  "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER_TYPE	  "application/vnd.oci.image.layer.v1.tar+gzip"

struct oci_layer {
	struct slice tar;
	const char *created_by; /* for the history */
};

struct oci_image {
	const char *title; /* the annotation org.opencontainers.image.title: whose image this is, see oci_has_title */
	const char *architecture;		    /* "amd64", "arm64" */
	const char *const *entrypoint, *const *env; /* end in NULL */
	const struct oci_layer *layers;
	size_t n_layers;
};

struct oci_written {
	struct digest manifest;
	int64_t layer_bytes; /* compressed, of all */
};

/* Fill the directory `dir`, which is there and empty. `ret` may be NULL. */
int oci_write(const char *dir, const struct oci_image *image, struct oci_written *ret, struct error *err);

/* The path of a blob; in `arena`. */
const char *oci_blob_path(const char *dir, const struct digest *digest, struct arena *arena);

/* Whether `dir` is a layout whose only image bears this title. Whatever cannot be read is not. */
bool oci_has_title(const char *dir, const char *title);
