/* The little of ELF that it takes to gather a program's libraries and to move it to where its loader has another name. Takes bytes, does no
 * I/O. 64-bit and little-endian only: what Lambda runs. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct elf {
	uint16_t machine;	 /* EM_X86_64, EM_AARCH64, … */
	const char *interpreter; /* the loader; NULL: none, a static program or a library */
	const char *soname;	 /* NULL: none */
	const char *rpath;	 /* DT_RPATH, DT_RUNPATH: as written, colons between directories; NULL: none */
	const char *runpath;
	const char **needed;
	size_t n_needed;
	/* Private: places in the file. */
	size_t interpreter_at, interpreter_bytes;
	size_t dynamic_at, n_dynamic;
};

enum elf_outcome { ELF_NOT = 1 };

/* Strings are in `arena`. ELF_NOT: the file is no ELF object, or not of 64-bit little-endian kind. -1: it is one, and damaged. */
int elf_parse(struct slice file, struct arena *arena, struct elf *ret, struct error *err);

/* Write `path` over the name of the loader; `elf` is what elf_parse said of these bytes. -1: it is longer than what stands there. */
int elf_set_interpreter(struct buf *file, const struct elf *elf, const char *path, struct error *err);

/* Make the loader pass over the object's own search path (DT_RPATH, DT_RUNPATH). */
void elf_blank_search_path(struct buf *file, const struct elf *elf);
