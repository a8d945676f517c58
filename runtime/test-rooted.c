/* Real compilers in a function's image: a root with nothing but symlinks into /tmp/r, and what a cloud function forbids forbidden. Everything must be as it
 * is at home: outputs, messages, exit codes, and what was looked up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "aws/image_links.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/job.h"
#include "runtime/test-home.h"
#include "wire/job.h"
#include "worker/lookup_log.h"
#include "worker/lookup_wire.h"

enum { SKIPPED = 77, UID = 993 };

#define SECRET "a0b1c2-the-secret-d3e4f5"

/* --- The compilations --------------------------------------------------------------------------------------------- */

static const struct test_compilation {
	const char *command; /* words separated by single spaces; @ is the project */
	const char *outputs; /* likewise; names in the project */
	const char *cwd;     /* in the project; NULL: itself */
	const char *pwd;     /* likewise, of $PWD; NULL: not set */
	const char *env;
} compilations[] = {
	{ "/usr/bin/gcc -c -g -MD x.c", "x.o x.d", .pwd = "." },
	{ "/usr/bin/gcc -c -g -O2 -MMD -MF deps/x.d -o x.o @/x.c", "x.o deps/x.d" },
	{ "/usr/bin/gcc -c -O1 -pipe -Wall x.c", "x.o" },
	{ "/usr/bin/gcc -c bad.c", "bad.o" },
	{ "/usr/bin/gcc -S -g -fverbose-asm x.c", "x.s" },
	{ "/usr/bin/gcc -E -dD x.c -o x.i", "x.i" },
	{ "/usr/bin/gcc -c -H x.c", "x.o" },
	{ "/usr/bin/gcc -M x.c", "" },
	{ "/usr/bin/gcc -c -g -save-temps x.c", "x.o x.i x.s" },
	{ "/usr/bin/gcc -c -g -frecord-gcc-switches x.c", "x.o" },
	{ "/usr/bin/gcc -c -g -gsplit-dwarf x.c", "x.o x.dwo" },
	{ "/usr/bin/gcc -c --coverage -frandom-seed=1 x.c", "x.o x.gcno" },
	{ "/usr/bin/gcc -c -flto -frandom-seed=1 x.c", "x.o" },
	{ "/usr/bin/gcc -c -fsanitize=undefined,address x.c", "x.o" },
	{ "/usr/bin/gcc -c -g -ffile-prefix-map=/usr=/XX x.c", "x.o" },
	{ "/usr/bin/gcc -c -g -fdebug-prefix-map=/usr=/XX -ffile-prefix-map=@=/YY x.c", "x.o" },
	{ "/usr/bin/gcc -c -g -isystem linked -MD x.c", "x.o x.d" },
	{ "/usr/bin/gcc -c -g -isystem @/twice -MD x.c", "x.o x.d" },
	{ "/usr/bin/gcc -c -g -I../sub/../inc x.c -o ../x.o", "x.o", .cwd = "sub", .pwd = "sub" },
	{ "/usr/bin/gcc -c -g x.c", "x.o", .cwd = "here", .pwd = "here" },
	{ "/usr/bin/gcc -c -g x.c", "x.o", .cwd = "here" },
	{ "/usr/bin/gcc -c -g a.S -MD", "a.o a.d" },
	{ "/usr/bin/gcc -c -fdiagnostics-color=always x.c", "x.o", .env = "LC_ALL=C.UTF-8" },
	{ "/usr/bin/g++ -c -g -MD y.cc", "y.o y.d", .pwd = "." },
	{ "/usr/bin/g++ -c -O2 -std=c++17 y.cc", "y.o" },
	{ "/usr/bin/g++ -c -fsanitize=undefined y.cc", "y.o" },
	{ "/usr/bin/g++ -c --coverage -frandom-seed=1 y.cc", "y.o y.gcno" },
	{ "/usr/bin/g++ -c -g -isystem @/twice y.cc", "y.o" },
	{ "/usr/bin/clang -c -g -MD x.c", "x.o x.d", .pwd = "." },
	{ "/usr/bin/clang -c -g -O2 -fdebug-prefix-map=@=/YY x.c", "x.o" },
	{ "/usr/bin/clang -c bad.c", "bad.o" },
	{ "/usr/bin/clang -c -g -save-temps x.c", "x.o x.i x.s x.bc" },
	{ "/usr/bin/clang -c -frecord-gcc-switches x.c", "x.o" },
	{ "/usr/bin/clang -c -fsanitize=undefined x.c", "x.o" },
	{ "/usr/bin/clang -c --coverage x.c", "x.o x.gcno" },
	{ "/usr/bin/clang -c -g -isystem linked -isystem @/twice -MD x.c", "x.o x.d" },
	{ "/usr/bin/clang -c -g x.c", "x.o", .cwd = "here" },
	{ "/usr/bin/clang -c -g -no-integrated-as x.c", "x.o" },
	{ "/usr/bin/clang -M x.c", "" },
	{ "/usr/bin/clang++ -c -g -MD y.cc", "y.o y.d", .pwd = "." },
	{ "/usr/bin/clang++ -c -O2 -std=c++17 -fsanitize=undefined y.cc", "y.o" },
};

