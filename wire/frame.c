#include "wire/frame.h"

#include <assert.h>
#include <endian.h>

/* Encoding: open a frame, append fields, close it by writing its length into the header. */

static void put_u16(struct buf *to, uint16_t v)
{
	v = htole16(v);
	buf_append(to, &v, sizeof(v));
}

static void put_u32(struct buf *to, uint32_t v)
{
	v = htole32(v);
	buf_append(to, &v, sizeof(v));
}

static void put_u64(struct buf *to, uint64_t v)
{
	v = htole64(v);
	buf_append(to, &v, sizeof(v));
}

static void put_blob(struct buf *to, struct slice s)
{
	assert(s.len <= FRAME_PAYLOAD_LIMIT);
	put_u32(to, (uint32_t)s.len);
	buf_append_slice(to, s);
}

/* NULL travels as "". */
static void put_string(struct buf *to, const char *s)
{
	put_blob(to, slice_str(s));
}

static void put_strings(struct buf *to, const struct frame_strings *strings)
{
	put_u32(to, (uint32_t)strings->n);
	for (size_t i = 0; i < strings->n; i++)
		put_string(to, strings->v[i]);
}

static size_t frame_open(struct buf *to, enum frame_type type)
{
	size_t start = to->len;
	put_u32(to, FRAME_MAGIC);
	put_u16(to, FRAME_VERSION);
	put_u16(to, (uint16_t)type);
	put_u32(to, 0);
	return start;
}

static void frame_close(struct buf *to, size_t start)
{
	size_t payload = to->len - start - FRAME_HEADER_BYTES;
	assert(payload <= FRAME_PAYLOAD_LIMIT);
	uint32_t v = htole32((uint32_t)payload);
	memcpy(to->ptr + start + FRAME_HEADER_BYTES - sizeof(v), &v, sizeof(v));
}

static void put_request_fields(struct buf *to, const struct frame_request *request)
{
	put_string(to, request->compiler);
	put_string(to, request->cwd);
	put_strings(to, &request->argv);
	put_strings(to, &request->env);
	put_u32(to, request->umask);
	put_u32(to, request->stdio);
	put_u32(to, request->columns);
	put_u32(to, request->rows);
	put_u64(to, request->root_dev);
	put_u64(to, request->root_ino);
	put_u64(to, request->mount_ns);
}

void frame_put_request(struct buf *to, const struct frame_request *request)
{
	size_t start = frame_open(to, FRAME_REQUEST);
	put_request_fields(to, request);
	frame_close(to, start);
}

void frame_put_done(struct buf *to, const struct frame_done *done)
{
	size_t start = frame_open(to, FRAME_DONE);
	put_u32(to, done->exit_code);
	put_string(to, done->decision);
	put_blob(to, done->out);
	put_blob(to, done->err);
	put_u32(to, (uint32_t)done->n_renames);
	for (size_t i = 0; i < done->n_renames; i++) {
		put_string(to, done->renames[i].temporary);
		put_string(to, done->renames[i].target);
	}
	frame_close(to, start);
}

void frame_put_local(struct buf *to, const struct frame_local *local)
{
	size_t start = frame_open(to, FRAME_LOCAL);
	put_string(to, local->reason);
	frame_close(to, start);
}

void frame_put_committed(struct buf *to)
{
	frame_close(to, frame_open(to, FRAME_COMMITTED));
}

void frame_put_control(struct buf *to, const struct frame_control *control)
{
	size_t start = frame_open(to, FRAME_CONTROL);
	put_string(to, control->verb);
	put_strings(to, &control->args);
	put_u32(to, control->has_request);
	if (control->has_request)
		put_request_fields(to, &control->request);
	frame_close(to, start);
}

void frame_put_control_reply(struct buf *to, const struct frame_control_reply *reply)
{
	size_t start = frame_open(to, FRAME_CONTROL_REPLY);
	put_u32(to, reply->status);
	put_blob(to, reply->text);
	frame_close(to, start);
}

