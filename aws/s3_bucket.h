/* What is done to a bucket as a whole, for programs that do one thing after another. */
#pragma once

#include "aws/session.h"

/* 0; S3_BUCKET_ABSENT; S3_BUCKET_ELSEWHERE: `ret_region` (NULL, or in `arena`) is where; -1 (EACCES: it is somebody's, or we may not look). */
enum s3_bucket_outcome { S3_BUCKET_ABSENT = 1, S3_BUCKET_ELSEWHERE };
int s3_bucket_exists(struct aws_session *session, const char *bucket, struct arena *arena, const char **ret_region, struct error *err);

/* Delete all objects, older versions and the markers of deleted ones too; `fn` (NULL: none) is told how many went so far. S3_BUCKET_ABSENT: there was no bucket. A
 * failure leaves what is left; running it again goes on. */
typedef void s3_emptied_fn(void *ctx, uint64_t deleted);
int s3_empty(struct aws_session *session, const char *bucket, s3_emptied_fn *fn, void *ctx, struct error *err);

/* For fuzzing. A page of ListObjectVersions or ListObjectsV2, in `arena`; and the first error of DeleteObjects' answer: 0 none, 1 with `ret`, fit to print. */
struct s3_version {
	const char *key, *version; /* "" of a store without versions */
};
int s3_read_versions(struct slice body, struct arena *arena, struct s3_version **ret, size_t *ret_n, struct error *err);
struct s3_undeleted {
	const char *key, *code, *message;
	size_t n; /* how many there are */
};
int s3_read_deleted(struct slice body, struct arena *arena, struct s3_undeleted *ret, struct error *err);
