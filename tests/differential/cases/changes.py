"""Something changes between two compilations: the second must be the new truth, never the old result."""

import os

from cases.common import C_HEADER, PLAIN_C
from model import EITHER, FAILS, OTHER_TOOLS, Dir, Link, case, change, run

COMPILE = "CC -g -MD -c x.c -o x.o"
TWO = {"x.c": '#include "where.h"\nint where = WHERE;\n', "one/keep": "", "two/where.h": "#define WHERE 2\n"}
TWIN = "#pragma once\n#ifdef SECOND\nint second;\n#else\nint first;\n#endif\n"


def write(path, text, keep_time=False):
    """Write a file, with the old one's time if asked."""
    def step(root):
        full = os.path.join(root, path)
        before = os.stat(full).st_mtime_ns if keep_time else None
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as out:
            out.write(text)
        if keep_time:
            os.utime(full, ns=(before, before))
    return change(step)


def replace(path, text):
    """Put a new file of the same name and time in its place."""
    def step(root):
        full = os.path.join(root, path)
        before = os.stat(full).st_mtime_ns
        with open(full + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.utime(full + ".new", ns=(before, before))
        os.rename(full + ".new", full)
    return change(step)


def script(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path, 0o755)


def do(function):
    return change(function)


def relink(path, target):
    def step(root):
        full = os.path.join(root, path)
        if os.path.lexists(full):
            os.unlink(full)
        os.symlink(target, full)
    return change(step)


def changed(name, files, *changes, command=COMPILE, first="remote", second="remote"):
    case(f"change: {name}", files=files, steps=[run(command, expect=first), *changes, run(command, expect=second)])


changed("nothing", PLAIN_C, second="hit")
changed("source", PLAIN_C, write("x.c", "int other;\n"))
changed("source, same size and time", {"x.c": "int a = 1;\n"}, write("x.c", "int a = 2;\n", keep_time=True))
changed("source replaced, same size and time", {"x.c": "int a = 1;\n"}, replace("x.c", "int a = 2;\n"))
changed("source touched", PLAIN_C, do(lambda root: os.utime(f"{root}/x.c")), second="hit|remote")
changed("header", PLAIN_C, write("x.h", "#define OFFSET 41\nint answer(int n);\n"))
changed("header, same size and time", PLAIN_C, write("x.h", C_HEADER.replace("40", "41"), keep_time=True))
changed("header replaced, same size and time", PLAIN_C, replace("x.h", C_HEADER.replace("40", "41")))
changed("header through a hard link", {**PLAIN_C},
        do(lambda root: os.link(f"{root}/x.h", f"{root}/y.h")), write("y.h", C_HEADER.replace("40", "42"), keep_time=True),
        second="remote|local:hard_linked")
changed("header touched", PLAIN_C, do(lambda root: os.utime(f"{root}/x.h")), second="hit|remote")
changed("header removed", PLAIN_C, do(lambda root: os.unlink(f"{root}/x.h")), second=FAILS)
changed("header becomes an error", PLAIN_C, write("x.h", "#error no\n"), second=FAILS)
changed("header appears earlier on the path", TWO, write("one/where.h", "#define WHERE 1\n"),
        command="CC -Ione -Itwo -c x.c -o x.o")
changed("header appears beside the source", TWO, write("where.h", "#define WHERE 0\n"),
        command="CC -Ione -Itwo -c x.c -o x.o")
changed("search directory appears with a header", {k: v for k, v in TWO.items() if k != "one/keep"},
        write("one/where.h", "#define WHERE 1\n"), command="CC -Ione -Itwo -c x.c -o x.o")
changed("search directory appears, empty", {k: v for k, v in TWO.items() if k != "one/keep"},
        do(lambda root: os.mkdir(f"{root}/one")), command="CC -Wmissing-include-dirs -Ione -Itwo -c x.c -o x.o")
changed("search directory vanishes", {k: v for k, v in TWO.items() if k != "one/keep"} | {"one": Dir()},
        do(lambda root: os.rmdir(f"{root}/one")), command="CC -Wmissing-include-dirs -Ione -Itwo -c x.c -o x.o")
changed("symlinked header points elsewhere", {"x.c": '#include "l.h"\nint x = L;\n', "l.h": Link("a.h"),
                                              "a.h": "#define L 1\n", "b.h": "#define L 2\n"}, relink("l.h", "b.h"))
changed("symlinked directory points elsewhere", {"x.c": '#include "d/l.h"\nint x = L;\n', "d": Link("a"),
                                                 "a/l.h": "#define L 1\n", "b/l.h": "#define L 2\n"}, relink("d", "b"))
changed("directory is exchanged by renames", {"x.c": '#include "d/l.h"\nint x = L;\n', "d/l.h": "#define L 1\n",
                                              "e/l.h": "#define L 2\n"},
        do(lambda root: (os.rename(f"{root}/d", f"{root}/f"), os.rename(f"{root}/e", f"{root}/d"))))
changed("target of __has_include appears", {"x.c": '#if __has_include("opt.h")\nint with;\n#else\nint without;\n#endif\n'},
        write("opt.h", "\n"))
changed("target of __has_include vanishes", {"x.c": '#if __has_include("opt.h")\nint with;\n#else\nint without;\n#endif\n',
                                             "opt.h": "\n"}, do(lambda root: os.unlink(f"{root}/opt.h")))
changed(".incbin data", {"x.c": '__asm__(".section .rodata\\n.incbin \\"d.bin\\"\\n.previous\\n");\n', "d.bin": "one"},
        write("d.bin", "two"))
changed("assembler's .include", {"x.s": '.include "m.inc"\n', "m.inc": ".long 1\n"}, write("m.inc", ".long 2\n"),
        command="CC -c x.s -o x.o")
changed("-include file", {"x.c": "int x = P;\n", "p.h": "#define P 1\n"}, write("p.h", "#define P 2\n"),
        command="CC -include p.h -c x.c -o x.o")
changed("response file", {"x.c": "int x = P;\n", "args": "-DP=1"}, write("args", "-DP=2"), command="CC @args -c x.c -o x.o")
changed("depfile removed", PLAIN_C, do(lambda root: os.unlink(f"{root}/x.d")), second="hit")
changed("object damaged", PLAIN_C, write("x.o", "rubbish"), second="hit")
changed("object made read-only", PLAIN_C, do(lambda root: os.chmod(f"{root}/x.o", 0o444)), second="hit|local:output_special")
changed("object became a symlink", PLAIN_C, do(lambda root: os.rename(f"{root}/x.o", f"{root}/y.o")), relink("x.o", "y.o"),
        second="local:output_special")
changed("object became a directory", PLAIN_C, do(lambda root: (os.unlink(f"{root}/x.o"), os.mkdir(f"{root}/x.o"))),
        second="local:*")
changed("header becomes a directory, another on the path",
        {**TWO, "one/where.h": "#define WHERE 1\n"},
        do(lambda root: (os.unlink(f"{root}/one/where.h"), os.mkdir(f"{root}/one/where.h"))),
        command="CC -Ione -Itwo -c x.c -o x.o")
changed("header becomes a symlink out of the tree", {**PLAIN_C, "../outside.h": "#define OFFSET 99\nint answer(int n);\n"},
        relink("x.h", "../outside.h"))
changed("a guarded twin gets the other's time",
        {"x.cc": '#include "a/t.h"\n#define SECOND\n#include "b/t.h"\nint x;\n', "a/t.h": TWIN, "b/t.h": TWIN},
        do(lambda root: os.utime(f"{root}/b/t.h", ns=(os.stat(f"{root}/a/t.h").st_mtime_ns,) * 2)),
        command="CXX -c x.cc -o x.o", second=EITHER)
changed("a .gch appears beside a header", PLAIN_C, write("x.h.gch", "not a precompiled header"), second={"gcc": EITHER, "clang": "hit|remote|local:*"},
        command="CC -Winvalid-pch -c x.c -o x.o")
changed("an error is mended", {"x.c": "int f( {\n"}, write("x.c", "int f(void) { return 1; }\n"), first=FAILS)
case("change: an error is mended and comes back", files={"x.c": "int f( {\n"},
     steps=[run(COMPILE, expect=FAILS), write("x.c", "int f(void) { return 1; }\n"), run(COMPILE),
            write("x.c", "int f( {\n"), run(COMPILE, expect=FAILS)])
case("change: there and back again", files=PLAIN_C,
     steps=[run(COMPILE), write("x.h", "#define OFFSET 41\nint answer(int n);\n"), run(COMPILE), write("x.h", C_HEADER),
            run(COMPILE, expect="hit|remote")])
case("change: -I order", files={**TWO, "one/where.h": "#define WHERE 1\n"},
     steps=[run("CC -Ione -Itwo -c x.c"), run("CC -Itwo -Ione -c x.c")])
case("change: the tool first on PATH", files={**PLAIN_C, "tools/keep": ""}, only="gcc",
     steps=[run("CC -c x.c -o x.o", path=["@ROOT@/tools"], expect=OTHER_TOOLS),
            do(lambda root: script(f"{root}/tools/as", '#!/bin/sh\nexec /usr/bin/as --defsym marked=1 "$@"\n')),
            run("CC -c x.c -o x.o", path=["@ROOT@/tools"], expect=OTHER_TOOLS)])
