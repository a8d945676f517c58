#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "store/store_memory.h"
#include "store/tree.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* of "abc" */

struct fixture {
	struct store *store;
	struct tree *tree;
	struct digest abc;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->store = store_memory_new();
	f->tree = tree_new();
	f->abc = digest_of(slice_str("abc"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	tree_free(f->tree);
	store_free(f->store);
	free(f);
	return 0;
}

static struct digest commit(struct fixture *f)
{
	struct digest root;
	assert_int_equal(tree_commit(f->tree, f->store, &root, NULL), 0);
	return root;
}

static void message(struct fixture *f, const struct digest *digest, struct buf *ret)
{
	assert_int_equal(store_get(f->store, digest, ret, NULL), 0);
}

static void print_entry(void *ctx, const char *path, const struct tree_entry *entry)
{
	buf_printf(ctx, "%s%s%s%s ", path, entry->kind == TREE_DIRECTORY ? "/" : "",
		entry->kind == TREE_SYMLINK ? "->" : "", entry->kind == TREE_SYMLINK ? entry->target : "");
}

static void assert_tree(struct fixture *f, const char *expected)
{
	_cleanup_buf_ struct buf text = { 0 };
	tree_walk(f->tree, print_entry, &text);
	assert_string_equal(buf_str(&text), expected);
}

static void tree__an_empty_root_is_the_empty_message(void **state)
{
	struct fixture *f = *state;
	struct digest root = commit(f), nothing = digest_of(slice_str(""));
	assert_true(digest_equal(&root, &nothing));
}

static void tree__is_encoded_as_the_field_does(void **state)
{
	struct fixture *f = *state;
	tree_set_symlink(f->tree, "l", "t");
	tree_set_file(f->tree, "d/x", &f->abc, true, 1500000000);
	tree_set_file(f->tree, "b", &f->abc, false, 0);
	tree_set_file(f->tree, "a", &f->abc, false, -1);
	struct digest root = commit(f);
	static const char child[] = "\x0a\x57\x0a\x01x\x12\x44\x0a\x40" HASH "\x10\x03\x20\x01"
				    "\x32\x0a\x12\x08\x08\x01\x10\x80\xca\xb5\xee\x01"; /* 1 s, 500,000,000 ns */
	struct digest child_digest = digest_of(slice_of(child, sizeof(child) - 1));
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&child_digest, hex);
	_cleanup_buf_ struct buf expected = { 0 }, got = { 0 };
#define APPEND(literal) buf_append(&expected, literal, sizeof(literal) - 1)
	APPEND("\x0a\x5e\x0a\x01"
	       "a\x12\x44\x0a\x40" HASH "\x10\x03"
	       "\x32\x13\x12\x11\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\xff\x93\xeb\xdc\x03"); /* -1 s,
													   999,999,999
													   ns */
	APPEND("\x0a\x49\x0a\x01"
	       "b\x12\x44\x0a\x40" HASH "\x10\x03");
	APPEND("\x12\x49\x0a\x01"
	       "d\x12\x44\x0a\x40");
	buf_append_str(&expected, hex);
	APPEND("\x10");
	buf_append_char(&expected, (char)(sizeof(child) - 1));
	APPEND("\x1a\x06\x0a\x01l\x12\x01t");
	message(f, &root, &got);
	assert_int_equal(got.len, expected.len);
	assert_memory_equal(got.ptr, expected.ptr, expected.len);
	struct digest again = digest_of(buf_slice(&got));
	assert_true(digest_equal(&again, &root));
	buf_reset(&got);
	message(f, &child_digest, &got);
	assert_memory_equal(got.ptr, child, sizeof(child) - 1);
}

static void tree__parsing_gives_back_what_was_encoded(void **state)
{
	struct fixture *f = *state;
	const int64_t mtimes[] = { 0, 1, -1, 1700000000123456789, -1000000000, INT64_C(1) << 60 };
	char name[2] = "a";
	for (size_t i = 0; i < 6; i++, name[0]++)
		tree_set_file(f->tree, name, &f->abc, i % 2, mtimes[i]);
	tree_set_directory(f->tree, "sub");
	tree_set_symlink(f->tree, "0link", "/somewhere/else");
	struct digest root = commit(f);
	_cleanup_buf_ struct buf bytes = { 0 };
	message(f, &root, &bytes);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	size_t n;
	assert_int_equal(tree_parse_directory(buf_slice(&bytes), &arena, &entries, &n, NULL), 0);
	assert_int_equal(n, 8);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(entries[i].kind, TREE_FILE);
		assert_true(digest_equal(&entries[i].digest, &f->abc));
		assert_int_equal(entries[i].executable, i % 2);
		assert_true(entries[i].mtime_ns == mtimes[i]);
	}
	assert_int_equal(entries[6].kind, TREE_DIRECTORY);
	assert_string_equal(entries[6].name, "sub");
	assert_int_equal(entries[6].digest.size_bytes, 0);
	assert_int_equal(entries[7].kind, TREE_SYMLINK);
	assert_string_equal(entries[7].target, "/somewhere/else");
}