int frame_next(struct slice bytes, enum frame_type *type, struct slice *payload, size_t *used, struct error *err)
{
	if (bytes.len < FRAME_HEADER_BYTES)
		return FRAME_INCOMPLETE;
	uint32_t magic, length;
	uint16_t version, kind;
	memcpy(&magic, bytes.ptr, 4);
	memcpy(&version, bytes.ptr + 4, 2);
	memcpy(&kind, bytes.ptr + 6, 2);
	memcpy(&length, bytes.ptr + 8, 4);
	length = le32toh(length);
	if (le32toh(magic) != FRAME_MAGIC)
		return error_set(err, 0, "not a llama frame");
	if (le16toh(version) != FRAME_VERSION)
		return error_set(err, EPROTONOSUPPORT, "frame of protocol version %u, ours is %d", le16toh(version),
			FRAME_VERSION);
	if (le16toh(kind) < FRAME_REQUEST || le16toh(kind) > FRAME_CONTROL_REPLY)
		return error_set(err, 0, "frame of unknown type %u", le16toh(kind));
	if (length > FRAME_PAYLOAD_LIMIT)
		return error_set(err, EMSGSIZE, "frame of %u bytes", length);
	if (bytes.len - FRAME_HEADER_BYTES < length)
		return FRAME_INCOMPLETE;
	*type = (enum frame_type)le16toh(kind);
	*payload = slice_of(bytes.ptr + FRAME_HEADER_BYTES, length);
	*used = FRAME_HEADER_BYTES + (size_t)length;
	return 0;
}

/* Decoding: a cursor that remembers the first fault and yields empty values from then on, so that the code reads as the
 * list of fields that it is. `get_finish` tells. */
struct cursor {
	const char *at, *end;
	struct arena *arena;
	bool malformed;
};

static struct cursor cursor_of(struct slice payload, struct arena *arena)
{
	const char *at = payload.len ? payload.ptr : "";
	return (struct cursor){ at, at + payload.len, arena, false };
}

static size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static const char *get_bytes(struct cursor *c, size_t n)
{
	if (c->malformed || cursor_left(c) < n) {
		c->malformed = true;
		return NULL;
	}
	const char *at = c->at;
	c->at += n;
	return at;
}

