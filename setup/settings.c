#include "setup/settings.h"

#include <ini.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"

enum { FILE_LIMIT_BYTES = 1 << 20 };

/* ---- lines, as daemon/config.c and inih read them ---- */

enum line_kind { LINE_BLANK, LINE_COMMENT, LINE_HEADER, LINE_KEY, LINE_OTHER };

struct line {
	struct slice raw; /* with its end, if it has one */
	enum line_kind kind;
	struct slice name;  /* of a header's section, or the key */
	struct slice value; /* of a key: without blanks around it and the comment behind */
};

static const char blanks[] = " \t\v\f\r\n";

static bool is_blank(char c)
{
	return c != '\0' && strchr(blanks, c);
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.ptr[0]))
		s = slice_of(s.ptr + 1, s.len - 1);
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* What stands before the first of `ends`, or before a `;` that follows a blank; all of it when neither occurs. */
static struct slice before(struct slice s, const char *ends)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] != '\0' && strchr(ends, s.ptr[i])) ||
			(s.ptr[i] == ';' && i > 0 && is_blank(s.ptr[i - 1])))
			return slice_of(s.ptr, i);
	return s;
}

static bool ends_with_one_of(struct slice whole, struct slice part, const char *ends)
{
	return part.len < whole.len && whole.ptr[part.len] != ';' && strchr(ends, whole.ptr[part.len]);
}

static struct line line_parse(struct slice raw)
{
	struct slice text = trim(raw);
	if (text.len == 0)
		return (struct line){ raw, LINE_BLANK, { 0 }, { 0 } };
	if (text.ptr[0] == ';' || text.ptr[0] == '#')
		return (struct line){ raw, LINE_COMMENT, { 0 }, { 0 } };
	if (text.ptr[0] == '[') {
		struct slice rest = slice_of(text.ptr + 1, text.len - 1);
		struct slice name = before(rest, "]");
		if (ends_with_one_of(rest, name, "]"))
			return (struct line){ raw, LINE_HEADER, name, { 0 } };
		return (struct line){ raw, LINE_OTHER, { 0 }, { 0 } };
	}
	struct slice name = before(text, "=:");
	if (!ends_with_one_of(text, name, "=:"))
		return (struct line){ raw, LINE_OTHER, { 0 }, { 0 } };
	struct slice value = slice_of(name.ptr + name.len + 1, text.len - name.len - 1);
	return (struct line){ raw, LINE_KEY, trim(name), trim(before(value, "")) };
}

/* The next line of `rest`, which then begins behind it. False at the end. */
static bool line_next(struct slice *rest, struct line *ret)
{
	if (rest->len == 0)
		return false;
	const char *end = memchr(rest->ptr, '\n', rest->len);
	size_t n = end ? (size_t)(end - rest->ptr) + 1 : rest->len;
	*ret = line_parse(slice_of(rest->ptr, n));
	*rest = slice_of(rest->ptr + n, rest->len - n);
	return true;
}

static bool is_section(struct slice current, const char *section)
{
	if (section)
		return slice_equal_str(current, section);
	return current.len == 0 || slice_equal_str(current, "llama");
}

static const char byte_order_mark[] = "\xEF\xBB\xBF";

static struct slice without_mark(struct slice text)
{
	size_t n = strlen(byte_order_mark);
	return slice_has_prefix(text, byte_order_mark) ? slice_of(text.ptr + n, text.len - n) : text;
}

/* ---- editing ---- */

/* The winning line of a key: the last, as readers let later lines win. Its raw.ptr is NULL if there is none. */
static struct line find_key(struct slice text, const char *section, const char *key)
{
	struct slice current = { 0 };
	struct line line, found = { 0 };
	while (line_next(&text, &line)) {
		if (line.kind == LINE_HEADER)
			current = line.name;
		else if (line.kind == LINE_KEY && is_section(current, section) && slice_equal_str(line.name, key))
			found = line;
	}
	return found;
}

static void append_line(struct buf *to, const struct settings_entry *entry)
{
	buf_printf(to, "%s = %s\n", entry->key, entry->value);
}

/* Where a new key goes: behind the section's last key (or header); at the top level without one, behind the comment that
 * opens the file, if a blank line ends it. NULL: there is no such section. */
