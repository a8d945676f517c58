/* Calls, in the directory it is started in, every kind of function that the interposer defines, and checks that they do what libc's do. Started
 * by test-interposer.c, which then looks at the log and at the files; the number of the failing line is the exit code's reason on stderr. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno);                      \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)
#define FAILS(call, code) CHECK((errno = 0, (call)) < 0 && errno == (code))

extern char **environ;

static int wait_for(pid_t pid)
{
	int status;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void opens(void)
{
	int fd;
	FILE *file;
	CHECK((fd = open("found/open", O_RDONLY)) >= 0 && close(fd) == 0);
	FAILS(open("absent/open", O_RDONLY), ENOENT);
	FAILS(openat(AT_FDCWD, "absent/openat", O_RDONLY), ENOENT);
	CHECK((fd = open("found", O_RDONLY | O_DIRECTORY)) >= 0);
	int in;
	CHECK((in = openat(fd, "openat", O_RDONLY)) >= 0 && close(in) == 0);
	FAILS(openat(fd, "absent-below", O_RDONLY), ENOENT);
	struct stat st;
	CHECK(fstatat(fd, "fstatat", &st, 0) == 0 && S_ISREG(st.st_mode));
	CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode));
	CHECK(close(fd) == 0);
	CHECK((file = fopen("found/fopen", "r")) && fgetc(file) == 'f' && fclose(file) == 0);
	CHECK((errno = 0, !fopen("absent/fopen", "r")) && errno == ENOENT);
	CHECK((file = fopen("/dev/null", "r")) && (file = freopen("found/freopen", "r", file)) && fclose(file) == 0);
	CHECK((fd = creat("new-creat", 0640)) >= 0 && fchmod(fd, 0600) == 0 && close(fd) == 0);
	CHECK((fd = open("new-open", O_WRONLY | O_CREAT | O_EXCL, 0604)) >= 0 && fstat(fd, &st) == 0 &&
		(st.st_mode & 0777) == 0604 && close(fd) == 0);
	FAILS(open("new-open", O_WRONLY | O_CREAT | O_EXCL, 0604), EEXIST);
	CHECK((file = fopen("new-fopen", "w")) && fputs("text", file) >= 0 && fclose(file) == 0);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open("found/open/", O_RDONLY), ENOTDIR);
	char name[] = "new-XXXXXX.s", simple[] = "new-XXXXXX", dir[] = "new-XXXXXX";
	CHECK((fd = mkstemps(name, 2)) >= 0 && close(fd) == 0 && strcmp(name + 10, ".s") == 0 && unlink(name) == 0);
	CHECK((fd = mkstemp(simple)) >= 0 && close(fd) == 0 && unlink(simple) == 0);
	CHECK(mkdtemp(dir) && rmdir(dir) == 0);
}

static void questions(void)
{
	struct stat st;
	struct statx stx;
	CHECK(stat("found/stat", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 6);
	FAILS(stat("absent/stat", &st), ENOENT);
	CHECK(lstat("link", &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(lstat("found/lstat", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(statx(AT_FDCWD, "found/statx", 0, STATX_SIZE, &stx) == 0 && stx.stx_size == 6);
	CHECK(access("found/access", R_OK) == 0 && faccessat(AT_FDCWD, "found/faccessat", F_OK, AT_EACCESS) == 0);
	FAILS(access("absent/access", F_OK), ENOENT);
	FAILS(access("found/access", X_OK), EACCES);
	CHECK(euidaccess("found/euidaccess", R_OK) == 0);
	char text[PATH_MAX];
	CHECK(readlink("link", text, sizeof(text)) == 9 && memcmp(text, "found/tgt", 9) == 0);
	FAILS(readlink("found/readlink", text, sizeof(text)), EINVAL);
	char *heap = realpath("link", NULL);
	CHECK(heap && strcmp(strrchr(heap, '/'), "/tgt") == 0);
	free(heap);
	CHECK((errno = 0, !realpath("absent/realpath", text)) && errno == ENOENT);
	CHECK(canonicalize_file_name("absent/canonicalize") == NULL);
	DIR *dir = opendir("listed");
	CHECK(dir && readdir(dir) && closedir(dir) == 0);
	CHECK((errno = 0, !opendir("absent/opendir")) && errno == ENOENT);
	struct dirent **names;
	int n = scandir("listed-too", &names, NULL, alphasort);
	CHECK(n == 2 && strcmp(names[0]->d_name, ".") == 0);
	free(names[0]);
	free(names[1]);
	free(names);
	int fd = open("listed-by-fd", O_RDONLY | O_DIRECTORY);
	CHECK((dir = fdopendir(fd)) && closedir(dir) == 0);
	time_t day = 24 * 60 * 60;
	CHECK(localtime(&day)->tm_year == 70);
}

static void changes(void)
{
	CHECK(mkdir("made", 0700) == 0 && rmdir("made") == 0);
	CHECK(symlink("x", "made-link") == 0 && rename("made-link", "renamed-link") == 0 &&
		remove("renamed-link") == 0);
	CHECK(link("found/link", "hard") == 0 && unlinkat(AT_FDCWD, "hard", 0) == 0);
	CHECK(mkdir("removed", 0700) == 0 && remove("removed") == 0);
	FAILS(unlink("absent/unlink"), ENOENT);
	FAILS(mkdir("found", 0700), EEXIST);
	FAILS(rmdir("found"), ENOTEMPTY);
	CHECK(chmod("new-open", 0600) == 0 && truncate("new-open", 3) == 0);
	struct timespec times[2] = { { 1, 0 }, { 2, 0 } };
	CHECK(utimensat(AT_FDCWD, "new-open", times, 0) == 0 && utime("new-open", NULL) == 0 &&
		utimes("new-open", NULL) == 0);
	CHECK(mkfifo("fifo", 0600) == 0 && unlink("fifo") == 0);
}

/* The programs in bin/ are links to env; PATH is absent-bin:bin. */
static void programs(void)
{
	char *const argv[] = { (char *)"runs", (char *)"true", NULL };
	char *const nothing[] = { (char *)"nothing", NULL };
	pid_t pid;
	CHECK(posix_spawn(&pid, "bin/spawned", NULL, NULL, argv, environ) == 0 && wait_for(pid) == 0);
	CHECK(posix_spawnp(&pid, "spawnedp", NULL, NULL, argv, environ) == 0 && wait_for(pid) == 0);
	CHECK(posix_spawnp(&pid, "nothing", NULL, NULL, nothing, environ) == ENOENT);
	FAILS(execv("absent/execv", nothing), ENOENT);
	FAILS(execvp("nothing-too", nothing), ENOENT);
	struct {
		const char *name;
		int kind;
	} ways[] = { { "bin/execv", 0 }, { "execvp", 1 }, { "bin/execl", 2 }, { "execlp", 3 }, { "bin/execle", 4 } };
	for (int i = 0; i < 5; i++) {
		const char *name = ways[i].name;
		pid = vfork();
		if (pid == 0) {
			if (i == 0)
				execv(name, argv);
			else if (i == 1)
				execvp(name, argv);
			else if (i == 2)
				execl(name, "runs", "true", NULL);
			else if (i == 3)
				execlp(name, "runs", "true", NULL);
			else
				execle(name, "runs", "test", "-n", "x", NULL, environ);
			_exit(99);
		}
		CHECK(wait_for(pid) == 0);
	}
	CHECK(system("exit 3") == 3 << 8);
	FILE *pipe = popen("echo piped", "r");
	char line[10];
	CHECK(pipe && fgets(line, sizeof(line), pipe) && strcmp(line, "piped\n") == 0 && pclose(pipe) == 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "found/addopen", O_RDONLY, 0);
	CHECK(posix_spawn(&pid, "bin/spawned", &actions, NULL, argv, environ) == 0 && wait_for(pid) == 0);
	posix_spawn_file_actions_destroy(&actions);
}

