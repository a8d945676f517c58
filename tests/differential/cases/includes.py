"""How headers are found."""

from cases.common import C, C_HEADER
from model import EITHER, FAILS, Dir, File, Hard, Link, case

FOUND = {"x.c": "#include <where.h>\nint where = WHERE;\n"}
TWO = {"x.c": '#include "where.h"\nint where = WHERE;\n', "one/where.h": "#define WHERE 1\n",
       "two/where.h": "#define WHERE 2\n"}

case("-I order", "CC -Ione -Itwo -c x.c", TWO)
case("-I order turned round", "CC -I two -I one -c x.c", TWO)
case("-iquote before -I", "CC -Ione -iquote two -c x.c", TWO)
case("-iquote isn't for angle brackets", "CC -iquote one -I two -c x.c", {**TWO, **FOUND})
case("-isystem after -I", "CC -isystem one -I two -c x.c", TWO)
case("-idirafter after all", "CC -idirafter one -isystem two -c x.c", TWO)
case("-I of a directory that is also -isystem", "CC -Ione -isystem one -isystem two -c x.c", TWO)
case("-isystem of a symlinked directory", "CC -g -isystem link -c x.c -o x.o",
     {**FOUND, "deep/down/real/where.h": "#define WHERE 1\ninline static int f(void) { return WHERE; }\n",
      "link": Link("deep/down/real")})
case("-isystem of an absolute symlinked directory", "CXX -g -isystem @ROOT@/link -c x.cc -o x.o",
     {"x.cc": "#include <where.h>\nint g() { return f(); }\n", "real/where.h": "inline int f() { return 1; }\n",
      "link": Link("@ROOT@/real")})
case("-isystem hides warnings", "CC -Wall -isystem sys -c x.c",
     {"x.c": "#include <w.h>\n", "sys/w.h": "static int unused(void) { return 1; }\n"})
case("-iprefix and -iwithprefix", "CC -iprefix @ROOT@/o -iwithprefix ne -c x.c", {**TWO, **FOUND})
case("-iwithprefixbefore", "CC -iprefix @ROOT@/ -iwithprefixbefore one -Itwo -c x.c", TWO)
case("-nostdinc", "CC -nostdinc -Ione -c x.c", TWO)
case("-nostdinc hides the library", "CC -nostdinc -c x.c", {"x.c": "#include <stdio.h>\n"}, expect=FAILS)
case("-nostdinc++", "CXX -nostdinc++ -c x.cc", {"x.cc": "#include <stddef.h>\nsize_t n;\n"})
case("-undef", "CC -undef -c x.c", {"x.c": "#ifdef linux\nint l;\n#endif\nint x;\n"}, expect=EITHER)
case("-I-", "CC -Ione -I- -Itwo -c x.c", TWO, only="gcc", expect=EITHER)
case("-I of a file", "CC -Ix.c -Ione -c x.c", TWO)
case("-I of a missing directory", "CC -Inothing -Ione -c x.c", TWO)
case("-Wmissing-include-dirs", "CC -Wmissing-include-dirs -Inothing -Ix.c -Ione -c x.c", TWO)
case("-Wmissing-include-dirs of an empty directory", "CC -Wmissing-include-dirs -Iempty -Ione -c x.c",
     {**TWO, "empty": Dir()})
case("-I of an empty directory", "CC -Iempty -Ione -c x.c", {**TWO, "empty": Dir()})
case("-I with a final slash and dots", "CC -I./one/../one// -c x.c", TWO)
case("-I with spaces", ["CC", "-Ia dir", "-I", "b dir", "-c", "x.c"],
     {**FOUND, "a dir/other.h": "", "b dir/where.h": "#define WHERE 2\n"})
case("-include", "CC -include pre.h -c x.c", {"x.c": "int x = PRE;\n", "pre.h": "#define PRE 1\n"})
case("-include found by -I", "CC -Iinc -include pre.h -c x.c", {"x.c": "int x = PRE;\n", "inc/pre.h": "#define PRE 1\n"})
case("-include twice", "CC -include a.h -include b.h -c x.c",
     {"x.c": "int x = A;\n", "a.h": "#define A 1\n", "b.h": "#if A == 1\nint b;\n#endif\n"})
case("-imacros", "CC -imacros mac.h -c x.c", {"x.c": "int x = MAC;\n", "mac.h": "#define MAC 1\nint not_me;\n"})
case("--include=FILE and --imacros", "CC --include=pre.h --imacros mac.h -c x.c",
     {"x.c": "int x = PRE + MAC;\n", "pre.h": "#define PRE 1\n", "mac.h": "#define MAC 1\n"}, expect=EITHER)
case("-include of a missing file", "CC -include no.h -c x.c", {"x.c": "int x;\n"}, expect=FAILS)
case("-include of /dev/null", "CC -include /dev/null -c x.c", {"x.c": "int x;\n"})

