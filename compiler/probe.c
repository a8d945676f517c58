#include "compiler/probe.h"

#include <ctype.h>
#include <string.h>

/* Directories that only probes live in. */
static bool is_probe_dir(const char *path)
{
	static const char *const parts[] = {
		"/CMakeFiles/CMakeTmp",							/* CMake before 3.25 */
		"/CMakeFiles/CMakeScratch",						/* and after */
		"/CMakeFiles/ShowIncludes", "/cmTC_", "/meson-private/tmp", "/ffconf.", /* FFmpeg */
		"/config.tests/",							/* Qt 5 */
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strstr(path, parts[i]) || strncmp(path, parts[i] + 1, strlen(parts[i]) - 1) == 0)
			return true;
	}
	/* CMakeFiles/3.25.1/CompilerIdC */
	return strstr(path, "CMakeFiles/") && strstr(path, "/CompilerId");
}

static bool is_probe_name(const char *name)
{
	static const struct {
		const char *start;
		bool any_end; /* else a dot, a digit, an underscore or the end must follow */
	} names[] = {
		{ "conftest", false },
		{ "cmTC_", true },
		{ "CMakeCCompilerId.", true },
		{ "CMakeCXXCompilerId.", true },
		{ "CMakeCCompilerABI.", true },
		{ "CMakeCXXCompilerABI.", true },
		{ "sanitycheckc.", true },
		{ "sanitycheckcpp.", true },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i].start);
		if (strncmp(name, names[i].start, n) == 0 && (names[i].any_end || !name[n] || name[n] == '.' ||
								     name[n] == '_' || isdigit((unsigned char)name[n])))
			return true;
	}
	return false;
}

bool probe_command(const char *const *argv, size_t argc, const char *cwd)
{
	if (cwd && is_probe_dir(cwd))
		return true;
	for (size_t i = 1; i < argc; i++) {
		const char *arg = argv[i];
		if (arg[0] == '-')
			continue;
		const char *slash = strrchr(arg, '/');
		if (is_probe_name(slash ? slash + 1 : arg) || (slash && is_probe_dir(arg)))
			return true;
	}
	return false;
}
