/* The root of a function's image leads into the mirrored tree by fixed symlinks, but /tmp, where that tree is, can't be one of them. What the tree has
 * in there is linked name by name: /tmp/project -> /tmp/r/tmp/project. For the loader, for exec and for static programs; who asks through the
 * interposer never comes here. */
#pragma once

#include "base/error.h"

/* Bring the symlinks beside `root` (absolute, without symlinks) up to date with the tree below it. What else stands there is nobody's business. -1: a name
 * is taken, by ourselves or by somebody else. */
int tmp_links_update(const char *root, struct error *err);