case("#include_next", "CC -Ione -Itwo -c x.c",
     {"x.c": "#include <n.h>\nint n = N;\n", "one/n.h": "#include_next <n.h>\n#undef N\n#define N M + 1\n",
      "two/n.h": "#define M 5\n"})
case("#include_next of a library header", "CC -Ione -c x.c",
     {"x.c": "#include <limits.h>\nint n = INT_MAX;\n", "one/limits.h": "#include_next <limits.h>\n"})
case("__has_include", "CC -Ione -c x.c",
     {"x.c": '#if __has_include("here.h")\nint here;\n#endif\n#if __has_include(<not/here.h>)\nint there;\n#endif\n',
      "one/here.h": "#error never included\n"})
case("__has_include_next", "CC -Ione -Itwo -c x.c",
     {"x.c": '#include "n.h"\nint x = N;\n', "one/n.h": "#if __has_include_next(<n.h>)\n#define N 1\n#else\n#define N 2\n"
      "#endif\n", "two/n.h": ""})
case("__has_include of a library header", "CC -c x.c",
     {"x.c": "#if __has_include(<stdatomic.h>) && !__has_include(<nonsense/x.h>)\nint ok;\n#endif\n"})
case("computed include", "CC -c x.c", {"x.c": '#define NAME "a.h"\n#include NAME\nint a = A;\n', "a.h": "#define A 1\n"})
case("computed include, from the command line", ["CC", "-DNAME=<a.h>", "-Iinc", "-c", "x.c"],
     {"x.c": "#include NAME\nint a = A;\n", "inc/a.h": "#define A 1\n"})
case("computed include, function-like, candidates in two directories", "CC -Ione -Itwo -c x.c",
     {"x.c": "#define STR(x) #x\n#define XSTR(x) STR(x)\n#define NAME(n) XSTR(n.h)\n#include NAME(where)\n"
             "int where = WHERE;\n", **{k: v for k, v in TWO.items() if k != "x.c"}})
case("computed include, candidate in the later directory only", "CC -Ione -Itwo -c x.c",
     {"x.c": "#define STR(x) #x\n#define XSTR(x) STR(x)\n#include XSTR(where.h)\nint where = WHERE;\n",
      "one/keep": "", "two/where.h": "#define WHERE 2\n"})
case("includes that #if leaves out", "CC -c x.c", {"x.c": '#if 0\n#include "no.h"\n#endif\n#ifdef NEVER\n#include <no2.h>\n'
                                                         '#endif\nint x;\n'})
case("a/../b.h", "CC -c x.c", {"x.c": '#include "a/../b.h"\nint x = B;\n', "a/keep": "", "b.h": "#define B 1\n"})
case("a/../b.h through a symlinked a", "CC -c x.c",
     {"x.c": '#include "a/../b.h"\nint x = B;\n', "a": Link("deep/down"), "deep/down/keep": "", "b.h": "#define B 1\n",
      "deep/b.h": "#define B 2\n"})
case("a/../b.h without a", "CC -c x.c", {"x.c": '#include "a/../b.h"\nint x;\n', "b.h": "#define B 1\n"}, expect=FAILS)
case("header in a symlinked directory", "CC -Ilink -MD -c x.c", {**FOUND, "real/where.h": "#define WHERE 1\n",
                                                                 "link": Link("real")})
case("header that is a symlink", "CC -g -MD -c x.c",
     {"x.c": '#include "l.h"\nint x = L;\n', "l.h": Link("real/l.h"), "real/l.h": '#include "m.h"\n#define L M\n',
      "m.h": "#define M 1\n", "real/m.h": "#define M 2\n"})
case("chain of symlinks", "CC -c x.c", {"x.c": '#include "a.h"\nint x = A;\n', "a.h": Link("b.h"), "b.h": Link("sub/c.h"),
                                        "sub": Link("real"), "real/c.h": "#define A 1\n"})
case("header that is a broken symlink, another on the path", "CC -Ione -Itwo -c x.c",
     {**FOUND, "one/where.h": Link("nowhere"), "two/where.h": "#define WHERE 2\n"})
case("header that is a symlink loop", "CC -Ione -c x.c", {**FOUND, "one/where.h": Link("where.h")}, expect="local:*")
case("header that is a directory, another on the path", "CC -Ione -Itwo -c x.c",
     {**FOUND, "one/where.h": Dir(), "two/where.h": "#define WHERE 2\n"})
case("source that is a symlink", "CC -g -c x.c", {"x.c": Link("real/y.c"), "real/y.c": '#include "h.h"\nint x = H;\n',
                                                  "h.h": "#define H 1\n", "real/h.h": "#define H 2\n"})
case("source with another extension behind a symlink", "CC -c x.c", {"x.c": Link("data"), "data": "int x;\n"})

