#include "aws/registry.h"

#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "aws/oci.h"
#include "base/cleanup.h"

enum {
	ATTEMPTS = 5,
	PAUSE_MS = 500, /* before the second attempt; then twice as much each time */
	TIMEOUT_MS = 60000,
	ANSWER_LIMIT = 1 << 20,
	WORDS_MAX = 300,
};

struct talk {
	struct aws_session *session;
	const struct registry *registry;
	struct http *http;
	struct arena arena;
	const char *authorization;
	registry_progress_fn *progress;
	void *ctx;
	int64_t sent_bytes, total_bytes; /* of blobs that are through; of all that have to */
	const char *blob;		 /* under way */
};

struct answer {
	int status; /* 0: none came, and `error` says why */
	const char *location, *digest; /* or NULL */
	struct aws_reply reply;	       /* for aws_refused */
	struct error error;
};

/* Texts. */

const char *registry_repository_of(const char *image_uri, struct arena *arena)
{
	const char *slash = strchr(image_uri, '/');
	if (!slash || slash == image_uri || !slash[1])
		return NULL;
	size_t n = strcspn(slash + 1, "@:");
	return n ? arena_strndup(arena, slash + 1, n) : NULL;
}

static const char *digest_text(const struct digest *digest, struct arena *arena)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	return arena_printf(arena, "sha256:%s", hex);
}

static const char *one_line(const char *s, struct arena *arena)
{
	char *line = arena_strndup(arena, s, strnlen(s, WORDS_MAX));
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return line;
}

void registry_read_error(struct slice body, struct arena *arena, const char **ret_code, const char **ret_message)
{
	json_auto_t *answer = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
	const json_t *first = json_array_get(json_object_get(answer, "errors"), 0);
	const char *code = json_string_value(json_object_get(first, "code")), *message = json_string_value(json_object_get(first, "message"));
	*ret_code = code ? one_line(code, arena) : "";
	*ret_message = message ? one_line(message, arena) : "";
}

/* Scheme and authority: how much of a URL they are; 0: it has none. */
static size_t origin_chars(const char *url)
{
	size_t scheme = strncasecmp(url, "https://", 8) == 0 ? 8 : strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
	size_t host = scheme ? strcspn(url + scheme, "/?#") : 0;
	return host ? scheme + host : 0;
}

int registry_resolve(const char *endpoint, const char *location, const struct digest *digest, struct arena *arena, const char **ret, bool *ret_own,
	struct error *err)
{
	for (const char *c = location; *c; c++)
		if (*c <= ' ' || *c > '~')
			return error_say(err, EBADMSG, "the registry wants the upload where no URL leads");
	size_t own = origin_chars(endpoint), theirs = origin_chars(location), n = strcspn(location, "#");
	bool absolute = theirs > 0;
	if (!absolute && (*location != '/' || location[1] == '/'))
		return error_say(err, EBADMSG, "the registry wants the upload where no URL leads");
	if (absolute && strncasecmp(endpoint, "https:", 6) == 0 && strncasecmp(location, "https:", 6) != 0)
		return error_say(err, EBADMSG, "the registry wants the upload in the clear");
	*ret_own = !absolute || (own == theirs && strncasecmp(endpoint, location, own) == 0);
	*ret = arena_printf(arena, "%.*s%.*s%cdigest=%s", absolute ? 0 : (int)own, endpoint, (int)n, location, memchr(location, '?', n) ? '&' : '?',
		digest_text(digest, arena));
	return 0;
}

/* Asking. */

struct asking {
	uv_loop_t *loop;
	struct arena *arena;
	struct answer *answer;
	bool done;
};

static void on_answer(void *ctx, struct http_response *response, bool sent, const struct error *err)
{
	struct asking *asking = ctx;
	struct answer *answer = asking->answer;
	asking->done = true;
	uv_stop(asking->loop);
	if (!response) {
		answer->error = *err;
		return;
	}
	const char *location = http_header(response, "location"), *digest = http_header(response, "docker-content-digest");
	answer->status = answer->reply.status = response->status;
	answer->location = location ? arena_strdup(asking->arena, location) : NULL;
	answer->digest = digest ? arena_strdup(asking->arena, digest) : NULL;
	registry_read_error(buf_slice(&response->body), asking->arena, &answer->reply.code, &answer->reply.message);
}

/* One attempt. */
static void ask(struct talk *talk, struct http_request *request, const struct aws_pair *header, bool own, struct answer *ret)
{
	struct asking asking = { .loop = &talk->session->loop, .arena = &talk->arena, .answer = ret };
	struct aws_pair headers[2];
	size_t n = 0;
	if (own)
		headers[n++] = (struct aws_pair){ "Authorization", talk->authorization };
	if (header)
		headers[n++] = *header;
	request->headers = headers;
	request->n_headers = n;
	request->timeout_ms = TIMEOUT_MS + (request->file ? request->file->size_bytes / HTTP_SLOWEST_BYTES_PER_MS : 0);
	request->response_limit = ANSWER_LIMIT;
	*ret = (struct answer){ .reply = { .code = "", .message = "", .region = "" } };
	http_start(talk->http, request, on_answer, &asking);
	while (!asking.done)
		uv_run(&talk->session->loop, UV_RUN_DEFAULT);
}

