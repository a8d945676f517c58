#include "worker/lookup_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/path.h"

/* What programs ask about themselves and about the machine, with no bearing on what they produce; that a compilation depends on the
 * processor (-march=native) is known from its options. Not the rest of /proc/self: its environ is another on each machine, and its cwd and root
 * lead everywhere. An entry that ends in a slash stands for all below it. */
static const char *const ambient[] = {
	"/dev/full",
	"/dev/null",
	"/dev/random",
	"/dev/tty",
	"/dev/urandom",
	"/dev/zero",
	"/proc/cpuinfo",
	"/proc/filesystems",
	"/proc/meminfo",
	"/proc/mounts",
	"/proc/self/auxv",
	"/proc/self/cgroup",
	"/proc/self/exe",
	"/proc/self/fd",
	"/proc/self/fd/",
	"/proc/self/limits",
	"/proc/self/maps",
	"/proc/self/mountinfo",
	"/proc/self/mounts",
	"/proc/self/smaps",
	"/proc/self/stat",
	"/proc/self/statm",
	"/proc/self/status",
	"/proc/stat",
	"/proc/sys/",
	"/proc/version",
	"/sys/devices/system/",
	"/sys/fs/cgroup/",
	"/sys/fs/selinux",
	"/sys/kernel/mm/",
	"/selinux",
};

/* What is known of one path. */
struct entry {
	const char *path;
	unsigned kinds; /* bit per lookup_kind */
	bool written;
};

struct reading {
	const struct lookup_log_filter *filter;
	struct arena *arena;
	struct map entries; /* by path */
	struct map outputs;
	struct buf path; /* squeezed, of the record at hand */
};

static void reading_deinit(struct reading *reading)
{
	map_deinit(&reading->entries);
	map_deinit(&reading->outputs);
	buf_deinit(&reading->path);
}

static bool is_ambient(const char *path)
{
	if (strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0 && strncmp(path, "/s", 2) != 0)
		return false;
	for (size_t i = 0; i < sizeof(ambient) / sizeof(ambient[0]); i++) {
		size_t n = strlen(ambient[i]);
		if (ambient[i][n - 1] == '/' ? strncmp(path, ambient[i], n) == 0 : strcmp(path, ambient[i]) == 0)
			return true;
	}
	return false;
}

static bool is_machinery(const char *path)
{
	return path_is_below(path, "/proc") || path_is_below(path, "/dev") || path_is_below(path, "/sys");
}

static enum lookup_kind kind_of_op(enum trace_op op)
{
	switch (op) {
	case TRACE_FOUND:
	case TRACE_LOADED:
		return LOOKUP_FILE;
	case TRACE_DIRECTORY:
		return LOOKUP_DIRECTORY;
	case TRACE_ABSENT:
		return LOOKUP_ABSENT;
	case TRACE_LISTED:
		return LOOKUP_LISTING;
	case TRACE_LINK:
		return LOOKUP_LINK;
	case TRACE_WRITTEN:
	case TRACE_SPECIAL:
	case TRACE_OPS:
		break;
	}
	return LOOKUP_SPECIAL;
}

/* As path_squeeze(), into the reading's buffer: there are thousands of records, most of them of paths seen before. */
static void squeeze(struct reading *reading, const char *path, size_t len)
{
	struct buf *to = &reading->path;
	buf_reset(to);
	for (const char *at = path, *end = path + len; at < end;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t n = slash ? (size_t)(slash - at) : (size_t)(end - at);
		if (n > 0 && !(n == 1 && at[0] == '.')) {
			buf_append_char(to, '/');
			buf_append(to, at, n);
		}
		at += n + 1;
	}
	if (to->len == 0)
		buf_append_char(to, '/');
}

static struct entry *entry_of(struct reading *reading)
{
	struct entry *entry = map_get(&reading->entries, buf_slice(&reading->path));
	if (!entry) {
		entry = arena_new(reading->arena, struct entry);
		entry->path = arena_strndup(reading->arena, reading->path.ptr, reading->path.len);
		map_put(&reading->entries, slice_of(entry->path, reading->path.len), entry);
	}
	return entry;
}

