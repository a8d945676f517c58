"""Options that only change the code or the checks, and the languages of an input."""

from cases.common import C, C_HEADER, CXX, PLAIN, PLAIN_C, PLAIN_CXX, WARNS
from model import EITHER, case

case("compile C", "CC -c x.c -o x.o", PLAIN_C)
case("compile C, default output name", "CC -c x.c", PLAIN_C)
case("compile C, attached -o", "CC -c x.c -ox.o", PLAIN_C)
case("compile C, -o before everything", "CC -o x.o x.c -c", PLAIN_C)
case("compile C++", "CXX -c x.cc -o x.o", PLAIN_CXX)
case("compile C++, default output name", "CXX -c x.cc", PLAIN_CXX)
case("C++ driver on a .c file", "CXX -c x.c -o x.o", PLAIN_C, expect={"clang": EITHER})
case("C driver on a .cc file", "CC -c x.cc -o x.o", PLAIN_CXX)
case("absolute names", "CC -c @ROOT@/x.c -o @ROOT@/x.o", PLAIN_C)
case("source in another directory, default output name", "CC -c src/x.c",
     {"src/x.c": C, "src/x.h": C_HEADER})
case("source and output in other directories", "CC -c ../src/x.c -o ../out/x.o",
     {"src/x.c": C, "src/x.h": C_HEADER, "out/keep": "", "work/keep": ""}, cwd="work")
case("to assembly", "CC -S x.c -o x.s", PLAIN_C)
case("to assembly, default name", "CC -S x.c", PLAIN_C)
case("to assembly, C++, verbose", "CXX -S -fverbose-asm x.cc", PLAIN_CXX)
case("-c after -S", "CC -S -c x.c -o x.out", PLAIN_C, expect=EITHER)
case("-pipe", "CC -pipe -c x.c -o x.o", PLAIN_C)
case("empty C source", "CC -c x.c -o x.o", {"x.c": ""})
case("empty C++ source", "CXX -c x.cc -o x.o", {"x.cc": ""})
case("source without final newline", "CC -c x.c -o x.o", {"x.c": "int x;"})
case("source with carriage returns and a byte order mark", "CC -c x.c -o x.o", {"x.c": b"\xef\xbb\xbfint x;\r\nint y;\r\n"})
case("source with bytes that are no text", "CC -c x.c -o x.o", {"x.c": b'const char s[] = "\xff\xfe\x80";\n'})
case("large source", "CC -c x.c -o x.o",
     {"x.c": "".join(f"int f{i}(int n) {{ return n + {i}; }}\n" for i in range(1500))})
case("no output is a source elsewhere: two dots in the name", "CC -c a.b.c", {"a.b.c": "int x;\n"})

for suffix, driver in ((".cc", "CXX"), (".cpp", "CXX"), (".cxx", "CXX"), (".C", "CXX"), (".c++", "CXX"), (".cp", "CXX")):
    case(f"C++ by suffix {suffix}", f"{driver} -c y{suffix}", {f"y{suffix}": CXX, "x.h": C_HEADER},
         expect=EITHER if suffix == ".cp" else "remote")
case("preprocessed C", "CC -c x.i -o x.o", {"x.i": '# 1 "x.c"\n# 1 "x.h" 1\nint h;\n# 2 "x.c" 2\nint x;\n'})
case("preprocessed C++", "CXX -c x.ii -o x.o", {"x.ii": '# 1 "x.cc"\nint x() { return 1; }\n'})
case("preprocessed C by -fpreprocessed", "CC -fpreprocessed -c x.c -o x.o", {"x.c": "int x;\n"},
     expect=EITHER, needs="flags -fpreprocessed")
case("-fdirectives-only output is not preprocessed again", "CC -c -fpreprocessed x.i", {"x.i": "int x;\n"},
     expect=EITHER, needs="flags -fpreprocessed")

