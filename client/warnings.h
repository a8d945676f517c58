/* LLAMACC_FILTER_WARNINGS: warning options that a build must not see. */
#pragma once

#include <stddef.h>

/* Remove -Wname and -Wno-name from the `argc` words of `argv` (ends in NULL) for every name of `list`, separated by
 * commas; NULL removes nothing. A word that belongs to an -Xclang or the like stays. Returns the new count. */
size_t warnings_filter(const char **argv, size_t argc, const char *list);
