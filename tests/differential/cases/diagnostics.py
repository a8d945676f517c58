"""Messages: warnings, errors, colours, terminals, languages."""

from cases.common import FAILS_SYNTAX, PLAIN_C, WARNS
from model import EITHER, FAILS, case, run

SHADOW = {"x.cc": '#include "x.h"\nint f(int n) { return g<int>(n) + undeclared; }\n',
          "x.h": "template <class T> T g(T t) { typename T::type x; return t; }\n"}
WARN_C = {"x.c": WARNS}
TERMINAL = (24, 60)
LONG = {"x.c": "static int a_static_function_that_nobody_calls_and_whose_name_is_quite_long(void) "
               "{ int never_used_variable_with_a_long_name = 1; return 2; }\nint x;\n"}

case("warnings", "CC -Wall -Wextra -c x.c -o x.o", WARN_C)
case("warnings with -g and -MD", "CC -Wall -g -MD -c x.c -o x.o", WARN_C)
case("warnings as errors", "CC -Wall -Werror -c x.c -o x.o", WARN_C, expect=FAILS)
case("warnings of a header", "CC -Wall -Iinc -c x.c", {"x.c": '#include "w.h"\nint x;\n', "inc/w.h": WARNS})
case("many warnings", "CC -Wall -c x.c", {"x.c": "".join(f"static int unused_{i}(void) {{ return {i}; }}\n" for i in range(80))},
     unstable="clang")
case("#warning", "CC -c x.c", {"x.c": '#warning "careful"\nint x;\n'})
case("#error", "CC -c x.c", {"x.c": '#error "stop"\nint x;\n'}, expect=FAILS)
case("#pragma message", "CC -c x.c", {"x.c": '#pragma message("hello")\nint x;\n'})
case("_Static_assert fails", "CC -c x.c", {"x.c": '_Static_assert(1 == 2, "no");\n'}, expect=FAILS)
case("syntax error", "CC -c x.c -o x.o", {"x.c": FAILS_SYNTAX}, expect=FAILS)
case("syntax error, with -MD", "CC -MD -c x.c -o x.o", {"x.c": FAILS_SYNTAX}, expect=FAILS)
case("syntax error, with -save-temps", "CC -save-temps -c x.c -o x.o", {"x.c": FAILS_SYNTAX}, expect=FAILS)
case("syntax error, with --coverage", "CC --coverage -c x.c -o x.o", {"x.c": FAILS_SYNTAX}, expect=FAILS, unstable="gcc")
case("template errors", "CXX -c x.cc", SHADOW, expect=FAILS)
case("missing header", "CC -c x.c", {"x.c": '#include "no.h"\nint x;\n'}, expect=FAILS)
case("missing header, twice with a note", "CC -Wall -c x.c", {"x.c": '#include "a.h"\n', "a.h": "#include <no.h>\n"},
     expect=FAILS)
case("missing source", "CC -c no.c -o x.o", {}, expect="local:*")
case("error in a language option", "CC -std=c++17 -c x.c -o x.o", PLAIN_C, expect="remote|local:*")
case("bad value of an option", "CC -O9x -fmax-errors=many -c x.c", PLAIN_C, expect="local:*")
case("#line", "CC -Wall -c x.c", {"x.c": '#line 100 "generated.y"\n' + WARNS})
case("#line to a file that exists", "CC -Wall -g -c x.c", {"x.c": '#line 1 "other.c"\n' + WARNS, "other.c": "int shown;\n" * 3})
case("#line to a file that exists, with an error", "CC -c x.c", {"x.c": '#line 1 "other.c"\n' + FAILS_SYNTAX,
                                                                "other.c": "int shown_in_the_message;\n"}, expect=FAILS)
case("line markers of another preprocessor", "CC -Wall -c x.i", {"x.i": '# 1 "gone.c"\n# 5 "gone.h" 1 3\n' + WARNS})
case("warning in a macro", "CC -Wall -c x.c", {"x.c": "#define BAD(n) int f(void) { int n; return n; }\nBAD(z)\n"})
case("source line with tabs and wide characters in a message", "CC -Wall -c x.c",
     {"x.c": 'int f(void) {\n\tconst char *s = "ünïcödé ソース";\tint unused;\n\treturn 1; }\n'})
case("identifier not in ASCII in a message", "CC -Wall -c x.c", {"x.c": "static int größe(void) { return 1; }\n"})
case("note: previous declaration", "CC -c x.c", {"x.c": "int f(int);\nlong f(int n) { return n; }\n"}, expect=FAILS)
case("-fdiagnostics-show-option", "CC -Wall -fno-diagnostics-show-option -c x.c", WARN_C)
case("-fno-diagnostics-show-caret", "CC -Wall -fno-diagnostics-show-caret -c x.c", WARN_C, needs="flags -fno-diagnostics-show-caret")
case("-fno-caret-diagnostics", "CC -Wall -fno-caret-diagnostics -c x.c", WARN_C, only="clang")
case("-fmessage-length", "CC -Wall -fmessage-length=40 -c x.c", LONG)
case("-fdiagnostics-format=json", "CC -Wall -fdiagnostics-format=json -c x.c", WARN_C, only="gcc", expect=EITHER)
case("-fdiagnostics-format=vi", "CC -Wall -fdiagnostics-format=vi -c x.c", WARN_C, only="clang")
case("-fdiagnostics-parseable-fixits", "CC -Wall -fdiagnostics-parseable-fixits -c x.c",
     {"x.c": "int f(int n) { if (n = 1) return 2; return 3; }\n"})
