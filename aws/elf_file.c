#include "aws/elf_file.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

/* A tag that glibc's loader has no use for outside of debuggers, in place of a search path's: nothing may be taken out of the middle. */
enum { BLANK_TAG = DT_DEBUG };

static bool within(struct slice file, uint64_t at, uint64_t bytes)
{
	return at <= file.len && bytes <= file.len - at;
}

/* The place in the file of what is loaded at `address`, by the segment that has it; false when none does. */
static bool place_of(struct slice file, const Elf64_Ehdr *header, uint64_t address, size_t *ret)
{
	for (size_t i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, file.ptr + header->e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
			address - segment.p_vaddr >= segment.p_filesz)
			continue;
		uint64_t at;
		if (__builtin_add_overflow(segment.p_offset, address - segment.p_vaddr, &at) || at >= file.len)
			return false;
		*ret = at;
		return true;
	}
	return false;
}

/* The string in the table at `table`, or NULL when it does not end within the file. */
static const char *string_at(struct slice file, size_t table, uint64_t offset, struct arena *arena)
{
	if (offset >= file.len - table)
		return NULL;
	const char *s = file.ptr + table + offset;
	size_t most = file.len - table - offset;
	size_t n = strnlen(s, most);
	return n < most ? arena_strndup(arena, s, n) : NULL;
}

static Elf64_Dyn dynamic_entry(struct slice file, const struct elf *elf, size_t i)
{
	Elf64_Dyn entry;
	memcpy(&entry, file.ptr + elf->dynamic_at + i * sizeof(entry), sizeof(entry));
	return entry;
}

static int parse_dynamic(
	struct slice file, const Elf64_Ehdr *header, struct arena *arena, struct elf *elf, struct error *err)
{
	uint64_t strings = 0;
	size_t table, n = 0;
	for (size_t i = 0; i < elf->n_dynamic; i++) {
		Elf64_Dyn entry = dynamic_entry(file, elf, i);
		if (entry.d_tag == DT_NULL)
			elf->n_dynamic = i;
		else if (entry.d_tag == DT_STRTAB)
			strings = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_NEEDED)
			n++;
	}
	if (elf->n_dynamic == 0)
		return 0;
	if (!place_of(file, header, strings, &table))
		return error_set(err, 0, "a damaged ELF file: its dynamic strings are nowhere");
	elf->needed = arena_array(arena, const char *, n + 1);
	for (size_t i = 0; i < elf->n_dynamic; i++) {
		Elf64_Dyn entry = dynamic_entry(file, elf, i);
		const char **to = entry.d_tag == DT_NEEDED    ? &elf->needed[elf->n_needed++]
				  : entry.d_tag == DT_SONAME  ? &elf->soname
				  : entry.d_tag == DT_RPATH   ? &elf->rpath
				  : entry.d_tag == DT_RUNPATH ? &elf->runpath
							      : NULL;
		if (to && !(*to = string_at(file, table, entry.d_un.d_val, arena)))
			return error_set(err, 0, "a damaged ELF file: a dynamic string lies outside");
	}
	return 0;
}

int elf_parse(struct slice file, struct arena *arena, struct elf *ret, struct error *err)
{
	Elf64_Ehdr header;
	struct elf elf = { 0 };
	if (file.len < sizeof(header) || memcmp(file.ptr, ELFMAG, SELFMAG) != 0 || file.ptr[EI_CLASS] != ELFCLASS64 ||
		file.ptr[EI_DATA] != ELFDATA2LSB)
		return ELF_NOT;
	memcpy(&header, file.ptr, sizeof(header));
	elf.machine = header.e_machine;
	if (header.e_phnum > 0 && (header.e_phentsize != sizeof(Elf64_Phdr) ||
					  !within(file, header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr))))
		return error_set(err, 0, "a damaged ELF file: its segments lie outside");
	for (size_t i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, file.ptr + header.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type != PT_INTERP && segment.p_type != PT_DYNAMIC)
			continue;
		if (!within(file, segment.p_offset, segment.p_filesz))
			return error_set(err, 0, "a damaged ELF file: a segment lies outside");
		if (segment.p_type == PT_DYNAMIC) {
			elf.dynamic_at = segment.p_offset;
			elf.n_dynamic = segment.p_filesz / sizeof(Elf64_Dyn);
			continue;
		}
		elf.interpreter_at = segment.p_offset;
		elf.interpreter_bytes = segment.p_filesz;
		if (segment.p_filesz == 0 || file.ptr[segment.p_offset + segment.p_filesz - 1] != '\0')
			return error_set(err, 0, "a damaged ELF file: the name of its loader has no end");
		elf.interpreter = arena_strdup(arena, file.ptr + segment.p_offset);
	}
	if (parse_dynamic(file, &header, arena, &elf, err) < 0)
		return -1;
	*ret = elf;
	return 0;
}

int elf_set_interpreter(struct buf *file, const struct elf *elf, const char *path, struct error *err)
{
	size_t bytes = strlen(path) + 1;
	if (bytes > elf->interpreter_bytes)
		return error_set(err, 0, "%s does not fit where the loader is called %s", path, elf->interpreter);
	memset(file->ptr + elf->interpreter_at, 0, elf->interpreter_bytes);
	memcpy(file->ptr + elf->interpreter_at, path, bytes);
	return 0;
}

void elf_blank_search_path(struct buf *file, const struct elf *elf)
{
	for (size_t i = 0; i < elf->n_dynamic; i++) {
		Elf64_Dyn entry = dynamic_entry(buf_slice(file), elf, i);
		if (entry.d_tag != DT_RPATH && entry.d_tag != DT_RUNPATH)
			continue;
		entry.d_tag = BLANK_TAG;
		memcpy(file->ptr + elf->dynamic_at + i * sizeof(entry), &entry, sizeof(entry));
	}
}
