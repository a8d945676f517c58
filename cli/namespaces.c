#include "cli/namespaces.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The number behind `field` in a file below /proc, or in the whole file without one; -1 when there is none. */
static long proc_number(const char *root, const char *path, const char *field)
{
	_cleanup_buf_ struct buf name = { 0 };
	buf_printf(&name, "%s%s", root, path);
	_cleanup_fclose_ FILE *file = fopen(name.ptr, "re");
	char line[256];
	size_t n = strlen(field);
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, field, n) == 0)
			return strtol(line + n, NULL, 10);
	return -1;
}

void namespaces_advise(const char *root, const char *profile, struct buf *to)
{
	bool known = false;
	if (proc_number(root, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "") == 1) {
		known = true;
		buf_append_str(to, "AppArmor denies user namespaces to programs without a profile (Ubuntu). ");
		if (profile)
			buf_printf(to,
				"The one for llama-runner:\n"
				"    sudo cp %s /etc/apparmor.d/llama && sudo apparmor_parser -r "
				"/etc/apparmor.d/llama\n",
				profile);
		else
			buf_append_str(to, "`make install` brings one; this allows them to every program:\n"
					   "    sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0\n");
	}
	if (proc_number(root, "/proc/sys/kernel/unprivileged_userns_clone", "") == 0) {
		known = true;
		buf_append_str(to,
			"The kernel allows them to root only:\n    sudo sysctl kernel.unprivileged_userns_clone=1\n");
	}
	if (proc_number(root, "/proc/sys/user/max_user_namespaces", "") == 0) {
		known = true;
		buf_append_str(to, "The kernel allows none at all:\n    sudo sysctl user.max_user_namespaces=10000\n");
	}
	if (proc_number(root, "/proc/self/status", "Seccomp:") == 2) {
		known = true;
		buf_append_str(to,
			"A filter of system calls (seccomp) is in force, as in a container. Docker and Podman permit "
			"them, to everything "
			"in the container, with\n"
			"    --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
			"systempaths=unconfined\n");
	}
	if (!known)
		buf_append_str(to,
			"No switch of the system that we know forbids them; below chroot(1) they are never allowed.\n");
}
