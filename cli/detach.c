#include "cli/detach.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

/* Documented in llama-daemon(1). A name that ends in `*` is a prefix. */
static const char *const kept_variables[] = { "HOME", "USER", "LOGNAME", "PATH", "LANG", "LANGUAGE", "LC_*", "TZ",
	"TMPDIR", "XDG_*", "LLAMA_*", "LLAMACC_SANDBOX", "AWS_*", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
	"ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", NULL };

static bool is_kept(const char *assignment)
{
	size_t n = strcspn(assignment, "=");
	for (const char *const *name = kept_variables; *name; name++) {
		size_t length = strlen(*name);
		bool prefix = (*name)[length - 1] == '*';
		if (prefix ? strncmp(assignment, *name, length - 1) == 0
			   : n == length && memcmp(assignment, *name, n) == 0)
			return true;
	}
	return false;
}

int detach_reduce_environment(struct error *err)
{
	_cleanup_arena_ struct arena names = ARENA_INIT;
	for (char **at = environ; at && *at;) {
		size_t n = strcspn(*at, "=");
		if (is_kept(*at) || n == 0) {
			at++;
			continue;
		}
		const char *name = arena_strndup(&names, *at, n);
		const char *before = *at;
		if (unsetenv(name) < 0)
			return error_set(err, errno, "cannot unset %s", name);
		if (*at == before) /* an entry without `=`, which unsetenv doesn't find */
			at++;
	}
	return 0;
}

int detach_raise_limits(unsigned *before_ret, struct error *err)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_set(err, errno, "cannot read the limit of open files");
	unsigned before = files.rlim_cur < UINT_MAX ? (unsigned)files.rlim_cur : 0;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_set(err, errno, "cannot raise the limit of open files");
	*before_ret = before;
	return 0;
}

int detach_from_caller(struct error *err)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			signal(number, SIG_DFL);
	umask(077);
	if (setsid() < 0)
		return error_set(err, errno, "cannot begin a session");
	if (chdir("/") < 0)
		return error_set(err, errno, "cannot change to /");
	int null = open("/dev/null", O_RDWR);
	if (null < 0)
		return error_set(err, errno, "cannot open /dev/null");
	for (int fd = 0; fd <= 2; fd++)
		if (fd != null && dup2(null, fd) < 0)
			return error_set(err, errno, "cannot redirect descriptor %d", fd);
	if (close_range(3, ~0U, 0) < 0)
		return error_set(err, errno, "cannot close the caller's descriptors");
	return 0;
}