enum { COMPILATIONS = sizeof(compilations) / sizeof(compilations[0]) };

/* One of them, and what came of it at home. */
struct sample {
	struct test_command command;
	struct buf outputs[8];
	bool present[8];
	struct run_result home;
	struct lookups lookups;
};

static struct test_home home;
static struct sample samples[COMPILATIONS];

static void write_project(void)
{
	test_home_write(&home, "inc/own.h",
		"#pragma once\n#include <stddef.h>\nstatic inline int own(int *p) { return p[1] << p[0]; }\n");
	test_home_write(
		&home, "inc/other.h", "#if __has_include(<no/such/header.h>)\n#error\n#endif\n#include <assert.h>\n");
	test_home_write(&home, "x.c",
		"#include <stdio.h>\n#include <limits.h>\n#include \"inc/own.h\"\n#include \"inc/../inc/other.h\"\n"
		"int f(int *p, int unused) { int n; printf(\"%s %d\\n\", __FILE__, n); assert(*p); return own(p); }\n");
	test_home_write(&home, "bad.c", "#include \"inc/own.h\"\nint f(void) { return undeclared; }\n");
	test_home_write(&home, "y.cc",
		"#include <string>\n#include <vector>\n#include <map>\n#include \"inc/own.h\"\n"
		"std::map<std::string, std::vector<int>> m;\nint g(int i) { m[__FILE__].push_back(i); return "
		"m.at(\"x\")[i] << i; }\n");
	test_home_write(&home, "a.S",
		"#include \"inc/own.inc\"\n.include \"b.inc\"\n.incbin \"inc/own.h\"\n.incbin \"/etc/os-release\"\n");
	test_home_write(&home, "inc/own.inc", "#define LABEL 1\n");
	test_home_write(&home, "b.inc", ".globl b\nb: .long 3\n");
	test_home_write(&home, "sub/x.c", "#include \"own.h\"\nint f(int *p) { return own(p); }\n");
	test_home_write(&home, "deps/.keep", "");
	test_home_mirror(&home, test_home_path(&home, "deps"));
	assert_int_equal(symlink("inc", test_home_path(&home, "linked")), 0);
	assert_int_equal(symlink(test_home_path(&home, "linked"), test_home_path(&home, "twice")), 0);
	assert_int_equal(symlink(".", test_home_path(&home, "here")), 0);
}

static const char **split(const char *text, size_t *n)
{
	const char **words = arena_array(&home.arena, const char *, 32);
	for (*n = 0; *text; (*n)++) {
		size_t length = strcspn(text, " ");
		const char *word = arena_strndup(&home.arena, text, length), *at = strchr(word, '@');
		if (at)
			word = arena_printf(&home.arena, "%.*s%s%s", (int)(at - word), word, home.dir, at + 1);
		words[*n] = word;
		text += length;
		text += strspn(text, " ");
	}
	return words;
}