static uint32_t get_u32(struct cursor *c)
{
	uint32_t v = 0;
	const char *at = get_bytes(c, sizeof(v));
	if (at)
		memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(struct cursor *c)
{
	uint64_t v = 0;
	const char *at = get_bytes(c, sizeof(v));
	if (at)
		memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

static struct slice get_blob(struct cursor *c)
{
	size_t n = get_u32(c);
	const char *at = get_bytes(c, n);
	return slice_of(at, at ? n : 0);
}

static const char *get_string(struct cursor *c)
{
	struct slice s = get_blob(c);
	if (s.len && memchr(s.ptr, '\0', s.len))
		c->malformed = true;
	return c->malformed || s.len == 0 ? "" : arena_strndup(c->arena, s.ptr, s.len);
}

/* How many elements follow, each of at least `element_bytes`: a count that the payload can't hold allocates nothing. */
static size_t get_count(struct cursor *c, size_t element_bytes)
{
	size_t n = get_u32(c);
	if (n > cursor_left(c) / element_bytes) {
		c->malformed = true;
		return 0;
	}
	return n;
}

static struct frame_strings get_strings(struct cursor *c)
{
	struct frame_strings strings = { NULL, get_count(c, sizeof(uint32_t)) };
	strings.v = arena_array(c->arena, const char *, strings.n + 1);
	for (size_t i = 0; i < strings.n; i++)
		strings.v[i] = get_string(c);
	return strings;
}

static int get_finish(const struct cursor *c, const char *what, struct error *err)
{
	if (c->malformed || c->at != c->end)
		return error_set(err, EBADMSG, "malformed %s frame", what);
	return 0;
}

static struct frame_request get_request_fields(struct cursor *c)
{
	struct frame_request request;
	request.compiler = get_string(c);
	request.cwd = get_string(c);
	request.argv = get_strings(c);
	request.env = get_strings(c);
	request.umask = get_u32(c);
	request.stdio = get_u32(c);
	request.columns = get_u32(c);
	request.rows = get_u32(c);
	request.root_dev = get_u64(c);
	request.root_ino = get_u64(c);
	request.mount_ns = get_u64(c);
	return request;
}

int frame_get_request(struct slice payload, struct arena *arena, struct frame_request *ret, struct error *err)
{
	struct cursor c = cursor_of(payload, arena);
	struct frame_request request = get_request_fields(&c);
	if (get_finish(&c, "request", err) < 0)
		return -1;
	*ret = request;
	return 0;
}

int frame_get_done(struct slice payload, struct arena *arena, struct frame_done *ret, struct error *err)
{
	struct cursor c = cursor_of(payload, arena);
	struct frame_done done;
	done.exit_code = get_u32(&c);
	done.decision = get_string(&c);
	done.out = get_blob(&c);
	done.err = get_blob(&c);
	done.n_renames = get_count(&c, 2 * sizeof(uint32_t));
	done.renames = arena_array(arena, struct frame_rename, done.n_renames);
	for (size_t i = 0; i < done.n_renames; i++) {
		done.renames[i].temporary = get_string(&c);
		done.renames[i].target = get_string(&c);
	}
	if (get_finish(&c, "done", err) < 0)
		return -1;
	*ret = done;
	return 0;
}

int frame_get_local(struct slice payload, struct arena *arena, struct frame_local *ret, struct error *err)
{
	struct cursor c = cursor_of(payload, arena);
	struct frame_local local = { get_string(&c) };
	if (get_finish(&c, "local", err) < 0)
		return -1;
	*ret = local;
	return 0;
}

int frame_get_control(struct slice payload, struct arena *arena, struct frame_control *ret, struct error *err)
{
	struct cursor c = cursor_of(payload, arena);
	struct frame_control control = { 0 };
	control.verb = get_string(&c);
	control.args = get_strings(&c);
	uint32_t has_request = get_u32(&c);
	if (has_request > 1)
		c.malformed = true;
	control.has_request = has_request == 1;
	if (control.has_request)
		control.request = get_request_fields(&c);
	if (get_finish(&c, "control", err) < 0)
		return -1;
	*ret = control;
	return 0;
}

int frame_get_control_reply(
	struct slice payload, struct arena *arena, struct frame_control_reply *ret, struct error *err)
{
	struct cursor c = cursor_of(payload, arena);
	struct frame_control_reply reply;
	reply.status = get_u32(&c);
	reply.text = get_blob(&c);
	if (get_finish(&c, "control reply", err) < 0)
		return -1;
	*ret = reply;
	return 0;
}

/* Names as they are, up to the "="; a final "*" stands for any rest. Sorted only for the reader. */
static const char *const env_names[] = {
	"AS_SECURE_LOG_FILE",
	"BINUTILS_ROOT",
	"CCC_*",
	"CC_LOG_*",
	"CC_PRINT_*",
	"CLANG_*",
	"CLICOLOR*",
	"COLORTERM",
	"COLUMNS",
	"COMPILER_PATH",
	"CPATH",
	"CPLUS_INCLUDE_PATH",
	"C_INCLUDE_PATH",
	"DEPENDENCIES_OUTPUT",
	"FORCE_CLANG_DIAGNOSTICS_CRASH",
	"GCC_*",
	"GCONV_PATH",
	"LANG",
	"LANGUAGE",
	"LC_*",
	"LD_*",
	"LIBRARY_PATH",
	"LLAMACC_*",
	"LLVM_OVERRIDE_PRODUCER",
	"LOCPATH",
	"MACOSX_DEPLOYMENT_TARGET",
	"NLSPATH",
	"NO_COLOR",
	"OBJCPLUS_INCLUDE_PATH",
	"OBJC_INCLUDE_PATH",
	"OUTPUT_CHARSET",
	"PATH",
	"PWD",
	"QA_OVERRIDE_GCC3_OPTIONS",
	"SDKROOT",
	"SOURCE_DATE_EPOCH",
	"SUNPRO_DEPENDENCIES",
	"TEMP",
	"TERM",
	"TERMINFO*",
	"TERM_URLS",
	"TMP",
	"TMPDIR",
	"TZ",
};

bool frame_env_matters(const char *assignment)
{
	size_t n = strcspn(assignment, "=");
	for (size_t i = 0; i < sizeof(env_names) / sizeof(env_names[0]); i++) {
		const char *name = env_names[i];
		size_t fixed = strlen(name);
		if (name[fixed - 1] == '*') {
			if (n >= fixed - 1 && memcmp(assignment, name, fixed - 1) == 0)
				return true;
		} else if (n == fixed && memcmp(assignment, name, n) == 0) {
			return true;
		}
	}
	return false;
}
