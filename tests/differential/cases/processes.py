"""How the command is started: descriptors, process substitution, masquerade, launcher, other prefixes."""

import os
import shutil
import subprocess

from cases.common import C, C_HEADER, CXX, PLAIN_C, PLAIN_CXX, WARNS
from model import EITHER, FAILS, OTHER_TOOLS, File, Link, case, run
from service import PATH

CLOSED = "remote|local:closed_stdio|silent"

for number, what in ((0, "<&-"), (1, ">&-"), (2, "2>&-")):
    case(f"closed descriptor {number}", files=PLAIN_C, sh=f"exec $CC -c x.c -o x.o {what}", expect=CLOSED)
    case(f"closed descriptor {number}, with warnings", files={"x.c": WARNS}, sh=f"exec $CC -Wall -c x.c -o x.o {what}",
         expect=CLOSED)
case("all three closed", files=PLAIN_C, sh="exec $CC -MD -c x.c -o x.o <&- >&- 2>&-", expect=CLOSED)
case("closed 2 and an error", files={"x.c": "int f( {\n"}, sh="exec $CC -c x.c -o x.o 2>&-", expect=f"{FAILS}|local:closed_stdio|silent")
case("stdin open but not read", "CC -c x.c -o x.o", PLAIN_C, stdin=b"int never_read;\n")
case("stdin is the directory", files=PLAIN_C, sh="exec $CC -c x.c -o x.o < .", expect=EITHER)
case("stderr goes to a file", files={"x.c": WARNS}, sh="exec $CC -Wall -c x.c -o x.o 2>messages")
case("stderr is appended to a file", files={"x.c": WARNS, "messages": "before\n"}, sh="exec $CC -Wall -c x.c -o x.o 2>>messages")
case("stderr is /dev/full", files={"x.c": WARNS}, sh="exec $CC -Wall -c x.c -o x.o 2>/dev/full", expect="remote|local:*")
case("stderr is a pipe whose reader has gone", files={"x.c": WARNS},
     sh="mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; rm pipe; $CC -Wall -c x.c -o x.o 2>&4 4>&-; echo $? >code",
     expect="remote|local:*")
case("many open descriptors", files=PLAIN_C, sh="for i in {20..200}; do eval \"exec $i</dev/null\"; done; exec $CC -c x.c")
case("process substitution as input", files={"x.h": C_HEADER}, sh="exec $CC -c -x c <(echo 'int x;') -o x.o",
     expect="local:special_file|local:stdin|local:path_not_mirrored")
case("process substitution as -include", files=PLAIN_C, sh="exec $CC -include <(echo '#define A 1') -c x.c -o x.o",
     expect="local:*")
case("process substitution as response file", files=PLAIN_C, sh="exec $CC @<(echo -O2) -c x.c -o x.o", expect="local:*|remote")
case("source is a FIFO", files=PLAIN_C, sh="mkfifo p.c; (cat x.c >p.c &); $CC -I. -c p.c -o x.o; code=$?; rm p.c; exit $code",
     expect="local:special_file")
case("source is /dev/stdin", "CC -c -x c /dev/stdin -o x.o", {}, stdin=b"int x;\n", expect="local:special_file|local:stdin")
case("source is /dev/null", "CC -c -x c /dev/null -o x.o", {}, expect=EITHER)
case("source is below /proc", "CC -c -x c /proc/self/cmdline -o x.o", {}, expect="local:*")
case("source is a directory", "CC -c d.c -o x.o", {"d.c/keep": ""}, expect="local:*")
case("source through /proc/self/cwd", "CC -c /proc/self/cwd/x.c -o x.o", PLAIN_C, expect="local:*")
case("header through /proc/self/cwd", "CC -I/proc/self/cwd/inc -c x.c -o x.o",
     {"x.c": "#include <h.h>\nint x = H;\n", "inc/h.h": "#define H 1\n"},
     expect={"inplace": "local:*|executed|remote", "": "local:*"})

# What is there is another thing on a worker, and must not come home from it.
ENVIRON = "local:*|home"
case("the environment of the assembler", "CC -c x.s -o x.o", {"x.s": '.section .rodata\n.incbin "/proc/self/environ"\n'}, loose="x.o",
     expect=ENVIRON)
case("the environment of the assembler, named by a macro", "CC -c x.s -o x.o",
     {"x.s": '.macro take what\n.incbin "/proc/self/\\what"\n.endm\n.section .rodata\ntake environ\n'}, loose="x.o", expect=ENVIRON)