static void moves(void)
{
	struct stat st;
	FAILS(chdir("absent/chdir"), ENOENT);
	CHECK(chdir("found") == 0 && stat("after-chdir", &st) == 0);
	FAILS(stat("absent-after-chdir", &st), ENOENT);
	int fd = open("..", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && fchdir(fd) == 0 && close(fd) == 0);
	FAILS(stat("absent/fchdir", &st), ENOENT);
}

/* `out` is a redirected output: all that is done to it is done to another file. */
static void outputs(const char *where)
{
	char path[PATH_MAX];
	const char *names[] = { "out", "./out", ".//./out", path };
	snprintf(path, sizeof(path), "%s/./out", where);
	struct stat st;
	for (int i = 0; i < 4; i++) {
		const char *name = names[i];
		FAILS(stat(name, &st), ENOENT);
		FILE *file = fopen(name, "w");
		CHECK(file && fputs("written", file) >= 0 && fclose(file) == 0);
		CHECK(stat(name, &st) == 0 && st.st_size == 7 && lstat(name, &st) == 0 && access(name, R_OK) == 0);
		CHECK(chmod(name, 0640) == 0 && truncate(name, 3) == 0);
		CHECK((file = fopen(name, "r")) && fgetc(file) == 'w' && fclose(file) == 0);
		CHECK(rename(name, "aside") == 0);
		FAILS(access(name, F_OK), ENOENT);
		CHECK(rename("aside", name) == 0 && unlink(name) == 0);
	}
	int fd = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	CHECK(fd >= 0 && write(fd, "final", 5) == 5 && close(fd) == 0);
}

