/* skeleton [-l] FILE…: how fast the texts of FILEs become skeletons; -l lists what was found instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "compiler/skeleton.h"

enum { ROUNDS = 10 };

static void list(const char *path, const struct skeleton *skeleton)
{
	static const char *const kinds[] = { "include", "include_next", "embed", "assembler" }, *const forms[] = {
		"quote", "angle", "computed"
	};
	for (size_t i = 0; i < skeleton->n_items; i++) {
		const struct skeleton_item *item = &skeleton->items[i];
		printf("%s\t%s\t%s\t%s\n", path, kinds[item->kind], forms[item->form], item->name);
	}
	for (size_t i = 0; i < skeleton->n_macros; i++) {
		const struct skeleton_macro *macro = &skeleton->macros[i];
		printf("%s\tmacro\t%s%s%s%s\t%s\n", path, macro->name, macro->parameters ? "(" : "",
			macro->parameters ? macro->parameters : "", macro->parameters ? ")" : "", macro->body);
	}
	printf("%s\tflags%s%s%s\n", path, skeleton->date_time ? " date_time" : "",
		skeleton->timestamp ? " timestamp" : "", skeleton->once ? " once" : "");
}

int main(int argc, char **argv)
{
	struct error err;
	bool listing = argc > 1 && strcmp(argv[1], "-l") == 0;
	int first = listing ? 2 : 1;
	if (argc <= first) {
		fprintf(stderr, "usage: skeleton [-l] FILE…\n");
		return 2;
	}
	_cleanup_buf_ struct buf text = { 0 };
	size_t text_bytes = 0, items = 0, macros = 0;
	int64_t best_ns = 0;
	for (int i = first; i < argc; i++) {
		buf_reset(&text);
		if (file_read(argv[i], SIZE_MAX, &text, &err) < 0) {
			fprintf(stderr, "skeleton: %s\n", err.text);
			return 1;
		}
		int64_t fastest_ns = INT64_MAX;
		for (int round = 0; round < (listing ? 1 : ROUNDS); round++) {
			_cleanup_arena_ struct arena arena = ARENA_INIT;
			struct skeleton skeleton;
			int64_t begin = clock_monotonic_ns();
			skeleton_make(buf_slice(&text), &arena, &skeleton);
			int64_t spent = clock_monotonic_ns() - begin;
			fastest_ns = spent < fastest_ns ? spent : fastest_ns;
			if (listing)
				list(argv[i], &skeleton);
			if (round > 0)
				continue;
			text_bytes += text.len;
			items += skeleton.n_items;
			macros += skeleton.n_macros;
		}
		best_ns += fastest_ns;
	}
	if (!listing)
		printf("%d files, %zu bytes in %.3f ms: %.2f GB/s; %zu items, %zu macros\n",
			argc - first, text_bytes, (double)best_ns / 1e6, (double)text_bytes / (double)best_ns, items, macros);
	return 0;
}
