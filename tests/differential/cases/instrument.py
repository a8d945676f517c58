"""Options that make further files or instrument the code: coverage, sanitizers, profiles, temporaries, LTO."""

import subprocess

from cases.common import C, C_HEADER, PLAIN_C, PLAIN_CXX
from model import EITHER, case, run
from preconditions import llvm_profdata

case("-fstack-usage", "CC -fstack-usage -c x.c -o x.o", PLAIN_C, needs="flags -fstack-usage")
case("-fstack-usage, default output name", "CC -fstack-usage -c src/x.c", {"src/x.c": C, "src/x.h": C_HEADER},
     needs="flags -fstack-usage")
case("-fstack-usage, output elsewhere", "CC -fstack-usage -c x.c -o out/y.o", {**PLAIN_C, "out/keep": ""},
     needs="flags -fstack-usage")
case("-fcallgraph-info", "CC -fcallgraph-info -c x.c -o x.o", PLAIN_C, only="gcc", expect=EITHER)
case("-fdump-tree-optimized", "CC -O1 -fdump-tree-optimized -c x.c -o x.o", PLAIN_C, only="gcc", expect=EITHER)
case("-aux-info", "CC -aux-info x.protos -c x.c -o x.o", PLAIN_C, only="gcc", expect=EITHER)
case("-fopt-info to a file", "CC -O3 -fopt-info=opt.txt -c x.c -o x.o", PLAIN_C, only="gcc", expect=EITHER)
case("-fsave-optimization-record", "CC -O2 -fsave-optimization-record -c x.c -o x.o", PLAIN_C, expect=EITHER,
     unstable="gcc")
case("-MJ", "CC -MJ x.json -c x.c -o x.o", PLAIN_C, only="clang", expect=EITHER)
case("--serialize-diagnostics", "CC --serialize-diagnostics x.dia -c x.c -o x.o", PLAIN_C, only="clang", expect=EITHER)
case("-H lists the headers", "CC -H -c x.c -o x.o", PLAIN_C, expect=EITHER)

for option in ("-save-temps", "-save-temps=obj", "-save-temps=cwd", "--save-temps"):
    case(f"{option}", f"CC {option} -c src/x.c -o out/x.o", {"src/x.c": C, "src/x.h": C_HEADER, "out/keep": ""})
case("-save-temps, C++, default output name", "CXX -save-temps -c x.cc", PLAIN_CXX)
case("-save-temps -g -pipe", "CC -save-temps -g -pipe -c x.c -o x.o", PLAIN_C)
case("-save-temps to assembly", "CC -save-temps -S x.c -o x.s", PLAIN_C)
case("-dumpdir and -dumpbase", "CC -save-temps -dumpdir d- -dumpbase y.c -c x.c -o x.o", PLAIN_C, only="gcc",
     expect=EITHER)

BRANCHES = {"x.c": '#include "x.h"\nint f(int n) { if (n > OFFSET) return 1; return n ? 2 : 3; }\n', "x.h": C_HEADER}
case("--coverage", "CC --coverage -c x.c -o x.o", BRANCHES, unstable="gcc")
case("--coverage, default output name", "CC --coverage -c x.c", BRANCHES, unstable="gcc")
case("-coverage, one dash: -c isn't swallowed", "CC -coverage -c x.c -o x.o", BRANCHES, unstable="gcc")
case("-coverage without -c links", "CC -coverage x.c -o x", {"x.c": "int main(void) { return 0; }\n"}, unstable="gcc",
     expect="local:link|local:option:*")
case("-ftest-coverage", "CC -ftest-coverage -c x.c -o x.o", BRANCHES, unstable="gcc")
case("-ftest-coverage -fprofile-arcs, output elsewhere", "CC -ftest-coverage -fprofile-arcs -g -c src/x.c -o out/y.o",
     {"src/x.c": BRANCHES["x.c"], "src/x.h": C_HEADER, "out/keep": ""}, unstable="gcc")
case("--coverage, two outputs of one source", files=BRANCHES, unstable="gcc",
     steps=[run("CC --coverage -c x.c -o one.o"), run("CC --coverage -c x.c -o two.o")])
case("--coverage with the user's seed", "CC --coverage -frandom-seed=7 -c x.c -o x.o", BRANCHES, only="gcc")
case("--coverage, header with code", "CXX --coverage -O0 -c x.cc -o x.o",
     {"x.cc": '#include "x.h"\nint g() { return f(1); }\n', "x.h": "inline int f(int n) { return n ? 1 : 2; }\n"},
     unstable="gcc")
case("-fprofile-generate", "CC -fprofile-generate -O1 -c x.c -o x.o", BRANCHES, unstable="gcc")
case("-fprofile-arcs", "CC -fprofile-arcs -c x.c -o x.o", BRANCHES, unstable="gcc")
case("-fprofile-update=atomic", "CC -fprofile-arcs -fprofile-update=atomic -c x.c -o x.o", BRANCHES, unstable="gcc")
case("-fprofile-instr-generate -fcoverage-mapping", "CC -fprofile-instr-generate -fcoverage-mapping -c x.c", BRANCHES,
     only="clang")

for kind in ("undefined", "address", "thread", "leak", "undefined -fno-sanitize-recover=all", "signed-integer-overflow",
             "undefined,address"):
    case(f"-fsanitize={kind}", f"CC -fsanitize={kind} -O1 -c x.c -o x.o",
         {"x.c": '#include "x.h"\nint f(int *p, int n) { return p[n] + OFFSET / n; }\n', "x.h": C_HEADER})