/* Whether another attempt may end otherwise. */
static bool is_passing(const struct answer *answer)
{
	int status = answer->status, code = answer->error.code;
	if (!status)
		return code != EPROTO && code != EINVAL && code != EMSGSIZE && code != ESTALE;
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static void wait_for(struct talk *talk, unsigned attempt)
{
	aws_wait(talk->session, (int64_t)PAUSE_MS << attempt);
}

static void ask_often(struct talk *talk, struct http_request *request, const struct aws_pair *header, struct answer *ret)
{
	for (unsigned attempt = 0;; attempt++) {
		ask(talk, request, header, true, ret);
		if (!is_passing(ret) || attempt + 1 == ATTEMPTS)
			return;
		wait_for(talk, attempt);
	}
}

static int refuse(const struct talk *talk, const struct answer *answer, const char *action, const char *what, struct error *err)
{
	const char *message = answer->reply.message;
	if (!answer->status) {
		if (err)
			*err = answer->error;
		return error_wrap(err, "cannot %s", what);
	}
	if ((answer->status == 401 || answer->status == 403) && strstr(message, "expired"))
		return error_say(err, EACCES, "cannot %s: the registry's token has expired: run this again. It says: %s", what, message);
	return aws_refused(&answer->reply, action, what, err);
}

static const char *url_of(struct talk *talk, const char *rest, const char *name)
{
	return arena_printf(&talk->arena, "%s/v2/%s/%s%s", talk->registry->endpoint, talk->registry->repository, rest, name);
}

/* A blob. */

/* 1: it is there, 0: it isn't. */
static int has(struct talk *talk, const char *url, const struct aws_pair *accept, const char *action, const char *what, struct error *err)
{
	struct answer answer;
	struct http_request request = { .method = "HEAD", .url = url };
	ask_often(talk, &request, accept, &answer);
	if (answer.status == 404)
		return 0;
	/* A registry may say where a blob is to be had: then it is. */
	return answer.status == 200 || answer.status == 307 ? 1 : refuse(talk, &answer, action, what, err);
}

static int has_blob(struct talk *talk, const char *blob, struct error *err)
{
	return has(talk, url_of(talk, "blobs/", blob), NULL, "ecr:BatchCheckLayerAvailability", arena_printf(&talk->arena, "ask the registry for %s", blob), err);
}

static void on_sent(void *ctx, int64_t bytes)
{
	struct talk *talk = ctx;
	if (talk->progress)
		talk->progress(talk->ctx, talk->blob, talk->sent_bytes + bytes, talk->total_bytes);
}

enum { AGAIN = 1 };

/* 0: sent. AGAIN: something that may pass came in between, and `err` is it. */
static int try_upload(struct talk *talk, const struct http_file *file, const struct digest *digest, struct error *err)
{
	struct answer answer;
	const char *what = arena_printf(&talk->arena, "push %s to the repository %s", talk->blob, talk->registry->repository), *url;
	struct http_request begin = { .method = "POST", .url = url_of(talk, "blobs/uploads/", "") };
	ask_often(talk, &begin, NULL, &answer);
	if (answer.status != 202)
		return refuse(talk, &answer, "ecr:InitiateLayerUpload", what, err);
	bool own;
	if (!answer.location)
		return error_say(err, EBADMSG, "cannot %s: the registry doesn't say where to", what);
	if (registry_resolve(talk->registry->endpoint, answer.location, digest, &talk->arena, &url, &own, err) < 0)
		return error_wrap(err, "cannot %s", what);
	struct http_request put = { .method = "PUT", .url = url, .file = file };
	ask(talk, &put, &(struct aws_pair){ "Content-Type", "application/octet-stream" }, own, &answer);
	if (answer.status == 201) {
		if (answer.digest && strcmp(answer.digest, talk->blob) != 0)
			return error_say(err, EBADMSG, "cannot %s: the registry has kept it as %.80s", what, answer.digest);
		return 0;
	}
	/* Not found, or out of its range, is an upload that the registry has forgotten. */
	bool again = is_passing(&answer) || answer.status == 404 || answer.status == 416;
	refuse(talk, &answer, "ecr:CompleteLayerUpload, or ecr:UploadLayerPart", what, err);
	return again ? AGAIN : -1;
}

static int upload(struct talk *talk, const char *dir, const struct digest *digest, struct error *err)
{
	const char *path = oci_blob_path(dir, digest, &talk->arena);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "%s", path);
	const struct http_file file = { .fd = fd, .size_bytes = digest->size_bytes, .sent = on_sent, .ctx = talk };
	for (unsigned attempt = 0;; attempt++) {
		int rc = try_upload(talk, &file, digest, err);
		if (rc != AGAIN)
			return rc;
		if (attempt + 1 == ATTEMPTS)
			return error_wrap(err, "%d attempts, and no end", ATTEMPTS);
		wait_for(talk, attempt);
		/* The answer alone may have been lost. */
		rc = has_blob(talk, talk->blob, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
}

static int push_blobs(struct talk *talk, const char *dir, const struct oci_contents *contents, struct registry_pushed *ret, struct error *err)
{
	bool *missing = arena_array(&talk->arena, bool, contents->n_blobs);
	for (size_t i = 0; i < contents->n_blobs; i++) {
		int there = has_blob(talk, digest_text(&contents->blobs[i], &talk->arena), err);
		if (there < 0)
			return -1;
		missing[i] = !there;
		ret->blobs_there += (unsigned)there;
		talk->total_bytes += there ? 0 : contents->blobs[i].size_bytes;
	}
	for (size_t i = 0; i < contents->n_blobs; i++) {
		if (!missing[i])
			continue;
		talk->blob = digest_text(&contents->blobs[i], &talk->arena);
		if (upload(talk, dir, &contents->blobs[i], err) < 0)
			return -1;
		talk->sent_bytes += contents->blobs[i].size_bytes;
		ret->blobs_sent++;
	}
	ret->bytes_sent = talk->sent_bytes;
	return 0;
}

static int push_manifest(struct talk *talk, const struct oci_contents *contents, const char *tag, struct error *err)
{
	struct answer answer;
	const char *digest = digest_text(&contents->manifest, &talk->arena);
	const char *what = arena_printf(&talk->arena, "push the manifest %s to the repository %s", digest, talk->registry->repository);
	const struct aws_pair type = { "Content-Type", contents->manifest_type };
	struct http_request request = { .method = "PUT", .url = url_of(talk, "manifests/", tag ? tag : digest), .body = contents->manifest_bytes };
	ask_often(talk, &request, &type, &answer);
	if (answer.status != 201)
		return refuse(talk, &answer, "ecr:PutImage", what, err);
	if (!answer.digest || strcmp(answer.digest, digest) != 0)
		return error_say(err, EBADMSG, "cannot %s: the registry has kept it as %.80s", what, answer.digest ? answer.digest : "something it doesn't name");
	return 0;
}

/* The connection. */

static int begin(struct aws_session *session, const struct registry *registry, struct talk *ret, struct error *err)
{
	*ret = (struct talk){ .session = session, .registry = registry, .arena = ARENA_INIT };
	ret->http = http_new(&session->loop, &(struct http_options){ .ca_bundle = session->config.ca_bundle }, err);
	if (!ret->http)
		return -1;
	const char *plain = arena_printf(&ret->arena, "%s:%s", registry->user, registry->password);
	size_t n = strlen(plain);
	char *base64 = arena_alloc(&ret->arena, (n + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)plain, (int)n);
	ret->authorization = arena_printf(&ret->arena, "Basic %s", base64);
	return 0;
}

static void end(struct talk *talk)
{
	http_free(talk->http);
	arena_deinit(&talk->arena);
}
#define _cleanup_talk_ __attribute__((cleanup(end)))

int registry_push(struct aws_session *session, const struct registry *registry, const char *layout_dir, const char *tag, registry_progress_fn *fn, void *ctx,
	struct registry_pushed *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_talk_ struct talk talk = { 0 };
	struct oci_contents contents;
	struct registry_pushed pushed = { 0 };
	if (oci_read(layout_dir, &arena, &contents, err) < 0 || begin(session, registry, &talk, err) < 0)
		return -1;
	talk.progress = fn;
	talk.ctx = ctx;
	if (push_blobs(&talk, layout_dir, &contents, &pushed, err) < 0 || push_manifest(&talk, &contents, tag, err) < 0)
		return -1;
	pushed.manifest = contents.manifest;
	*ret = pushed;
	return 0;
}

int registry_has(struct aws_session *session, const struct registry *registry, const struct digest *manifest, bool *ret, struct error *err)
{
	static const struct aws_pair accept = { "Accept", OCI_MANIFEST_TYPE ", " OCI_DOCKER_TYPE };
	_cleanup_talk_ struct talk talk = { 0 };
	if (begin(session, registry, &talk, err) < 0)
		return -1;
	const char *digest = digest_text(manifest, &talk.arena);
	int there = has(&talk, url_of(&talk, "manifests/", digest), &accept, "ecr:BatchGetImage",
		arena_printf(&talk.arena, "ask the repository %s for the image %s", registry->repository, digest), err);
	if (there < 0)
		return -1;
	*ret = there == 1;
	return 0;
}