static void tree__kinds_replace_each_other(void **state)
{
	struct fixture *f = *state;
	tree_set_file(f->tree, "a/b/c", &f->abc, false, 1);
	tree_set_file(f->tree, "a/b/d", &f->abc, false, 1);
	assert_tree(f, "a/ a/b/ a/b/c a/b/d ");
	assert_int_equal(tree_size_bytes(f->tree), 6);
	tree_set_file(f->tree, "a/b", &f->abc, false, 1);
	assert_tree(f, "a/ a/b ");
	tree_set_file(f->tree, "a/b/c", &f->abc, false, 1);
	assert_tree(f, "a/ a/b/ a/b/c ");
	tree_set_symlink(f->tree, "a", "x");
	assert_tree(f, "a->x ");
	assert_int_equal(tree_size_bytes(f->tree), 0);
	tree_set_directory(f->tree, "a/e");
	assert_tree(f, "a/ a/e/ ");
	tree_set_directory(f->tree, "a");
	assert_tree(f, "a/ a/e/ ");
	tree_remove(f->tree, "a/absent");
	tree_remove(f->tree, "no/such/path");
	tree_remove(f->tree, "a/e");
	assert_tree(f, "a/ ");
	tree_remove(f->tree, "a");
	assert_tree(f, "");
}

static void tree__lookup_finds_what_was_set(void **state)
{
	struct fixture *f = *state;
	tree_set_file(f->tree, "usr/include/stdio.h", &f->abc, true, 42);
	const struct tree_entry *entry = tree_lookup(f->tree, "usr/include/stdio.h");
	assert_non_null(entry);
	assert_string_equal(entry->name, "stdio.h");
	assert_int_equal(entry->mtime_ns, 42);
	assert_int_equal(tree_lookup(f->tree, "usr/include")->kind, TREE_DIRECTORY);
	assert_int_equal(tree_lookup(f->tree, "usr")->kind, TREE_DIRECTORY);
	assert_int_equal(tree_lookup(f->tree, "")->kind, TREE_DIRECTORY);
	assert_null(tree_lookup(f->tree, "us"));
	assert_null(tree_lookup(f->tree, "usr/include/stdio"));
	assert_null(tree_lookup(f->tree, "usr/include/stdio.h/x"));
	assert_null(tree_lookup(f->tree, "usr/lib/x"));
	tree_remove(f->tree, "usr/include"); /* the directory used last */
	assert_null(tree_lookup(f->tree, "usr/include/stdio.h"));
}

static int failing_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	return error_set(err, ENOSPC, "no room");
}

static void tree__commit_writes_only_what_changed(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops failing_ops = { .name = "failing", .put = failing_put };
	struct store failing = { &failing_ops };
	struct digest root, again;
	struct error err;
	tree_set_file(f->tree, "a/b", &f->abc, false, 1);
	assert_int_equal(tree_commit(f->tree, &failing, &root, &err), -1);
	root = commit(f);
	/* Setting the same thing changes nothing, so nothing is put. */
	tree_set_file(f->tree, "a/b", &f->abc, false, 1);
	tree_set_directory(f->tree, "a");
	tree_remove(f->tree, "a/c");
	assert_int_equal(tree_commit(f->tree, &failing, &again, &err), 0);
	assert_true(digest_equal(&root, &again));
	tree_set_file(f->tree, "a/b", &f->abc, false, 2);
	again = commit(f);
	assert_false(digest_equal(&root, &again));
	tree_set_file(f->tree, "a/b", &f->abc, false, 1);
	again = commit(f);
	assert_true(digest_equal(&root, &again));
}

/* The digest depends on what is in the tree, not on the order in which it came. */
static void tree__the_order_of_changes_leaves_no_trace(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 1;
	struct digest first = { .size_bytes = -1 };
	for (int round = 0; round < 20; round++) {
		struct tree *tree = tree_new();
		unsigned start = (unsigned)rand_r(&seed);
		for (unsigned i = 0; i < 200; i++) {
			char path[64];
			unsigned k = (start + i * 7) % 200; /* 7 and 200 have no common factor: each once */
			snprintf(path, sizeof(path), "d%u/e%u/f%u", k % 5, k % 3, k);
			tree_set_file(tree, path, &f->abc, false, k + 1);
			snprintf(path, sizeof(path), "d%u/stray%u/x", k % 5, (unsigned)rand_r(&seed) % 4);
			tree_set_file(tree, path, &f->abc, false, 1);
			*strrchr(path, '/') = '\0';
			tree_remove(tree, path);
		}
		struct digest root;
		assert_int_equal(tree_commit(tree, f->store, &root, NULL), 0);
		assert_int_equal(tree_size_bytes(tree), 600);
		tree_free(tree);
		if (round == 0)
			first = root;
		assert_true(digest_equal(&root, &first));
	}
}

static int parse(const char *bytes, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	size_t n;
	struct error err = { 0 };
	int r = tree_parse_directory(slice_of(bytes, size), &arena, &entries, &n, &err);
	assert_true(r == 0 || err.text[0]);
	return r;
}

#define PARSE(literal) parse(literal, sizeof(literal) - 1)

