/* llama-interpose.so: preloaded into the processes of a job, writes what they ask of the file system into the look-up log (worker/trace.h), and
 * gives outputs their temporary names when a job runs in place.
 *
 * How it works. Every libc function that takes a path and that compilers, assemblers and their libraries import (see the test against strace) is
 * defined here under its own name. Plain ones become the raw system call, which is what libc does too; those with more to them (stdio, realpath, PATH
 * search) call the next definition. Wrappers are static functions exported by EXPORT(), so that neither libc's prototypes nor its
 * macros for the 64-bit variants get in the way; a `struct stat` is the kernel's on every 64-bit machine.
 *
 * Under a foreign root (worker/trace.h) home's tree stands below a directory that the processes must not learn of. Every absolute path they name is
 * looked up below it, and it is taken off again from what the kernel answers with and from what is logged. What gets to the kernel without us (the
 * loader, exec, libc's own files) goes by symlinks at the real root, which nobody sees who asks through us.
 *
 * It runs between vfork and exec, in signal handlers and before anybody's constructors: it never allocates, takes no lock, keeps no state but
 * the mapping and the cwd it started in, and changes neither errno nor a result. Redirected paths and a foreign root are the exceptions.
 *
 * What libc opens for itself (loader, locale, gconv) passes us by: objects are read from the loader's list, mapped files from /proc/self/maps at exit. */
#include <alloca.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <locale.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "worker/program.h"
#include "worker/trace.h"

#define EXPORT(name, function) __asm__(".globl " #name "\n\t.type " #name ", STT_FUNC\n\t.set " #name ", " #function)
#define WRAPPER		       static __attribute__((used))

/* The definition behind ours, resolved when the library comes up or at the first call, whichever is earlier. */
#define NEXT(name)    ((__typeof__(name) *)next_symbol(&next_##name, #name))
#define NEXT_OF(name) static void *next_##name

static void *next_symbol(void **slot, const char *name)
{
	void *function = __atomic_load_n(slot, __ATOMIC_RELAXED);
	if (!function) {
		function = dlsym(RTLD_NEXT, name);
		__atomic_store_n(slot, function, __ATOMIC_RELAXED);
	}
	return function;
}

NEXT_OF(euidaccess);
NEXT_OF(execvpe);
NEXT_OF(faccessat);
NEXT_OF(fchmodat);
NEXT_OF(fdopendir);
NEXT_OF(fopen);
NEXT_OF(freopen);
NEXT_OF(get_current_dir_name);
NEXT_OF(getcwd);
NEXT_OF(ioctl);
NEXT_OF(isatty);
NEXT_OF(localtime);
NEXT_OF(mkdtemp);
NEXT_OF(mkostemps);
NEXT_OF(opendir);
NEXT_OF(popen);
NEXT_OF(posix_spawn);
NEXT_OF(posix_spawn_file_actions_addopen);
NEXT_OF(posix_spawnp);
NEXT_OF(realpath);
NEXT_OF(scandir);
NEXT_OF(scandirat);
NEXT_OF(system);
NEXT_OF(tcgetattr);
NEXT_OF(utime);
NEXT_OF(utimes);

/* The log. */

static struct trace_header *trace; /* NULL: nobody is listening */
static bool ready;		   /* set_up() ran */
static bool moved;		   /* the process called chdir: `start` and `pwd` no longer hold */
static char start[PATH_MAX];	   /* cwd at the start */
static size_t start_len;
static const char
	*pwd; /* $PWD where it names the same directory by another text; else NULL; only when there are redirects */
static unsigned long n_loaded; /* objects the loader had mapped when we last looked */
static char foreign[256];      /* the foreign root */
static size_t foreign_len;     /* 0: there is none */
static size_t foreign_dir_len; /* of the directory it is in */

static void set_up(void);

static bool tracing(void)
{
	if (!ready)
		set_up();
	return trace != NULL;
}

static void spoil(void)
{
	__atomic_store_n(&trace->overflow, 1, __ATOMIC_RELAXED);
}

/* A foreign root. */

static bool is_below(const char *path, const char *dir, size_t len)
{
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* How many bytes of an absolute path that the kernel gave are the foreign root's. */
static size_t foreign_part(const char *path, size_t len)
{
	return foreign_len > 0 && len >= foreign_len && memcmp(path, foreign, foreign_len) == 0 &&
			       (len == foreign_len || path[foreign_len] == '/')
		       ? foreign_len
		       : 0;
}

/* The same path as at home, in place; its new length, without the NUL. */
static size_t make_nominal(char *path, size_t len)
{
	size_t n = foreign_part(path, len);
	if (n == 0)
		return len;
	if (n == len)
		path[--n] = '/';
	memmove(path, path + n, len - n);
	return len - n;
}

static void make_nominal_string(char *path)
{
	path[make_nominal(path, strlen(path))] = '\0';
}

/* What of `path` goes behind the foreign root, beginning with a slash; NULL: it is looked up as it is. */
static const char *part_behind_root(const char *path)
{
	static const char *const real[] = { "/proc", "/dev", "/sys", TRACE_FOREIGN_OWN };
	if (!tracing() || foreign_len == 0 || !path || path[0] != '/')
		return NULL;
	for (;;) { /* "//", "/./" and "/../" lead nowhere else */
		const char *name = path + strspn(path, "/");
		size_t n = strcspn(name, "/");
		if (n == 0)
			return "/";
		if (name[0] != '.' || n > 2 || (n == 2 && name[1] != '.')) {
			path = name - 1;
			break;
		}
		path = name + n;
	}
	for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++)
		if (is_below(path, real[i], strlen(real[i])))
			return NULL;
	if (is_below(path, foreign, foreign_len) ||
		(strncmp(path, foreign, foreign_dir_len) == 0 &&
			is_below(path + foreign_dir_len, TRACE_FOREIGN_PRIVATE, strlen(TRACE_FOREIGN_PRIVATE))))
		return NULL;
	return path;
}

