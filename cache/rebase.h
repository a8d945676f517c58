/* A manifest whose paths below one directory are moved below another: what one checkout knows may serve another. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Where paths are below a base directory that every machine has elsewhere. No path of a file system. */
#define REBASE_MARK "/\1base"

/* Append the manifest `head`, `names` with every look-up at or below `from` moved to `to`; both absolute, without a slash at the end. -1: malformed. */
int manifest_rebase(struct slice head, struct slice names, const char *from, const char *to, struct buf *head_ret, struct buf *names_ret,
	struct error *err);

/* Append `text` with every mention of the path `from`, or of something below it, changed to `to`. */
void text_rebase(const char *text, const char *from, const char *to, struct buf *ret);
