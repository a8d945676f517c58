#include "client/probe.h"

#include <string.h>

#include "base/path.h"
#include "base/slice.h"

static bool in_probe_directory(const char *path)
{
	static const char *const marks[] = { "CMakeFiles/CMakeTmp", "CMakeFiles/CMakeScratch",
		"CMakeScratch/TryCompile-", "CompilerIdC", "cmTC_", "meson-private", NULL };
	for (const char *const *mark = marks; *mark; mark++)
		if (strstr(path, *mark))
			return true;
	return false;
}

static bool is_probe_file(const char *path)
{
	static const char *const prefixes[] = { "conftest.", "CMakeCCompilerId", "CMakeCXXCompilerId",
		"CMakeCCompilerABI", "CMakeCXXCompilerABI", "sanitycheckc", "sanitycheckcpp", NULL };
	struct slice name = slice_str(path_basename(path));
	for (const char *const *prefix = prefixes; *prefix; prefix++)
		if (slice_has_prefix(name, *prefix))
			return true;
	return in_probe_directory(path);
}

bool probe_is_likely(const char *cwd, const char *const *argv)
{
	if (in_probe_directory(cwd))
		return true;
	bool names_file = false;
	for (size_t i = 1; argv[i]; i++) {
		const char *arg = argv[i];
		if (arg[0] == '-') {
			/* The word after these is no input. */
			if ((strcmp(arg, "-x") == 0 || strcmp(arg, "-o") == 0) && argv[i + 1])
				i++;
			continue;
		}
		if (is_probe_file(arg))
			return true;
		names_file |= strcmp(arg, "/dev/null") != 0;
	}
	return !names_file;
}
