/* Blobs in memory: for tests, and for the Directory messages of snapshots. */
#pragma once

#include "store/store.h"

struct store *store_memory_new(void);

int64_t store_memory_size(struct store *store); /* bytes of all blobs */
void store_memory_clear(struct store *store);   /* at any time: who asks afterwards misses */
