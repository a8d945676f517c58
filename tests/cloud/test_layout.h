/* Container images for tests, right and wrong: OCI layouts written entry by entry. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct test_entry {
	const char *path;
	mode_t mode;	      /* with the type */
	const char *contents; /* of a file; a link's target */
	const char *copy_of;  /* of a file: the contents of this one; or NULL */
	bool hard;	      /* a hard link to `contents` */
};

struct test_layer {
	const struct test_entry *entries; /* ends where path is NULL */
	const char *media_type;		  /* NULL: gzip's */
	bool plain;			  /* not compressed */
};

struct test_layout {
	struct test_layer layers[3]; /* ends where entries is NULL */
	const char *manifest_type;   /* in the index; NULL: OCI's */
	const char *tag;	     /* or NULL */
	const char *config;	     /* the "config" object, as JSON; NULL: {"Entrypoint": ["/bin/entry"]} */
};

/* Into the new directory `path`; asserts that it works. */
void test_layout_write(const char *path, const struct test_layout *layout);

/* Entries of an image that runs `program` as /bin/entry, valid until the next call. */
const struct test_entry *test_layout_program(const char *program);
