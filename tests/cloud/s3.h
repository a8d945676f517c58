/* S3 as its clients see it: buckets in the path or in the host's name, objects with conditions and ranges, uploads in
 * parts and in aws-chunked encoding, checksums held against the bytes, the subresources of a bucket (lifecycle and the
 * like) kept and given back. What it doesn't have it refuses with 501, as S3-compatible stores do. No versions, no
 * access control. */
#pragma once

#include "tests/cloud/cloud.h"

struct s3 *s3_new(const struct cloud *cloud, struct error *err);
void s3_free(struct s3 *s3);

const char *s3_operation(const struct cloud_request *request);
void s3_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);
const char *s3_resource(struct cloud *cloud, const struct cloud_request *request);

/* The buckets themselves, for stacks. */
struct objects *s3_objects(struct s3 *s3);
struct json_t *s3_names(struct s3 *s3); /* of all, an array */
bool s3_is_bucket_name(const char *name);
