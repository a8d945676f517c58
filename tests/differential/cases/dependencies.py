"""Dependency files."""

from cases.common import C, C_HEADER, PLAIN_C, PLAIN_CXX
from model import EITHER, FAILS, case, run

NESTED = {"x.c": '#include <stdio.h>\n#include "inc/a.h"\nint x = A;\n', "inc/a.h": '#include "b.h"\n#define A B\n',
          "inc/b.h": "#define B 3\n"}

case("-MD", "CC -MD -c x.c -o x.o", NESTED)
case("-MMD", "CC -MMD -c x.c -o x.o", NESTED)
case("-MD, default names", "CC -MD -c x.c", NESTED)
case("-MMD, output elsewhere", "CC -MMD -c src/x.c -o out/y.o", {"src/x.c": C, "src/x.h": C_HEADER, "out/keep": ""})
case("-MMD, output without a suffix", "CC -MMD -c x.c -o y", PLAIN_C)
case("-MMD, output with two dots", "CC -MMD -c x.c -o y.pic.o", PLAIN_C)
case("-MMD -MF", "CC -MMD -MF deps/x.dep -c x.c -o x.o", {**NESTED, "deps/keep": ""})
case("-MF attached", "CC -MD -MFx.dep -c x.c -o x.o", NESTED)
case("-MD -MF, absolute", "CC -MD -MF @ROOT@/x.dep -c x.c -o x.o", NESTED)
case("-MF twice", "CC -MD -MF one.d -MF two.d -c x.c -o x.o", NESTED)
case("-MT", "CC -MMD -MT target -c x.c -o x.o", NESTED)
case("-MT several", "CC -MMD -MT one -MT two -MTthree -c x.c -o x.o", NESTED)
case("-MT with make's special characters", ["CC", "-MMD", "-MT", "a b$(c)#d", "-c", "x.c", "-o", "x.o"], NESTED)
case("-MQ", "CC -MMD -MQ target -c x.c -o x.o", NESTED)
case("-MQ with make's special characters", ["CC", "-MMD", "-MQ", "a b$(c)#d\\e", "-c", "x.c", "-o", "x.o"], NESTED)
case("-MT and -MQ mixed", ["CC", "-MD", "-MT", "a$b", "-MQ", "a$b", "-c", "x.c"], NESTED)
case("-MP", "CC -MMD -MP -c x.c -o x.o", NESTED)
case("-MP -MD", "CC -MD -MP -MF x.dep -c x.c -o x.o", NESTED)
case("-MG with -M", "CC -M -MG x.c", {"x.c": '#include "generated.h"\n'}, expect="local:dependencies_only")
case("-MD -MG", "CC -MD -MG -c x.c -o x.o", NESTED, expect=EITHER)
case("-MD and -MMD together", "CC -MD -MMD -c x.c -o x.o", NESTED)
case("-MV", "CC -MMD -MV -c x.c -o x.o", NESTED, only="clang", expect="local:option:-MV")
case("-MD of an empty source", "CC -MD -MP -c x.c -o x.o", {"x.c": ""})
case("-MD to assembly", "CC -MD -S x.c -o x.s", NESTED)
case("-MD, C++", "CXX -MD -MP -c x.cc -o x.o", PLAIN_CXX)
case("-MD with -include and -imacros", "CC -MD -include pre.h -imacros mac.h -c x.c -o x.o",
     {"x.c": "int x = PRE + MAC;\n", "pre.h": "#define PRE 1\n", "mac.h": "#define MAC 2\n"})
case("-MD with long lists", "CC -MMD -c x.c -o x.o",
     {"x.c": "".join(f'#include "a/long/directory/name/to/fill/the/line/header-{i}.h"\n' for i in range(30)),
      **{f"a/long/directory/name/to/fill/the/line/header-{i}.h": f"int h{i};\n" for i in range(30)}})
