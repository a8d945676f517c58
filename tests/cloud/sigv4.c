#include "tests/cloud/sigv4.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "tests/cloud/chunked.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

struct hash {
	unsigned char bytes[32];
};

struct hex {
	char text[65];
};

/* What the request claims, from its Authorization header or its query. */
struct claim {
	bool in_query;
	char *access_key, *day, *region, *service;
	const char *credential; /* "day/region/service/aws4_request" */
	char *signed_headers;
	const char *signature;
	const char *time; /* 20130524T000000Z */
	const char *token;
	int64_t time_s, expires_s; /* expires_s: seconds of validity, query only */
};

static struct hash sha256(struct slice bytes)
{
	struct hash hash;
	if (EVP_Digest(bytes.len ? bytes.ptr : "", bytes.len, hash.bytes, NULL, EVP_sha256(), NULL) != 1)
		abort();
	return hash;
}

static struct hash hmac(const void *key, size_t key_length, struct slice bytes)
{
	struct hash hash;
	if (!HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)bytes.ptr, bytes.len, hash.bytes, NULL))
		abort();
	return hash;
}

static struct hex to_hex(struct hash hash)
{
	struct hex hex;
	for (size_t i = 0; i < sizeof hash.bytes; i++)
		sprintf(hex.text + 2 * i, "%02x", hash.bytes[i]);
	return hex;
}

static void encode(struct buf *to, const char *text, size_t n, bool keep_slash)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash))
			buf_append_char(to, (char)c);
		else
			buf_printf(to, "%%%02X", c);
	}
}

/* RFC 3986's remove_dot_segments, and no empty segments: what every service but S3 does. */
static void normalise(struct buf *path)
{
	_cleanup_buf_ struct buf out = { 0 };
	const char *at = buf_str(path);
	bool slash = true;
	while (*at) {
		at += strspn(at, "/");
		size_t n = strcspn(at, "/");
		slash = n == 0 || at[n] == '/' || (n <= 2 && at[0] == '.' && (n == 1 || at[1] == '.'));
		if (n == 2 && memcmp(at, "..", 2) == 0) {
			while (out.len > 0 && out.ptr[--out.len] != '/')
				;
		} else if (n > 0 && !(n == 1 && at[0] == '.')) {
			buf_append_char(&out, '/');
			buf_append(&out, at, n);
		}
		at += n;
	}
	if (slash || out.len == 0)
		buf_append_char(&out, '/');
	buf_reset(path);
	buf_append_slice(path, buf_slice(&out));
}

static int compare_pairs(const void *a, const void *b)
{
	const struct cloud_pair *x = a, *y = b;
	int r = strcmp(x->name, y->name);
	return r ? r : strcmp(x->value, y->value);
}

static char *encoded(struct arena *arena, const char *text)
{
	_cleanup_buf_ struct buf to = { 0 };
	encode(&to, text, strlen(text), false);
	return arena_strndup(arena, buf_str(&to), to.len);
}

static void append_query(const struct cloud_request *request, bool without_signature, struct buf *to)
{
	struct cloud_pair *pairs = arena_array(request->arena, struct cloud_pair, request->n_query + 1);
	size_t n = 0;
	for (size_t i = 0; i < request->n_query; i++) {
		if (without_signature && strcmp(request->query[i].name, "X-Amz-Signature") == 0)
			continue;
		/* Sorted by what is sent, which is the encoded name. */
		pairs[n++] = (struct cloud_pair){ encoded(request->arena, request->query[i].name),
			encoded(request->arena, request->query[i].value) };
	}
	qsort(pairs, n, sizeof *pairs, compare_pairs);
	for (size_t i = 0; i < n; i++)
		buf_printf(to, "%s%s=%s", i ? "&" : "", pairs[i].name, pairs[i].value);
}

/* All values of a header, in order, joined by commas, each trimmed and with runs of spaces made one. */
static void append_header(const struct cloud_request *request, const char *name, struct buf *to)
{
	buf_printf(to, "%s:", name);
	bool first = true;
	for (size_t i = 0; i < request->n_headers; i++) {
		if (strcmp(request->headers[i].name, name) != 0)
			continue;
		if (!first)
			buf_append_char(to, ',');
		first = false;
		const char *value = request->headers[i].value;
		value += strspn(value, " ");
		for (; *value; value++)
			if (*value != ' ' || (value[1] && value[1] != ' '))
				buf_append_char(to, *value);
	}
	buf_append_char(to, '\n');
}