static const char *find_place(struct slice text, const char *section)
{
	struct slice current = { 0 };
	const char *place = NULL, *opening = text.ptr;
	bool in_opening = true;
	struct line line;
	while (line_next(&text, &line)) {
		if (line.kind == LINE_HEADER)
			current = line.name;
		/* A header [llama] further down is no place: what is at the top is found there. */
		bool here = section ? is_section(current, section) : current.len == 0;
		if (here && (line.kind == LINE_KEY || line.kind == LINE_HEADER))
			place = line.raw.ptr + line.raw.len;
		if (in_opening && line.kind == LINE_BLANK)
			opening = line.raw.ptr + line.raw.len;
		in_opening = in_opening && line.kind == LINE_COMMENT;
	}
	return place || section ? place : opening;
}

static void end_line(struct buf *to)
{
	if (to->len > 0 && to->ptr[to->len - 1] != '\n')
		buf_append_char(to, '\n');
}

static void add_key(struct slice text, const char *section, const struct settings_entry *entry, struct buf *ret)
{
	const char *place = text.len ? find_place(text, section) : NULL;
	size_t n = place ? (size_t)(place - text.ptr) : section ? text.len : 0;
	size_t start = ret->len;
	buf_append(ret, text.ptr, n);
	if (n > 0)
		end_line(ret);
	if (section && !place)
		buf_printf(ret, "%s[%s]\n", ret->len > start ? "\n" : "", section);
	append_line(ret, entry);
	if (n == text.len)
		return;
	/* A header or comment there is about something else. */
	struct slice rest = slice_of(text.ptr + n, text.len - n), ahead = rest;
	struct line next;
	if (line_next(&ahead, &next) && (next.kind == LINE_HEADER || next.kind == LINE_COMMENT))
		buf_append_char(ret, '\n');
	buf_append_slice(ret, rest);
}

static void change_key(struct slice text, const struct line *line, const char *value, struct buf *ret)
{
	const char *at = line->value.ptr, *end = at + line->value.len;
	buf_append(ret, text.ptr, (size_t)(at - text.ptr));
	/* `key =` with nothing behind it, or a comment only. */
	if (at[-1] == '=' || at[-1] == ':')
		buf_append_char(ret, ' ');
	buf_append_str(ret, value);
	if (line->value.len == 0 && end < text.ptr + text.len && *end == ';')
		buf_append_char(ret, ' ');
	buf_append(ret, end, (size_t)(text.ptr + text.len - end));
}

static void remove_key(struct slice text, const char *section, const char *key, struct buf *ret)
{
	struct slice current = { 0 };
	struct line line;
	while (line_next(&text, &line)) {
		if (line.kind == LINE_HEADER)
			current = line.name;
		if (line.kind != LINE_KEY || !is_section(current, section) || !slice_equal_str(line.name, key))
			buf_append_slice(ret, line.raw);
	}
}

static int check_entry(const struct settings_entry *entry, struct error *err)
{
	if (!entry->value)
		return 0;
	_cleanup_buf_ struct buf text = { 0 };
	append_line(&text, entry);
	struct line line = line_parse(buf_slice(&text));
	/* inih's buffer has room for a NUL, too. */
	if (!*entry->value || text.len >= INI_MAX_LINE || strpbrk(entry->value, "\n\r") || line.kind != LINE_KEY ||
		!slice_equal_str(line.name, entry->key) || !slice_equal_str(line.value, entry->value))
		return error_set(
			err, EINVAL, "a line of the configuration can't hold %s = %s", entry->key, entry->value);
	return 0;
}

