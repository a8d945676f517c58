"""Debug information and everything that puts paths or command lines into objects."""

from cases.common import C, C_HEADER, PLAIN_C, PLAIN_CXX
from model import EITHER, Link, case, run

DEEP = {"src/deep/x.c": '#include "../inc/x.h"\nint answer(int n) { return n + OFFSET; }\n', "src/inc/x.h": C_HEADER}

for option in ("-g", "-g0", "-g1", "-g3", "-ggdb", "-ggdb3", "-gdwarf-4", "-gdwarf-5", "-gstrict-dwarf", "-gno-column-info",
               "-gz", "-gz=none", "-gpubnames", "-grecord-gcc-switches", "-gno-record-gcc-switches",
               "-fdebug-types-section", "-feliminate-unused-debug-types", "-gline-tables-only",
               "-grecord-command-line", "-gembed-source", "-fstandalone-debug", "-gcodeview"):
    case(f"debug option {option}", f"CC {option} -c x.c -o x.o", PLAIN_C, needs=f"flags {option}")
case("debug, C++", "CXX -g -O1 -c x.cc -o x.o", PLAIN_CXX)
case("debug, paths with dots", "CC -g -c src/deep/../deep/x.c -o x.o", DEEP)
case("debug, absolute source", "CC -g -c @ROOT@/src/deep/x.c -o x.o", DEEP)
case("debug, -g3 keeps macros", "CC -g3 -DLINE=7 -c x.c -o x.o", PLAIN_C)
case("debug to assembly", "CC -g -S x.c -o x.s", PLAIN_C)

case("split DWARF", "CC -g -gsplit-dwarf -c x.c -o x.o", PLAIN_C)
case("split DWARF, default output name", "CC -g -gsplit-dwarf -c x.c", PLAIN_C)
case("split DWARF, output elsewhere", "CC -g -gsplit-dwarf -c x.c -o out/y.o", {**PLAIN_C, "out/keep": ""})
case("split DWARF, output without a suffix", "CC -g -gsplit-dwarf -c x.c -o y", PLAIN_C)
case("split DWARF, two outputs of one source",
     files=PLAIN_C, steps=[run("CC -g -gsplit-dwarf -c x.c -o one.o"), run("CC -g -gsplit-dwarf -c x.c -o two.o")])
case("split DWARF, -gsplit-dwarf=single", "CC -g -gsplit-dwarf=single -c x.c -o x.o", PLAIN_C, only="clang")
case("split DWARF, -gdwarf-4", "CC -gdwarf-4 -gsplit-dwarf -c x.c -o x.o", PLAIN_C)
case("split DWARF to assembly", "CC -g -gsplit-dwarf -S x.c -o x.s", PLAIN_C, expect=EITHER)

MAPS = {
    "-ffile-prefix-map": "-ffile-prefix-map=@ROOT@=/mapped",
    "-fdebug-prefix-map": "-fdebug-prefix-map=@ROOT@=/mapped",
    "-fmacro-prefix-map": "-fmacro-prefix-map=@ROOT@=/mapped",
    "-fdebug-prefix-map of a relative name": "-fdebug-prefix-map=src=/mapped",
    "-ffile-prefix-map of /usr": "-ffile-prefix-map=/usr=/XX",
    "two maps": "-fdebug-prefix-map=@ROOT@/src=/one -fdebug-prefix-map=@ROOT@=/two",
    "two kinds of maps": "-ffile-prefix-map=@ROOT@=. -fdebug-prefix-map=/usr=/YY",
    "a map that matches nothing": "-ffile-prefix-map=/no/such/place=/mapped",
}
for name, maps in MAPS.items():
    case(f"prefix map: {name}", f"CC -g {maps} -c @ROOT@/src/deep/x.c -o x.o",
         {**DEEP, "src/deep/x.c": '#include "../inc/x.h"\n#include <stddef.h>\nconst char *file = __FILE__;\n'
                                  "size_t answer2(void) { return OFFSET; }\n"})
