"""Odd names of files and directories."""

from cases.common import C_HEADER
from model import EITHER, case

SOURCE = '#include "%s"\nint answer(int n) { return n + OFFSET; }\n'
ODD = {
    "space": "a b",
    "two spaces at the ends": " a  b ",
    "quote": "it's",
    "double quote": 'a"b',
    "percent": "100%d%s",
    "backslash": "a\\b",
    "hash": "a#b",
    "dollar": "a$b$(c)",
    "colon": "a:b",
    "semicolon, ampersand": "a;b&c",
    "star, question mark": "a*b?c",
    "brackets": "a[b]{c}(d)",
    "equals": "a=b",
    "comma": "a,b",
    "plus, tilde": "~a+b",
    "at in the middle": "a@b",
    "tab": "a\tb",
    "newline": "a\nb",
    "umlauts": "Grüße",
    "Japanese": "ソース",
    "bytes that are no UTF-8": "a\udcffb",
    "only dots": "...",
    "long": "n" * 200,
}
UNINCLUDABLE = ('"', "\n", "\udcff", "\\")

for kind, odd in ODD.items():
    case(f"source named with {kind}", ["CC", "-MMD", "-c", f"{odd}.c", "-o", f"{odd}.o"],
         {f"{odd}.c": SOURCE % "x.h", "x.h": C_HEADER}, expect="remote|local:output_special" if kind == "long" else "remote")
    if not any(part in odd for part in UNINCLUDABLE):
        case(f"header and directory named with {kind}", ["CC", "-g", "-MD", "-MP", "-I", odd, "-c", "x.c"],
             {"x.c": SOURCE % f"{odd}.h", f"{odd}/{odd}.h": C_HEADER})
for kind in ("space", "percent", "backslash", "hash", "umlauts", "bytes that are no UTF-8", "newline"):
    odd = ODD[kind]
    case(f"working directory named with {kind}", "CC -g -MD -c x.c", {f"{odd}/x.c": SOURCE % "x.h", f"{odd}/x.h": C_HEADER},
         cwd=odd)
case("source that looks like an option", "CC -c -- -x.c", {"-x.c": "int x;\n"}, only="clang", expect=EITHER)
case("source given as ./-x.c", "CC -c ./-x.c -o x.o", {"-x.c": "int x;\n"})
case("source that begins with @, which exists", "CC -c ./@x.c -o x.o", {"@x.c": "int x;\n"})
case("an argument @x.c that is no response file", "CC -c @x.c -o x.o", {"@x.c": "int x;\n"}, expect=EITHER)
case("output named like a temporary", "CC -c x.c -o .x.o.tmp", {"x.c": "int x;\n"})
case("output name without directory, beginning with a dot", "CC -c x.c -o ./.x.o", {"x.c": "int x;\n"})
case("names through //", "CC -MD -c .//x.c -o .//x.o", {"x.c": "int x;\n"})
case("a path of 3000 bytes", ["CC", "-MD", "-c", "./" * 1490 + "x.c", "-o", "x.o"], {"x.c": "int x;\n"})
