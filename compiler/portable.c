#include "compiler/portable.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

enum { CHUNK = 8 }; /* of a string that instructions put together: an immediate operand of 64 bits */

const char *portable_name(enum portable why)
{
	static const char *const names[] = { "",
#define X(enumerator, name, text) #name,
		PORTABLE_TABLE(X)
#undef X
	};
	return names[why];
}

const char *portable_text(enum portable why)
{
	static const char *const texts[] = { "",
#define X(enumerator, name, text) text,
		PORTABLE_TABLE(X)
#undef X
	};
	return texts[why];
}

bool portable_is_plain(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-@";
	return path[strspn(path, plain)] == '\0';
}

/* `text` with every run of slashes, and slashes with dots between them, made one. */
static void collapse(const char *text, struct buf *ret)
{
	for (const char *p = text; *p; p++) {
		buf_append_char(ret, *p);
		while (*p == '/' && (p[1] == '/' || (p[1] == '.' && p[2] == '/')))
			p += p[1] == '/' ? 1 : 2;
	}
}

bool portable_names(const char *text, const char *base)
{
	/* Most texts don't even have its first name. */
	size_t n = 1 + strcspn(base + 1, "/");
	if (!memmem(text, strlen(text), base, n))
		return false;
	_cleanup_buf_ struct buf plain = { 0 };
	collapse(text, &plain);
	return strstr(buf_str(&plain), base) != NULL;
}

/* --- Object files ----------------------------------------------------------------------------------------------- */

/* An ELF file of either size and byte order. Once something lay outside, everything does. */
struct object {
	struct slice bytes;
	bool wide, big;
	bool damaged;
};

static uint64_t number_at(struct object *object, uint64_t at, unsigned n)
{
	if (object->damaged || at > object->bytes.len || n > object->bytes.len - at) {
		object->damaged = true;
		return 0;
	}
	uint64_t value = 0;
	for (unsigned i = 0; i < n; i++)
		value |= (uint64_t)(uint8_t)object->bytes.ptr[at + i] << 8 * (object->big ? n - 1 - i : i);
	return value;
}