case("-fsanitize=undefined, C++ with -g", "CXX -g -fsanitize=undefined -c @ROOT@/x.cc -o x.o", PLAIN_CXX)
case("-fsanitize-ignorelist", "CC -fsanitize=address -fsanitize-ignorelist=ignore.txt -c x.c -o x.o",
     {"x.c": "int f(int *p) { return *p; }\nint g(int *p) { return *p; }\n", "ignore.txt": "fun:f\n"}, only="clang",
     needs="clang>=13")
case("-fsanitize-blacklist", "CC -fsanitize=address -fsanitize-blacklist=ignore.txt -c x.c -o x.o",
     {"x.c": "int f(int *p) { return *p; }\nint g(int *p) { return *p; }\n", "ignore.txt": "fun:g\n"}, only="clang",
     expect=EITHER)
case("-fsanitize-ignorelist that doesn't exist", "CC -fsanitize=address -fsanitize-ignorelist=no.txt -c x.c", PLAIN_C,
     only="clang", expect="local:*")
case("-fxray-instrument with a list", "CC -fxray-instrument -fxray-attr-list=list.txt -c x.c -o x.o",
     {**PLAIN_C, "list.txt": "[always]\nfun:answer\n"}, only="clang", expect=EITHER, needs="x86_64")
case("-fprofile-list", "CC -fprofile-instr-generate -fprofile-list=list.txt -c x.c -o x.o",
     {"x.c": "int f(int n) { return n; }\nint g(int n) { return n; }\n", "list.txt": "fun:f\n"}, only="clang")
case("-finstrument-functions", "CC -finstrument-functions -c x.c -o x.o", PLAIN_C)
case("-pg", "CC -pg -c x.c -o x.o", PLAIN_C)

for option in ("-flto", "-flto=thin", "-flto=auto", "-flto -ffat-lto-objects", "-flto -g"):
    case(f"{option}", f"CC {option} -O1 -c x.c -o x.o", PLAIN_C, unstable="gcc", needs=f"flags {option}")
case("-flto with the user's seed", "CC -flto -frandom-seed=a -c x.c -o x.o", PLAIN_C, only="gcc")
case("-flto to assembly", "CC -flto -S x.c -o x.s", PLAIN_C, unstable="gcc")
case("-emit-llvm bitcode", "CC -emit-llvm -c x.c -o x.bc", PLAIN_C, only="clang", expect="local:option:-emit-*")
case("-emit-llvm text", "CC -emit-llvm -S x.c -o x.ll", PLAIN_C, only="clang", expect="local:option:-emit-*")
case("-emit-llvm, default output name", "CC -emit-llvm -c x.c", PLAIN_C, only="clang", expect="local:option:-emit-*")
case("LLVM text as input", "CC -c x.ll -o x.o", {"x.ll": "define i32 @f() {\n  ret i32 1\n}\n"}, only="clang",
     expect="local:language")
case("-fembed-bitcode", "CC -fembed-bitcode -c x.c -o x.o", PLAIN_C, only="clang", expect=EITHER)

SAMPLES = "f:100:10\n 1: 10\n 2: 10\n"
case("-fprofile-sample-use", "CC -O2 -g -fprofile-sample-use=x.prof -c x.c -o x.o",
     {"x.c": "int f(int n) {\n  if (n > 3)\n    return 1;\n  return n;\n}\n", "x.prof": SAMPLES}, only="clang")
case("clang -fauto-profile is -fprofile-sample-use", "CC -O2 -g -fauto-profile=x.prof -c x.c -o x.o",
     {"x.c": "int f(int n) { return n; }\n", "x.prof": SAMPLES}, only="clang", expect=EITHER)


def indexed_profile(root):
    """Make clang's indexed profile from its text form."""
    tool = llvm_profdata()
    subprocess.run([tool, "merge", "-o", f"{root}/x.profdata", f"{root}/x.proftext"], check=True)


case("-fprofile-use=FILE", "CC -O2 -fprofile-use=x.profdata -c x.c -o x.o",
     {"x.c": "int f(int n) { if (n > 3) return 1; return n; }\n",
      "x.proftext": ":ir\nf\n# Func Hash:\n146835646621254984\n# Num Counters:\n2\n# Counter Values:\n10\n3\n"},
     only="clang", setup=indexed_profile, needs="profdata")
case("-fprofile-instr-use=FILE", "CC -O2 -fprofile-instr-use=x.profdata -c x.c -o x.o",
     {"x.c": "int f(int n) { if (n > 3) return 1; return n; }\n",
      "x.proftext": "f\n# Func Hash:\n10\n# Num Counters:\n2\n# Counter Values:\n10\n3\n"},
     only="clang", setup=indexed_profile, needs="profdata")
case("-fprofile-use of a missing file", "CC -O2 -fprofile-use=x.profdata -c x.c -o x.o", PLAIN_C,
     expect={"gcc": "local:profile_use", "clang": "local:*"})
case("gcc -fprofile-use", "CC -O2 -fprofile-use -c x.c -o x.o", PLAIN_C, only="gcc", expect="local:profile_use")
case("gcc -fprofile-use=DIR", "CC -O2 -fprofile-use=data -c x.c -o x.o", {**PLAIN_C, "data/keep": ""}, only="gcc",
     expect="local:profile_use")
case("gcc -fauto-profile", "CC -O2 -fauto-profile=x.afdo -c x.c -o x.o", PLAIN_C, only="gcc", expect="local:profile_use")
case("gcc -fbranch-probabilities", "CC -O2 -fbranch-probabilities -c x.c -o x.o", PLAIN_C, only="gcc",
     expect="local:profile_use|local:option:*")