case("several compilations of one shell", files={"a.c": "int a;\n", "b.c": "int b;\n"},
     sh="$CC -c a.c && $CC -c b.c", expect=["remote", "remote"])
case("compilations side by side", files={f"{n}.c": f"int x{n};\n" for n in range(6)},
     sh="for n in 0 1 2 3 4 5; do $CC -c $n.c & pids=\"$pids $!\"; done; for p in $pids; do wait $p || exit 1; done",
     expect=["remote"] * 6)
case("the same compilation side by side", files=PLAIN_C,
     sh="for n in 0 1 2 3; do $CC -c x.c -o $n.o & pids=\"$pids $!\"; done; for p in $pids; do wait $p || exit 1; done",
     expect=["remote|hit"] * 4)
case("compile and link in steps", files={**PLAIN_C, "m.c": "int answer(int);\nint main(void) { return answer(2) - 44; }\n"},
     sh="$CC -c x.c && $CC -c m.c && $CC x.o m.o -o m && ./m", expect=["remote", "remote", "local:link"])

case("launcher", "CC -c x.c -o x.o", PLAIN_C, via="launcher")
case("launcher, C++", "CXX -g -MD -c x.cc -o x.o", PLAIN_CXX, via="launcher")
case("launcher with a bare name", "CC -c x.c -o x.o", PLAIN_C, via="launcher-bare")
case("launcher and masquerade together count once", "CC -c x.c -o x.o", PLAIN_C, via="both")
case("launcher, an error", "CC -c x.c -o x.o", {"x.c": "int f( {\n"}, via="launcher", expect=FAILS)
case("CC=llamacc", "CC -c x.c -o x.o", PLAIN_C, via="cc")
case("CC=llamacc, warnings and -MD", "CC -Wall -MD -c x.c -o x.o", {"x.c": WARNS}, via="cc")
case("CXX=llamac++", "CXX -c x.cc -o x.o", PLAIN_CXX, via="cc")
case("CC=llamacc links", "CC m.c -o m", {"m.c": "int main(void) { return 0; }\n"}, via="cc", expect="local:link")
for name in ("cc", "c++"):
    case(f"masquerade as {name}", [name, "-c", "x.c", "-o", "x.o"], PLAIN_C, only="gcc", expect=EITHER if name == "c++" else "remote",
         needs=f"command {name}")
case("masquerade under a triplet's name", "x86_64-linux-gnu-gcc -c x.c -o x.o", PLAIN_C, only="gcc",
     needs="command x86_64-linux-gnu-gcc")
case("masquerade under a versioned name", files=PLAIN_C, sh="exec $CC-$(/usr/bin/$CC -dumpversion | cut -d. -f1) -c x.c -o x.o",
     needs="versioned name")


def tool_symlinks(root):
    """A prefix of the user's whose compilers are links to the real ones."""
    os.makedirs(f"{root}/opt/bin")
    for name in ("gcc", "g++", "clang", "clang++"):
        real = shutil.which(name, path=PATH)
        if real:
            os.symlink(real, f"{root}/opt/bin/{name}")


def tool_realpaths(root):
    """The same, linked to what the system's links finally name."""
    os.makedirs(f"{root}/opt/bin")
    for name in ("gcc", "g++", "clang", "clang++"):
        real = shutil.which(name, path=PATH)
        if real:
            os.symlink(os.path.realpath(real), f"{root}/opt/bin/{name}")


def wrapper_scripts(root):
    os.makedirs(f"{root}/opt/bin")
    for name in ("gcc", "clang"):
        path = f"{root}/opt/bin/{name}"
        with open(path, "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\nexec /usr/bin/{name} -DWRAPPED=1 "$@"\n')
        os.chmod(path, 0o755)


def build_static(root, text):
    os.makedirs(f"{root}/opt/bin")
    for name in ("gcc", "clang"):
        subprocess.run(["/usr/bin/gcc", "-static", "-x", "c", "-", "-o", f"{root}/opt/bin/{name}"], check=True,
                       input=text.replace("NAME", name).encode())


def static_compiler(root):
    """Its objects are the source, and where it stood."""
    build_static(root, r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	const char *output = NULL, *source = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
			output = argv[++i];
		else if (argv[i][0] != '-')
			source = argv[i];
	}
	char cwd[4096];
	FILE *from = source ? fopen(source, "r") : NULL, *to = output ? fopen(output, "w") : NULL;
	if (!from || !to || !getcwd(cwd, sizeof(cwd)))
		return 1;
	fputs(cwd, to);
	for (int c; (c = getc(from)) != EOF;)
		putc(c, to);
	return fclose(to) ? 1 : 0;
}
""")


def static_driver(root):
    build_static(root, r"""
