/* An argument vector, split on NUL, for both families: parsed and, when it may go to the engine, described and resolved. */
#include <stdint.h>

#include "compiler/command.h"
#include "compiler/describe.h"
#include "compiler/native.h"
#include "compiler/strlist.h"

/* The bytes themselves are every response file. */
static int read_bytes(void *ctx, const char *name, struct arena *arena, struct slice *ret)
{
	*ret = *(struct slice *)ctx;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int i = 0; i < 4; i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct slice bytes = slice_of(data, size);
		struct strlist argv = { 0 };
		strlist_add(&argv, &arena, "cc");
		for (const char *at = bytes.ptr, *end = at + size; at < end;) {
			size_t n = strnlen(at, (size_t)(end - at));
			strlist_add(&argv, &arena, arena_strndup(&arena, at, n));
			at += n + 1;
		}
		struct command_request request = {
			.argv = argv.items,
			.argc = argv.n,
			.cwd = "/project",
			.cxx_driver = i & 1,
			.family = i & 2 ? FAMILY_CLANG : FAMILY_GCC,
			.remote_assemble = true,
			.read_file = read_bytes,
			.ctx = &bytes,
		};
		struct command command;
		struct reason reason;
		_cleanup_buf_ struct buf text = { 0 };
		if (command_parse(&request, &arena, &command, &reason) == 0) {
			command_describe(&command, &text);
			if (command.wants_native && native_apply(&command, bytes, &arena, NULL) == 0)
				command_describe(&command, &text);
		} else {
			reason_format(&reason, &text);
		}
	}
	return 0;
}
