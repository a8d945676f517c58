/* What an executable file is. In a header alone, because the interposer has nothing but libc. */
#pragma once

#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

enum program_kind {
	PROGRAM_OTHER,	 /* a script, or nothing that can be read */
	PROGRAM_DYNAMIC, /* the loader maps what LD_PRELOAD names */
	PROGRAM_STATIC,	 /* there is no loader, or one of another class: nobody sees what it does */
};

static inline enum program_kind program_kind(int fd)
{
	ElfW(Ehdr) header;
	ElfW(Phdr) segment;
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return PROGRAM_OTHER;
	if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return PROGRAM_STATIC;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), (off_t)(header.e_phoff + i * sizeof(segment))) != sizeof(segment))
			break;
		if (segment.p_type == PT_INTERP)
			return PROGRAM_DYNAMIC;
	}
	return PROGRAM_STATIC;
}
