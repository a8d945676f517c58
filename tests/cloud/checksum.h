/* The checksums that S3 knows: x-amz-checksum-{crc32,crc32c,crc64nvme,sha1,sha256}, and ETags. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

/* In base64, as in the header of that name; NULL: S3 knows none of that name. `header`: "x-amz-checksum-crc32". */
const char *checksum(const char *header, struct slice bytes, struct arena *arena);
const char *checksum_md5_base64(struct slice bytes, struct arena *arena);
const char *checksum_md5_hex(struct slice bytes, struct arena *arena);
/* The ETag of an object made of parts: of the MD5s of the parts, in hex. NULL: one isn't hex. */
const char *checksum_of_parts(const char *const *md5_hex, size_t n, struct arena *arena);