case("-x c", "CC -c -x c x.txt -o x.o", {"x.txt": C, "x.h": C_HEADER})
case("-xc attached", "CC -c -xc x.txt -o x.o", {"x.txt": C, "x.h": C_HEADER})
case("-x c++ by the C driver", "CC -c -x c++ x.c -o x.o", {"x.c": CXX, "x.h": C_HEADER})
case("-x cpp-output", "CC -c -x cpp-output x.txt -o x.o", {"x.txt": "int x;\n"})
case("-x c++-cpp-output", "CXX -c -x c++-cpp-output x.txt -o x.o", {"x.txt": "int x;\n"})
case("-x none goes back to the suffix", "CC -x c++ -x none -c x.c -o x.o", PLAIN_C)
case("-x after the input doesn't count", "CC -c x.c -x c++ -o x.o", PLAIN_C, expect=EITHER)

for level in ("-O", "-O0", "-O1", "-O2", "-O3", "-Os", "-Og", "-Ofast"):
    case(f"optimisation {level}", f"CC {level} -c x.c -o x.o", PLAIN_C)
for standard in ("c89", "c99", "gnu99", "c11", "gnu17", "iso9899:1999", "c2x"):
    case(f"-std={standard}", f"CC -std={standard} -c x.c -o x.o", PLAIN_C)
for standard in ("c++98", "c++11", "gnu++14", "c++17", "gnu++20"):
    case(f"-std={standard}", f"CXX -std={standard} -c x.cc -o x.o", PLAIN_CXX)
case("-ansi -pedantic", "CC -ansi -pedantic -c x.c -o x.o", PLAIN_C)
case("-std=c++20 with headers of the library", "CXX -std=c++20 -O1 -c x.cc -o x.o",
     {"x.cc": "#include <vector>\n#include <string>\nint n() { return std::vector<std::string>(3).size(); }\n"})

for option in ("-fPIC", "-fpic", "-fPIE", "-fno-common", "-fvisibility=hidden", "-ffunction-sections -fdata-sections",
               "-fstack-protector-strong", "-fomit-frame-pointer", "-fno-omit-frame-pointer", "-fwrapv",
               "-ffast-math", "-fno-strict-aliasing", "-fno-builtin", "-ffreestanding", "-funroll-loops",
               "-fshort-enums", "-fsigned-char", "-funsigned-char", "-fno-asynchronous-unwind-tables",
               "-fmax-errors=3", "-fno-ident", "-finput-charset=UTF-8"):
    case(f"code option {option}", f"CC {option} -c x.c -o x.o", PLAIN_C, needs=f"flags {option}")
for option in ("-fno-exceptions", "-fno-rtti", "-fvisibility-inlines-hidden", "-fno-threadsafe-statics",
               "-ftemplate-depth=100", "-fno-access-control"):
    case(f"C++ option {option}", f"CXX {option} -c x.cc -o x.o", PLAIN_CXX)
for option in ("-m64", "-m32", "-msse4.2", "-mavx2", "-march=x86-64-v3", "-mtune=generic", "-mno-red-zone",
               "-mcmodel=large", "-mfpmath=sse", "-fcf-protection=none"):
    case(f"machine option {option}", f"CC {option} -O2 -c x.c -o x.o", PLAIN_C, needs=("x86_64", f"flags {option}"))
case("gcc parameters", "CC -O2 --param max-inline-insns-single=10 --param=ssp-buffer-size=4 -c x.c -o x.o", PLAIN_C,
     only="gcc")
for option in ("-w", "-Wall", "-Wall -Wextra", "-Wno-unused", "-Werror", "-Wformat=2", "-Weverything", "-pedantic"):
    case(f"warning option {option}", f"CC {option} -c x.c -o x.o", PLAIN_C, needs=f"flags {option}")
case("unknown -Wno- option", "CC -Wno-there-is-no-such-warning -c x.c -o x.o", PLAIN_C)
case("unknown -Wno- option with a warning", "CC -Wall -Wno-there-is-no-such-warning -c x.c -o x.o", {"x.c": WARNS})
case("unknown -W option", "CC -Wthere-is-no-such-warning -c x.c -o x.o", PLAIN_C,
     expect="remote|local:option:*|local:compile_error_retry|local:scan_failed")

case("argument order of macros", "CC -DA=1 -UA -DA=2 -DOFFSET2=A -c x.c -o x.o",
     {"x.c": "int a = A; int b = OFFSET2;\n"})