/* `path` as the kernel is asked for it; on the caller's stack if it is another. */
#define MAPPED(path)                                                            \
	({                                                                      \
		const char *mapped_ = (path), *behind_ = part_behind_root(mapped_); \
		if (behind_) {                                                  \
			size_t size_ = strlen(behind_) + 1;                     \
			char *to_ = alloca(foreign_len + size_);                \
			memcpy(to_, foreign, foreign_len);                      \
			memcpy(to_ + foreign_len, behind_, size_);              \
			mapped_ = to_;                                          \
		}                                                               \
		mapped_;                                                        \
	})

/* The directory that a relative path starts from, in `buffer` or elsewhere; its length, 0 if there is none to be known. */
static size_t base_of(int dirfd, char buffer[PATH_MAX], const char **ret)
{
	*ret = buffer;
	if (dirfd == AT_FDCWD) {
		if (!moved) {
			*ret = start;
			return start_len;
		}
		long n = syscall(SYS_getcwd, buffer, PATH_MAX);
		return n > 1 && buffer[0] == '/' ? (size_t)n - 1 : 0;
	}
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	long n = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX);
	return n > 0 && n < PATH_MAX && buffer[0] == '/' ? (size_t)n : 0;
}

/* Append one record. Keeps errno. */
static void record_bytes(enum trace_op op, int dirfd, const char *path, size_t len)
{
	if (!tracing() || __atomic_load_n(&trace->overflow, __ATOMIC_RELAXED))
		return;
	int saved = errno;
	char buffer[PATH_MAX];
	const char *base = "";
	size_t base_len = 0;
	bool relative = len == 0 || path[0] != '/';
	if (relative)
		base_len = base_of(dirfd, buffer, &base);
	bool lost = relative && base_len == 0;
	size_t root = foreign_part(relative ? base : path, relative ? base_len : len);
	if (relative) {
		base += root;
		base_len -= root;
	} else if (root > 0) {
		path = root < len ? path + root : "/";
		len = root < len ? len - root : 1;
	}
	size_t total = relative ? base_len + 1 + len : len;
	if (lost || total > UINT16_MAX) {
		spoil();
	} else {
		uint32_t size = trace_record_size((uint32_t)total);
		uint32_t at = __atomic_fetch_add(&trace->used, size, __ATOMIC_RELAXED);
		if (at > trace->size || trace->size - at < size) {
			spoil();
		} else {
			char *to = (char *)trace + at + 4;
			if (relative) {
				memcpy(to, base, base_len);
				to += base_len;
				*to++ = '/';
			}
			memcpy(to, path, len);
			__atomic_store_n(
				(uint32_t *)((char *)trace + at), trace_word(op, (uint32_t)total), __ATOMIC_RELEASE);
		}
	}
	errno = saved;
}

/* No record for an empty path: it is refused whatever the file system holds. */
static void record(enum trace_op op, int dirfd, const char *path)
{
	if (path && path[0] != '\0')
		record_bytes(op, dirfd, path, strlen(path));
}

static int examine(int dirfd, const char *path, struct stat *st, int flags)
{
	const char *real = MAPPED(path);
	return (int)syscall(SYS_newfstatat, dirfd, real, st, flags);
}

static enum trace_op op_of_mode(mode_t mode)
{
	return S_ISREG(mode)   ? TRACE_FOUND
	       : S_ISDIR(mode) ? TRACE_DIRECTORY
	       : S_ISLNK(mode) ? TRACE_LINK
			       : TRACE_SPECIAL;
}

/* The call on `path` failed with errno. Keeps it. */
static void record_failure(int dirfd, const char *path)
{
	if (!path || !tracing())
		return;
	int saved = errno;
	size_t len = strlen(path);
	struct stat st;
	if (saved == EINTR || saved == EFAULT) {
		/* says nothing about the path */
	} else if (saved == ENOTDIR && len > 1 && len < PATH_MAX && path[len - 1] == '/') {
		/* "file/" is absent although "file" isn't, and the log's reader drops the slash. */
		char copy[PATH_MAX];
		while (len > 1 && path[len - 1] == '/')
			len--;
		memcpy(copy, path, len);
		copy[len] = '\0';
		record_bytes(
			examine(dirfd, copy, &st, 0) == 0 ? op_of_mode(st.st_mode) : TRACE_ABSENT, dirfd, path, len);
	} else if (saved == ENOENT || saved == ENOTDIR) {
		record(TRACE_ABSENT, dirfd, path);
	} else if ((saved == EEXIST || saved == EISDIR || saved == ENOTEMPTY) && examine(dirfd, path, &st, 0) == 0) {
		record(op_of_mode(st.st_mode), dirfd, path);
	} else {
		record(TRACE_SPECIAL, dirfd, path);
	}
	errno = saved;
}

/* `path` was given, `real` was used and exists. */
static void record_existing(int dirfd, const char *path, const char *real)
{
	if (!tracing())
		return;
	int saved = errno;
	struct stat st;
	if (examine(dirfd, real, &st, 0) == 0)
		record(op_of_mode(st.st_mode), dirfd, path);
	else
		record_failure(dirfd, path); /* it vanished meanwhile */
	errno = saved;
}

static void record_question(int dirfd, const char *path, const char *real, bool found)
{
	if (found)
		record_existing(dirfd, path, real);
	else
		record_failure(dirfd, path);
}

/* An effect, or the failure to have it. */
static void record_effect(int dirfd, const char *path, bool done)
{
	if (done)
		record(TRACE_WRITTEN, dirfd, path);
	else
		record_failure(dirfd, path);
}

/* Redirects. */

/* Whether base/path (or `path` alone if it is absolute), squeezed, is `target`. */
static bool names_target(const char *base, const char *path, const char *target)
{
	const char *parts[2] = { path[0] == '/' ? "" : base, path };
	for (int i = 0; i < 2; i++) {
		for (const char *p = parts[i]; *p != '\0';) {
			size_t n = strcspn(p, "/");
			if (n == 0) {
				p++;
				continue;
			}
			if (!(n == 1 && p[0] == '.')) {
				if (target[0] != '/' || strncmp(target + 1, p, n) != 0 ||
					(target[1 + n] != '/' && target[1 + n] != '\0'))
					return false;
				target += 1 + n;
			}
			p += n;
		}
	}
	return *target == '\0';
}