int settings_edit(struct slice text, const char *section, const struct settings_entry *entries, size_t n,
	struct buf *ret, struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (check_entry(&entries[i], err) < 0)
			return -1;
	if (text.len && memchr(text.ptr, '\0', text.len))
		return error_set(err, 0, "not a text: it has a NUL");
	struct slice body = without_mark(text);
	_cleanup_buf_ struct buf now = { 0 };
	buf_append_slice(&now, body);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf next = { 0 };
		const struct settings_entry *entry = &entries[i];
		struct line line = find_key(buf_slice(&now), section, entry->key);
		if (!entry->value)
			remove_key(buf_slice(&now), section, entry->key, &next);
		else if (!line.raw.ptr)
			add_key(buf_slice(&now), section, entry, &next);
		else if (line.raw.len - line.value.len + strlen(entry->value) + 2 >= INI_MAX_LINE)
			return error_set(err, EINVAL,
				"the line of %s is too long for its new value; shorten its comment", entry->key);
		else
			change_key(buf_slice(&now), &line, entry->value, &next);
		buf_deinit(&now);
		now = next;
		next = (struct buf){ 0 };
	}
	buf_append(ret, text.ptr, text.len - body.len);
	buf_append_slice(ret, buf_slice(&now));
	return 0;
}

void settings_edit_remove_section(struct slice text, const char *section, struct buf *ret)
{
	struct slice body = without_mark(text);
	buf_append(ret, text.ptr, text.len - body.len);
	size_t start = ret->len;
	bool inside = false;
	/* Of the section, what will stay if the next line that isn't a comment is a header. */
	_cleanup_buf_ struct buf comments = { 0 };
	struct line line;
	while (line_next(&body, &line)) {
		if (line.kind == LINE_HEADER) {
			inside = slice_equal_str(line.name, section);
			buf_append_slice(ret, buf_slice(&comments));
		}
		if (inside && line.kind == LINE_COMMENT) {
			buf_append_slice(&comments, line.raw);
			continue;
		}
		buf_reset(&comments);
		if (!inside)
			buf_append_slice(ret, line.raw);
	}
	/* What stood between it and the section before. */
	while (inside && ret->len > start + 1 && ret->ptr[ret->len - 1] == '\n' && ret->ptr[ret->len - 2] == '\n')
		ret->ptr[--ret->len] = '\0';
}

/* ---- files ---- */

/* The text of `file`, or none; `ret_path`, which the caller frees, is where it is or will be. */
static int read_settings(const char *file, struct buf *ret, char **ret_path, mode_t *mode, struct error *err)
{
	struct stat st;
	if (stat(file, &st) < 0) {
		if (errno != ENOENT)
			return error_set(err, errno, "cannot examine the configuration %s", file);
		if (lstat(file, &st) == 0)
			return error_set(err, 0,
				"the configuration %s is a symlink to a file that isn't there; make that file, or "
				"remove the link",
				file);
		*mode = 0600;
		*ret_path = strdup(file);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return error_set(err, 0, "the configuration %s is not a regular file", file);
	*mode = st.st_mode & 07777;
	*ret_path = realpath(file, NULL);
	if (!*ret_path)
		return error_set(err, errno, "cannot follow the configuration %s", file);
	if (file_read(*ret_path, FILE_LIMIT_BYTES, ret, err) < 0)
		return error_wrap(err, "cannot change the configuration");
	return 0;
}

static int write_settings(
	const char *path, const struct buf *before_it, const struct buf *after, mode_t mode, struct error *err)
{
	if (slice_equal(buf_slice(before_it), buf_slice(after)))
		return 0;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (file_make_dirs(path_dirname(&arena, path), 0700, err) < 0 ||
		file_replace(path, buf_slice(after), mode, err) < 0)
		return error_wrap(err, "cannot write the configuration %s", path);
	return 0;
}

int settings_write(
	const char *file, const char *section, const struct settings_entry *entries, size_t n, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 }, edited = { 0 };
	_cleanup_free_ char *path = NULL;
	mode_t mode;
	if (read_settings(file, &text, &path, &mode, err) < 0)
		return -1;
	if (settings_edit(buf_slice(&text), section, entries, n, &edited, err) < 0)
		return error_wrap(err, "%s", file);
	return write_settings(path, &text, &edited, mode, err);
}

int settings_remove_section(const char *file, const char *section, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 }, edited = { 0 };
	_cleanup_free_ char *path = NULL;
	mode_t mode;
	if (read_settings(file, &text, &path, &mode, err) < 0)
		return -1;
	settings_edit_remove_section(buf_slice(&text), section, &edited);
	return write_settings(path, &text, &edited, mode, err);
}
