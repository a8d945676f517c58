/* Any bytes as a shared file; and its first line as a command. */
#include <assert.h>
#include <stdint.h>

#include "aws/shared_file.h"
#include "base/arena.h"

static void check(void *ctx, const char *section, const char *name, const char *value)
{
	size_t *settings = ctx;
	assert(section && section[0]);
	assert(!name == !value);
	assert(!value || value[0] != '\n');
	++*settings;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	size_t settings = 0;
	if (shared_file_parse(slice_of((const char *)data, size), check, &settings, &err) < 0)
		assert(err.text[0]);
	assert(settings <= size);

	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *line = arena_strndup(&arena, (const char *)data, size);
	char **words;
	size_t n;
	if (shell_split(line, &arena, &words, &n, &err) == 0)
		assert(words[n] == NULL && n <= strlen(line));
	return 0;
}
