/* The skeletons of all texts met, kept by content digest. */
#pragma once

#include "base/error.h"
#include "compiler/skeleton.h"
#include "files/view.h"

struct skeletons;

struct skeletons *skeletons_new(struct view *view); /* borrowed */
void skeletons_free(struct skeletons *skeletons);

/* The skeleton of the file `path`, whose content has `digest`; it is read only the first time, and not even then if the view has just read it
 * (view_text). Valid until skeletons_keep_bounds. NULL: it can't be read, is larger than 64 MiB, or changed meanwhile. */
const struct skeleton *skeletons_get(struct skeletons *skeletons, const char *path, const struct digest *digest, struct error *err);

/* When they take more than some 128 MB, everything is forgotten and made again as needed. */
void skeletons_keep_bounds(struct skeletons *skeletons);
