/* The shared libraries that programs need, found as the dynamic loader of this machine would find them (ld.so(8)): search paths of the objects, the
 * loader's cache, the usual directories; but never a variant for this machine's processor (glibc-hwcaps): they are to run on another. LD_LIBRARY_PATH is no
 * argument: it says nothing about the next user. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct library {
	const char *name; /* as it is asked for: "libc.so.6" */
	const char *path; /* where it is at home */
	struct buf bytes; /* its own search path blanked (elf_file.h) */
};

struct libraries {
	struct arena arena;
	uint16_t machine;      /* of all of them, and of the programs */
	struct buf loader;     /* empty: no program has one */
	struct library *items; /* sorted by name; without the loader */
	size_t n;
};

struct libraries_program {
	const char *path;
	struct buf bytes; /* owned by the caller; filled: the program, made to start by the loader `loader_path` */
};

/* Read the programs and whatever they need, and what libc loads on its own (libgcc_s, when a thread ends). A program that has a loader must have the
 * run path `directory` (elf_file.h), where its libraries will be, with the loader at `loader_path`; objects without one (static programs, the interposer)
 * are taken as they are, and nothing is gathered for them. `ld_cache` is a file, usually /etc/ld.so.cache; it may be absent. `ret` wants
 * deinit in every case. -1: `err` names what is missing, who needs it, and what to do. */
int libraries_gather(struct libraries_program *programs, size_t n_programs, const char *directory,
	const char *loader_path, const char *ld_cache, struct libraries *ret, struct error *err);
void libraries_deinit(struct libraries *libraries); /* { 0 } is allowed */

/* Where a loader's cache (the file's bytes) has `name` for `machine`: a string inside it, or NULL. */
const char *libraries_in_cache(struct slice cache, uint16_t machine, const char *name);
