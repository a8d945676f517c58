/* What Lambda demands of an image and says one at a time, or not at all, after a push: checked here on an OCI layout, anybody's. Docker and the registries
 * put up with all of it, so nobody else says it before. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* Name, and what has to hold. */
#define IMAGE_RULES(X)                                                                                                 \
	X(LAYOUT, "layout",                                                                                            \
		"oci-layout, index.json and the blobs they name are there, and are JSON where they should be")         \
	X(ATTESTATION, "attestation",                                                                                  \
		"nothing but the image: no attestation of how it was built (buildx: --provenance=false)")              \
	X(ONE_IMAGE, "one-image", "the layout has exactly one image")                                                  \
	X(INDEX, "index", "a manifest, not an index or manifest list of several platforms")                            \
	X(MANIFEST_TYPE, "manifest-type", "the manifest is OCI's v1 or Docker's v2 schema 2")                          \
	X(CONFIG_TYPE, "config-type", "the configuration is that of an image")                                         \
	X(LAYER_TYPE, "layer-type", "layers are declared as gzip: not plain, not zstd, not kept elsewhere")            \
	X(GZIP, "gzip", "layers are gzip")                                                                             \
	X(DIGEST, "digest", "every blob has the size and the SHA-256 it is named by")                                  \
	X(DIFF_IDS, "diff-ids", "rootfs.diff_ids has the digest of every layer's archive, in order")                   \
	X(HISTORY, "history", "the history has an entry for every layer")                                              \
	X(PLATFORM, "platform", "linux on amd64 or arm64, and the entry point is built for it")                        \
	X(ARCHIVE, "archive", "layers are sound archives, and no path in them leaves the image")                       \
	X(PARENTS, "parents", "a directory has an entry of its own, in the same layer, before what is in it")          \
	X(READABLE, "readable", "everybody may read every file, and search every directory: Lambda picks the user")    \
	X(TMP, "tmp", "nothing is below /tmp, which Lambda mounts over")                                               \
	X(ENTRY_POINT, "entry-point", "there is an entry point")                                                       \
	X(ENTRY_POINT_PATH, "entry-point-path", "the entry point is an absolute path")                                 \
	X(ENTRY_POINT_FILE, "entry-point-file", "the entry point is a file, not a symlink or behind one")              \
	X(ENTRY_POINT_MODE, "entry-point-mode", "everybody may execute the entry point")                               \
	X(IMAGE_SIZE, "image-size", "no more than 10 GiB, unpacked")                                                   \
	X(LAYER_SIZE, "layer-size", "no layer of more than 52,000 MiB")

enum image_rule {
#define X(id, name, text) IMAGE_RULE_##id,
	IMAGE_RULES(X)
#undef X
	IMAGE_RULE_COUNT
};

extern const char *const image_rule_names[IMAGE_RULE_COUNT];
extern const char *const image_rule_texts[IMAGE_RULE_COUNT];

/* Lambda's are larger than a test wants to write. */
struct image_lint_limits {
	int64_t image_bytes, layer_bytes;
};

/* A breach: `text` is one line that names what breaks the rule. Many of one kind are told once with their number at the end. */
typedef void image_finding_fn(void *ctx, enum image_rule rule, const char *text);

/* Tell every breach in the layout `dir`; `limits` NULL: Lambda's. 0: whatever was there was examined. -1: it could not be read. */
int image_lint(
	const char *dir, const struct image_lint_limits *limits, image_finding_fn *fn, void *ctx, struct error *err);
