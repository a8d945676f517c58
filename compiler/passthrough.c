#include "compiler/passthrough.h"

#include <stddef.h>
#include <string.h>

/* Whether `arg` equals an entry, or starts with it when the entry ends in '*'. */
static bool in_list(const char *arg, const char *const *list)
{
	for (; *list; list++) {
		size_t n = strlen(*list);
		if ((*list)[n - 1] == '*' ? strncmp(arg, *list, n - 1) == 0 : strcmp(arg, *list) == 0)
			return true;
	}
	return false;
}

/* gas's own (as --help), of x86 and arm. Not here: -a… (listings), --MD, -o, --statistics, -v, @file. */
static const char *const assembler_harmless[] = {
	"--32",
	"--64",
	"--x32",
	"--alternate",
	"--compress-debug-sections*",
	"--debug-prefix-map*",
	"--divide",
	"--elf-stt-common*",
	"--execstack",
	"--fatal-warnings",
	"--gdwarf*",
	"--gen-debug",
	"--generate-missing-build-notes*",
	"--gstabs*",
	"--hash-size*",
	"--keep-locals",
	"--no-pad-sections",
	"--no-warn",
	"--nocompress-debug-sections",
	"--noexecstack",
	"--reduce-memory-overheads",
	"--sectname-subst",
	"--size-check*",
	"--strip-local-absolute",
	"--warn",
	"-D",
	"-EB",
	"-EL",
	"-L",
	"-R",
	"-W",
	"-f",
	"-g",
	"-gdwarf*",
	"-gen-debug",
	"-m*",
	"-n",
	"-k",
	NULL,
};

enum assembler_option passthrough_assembler(const char *arg)
{
	if (strcmp(arg, "-I") == 0)
		return ASSEMBLER_DIRECTORY_PAIR;
	if (strncmp(arg, "-I", 2) == 0)
		return ASSEMBLER_DIRECTORY;
	if (strcmp(arg, "--defsym") == 0 || strcmp(arg, "-defsym") == 0)
		return ASSEMBLER_HARMLESS_PAIR;
	/* Symbols: "-defsym,x=1", "--defsym=x=1". */
	if (strncmp(arg, "--defsym=", 9) == 0 || in_list(arg, assembler_harmless))
		return ASSEMBLER_HARMLESS;
	return ASSEMBLER_UNKNOWN;
}

static const char *const cc1_harmless[] = {
	"-D*",
	"-U*",
	"-W*",
	"-fno-*",
	"-cl-*",
	"-debug-info-kind=*",
	"-debugger-tuning=*",
	"-disable-O0-optnone",
	"-disable-free",
	"-disable-lifetime-markers",
	"-disable-llvm-optzns",
	"-disable-llvm-passes",
	"-disable-llvm-verifier",
	"-disable-noundef-analysis",
	"-disable-red-zone",
	"-discard-value-names",
	"-dwarf-*",
	"-enable-noundef-analysis",
	"-fcommon",
	"-fdeclare-opencl-builtins",
	"-fdefault-calling-conv=*",
	"-fdenormal-fp-math=*",
	"-fexperimental-*",
	"-ffake-address-space-map",
	"-ffp-contract=*",
	"-finclude-default-header",
	"-fms-*",
	"-fpatchable-function-entry*",
	"-fsanitize-coverage-*=*",
	"-ftrivial-auto-var-init*",
	"-fwchar-type=*",
	"-mframe-pointer=*",
	"-mrelax-relocations=*",
	"-mreassociate",
	"-menable-*",
	"-mno-*",
	"-mstack-*",
	"-no-opaque-pointers",
	"-opaque-pointers",
	"-relaxed-aliasing",
	"-std=*",
	"-vectorize-loops",
	"-vectorize-slp",
	"-w",
	NULL,
};
static const char *const cc1_harmless_pairs[] = {
	"-D",
	"-U",
	"-fdebug-compilation-dir",
	"-fmessage-length",
	"-ftabstop",
	"-internal-externc-isystem",
	"-internal-isystem",
	"-mrelocation-model",
	"-pic-level",
	"-target-abi",
	"-target-cpu",
	"-target-feature",
	"-tune-cpu",
	NULL,
};
/* Start like something harmless, yet name a file. */
static const char *const cc1_files[] = {
	"-fsanitize-coverage-allowlist=*",
	"-fsanitize-coverage-ignorelist=*",
	"-fsanitize-coverage-whitelist=*",
	"-fsanitize-coverage-blacklist=*",
	"-mlink-builtin-*",
	NULL,
};

int passthrough_cc1(const char *arg)
{
	if (in_list(arg, cc1_files))
		return 0;
	if (in_list(arg, cc1_harmless_pairs))
		return 2;
	return in_list(arg, cc1_harmless);
}

/* Switches and thresholds of passes. Whatever prints, dumps, times, loads or names a file is not here. */
static const char *const llvm_harmless[] = {
	"-aarch64-*",
	"-align-*",
	"-amdgpu-*",
	"-arm-*",
	"-asan-*",
	"-disable-*",
	"-enable-*",
	"-fast-isel*",
	"-force-*",
	"-global-isel*",
	"-hot-cold-split*",
	"-hwasan-*",
	"-import-*",
	"-inline*",
	"-instcombine-*",
	"-jump-threading-*",
	"-loop-*",
	"-max-*",
	"-memcpy*",
	"-min-*",
	"-msan-*",
	"-ppc-*",
	"-pragma-unroll-*",
	"-regalloc*",
	"-riscv-*",
	"-sanitizer-coverage-*",
	"-slp-*",
	"-sroa-*",
	"-stack-alignment*",
	"-tail-*",
	"-treat-scalable-*",
	"-tsan-*",
	"-two-entry-*",
	"-unroll*",
	"-vectorize*",
	"-vectorizer-*",
	"-x86-*",
	NULL,
};

bool passthrough_llvm(const char *arg)
{
	if (strchr(arg, '/'))
		return false;
	const char *value = strchr(arg, '=');
	if (value && strchr(value, '.'))
		return false;
	if (arg[0] == '-' && arg[1] == '-')
		arg++;
	return in_list(arg, llvm_harmless);
}
