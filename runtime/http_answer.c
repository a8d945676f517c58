#include "runtime/http_answer.h"

#include <strings.h>

void http_answer_deinit(struct http_answer *answer)
{
	buf_deinit(&answer->chunks);
}

/* The next line of `from`, without its end; false: it has none yet. */
static bool take_line(struct slice *from, struct slice *ret)
{
	const char *end = from->len > 0 ? memchr(from->ptr, '\n', from->len) : NULL;
	if (!end)
		return false;
	size_t n = (size_t)(end - from->ptr);
	*ret = slice_of(from->ptr, n > 0 && from->ptr[n - 1] == '\r' ? n - 1 : n);
	from->ptr += n + 1;
	from->len -= n + 1;
	return true;
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool http_answer_header(const struct http_answer *answer, const char *name, struct slice *ret)
{
	size_t n = strlen(name);
	struct slice rest = answer->head, line;
	while (take_line(&rest, &line)) {
		if (line.len > n && line.ptr[n] == ':' && strncasecmp(line.ptr, name, n) == 0) {
			*ret = trim(slice_of(line.ptr + n + 1, line.len - n - 1));
			return true;
		}
	}
	return false;
}

static bool says(const struct http_answer *answer, const char *name, const char *word)
{
	struct slice value;
	return http_answer_header(answer, name, &value) && value.len == strlen(word) &&
	       strncasecmp(value.ptr, word, value.len) == 0;
}

/* A number below 2^32 in base 10 or 16, all of `s`. */
static bool parse_number(struct slice s, unsigned base, size_t *ret)
{
	size_t n = 0;
	if (s.len == 0 || s.len > 9)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 16;
		if (digit >= base)
			return false;
		n = n * base + digit;
	}
	*ret = n;
	return true;
}

static int too_large(struct error *err)
{
	return error_set(err, EFBIG, "an answer is too large");
}

/* The head: status line, header, empty line. Takes it off `from`. */
static int take_head(struct slice *from, struct http_answer *ret, struct error *err)
{
	struct slice rest = *from, line;
	if (!take_line(&rest, &line))
		goto more;
	if (line.len < 12 || !slice_has_prefix(line, "HTTP/1.") || line.ptr[8] != ' ')
		return error_set(err, EPROTO, "an answer is no HTTP/1.1");
	size_t status;
	if (!parse_number(slice_of(line.ptr + 9, 3), 10, &status) || status < 100 ||
		(line.len > 12 && line.ptr[12] != ' '))
		return error_set(err, EPROTO, "an answer has a malformed status");
	bool old = line.ptr[7] == '0';
	const char *head = rest.ptr;
	for (;;) {
		const char *at = rest.ptr;
		if (!take_line(&rest, &line))
			goto more;
		if (line.len == 0) {
			*ret = (struct http_answer){ .status = (int)status,
				.head = slice_of(head, (size_t)(at - head)) };
			break;
		}
		if (!memchr(line.ptr, ':', line.len))
			return error_set(err, EPROTO, "an answer has a malformed header");
	}
	if ((size_t)(rest.ptr - from->ptr) > HTTP_ANSWER_HEAD_LIMIT)
		return too_large(err);
	ret->last = old || says(ret, "connection", "close");
	*from = rest;
	return 0;
more:
	return from->len > HTTP_ANSWER_HEAD_LIMIT ? too_large(err) : HTTP_ANSWER_MORE;
}

/* Chunks, the trailer included. Takes them off `from`. */
static int take_chunks(struct slice *from, struct buf *ret, struct error *err)
{
	struct slice line;
	for (;;) {
		struct slice rest = *from;
		size_t n;
		if (!take_line(&rest, &line))
			return from->len > HTTP_ANSWER_HEAD_LIMIT ? too_large(err) : HTTP_ANSWER_MORE;
		const char *extension = memchr(line.ptr, ';', line.len);
		if (!parse_number(
			    trim(slice_of(line.ptr, extension ? (size_t)(extension - line.ptr) : line.len)), 16, &n))
			return error_set(err, EPROTO, "an answer has a malformed chunk");
		if (n == 0) {
			*from = rest;
			break;
		}
		if (n > HTTP_ANSWER_BODY_LIMIT - ret->len)
			return too_large(err);
		if (rest.len < n + 2) /* a bare newline's end comes with what follows it, which there always is */
			return HTTP_ANSWER_MORE;
		buf_append(ret, rest.ptr, n);
		rest.ptr += n;
		rest.len -= n;
		if (!take_line(&rest, &line) || line.len > 0)
			return error_set(err, EPROTO, "an answer has a malformed chunk");
		*from = rest;
	}
	struct slice rest = *from;
	do
		if (!take_line(&rest, &line))
			return from->len > HTTP_ANSWER_HEAD_LIMIT ? too_large(err) : HTTP_ANSWER_MORE;
	while (line.len > 0);
	*from = rest;
	return 0;
}

static int take_body(struct slice *from, bool ended, struct http_answer *ret, struct error *err)
{
	struct slice value;
	if (ret->status == 204 || ret->status == 304)
		return 0;
	if (http_answer_header(ret, "transfer-encoding", &value)) {
		if (!says(ret, "transfer-encoding", "chunked"))
			return error_set(err, EPROTO, "an answer has an encoding that wasn't asked for");
		_cleanup_buf_ struct buf chunks = { 0 };
		int outcome = take_chunks(from, &chunks, err);
		if (outcome != 0)
			return outcome;
		ret->chunks = chunks;
		ret->body = buf_slice(&chunks);
		chunks = (struct buf){ 0 };
		return 0;
	}
	size_t n;
	if (!http_answer_header(ret, "content-length", &value)) {
		ret->last = true;
		n = from->len;
		if (n > HTTP_ANSWER_BODY_LIMIT)
			return too_large(err);
		if (!ended)
			return HTTP_ANSWER_MORE;
	} else if (!parse_number(value, 10, &n)) {
		return error_set(err, EPROTO, "an answer has a malformed length");
	} else if (n > HTTP_ANSWER_BODY_LIMIT) {
		return too_large(err);
	}
	if (from->len < n)
		return HTTP_ANSWER_MORE;
	ret->body = slice_of(from->ptr, n);
	from->ptr += n;
	from->len -= n;
	return 0;
}

int http_answer_parse(struct slice bytes, bool ended, struct http_answer *ret, struct error *err)
{
	struct slice rest = bytes;
	struct http_answer answer;
	int outcome;
	do
		outcome = take_head(&rest, &answer, err);
	while (outcome == 0 && answer.status < 200);
	if (outcome == 0)
		outcome = take_body(&rest, ended, &answer, err);
	if (outcome == HTTP_ANSWER_MORE && ended)
		return error_set(err, ECONNRESET, "an answer is cut off");
	if (outcome == 0) {
		answer.length = bytes.len - rest.len;
		*ret = answer;
	}
	return outcome;
}
