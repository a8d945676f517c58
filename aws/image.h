/* The image of the function: an OCI image with nothing but the runtime, its loader and libraries, all below /llama, and symlinks at the root
 * (image_links.h). The same for everybody with the same distribution: no compiler is in it. Its bytes depend on what goes in and on nothing else: not on
 * the clock, on who builds it, on umask, locale or the order of directories.
 *
 * How the runtime starts there. /lib64 leads into the mirrored tree, so no program of the image may use the loader or a library that the usual places
 * name. Programs for the image are linked with the run path /llama/lib (DT_RPATH: it serves their libraries too; IMAGE_LINK_ARGS in meson.build), and
 * in the copies that go into the image the name of the loader is written over with IMAGE_LOADER, which is shorter than any loader's usual name.
 * So the entry point is the runtime itself, /proc/self/exe tells the truth, and no LD_LIBRARY_PATH can leak into a compiler. Search paths of the
 * libraries themselves are blanked, so that /llama/lib serves all. */
#pragma once

#include "aws/image_links.h"
#include "base/error.h"
#include "store/digest.h"

/* Laid out as an installation below /llama is, so that programs find each other as they do anywhere. */
#define IMAGE_ENTRY_POINT "/llama/bin/llama-runtime"
#define IMAGE_RUNNER	  "/llama/libexec/llama/llama-runner"
#define IMAGE_INTERPOSER  "/llama/libexec/llama/llama-interpose.so"
#define IMAGE_LIBRARIES	  "/llama/lib"
#define IMAGE_LOADER	  "/llama/lib/ld.so"
#define IMAGE_CA_BUNDLE	  "/llama/etc/ca-certificates.crt" /* AWS_CA_BUNDLE of the image's environment */

struct image_options {
	const char *runtime, *runner, *interposer; /* programs of this machine */
	const char *ca_bundle;			   /* certificates in PEM; NULL: this machine's own */
	const char *root;			   /* whose names become links besides the fixed ones; NULL: "/" */
	const char *ld_cache;			   /* where libraries are; NULL: /etc/ld.so.cache */
};

struct image_report {
	struct digest manifest;
	const char *architecture; /* "amd64", "arm64"; static */
	unsigned n_libraries, n_links;
	int64_t content_bytes; /* of the layers, unpacked */
	int64_t layer_bytes;   /* compressed */
};

/* Write the image as an OCI layout to `dir`: new, or empty, or an earlier image of ours, which is replaced as a whole when the new one is complete.
 * Anything else there is refused and untouched, and a failure leaves things as they were. `ret` may be NULL. */
int image_build(const struct image_options *options, const char *dir, struct image_report *ret, struct error *err);
