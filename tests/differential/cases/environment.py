"""Environment variables."""

from cases.common import PLAIN_C, WARNS
from model import EITHER, OTHER_TOOLS, File, Link, case, run

FOUND = {"x.c": "#include <where.h>\nint where = WHERE;\n", "one/where.h": "#define WHERE 1\n",
         "two/where.h": "#define WHERE 2\n"}


def local(name):
    return f"local:environment:{name}"


case("CPATH", "CC -c x.c", FOUND, env={"CPATH": "one:two"})
case("CPATH behind -I", "CC -Itwo -c x.c", FOUND, env={"CPATH": "one"})
case("CPATH with an empty element", "CC -c x.c", {**FOUND, "where.h": "#define WHERE 3\n"}, env={"CPATH": ":two"})
case("C_INCLUDE_PATH", "CC -c x.c", FOUND, env={"C_INCLUDE_PATH": "two:one"})
case("CPLUS_INCLUDE_PATH", "CXX -c x.cc", {**FOUND, "x.cc": FOUND["x.c"]},
     env={"CPLUS_INCLUDE_PATH": "@ROOT@/two", "C_INCLUDE_PATH": "one"})
case("OBJC_INCLUDE_PATH isn't for C", "CC -Ione -c x.c", FOUND, env={"OBJC_INCLUDE_PATH": "two"}, expect=EITHER)
case("CPATH, then another", files=FOUND,
     steps=[run("CC -c x.c", env={"CPATH": "one"}), run("CC -c x.c", env={"CPATH": "two"})])

DATE = {"x.c": "const char *date = __DATE__ __TIME__;\n"}
case("SOURCE_DATE_EPOCH", "CC -c x.c", DATE, env={"SOURCE_DATE_EPOCH": "1234567890"}, only="gcc")
# clang heeds it from version 16 on; before that no two objects are equal, only as large as each other.
case("SOURCE_DATE_EPOCH, sizes", "CC -c x.c", {"x.c": "int n = sizeof __DATE__ + sizeof __TIME__;\n"},
     env={"SOURCE_DATE_EPOCH": "1234567890"}, expect={"clang": "local:date_time"})
case("SOURCE_DATE_EPOCH, two of them", files=DATE, only="gcc",
     steps=[run("CC -c x.c", env={"SOURCE_DATE_EPOCH": "1234567890"}),
            run("CC -c x.c", env={"SOURCE_DATE_EPOCH": "1000000000"})])
case("SOURCE_DATE_EPOCH that is no number", "CC -c x.c", {"x.c": "int n = sizeof __DATE__;\n"},
     env={"SOURCE_DATE_EPOCH": "yesterday"}, expect={"gcc": "local:*", "clang": "remote|local:*"})
case("SOURCE_DATE_EPOCH without a use", "CC -c x.c", PLAIN_C, env={"SOURCE_DATE_EPOCH": "1"})
case("TZ", "CC -c x.c", PLAIN_C, env={"TZ": "Asia/Tokyo"})

case("DEPENDENCIES_OUTPUT", "CC -c x.c -o x.o", PLAIN_C, env={"DEPENDENCIES_OUTPUT": "deps target"},
     expect=local("DEPENDENCIES_OUTPUT"))
case("SUNPRO_DEPENDENCIES", "CC -c x.c -o x.o", PLAIN_C, env={"SUNPRO_DEPENDENCIES": "deps target"},
     expect=local("SUNPRO_DEPENDENCIES"))
case("CCC_OVERRIDE_OPTIONS", "CC -c x.c -o x.o", PLAIN_C, env={"CCC_OVERRIDE_OPTIONS": "# +-DX=1 O3"},
     expect={"clang": local("CCC_OVERRIDE_OPTIONS"), "gcc": EITHER})
case("LD_PRELOAD", "CC -c x.c -o x.o", PLAIN_C, env={"LD_PRELOAD": "libm.so.6"}, expect=local("LD_PRELOAD"))
case("LD_LIBRARY_PATH", "CC -c x.c -o x.o", PLAIN_C, env={"LD_LIBRARY_PATH": "@ROOT@"}, expect=local("LD_LIBRARY_PATH"))
case("LD_LIBRARY_PATH empty", "CC -c x.c -o x.o", PLAIN_C, env={"LD_LIBRARY_PATH": ""}, expect=EITHER)
case("LD_BIND_NOW", "CC -c x.c -o x.o", PLAIN_C, env={"LD_BIND_NOW": "1"}, expect="remote|local:environment:*")
case("an unknown GCC_ variable", "CC -c x.c -o x.o", PLAIN_C, env={"GCC_SOMETHING_NEW": "1"},
     expect={"gcc": local("GCC_SOMETHING_NEW"), "clang": EITHER})
case("an unknown CLANG_ variable", "CC -c x.c -o x.o", PLAIN_C, env={"CLANG_SOMETHING_NEW": "1"},
     expect={"clang": local("CLANG_SOMETHING_NEW"), "gcc": EITHER})