static struct hash canonical_hash(
	const struct cloud_request *request, const struct claim *claim, const char *payload_hash)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_buf_ struct buf path = { 0 };
	buf_printf(&text, "%s\n", request->method);
	if (strcmp(claim->service, "s3") == 0) {
		buf_append_str(&path, request->path);
	} else {
		buf_append(&path, request->target, strcspn(request->target, "?"));
		normalise(&path);
	}
	encode(&text, path.ptr, path.len, true);
	buf_append_char(&text, '\n');
	append_query(request, claim->in_query, &text);
	buf_append_char(&text, '\n');
	char *names = arena_strdup(request->arena, claim->signed_headers), *rest = names;
	for (const char *name; (name = strsep(&rest, ";"));)
		append_header(request, name, &text);
	buf_printf(&text, "\n%s\n%s", claim->signed_headers, payload_hash);
	return sha256(buf_slice(&text));
}

static struct hash signing_key(const struct sigv4_key *key, const struct claim *claim)
{
	_cleanup_buf_ struct buf secret = { 0 };
	buf_printf(&secret, "AWS4%s", key->secret_key);
	struct hash hash = hmac(secret.ptr, secret.len, slice_str(claim->day));
	hash = hmac(hash.bytes, sizeof hash.bytes, slice_str(claim->region));
	hash = hmac(hash.bytes, sizeof hash.bytes, slice_str(claim->service));
	return hmac(hash.bytes, sizeof hash.bytes, slice_str("aws4_request"));
}

static bool signature_is(struct hash key, const struct buf *text, const char *signature)
{
	struct hex hex = to_hex(hmac(key.bytes, sizeof key.bytes, buf_slice(text)));
	return strlen(signature) == 64 && CRYPTO_memcmp(hex.text, signature, 64) == 0;
}

/* Seconds since 1970 of "20130524T000000Z", or -1. */
static int64_t parse_time(const char *text)
{
	struct tm tm = { 0 };
	if (strlen(text) != 16)
		return -1;
	const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
	return end && !*end ? (int64_t)timegm(&tm) : -1;
}

/* "AK/20130524/us-east-1/s3/aws4_request". */
static bool parse_credential(struct arena *arena, const char *text, struct claim *claim)
{
	/* From the end: an access key may be anything. */
	char *copy = arena_strdup(arena, text), *parts[4];
	for (size_t i = 4; i-- > 0;) {
		parts[i] = strrchr(copy, '/');
		if (!parts[i])
			return false;
		*parts[i]++ = '\0';
	}
	claim->access_key = copy;
	claim->day = parts[0];
	claim->region = parts[1];
	claim->service = parts[2];
	claim->credential = text + strlen(copy) + 1;
	return copy[0] && strlen(claim->day) == 8 && claim->region[0] && claim->service[0] &&
	       strcmp(parts[3], "aws4_request") == 0;
}

/* 0: there is no signature. -1: there is something that is none. 1: parsed. */
static int parse_claim(const struct cloud_request *request, struct claim *ret)
{
	*ret = (struct claim){ 0 };
	const char *authorization = cloud_header(request, "authorization");
	const char *algorithm = cloud_query(request, "X-Amz-Algorithm");
	const char *credential = NULL;
	if (!authorization && !algorithm)
		return 0;
	if (authorization && algorithm)
		return -1; /* S3: "Only one auth mechanism allowed" */
	if (algorithm) {
		ret->in_query = true;
		credential = cloud_query(request, "X-Amz-Credential");
		const char *names = cloud_query(request, "X-Amz-SignedHeaders");
		ret->signed_headers = names ? arena_strdup(request->arena, names) : NULL;
		ret->signature = cloud_query(request, "X-Amz-Signature");
		ret->time = cloud_query(request, "X-Amz-Date");
		ret->token = cloud_query(request, "X-Amz-Security-Token");
		const char *expires = cloud_query(request, "X-Amz-Expires");
		ret->expires_s = expires && expires[0] && strspn(expires, "0123456789") == strlen(expires) &&
						 strlen(expires) < 8
					 ? atoi(expires)
					 : -1;
		if (strcmp(algorithm, ALGORITHM) != 0 || ret->expires_s < 1 || ret->expires_s > 604800)
			return -1;
	} else {
		if (strncmp(authorization, ALGORITHM " ", sizeof ALGORITHM) != 0)
			return -1;
		char *rest = arena_strdup(request->arena, authorization + sizeof ALGORITHM);
		for (char *part; (part = strsep(&rest, ","));) {
			part += strspn(part, " ");
			char *value = strchr(part, '=');
			if (!value)
				return -1;
			*value++ = '\0';
			if (strcmp(part, "Credential") == 0)
				credential = value;
			else if (strcmp(part, "SignedHeaders") == 0)
				ret->signed_headers = value;
			else if (strcmp(part, "Signature") == 0)
				ret->signature = value;
			else
				return -1;
		}
		ret->time = cloud_header(request, "x-amz-date");
		ret->token = cloud_header(request, "x-amz-security-token");
	}
	if (!credential || !ret->signed_headers || !ret->signature || !ret->time ||
		!parse_credential(request->arena, credential, ret))
		return -1;
	ret->time_s = parse_time(ret->time);
	return ret->time_s >= 0 && strncmp(ret->time, ret->day, 8) == 0 ? 1 : -1;
}

