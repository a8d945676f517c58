#include "aws/sign.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "store/digest.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

/* Belong to one hop or are changed on the way: sent, never signed. The list is botocore's. */
static const char *const unsigned_headers[] = { "connection", "expect", "keep-alive", "proxy-authenticate",
	"proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id" };

/* What both ways of signing need. */
struct signing {
	const struct sign_request *request;
	const struct aws_keys *keys;
	struct arena *arena;
	const char *date;  /* "20130524T000000Z" */
	const char *scope; /* "20130524/us-east-1/s3/aws4_request" */
	bool s3;
};

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

static void append_encoded(struct buf *ret, const char *s, bool keep_slashes)
{
	for (; *s; s++) {
		if (is_unreserved(*s) || (*s == '/' && keep_slashes))
			buf_append_char(ret, *s);
		else
			buf_printf(ret, "%%%02X", (unsigned char)*s);
	}
}

/* As RFC 3986 removes dot segments, and double slashes with them; `..` of the root is the root. */
static const char *normalise(const char *path, struct arena *arena)
{
	_cleanup_buf_ struct buf out = { 0 };
	const char *at = path;
	while (*at) {
		size_t n = strcspn(at, "/");
		struct slice part = slice_of(at, n);
		if (slice_equal_str(part, "..")) {
			while (out.len && out.ptr[--out.len] != '/')
				;
		} else if (n && !slice_equal_str(part, ".")) {
			buf_append_char(&out, '/');
			buf_append_slice(&out, part);
		}
		at += n;
		at += *at == '/';
	}
	if (out.len == 0 || (path[0] && path[strlen(path) - 1] == '/'))
		buf_append_char(&out, '/');
	return arena_strndup(arena, out.ptr, out.len);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct aws_pair *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);
	return by_name ? by_name : strcmp(x->value, y->value);
}

/* Sorted after encoding, as the signature demands: a byte above "~" is encoded, and then lies before the letters. */
static const char *canonical_query(const struct aws_pair *query, size_t n, struct arena *arena)
{
	struct aws_pair *pairs = arena_array(arena, struct aws_pair, n);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf name = { 0 }, value = { 0 };
		append_encoded(&name, query[i].name, false);
		append_encoded(&value, query[i].value ? query[i].value : "", false);
		pairs[i].name = arena_strdup(arena, buf_str(&name));
		pairs[i].value = arena_strdup(arena, buf_str(&value));
	}
	if (n)
		qsort(pairs, n, sizeof(*pairs), compare_pairs);
	_cleanup_buf_ struct buf out = { 0 };
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s%s=%s", i ? "&" : "", pairs[i].name, pairs[i].value);
	return arena_strdup(arena, buf_str(&out));
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void append_folded(struct buf *ret, const char *value)
{
	bool gap = false, begun = false;
	for (; *value; value++) {
		if (is_space(*value)) {
			gap = true;
			continue;
		}
		if (gap && begun)
			buf_append_char(ret, ' ');
		buf_append_char(ret, *value);
		gap = false;
		begun = true;
	}
}

struct header {
	const char *name; /* in lower case */
	const char *value;
	size_t position; /* equal names keep their order */
};

static int compare_headers(const void *a, const void *b)
{
	const struct header *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);
	return by_name ? by_name : (x->position > y->position) - (x->position < y->position);
}

static const char *lower(const char *s, struct arena *arena)
{
	char *copy = arena_strdup(arena, s);
	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

static bool is_signed_header(const char *name)
{
	for (size_t i = 0; i < sizeof(unsigned_headers) / sizeof(unsigned_headers[0]); i++)
		if (strcmp(name, unsigned_headers[i]) == 0)
			return false;
	return true;
}

/* "name:value\n" of each, and "name;name". */
static void canonical_headers(const struct signing *s, const struct aws_pair *headers, size_t n, const char **ret_block,
	const char **ret_names)
{
	struct header *list = arena_array(s->arena, struct header, n + 1);
	size_t used = 0;
	list[used++] = (struct header){ "host", s->request->host, 0 };
	for (size_t i = 0; i < n; i++) {
		const char *name = lower(headers[i].name, s->arena);
		if (is_signed_header(name))
			list[used++] = (struct header){ name, headers[i].value ? headers[i].value : "", i };
	}
	qsort(list, used, sizeof(*list), compare_headers);
	_cleanup_buf_ struct buf block = { 0 }, names = { 0 };
	for (size_t i = 0; i < used; i++) {
		bool again = i && strcmp(list[i].name, list[i - 1].name) == 0;
		if (again) {
			block.len--; /* the line's end */
			buf_append_char(&block, ',');
		} else {
			buf_printf(&block, "%s:", list[i].name);
			buf_printf(&names, "%s%s", i ? ";" : "", list[i].name);
		}
		append_folded(&block, list[i].value);
		buf_append_char(&block, '\n');
	}
	*ret_block = arena_strdup(s->arena, buf_str(&block));
	*ret_names = arena_strdup(s->arena, buf_str(&names));
}

static const char *hash_hex(struct slice bytes, struct arena *arena)
{
	struct digest digest = digest_of(bytes);
	char *hex = arena_alloc(arena, DIGEST_HEX_CHARS + 1);
	digest_hex(&digest, hex);
	return hex;
}

static void hmac(struct slice key, const char *message, uint8_t ret[DIGEST_HASH_BYTES])
{
	unsigned n = DIGEST_HASH_BYTES;
	assert(key.len <= INT32_MAX);
	if (!HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)message, strlen(message), ret, &n))
		abort(); /* a libcrypto without SHA-256 can't be worked with */
}