case("an unknown CCC_ variable", "CC -c x.c -o x.o", PLAIN_C, env={"CCC_SOMETHING_NEW": "1"},
     expect={"clang": local("CCC_SOMETHING_NEW"), "gcc": EITHER})
case("an unknown LD_ variable", "CC -c x.c -o x.o", PLAIN_C, env={"LD_SOMETHING_NEW": "1"},
     expect=local("LD_SOMETHING_NEW"))
case("CLANG_CRASH_DIAGNOSTICS_DIR", "CC -c x.c -o x.o", PLAIN_C, env={"CLANG_CRASH_DIAGNOSTICS_DIR": "@ROOT@"},
     expect=EITHER)
case("GCC_EXEC_PREFIX", "CC -c x.c -o x.o", PLAIN_C, env={"GCC_EXEC_PREFIX": "/usr/lib/gcc/"}, expect=OTHER_TOOLS)
case("COMPILER_PATH without anything in it", "CC -c x.c -o x.o", PLAIN_C, env={"COMPILER_PATH": "@ROOT@/none"},
     expect=OTHER_TOOLS)
AS = File('#!/bin/sh\nexec /usr/bin/as --defsym marked=1 "$@"\n', mode=0o755)
case("COMPILER_PATH with an as", "CC -c x.c -o x.o", {**PLAIN_C, "tools/as": AS}, env={"COMPILER_PATH": "@ROOT@/tools"},
     expect=OTHER_TOOLS)
case("an as of the user's first on PATH", "CC -c x.c -o x.o", {**PLAIN_C, "tools/as": AS}, path=["@ROOT@/tools"],
     expect=OTHER_TOOLS)
case("an as first on PATH that is a symlink to the real one", "CC -c x.c -o x.o", {**PLAIN_C, "tools/as": Link("/usr/bin/as")},
     path=["@ROOT@/tools"], expect=OTHER_TOOLS)
case("an as appears on PATH", files={**PLAIN_C, "tools/keep": ""},
     steps=[run("CC -c x.c -o x.o", path=["@ROOT@/tools"], expect=OTHER_TOOLS)])
case("LIBRARY_PATH", "CC -c x.c -o x.o", PLAIN_C, env={"LIBRARY_PATH": "@ROOT@"})
case("a variable that means nothing to a compiler", "CC -c x.c -o x.o", PLAIN_C, env={"MAKEFLAGS": "-j4", "FOO": "1"})
case("a very large environment", "CC -c x.c -o x.o", PLAIN_C, env={f"BIG_{i}": "x" * 5000 for i in range(20)})
case("TMPDIR that doesn't exist", "CC -c x.c -o x.o", PLAIN_C, env={"TMPDIR": "/no/such/place"})
case("TMPDIR within the tree", "CC -c x.c -o x.o", {**PLAIN_C, "tmp/keep": ""}, env={"TMPDIR": "@ROOT@/tmp"})
case("HOME unset", "CC -c x.c -o x.o", PLAIN_C, env={"HOME": None})
case("LIBRARY messages: warnings with CLICOLOR_FORCE", "CC -Wall -c x.c", {"x.c": WARNS}, env={"CLICOLOR_FORCE": "1"},
     expect=EITHER)
case("MALLOC_PERTURB_", "CC -c x.c -o x.o", PLAIN_C, env={"MALLOC_PERTURB_": "85"}, expect=EITHER)
case("GLIBC_TUNABLES", "CC -c x.c -o x.o", PLAIN_C, env={"GLIBC_TUNABLES": "glibc.malloc.check=1"}, expect=EITHER)

case("LLAMACC_LOCAL", "CC -c x.c -o x.o", PLAIN_C, env={"LLAMACC_LOCAL": "1"}, expect="local:requested|silent")
case("LLAMACC_LOCAL, an error", "CC -c x.c -o x.o", {"x.c": "int ;;; x(\n"}, env={"LLAMACC_LOCAL": "1"},
     expect="local:requested|silent")
case("LLAMACC_BUILD_ID", "CC -c x.c -o x.o", PLAIN_C, env={"LLAMACC_BUILD_ID": "abc"})
case("LLAMACC_FILTER_WARNINGS off", "CC -Wall -c x.c -o x.o", {"x.c": WARNS}, env={"LLAMACC_FILTER_WARNINGS": "0"})
case("LLAMACC_FUNCTION", "CC -c x.c -o x.o", PLAIN_C, env={"LLAMACC_FUNCTION": "gcc"})
case("an unknown LLAMACC_ variable says nothing", "CC -Wall -c x.c -o x.o", {"x.c": WARNS}, env={"LLAMACC_NEW_THING": "1"})
case("LLAMACC_RECACHE", "CC -c x.c -o x.o", PLAIN_C, env={"LLAMACC_RECACHE": "1"}, expect="executed")
case("LLAMACC_REMOTE_ASSEMBLE on", "CC -c x.s -o x.o", {"x.s": "nop\n"}, env={"LLAMACC_REMOTE_ASSEMBLE": "1"})
