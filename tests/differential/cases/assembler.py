"""Assembler sources, options for the assembler, and the files that only it reads."""

from cases.common import PLAIN_C
from model import EITHER, FAILS, Link, case

S = ".text\n.globl f\nf:\n\tret\n"
CPP_S = '#include "k.h"\n.text\n.globl f\nf:\n\t.long CONSTANT\n'

case("assemble .s", "CC -c x.s -o x.o", {"x.s": S})
case("assemble .s, default output name", "CC -c x.s", {"x.s": S})
case("assemble .S", "CC -c x.S -o x.o", {"x.S": CPP_S, "k.h": "#define CONSTANT 5\n"})
case("assemble .S with -MD", "CC -MD -c x.S -o x.o", {"x.S": CPP_S, "k.h": "#define CONSTANT 5\n"})
case("assemble .S with -Wp,-MD and -D__ASSEMBLY__, as Linux does", "CC -Wp,-MMD,.x.o.d -D__ASSEMBLY__ -c -o x.o x.S",
     {"x.S": CPP_S, "k.h": "#ifdef __ASSEMBLY__\n#define CONSTANT 5\n#endif\n"})
case("assemble .sx", "CC -c x.sx -o x.o", {"x.sx": CPP_S, "k.h": "#define CONSTANT 5\n"}, expect={"clang": EITHER})
case("assemble with -g", "CC -g -c x.s -o x.o", {"x.s": S})
case("assemble .S with -g", "CC -g -c x.S -o x.o", {"x.S": CPP_S, "k.h": "#define CONSTANT 5\n"})
case("-x assembler", "CC -x assembler -c x.txt -o x.o", {"x.txt": S})
case("-x assembler-with-cpp", "CC -x assembler-with-cpp -c x.txt -o x.o", {"x.txt": CPP_S, "k.h": "#define CONSTANT 5\n"})
case("assembler error", "CC -c x.s -o x.o", {"x.s": "\tno such instruction\n"}, expect=FAILS)
case("assembler warning", "CC -c x.s -o x.o", {"x.s": '.warning "look here"\n' + S})
case("empty assembler source", "CC -c x.s -o x.o", {"x.s": ""})
case("remote assembly switched off", "CC -c x.s -o x.o", {"x.s": S}, env={"LLAMACC_REMOTE_ASSEMBLE": "0"},
     expect=EITHER)

case("-Wa,--noexecstack", "CC -Wa,--noexecstack -c x.c -o x.o", PLAIN_C)
case("-Wa, several", "CC -Wa,--noexecstack,--fatal-warnings -c x.c -o x.o", PLAIN_C)
case("-Xassembler", "CC -Xassembler --noexecstack -c x.c -o x.o", PLAIN_C)
case("-Wa,-I for .include", "CC -Wa,-Iinc -c x.s -o x.o", {"x.s": '.include "m.inc"\n', "inc/m.inc": S})
case("-I for .include", "CC -Iinc -c x.s -o x.o", {"x.s": '.include "m.inc"\n', "inc/m.inc": S})
case("-Wa,--defsym", "CC -Wa,--defsym,VALUE=7 -c x.s -o x.o", {"x.s": ".long VALUE\n"}, expect={"gcc": "remote", "clang": "remote|local:compile_error_retry"})
case("-Wa,-g", "CC -Wa,-g -c x.s -o x.o", {"x.s": S}, expect=EITHER)
case("-Wa,-a lists to standard output", "CC -pipe -Wa,-alh -c x.c -o x.o", PLAIN_C, only="gcc", expect=EITHER)
case("-Wa,-a lists to a file", "CC -pipe -Wa,-adhln=x.lst -c x.c -o x.o", PLAIN_C, only="gcc", expect=EITHER)
case("-Wa,-MD", "CC -Wa,-MD,x.d -c x.s -o x.o", {"x.s": S}, only="gcc", expect=EITHER)
case("-Wa,@FILE", "CC -Wa,@args -c x.s -o x.o", {"x.s": ".long V\n", "args": "--defsym V=3"}, only="gcc", expect=EITHER)
case("-Wa,-o", "CC -Wa,-o,y.o -c x.s -o x.o", {"x.s": S}, only="gcc", expect="local:*")
case("-fno-integrated-as", "CC -fno-integrated-as -c x.c -o x.o", PLAIN_C, only="clang",
     expect="local:option:-fno-integrated-as")
case("-fno-integrated-as of .s", "CC -fno-integrated-as -c x.s -o x.o", {"x.s": S}, only="clang", expect=EITHER)

INCBIN = 'const char before = 1;\n__asm__(".section .rodata\\nblob: .incbin \\"%s\\"\\n.previous\\n");\n'
case(".incbin in C", "CC -c x.c -o x.o", {"x.c": INCBIN % "data.bin", "data.bin": bytes(range(256))})
case(".incbin in C, found by -I", "CC -Iinc -c x.c -o x.o", {"x.c": INCBIN % "data.bin", "inc/data.bin": b"12345"},
     expect={"clang": EITHER})
case(".incbin in a header", "CC -c x.c -o x.o", {"x.c": '#include "h.h"\n', "h.h": INCBIN % "sub/data.bin",
                                                 "sub/data.bin": b"\0\1\2"})
case(".incbin of a name made by macros", "CC -DFILE=data.bin -c x.c -o x.o",
     {"x.c": '#define S(x) #x\n#define X(x) S(x)\n__asm__(".section .rodata\\n.incbin \\"" X(FILE) "\\"\\n.previous\\n");\n',
      "data.bin": b"made"})
case(".incbin with offset and length", "CC -c x.S -o x.o", {"x.S": '.section .rodata\n.incbin "data.bin", 1, 2\n',
                                                            "data.bin": b"abcdef"})
case(".incbin through a symlink", "CC -c x.s -o x.o", {"x.s": '.section .rodata\n.incbin "l.bin"\n', "l.bin": Link("r.bin"),
                                                       "r.bin": b"linked"})
case(".incbin of a missing file", "CC -c x.s -o x.o", {"x.s": '.incbin "no.bin"\n'}, expect=FAILS)
case(".incbin of an empty file", "CC -c x.s -o x.o", {"x.s": '.section .rodata\n.incbin "e.bin"\n', "e.bin": ""})
case(".include in assembler", "CC -c x.s -o x.o", {"x.s": '.include "m.inc"\n', "m.inc": '.include "n.inc"\n', "n.inc": S})
case(".include in C", "CC -c x.c -o x.o", {"x.c": '__asm__(".include \\"m.inc\\"");\nint x;\n', "m.inc": S})
