/* Any bytes: parsed or refused; what is changed afterwards stays within the file and parses again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/elf_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf file = { 0 };
	struct elf elf;
	struct error err;
	if (elf_parse(slice_of(data, size), &arena, &elf, &err) != 0)
		return 0;
	size_t bytes = elf.soname ? strlen(elf.soname) : 0;
	for (size_t i = 0; i < elf.n_needed; i++)
		bytes += strlen(elf.needed[i]);
	assert(bytes <= size * (elf.n_needed + 1));
	buf_append(&file, data, size);
	elf_blank_search_path(&file, &elf);
	assert(file.len == size);
	if (elf.interpreter)
		(void)elf_set_interpreter(&file, &elf, "/llama/lib/ld.so", &err);
	/* Segments may overlap, so that the second finds other things, but never outside. */
	(void)elf_parse(buf_slice(&file), &arena, &elf, &err);
	return 0;
}
