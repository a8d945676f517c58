/* The XML of S3's answers. Bytes in, no I/O. */
#pragma once

#include "aws/s3.h"
#include "base/arena.h"

struct s3_page {
	struct s3_key *keys; /* whole names; `modified_s` -1 where it is illegible */
	size_t n;
	bool truncated;
	const char *token;   /* of the next page; "" if it has none */
};

/* A page of ListObjectsV2, in `arena`. -1: it is none. */
int s3_answer_page(struct slice body, struct arena *arena, struct s3_page *ret, struct error *err);

/* The id of a multipart upload, in `arena`. */
int s3_answer_upload(struct slice body, struct arena *arena, const char **ret, struct error *err);

/* What an error answer says beyond code and message. Each in `arena`, "" if absent. An answer of status 200 may be one (CompleteMultipartUpload). */
struct s3_complaint {
	const char *code, *message, *region;
};
struct s3_complaint s3_answer_complaint(struct slice body, struct arena *arena);

/* Whether it can be a region's name: then it is fit to print. */
bool s3_is_region(const char *s);
