/* The little XML that S3 speaks: text escaped, elements found. No attributes, no namespaces, no entities but XML's own
 * five and numbers. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

void xml_append(struct buf *to, const char *text);
/* <name>text</name> */
void xml_element(struct buf *to, const char *name, const char *text);

/* The content of the first <name>, taken off `xml` with all before it, still escaped. False: there is none (any more),
 * or it doesn't end. */
bool xml_next(struct slice *xml, const char *name, struct slice *ret);
/* The text of the first <name>, unescaped; NULL: there is none, or it is malformed. */
const char *xml_text(struct slice xml, const char *name, struct arena *arena);