const char *sigv4_service(const struct cloud_request *request)
{
	struct claim claim;
	return parse_claim(request, &claim) > 0 ? claim.service : NULL;
}

/* Sorted, in lower case, no doubles; with host and every x-amz-* header that was sent. NULL: as it must be; else what
 * is wrong. */
static const char *check_signed_headers(const struct cloud_request *request, const struct claim *claim)
{
	char *rest = arena_strdup(request->arena, claim->signed_headers);
	const char *before = "", *name;
	size_t n = 0;
	const char **names = arena_array(request->arena, const char *, strlen(rest) + 2);
	for (; (name = strsep(&rest, ";")); before = name) {
		if (strcmp(before, name) >= 0)
			return "SignedHeaders are not sorted";
		for (const char *p = name; *p; p++)
			if (isupper((unsigned char)*p))
				return "SignedHeaders are not in lower case";
		names[n++] = name;
	}
	for (size_t i = 0; i <= request->n_headers; i++) {
		const char *needed = i < request->n_headers ? request->headers[i].name : "host";
		if (strcmp(needed, "host") != 0 && strncmp(needed, "x-amz-", 6) != 0)
			continue;
		size_t j = 0;
		while (j < n && strcmp(names[j], needed) != 0)
			j++;
		if (j == n)
			return arena_printf(request->arena,
				"There were headers present in the request which were not signed: %s", needed);
	}
	return NULL;
}

enum verdict {
	UNSIGNED,
	MALFORMED,
	UNKNOWN_KEY,
	WRONG_TOKEN,
	EXPIRED_TOKEN,
	WRONG_SCOPE,
	SKEWED,
	EXPIRED_URL,
	UNSIGNED_HEADERS,
	WRONG_SIGNATURE,
	NO_PAYLOAD_HASH,
	WRONG_PAYLOAD_HASH,
	BAD_CHUNKS,
};

