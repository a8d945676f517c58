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
#define OCI_DOCKER_TYPE	  "application/vnd.docker.distribution.manifest.v2+json"
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

/* An image in a layout, whoever wrote it. */
struct oci_contents {
	struct digest manifest;
	const char *manifest_type;   /* OCI_MANIFEST_TYPE or OCI_DOCKER_TYPE */
	struct slice manifest_bytes;
	struct digest *blobs;        /* the configuration, then the layers, each once */
	size_t n_blobs;
	const char *architecture;    /* as the configuration has it: "amd64"; "" if it says none */
};

/* In `arena`. Every blob has been read, and has the bytes that it is named by. -1: it isn't a layout with one image of one platform, or a blob isn't there
 * or has others; the text names it. */
int oci_read(const char *dir, struct arena *arena, struct oci_contents *ret, struct error *err);

/* For fuzzing. Of index.json, the one image's manifest (and its type); of a manifest, its type where it says one, and its blobs. */
int oci_read_index(struct slice json, struct arena *arena, struct oci_contents *ret, struct error *err);
int oci_read_manifest(struct slice json, struct arena *arena, struct oci_contents *ret, struct error *err);
