"""What is not for the engine: it must run locally, with its reason, and behave exactly as without llamacc."""

from cases.common import C, PLAIN_C, PLAIN_CXX
from model import EITHER, File, case, run

MAIN = {"m.c": "int main(void) { return 0; }\n", "n.c": "int n;\n"}
QUESTION = "local:information|local:no_input|silent"

case("link", files=MAIN, steps=[run("CC -c m.c"), run("CC m.o -o m", expect="local:link")])
case("compile and link", "CC m.c -o m", MAIN, expect="local:link")
case("compile and link, default output", "CC m.c", MAIN, expect="local:link")
case("compile and link, several", "CC m.c n.c -o m", MAIN, expect="local:link|local:multiple_inputs")
case("link fails", files=MAIN,
     steps=[run("CC -c n.c"), run("CC n.o -o n", expect="local:link")])
case("-shared", "CC -shared -fPIC n.c -o libn.so", MAIN, expect="local:link")
case("-r", "CC -r n.c -o r.o", MAIN, expect="local:link|local:option:*")
case("link with -flto", "CC -flto -O1 m.c -o m", MAIN, unstable="gcc", expect="local:link")
case("several sources with -c", "CC -c m.c n.c", MAIN, expect="local:multiple_inputs")
case("a source and an object with -c", "CC -c m.c n.o", {**MAIN, "n.o": ""}, expect="local:*")
case("several sources with -o", "CC -c m.c n.c -o x.o", MAIN, expect="local:multiple_inputs")
case("a source twice", "CC -c m.c m.c", MAIN, expect="local:multiple_inputs")
case("-E", "CC -E x.c", PLAIN_C, expect="local:preprocess_only")
case("-E -o", "CC -E -P x.c -o x.i", PLAIN_C, expect="local:preprocess_only")
case("-E -dM", "CC -E -dM x.c -o x.macros", PLAIN_C, expect="local:preprocess_only")
case("-c -E", "CC -c -E x.c", PLAIN_C, expect="local:preprocess_only")
case("-P alone", "CC -P -c x.c -o x.o", PLAIN_C, expect=EITHER)
case("-fdirectives-only -E", "CC -E -fdirectives-only x.c", PLAIN_C, needs="flags -fdirectives-only", expect="local:preprocess_only")
case("stdin", "CC -c -x c - -o x.o", {}, stdin=b"int x;\n", expect="local:stdin")
case("stdin, preprocessed", "CC -E -", {}, stdin=b"int x;\n", expect="local:stdin|local:preprocess_only")
case("stdin, an error", "CC -c -x c - -o x.o", {}, stdin=b"int f( {\n", expect="local:stdin")
case("no input", "CC -c", {}, expect=QUESTION)
case("nothing at all", "CC", {}, expect=QUESTION)
for question in ("--version", "-dumpversion", "-dumpmachine", "-print-search-dirs", "-print-file-name=libc.so",
                 "-print-prog-name=ld", "--help", "-v"):
    case(f"question {question}", f"CC {question}", {}, expect=QUESTION, via="launcher")
case("-### shows the commands", "CC -### -c x.c", PLAIN_C, expect="local:*|silent", only="clang", via="launcher")

case("-B", "CC -Btools/ -c x.c -o x.o", PLAIN_C, expect="local:option:-B*")
case("-B, detached", "CC -B tools -c x.c -o x.o", PLAIN_C, expect="local:option:-B*")
case("gcc -fplugin", "CC -fplugin=./nothing.so -c x.c", PLAIN_C, only="gcc", expect="local:option:-fplugin*")
case("clang -fplugin", "CC -fplugin=./nothing.so -c x.c", PLAIN_C, only="clang", expect="local:option:-fplugin*")
case("clang -Xclang -load", "CC -Xclang -load -Xclang ./nothing.so -c x.c", PLAIN_C, only="clang", expect="local:option:*")
case("clang -fpass-plugin", "CC -fpass-plugin=./nothing.so -c x.c", PLAIN_C, only="clang", expect="local:option:*")
case("clang -Xclang that names a file", "CC -Xclang -fdebug-compilation-dir -Xclang /x -g -c x.c", PLAIN_C, only="clang",
     expect=EITHER)
case("clang -mllvm that names a file", "CC -mllvm -stats-output-file=x.txt -c x.c", PLAIN_C, only="clang", expect="local:*")
case("gcc -specs", "CC -specs=my.specs -c x.c -o x.o", {**PLAIN_C, "my.specs": "*cpp_options:\n+ -DSPECS=1\n\n"}, only="gcc",
     expect="local:option:-specs*")
case("gcc --specs", "CC --specs=my.specs -c x.c -o x.o", {**PLAIN_C, "my.specs": "*cpp_options:\n+ -DSPECS=1\n\n"},
     only="gcc", expect="local:option:*")
