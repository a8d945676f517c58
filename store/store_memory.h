/* Blobs in memory: for tests, and for the Directory messages of snapshots. */
#pragma once

#include "store/store.h"

struct store *store_memory_new(void);