/* The path to use for `path`: itself, or the temporary of the output that it names. An output is named relative to the cwd as the kernel or as
 * $PWD says it, depending on the compiler. */
static const char *redirect(int dirfd, const char *path)
{
	if (!tracing() || trace->n_redirects == 0 || !path)
		return path;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *entry = (const char *)trace + trace->redirects;
	for (uint32_t i = 0; i < trace->n_redirects; i++) {
		const char *target = entry;
		const char *temporary = target + strlen(target) + 1;
		entry = temporary + strlen(temporary) + 1;
		if (strcmp(strrchr(target, '/') + 1, name) != 0)
			continue;
		int saved = errno;
		char buffer[PATH_MAX];
		const char *base = "";
		size_t len = path[0] == '/' ? 0 : base_of(dirfd, buffer, &base);
		if (base == buffer)
			buffer[len < PATH_MAX ? len : PATH_MAX - 1] = '\0';
		errno = saved;
		if (names_target(base, path, target))
			return temporary;
		if (pwd && !moved && dirfd == AT_FDCWD && names_target(pwd, path, target))
			return temporary;
	}
	return path;
}

/* The path for the kernel: both, of which a job has at most one. */
#define REAL(dirfd, path) MAPPED(redirect((dirfd), (path)))

/* Coming up. */

static int record_object(struct dl_phdr_info *info, size_t size, void *data)
{
	extern const char ours[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
	n_loaded = (unsigned long)info->dlpi_adds;
	if (info->dlpi_name && info->dlpi_name[0] == '/' && info->dlpi_addr != (ElfW(Addr))(uintptr_t)ours)
		record(TRACE_LOADED, AT_FDCWD, info->dlpi_name);
	return 0;
}

static struct trace_header *map_trace(const char *variable)
{
	if (!variable || variable[0] < '0' || variable[0] > '9')
		return NULL;
	int fd = atoi(variable);
	struct stat st;
	if (syscall(SYS_fstat, fd, &st) < 0 || st.st_size < (off_t)sizeof(struct trace_header) ||
		st.st_size > UINT32_MAX / 2)
		return NULL;
	struct trace_header *header = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return NULL;
	if (header->magic != TRACE_MAGIC || header->size != (uint32_t)st.st_size) {
		munmap(header, (size_t)st.st_size);
		return NULL;
	}
	return header;
}

static void set_up_root(const char *variable)
{
	const char *root = variable + strcspn(variable, ":");
	size_t len = *root ? strlen(++root) : 0;
	if (len == 0)
		return;
	if (root[0] != '/' || len >= sizeof(foreign)) {
		spoil();
		return;
	}
	memcpy(foreign, root, len);
	foreign_len = len;
	foreign_dir_len = (size_t)(strrchr(foreign, '/') - foreign);
}

/* Runs before the first wrapped call of anybody, in one thread. */
static void set_up(void)
{
	int saved = errno;
	ready = true;
	const char *variable = getenv(TRACE_VARIABLE);
	trace = map_trace(variable);
	if (trace) {
		set_up_root(variable);
		long n = syscall(SYS_getcwd, start, sizeof(start));
		start_len = n > 1 && start[0] == '/' ? (size_t)n - 1 : 0;
		struct stat there, here;
		pwd = trace->n_redirects > 0 ? getenv("PWD") : NULL;
		if (pwd && (pwd[0] != '/' || examine(AT_FDCWD, pwd, &there, 0) < 0 ||
				   examine(AT_FDCWD, ".", &here, 0) < 0 || there.st_dev != here.st_dev ||
				   there.st_ino != here.st_ino))
			pwd = NULL;
		__atomic_fetch_add(&trace->started, 1, __ATOMIC_RELAXED);
	}
	errno = saved;
}

static __attribute__((constructor)) void come_up(void)
{
	if (!tracing())
		return;
	int saved = errno;
	/* Resolved now, because dlsym() between vfork and exec is asking for trouble. */
	(void)NEXT(execvpe);
	(void)NEXT(posix_spawn);
	(void)NEXT(posix_spawnp);
	char program[PATH_MAX];
	long n = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", program, sizeof(program));
	if (n > 0)
		record_bytes(TRACE_LOADED, AT_FDCWD, program, (size_t)n);
	dl_iterate_phdr(record_object, NULL);
	errno = saved;
}

/* Record the files that are mapped: the locale archive, catalogues, converters, late libraries. */
static void record_mapped(void)
{
	long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) {
		spoil();
		return;
	}
	char bytes[2 * PATH_MAX], last[PATH_MAX] = "";
	size_t len = 0;
	for (;;) {
		ssize_t n = read((int)fd, bytes + len, sizeof(bytes) - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		char *line = bytes, *end;
		while ((end = memchr(line, '\n', len - (size_t)(line - bytes)))) {
			char *path = memchr(line, '/', (size_t)(end - line));
			size_t path_len = path ? (size_t)(end - path) : 0;
			*end = '\0';
			/* Mappings of one file follow each other. What has no name any more is no input; the memfd of the log is one of those. */
			if (path && path_len < sizeof(last) && strcmp(path, last) != 0 && !strstr(path, " (deleted)")) {
				memcpy(last, path, path_len + 1);
				struct stat st;
				if (examine(AT_FDCWD, path, &st, 0) == 0 && S_ISREG(st.st_mode))
					record(TRACE_LOADED, AT_FDCWD, path);
			}
			line = end + 1;
		}
		len -= (size_t)(line - bytes);
		memmove(bytes, line, len);
	}
	close((int)fd);
}

static int count_objects(struct dl_phdr_info *info, size_t size, void *data)
{
	*(unsigned long *)data = (unsigned long)info->dlpi_adds;
	return 1;
}

static __attribute__((destructor)) void go_down(void)
{
	if (!tracing())
		return;
	unsigned long now = 0;
	dl_iterate_phdr(count_objects, &now);
	const char *locale = setlocale(LC_ALL, NULL);
	if (now != n_loaded || (locale && strcmp(locale, "C") != 0))
		record_mapped();
}

/* open and its kin. */

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
}