TWINS = {"x.cc": '#include "a/t.h"\n#define SECOND\n#include "b/t.h"\nint x;\n'}
SAME = "#pragma once\n#ifdef SECOND\nint second;\n#else\nint first;\n#endif\n"
case("twins with #pragma once, other mtimes", "CXX -c x.cc",
     {**TWINS, "a/t.h": File(SAME, mtime=1500000000), "b/t.h": File(SAME, mtime=1500000060)})
case("twins with #pragma once, equal mtimes", "CXX -c x.cc",
     {**TWINS, "a/t.h": File(SAME, mtime=1500000000), "b/t.h": File(SAME, mtime=1500000000)})
case("twins with #pragma once, hard-linked", "CXX -c x.cc", {**TWINS, "a/t.h": SAME, "b/t.h": Hard("a/t.h")},
     expect="remote|local:hard_linked")
case("twins with #pragma once, one a symlink", "CXX -c x.cc", {**TWINS, "a/t.h": SAME, "b/t.h": Link("../a/t.h")})
case("twins with #pragma once, in symlinked directories", "CXX -c x.cc", {**TWINS, "a/t.h": SAME, "b": Link("a")})
IMPORTS = {"x.c": '#import "a/t.h"\n#define SECOND\n#import "b/t.h"\nint x;\n'}
ONCE = SAME.replace("#pragma once\n", "")
case("#import, equal mtimes", "CC -w -c x.c",
     {**IMPORTS, "a/t.h": File(ONCE, mtime=1500000000), "b/t.h": File(ONCE, mtime=1500000000)})
case("#import, other mtimes", "CC -w -c x.c",
     {**IMPORTS, "a/t.h": File(ONCE, mtime=1500000000), "b/t.h": File(ONCE, mtime=1500000001)})
case("#import, hard-linked", "CC -w -c x.c", {**IMPORTS, "a/t.h": ONCE, "b/t.h": Hard("a/t.h")},
     expect="remote|local:hard_linked")
case("equal headers without a guard", "CC -c x.c",
     {"x.c": '#include "a.h"\n#include "b.h"\nint x = N;\n', "a.h": "#ifdef N\n#undef N\n#define N 2\n#else\n#define N 1\n"
      "#endif\n", "b.h": "#ifdef N\n#undef N\n#define N 2\n#else\n#define N 1\n#endif\n"})
case("hard-linked headers without a guard", "CC -c x.c",
     {"x.c": '#include "a.h"\n#include "b.h"\nint x;\n', "a.h": "int h;\n", "b.h": Hard("a.h")},
     expect="remote|local:hard_linked")
case("a header hard-linked outside of what is compiled", "CC -c x.c",
     {"x.c": '#include "a.h"\nint x;\n', "a.h": "int h;\n", "elsewhere/a.h": Hard("a.h")},
     expect="remote|local:hard_linked")
case("guards that #pragma once and #ifndef share", "CC -c x.c",
     {"x.c": '#include "a.h"\n#include "./a.h"\n#include "s/../a.h"\nint x;\n', "s/keep": "",
      "a.h": "#ifndef A\n#define A\nint a;\n#endif\n"})

case("deep nesting of headers", "CC -MD -c x.c",
     {"x.c": '#include "h0.h"\nint x = N;\n', **{f"h{i}.h": f'#include "h{i + 1}.h"\n' for i in range(60)},
      "h60.h": "#define N 60\n"})
case("nesting too deep", "CC -c x.c", {"x.c": '#include "x.c"\n'}, expect=FAILS)
case("many headers", "CC -MMD -c x.c", {"x.c": "".join(f'#include "h/{i}.h"\n' for i in range(200)),
                                       **{f"h/{i}.h": f"int h{i};\n" for i in range(200)}})
case("a header beside the includer comes first", "CC -Ione -c src/x.c",
     {"src/x.c": C, "src/x.h": C_HEADER, "one/x.h": "#define OFFSET 1\n"})
case("header found up in the tree", "CC -c a/b/c/x.c", {"a/b/c/x.c": '#include "../../../top.h"\nint x = T;\n',
                                                       "top.h": "#define T 1\n"})
case("absolute include", "CC -c x.c -DNAME=<@ROOT@/abs.h>", {"x.c": "#include NAME\nint x = A;\n", "abs.h": "#define A 1\n"})
case("header named by its real library path", "CC -c x.c", {"x.c": '#include "/usr/include/string.h"\nsize_t n;\n'},
     needs="file /usr/include/string.h")
case("#embed", "CC -std=c23 -c x.c", {"x.c": "const unsigned char d[] = {\n#embed \"data.bin\"\n};\n",
                                      "data.bin": b"\0\1\2\3"}, needs=("gcc>=15", "clang>=19"))
case("#embed with --embed-dir", "CC -std=c23 --embed-dir=data -c x.c",
     {"x.c": "const unsigned char d[] = {\n#embed <d.bin> limit(2)\n};\n#if __has_embed(<no.bin>)\nint no;\n#endif\n",
      "data/d.bin": b"\0\1\2\3"}, needs=("gcc>=15", "clang>=19"))