static void compile_at_home(const struct test_compilation *from, struct sample *to)
{
	size_t n, n_env = 0;
	const char **env = arena_array(&home.arena, const char *, 5);
	env[n_env++] = "PATH=/usr/bin:/bin";
	if (from->pwd)
		env[n_env++] = arena_printf(&home.arena, "PWD=%s%s%s", home.dir, *from->pwd == '.' ? "" : "/",
			*from->pwd == '.' ? "" : from->pwd);
	if (from->env)
		env[n_env++] = from->env;
	to->command = (struct test_command){
		.argv = split(from->command, &n), .env = env, .cwd = from->cwd ? test_home_path(&home, from->cwd) : NULL
	};
	const char **outputs = split(from->outputs, &n);
	memcpy(to->command.outputs, outputs, n * sizeof(*outputs));
	test_home_run(&home, &to->command, &to->home);
	to->lookups = home.lookups;
	for (size_t i = 0; i < n; i++) {
		const char *path = test_home_path(&home, outputs[i]);
		to->present[i] = access(path, F_OK) == 0;
		if (to->present[i])
			assert_int_equal(file_read(path, 64 << 20, &to->outputs[i], NULL), 0);
		unlink(path);
	}
}

/* --- The image ---------------------------------------------------------------------------------------------------- */