static void record_open(int dirfd, const char *path, int flags, int fd)
{
	if (!tracing())
		return;
	if (fd < 0) {
		record_failure(dirfd, path);
	} else if ((flags & O_TMPFILE) == O_TMPFILE) {
		/* has no name */
	} else if (writes(flags)) {
		record(TRACE_WRITTEN, dirfd, path);
	} else {
		int saved = errno;
		struct stat st;
		if (syscall(SYS_fstat, fd, &st) == 0)
			record(op_of_mode(st.st_mode), dirfd, path);
		errno = saved;
	}
}

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
	const char *real = REAL(dirfd, path);
	int fd = (int)syscall(SYS_openat, dirfd, real, flags, mode);
	record_open(dirfd, path, flags, fd);
	return fd;
}

static mode_t mode_argument(int flags, va_list args)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

WRAPPER int wrap_open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_argument(flags, args);
	va_end(args);
	return do_open(AT_FDCWD, path, flags, mode);
}
EXPORT(open, wrap_open);
EXPORT(open64, wrap_open);
EXPORT(__open, wrap_open);
EXPORT(__open64, wrap_open);
EXPORT(__open_2, wrap_open);
EXPORT(__open64_2, wrap_open);

WRAPPER int wrap_openat(int dirfd, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_argument(flags, args);
	va_end(args);
	return do_open(dirfd, path, flags, mode);
}
EXPORT(openat, wrap_openat);
EXPORT(openat64, wrap_openat);
EXPORT(__openat_2, wrap_openat);
EXPORT(__openat64_2, wrap_openat);

WRAPPER int wrap_creat(const char *path, mode_t mode)
{
	return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
EXPORT(creat, wrap_creat);
EXPORT(creat64, wrap_creat);

static void record_fopen(const char *path, const char *mode, FILE *file)
{
	if (file && (mode[0] != 'r' || strchr(mode, '+')))
		record(TRACE_WRITTEN, AT_FDCWD, path);
	else if (file)
		record_open(AT_FDCWD, path, O_RDONLY, fileno(file));
	else
		record_failure(AT_FDCWD, path);
}

WRAPPER FILE *wrap_fopen(const char *path, const char *mode)
{
	const char *real = REAL(AT_FDCWD, path);
	FILE *file = NEXT(fopen)(real, mode);
	record_fopen(path, mode, file);
	return file;
}
EXPORT(fopen, wrap_fopen);
EXPORT(fopen64, wrap_fopen);

WRAPPER FILE *wrap_freopen(const char *path, const char *mode, FILE *stream)
{
	const char *real = REAL(AT_FDCWD, path);
	FILE *file = NEXT(freopen)(real, mode, stream);
	if (path) /* NULL: another mode for the file that is open */
		record_fopen(path, mode, file);
	return file;
}
EXPORT(freopen, wrap_freopen);
EXPORT(freopen64, wrap_freopen);

/* The clock, however a text came to ask for it. With SOURCE_DATE_EPOCH compilers call gmtime() instead. */

WRAPPER struct tm *wrap_localtime(const time_t *time)
{
	if (tracing())
		__atomic_store_n(&trace->clock, 1, __ATOMIC_RELAXED);
	return NEXT(localtime)(time);
}
EXPORT(localtime, wrap_localtime);

/* Temporary files: the name is known afterwards. */

/* The letters that libc chose, where it did so in another string than the caller's: of that, the caller's is the end. */
static void give_name(char *name, const char *real)
{
	if (real != name) {
		size_t len = strlen(name), real_len = strlen(real), n = len < real_len ? len : real_len;
		memcpy(name + len - n, real + real_len - n, n);
	}
}

WRAPPER int wrap_mkostemps(char *name, int suffix, int flags)
{
	char *real = (char *)MAPPED(name);
	int fd = NEXT(mkostemps)(real, suffix, flags);
	give_name(name, real);
	record_effect(AT_FDCWD, name, fd >= 0);
	return fd;
}
EXPORT(mkostemps, wrap_mkostemps);
EXPORT(mkostemps64, wrap_mkostemps);

WRAPPER int wrap_mkstemps(char *name, int suffix)
{
	return wrap_mkostemps(name, suffix, 0);
}
EXPORT(mkstemps, wrap_mkstemps);
EXPORT(mkstemps64, wrap_mkstemps);

WRAPPER int wrap_mkostemp(char *name, int flags)
{
	return wrap_mkostemps(name, 0, flags);
}
EXPORT(mkostemp, wrap_mkostemp);
EXPORT(mkostemp64, wrap_mkostemp);

WRAPPER int wrap_mkstemp(char *name)
{
	return wrap_mkostemps(name, 0, 0);
}
EXPORT(mkstemp, wrap_mkstemp);
EXPORT(mkstemp64, wrap_mkstemp);

WRAPPER char *wrap_mkdtemp(char *name)
{
	char *real = (char *)MAPPED(name);
	char *made = NEXT(mkdtemp)(real);
	give_name(name, real);
	record_effect(AT_FDCWD, name, made != NULL);
	return made ? name : NULL;
}
EXPORT(mkdtemp, wrap_mkdtemp);

/* stat and its kin. */

static void record_stat(int dirfd, const char *path, bool done, mode_t mode, int flags)
{
	if ((flags & AT_EMPTY_PATH) && path && path[0] == '\0')
		return;
	if (!done) {
		record_failure(dirfd, path);
		return;
	}
	record(op_of_mode(mode), dirfd, path);
	if ((flags & AT_SYMLINK_NOFOLLOW) && !S_ISLNK(mode))
		record(TRACE_LINK, dirfd, path);
}

static int do_stat(int dirfd, const char *path, struct stat *st, int flags)
{
	const char *real = redirect(dirfd, path);
	int result = examine(dirfd, real, st, flags);
	record_stat(dirfd, path, result == 0, result == 0 ? st->st_mode : 0, flags);
	return result;
}

WRAPPER int wrap_stat(const char *path, struct stat *st)
{
	return do_stat(AT_FDCWD, path, st, 0);
}
EXPORT(stat, wrap_stat);
EXPORT(stat64, wrap_stat);

WRAPPER int wrap_lstat(const char *path, struct stat *st)
{
	return do_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
EXPORT(lstat, wrap_lstat);
EXPORT(lstat64, wrap_lstat);

WRAPPER int wrap_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return do_stat(dirfd, path, st, flags);
}
EXPORT(fstatat, wrap_fstatat);
EXPORT(fstatat64, wrap_fstatat);

/* What programs built against glibc before 2.33 import. */
WRAPPER int wrap_xstat(int version, const char *path, struct stat *st)
{
	return do_stat(AT_FDCWD, path, st, 0);
}
EXPORT(__xstat, wrap_xstat);
EXPORT(__xstat64, wrap_xstat);

WRAPPER int wrap_lxstat(int version, const char *path, struct stat *st)
{
	return do_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
EXPORT(__lxstat, wrap_lxstat);
EXPORT(__lxstat64, wrap_lxstat);

WRAPPER int wrap_fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags)
{
	return do_stat(dirfd, path, st, flags);
}
EXPORT(__fxstatat, wrap_fxstatat);
EXPORT(__fxstatat64, wrap_fxstatat);

WRAPPER int wrap_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *st)
{
	const char *real = REAL(dirfd, path);
	int result = (int)syscall(SYS_statx, dirfd, real, flags, mask | STATX_TYPE, st);
	record_stat(dirfd, path, result == 0, result == 0 ? st->stx_mode : 0, flags);
	return result;
}
EXPORT(statx, wrap_statx);

