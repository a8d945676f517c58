#include "aws/s3_answer.h"

#include <stdlib.h>

#include "aws/credential_answer.h"
#include "aws/xml.h"
#include "base/cleanup.h"

struct page_reader {
	struct arena *arena;
	struct s3_page *page;
	struct s3_key key; /* being read */
	size_t capacity;
	bool ended; /* the root element, by its own name */
};

static void take_page_element(void *ctx, const char *path, const char *text)
{
	struct page_reader *r = ctx;
	if (strcmp(path, "ListBucketResult/Contents") == 0) {
		if (!r->key.name)
			return;
		struct s3_page *page = r->page;
		if (page->n == r->capacity) {
			r->capacity = r->capacity ? 2 * r->capacity : 16;
			page->keys = reallocarray(page->keys, r->capacity, sizeof *page->keys);
			if (!page->keys)
				abort();
		}
		page->keys[page->n++] = r->key;
		r->key = (struct s3_key){ .modified_s = -1 };
	} else if (strcmp(path, "ListBucketResult") == 0) {
		r->ended = true;
	} else if (!text) {
		return;
	} else if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
		r->key.name = arena_strdup(r->arena, text);
	} else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
		char *end;
		long long size = strtoll(text, &end, 10);
		r->key.size_bytes = *end || size < 0 ? 0 : size;
	} else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
		int64_t ms = credential_time_ms(text);
		r->key.modified_s = ms < 0 ? -1 : ms / 1000;
	} else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
		r->page->truncated = strcmp(text, "true") == 0;
	} else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		r->page->token = arena_strdup(r->arena, text);
	}
}

int s3_answer_page(struct slice body, struct arena *arena, struct s3_page *ret, struct error *err)
{
	struct s3_page page = { .token = "" };
	struct page_reader reader = { .arena = arena, .page = &page, .key.modified_s = -1 };
	int rc = xml_parse(body, take_page_element, &reader, err);
	_cleanup_free_ struct s3_key *keys = page.keys;
	if (rc < 0)
		return error_wrap(err, "the list is illegible");
	if (!reader.ended)
		return error_set(err, EBADMSG, "the answer is no list of objects");
	page.keys = arena_array(arena, struct s3_key, page.n);
	if (page.n)
		memcpy(page.keys, keys, page.n * sizeof *keys);
	*ret = page;
	return 0;
}

struct upload_reader {
	struct arena *arena;
	const char *id;
};

static void take_upload_element(void *ctx, const char *path, const char *text)
{
	struct upload_reader *r = ctx;
	if (text && *text && strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0)
		r->id = arena_strdup(r->arena, text);
}

int s3_answer_upload(struct slice body, struct arena *arena, const char **ret, struct error *err)
{
	struct upload_reader reader = { .arena = arena };
	if (xml_parse(body, take_upload_element, &reader, err) < 0)
		return error_wrap(err, "the answer is illegible");
	if (!reader.id)
		return error_set(err, EBADMSG, "the answer names no upload");
	*ret = reader.id;
	return 0;
}

struct complaint_reader {
	struct arena *arena;
	struct s3_complaint complaint;
};

bool s3_is_region(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return n && n < 64 && !s[n];
}

static void take_region(void *ctx, const char *path, const char *text)
{
	struct complaint_reader *r = ctx;
	if (text && strcmp(path, "Error/Region") == 0 && s3_is_region(text))
		r->complaint.region = arena_strdup(r->arena, text);
}

struct s3_complaint s3_answer_complaint(struct slice body, struct arena *arena)
{
	struct complaint_reader reader = { .arena = arena, .complaint = { "", "", "" } };
	struct error illegible;
	credential_answer_error(body, arena, &reader.complaint.code, &reader.complaint.message);
	if (body.len && body.ptr[0] == '<')
		(void)xml_parse(body, take_region, &reader, &illegible); /* what was read before a break counts */
	return reader.complaint;
}