static void lead_to(const char *link, const char *text)
{
	char buffer[PATH_MAX];
	ssize_t n = readlink(link, buffer, sizeof(buffer));
	CHECK(n == (ssize_t)strlen(text) && memcmp(buffer, text, (size_t)n) == 0);
}

/* Under a foreign root, in `home`, which only a symlink in the real root leads to; `top` is beside that link. Nobody can tell. */
static void hidden_root(const char *home, const char *top)
{
	char text[PATH_MAX], name[PATH_MAX];
	struct stat st, same;
	size_t len = strlen(home);
	CHECK(getcwd(text, sizeof(text)) && strcmp(text, home) == 0);
	CHECK(getcwd(text, len + 1) && strcmp(text, home) == 0);
	CHECK((errno = 0, !getcwd(text, len)) && errno == ERANGE);
	char *heap = getcwd(NULL, 0);
	CHECK(heap && strcmp(heap, home) == 0);
	free(heap);
	heap = get_current_dir_name();
	CHECK(heap && strcmp(heap, home) == 0);
	free(heap);
	heap = realpath("link", NULL);
	CHECK(heap && strncmp(heap, home, len) == 0 && strcmp(heap + len, "/found/tgt") == 0);
	free(heap);
	heap = canonicalize_file_name(home);
	CHECK(heap && strcmp(heap, home) == 0);
	free(heap);
	CHECK(realpath("/", text) && strcmp(text, "/") == 0);
	CHECK(realpath("/dev/null", text) && strcmp(text, "/dev/null") == 0);

	/* /proc's links, cut where the buffer is. */
	lead_to("/proc/self/cwd", home);
	CHECK(readlink("/proc/self/cwd", text, 3) == 3 && memcmp(text, home, 3) == 0);
	int fd = open("found/open", O_RDONLY);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	snprintf(text, sizeof(text), "%s/found/open", home);
	lead_to(name, text);
	CHECK(close(fd) == 0);

	/* The symlink into the foreign root is the directory itself; links of home's are links. */
	CHECK(lstat(home, &st) == 0 && S_ISDIR(st.st_mode) && stat(".", &same) == 0 && st.st_ino == same.st_ino);
	snprintf(name, sizeof(name), "//.//..%s", home);
	CHECK(fstatat(AT_FDCWD, name, &same, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == same.st_ino);
	FAILS(readlink(home, text, sizeof(text)), EINVAL);
	snprintf(name, sizeof(name), "%s/link", home);
	CHECK(lstat(name, &st) == 0 && S_ISLNK(st.st_mode));
	lead_to(name, "found/tgt");
	lead_to("absolute", "/absolute/text");

	/* What the real root has beside the link is not there; what is made there is made in the foreign one. */
	FAILS(access(top, F_OK), ENOENT);
	CHECK((fd = open(top, O_WRONLY | O_CREAT | O_EXCL, 0666)) >= 0 && close(fd) == 0);
	CHECK(stat(top, &st) == 0 && st.st_size == 0 && unlink(top) == 0);
	snprintf(name, sizeof(name), "%s-XXXXXX.s", top);
	CHECK((fd = mkstemps(name, 2)) >= 0 && close(fd) == 0);
	CHECK(strncmp(name, top, strlen(top)) == 0 && !strstr(name, "XXXXXX") && strcmp(strrchr(name, '.'), ".s") == 0);
	CHECK(stat(name, &st) == 0 && unlink(name) == 0);
	DIR *dir = opendir("/");
	CHECK(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		CHECK(strcmp(entry->d_name, "proc") != 0);
	CHECK(closedir(dir) == 0 && stat("/proc/self", &st) == 0);
	CHECK(chdir("/") == 0 && getcwd(text, sizeof(text)) && strcmp(text, "/") == 0);
	CHECK(chdir(home) == 0 && getcwd(text, sizeof(text)) && strcmp(text, home) == 0);
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	if (argc > 2) {
		hidden_root(argv[1], argv[2]);
		return 0;
	}
	opens();
	questions();
	changes();
	programs();
	if (argc > 1)
		outputs(argv[1]);
	moves();
	return 0;
}
