/* A dependency file is parsed; what can be rendered for its own target again must be the same bytes, and for another one and back as well;
 * so must what moves to another directory and back. */
#include <assert.h>
#include <stdint.h>

#include "compiler/depfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf same = { 0 }, other = { 0 }, back = { 0 };
	struct slice text = slice_of(data, size);
	struct depfile depfile;

	depfile_parse(text, &arena, &depfile, NULL);
	const char *colon = size ? memchr(data, ':', size) : NULL;
	if (!colon)
		return 0;
	const char *targets[] = { arena_strndup(&arena, text.ptr, (size_t)(colon - text.ptr)) };
	const char *others[] = { "directory/another.o", "and_a_second_one_of_some_length.o" };
	if (depfile_retarget(text, targets, 1, targets, 1, &same) == 0)
		assert(slice_equal(buf_slice(&same), text));
	if (depfile_retarget(text, targets, 1, others, 2, &other) == 0 &&
		depfile_retarget(buf_slice(&other), others, 2, targets, 1, &back) == 0)
		assert(slice_equal(buf_slice(&back), text));
	_cleanup_buf_ struct buf there = { 0 }, home = { 0 };
	if (depfile_rebase(text, targets, 1, targets, 1, "/a", "/a/much/longer/name", &there) == 0 &&
		depfile_rebase(buf_slice(&there), targets, 1, targets, 1, "/a/much/longer/name", "/a", &home) == 0)
		assert(slice_equal(buf_slice(&home), text));
	return 0;
}
