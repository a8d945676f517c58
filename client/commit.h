/* Making a compilation's outputs take their places. */
#pragma once

#include "base/error.h"
#include "wire/frame.h"

/* Put every temporary in its target's place: all are examined before the first is touched, then each target is unlinked
 * and the temporary renamed (a rename over a file makes ext4 write it out). -1: not all was done, no temporary is left,
 * and the command must be run locally, which writes every target again. */
int commit_renames(const struct frame_rename *renames, size_t n, struct error *err);
