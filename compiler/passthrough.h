/* Options for the programs behind the driver: -Wa,… and -Xassembler, -Xclang, -mllvm. Each list holds what is known to touch no file; the rest is local. */
#pragma once

#include <stdbool.h>

/* What one argument for the assembler is. */
enum assembler_option {
	ASSEMBLER_UNKNOWN,
	ASSEMBLER_HARMLESS,
	ASSEMBLER_HARMLESS_PAIR, /* the next argument is its value (--defsym, -I) */
	ASSEMBLER_DIRECTORY,	 /* -Idir */
	ASSEMBLER_DIRECTORY_PAIR,
};
enum assembler_option passthrough_assembler(const char *arg);

/* 0: unknown; 1: harmless; 2: harmless with the argument after it. For clang -cc1. */
int passthrough_cc1(const char *arg);

/* Whether an LLVM option (after -mllvm) is harmless. */
bool passthrough_llvm(const char *arg);
