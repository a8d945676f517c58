/* Changing the configuration file for people: what they wrote stays as they wrote it. The file's grammar is that of
 * daemon/config.h, which reads it. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct settings_entry {
	const char *key;
	const char *value; /* NULL: remove the key */
};

/* Set these keys in `section` (NULL: the top level, which is also what [llama] says) of the file, which is made (0600, with
 * its directories) if absent. A key that is there keeps its line's place, layout and comment; a new one goes behind the
 * section's last; a new section to the end. Every other line is kept. Written beside and renamed, so readers see the old or
 * the new; a symlink is followed, the file's mode kept. Nothing to change leaves the file alone. -1 names the file; then it
 * is as it was. A value that a line can't hold (nothing, a line's end, blanks around it, a `;` behind one, too long) is an error. */
int settings_write(
	const char *file, const char *section, const struct settings_entry *entries, size_t n, struct error *err);

/* Remove the section (never NULL) with all that is below it up to the next header, or the comments directly above that.
 * What isn't there is no error. */
int settings_remove_section(const char *file, const char *section, struct error *err);

/* The same on text, appended to `ret`. */
int settings_edit(struct slice text, const char *section, const struct settings_entry *entries, size_t n,
	struct buf *ret, struct error *err);
void settings_edit_remove_section(struct slice text, const char *section, struct buf *ret);