case("clang --config", "CC --config ./my.cfg -c x.c -o x.o", {**PLAIN_C, "my.cfg": "-DCONFIG=1\n"}, only="clang",
     expect="local:option:*")
case("-wrapper", "CC -wrapper env,X=1 -c x.c -o x.o", PLAIN_C, only="gcc", expect="local:option:-wrapper*")
case("-no-canonical-prefixes", "CC -no-canonical-prefixes -c x.c -o x.o", PLAIN_C, expect=EITHER)
case("clang -ivfsoverlay", "CC -ivfsoverlay over.yaml -c x.c", {**PLAIN_C, "over.yaml": "{'version': 0, 'roots': []}\n"},
     only="clang", expect="local:option:*")
case("clang -working-directory", "CC -working-directory sub -c x.c", {"sub/x.c": "int x;\n"}, only="clang",
     expect="local:option:*")
case("clang -resource-dir", "CC -resource-dir nothing -c x.c", {"x.c": "int x;\n"}, only="clang", expect=EITHER)
case("clang --gcc-toolchain", "CC --gcc-toolchain=/usr -c x.c", PLAIN_C, only="clang", expect=EITHER)
case("an unknown -f option", "CC -fno-such-thing-at-all -c x.c", PLAIN_C, expect="local:*")
case("an unknown option with a file's name", "CC -funknown-file=data.txt -c x.c", {**PLAIN_C, "data.txt": ""},
     expect="local:*")
case("an unknown option", "CC --there-is-no-such-option -c x.c", PLAIN_C, expect="local:*|silent")
case("an unknown option in the middle", "CC -c -qwerty x.c -o x.o", PLAIN_C, expect="local:*")

case("-fmodules", "CC -fmodules -fmodules-cache-path=cache -c x.c", PLAIN_C, only="clang", expect="local:modules")
case("-fmodules-ts", "CXX -std=c++20 -fmodules-ts -c x.cc", {"x.cc": "export module m;\nexport int f() { return 1; }\n"},
     only="gcc", expect="local:modules",
     loose=("gcm.cache/m.gcm",))  # it holds the time of day
case("a C++20 module interface", "CXX -std=c++20 --precompile x.cppm -o x.pcm",
     {"x.cppm": "export module m;\nexport int f() { return 1; }\n"}, only="clang", expect="local:modules|local:language|local:pch|local:option:*")
case("make a precompiled header", "CC -x c-header x.h -o x.h.gch", PLAIN_C, loose=("x.h.gch",), expect="local:pch")
case("make a precompiled header by its suffix", "CC x.h", PLAIN_C, loose=("x.h.gch",), expect="local:pch|local:link")
case("use a precompiled header", files=PLAIN_C, only="gcc", loose=("x.h.gch",),
     steps=[run("CC -c x.h -o x.h.gch", expect="local:pch"), run("CC -c x.c -o x.o", expect={"inplace": "local:pch|executed|remote", "": "local:pch"})])
case("a directory named like a precompiled header", "CC -c x.c -o x.o", {**PLAIN_C, "x.h.gch/keep": ""}, expect=EITHER)
case("a damaged precompiled header", "CC -c x.c -o x.o", {**PLAIN_C, "x.h.gch": "not one"}, expect={"gcc": EITHER, "clang": EITHER})
case("-include with a precompiled header", files={"x.c": "int x = OFFSET;\n", "x.h": PLAIN_C["x.h"]}, loose=("x.h.gch",),
     steps=[run("CC -x c-header x.h -o x.h.gch", expect="local:pch"),
            run("CC -include x.h -c x.c -o x.o", expect={"inplace": "local:pch|executed|remote", "": "local:pch"})])
case("clang -include-pch", files={"x.c": "int x = OFFSET;\n", "x.h": PLAIN_C["x.h"]}, only="clang",
     steps=[run("CC -x c-header x.h -o x.pch", expect="local:pch"),
            run("CC -include-pch x.pch -c x.c -o x.o", expect="local:pch")])
case("--precompile", "CXX --precompile -x c++-header x.h -o x.pch", PLAIN_C, only="clang", expect="local:*")

case("CUDA", "CC -x cuda --cuda-host-only -nocudainc -nocudalib -c x.cu -o x.o", {"x.cu": "int x;\n"}, only="clang",
     expect="local:language|local:option:*")