/* A refusal says "absent", or "there, without that permission", which the mode of what is there explains. */
static void record_access(int dirfd, const char *path, const char *real, bool granted)
{
	struct stat st;
	int saved = errno;
	bool explained = !granted && saved == EACCES && tracing() && examine(dirfd, real, &st, 0) == 0 &&
			 (st.st_mode & 0444);
	errno = saved;
	record_question(dirfd, path, real, granted || explained);
}

WRAPPER int wrap_access(const char *path, int mode)
{
	const char *real = REAL(AT_FDCWD, path);
	int result = (int)syscall(SYS_faccessat, AT_FDCWD, real, mode);
	record_access(AT_FDCWD, path, real, result == 0);
	return result;
}
EXPORT(access, wrap_access);

WRAPPER int wrap_faccessat(int dirfd, const char *path, int mode, int flags)
{
	const char *real = REAL(dirfd, path);
	int result = NEXT(faccessat)(dirfd, real, mode, flags);
	record_access(dirfd, path, real, result == 0);
	return result;
}
EXPORT(faccessat, wrap_faccessat);

WRAPPER int wrap_euidaccess(const char *path, int mode)
{
	const char *real = REAL(AT_FDCWD, path);
	int result = NEXT(euidaccess)(real, mode);
	record_access(AT_FDCWD, path, real, result == 0);
	return result;
}
EXPORT(euidaccess, wrap_euidaccess);
EXPORT(eaccess, wrap_euidaccess);

/* Directories. */

static void record_listing(int dirfd, const char *path, bool done)
{
	if (done)
		record(TRACE_LISTED, dirfd, path);
	else
		record_failure(dirfd, path);
}

WRAPPER DIR *wrap_opendir(const char *path)
{
	const char *real = MAPPED(path);
	DIR *dir = NEXT(opendir)(real);
	record_listing(AT_FDCWD, path, dir != NULL);
	return dir;
}
EXPORT(opendir, wrap_opendir);

WRAPPER DIR *wrap_fdopendir(int fd)
{
	DIR *dir = NEXT(fdopendir)(fd);
	if (dir)
		record(TRACE_LISTED, fd, ".");
	return dir;
}
EXPORT(fdopendir, wrap_fdopendir);

typedef int select_fn(const struct dirent *);
typedef int order_fn(const struct dirent **, const struct dirent **);

WRAPPER int wrap_scandir(const char *path, struct dirent ***names, select_fn *select, order_fn *order)
{
	const char *real = MAPPED(path);
	int n = NEXT(scandir)(real, names, select, order);
	record_listing(AT_FDCWD, path, n >= 0);
	return n;
}
EXPORT(scandir, wrap_scandir);
EXPORT(scandir64, wrap_scandir);

WRAPPER int wrap_scandirat(int dirfd, const char *path, struct dirent ***names, select_fn *select, order_fn *order)
{
	const char *real = MAPPED(path);
	int n = NEXT(scandirat)(dirfd, real, names, select, order);
	record_listing(dirfd, path, n >= 0);
	return n;
}
EXPORT(scandirat, wrap_scandirat);
EXPORT(scandirat64, wrap_scandirat);

WRAPPER int wrap_chdir(const char *path)
{
	moved = true; /* for good: a vfork child that changes its own directory shares this variable */
	const char *real = MAPPED(path);
	int result = (int)syscall(SYS_chdir, real);
	if (result == 0)
		record(TRACE_DIRECTORY, AT_FDCWD, path[0] == '/' ? path : ".");
	else
		record_failure(AT_FDCWD, path);
	return result;
}
EXPORT(chdir, wrap_chdir);

WRAPPER int wrap_fchdir(int fd)
{
	moved = true;
	return (int)syscall(SYS_fchdir, fd);
}
EXPORT(fchdir, wrap_fchdir);

/* Where a process is, is no look-up. */

WRAPPER char *wrap_getcwd(char *buffer, size_t size)
{
	if (!tracing() || foreign_len == 0)
		return NEXT(getcwd)(buffer, size);
	if (!buffer) {
		char *made = NEXT(getcwd)(NULL, size > 0 ? size + foreign_len : 0);
		if (made)
			make_nominal_string(made);
		return made;
	}
	/* It may fit although the real one doesn't. */
	char real[PATH_MAX];
	if (size == 0) {
		errno = EINVAL;
		return NULL;
	}
	if (!NEXT(getcwd)(real, sizeof(real)))
		return NULL;
	make_nominal_string(real);
	size_t len = strlen(real);
	if (len >= size) {
		errno = ERANGE;
		return NULL;
	}
	return memcpy(buffer, real, len + 1);
}
EXPORT(getcwd, wrap_getcwd);
EXPORT(__getcwd_chk, wrap_getcwd);

WRAPPER char *wrap_getwd(char *buffer)
{
	return wrap_getcwd(buffer, PATH_MAX);
}
EXPORT(getwd, wrap_getwd);
EXPORT(__getwd_chk, wrap_getwd);

