#include "aws/image_links.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "worker/trace.h"

/* Sorted bytewise (see the test). /etc, /run and /var are directories of the image: the function's own resolver reads /etc/resolv.conf, and Lambda
 * has files of its own below /var. Nothing that the runtime's libc or OpenSSL trusts (hosts, nsswitch.conf, ld.so.preload, ssl) is linked. */
static const char *const fixed[] = {
	"/Users", /* also seen on Linux: macOS folders shared with a virtual machine */
	"/Volumes",
	"/__e", /* GitHub's container jobs */
	"/__t",
	"/__w",
	"/afs",
	"/android",
	"/aosp",
	"/app",
	"/apps",
	"/bazel",
	"/bin",
	"/boot",
	"/build",
	"/buildroot",
	"/builds", /* GitLab */
	"/cache",
	"/ci",
	"/code",
	"/compiler",
	"/cross",
	"/cvmfs",
	"/data",
	"/depot",
	"/develop",
	"/efs",
	"/emsdk",
	"/etc/SuSE-release",
	"/etc/almalinux-release",
	"/etc/alpine-release",
	"/etc/alternatives",
	"/etc/arch-release",
	"/etc/centos-release",
	"/etc/clang",
	"/etc/debian_version",
	"/etc/default",
	"/etc/env.d", /* Gentoo's choice of a compiler */
	"/etc/exherbo-release",
	"/etc/fedora-release",
	"/etc/gentoo-release",
	"/etc/group",
	"/etc/ld.so.cache",
	"/etc/ld.so.conf",
	"/etc/ld.so.conf.d",
	"/etc/locale.alias",
	"/etc/locale.conf",
	"/etc/locale.gen",
	"/etc/localtime",
	"/etc/lsb-release",
	"/etc/opt",
	"/etc/os-release",
	"/etc/passwd",
	"/etc/portage",
	"/etc/profiles", /* NixOS */
	"/etc/redhat-release",
	"/etc/rocky-release",
	"/etc/static",
	"/etc/system-release",
	"/etc/system-release-cpe",
	"/etc/timezone",
	"/etc/xdg",
	"/export",
	"/git",
	"/github",
	"/gitlab",
	"/gnu",
	"/go",
	"/gpfs",
	"/home",
	"/homes",
	"/host",
	"/ifs",
	"/jenkins",
	"/kernel",
	"/lib",
	"/lib32",
	"/lib64",
	"/libexec",
	"/libx32",
	"/linux",
	"/llvm",
	"/llvm-project",
	"/local",
	"/lustre",
	"/media",
	"/mnt",
	"/net",
	"/nfs",
	"/nix",
	"/opt",
	"/ostree",
	"/package",
	"/packages",
	"/pkg",
	"/prj",
	"/proj",
	"/project",
	"/projects",
	"/repo",
	"/repos",
	"/root",
	"/run/build", /* Flatpak's builder */
	"/run/current-system",
	"/run/host",
	"/run/media",
	"/run/user",
	"/run/wrappers",
	"/sbin",
	"/scratch",
	"/sdk",
	"/shared",
	"/site",
	"/snap",
	"/software",
	"/source",
	"/sources",
	"/spack",
	"/src",
	"/srv",
	"/storage",
	"/sw",
	"/sysroot",
	"/target",
	"/toolchain",
	"/toolchains",
	"/tools",
	"/u",
	"/user",
	"/users",
	"/usr",
	"/vagrant",
	"/var/backups",
	"/var/build",
	"/var/cache",
	"/var/db",
	"/var/games",
	"/var/guix",
	"/var/home", /* Fedora's immutable systems */
	"/var/jenkins_home",
	"/var/lib",
	"/var/local",
	"/var/log",
	"/var/mail",
	"/var/mnt",
	"/var/opt",
	"/var/roothome",
	"/var/run",
	"/var/snap",
	"/var/spool",
	"/var/srv",
	"/var/tmp",
	"/var/usrlocal",
	"/var/workspace",
	"/var/www",
	"/vol",
	"/volume",
	"/volumes",
	"/work",
	"/workdir",
	"/workspace",
	"/workspaces",
};

const struct image_links image_links_fixed = { fixed, sizeof(fixed) / sizeof(fixed[0]) };

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has(const struct image_links *links, const char *path)
{
	return bsearch(&path, links->paths, links->n, sizeof(*links->paths), compare) != NULL;
}

static bool is_system_name(const char *name)
{
	static const char *const names[] = { "dev", "etc", "llama", "lost+found", "proc", "run", "sys", "tmp", "var" };
	return bsearch(&name, names, sizeof(names) / sizeof(names[0]), sizeof(names[0]), compare) != NULL;
}

int image_links_read(const char *root, struct arena *arena, struct image_links *ret, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(root);
	if (!dir)
		return error_set(err, errno, "cannot list %s", root);
	size_t n = image_links_fixed.n, capacity = n + 64;
	const char **paths = arena_array(arena, const char *, capacity);
	memcpy(paths, fixed, sizeof(fixed));
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry && errno)
			return error_set(err, errno, "cannot list %s", root);
		if (!entry)
			break;
		const char *name = entry->d_name;
		if (name[0] == '.' || strlen(name) > IMAGE_LINK_NAME_BYTES || is_system_name(name))
			continue;
		const char *path = arena_printf(arena, "/%s", name);
		if (has(&image_links_fixed, path))
			continue;
		if (n == capacity) {
			const char **more = arena_array(arena, const char *, capacity *= 2);
			paths = memcpy(more, paths, n * sizeof(*paths));
		}
		paths[n++] = path;
	}
	qsort(paths, n, sizeof(*paths), compare);
	*ret = (struct image_links){ paths, n };
	return 0;
}

bool image_links_mirror(const struct image_links *links, const char *path)
{
	static const char *const own[] = { "/", "/dev/null", "/etc", "/run", "/tmp", "/var" };
	if (bsearch(&path, own, sizeof(own) / sizeof(own[0]), sizeof(own[0]), compare))
		return true;
	if (path_is_below(path, "/tmp"))
		return !path_is_below(path, IMAGE_TREE) && !path_is_below(path, "/tmp" TRACE_FOREIGN_PRIVATE);
	/* A link is a path's first component, or its first two. */
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	size_t one = 1 + strcspn(path + 1, "/");
	if (has(links, arena_strndup(&arena, path, one)))
		return true;
	if (path[one] == '\0')
		return false;
	size_t two = one + 1 + strcspn(path + one + 1, "/");
	return has(links, arena_strndup(&arena, path, two));
}