case("Objective-C", "CC -c x.m -o x.o", {"x.m": "int x;\n"}, expect="local:language")
case("Fortran", "CC -c x.f90 -o x.o", {"x.f90": "end\n"}, expect="local:language")
case("Ada", "CC -c x.adb -o x.o", {"x.adb": "null;\n"}, only="gcc", expect="local:language")
case("D", "CC -c x.d -o x.o", {"x.d": "int x;\n"}, only="gcc", expect="local:language|local:link")
case("-x objective-c", "CC -x objective-c -c x.c", {"x.c": "int x;\n"}, only="clang", expect="local:language")
case("-x with an unknown language", "CC -x klingon -c x.c", PLAIN_C, expect="local:language|local:option:*")
case("OpenCL", "CC -x cl -c x.cl -o x.o", {"x.cl": "int f(int n) { return n; }\n"}, only="clang", expect="local:language")
case("a file of an unknown kind", "CC -c x.unknown", {"x.unknown": ""}, expect="local:*")
case("offloading", "CC -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu -c x.c", PLAIN_C, only="clang", expect="local:*")
case("-fopenmp", "CC -fopenmp -c x.c -o x.o", PLAIN_C)
case("several -arch", "CC -arch x86_64 -c x.c", PLAIN_C, only="clang", expect=EITHER)

case("__DATE__", "CC -c x.c", {"x.c": "int n = sizeof __DATE__;\n"}, expect="local:date_time")
case("__TIME__", "CC -c x.c", {"x.c": "int n = sizeof __TIME__;\n"}, expect="local:date_time")
case("__TIMESTAMP__", "CC -c x.c", {"x.c": "const char *s = __TIMESTAMP__;\n"}, expect="local:date_time")
case("__TIMESTAMP__ with SOURCE_DATE_EPOCH", "CC -c x.c", {"x.c": "const char *s = __TIMESTAMP__;\n"},
     env={"SOURCE_DATE_EPOCH": "1"}, expect="local:date_time")
case("__TIME__ in a header", "CC -c x.c", {"x.c": '#include "t.h"\nint n = T;\n', "t.h": "#define T sizeof __TIME__\n"},
     expect={"inplace": "executed|local:date_time", "": "local:date_time"})
case("__TIME__ that is pasted", "CC -c x.c", {"x.c": "#define CAT(a, b) a##b\nint n = sizeof CAT(__TI, ME__);\n"},
     expect={"inplace": "executed", "": "local:date_time"})
case("#pragma GCC dependency", "CC -c x.c", {"x.c": '#pragma GCC dependency "t.h"\nint n;\n', "t.h": ""}, expect="local:date_time")
case("#pragma GCC dependency in a header", "CC -c x.c",
     {"x.c": '#include "y.h"\nint n;\n', "y.h": '#pragma GCC dependency "t.h"\n', "t.h": ""},
     expect={"inplace": "executed|local:date_time", "": "local:date_time"})
case("__DATE__ in a comment", "CC -c x.c", {"x.c": "/* __DATE__ */\nint x;\n"}, expect="remote|local:date_time")
case("__DATE__ within a longer name", "CC -c x.c", {"x.c": "int MY__DATE__OF_BIRTH;\n"}, expect="remote|local:date_time")
case("__DATE__ given on the command line", "CC -Wno-builtin-macro-redefined -D__DATE__=1 -c x.c", {"x.c": "int n = __DATE__;\n"},
     expect="remote|local:date_time")

case("configure's probe", "CC -c conftest.c", {"conftest.c": "int main(void) { return 0; }\n"},
     expect="local:configure_probe|silent")
case("configure's probe, an error", "CC -c conftest.c", {"conftest.c": "#include <no-such-header.h>\n"},
     expect="local:configure_probe|silent")
case("configure's C++ probe", "CXX -c conftest.cpp", {"conftest.cpp": "int x;\n"}, expect="local:configure_probe|silent")
case("CMake's try-compile", "CC -c src.c -o x.o", {"CMakeFiles/CMakeScratch/TryCompile-abc/src.c": "int main(void) { return 0; }\n"},
     cwd="CMakeFiles/CMakeScratch/TryCompile-abc", expect="local:configure_probe|silent|remote")
case("Meson's sanity check", "CC sanitycheckc.c -o sanitycheckc.exe",
     {"meson-private/sanitycheckc.c": "int main(void) { return 0; }\n"}, cwd="meson-private",
     expect="local:configure_probe|local:link|silent")
case("a source that is only named almost like a probe", "CC -c my_conftest.c", {"my_conftest.c": C, "x.h": PLAIN_C["x.h"]})
case("link with a map", files=MAIN, steps=[run("CC -c m.c"), run("CC m.o -Wl,-Map=m.map -o m", expect="local:link")])
case("-c with a library", "CC -c m.c -lm -o m.o", MAIN, expect=EITHER)
case("-c with linker options", "CC -c m.c -Wl,--as-needed -L. -o m.o", MAIN, expect=EITHER)
case("-c with -static -shared -rdynamic", "CC -static -rdynamic -pie -c m.c -o m.o", MAIN, expect=EITHER)
case("-pthread", "CC -pthread -c m.c -o m.o", MAIN)
case("both languages by -x", "CXX -x c m.c -x c++ n.c -c", {**MAIN}, expect="local:multiple_inputs")
case("an executable as input", "CXX -c x.cc tool -o x.o", {**PLAIN_CXX, "tool": File("#!/bin/sh\n", mode=0o755)}, expect="local:*")