static int refuse(
	enum verdict verdict, const struct cloud_request *request, struct sigv4_refusal *ret, const char *detail)
{
	static const struct {
		int s3_status;
		const char *s3_code;
		int status;
		const char *code, *query_code, *message;
	} table[] = {
		[UNSIGNED] = { 403, "AccessDenied", 403, "MissingAuthenticationTokenException", "MissingAuthenticationToken",
			"Missing Authentication Token" },
		[MALFORMED] = { 400, "AuthorizationHeaderMalformed", 403, "IncompleteSignatureException", "IncompleteSignature",
			"The authorization is malformed." },
		[UNKNOWN_KEY] = { 403, "InvalidAccessKeyId", 403, "UnrecognizedClientException", "InvalidClientTokenId",
			"The security token included in the request is invalid." },
		[WRONG_TOKEN] = { 400, "InvalidToken", 403, "UnrecognizedClientException", "InvalidClientTokenId",
			"The security token included in the request is invalid." },
		[EXPIRED_TOKEN] = { 400, "ExpiredToken", 403, "ExpiredTokenException", "ExpiredToken",
			"The security token included in the request is expired" },
		[WRONG_SCOPE] = { 400, "AuthorizationHeaderMalformed", 403, "InvalidSignatureException", "SignatureDoesNotMatch",
			"Credential should be scoped to a valid region." },
		[SKEWED] = { 403, "RequestTimeTooSkewed", 403, "InvalidSignatureException", "SignatureDoesNotMatch",
			"The difference between the request time and the current time is too large: Signature expired "
			"or not yet current" },
		[EXPIRED_URL] = { 403, "AccessDenied", 403, "AccessDeniedException", "AccessDenied", "Request has expired" },
		[UNSIGNED_HEADERS] = { 403, "AccessDenied", 403, "InvalidSignatureException", "SignatureDoesNotMatch", "" },
		[WRONG_SIGNATURE] = { 403, "SignatureDoesNotMatch", 403, "InvalidSignatureException", "SignatureDoesNotMatch",
			"The request signature we calculated does not match the signature you provided. Check your AWS "
			"Secret Access Key and "
			"signing method." },
		[NO_PAYLOAD_HASH] = { 400, "MissingSecurityHeader", 403, "InvalidSignatureException", "SignatureDoesNotMatch",
			"x-amz-content-sha256 is missing or is none of those that the service takes" },
		[WRONG_PAYLOAD_HASH] = { 400, "XAmzContentSHA256Mismatch", 403, "InvalidSignatureException", "SignatureDoesNotMatch",
			"The provided 'x-amz-content-sha256' header does not match what was computed." },
		[BAD_CHUNKS] = { 403, "SignatureDoesNotMatch", 403, "InvalidSignatureException", "SignatureDoesNotMatch",
			"The body's chunks are not what was signed." },
	};
	const char *service = request->service ? request->service : "s3";
	bool s3 = strcmp(service, "s3") == 0;
	bool query = strcmp(service, "sts") == 0 || strcmp(service, "cloudformation") == 0;
	bool json = strcmp(service, "ecr") == 0 || strcmp(service, "logs") == 0;
	ret->status = s3 ? table[verdict].s3_status : json ? 400 : table[verdict].status;
	ret->code = s3 ? table[verdict].s3_code : query ? table[verdict].query_code : table[verdict].code;
	ret->message = detail ? detail : table[verdict].message;
	return SIGV4_REFUSED;
}

