#include "aws/tar.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, LONG_LIMIT = 1 << 20 };

/* POSIX.1-1988 ustar. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char type;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};
static_assert(sizeof(struct header) == BLOCK, "a header is a block");

/* The sum of all bytes, its own field taken for spaces. */
static unsigned checksum(const struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned sum = 0;
	for (size_t i = 0; i < BLOCK; i++) {
		bool own = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);
		sum += own ? ' ' : bytes[i];
	}
	return sum;
}

static void put_octal(char *field, size_t bytes, uint64_t value)
{
	field[bytes - 1] = '\0';
	for (size_t i = bytes - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	assert(value == 0);
}

void tar_add(struct buf *tar, const struct tar_entry *entry, struct slice content)
{
	static const char types[] = { [TAR_FILE] = '0', [TAR_DIRECTORY] = '5', [TAR_SYMLINK] = '2' };
	struct header header = { 0 };
	bool directory = entry->kind == TAR_DIRECTORY;
	size_t path_len = strlen(entry->path), target_len = entry->target ? strlen(entry->target) : 0;
	assert(entry->kind <= TAR_SYMLINK && path_len + directory <= TAR_NAME_BYTES && target_len <= TAR_NAME_BYTES);
	memcpy(header.name, entry->path, path_len);
	if (directory)
		header.name[path_len] = '/';
	if (target_len > 0)
		memcpy(header.linkname, entry->target, target_len);
	put_octal(header.mode, sizeof(header.mode), entry->mode);
	put_octal(header.uid, sizeof(header.uid), 0);
	put_octal(header.gid, sizeof(header.gid), 0);
	put_octal(header.size, sizeof(header.size), content.len);
	put_octal(header.mtime, sizeof(header.mtime), 0);
	put_octal(header.devmajor, sizeof(header.devmajor), 0);
	put_octal(header.devminor, sizeof(header.devminor), 0);
	header.type = types[entry->kind];
	memcpy(header.magic, "ustar", 6);
	memcpy(header.version, "00", 2);
	/* Six digits, NUL, space: as everybody writes it. */
	put_octal(header.checksum, sizeof(header.checksum) - 1, checksum(&header));
	header.checksum[7] = ' ';
	buf_append(tar, &header, BLOCK);
	buf_append_slice(tar, content);
	static const char zeros[BLOCK];
	buf_append(tar, zeros, -content.len % BLOCK);
}

void tar_end(struct buf *tar)
{
	static const char zeros[2 * BLOCK];
	buf_append(tar, zeros, sizeof(zeros));
}

/* What the bytes that come next are. */
enum state {
	HEADER,	 /* a header, gathered in `block` */
	CONTENT, /* of a file: handed on */
	NOTE,	 /* of an entry that tells about the next one: gathered in `note` */
	END,	 /* whatever follows the first empty block */
};

struct tar_reader {
	tar_entry_fn *entry;
	tar_content_fn *content;
	void *ctx;
	enum state state;
	struct header block;
	size_t have;	/* of `block` */
	int64_t left;	/* of CONTENT, NOTE */
	size_t padding; /* after them */
	char note_type; /* 'x', 'g': pax; 'L', 'K': GNU's long path and target */
	struct buf note;
	bool has_path, has_target, has_size; /* what a note said about the next entry */
	struct buf path, target;
	int64_t size;
};

struct tar_reader *tar_reader_new(tar_entry_fn *entry, tar_content_fn *content, void *ctx)
{
	struct tar_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		abort();
	*reader = (struct tar_reader){ .entry = entry, .content = content, .ctx = ctx };
	return reader;
}

void tar_reader_free(struct tar_reader *reader)
{
	if (!reader)
		return;
	buf_deinit(&reader->note);
	buf_deinit(&reader->path);
	buf_deinit(&reader->target);
	free(reader);
}

/* Octal digits between spaces, or GNU's binary form for what is larger. -1: neither. */
static int64_t number(const char *field, size_t bytes)
{
	if ((unsigned char)field[0] == 0x80) {
		uint64_t value = 0;
		for (size_t i = 1; i < bytes; i++) {
			if (value >> 55)
				return -1;
			value = value << 8 | (unsigned char)field[i];
		}
		return (int64_t)value;
	}
	size_t i = 0;
	int64_t value = 0;
	while (i < bytes && field[i] == ' ')
		i++;
	for (; i < bytes && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (field[i] - '0');
	for (; i < bytes; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return -1;
	return value;
}

static void set(struct buf *to, struct slice text)
{
	buf_reset(to);
	buf_append_slice(to, slice_of(text.ptr, strnlen(text.ptr, text.len)));
}

/* "LENGTH KEY=VALUE\n"…, LENGTH counting itself. */
static int take_pax(struct tar_reader *reader, struct error *err)
{
	struct slice rest = buf_slice(&reader->note);
	while (rest.len > 0) {
		size_t length = 0, digits = 0;
		for (; digits < rest.len && digits < 9 && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9'; digits++)
			length = length * 10 + (size_t)(rest.ptr[digits] - '0');
		if (length <= digits + 1 || length > rest.len || rest.ptr[digits] != ' ' ||
			rest.ptr[length - 1] != '\n')
			return error_set(err, 0, "a damaged archive: a pax record");
		struct slice record = slice_of(rest.ptr + digits + 1, length - digits - 2);
		const char *equals = memchr(record.ptr, '=', record.len);
		if (!equals)
			return error_set(err, 0, "a damaged archive: a pax record");
		struct slice key = slice_of(record.ptr, (size_t)(equals - record.ptr));
		struct slice value = slice_of(equals + 1, record.len - key.len - 1);
		if (slice_equal_str(key, "path")) {
			set(&reader->path, value);
			reader->has_path = true;
		} else if (slice_equal_str(key, "linkpath")) {
			set(&reader->target, value);
			reader->has_target = true;
		} else if (slice_equal_str(key, "size")) {
			reader->size = 0;
			for (size_t i = 0; i < value.len; i++) {
				if (value.ptr[i] < '0' || value.ptr[i] > '9' || i >= 18)
					return error_set(err, 0, "a damaged archive: a size");
				reader->size = reader->size * 10 + (value.ptr[i] - '0');
			}
			reader->has_size = true;
		}
		rest = slice_of(rest.ptr + length, rest.len - length);
	}
	return 0;
}

static int take_note(struct tar_reader *reader, struct error *err)
{
	reader->state = HEADER;
	switch (reader->note_type) {
	case 'x':
		return take_pax(reader, err);
	case 'L':
		set(&reader->path, buf_slice(&reader->note));
		reader->has_path = true;
		return 0;
	case 'K':
		set(&reader->target, buf_slice(&reader->note));
		reader->has_target = true;
		return 0;
	default: /* 'g': what holds for all entries names no path */
		return 0;
	}
}

static enum tar_kind kind_of(char type)
{
	switch (type) {
	case '0':
	case '7':
	case '\0':
		return TAR_FILE;
	case '1':
		return TAR_HARD_LINK;
	case '2':
		return TAR_SYMLINK;
	case '5':
		return TAR_DIRECTORY;
	default:
		return TAR_OTHER;
	}
}

static int take_header(struct tar_reader *reader, struct error *err)
{
	const struct header *header = &reader->block;
	static const char zeros[BLOCK];
	reader->have = 0;
	if (memcmp(header, zeros, BLOCK) == 0) {
		reader->state = END;
		return 0;
	}
	int64_t size = number(header->size, sizeof(header->size)), mode = number(header->mode, sizeof(header->mode));
	if (number(header->checksum, sizeof(header->checksum)) != checksum(header) || size < 0 || mode < 0)
		return error_set(err, 0, "a damaged archive: a header");
	if (header->type && strchr("xgLK", header->type)) {
		if (size > LONG_LIMIT)
			return error_set(err, 0, "a damaged archive: a name of %lld bytes", (long long)size);
		reader->state = NOTE;
		reader->note_type = header->type;
		buf_reset(&reader->note);
	} else {
		if (!reader->has_path) {
			buf_reset(&reader->path);
			if (memcmp(header->magic, "ustar", 6) == 0 && header->prefix[0])
				buf_printf(&reader->path, "%.*s/", (int)sizeof(header->prefix), header->prefix);
			buf_printf(&reader->path, "%.*s", (int)sizeof(header->name), header->name);
		}
		if (!reader->has_target) {
			buf_reset(&reader->target);
			buf_printf(&reader->target, "%.*s", (int)sizeof(header->linkname), header->linkname);
		}
		if (reader->has_size)
			size = reader->size;
		reader->has_path = reader->has_target = reader->has_size = false;
		struct tar_entry entry = { .kind = kind_of(header->type),
			.path = buf_str(&reader->path),
			.target = buf_str(&reader->target),
			.mode = (mode_t)mode & 07777,
			.size_bytes = size };
		/* In the archives of old a directory is a file whose name ends in a slash. */
		if (entry.kind == TAR_FILE && reader->path.len > 0 && reader->path.ptr[reader->path.len - 1] == '/')
			entry.kind = TAR_DIRECTORY;
		/* Links and directories have no content, whatever their size says. */
		if (entry.kind != TAR_FILE && entry.kind != TAR_OTHER)
			size = entry.size_bytes = 0;
		reader->state = CONTENT;
		if (reader->entry(reader->ctx, &entry, err) < 0)
			return -1;
	}
	reader->left = size;
	reader->padding = (size_t)(-(uint64_t)size % BLOCK);
	return 0;
}

int tar_reader_feed(struct tar_reader *reader, struct slice bytes, struct error *err)
{
	while (bytes.len > 0 && reader->state != END) {
		size_t n = bytes.len;
		if (reader->state == HEADER) {
			if (n > BLOCK - reader->have)
				n = BLOCK - reader->have;
			memcpy((char *)&reader->block + reader->have, bytes.ptr, n);
			reader->have += n;
			if (reader->have == BLOCK && take_header(reader, err) < 0)
				return -1;
		} else if (reader->left > 0) {
			if ((int64_t)n > reader->left)
				n = (size_t)reader->left;
			if (reader->state == NOTE)
				buf_append(&reader->note, bytes.ptr, n);
			else if (reader->content)
				reader->content(reader->ctx, slice_of(bytes.ptr, n));
			reader->left -= (int64_t)n;
		} else {
			if (n > reader->padding)
				n = reader->padding;
			reader->padding -= n;
		}
		bytes = slice_of(bytes.ptr + n, bytes.len - n);
		if ((reader->state == CONTENT || reader->state == NOTE) && reader->left == 0 && reader->padding == 0) {
			if (reader->state == NOTE && take_note(reader, err) < 0)
				return -1;
			reader->state = HEADER;
		}
	}
	return 0;
}

int tar_reader_end(struct tar_reader *reader, struct error *err)
{
	if (reader->state == END || (reader->state == HEADER && reader->have == 0))
		return 0;
	return error_set(err, 0, "a damaged archive: it breaks off");
}