static void take_record(struct reading *reading, enum trace_op op, const char *path, size_t len)
{
	squeeze(reading, path, len);
	const char *squeezed = buf_str(&reading->path);
	const char *private_dir = reading->filter->private_dir, *interposer = reading->filter->interposer;
	if ((private_dir && path_is_below(squeezed, private_dir)) || is_ambient(squeezed) ||
		(interposer && strcmp(squeezed, interposer) == 0))
		return;
	bool output = map_get(&reading->outputs, buf_slice(&reading->path)) != NULL;
	if (op == TRACE_WRITTEN) {
		entry_of(reading)->written = true;
	} else if (!output) {
		struct entry *entry = entry_of(reading);
		bool special = is_machinery(squeezed) && op != TRACE_DIRECTORY && op != TRACE_ABSENT;
		if (!entry->written)
			entry->kinds |= 1u << (special ? LOOKUP_SPECIAL : kind_of_op(op));
	}
}

/* All records. `whole` becomes false when one of them was never finished: what follows it can no longer be found. */
static int take_records(
	struct reading *reading, struct slice mapping, uint32_t at, uint32_t end, bool *whole, struct error *err)
{
	*whole = true;
	while (at < end) {
		uint32_t word;
		memcpy(&word, mapping.ptr + at, sizeof(word));
		if (word == 0) {
			*whole = false;
			return 0;
		}
		uint32_t op = trace_word_op(word), len = trace_word_len(word);
		if (op == 0 || op >= TRACE_OPS || len == 0 || trace_record_size(len) > end - at)
			return error_set(err, 0, "look-up log is malformed at %u", at);
		const char *path = mapping.ptr + at + 4;
		if (path[0] != '/' || memchr(path, '\0', len))
			return error_set(err, 0, "look-up log has a malformed path at %u", at);
		take_record(reading, op, path, len);
		at += trace_record_size(len);
	}
	return 0;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The entries as the result's two lists. */
static void give(const struct reading *reading, struct lookup_log *ret)
{
	size_t n_lookups = 0, n_written = 0, at = 0;
	const struct map_entry *slot;
	while ((slot = map_next(&reading->entries, &at))) {
		const struct entry *entry = slot->value;
		n_lookups += (size_t)__builtin_popcount(entry->kinds);
		n_written += entry->written;
	}
	ret->lookups = (struct lookups){ arena_array(reading->arena, struct lookup, n_lookups + 1), 0 };
	ret->written = arena_array(reading->arena, const char *, n_written + 1);
	ret->n_written = 0;
	at = 0;
	while ((slot = map_next(&reading->entries, &at))) {
		const struct entry *entry = slot->value;
		for (enum lookup_kind kind = LOOKUP_ABSENT; kind <= LOOKUP_SPECIAL; kind++)
			if (entry->kinds & 1u << kind)
				ret->lookups.v[ret->lookups.n++] = (struct lookup){ .path = entry->path, .kind = kind };
		if (entry->written)
			ret->written[ret->n_written++] = entry->path;
	}
	lookups_sort(&ret->lookups);
	if (ret->n_written > 0)
		qsort(ret->written, ret->n_written, sizeof(*ret->written), compare_strings);
}

int lookup_log_parse(struct slice mapping, const struct lookup_log_filter *filter, struct arena *arena,
	struct lookup_log *ret, struct error *err)
{
	struct trace_header header;
	if (mapping.len < sizeof(header) || mapping.len > UINT32_MAX / 2)
		return error_set(err, 0, "look-up log has a wrong size");
	memcpy(&header, mapping.ptr, sizeof(header));
	if (header.magic != TRACE_MAGIC || header.size != mapping.len || header.records < sizeof(header) ||
		header.records % 4 != 0 || header.records > mapping.len || header.used < header.records ||
		header.used % 4 != 0)
		return error_set(err, 0, "look-up log has a malformed header");
	/* Past the end once it is full: those records are lost, and the last one before may be missing too. */
	uint32_t end = header.used <= mapping.len ? header.used : (uint32_t)mapping.len & ~3u;

	__attribute__((cleanup(reading_deinit))) struct reading reading = { .filter = filter, .arena = arena };
	for (const char *const *p = filter->outputs; p && *p; p++) {
		const char *path = path_squeeze(arena, *p);
		map_put(&reading.outputs, slice_str(path), (void *)path);
	}
	if (filter->program)
		take_record(&reading, TRACE_FOUND, filter->program, strlen(filter->program));
	bool whole;
	if (take_records(&reading, mapping, header.records, end, &whole, err) < 0)
		return -1;
	give(&reading, ret);
	ret->clock = header.clock;
	ret->complete = whole && header.used <= mapping.len && !header.overflow && header.started == header.executed;
	return 0;
}