static bool is_hash(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* The body of `request`, in aws-chunked encoding, becomes what it encodes. False: it is not what was signed. `key`
 * NULL: the chunks are not signed. */
static bool open_chunks(struct cloud_request *request, const struct claim *claim, const struct hash *key, bool trailer)
{
	struct chunked chunked;
	if (chunked_parse(request->body, request->arena, &chunked, NULL) < 0 || (chunked.n_trailers > 0) != trailer)
		return false;
	const char *length = cloud_header(request, "x-amz-decoded-content-length");
	if (!length || strtoull(length, NULL, 10) != chunked.n_bytes)
		return false;
	const char *before = claim->signature;
	_cleanup_buf_ struct buf text = { 0 };
	struct hex nothing = to_hex(sha256(slice_of("", 0)));
	for (size_t i = 0; key && i < chunked.n; i++) {
		buf_reset(&text);
		buf_printf(&text, ALGORITHM "-PAYLOAD\n%s\n%s\n%s\n%s\n%s", claim->time, claim->credential, before,
			nothing.text, to_hex(sha256(chunked.chunks[i].bytes)).text);
		if (!chunked.chunks[i].signature || !signature_is(*key, &text, chunked.chunks[i].signature))
			return false;
		before = chunked.chunks[i].signature;
	}
	if (trailer) {
		_cleanup_buf_ struct buf lines = { 0 };
		const char *announced = cloud_header(request, "x-amz-trailer");
		struct cloud_pair *headers = arena_array(
			request->arena, struct cloud_pair, request->n_headers + chunked.n_trailers);
		memcpy(headers, request->headers, request->n_headers * sizeof *headers);
		for (size_t i = 0; i < chunked.n_trailers; i++) {
			buf_printf(&lines, "%s:%s\n", chunked.trailers[i].name, chunked.trailers[i].value);
			if (!announced || !strcasestr(announced, chunked.trailers[i].name))
				return false;
			headers[request->n_headers + i] = chunked.trailers[i];
		}
		request->headers = headers;
		request->n_headers += chunked.n_trailers;
		buf_reset(&text);
		buf_printf(&text, ALGORITHM "-TRAILER\n%s\n%s\n%s\n%s", claim->time, claim->credential, before,
			to_hex(sha256(buf_slice(&lines))).text);
		if (key && (!chunked.trailer_signature || !signature_is(*key, &text, chunked.trailer_signature)))
			return false;
	}
	char *body = arena_alloc(request->arena, chunked.n_bytes + 1);
	request->body = slice_of(body, chunked.n_bytes);
	for (size_t i = 0; i < chunked.n && chunked.chunks[i].bytes.len > 0; i++) {
		memcpy(body, chunked.chunks[i].bytes.ptr, chunked.chunks[i].bytes.len);
		body += chunked.chunks[i].bytes.len;
	}
	return true;
}

int sigv4_check(const struct sigv4_keys *keys, const char *region, int64_t now_s, struct cloud_request *request,
	struct sigv4_refusal *ret)
{
	struct claim claim;
	int r = parse_claim(request, &claim);
	if (r <= 0)
		return refuse(r == 0 ? UNSIGNED : MALFORMED, request, ret, NULL);
	bool s3 = strcmp(claim.service, "s3") == 0;

	const struct sigv4_key *key = NULL;
	for (size_t i = 0; i < keys->n && !key; i++)
		if (strcmp(keys->keys[i].access_key, claim.access_key) == 0)
			key = &keys->keys[i];
	if (!key)
		return refuse(UNKNOWN_KEY, request, ret, NULL);
	if (!key->session_token != !claim.token || (claim.token && strcmp(claim.token, key->session_token) != 0))
		return refuse(WRONG_TOKEN, request, ret, NULL);
	if (key->expires_s && key->expires_s <= now_s)
		return refuse(EXPIRED_TOKEN, request, ret, NULL);
	if (strcmp(claim.region, region) != 0)
		return refuse(WRONG_SCOPE, request, ret,
			arena_printf(request->arena,
				"The authorization header is malformed; the region '%s' is wrong; expecting '%s'",
				claim.region, region));
	int64_t tolerance_s = s3 ? 15 * 60 : 5 * 60;
	if (claim.time_s > now_s + tolerance_s || (!claim.in_query && claim.time_s < now_s - tolerance_s))
		return refuse(SKEWED, request, ret, NULL);
	if (claim.in_query && now_s > claim.time_s + claim.expires_s)
		return refuse(EXPIRED_URL, request, ret, NULL);
	const char *wrong = check_signed_headers(request, &claim);
	if (wrong)
		return refuse(UNSIGNED_HEADERS, request, ret, wrong);

	struct hex body_hash = to_hex(sha256(request->body));
	const char *payload = cloud_header(request, "x-amz-content-sha256");
	bool streaming = payload && strncmp(payload, "STREAMING-", 10) == 0;
	if (!payload) {
		if (s3 && !claim.in_query)
			return refuse(NO_PAYLOAD_HASH, request, ret, NULL);
		payload = s3 ? "UNSIGNED-PAYLOAD" : body_hash.text;
	}
	if (!is_hash(payload) && (!s3 || (strcmp(payload, "UNSIGNED-PAYLOAD") != 0 && !streaming)))
		return refuse(NO_PAYLOAD_HASH, request, ret, NULL);

	_cleanup_buf_ struct buf text = { 0 };
	buf_printf(&text, ALGORITHM "\n%s\n%s\n%s", claim.time, claim.credential,
		to_hex(canonical_hash(request, &claim, payload)).text);
	struct hash key_hash = signing_key(key, &claim);
	if (!signature_is(key_hash, &text, claim.signature))
		return refuse(WRONG_SIGNATURE, request, ret, NULL);
	/* Only now: who can't sign learns nothing else. */
	if (is_hash(payload) && strcmp(payload, body_hash.text) != 0)
		return refuse(WRONG_PAYLOAD_HASH, request, ret, NULL);
	if (streaming) {
		bool is_signed = strncmp(payload, "STREAMING-" ALGORITHM "-PAYLOAD", 34) == 0;
		const char *rest = payload + (is_signed ? 34 : strlen("STREAMING-UNSIGNED-PAYLOAD"));
		bool trailer = strcmp(rest, "-TRAILER") == 0;
		if ((!is_signed && strcmp(payload, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") != 0) || (*rest && !trailer))
			return refuse(NO_PAYLOAD_HASH, request, ret, NULL);
		if (!open_chunks(request, &claim, is_signed ? &key_hash : NULL, trailer))
			return refuse(BAD_CHUNKS, request, ret, NULL);
	}
	request->service = claim.service;
	request->region = claim.region;
	request->access_key = claim.access_key;
	return 0;
}
