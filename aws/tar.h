/* tar: written so that equal content makes equal bytes (ustar: owner 0, time 0, no names of owners), and read for the lint of images, whoever wrote them
 * (ustar, pax, GNU's long names). Own code, not libarchive: what we write is 60 lines, the format has been frozen since 1988, and libarchive would bring
 * libxml2 and ICU into every start of `llama` (2 ms). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum tar_kind { TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK, TAR_HARD_LINK, TAR_OTHER };

struct tar_entry {
	enum tar_kind kind;
	const char *path;   /* as written: "usr/lib/", "./x"; writing: relative, without a trailing slash */
	const char *target; /* of links; else "" */
	mode_t mode;	    /* permissions */
	int64_t size_bytes; /* of files */
};

enum { TAR_NAME_BYTES = 100 };

/* Append an entry; `content` is a file's. Path (with a directory's slash) and target have at most TAR_NAME_BYTES. */
void tar_add(struct buf *tar, const struct tar_entry *entry, struct slice content);
/* The end of the archive, after the last entry. */
void tar_end(struct buf *tar);

/* Reading, in pieces of any length. */
struct tar_reader;

/* An entry's header; what it points to is valid until the call returns. Returns 0, or -1 with `err`: the reading ends. */
typedef int tar_entry_fn(void *ctx, const struct tar_entry *entry, struct error *err);
/* The next piece of the content of the entry that was told last. */
typedef void tar_content_fn(void *ctx, struct slice piece);

struct tar_reader *tar_reader_new(tar_entry_fn *entry, tar_content_fn *content, void *ctx); /* content may be NULL */
void tar_reader_free(struct tar_reader *reader);					    /* NULL is allowed */

/* -1: damaged, or the callback's error. After that, only free. */
int tar_reader_feed(struct tar_reader *reader, struct slice bytes, struct error *err);
/* There is no more. -1: the archive breaks off. */
int tar_reader_end(struct tar_reader *reader, struct error *err);