#include <unistd.h>
int main(int argc, char **argv)
{
	argv[0] = "/usr/bin/NAME";
	execv(argv[0], argv);
	return argc > 0;
}
""")


case("compiler linked under another prefix", "CC -g -c x.c -o x.o", PLAIN_C, setup=tool_symlinks, path=["@ROOT@/opt/bin"],
     expect=OTHER_TOOLS)
case("C++ compiler linked under another prefix", "CXX -c x.cc -o x.o",
     {"x.cc": "#include <cstddef>\nstd::size_t n;\n"}, setup=tool_symlinks, path=["@ROOT@/opt/bin"], expect=OTHER_TOOLS)
case("compiler linked by its final name", "CC -c x.c -o x.o", PLAIN_C, setup=tool_realpaths, path=["@ROOT@/opt/bin"],
     expect=OTHER_TOOLS)
case("compiler linked under another prefix, as launcher", "CC -c x.c -o x.o", PLAIN_C, only="gcc", setup=tool_symlinks,
     via="launcher", compiler="@ROOT@/opt/bin/gcc", expect=OTHER_TOOLS)
case("a relative name of a compiler, as launcher", "CC -c x.c -o x.o", PLAIN_C, only="gcc", setup=tool_symlinks,
     via="launcher", compiler="opt/bin/gcc", expect=OTHER_TOOLS)
case("compiler is a script", "CC -c x.c -o x.o", {"x.c": "int x = WRAPPED;\n"}, setup=wrapper_scripts,
     path=["@ROOT@/opt/bin"], expect="local:wrapper|silent")
case("a wrapper that only adds an option, an error", "CC -c x.c -o x.o", {"x.c": "#if WRAPPED\n#error wrapped\n#endif\n"},
     setup=wrapper_scripts, path=["@ROOT@/opt/bin"], expect="local:wrapper|silent")
case("compiler is a static program", "CC -c x.c -o x.o", PLAIN_C, setup=static_compiler, path=["@ROOT@/opt/bin"], expect="local:*|inplace")
case("compiler is a static program that starts the real one", "CC -g -c x.c -o x.o", PLAIN_C, setup=static_driver, path=["@ROOT@/opt/bin"],
     expect="local:*|inplace")
case("compiler that doesn't exist", files=PLAIN_C, sh="nonexistent-gcc -c x.c; echo $?", expect="silent")
case("relative directory on PATH", "CC -c x.c -o x.o", PLAIN_C, setup=tool_symlinks, path=["opt/bin"], expect=OTHER_TOOLS)
case("masquerade in a prefix with a bin and a lib", "CC -c x.c -o x.o",
     {**PLAIN_C, "pre/lib/keep": "", "pre/libexec/keep": ""}, path=["@ROOT@/pre/bin"])
case("working directory removed", files={"gone/keep": "", "x.c": C, "x.h": C_HEADER},
     sh="cd gone; rm keep; rmdir ../gone; exec $CC -c @ROOT@/x.c -o @ROOT@/x.o", expect="local:*|silent")
case("C++ and C of one name", files={"x.c": C, "x.cc": CXX, "x.h": C_HEADER},
     steps=[run("CC -c x.c -o c.o"), run("CXX -c x.cc -o cxx.o")])
case("a limit on the size of files", files=PLAIN_C, sh="ulimit -f 2000; exec $CC -c x.c -o x.o", expect=EITHER)
case("a script run by the build", files={**PLAIN_C, "build.sh": File("#!/bin/sh\n$CC -c x.c -o x.o\n", mode=0o755)},
     sh="./build.sh")
case("ccache first on PATH", "CC -c x.c -o x.o", PLAIN_C, needs="file /usr/lib/ccache/gcc", path=["/usr/lib/ccache"],
     env={"CCACHE_DIR": "@ROOT@/../ccache"}, only="gcc")
case("symlink to a real source tree", "CC -g -c link/x.c -o x.o", {"real/x.c": C, "real/x.h": C_HEADER, "link": Link("real")})