case("macros, detached and with odd values", ["CC", "-D", "S=\"a b\"", "-D", "F(x)=((x)+1)", "-DEMPTY=", "-U", "linux",
                                              "-c", "x.c"], {"x.c": "char s[] = S EMPTY; int f = F(1);\n"})
case("clang -Xclang, harmless", "CC -Xclang -fno-validate-pch -Xclang -Wall -c x.c -o x.o", PLAIN_C, only="clang",
     expect=EITHER)
case("clang -Xclang -disable-llvm-passes", "CC -O2 -Xclang -disable-llvm-passes -c x.c -o x.o", PLAIN_C, only="clang")
case("clang -mllvm, harmless", "CC -O2 -mllvm -inline-threshold=10 -c x.c -o x.o", PLAIN_C, only="clang")
case("clang --target", "CC --target=x86_64-linux-gnu -c x.c -o x.o", PLAIN_C, only="clang", needs="x86_64")
case("clang -target, another machine", "CC -target aarch64-linux-gnu -c x.c -o x.o", PLAIN_C, only="clang")
case("clang --driver-mode=g++", "CC --driver-mode=g++ -c x.cc -o x.o", PLAIN_CXX, only="clang", expect=EITHER)
case("-fsyntax-only", "CC -fsyntax-only x.c", PLAIN_C, expect=EITHER)
case("-march=native", "CC -O2 -march=native -c x.c -o x.o", PLAIN_C, needs="x86_64")
case("-mtune=native", "CC -O2 -mtune=native -c x.c -o x.o", PLAIN_C, needs="x86_64")
case("-march=native -g", "CC -g -march=native -c x.c -o x.o", PLAIN_C, needs="x86_64",
     expect={"gcc": "local:native", "clang": "remote"})
case("-march=native -frecord-gcc-switches", "CC -march=native -frecord-gcc-switches -c x.c -o x.o", PLAIN_C,
     needs="x86_64", expect={"gcc": "local:native", "clang": EITHER})
case("-march=native -flto", "CC -march=native -flto -c x.c -o x.o", PLAIN_C, needs="x86_64", unstable="gcc",
     expect={"gcc": "local:native", "clang": "remote"})

case("response file", "CC @args -c x.c -o x.o", {**PLAIN_C, "args": "-O2 -g0\n-DMORE=1\n"})
case("response file that holds everything", "CC @args", {**PLAIN_C, "args": "-c x.c -o x.o"})
case("response files, nested", "CC @one -c x.c", {**PLAIN_C, "one": "-O1 @two -DONE", "two": "-DTWO @sub/three",
                                                  "sub/three": "-DTHREE=3"})
case("response file, quoted as gcc does", "CC @args -c x.c -o x.o",
     {"x.c": "char a[] = A; char b[] = B; char c[] = C2; int d = D;\n",
      "args": "-DA='\"a b\"' \"-DB=\\\"x\\\\\\\\y\\\"\"\n-DC2=\\\"c\\ d\\\"\t'-DD=1'\n"})
case("response file that doesn't exist", "CC @nothing -c x.c -o x.o", PLAIN_C, expect="local:*")
case("response file that includes itself", "CC @loop -c x.c -o x.o", {**PLAIN_C, "loop": "-O1 @loop"}, expect="local:*",
     via="launcher")
case("response file with -E in it", "CC @args x.c", {**PLAIN_C, "args": "-E -P"}, expect="local:preprocess_only")
case("--sysroot", "CC --sysroot=@ROOT@/root -I=/include -c x.c -o x.o",
     {"x.c": "#include <only-here.h>\nint a = HERE;\n", "root/include/only-here.h": "#define HERE 5\n"})
case("-isysroot", "CC -isysroot @ROOT@/root -c x.c -o x.o",
     {"x.c": "#include <only-here.h>\nint a = HERE;\n", "root/usr/include/only-here.h": "#define HERE 5\n"},
     expect={"gcc": "remote", "clang": "local:*"})
case("both drivers' sources in one directory", "CXX -c x.cc", PLAIN)
