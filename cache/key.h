/* Key 1: everything that names a unit before its inputs are known. Fields are added with a tag and a length each, so
 * that no two different sequences collide. */
#pragma once

#include <stdint.h>

#include "store/digest.h"

struct key;

struct key *key_new(const char *kind); /* "compile 1": the purpose and its version */
void key_add_bytes(struct key *key, const char *tag, struct slice value);
void key_add_str(struct key *key, const char *tag, const char *value);
void key_add_number(struct key *key, const char *tag, uint64_t value);
void key_add_digest(struct key *key, const char *tag, const struct digest *value);
/* The digest (its size is 0); frees the key. */
struct digest key_end(struct key *key);