static const char *make_signature(const struct signing *s, const char *canonical_request)
{
	const char *to_sign = arena_printf(s->arena, ALGORITHM "\n%s\n%s\n%s", s->date, s->scope,
		hash_hex(slice_str(canonical_request), s->arena));
	_cleanup_buf_ struct buf secret = { 0 };
	buf_printf(&secret, "AWS4%s", s->keys->secret_key);
	struct digest a, b;
	hmac(buf_slice(&secret), arena_strndup(s->arena, s->date, 8), a.hash);
	hmac(digest_slice(&a), s->request->region, b.hash);
	hmac(digest_slice(&b), s->request->service, a.hash);
	hmac(digest_slice(&a), "aws4_request", b.hash);
	hmac(digest_slice(&b), to_sign, a.hash);
	OPENSSL_cleanse(secret.ptr, secret.len);
	OPENSSL_cleanse(&b, sizeof(b));
	char *hex = arena_alloc(s->arena, DIGEST_HEX_CHARS + 1);
	digest_hex(&a, hex);
	return hex;
}

static const char *make_canonical(const struct signing *s, const char *encoded_path, const char *query,
	const char *header_block, const char *header_names, const char *payload)
{
	_cleanup_buf_ struct buf path = { 0 };
	if (s->s3)
		buf_append_str(&path, encoded_path);
	else
		append_encoded(&path, normalise(encoded_path, s->arena), true);
	return arena_printf(s->arena, "%s\n%s\n%s\n%s\n%s\n%s", s->request->method, buf_str(&path), query, header_block,
		header_names, payload);
}

static struct signing begin(const struct sign_request *request, const struct aws_keys *keys, struct arena *arena)
{
	struct tm utc;
	time_t now = (time_t)request->now_s;
	char date[32];
	if (!gmtime_r(&now, &utc))
		gmtime_r(&(time_t){ 0 }, &utc); /* a year beyond int: refused by the server as any wrong clock is */
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &utc);
	return (struct signing){ .request = request,
		.keys = keys,
		.arena = arena,
		.date = arena_strdup(arena, date),
		.scope = arena_printf(arena, "%.8s/%s/%s/aws4_request", date, request->region, request->service),
		.s3 = strcmp(request->service, "s3") == 0 };
}

static const char *encode_path(const struct sign_request *request, struct arena *arena)
{
	_cleanup_buf_ struct buf path = { 0 };
	if (request->path[0] != '/')
		buf_append_char(&path, '/');
	append_encoded(&path, request->path, true);
	return arena_strdup(arena, buf_str(&path));
}

void sign(const struct sign_request *request, const struct aws_keys *keys, struct arena *arena,
	struct signed_request *ret)
{
	struct signing s = begin(request, keys, arena);
	const char *payload = request->unsigned_payload ? "UNSIGNED-PAYLOAD" : hash_hex(request->body, arena);

	struct aws_pair *headers = arena_array(arena, struct aws_pair, request->n_headers + 4);
	size_t n = request->n_headers;
	if (n)
		memcpy(headers, request->headers, n * sizeof(*headers));
	headers[n++] = (struct aws_pair){ "X-Amz-Date", s.date };
	if (keys->session_token)
		headers[n++] = (struct aws_pair){ "X-Amz-Security-Token", arena_strdup(arena, keys->session_token) };
	if (s.s3 || request->unsigned_payload)
		headers[n++] = (struct aws_pair){ "X-Amz-Content-Sha256", payload };

	const char *path = encode_path(request, arena), *block, *names;
	const char *query = canonical_query(request->query, request->n_query, arena);
	canonical_headers(&s, headers, n, &block, &names);
	const char *signature = make_signature(&s, make_canonical(&s, path, query, block, names, payload));
	headers[n++] = (struct aws_pair){ "Authorization",
		arena_printf(arena, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", keys->access_key,
			s.scope, names, signature) };
	*ret = (struct signed_request){ request->n_query ? arena_printf(arena, "%s?%s", path, query) : path, headers,
		n };
}

void sign_query(const struct sign_request *request, const struct aws_keys *keys, unsigned seconds, struct arena *arena,
	struct signed_request *ret)
{
	struct signing s = begin(request, keys, arena);
	const char *path = encode_path(request, arena), *block, *names;
	canonical_headers(&s, request->headers, request->n_headers, &block, &names);

	struct aws_pair *query = arena_array(arena, struct aws_pair, request->n_query + 6);
	size_t n = request->n_query;
	if (n)
		memcpy(query, request->query, n * sizeof(*query));
	query[n++] = (struct aws_pair){ "X-Amz-Algorithm", ALGORITHM };
	query[n++] = (struct aws_pair){ "X-Amz-Credential", arena_printf(arena, "%s/%s", keys->access_key, s.scope) };
	query[n++] = (struct aws_pair){ "X-Amz-Date", s.date };
	query[n++] = (struct aws_pair){ "X-Amz-Expires", arena_printf(arena, "%u", seconds) };
	query[n++] = (struct aws_pair){ "X-Amz-SignedHeaders", names };
	if (keys->session_token)
		query[n++] = (struct aws_pair){ "X-Amz-Security-Token", keys->session_token };

	/* Whoever uses an S3 URL brings a body that nobody knows yet. */
	const char *payload = s.s3 || request->unsigned_payload ? "UNSIGNED-PAYLOAD" : hash_hex(request->body, arena);
	const char *canonical = canonical_query(query, n, arena);
	const char *signature = make_signature(&s, make_canonical(&s, path, canonical, block, names, payload));
	*ret = (struct signed_request){ arena_printf(arena, "%s?%s&X-Amz-Signature=%s", path, canonical, signature),
		request->headers, request->n_headers };
}