WRAPPER char *wrap_get_current_dir_name(void)
{
	char *name = NEXT(get_current_dir_name)();
	if (name)
		make_nominal_string(name);
	return name;
}
EXPORT(get_current_dir_name, wrap_get_current_dir_name);

/* Terminals: a pipe may have to look like one. */

static bool is_terminal(int fd)
{
	struct stat st;
	return tracing() && trace->terminal_ino != 0 && examine(fd, "", &st, AT_EMPTY_PATH) == 0 &&
	       st.st_dev == trace->terminal_dev && st.st_ino == trace->terminal_ino;
}

WRAPPER int wrap_isatty(int fd)
{
	return is_terminal(fd) || NEXT(isatty)(fd);
}
EXPORT(isatty, wrap_isatty);

WRAPPER int wrap_tcgetattr(int fd, struct termios *modes)
{
	if (!is_terminal(fd))
		return NEXT(tcgetattr)(fd, modes);
	*modes = (struct termios){ .c_iflag = ICRNL | IXON,
		.c_cflag = B38400 | CS8 | CREAD,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN };
	return 0;
}
EXPORT(tcgetattr, wrap_tcgetattr);

WRAPPER int wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	va_start(args, request);
	void *argument = va_arg(args, void *);
	va_end(args);
	if (request != TIOCGWINSZ || !is_terminal(fd))
		return NEXT(ioctl)(fd, request, argument);
	*(struct winsize *)argument = (struct winsize){ .ws_col = (unsigned short)trace->columns,
		.ws_row = (unsigned short)trace->rows };
	return 0;
}
EXPORT(ioctl, wrap_ioctl);

/* Symlinks. */

/* Absolute answers that are below a foreign root are those of /proc; what the tree's own links say is home's text. */
static ssize_t read_link(int dirfd, const char *real, char *buffer, size_t size)
{
	if (!tracing() || foreign_len == 0)
		return (ssize_t)syscall(SYS_readlinkat, dirfd, real, buffer, size);
	char text[PATH_MAX];
	if (size > INT32_MAX || size == 0) {
		errno = EINVAL;
		return -1;
	}
	ssize_t n = (ssize_t)syscall(SYS_readlinkat, dirfd, real, text, sizeof(text));
	if (n <= 0)
		return n;
	size_t len = make_nominal(text, (size_t)n);
	if (len > size)
		len = size;
	memcpy(buffer, text, len);
	return (ssize_t)len;
}

static ssize_t do_readlink(int dirfd, const char *path, char *buffer, size_t size)
{
	const char *real = REAL(dirfd, path);
	ssize_t n = read_link(dirfd, real, buffer, size);
	if (n >= 0 || errno == EINVAL) { /* EINVAL: it exists and is none */
		record(TRACE_LINK, dirfd, path);
		if (n < 0)
			record_existing(dirfd, path, real);
	} else {
		record_failure(dirfd, path);
	}
	return n;
}

WRAPPER ssize_t wrap_readlink(const char *path, char *buffer, size_t size)
{
	return do_readlink(AT_FDCWD, path, buffer, size);
}
EXPORT(readlink, wrap_readlink);
EXPORT(__readlink_chk, wrap_readlink);

WRAPPER ssize_t wrap_readlinkat(int dirfd, const char *path, char *buffer, size_t size)
{
	return do_readlink(dirfd, path, buffer, size);
}
EXPORT(readlinkat, wrap_readlinkat);
EXPORT(__readlinkat_chk, wrap_readlinkat);

WRAPPER char *wrap_realpath(const char *path, char *resolved)
{
	const char *real = MAPPED(path); /* of outputs too: a temporary's name must not get out */
	char *result = NEXT(realpath)(real, resolved);
	if (result)
		make_nominal_string(result);
	if (result)
		record(TRACE_LINK, AT_FDCWD, path);
	record_question(AT_FDCWD, path, path, result != NULL);
	return result;
}
EXPORT(realpath, wrap_realpath);

WRAPPER char *wrap_realpath_chk(const char *path, char *resolved, size_t size)
{
	return wrap_realpath(path, resolved);
}
EXPORT(__realpath_chk, wrap_realpath_chk);

WRAPPER char *wrap_canonicalize_file_name(const char *path)
{
	return wrap_realpath(path, NULL);
}
EXPORT(canonicalize_file_name, wrap_canonicalize_file_name);

/* Changes. */

static int do_unlink(int dirfd, const char *path, int flags)
{
	const char *real = REAL(dirfd, path);
	int result = (int)syscall(SYS_unlinkat, dirfd, real, flags);
	record_effect(dirfd, path, result == 0);
	return result;
}

WRAPPER int wrap_unlink(const char *path)
{
	return do_unlink(AT_FDCWD, path, 0);
}
EXPORT(unlink, wrap_unlink);

WRAPPER int wrap_unlinkat(int dirfd, const char *path, int flags)
{
	return do_unlink(dirfd, path, flags);
}
EXPORT(unlinkat, wrap_unlinkat);

WRAPPER int wrap_rmdir(const char *path)
{
	return do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}
EXPORT(rmdir, wrap_rmdir);

WRAPPER int wrap_remove(const char *path)
{
	int saved = errno;
	int result = do_unlink(AT_FDCWD, path, 0);
	if (result < 0 && errno == EISDIR) {
		errno = saved;
		result = do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
	}
	return result;
}
EXPORT(remove, wrap_remove);

static int do_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
	const char *real_from = REAL(from_dirfd, from), *real_to = REAL(to_dirfd, to);
	int result = (int)syscall(SYS_renameat2, from_dirfd, real_from, to_dirfd, real_to, flags);
	if (result == 0) {
		record(TRACE_WRITTEN, from_dirfd, from);
		record(TRACE_WRITTEN, to_dirfd, to);
	} else {
		record_failure(from_dirfd, from);
	}
	return result;
}

WRAPPER int wrap_rename(const char *from, const char *to)
{
	return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT(rename, wrap_rename);

WRAPPER int wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	return do_rename(from_dirfd, from, to_dirfd, to, 0);
}
EXPORT(renameat, wrap_renameat);

