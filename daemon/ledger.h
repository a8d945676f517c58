/* The temporary names under which outputs are being made beside their targets, written down: who starts after a daemon that was killed
 * removes what it left there. One file in the cache directory; a write per request, nothing is synced: after a crash of the machine some may be
 * missing, or be gone already. */
#pragma once

#include <stddef.h>

#include "base/error.h"

struct ledger;

/* The ledger at `path`, which nobody else has open. What an earlier one lists is removed first: only regular files under names that we
 * give (`.llama-` and 16 hex digits). NULL when the file can't be made. */
struct ledger *ledger_open(const char *path, struct error *err);
void ledger_free(struct ledger *ledger); /* NULL is allowed */

/* Write the absolute paths down before anything is made there, in place of what `*slot` held; 0: it holds nothing yet. A full disk is no
 * error: what isn't written down isn't removed. */
void ledger_put(struct ledger *ledger, unsigned *slot, const char *const *paths, size_t n);

/* Nothing stands there any more. 0 is allowed. */
void ledger_drop(struct ledger *ledger, unsigned slot);