case("-fdiagnostics-absolute-paths", "CC -Wall -fdiagnostics-absolute-paths -c x.c", WARN_C, only="clang")
case("-fanalyzer", "CC -fanalyzer -c x.c", {"x.c": "#include <stdlib.h>\nvoid f(void) { char *p = malloc(3); *p = 1; }\n"},
     only="gcc")

case("colour always", "CC -Wall -fdiagnostics-color=always -c x.c", WARN_C)
case("colour always, short", "CC -Wall -fdiagnostics-color -c x.c", WARN_C, expect=EITHER)
case("colour never", "CC -Wall -fno-diagnostics-color -c x.c", WARN_C)
case("colour auto without a terminal", "CC -Wall -fdiagnostics-color=auto -c x.c", WARN_C)
case("clang's -fcolor-diagnostics", "CC -Wall -fcolor-diagnostics -c x.c", WARN_C, only="clang")
case("colour, an error", "CC -fdiagnostics-color=always -c x.c", {"x.c": FAILS_SYNTAX}, expect=FAILS)
case("GCC_COLORS", "CC -Wall -fdiagnostics-color=always -c x.c", WARN_C, env={"GCC_COLORS": "warning=01;36:caret=01;31"})
case("GCC_COLORS empty", "CC -Wall -c x.c", WARN_C, env={"GCC_COLORS": ""}, pty=TERMINAL)
case("GCC_URLS", "CC -Wall -fdiagnostics-color=always -fdiagnostics-urls=always -c x.c", WARN_C, only="gcc",
     env={"GCC_URLS": "st"}, expect=EITHER)
case("terminal: warnings", "CC -Wall -c x.c", WARN_C, pty=TERMINAL)
case("terminal: no messages", "CC -Wall -c x.c", PLAIN_C, pty=TERMINAL)
case("terminal: an error", "CC -c x.c", {"x.c": FAILS_SYNTAX}, pty=TERMINAL, expect=FAILS)
case("terminal: long lines, narrow", "CC -Wall -c x.c", LONG, pty=(24, 40))
case("terminal: long lines, wide", "CC -Wall -c x.c", LONG, pty=(24, 200))
case("terminal: width 0", "CC -Wall -c x.c", LONG, pty=(0, 0))
case("terminal: COLUMNS", "CC -Wall -c x.c", LONG, pty=(24, 80), env={"COLUMNS": "45"})
case("terminal: TERM=dumb", "CC -Wall -c x.c", WARN_C, pty=TERMINAL, env={"TERM": "dumb"})
case("terminal: TERM unset", "CC -Wall -c x.c", WARN_C, pty=TERMINAL, env={"TERM": None})
case("terminal: NO_COLOR", "CC -Wall -c x.c", WARN_C, pty=TERMINAL, env={"NO_COLOR": "1"}, expect=EITHER)
case("terminal: colour never", "CC -Wall -fno-diagnostics-color -c x.c", WARN_C, pty=TERMINAL)
case("terminal: clang's -fno-color-diagnostics", "CC -Wall -fno-color-diagnostics -c x.c", WARN_C, pty=TERMINAL,
     only="clang")
case("terminal, then none, then one of another width", files=LONG,
     steps=[run("CC -Wall -c x.c", pty=(24, 80)), run("CC -Wall -c x.c"), run("CC -Wall -c x.c", pty=(24, 41))])
case("terminal, then none, nothing to say", files=PLAIN_C,
     steps=[run("CC -c x.c", pty=(24, 80)), run("CC -c x.c", expect="hit"), run("CC -c x.c", pty=(24, 41), expect="hit")])
case("stdout and stderr to one pipe", files=WARN_C, sh="$CC -Wall -c x.c 2>&1")

case("C locale", "CC -Wall -c x.c", WARN_C, env={"LANG": "C"})
case("LC_ALL=C over LANG", "CC -Wall -c x.c", WARN_C, env={"LC_ALL": "C", "LANG": "C.UTF-8"})
case("LANG unset", "CC -Wall -c x.c", WARN_C, env={"LANG": None})
case("UTF-8 locale", "CC -Wall -c x.c", WARN_C, env={"LC_ALL": "C.UTF-8"})
case("LC_CTYPE alone", "CC -Wall -c x.c", WARN_C, env={"LANG": None, "LC_CTYPE": "C.UTF-8"})
case("LC_MESSAGES alone", "CC -Wall -c x.c", WARN_C, env={"LC_MESSAGES": "C"})
case("a locale that doesn't exist", "CC -Wall -c x.c", WARN_C, env={"LC_ALL": "xx_YY.UTF-8"})
case("a German locale", "CC -Wall -c x.c", WARN_C, env={"LC_ALL": "de_DE.UTF-8"}, needs="locale de_DE.UTF-8")
case("LANGUAGE", "CC -Wall -c x.c", WARN_C, env={"LANGUAGE": "de:fr"})
case("a Latin-1 locale", "CC -Wall -c x.c", {"x.c": "static int gr\udcf6\udcdfe(void) { return 1; }\n".encode("utf-8", "surrogateescape")},
     env={"LC_ALL": "de_DE.ISO-8859-1"}, needs="locale de_DE.iso88591", expect=FAILS)
case("one source, other locales", files=WARN_C,
     steps=[run("CC -Wall -c x.c", env={"LC_ALL": "C"}), run("CC -Wall -c x.c", env={"LC_ALL": "C.UTF-8"})])
