/* The format of ~/.aws/config and ~/.aws/credentials, as botocore reads it: Python's RawConfigParser, with settings nested below an empty one.
 * No I/O.
 *
 * Not libinih's: that ends lines at 200 bytes (session tokens are longer), takes " ;" in a credential_process for a comment, and cannot tell a nested
 * setting from a second line of text. Comments are whole lines that begin with # or ;. Names are in lower case, but nested ones. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

/* A setting; a section's beginning has `name` and `value` NULL. `endpoint_url = x`, indented below `s3 =`, is named "s3.endpoint_url". The strings live until
 * the callback returns. */
typedef void shared_file_fn(void *ctx, const char *section, const char *name, const char *value);

/* -1: not of this format: "line 3: …", without any of the file's text, which may be secret. What came before the line has been given to `fn`. */
int shared_file_parse(struct slice text, shared_file_fn *fn, void *ctx, struct error *err);

/* A section's words ("profile", "my profile"), or a command's, as Python's shlex.split makes them: blanks part, quotes and backslashes protect. The words end
 * in NULL and are in `arena`. -1: a quote is open. */
struct arena;
int shell_split(const char *text, struct arena *arena, char ***ret, size_t *ret_n, struct error *err);
