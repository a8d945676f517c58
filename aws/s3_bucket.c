#include "aws/s3_bucket.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "aws/s3.h"
#include "aws/xml.h"
#include "base/cleanup.h"

enum { PAGE = 1000, WORDS_MAX = 200, REPEATS_MAX = 3 };

static const char *one_line(const char *s, struct arena *arena)
{
	char *line = arena_strndup(arena, s, strnlen(s, WORDS_MAX));
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return line;
}

/* Answers. */

struct version_reader {
	struct arena *arena;
	struct s3_version version; /* being read */
	struct s3_version *versions;
	size_t n, capacity;
	bool ended;
};

static void take_version(void *ctx, const char *path, const char *text)
{
	struct version_reader *r = ctx;
	if (strcmp(path, "ListVersionsResult") == 0 || strcmp(path, "ListBucketResult") == 0)
		r->ended = true;
	const char *rest = NULL;
	static const char *const members[] = { "ListVersionsResult/Version", "ListVersionsResult/DeleteMarker", "ListBucketResult/Contents", NULL };
	for (size_t i = 0; members[i]; i++)
		if (slice_has_prefix(slice_str(path), members[i]))
			rest = path + strlen(members[i]);
	if (!rest)
		return;
	if (text && strcmp(rest, "/Key") == 0)
		r->version.key = arena_strdup(r->arena, text);
	else if (text && strcmp(rest, "/VersionId") == 0)
		r->version.version = arena_strdup(r->arena, text);
	if (*rest)
		return;
	if (r->version.key) {
		if (r->n == r->capacity) {
			r->capacity = r->capacity ? 2 * r->capacity : 64;
			r->versions = reallocarray(r->versions, r->capacity, sizeof *r->versions);
			if (!r->versions)
				abort();
		}
		r->versions[r->n++] = r->version;
	}
	r->version = (struct s3_version){ NULL, "" };
}

int s3_read_versions(struct slice body, struct arena *arena, struct s3_version **ret, size_t *ret_n, struct error *err)
{
	struct version_reader r = { .arena = arena, .version = { NULL, "" } };
	int rc = xml_parse(body, take_version, &r, err);
	_cleanup_free_ struct s3_version *versions = r.versions;
	if (rc < 0)
		return error_wrap(err, "the list is illegible");
	if (!r.ended)
		return error_say(err, EBADMSG, "the answer is no list of objects");
	*ret = arena_array(arena, struct s3_version, r.n);
	if (r.n)
		memcpy(*ret, versions, r.n * sizeof *versions);
	*ret_n = r.n;
	return 0;
}

struct deleted_reader {
	struct arena *arena;
	struct s3_undeleted first;
	bool ended;
};

static void take_deleted(void *ctx, const char *path, const char *text)
{
	struct deleted_reader *r = ctx;
	if (strcmp(path, "DeleteResult") == 0)
		r->ended = true;
	if (strcmp(path, "DeleteResult/Error") == 0)
		r->first.n++;
	if (!text || r->first.n)
		return;
	if (strcmp(path, "DeleteResult/Error/Key") == 0)
		r->first.key = one_line(text, r->arena);
	else if (strcmp(path, "DeleteResult/Error/Code") == 0)
		r->first.code = one_line(text, r->arena);
	else if (strcmp(path, "DeleteResult/Error/Message") == 0)
		r->first.message = one_line(text, r->arena);
}

int s3_read_deleted(struct slice body, struct arena *arena, struct s3_undeleted *ret, struct error *err)
{
	struct deleted_reader r = { .arena = arena, .first = { "", "", "", 0 } };
	if (xml_parse(body, take_deleted, &r, err) < 0)
		return error_wrap(err, "the answer is illegible");
	if (!r.ended)
		return error_say(err, EBADMSG, "the answer isn't one to a deletion");
	*ret = r.first;
	return r.first.n > 0;
}

/* Requests. */

static int ask(struct aws_session *session, const char *bucket, struct aws_call *call, const char *what, struct arena *arena, struct aws_reply *ret, struct error *err)
{
	s3_address(session->aws, bucket, NULL, arena, call);
	return aws_ask(session, call, arena, ret, err) < 0 ? error_wrap(err, "cannot %s", what) : 0;
}

int s3_bucket_exists(struct aws_session *session, const char *bucket, struct arena *arena, const char **ret_region, struct error *err)
{
	struct aws_reply reply;
	const char *what = arena_printf(arena, "look at the bucket %s", bucket), *here = session->config.region;
	if (ask(session, bucket, &(struct aws_call){ .method = "HEAD" }, what, arena, &reply, err) < 0)
		return -1;
	if (reply.status == 404)
		return S3_BUCKET_ABSENT;
	if ((*reply.region && (!here || strcmp(reply.region, here) != 0)) || reply.status == 301 || reply.status == 307) {
		if (ret_region)
			*ret_region = *reply.region ? reply.region : "another";
		return S3_BUCKET_ELSEWHERE;
	}
	return aws_succeeded(&reply) ? 0 : aws_refused(&reply, "s3:ListBucket", what, err);
}