/* A field of either size's structure. */
#define FIELD(object, at, type, field)                                                                                \
	((object)->wide ? number_at(object, (at) + offsetof(Elf64_##type, field), sizeof(((Elf64_##type *)0)->field)) \
			: number_at(object, (at) + offsetof(Elf32_##type, field), sizeof(((Elf32_##type *)0)->field)))

static bool is_opaque_name(struct object *object, uint64_t at)
{
	static const char *const prefixes[] = { ".zdebug", ".gnu.lto_", ".gnu.debuglto_", ".llvm.lto", ".llvmbc", ".llvmcmd", "__llvm_prf", "__llvm_cov" };
	if (at >= object->bytes.len || !memchr(object->bytes.ptr + at, '\0', object->bytes.len - at)) {
		object->damaged = true;
		return true;
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(object->bytes.ptr + at, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* Whether all that the sections of an ELF file hold is there as it is. */
static bool is_searchable(struct slice bytes)
{
	struct object object = { bytes, bytes.ptr[EI_CLASS] == ELFCLASS64, bytes.ptr[EI_DATA] == ELFDATA2MSB, false };
	uint64_t table = FIELD(&object, 0, Ehdr, e_shoff), n = FIELD(&object, 0, Ehdr, e_shnum);
	uint64_t bytes_each = FIELD(&object, 0, Ehdr, e_shentsize), names = FIELD(&object, 0, Ehdr, e_shstrndx);
	if (object.damaged || table == 0 || table > bytes.len || bytes_each < (object.wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return false;
	if (n == 0) /* more than the header can say */
		n = FIELD(&object, table, Shdr, sh_size);
	if (names == SHN_XINDEX)
		names = FIELD(&object, table, Shdr, sh_link);
	if (object.damaged || n > (bytes.len - table) / bytes_each || names >= n)
		return false;
	uint64_t strings = FIELD(&object, table + names * bytes_each, Shdr, sh_offset);
	for (uint64_t i = 1; i < n; i++) {
		uint64_t section = table + i * bytes_each;
		uint64_t name = FIELD(&object, section, Shdr, sh_name), place;
		if (FIELD(&object, section, Shdr, sh_flags) & SHF_COMPRESSED || __builtin_add_overflow(strings, name, &place) ||
			is_opaque_name(&object, place))
			return false;
	}
	return !object.damaged;
}

/* --- Outputs ---------------------------------------------------------------------------------------------------- */

/* Whether the first bytes of `path` occur, each in `width` bytes. */
static bool occurs(struct slice text, const char *path, unsigned width, bool big)
{
	char needle[CHUNK * sizeof(uint32_t)] = { 0 };
	size_t n = strnlen(path, CHUNK);
	for (size_t i = 0; i < n; i++)
		needle[i * width + (big ? width - 1 : 0)] = path[i];
	return memmem(text.ptr, text.len, needle, n * width);
}

enum portable portable_examine(struct slice output, const char *base)
{
	if (output.len == 0)
		return PORTABLE;
	static const unsigned widths[] = { sizeof(char), sizeof(uint16_t), sizeof(uint32_t) };
	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		if (occurs(output, base, widths[i], false) || occurs(output, base, widths[i], true))
			return PORTABLE_CONTAINS_PATH;
	bool object = output.len > EI_NIDENT && memcmp(output.ptr, ELFMAG, SELFMAG) == 0;
	if (object ? !is_searchable(output) : memchr(output.ptr, '\0', output.len) != NULL)
		return PORTABLE_OPAQUE;
	return PORTABLE;
}

/* --- Options ---------------------------------------------------------------------------------------------------- */

/* By their beginnings. */
static const char *const refused[] = {
	"-S",		      /* strings are broken in the middle there */
	"-save-temps", "--save-temps",
	"-flto",	      /* compressed, or bitcode */
	"-fembed-bitcode", "-emit-llvm",
	"-fprofile", "-fcs-profile", "-fauto-profile", "-fmemory-profile", "-fpseudo-probe", /* names with another separator, compressed, hashed */
	"-fcoverage", "-ftest-coverage", "--coverage", "-coverage",
	"-funique-internal-linkage-names", /* hashes of the source's path */
	"-gsplit-dwarf", "-fdebug-types-section", /* signatures */
	"-fcanon-prefix-map",
	"-fexec-charset", "-fwide-exec-charset", /* another spelling of everything */
	"-fsave-optimization-record", /* compressed */
	"-fsanitize-ignorelist", "-fsanitize-blacklist", "-fsanitize-coverage-", "-fxray-", "-finstrument-functions-exclude-file-list", /* patterns of paths */
	"-fcallgraph-info", "-fdump", "-fmodule",
};

/* -ffile-prefix-map=OLD=NEW and the like, when OLD takes a part of the base's path away: elsewhere it takes away another part, or none. */
static bool maps_part_of(const char *argument, const char *base)
{
	const char *map = strstr(argument, "prefix-map");
	const char *old = map ? strpbrk(map, "=,") : NULL; /* -Wa,--debug-prefix-map,OLD=NEW */
	if (!old)
		return map != NULL; /* in another argument */
	const char *end = strchr(old + 1, '=');
	size_t n = end ? (size_t)(end - old - 1) : strlen(old + 1);
	return n < strlen(base) && strncmp(old + 1, base, n) == 0;
}

const char *portable_refused_option(const char *const *argv, size_t argc, const char *base)
{
	for (size_t i = 1; i < argc; i++) {
		const char *argument = argv[i];
		for (size_t k = 0; k < sizeof(refused) / sizeof(*refused); k++)
			if (strncmp(argument, refused[k], strlen(refused[k])) == 0)
				return refused[k];
		if (maps_part_of(argument, base) || (strstr(argument, "random-seed") && strstr(argument, base)))
			return argument;
	}
	return NULL;
}