WRAPPER int wrap_renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
	return do_rename(from_dirfd, from, to_dirfd, to, flags);
}
EXPORT(renameat2, wrap_renameat2);

static int do_link(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
	const char *real = REAL(from_dirfd, from), *real_to = REAL(to_dirfd, to);
	int result = (int)syscall(SYS_linkat, from_dirfd, real, to_dirfd, real_to, flags);
	record_question(from_dirfd, from, real, result == 0);
	if (result == 0)
		record(TRACE_WRITTEN, to_dirfd, to);
	return result;
}

WRAPPER int wrap_link(const char *from, const char *to)
{
	return do_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT(link, wrap_link);

WRAPPER int wrap_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
	return do_link(from_dirfd, from, to_dirfd, to, flags);
}
EXPORT(linkat, wrap_linkat);

WRAPPER int wrap_symlinkat(const char *text, int dirfd, const char *path)
{
	const char *real = REAL(dirfd, path);
	int result = (int)syscall(SYS_symlinkat, text, dirfd, real);
	record_effect(dirfd, path, result == 0);
	return result;
}
EXPORT(symlinkat, wrap_symlinkat);

WRAPPER int wrap_symlink(const char *text, const char *path)
{
	return wrap_symlinkat(text, AT_FDCWD, path);
}
EXPORT(symlink, wrap_symlink);

WRAPPER int wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	const char *real = MAPPED(path);
	int result = (int)syscall(SYS_mkdirat, dirfd, real, mode);
	record_effect(dirfd, path, result == 0);
	return result;
}
EXPORT(mkdirat, wrap_mkdirat);

WRAPPER int wrap_mkdir(const char *path, mode_t mode)
{
	return wrap_mkdirat(AT_FDCWD, path, mode);
}
EXPORT(mkdir, wrap_mkdir);

WRAPPER int wrap_mknodat(int dirfd, const char *path, mode_t mode, dev_t device)
{
	const char *real = REAL(dirfd, path);
	int result = (int)syscall(SYS_mknodat, dirfd, real, mode, (unsigned)device);
	record_effect(dirfd, path, result == 0);
	return result;
}
EXPORT(mknodat, wrap_mknodat);

WRAPPER int wrap_mknod(const char *path, mode_t mode, dev_t device)
{
	return wrap_mknodat(AT_FDCWD, path, mode, device);
}
EXPORT(mknod, wrap_mknod);

WRAPPER int wrap_mkfifo(const char *path, mode_t mode)
{
	return wrap_mknodat(AT_FDCWD, path, mode | S_IFIFO, 0);
}
EXPORT(mkfifo, wrap_mkfifo);

WRAPPER int wrap_truncate(const char *path, off_t length)
{
	const char *real = REAL(AT_FDCWD, path);
	int result = (int)syscall(SYS_truncate, real, length);
	record_effect(AT_FDCWD, path, result == 0);
	return result;
}
EXPORT(truncate, wrap_truncate);
EXPORT(truncate64, wrap_truncate);

WRAPPER int wrap_chmod(const char *path, mode_t mode)
{
	const char *real = REAL(AT_FDCWD, path);
	int result = (int)syscall(SYS_fchmodat, AT_FDCWD, real, mode);
	record_effect(AT_FDCWD, path, result == 0);
	return result;
}
EXPORT(chmod, wrap_chmod);

WRAPPER int wrap_fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
	const char *real = REAL(dirfd, path);
	int result = NEXT(fchmodat)(dirfd, real, mode, flags);
	record_effect(dirfd, path, result == 0);
	return result;
}
EXPORT(fchmodat, wrap_fchmodat);

WRAPPER int wrap_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	const char *real = REAL(dirfd, path);
	int result = (int)syscall(SYS_fchownat, dirfd, real, uid, gid, flags);
	if (path && path[0] != '\0')
		record_effect(dirfd, path, result == 0);
	return result;
}
EXPORT(fchownat, wrap_fchownat);

WRAPPER int wrap_chown(const char *path, uid_t uid, gid_t gid)
{
	return wrap_fchownat(AT_FDCWD, path, uid, gid, 0);
}
EXPORT(chown, wrap_chown);

WRAPPER int wrap_lchown(const char *path, uid_t uid, gid_t gid)
{
	return wrap_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}
EXPORT(lchown, wrap_lchown);

WRAPPER int wrap_utimensat(int dirfd, const char *path, const struct timespec times[2], int flags)
{
	const char *real = REAL(dirfd, path);
	int result = (int)syscall(SYS_utimensat, dirfd, real, times, flags);
	record_effect(dirfd, path, result == 0);
	return result;
}
EXPORT(utimensat, wrap_utimensat);

WRAPPER int wrap_utimes(const char *path, const struct timeval times[2])
{
	const char *real = REAL(AT_FDCWD, path);
	int result = NEXT(utimes)(real, times);
	record_effect(AT_FDCWD, path, result == 0);
	return result;
}
EXPORT(utimes, wrap_utimes);

WRAPPER int wrap_utime(const char *path, const struct utimbuf *times)
{
	const char *real = REAL(AT_FDCWD, path);
	int result = NEXT(utime)(real, times);
	record_effect(AT_FDCWD, path, result == 0);
	return result;
}
EXPORT(utime, wrap_utime);

/* Programs. Each exec is counted before it happens: afterwards there is nobody left to do it. */

static void count_executed(int32_t n)
{
	if (tracing())
		__atomic_fetch_add(&trace->executed, (uint32_t)n, __ATOMIC_RELAXED);
}

/* A static program that becomes another would go unnoticed: that one is counted in its stead. */
static void examine_program(const char *path)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (program_kind(fd) == PROGRAM_STATIC)
		spoil();
	close(fd);
}

static void record_program(const char *path)
{
	if (!tracing() || !path)
		return;
	int saved = errno;
	errno = 0;
	struct stat st;
	bool found = examine(AT_FDCWD, path, &st, 0) == 0;
	record_question(AT_FDCWD, path, path, found);
	if (found && S_ISREG(st.st_mode))
		examine_program(path);
	errno = saved;
}