case("-MD with #line and line markers", "CC -MD -c x.c -o x.o", {"x.c": '#line 7 "other.c"\n# 9 "third.c"\nint x;\n'})
case("-MD with paths through dots", "CC -MMD -Iinc/../inc -c ./x.c -o ./x.o", {**NESTED, "inc/keep": ""})
case("-MD to /dev/null", "CC -MD -MF /dev/null -c x.c -o x.o", NESTED, expect=EITHER)
case("-MD to standard output", "CC -MD -MF - -c x.c -o x.o", NESTED, expect=EITHER)
case("-MD to /dev/stdout", "CC -MD -MF /dev/stdout -c x.c -o x.o", NESTED, expect=EITHER)
case("-MD into a directory that doesn't exist", "CC -MD -MF no/x.d -c x.c -o x.o", NESTED,
     expect="local:*")
case("-MD over an older file", "CC -MD -c x.c -o x.o", {**NESTED, "x.d": "older and much longer than it will be" * 50,
                                                         "x.o": "old"})
case("-MD with the object as the depfile's name", "CC -MD -MF x.o -c x.c -o x.o", PLAIN_C, expect=EITHER)
case("-MD with a missing header", "CC -MD -c x.c -o x.o", {"x.c": '#include "no.h"\n'}, expect=FAILS)
case("one source, other targets", files=NESTED,
     steps=[run("CC -MMD -MF one.d -c x.c -o one.o"), run("CC -MMD -MF two.d -c x.c -o two.o", expect="remote|hit"),
            run("CC -MMD -MF three.d -MT target -c x.c -o three.o", expect="remote|hit"),
            run(["CC", "-MMD", "-MF", "four.d", "-MQ", "a$b", "-c", "x.c", "-o", "four.o"], expect="remote|hit"),
            run("CC -MMD -MF five.d -MT t -MP -c x.c -o five.o")])
case("one source, other styles", files=NESTED,
     steps=[run("CC -MD -c x.c -o x.o"), run("CC -MMD -c x.c -o x.o"), run("CC -c x.c -o x.o")])

case("-Wp,-MD", "CC -Wp,-MD,x.dep -c x.c -o x.o", NESTED)
case("-Wp,-MMD", "CC -Wp,-MMD,.x.o.d -c x.c -o x.o", NESTED)
case("-Wp,-MD in a directory, as Linux does", "CC -Wp,-MMD,sub/.x.o.d -c -o sub/x.o sub/x.c",
     {"sub/x.c": C, "sub/x.h": C_HEADER})
case("-Wp,-MD with -MT", "CC -Wp,-MD,x.dep -Wp,-MT,target -c x.c -o x.o", NESTED, expect=EITHER)
case("-Wp,-MD and -MP", "CC -Wp,-MD,x.dep,-MP -c x.c -o x.o", NESTED, expect=EITHER)
case("-Wp,-D and -Wp,-I", "CC -Wp,-DA=1,-Iinc -c x.c -o x.o", {"x.c": '#include "i.h"\nint a = A + I;\n',
                                                                  "inc/i.h": "#define I 2\n"})
case("-Xpreprocessor", "CC -Xpreprocessor -DA=1 -c x.c -o x.o", {"x.c": "int a = A;\n"}, expect=EITHER)
case("-Xpreprocessor -MD", "CC -Xpreprocessor -MD -Xpreprocessor x.dep -c x.c -o x.o", NESTED, expect=EITHER)

case("-M alone", "CC -M x.c", NESTED, expect="local:dependencies_only")
case("-MM alone", "CC -MM x.c", NESTED, expect="local:dependencies_only")
case("-M -MF", "CC -M -MF x.d x.c", NESTED, expect="local:dependencies_only")
case("-M with -c", "CC -M -c x.c -o x.d", NESTED, expect="local:dependencies_only")
case("-MF without -MD", "CC -MF x.d -c x.c -o x.o", NESTED, expect=EITHER)