case("-fdebug-compilation-dir", "CC -g -fdebug-compilation-dir=/elsewhere -c x.c -o x.o", PLAIN_C, only="clang",
     expect=EITHER)
case("-fcoverage-prefix-map", "CC -fprofile-instr-generate -fcoverage-mapping -fcoverage-prefix-map=@ROOT@=. -c x.c",
     PLAIN_C, only="clang")
case("-fprofile-prefix-map", "CC -g --coverage -fprofile-prefix-map=@ROOT@=/mapped -c x.c -o x.o", PLAIN_C, only="gcc",
     unstable="gcc")

case("-frecord-gcc-switches", "CC -frecord-gcc-switches -O2 -c x.c -o x.o", PLAIN_C)
case("-frecord-gcc-switches with -g and -o elsewhere", "CC -g -frecord-gcc-switches -DX=1 -c x.c -o out/x.o",
     {**PLAIN_C, "out/keep": ""})
case("-frecord-command-line", "CC -frecord-command-line -c x.c -o x.o", PLAIN_C, only="clang")
case("-frecord-gcc-switches, two outputs of one source", files=PLAIN_C,
     steps=[run("CC -frecord-gcc-switches -c x.c -o one.o"),
            run("CC -frecord-gcc-switches -c x.c -o two.o", expect="remote|hit")])

MACROS = 'const char *file = __FILE__; int line = __LINE__; const char *base = __BASE_FILE__; int level = __INCLUDE_LEVEL__;\n'
case("__FILE__ of a relative source", "CC -c src/x.c -o x.o", {"src/x.c": MACROS})
case("__FILE__ of an absolute source", "CC -c @ROOT@/src/x.c -o x.o", {"src/x.c": MACROS})
case("__FILE__ in a header", "CC -Iinc -c x.c -o x.o", {"x.c": '#include "h.h"\n', "inc/h.h": MACROS})
case("__COUNTER__", "CC -c x.c", {"x.c": "int a = __COUNTER__, b = __COUNTER__;\n"})
case("assert names the file", "CC -g -c src/x.c", {"src/x.c": "#include <assert.h>\nvoid f(int n) { assert(n > 0); }\n"})

case("PWD through a symlink is the directory recorded", "CC -g -c x.c -o x.o", {"real/x.c": "int x;\n", "link": Link("real")},
     cwd="link")
case("PWD unset", "CC -g -c x.c -o x.o", PLAIN_C, env={"PWD": None})
case("PWD wrong", "CC -g -c x.c -o x.o", PLAIN_C, env={"PWD": "/usr"})
case("PWD relative", "CC -g -c x.c -o x.o", PLAIN_C, env={"PWD": "."})
case("PWD with a final slash", "CC -g -c x.c -o x.o", PLAIN_C, env={"PWD": "@ROOT@/"})
case("identical sources in two directories", files={"a/x.c": C, "a/x.h": C_HEADER, "b/x.c": C, "b/x.h": C_HEADER},
     steps=[run("CC -g -c x.c -o x.o", cwd="a"), run("CC -g -c x.c -o x.o", cwd="b")])
case("identical sources in two directories, no debug", files={"a/x.c": C, "a/x.h": C_HEADER, "b/x.c": C, "b/x.h": C_HEADER},
     steps=[run("CC -c x.c -o x.o", cwd="a"), run("CC -c x.c -o x.o", cwd="b")])
case("one source compiled from two directories", files={"x.c": "int x;\n", "a/keep": "", "b/keep": ""},
     steps=[run("CC -g -c ../x.c -o x.o", cwd="a"), run("CC -g -c ../x.c -o x.o", cwd="b")])
case("one directory by two names", files={"real/x.c": "int x;\n", "link": Link("real")},
     steps=[run("CC -g -c x.c -o one.o", cwd="real"), run("CC -g -c x.c -o two.o", cwd="link")])
case("the object doesn't depend on its name", files=PLAIN_C,
     steps=[run("CC -c x.c -o one.o"), run("CC -c x.c -o two.o", expect="hit")])