/* Where a search for `name` looks, up to the candidate that it finds. libc then searches again for itself. */
static void record_search(const char *name)
{
	if (!tracing() || !name || name[0] == '\0')
		return;
	if (strchr(name, '/')) {
		record_program(name);
		return;
	}
	int saved = errno;
	const char *search = getenv("PATH");
	if (!search)
		search = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(search, ":"), name_len = strlen(name);
		char candidate[PATH_MAX];
		if (len + 1 + name_len < sizeof(candidate)) {
			size_t at = 0;
			if (len > 0) {
				memcpy(candidate, search, len);
				candidate[len] = '/';
				at = len + 1;
			}
			memcpy(candidate + at, name, name_len + 1);
			record_program(candidate);
			struct stat st;
			if (examine(AT_FDCWD, candidate, &st, 0) == 0 && S_ISREG(st.st_mode) &&
				syscall(SYS_faccessat, AT_FDCWD, candidate, X_OK) == 0)
				break;
		}
		if (search[len] == '\0')
			break;
		search += len + 1;
	}
	errno = saved;
}

WRAPPER int wrap_execve(const char *path, char *const argv[], char *const env[])
{
	record_program(path);
	count_executed(1);
	int result = (int)syscall(SYS_execve, path, argv, env);
	count_executed(-1);
	return result;
}
EXPORT(execve, wrap_execve);

WRAPPER int wrap_execv(const char *path, char *const argv[])
{
	return wrap_execve(path, argv, environ);
}
EXPORT(execv, wrap_execv);

WRAPPER int wrap_execveat(int dirfd, const char *path, char *const argv[], char *const env[], int flags)
{
	struct stat st;
	if (path && path[0] != '\0')
		record_question(dirfd, path, path, examine(dirfd, path, &st, 0) == 0);
	count_executed(1);
	int result = (int)syscall(SYS_execveat, dirfd, path, argv, env, flags);
	count_executed(-1);
	return result;
}
EXPORT(execveat, wrap_execveat);

WRAPPER int wrap_fexecve(int fd, char *const argv[], char *const env[])
{
	return wrap_execveat(fd, "", argv, env, AT_EMPTY_PATH);
}
EXPORT(fexecve, wrap_fexecve);

WRAPPER int wrap_execvpe(const char *name, char *const argv[], char *const env[])
{
	record_search(name);
	count_executed(1);
	int result = NEXT(execvpe)(name, argv, env);
	count_executed(-1);
	return result;
}
EXPORT(execvpe, wrap_execvpe);

WRAPPER int wrap_execvp(const char *name, char *const argv[])
{
	return wrap_execvpe(name, argv, environ);
}
EXPORT(execvp, wrap_execvp);

/* The arguments of execl and its kin as a vector on the caller's stack; leaves `args` behind the terminating NULL. */
#define COLLECT_ARGUMENTS(argv, first, args)                                                                           \
	va_start(args, first);                                                                                         \
	size_t n_args = 2;                                                                                             \
	while (va_arg(args, char *))                                                                                   \
		n_args++;                                                                                              \
	va_end(args);                                                                                                  \
	char **argv = alloca(n_args * sizeof(*argv));                                                                  \
	argv[0] = (char *)first;                                                                                       \
	va_start(args, first);                                                                                         \
	for (size_t i = 1; i < n_args; i++)                                                                            \
	argv[i] = va_arg(args, char *)

WRAPPER int wrap_execl(const char *path, const char *first, ...)
{
	va_list args;
	COLLECT_ARGUMENTS(argv, first, args);
	va_end(args);
	return wrap_execve(path, argv, environ);
}
EXPORT(execl, wrap_execl);

WRAPPER int wrap_execle(const char *path, const char *first, ...)
{
	va_list args;
	COLLECT_ARGUMENTS(argv, first, args);
	char **env = va_arg(args, char **);
	va_end(args);
	return wrap_execve(path, argv, env);
}
EXPORT(execle, wrap_execle);

WRAPPER int wrap_execlp(const char *name, const char *first, ...)
{
	va_list args;
	COLLECT_ARGUMENTS(argv, first, args);
	va_end(args);
	return wrap_execvpe(name, argv, environ);
}
EXPORT(execlp, wrap_execlp);

typedef posix_spawn_file_actions_t file_actions;

WRAPPER int wrap_posix_spawn(pid_t *pid, const char *path, const file_actions *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	record_program(path);
	count_executed(1);
	int code = NEXT(posix_spawn)(pid, path, actions, attributes, argv, env);
	if (code != 0)
		count_executed(-1);
	return code;
}
EXPORT(posix_spawn, wrap_posix_spawn);

WRAPPER int wrap_posix_spawnp(pid_t *pid, const char *name, const file_actions *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	record_search(name);
	count_executed(1);
	int code = NEXT(posix_spawnp)(pid, name, actions, attributes, argv, env);
	if (code != 0)
		count_executed(-1);
	return code;
}
EXPORT(posix_spawnp, wrap_posix_spawnp);

/* Opened in the child by libc itself. */
WRAPPER int wrap_addopen(file_actions *actions, int fd, const char *path, int flags, mode_t mode)
{
	const char *real = REAL(AT_FDCWD, path);
	struct stat st;
	int saved = errno;
	if (writes(flags))
		record(TRACE_WRITTEN, AT_FDCWD, path);
	else if (path)
		record_question(AT_FDCWD, path, real, examine(AT_FDCWD, real, &st, 0) == 0);
	errno = saved;
	return NEXT(posix_spawn_file_actions_addopen)(actions, fd, real, flags, mode);
}
EXPORT(posix_spawn_file_actions_addopen, wrap_addopen);

/* The shell that these start is counted here, what it starts is counted there. */
WRAPPER int wrap_system(const char *command)
{
	if (command) {
		record_program("/bin/sh");
		count_executed(1);
	}
	return NEXT(system)(command);
}
EXPORT(system, wrap_system);

WRAPPER FILE *wrap_popen(const char *command, const char *mode)
{
	record_program("/bin/sh");
	count_executed(1);
	FILE *file = NEXT(popen)(command, mode);
	if (!file)
		count_executed(-1);
	return file;
}
EXPORT(popen, wrap_popen);
EXPORT(_IO_popen, wrap_popen);