#define MUST(call)                                                                                                     \
	do {                                                                                                           \
		if ((call) < 0) {                                                                                      \
			fprintf(stderr, "line %d: %s: %m\n", __LINE__, #call);                                         \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

/* What cloud functions forbid and we could have a use for. */
static void forbid(void)
{
#define DENY(number, code)                                                                                             \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_memfd_create, ENOSYS),
		DENY(SYS_fallocate, EPERM),
		DENY(SYS_ptrace, EPERM),
		DENY(SYS_chroot, EPERM),
		DENY(SYS_pidfd_open, EPERM),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		DENY(PR_SET_PDEATHSIG, EPERM),
		DENY(PR_SET_NO_NEW_PRIVS, EPERM),
		DENY(PR_SET_CHILD_SUBREAPER, EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void write_text(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void write_text(const char *path, const char *format, ...)
{
	char text[100];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	MUST(fd);
	MUST(write(fd, text, (size_t)n));
}

static void bind_to(const char *from, const char *to, bool directory)
{
	_cleanup_close_ int fd = -1;
	if (directory)
		MUST(mkdir(to, 0755));
	else
		MUST(fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	MUST(mount(from, to, NULL, MS_BIND | (directory ? MS_REC : 0), NULL));
}

/* A /tmp of our own; what else there is, is home's still: the runner is started from it, as in the image from libraries of its own. */
static void enter_tmp(int interposer)
{
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mount("proc", "/proc", "proc", 0, NULL));
	MUST(mount("tmpfs", "/tmp", "tmpfs", 0, "size=2g"));
	MUST(mkdir("/tmp/.llama", 0700));
	_cleanup_close_ int copy = open("/tmp/.llama/interpose.so", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	MUST(copy);
	struct error err;
	MUST(file_copy_fd(interposer, copy, &err));
}

/* Any directory that every machine has. */
#define PLACE "/mnt"

static void enter_image(void)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	MUST(mount("tmpfs", PLACE, "tmpfs", 0, NULL));
	MUST(chdir(PLACE));
	MUST(mkdir("tmp", 0755));
	MUST(mount("/tmp", "tmp", NULL, MS_MOVE, NULL)); /* itself, for the runtime has opened what is in it */
	bind_to("/proc", "proc", true);
	MUST(mkdir("dev", 0755));
	bind_to("/dev/null", "dev/null", false);
	bind_to("/dev/urandom", "dev/urandom", false);
	for (size_t i = 0; i < image_links_fixed.n; i++) {
		const char *path = image_links_fixed.paths[i];
		MUST(file_make_dirs(path_dirname(&arena, arena_printf(&arena, PLACE "%s", path)), 0755, &err));
		MUST(symlink(arena_printf(&arena, IMAGE_TREE "%s", path), path + 1));
	}
	MUST(mount(NULL, PLACE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	MUST(chdir("/"));
}

/* --- The comparison ----------------------------------------------------------------------------------------------- */

static unsigned failures;
static bool has_static; /* libc is here to be linked statically */

static void differs(const struct sample *sample, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void differs(const struct sample *sample, const char *format, ...)
{
	va_list args;
	fprintf(stderr, "FAILED");
	for (const char *const *p = sample->command.argv; *p; p++)
		fprintf(stderr, " %s", *p);
	fprintf(stderr, "\n\t");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	failures++;
}

static Job__Result *run_job(struct workplace *workplace, Job__Job *job)
{
	_cleanup_buf_ struct buf request = { 0 }, json = { 0 }, answer = { 0 }, message = { 0 };
	struct job_times times = { .received_ns = clock_monotonic_ns() };
	struct error err;
	request.len = job__job__pack(job, (uint8_t *)buf_reserve(&request, job__job__get_packed_size(job)));
	job_seal(JOB_REQUEST, buf_slice(&request), &json);
	if (job_run(workplace, buf_slice(&json), &times, &answer, &err) < 0 ||
		job_open(JOB_RESULT, buf_slice(&answer), &message, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	return job__result__unpack(NULL, message.len, (const uint8_t *)buf_str(&message));
}

static void compare_message(
	const struct sample *sample, const char *name, const ProtobufCBinaryData *there, const struct buf *here)
{
	if (!slice_equal(slice_of(there->data, there->len), buf_slice(here)))
		differs(sample, "%s: at home \"%s\", there \"%.*s\"", name, buf_str(here), (int)there->len,
			(char *)there->data);
}

static void compare_outputs(const struct sample *sample, const Job__Result *result)
{
	for (size_t i = 0; i < 8 && sample->command.outputs[i]; i++) {
		const char *path = test_home_path(&home, sample->command.outputs[i]);
		const Reapi__OutputFile *file = NULL;
		for (size_t j = 0; j < result->result->n_output_files; j++)
			if (strcmp(result->result->output_files[j]->path, path) == 0)
				file = result->result->output_files[j];
		if (!file != !sample->present[i])
			differs(sample, "%s is %s", path, file ? "there" : "not there");
		else if (file && !slice_equal(slice_of(file->contents.data, file->contents.len),
					 buf_slice(&sample->outputs[i])))
			differs(sample, "%s differs", path);
	}
}

/* What only shows how a process was started: temporaries are elsewhere, and with them what is asked about their directory. */
static bool is_telling(const struct lookup *lookup)
{
	return lookup->kind != LOOKUP_SPECIAL && strcmp(lookup->path, "/tmp") != 0 && !strstr(lookup->path, "/.tmp") &&
	       strcmp(lookup->path, "/") != 0;
}

static void compare_lookups(const struct sample *sample, const Job__Result *result)
{
	struct lookups there;
	struct error err;
	if (lookup_wire_decode(slice_of(result->lookups.data, result->lookups.len), &home.arena, &there, &err) < 0) {
		differs(sample, "%s", err.text);
		return;
	}
	const struct lookups *here = &sample->lookups;
	for (size_t i = 0, j = 0; i < here->n || j < there.n;) {
		int order = i == here->n ? 1 : j == there.n ? -1 : lookup_compare(&here->v[i], &there.v[j]);
		const struct lookup *lookup = order <= 0 ? &here->v[i] : &there.v[j];
		i += order <= 0;
		j += order >= 0;
		if (order != 0 && is_telling(lookup))
			differs(sample, "looked up only %s: %s %s", order < 0 ? "at home" : "there",
				lookup_kind_name(lookup->kind), lookup->path);
	}
}

static void compile_there(struct workplace *workplace, const struct sample *sample, const struct digest *root)
{
	Job__Result *result = run_job(workplace, test_home_job(&home, &sample->command, root));
	if (result->outcome != JOB__RESULT__OUTCOME__DONE) {
		differs(sample, "outcome %d: %s", result->outcome, result->error);
	} else {
		if (result->result->exit_code != sample->home.exit_code)
			differs(sample, "exit %d, at home %d", result->result->exit_code, sample->home.exit_code);
		if (!result->complete)
			differs(sample, "was not observed to its end");
		if (result->n_strays > 0)
			differs(sample, "left %s", result->strays[0]);
		compare_message(sample, "stdout", &result->result->stdout_raw, &sample->home.out);
		compare_message(sample, "stderr", &result->result->stderr_raw, &sample->home.err);
		compare_outputs(sample, result);
		compare_lookups(sample, result);
	}
	job__result__free_unpacked(result, NULL);
}

static Job__Result *run_there(struct workplace *workplace, const struct digest *root, const char *script)
{
	const struct test_command command = { .argv = (const char *const[]){ "/bin/sh", "-c", script, NULL },
		.outputs = { "s.o" } };
	return run_job(workplace, test_home_job(&home, &command, root));
}

/* Nothing of a job survives it, though it be a daemon of its own and there is no subreaper. */
static void check_survivors(struct workplace *workplace, const struct digest *root)
{
	job__result__free_unpacked(run_there(workplace, root, "setsid sh -c 'while :; do :; done' & exec true"), NULL);
	unsigned n = 0;
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[300], text[200] = "";
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		_cleanup_close_ int fd = atoi(entry->d_name) > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && !strstr(text, ") Z "))
			n++;
	}
	if (n != 2) { /* we and the runner */
		fprintf(stderr, "FAILED: %u processes\n", n);
		failures++;
	}
}

/* A text may ask for anything; it gets no secret, nor can it look into those who have one. */
static void check_secrets(struct workplace *workplace, const struct digest *root)
{
	static const char *const scripts[] = {
		"printf '.incbin \"/proc/self/environ\"' | as -o s.o -; strings -n 1 s.o || cat s.o",
		"cat /proc/[0-9]*/environ",
		"cat /proc/1/environ && exit 99; cat /proc/1/mem && exit 99; true",
	};
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		Job__Result *result = run_there(workplace, root, scripts[i]);
		size_t n = job__result__get_packed_size(result);
		_cleanup_free_ uint8_t *bytes = malloc(n);
		job__result__pack(result, bytes);
		if (memmem(bytes, n, SECRET, strlen(SECRET)) || (result->result && result->result->exit_code == 99)) {
			fprintf(stderr, "FAILED: a secret is out: %s\n", scripts[i]);
			failures++;
		}
		job__result__free_unpacked(result, NULL);
	}
}

/* A compiler that nobody can observe: a copy of its input with the path it was given, or, asked for it, with the directory it finds itself in. */
static void make_static_compiler(void)
{
	test_home_write(&home, "static.c",
		"#include <stdio.h>\n#include <unistd.h>\nint main(int argc, char **argv)\n{\n\tchar text[4096];\n"
		"\tFILE *in = fopen(argv[1], \"r\"), *out = fopen(argv[2], \"w\");\n\tif (!in || !out) return 1;\n"
		"\tfprintf(out, \"%s\\n\", argc > 3 ? getcwd(text, sizeof(text)) : argv[1]);\n"
		"\twhile (fgets(text, sizeof(text), in)) fputs(text, out);\n\treturn fclose(out);\n}\n");
	const char *command = arena_printf(
		&home.arena, "cd %s && gcc -static -o static static.c 2>/dev/null", home.dir);
	if (system(command) == 0)
		test_home_mirror(&home, test_home_path(&home, "static"));
	test_home_mirror(&home, test_home_path(&home, "inc/own.h"));
}

static void check_static_compiler(struct workplace *workplace, const struct digest *root)
{
	const char *input = test_home_path(&home, "inc/own.h");
	struct test_command command = { .argv = (const char *const[]){ test_home_path(&home, "static"), input, "s.o",
						NULL },
		.outputs = { "s.o" } };
	Job__Result *result = run_job(workplace, test_home_job(&home, &command, root));
	bool right = result->outcome == JOB__RESULT__OUTCOME__DONE && !result->complete &&
		     result->result->exit_code == 0 && result->result->n_output_files == 1 &&
		     strncmp((char *)result->result->output_files[0]->contents.data, input, strlen(input)) == 0;
	if (!right) {
		fprintf(stderr, "FAILED: a static compiler: outcome %d %s\n", result->outcome, result->error);
		failures++;
	}
	job__result__free_unpacked(result, NULL);
	command.argv = (const char *const[]){ command.argv[0], input, "s.o", "where", NULL };
	result = run_job(workplace, test_home_job(&home, &command, root));
	if (result->outcome != JOB__RESULT__OUTCOME__LEAKED) {
		fprintf(stderr, "FAILED: a static compiler's leak: outcome %d %s\n", result->outcome, result->error);
		failures++;
	}
	job__result__free_unpacked(result, NULL);
}

static struct bucket *take_bucket(const struct bucket_place *place, char *const *secrets, struct error *err)
{
	home.bucket_taken = true;
	return &home.bucket->bucket;
}

/* As the runtime in the function. */
static void be_the_function(const struct digest *root, int runner, int interposer)
{
	char program[40];
	struct error err;
	enter_tmp(interposer);
	MUST(prctl(PR_SET_DUMPABLE, 0));
	forbid();
	snprintf(program, sizeof(program), "/proc/self/fd/%d", runner);
	struct workplace_options options = { .root = IMAGE_TREE,
		.runner = program,
		.interposer = "/tmp/.llama/interpose.so",
		.open_bucket = take_bucket };
	struct workplace workplace;
	workplace_init(&workplace, &options);
	if (workplace_open(&workplace, &(struct bucket_place){ "bucket", "", "", "" }, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	enter_image();
	for (size_t i = 0; i < COMPILATIONS; i++)
		if (samples[i].command.argv)
			compile_there(&workplace, &samples[i], root);
	if (has_static)
		check_static_compiler(&workplace, root);
	check_survivors(&workplace, root);
	check_secrets(&workplace, root);
	struct sync_report report;
	if (sync_check_full(&workplace.target, &workplace.directories.store, &report, &err) != 0) {
		fprintf(stderr, "FAILED: %s\n", err.text);
		failures++;
	}
	workplace_deinit(&workplace);
}

/* The exit status of a process that runs in namespaces and in the image. */
static int run_function(const struct digest *root)
{
	int runner = open(TEST_RUNNER, O_RDONLY | O_CLOEXEC), interposer = open(TEST_INTERPOSER, O_RDONLY | O_CLOEXEC);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(runner);
		close(interposer);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
		_exit(SKIPPED);
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", "%d %u 1", UID, uid);
	write_text("/proc/self/gid_map", "%d %u 1", UID, gid);
	pid_t init = fork();
	MUST(init);
	if (init == 0) {
		be_the_function(root, runner, interposer);
		_exit(failures > 0);
	}
	MUST(waitpid(init, &status, 0));
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* One in `step` of all. */
static void compile(const char *template, size_t step)
{
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	test_home_init(&home, template, TEST_RUNNER, TEST_INTERPOSER);
	write_project();
	for (size_t i = 0; i < COMPILATIONS; i++) {
		size_t n;
		samples[i] = (struct sample){ 0 };
		if (i % step == 0 && access(split(compilations[i].command, &n)[0], X_OK) == 0)
			compile_at_home(&compilations[i], &samples[i]);
	}
	struct run_result run;
	test_home_run(&home,
		&(struct test_command){
			.argv = (const char *const[]){ "/bin/sh", "-c",
				"setsid true; printf x | cat; cat /dev/null | as -o s.o -; strings s.o; true", NULL },
			.outputs = { "s.o" } },
		&run);
	run_result_deinit(&run);
	make_static_compiler();
	has_static = access(test_home_path(&home, "static"), X_OK) == 0;
	struct digest root = test_home_root(&home);
	int status = run_function(&root);
	for (size_t i = 0; i < COMPILATIONS; i++) {
		run_result_deinit(&samples[i].home);
		for (size_t j = 0; j < 8; j++)
			buf_deinit(&samples[i].outputs[j]);
	}
	home.bucket_taken = false; /* by a child */
	test_home_free(&home);
	if (status == SKIPPED)
		skip();
	assert_int_equal(status, 0);
}

static void rooted__compilers_can_not_tell_a_project_below_tmp(void **state)
{
	compile("/tmp/llama-home-XXXXXX", 1);
}

static void rooted__compilers_can_not_tell_a_project_elsewhere(void **state)
{
	compile("/var/tmp/llama-home-XXXXXX", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rooted__compilers_can_not_tell_a_project_below_tmp),
		cmocka_unit_test(rooted__compilers_can_not_tell_a_project_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