static void tree__counts_what_left_it_or_became_another_thing(void **state)
{
	struct fixture *f = *state;
	struct digest other = digest_of(slice_str("other"));
	tree_set_file(f->tree, "a/b", &f->abc, false, 1);
	tree_set_file(f->tree, "a/c", &f->abc, false, 1);
	tree_set_symlink(f->tree, "l", "a");
	tree_set_directory(f->tree, "d");
	/* The same once more, and new names. */
	tree_set_file(f->tree, "a/b", &f->abc, false, 1);
	tree_set_symlink(f->tree, "l", "a");
	tree_set_directory(f->tree, "a");
	tree_remove(f->tree, "nothing");
	assert_int_equal(tree_losses(f->tree), 0);

	tree_set_file(f->tree, "a/b", &other, false, 1);
	assert_int_equal(tree_losses(f->tree), 1);
	tree_set_file(f->tree, "a/b", &other, false, 2);
	assert_int_equal(tree_losses(f->tree), 2);
	tree_set_symlink(f->tree, "l", "d");
	assert_int_equal(tree_losses(f->tree), 3);
	tree_remove(f->tree, "a/c");
	assert_int_equal(tree_losses(f->tree), 4);
	tree_set_directory(f->tree, "a/b");
	assert_int_equal(tree_losses(f->tree), 5);
	tree_clear(f->tree);
	assert_true(tree_losses(f->tree) > 5);
	assert_tree(f, "");
	assert_int_equal(tree_size_bytes(f->tree), 0);
}

static void tree__unsafe_messages_are_refused(void **state)
{
	(void)state;
	/* Symlinks are the shortest to write: 0x1a, length, name, target. */
	assert_int_equal(PARSE(""), 0);
	assert_int_equal(PARSE("\x1a\x06\x0a\x01l\x12\x01t"), 0);
	assert_int_equal(PARSE("\x1a\x05\x0a\x00\x12\x01t"), -1);   /* no name, and not canonical */
	assert_int_equal(PARSE("\x1a\x03\x12\x01t"), -1);	    /* no name */
	assert_int_equal(PARSE("\x1a\x03\x0a\x01l"), -1);	    /* no target */
	assert_int_equal(PARSE("\x1a\x06\x0a\x01.\x12\x01t"), -1);  /* . */
	assert_int_equal(PARSE("\x1a\x07\x0a\x02..\x12\x01t"), -1); /* .. */
	assert_int_equal(PARSE("\x1a\x08\x0a\x03"
			       "a/b\x12\x01t"),
		-1); /* a slash */
	assert_int_equal(PARSE("\x1a\x08\x0a\x03"
			       "a\0b\x12\x01t"),
		-1); /* a NUL in the name */
	assert_int_equal(PARSE("\x1a\x08\x0a\x01"
			       "a\x12\x03t\0u"),
		-1);						  /* a NUL in the target */
	assert_int_equal(PARSE("\x1a\x06\x0a\x01l\x12\x01"), -1); /* cut off */
	assert_int_equal(PARSE("\xff\xff\xff"), -1);
	assert_int_equal(PARSE("\x1a\x06\x0a\x01"
			       "a\x12\x01t\x1a\x06\x0a\x01"
			       "b\x12\x01t"),
		0);
	assert_int_equal(PARSE("\x1a\x06\x0a\x01"
			       "b\x12\x01t\x1a\x06\x0a\x01"
			       "a\x12\x01t"),
		-1); /* unsorted */
	assert_int_equal(PARSE("\x1a\x06\x0a\x01"
			       "a\x12\x01t\x1a\x06\x0a\x01"
			       "a\x12\x01t"),
		-1); /* double */
	/* The same name as a file and as a symlink. */
	assert_int_equal(PARSE("\x0a\x49\x0a\x01"
			       "b\x12\x44\x0a\x40" HASH "\x10\x03\x1a\x06\x0a\x01"
			       "c\x12\x01t"),
		0);
	assert_int_equal(PARSE("\x0a\x49\x0a\x01"
			       "b\x12\x44\x0a\x40" HASH "\x10\x03\x1a\x06\x0a\x01"
			       "b\x12\x01t"),
		-1);
	/* A file without digest; a directory with a short one; a negative size. */
	assert_int_equal(PARSE("\x0a\x03\x0a\x01"
			       "b"),
		-1);
	assert_int_equal(PARSE("\x12\x08\x0a\x01"
			       "b\x12\x03\x0a\x01"
			       "f"),
		-1);
	assert_int_equal(PARSE("\x0a\x52\x0a\x01"
			       "b\x12\x4d\x0a\x40" HASH "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		-1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tree__an_empty_root_is_the_empty_message),
		TEST(tree__is_encoded_as_the_field_does),
		TEST(tree__parsing_gives_back_what_was_encoded),
		TEST(tree__kinds_replace_each_other),
		TEST(tree__lookup_finds_what_was_set),
		TEST(tree__commit_writes_only_what_changed),
		TEST(tree__the_order_of_changes_leaves_no_trace),
		TEST(tree__counts_what_left_it_or_became_another_thing),
		TEST(tree__unsafe_messages_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
