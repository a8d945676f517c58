/* The trip-wire: whether something names the worker's own root, which at home doesn't exist. */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/* Whether `root` occurs in `bytes` as a path: what follows it can't belong to the name ("/tmp/r/usr" and "/tmp/r\0" do, "/tmp/rust" doesn't). */
bool leak_found(const char *root, struct slice bytes);
