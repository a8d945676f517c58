#include "runtime/secrets.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/slice.h"

static bool is_secret(const char *variable)
{
	struct slice s = slice_str(variable);
	return slice_has_prefix(s, "AWS_") || slice_has_prefix(s, "_AWS_") || slice_has_prefix(s, "_X_AMZN_") ||
	       slice_has_prefix(s, "LAMBDA_");
}

char **secrets_take(struct error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0) {
		error_set(err, errno, "cannot become undumpable");
		return NULL;
	}
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0) {
		error_set(err, errno, "cannot forbid core files");
		return NULL;
	}
	size_t n = 0;
	while (environ[n])
		n++;
	char **taken = calloc(n + 1, sizeof(*taken));
	if (!taken)
		abort();
	char **keep = environ, **take = taken;
	for (char **p = environ; *p; p++) {
		if (!is_secret(*p)) {
			*keep++ = *p;
			continue;
		}
		*take = strdup(*p);
		if (!*take++)
			abort();
		explicit_bzero(*p, strlen(*p));
	}
	*keep = NULL;
	return taken;
}