/* A page from the beginning: what was in it is deleted before the next. `versions` is taken back where the store has none. */
static int list(struct aws_session *session, const char *bucket, bool *versions, const char *what, struct arena *arena, struct aws_reply *ret, struct error *err)
{
	const struct aws_pair with[] = { { "versions", NULL }, { "max-keys", "1000" } }, without[] = { { "list-type", "2" }, { "max-keys", "1000" } };
	for (;;) {
		struct aws_call call = { .method = "GET", .query = *versions ? with : without, .n_query = 2 };
		if (ask(session, bucket, &call, what, arena, ret, err) < 0)
			return -1;
		if (!*versions || ret->status != 501)
			return 0;
		*versions = false;
	}
}

static void append_escaped(struct buf *to, const char *text)
{
	for (; *text; text++) {
		if (strchr("&<>\"'", *text) || (unsigned char)*text < ' ')
			buf_printf(to, "&#%u;", (unsigned char)*text);
		else
			buf_append_char(to, *text);
	}
}

static void make_deletion(const struct s3_version *versions, size_t n, struct buf *ret)
{
	buf_append_str(ret, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < n; i++) {
		buf_append_str(ret, "<Object><Key>");
		append_escaped(ret, versions[i].key);
		buf_append_str(ret, "</Key>");
		if (*versions[i].version) {
			buf_append_str(ret, "<VersionId>");
			append_escaped(ret, versions[i].version);
			buf_append_str(ret, "</VersionId>");
		}
		buf_append_str(ret, "</Object>");
	}
	buf_append_str(ret, "</Delete>");
}

static int delete_page(struct aws_session *session, const char *bucket, const struct s3_version *versions, size_t n, const char *what, struct arena *arena,
	struct error *err)
{
	_cleanup_buf_ struct buf body = { 0 };
	make_deletion(versions, n, &body);
	unsigned char md5[EVP_MAX_MD_SIZE];
	char base64[32];
	unsigned length;
	if (!EVP_Digest(body.ptr, body.len, md5, &length, EVP_md5(), NULL))
		return error_set(err, 0, "cannot %s: S3 wants an MD5 sum, and OpenSSL makes none here", what);
	EVP_EncodeBlock((unsigned char *)base64, md5, (int)length);
	const struct aws_pair query = { "delete", NULL }, headers[] = { { "Content-Type", "application/xml" }, { "Content-MD5", base64 } };
	struct aws_call call = { .method = "POST", .query = &query, .n_query = 1, .headers = headers, .n_headers = 2, .body = buf_slice(&body) };
	struct aws_reply reply;
	struct s3_undeleted undeleted;
	if (ask(session, bucket, &call, what, arena, &reply, err) < 0)
		return -1;
	if (!aws_succeeded(&reply))
		return aws_refused(&reply, "s3:DeleteObject", what, err);
	int rc = s3_read_deleted(reply.body, arena, &undeleted, err);
	if (rc == 0)
		return 0;
	if (rc < 0)
		return error_wrap(err, "cannot %s", what);
	what = arena_printf(arena, "%s: %zu of %zu objects stay, the first of them %s", what, undeleted.n, n, undeleted.key);
	reply = (struct aws_reply){ .status = strcmp(undeleted.code, "AccessDenied") == 0 ? 403 : strcmp(undeleted.code, "InternalError") == 0 ? 500 : 400,
		.code = undeleted.code, .message = undeleted.message, .region = "" };
	return aws_refused(&reply, "s3:DeleteObject and s3:DeleteObjectVersion", what, err);
}

int s3_empty(struct aws_session *session, const char *bucket, s3_emptied_fn *fn, void *ctx, struct error *err)
{
	_cleanup_buf_ struct buf last = { 0 }; /* the page before began with this */
	bool with_versions = true;
	uint64_t deleted = 0;
	unsigned repeats = 0;
	for (;;) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		const char *what = arena_printf(&arena, "empty the bucket %s", bucket);
		struct aws_reply reply;
		struct s3_version *versions;
		size_t n;
		if (list(session, bucket, &with_versions, what, &arena, &reply, err) < 0)
			return -1;
		if (strcmp(reply.code, "NoSuchBucket") == 0)
			return S3_BUCKET_ABSENT;
		if (!aws_succeeded(&reply))
			return aws_refused(&reply, with_versions ? "s3:ListBucketVersions" : "s3:ListBucket", what, err);
		if (s3_read_versions(reply.body, &arena, &versions, &n, err) < 0)
			return error_wrap(err, "cannot %s", what);
		if (n == 0)
			return 0;
		/* Somebody may write the same again meanwhile, but not always. */
		const char *first = arena_printf(&arena, "%s\n%s", versions->key, versions->version);
		repeats = strcmp(first, buf_str(&last)) == 0 ? repeats + 1 : 0;
		if (repeats == REPEATS_MAX)
			return error_say(err, EBADMSG, "cannot %s: what was deleted is still there, or written again: see that no build uses it", what);
		buf_reset(&last);
		buf_append_str(&last, first);
		if (delete_page(session, bucket, versions, n < PAGE ? n : PAGE, what, &arena, err) < 0)
			return -1;
		deleted += n < PAGE ? n : PAGE;
		if (fn)
			fn(ctx, deleted);
	}
}
