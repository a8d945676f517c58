/* What a quick look at a file's text told (compiler/textscan.h), remembered by content digest. */
#pragma once

#include "base/error.h"
#include "compiler/textscan.h"
#include "store/digest.h"

struct texts;

struct texts *texts_new(void);
void texts_free(struct texts *texts);

/* Look at the file `path`, whose content has `digest`; it is read only the first time. The answer lives as long as `texts`. NULL: it can't be read, or
 * is larger than 64 MiB. */
const struct textscan *texts_get(struct texts *texts, const char *path, const struct digest *digest, struct error *err);
