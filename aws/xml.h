/* The XML of AWS's answers, leaf by leaf. No I/O. Documents that declare a type (entities, outside references) are refused. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

/* An element has ended. `path` has the names from the root, without prefixes, parted by slashes: "Error/Code". `text`: what stood in it, trimmed by nothing;
 * NULL: it had other elements inside. Both live until the callback returns. */
typedef void xml_fn(void *ctx, const char *path, const char *text);

/* -1: not well-formed, or nested deeper than 32; what came before has been given to `fn`. */
int xml_parse(struct slice bytes, xml_fn *fn, void *ctx, struct error *err);
