"""Where outputs go, and what may be there already."""

from cases.common import FAILS_SYNTAX, PLAIN_C, WARNS
from model import EITHER, FAILS, Dir, Fifo, File, Hard, Link, case, run

SPECIAL = "local:output_special|local:special_file"
OLD = "an older object, longer than the new one " * 200

case("output over an older file", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": OLD})
case("output over an older file with another mode", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": File(OLD, mode=0o755)},
     expect=EITHER)
case("output over a file only the owner may read", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": File(OLD, mode=0o600)},
     expect=EITHER)
case("output over a read-only file", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": File(OLD, mode=0o444)}, expect=EITHER)
case("output over a hard link", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": OLD, "other.o": Hard("x.o")}, expect=SPECIAL)
case("output over a symlink", "CC -c x.c -o x.o", {**PLAIN_C, "real.o": OLD, "x.o": Link("real.o")}, expect=SPECIAL)
case("output over a broken symlink", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": Link("nothing.o")}, expect=SPECIAL)
case("output into a symlinked directory", "CC -c x.c -o out/x.o", {**PLAIN_C, "real/keep": "", "out": Link("real")},
     expect=EITHER)
case("output is a directory", "CC -c x.c -o out", {**PLAIN_C, "out/keep": ""}, expect="local:*")
case("output directory doesn't exist", "CC -c x.c -o no/x.o", PLAIN_C, expect="local:*")
case("output below a file", "CC -c x.c -o x.h/x.o", PLAIN_C, expect="local:*")
case("output is /dev/null", "CC -c x.c -o /dev/null", PLAIN_C, expect=EITHER)
case("output is /dev/null, with warnings and -MD", "CC -Wall -MD -MF x.d -c x.c -o /dev/null", {"x.c": WARNS},
     expect=EITHER)
case("output is /dev/stdout", "CC -S x.c -o /dev/stdout", PLAIN_C, expect=SPECIAL)
case("output is -", "CC -S x.c -o -", PLAIN_C, expect=EITHER)
case("object to -", "CC -c x.c -o -", PLAIN_C, expect=EITHER)
case("output is a FIFO", "CC -S x.c -o pipe", {**PLAIN_C, "pipe": Fifo()}, fifo="pipe", expect=SPECIAL)
case("object output is a FIFO", "CC -pipe -c x.c -o pipe", {**PLAIN_C, "pipe": Fifo()}, fifo="pipe", expect=SPECIAL)
case("depfile is a FIFO", "CC -MD -MF pipe -c x.c", {**PLAIN_C, "pipe": Fifo()}, fifo="pipe", expect=SPECIAL)
case("output is the source", "CC -c x.c -o x.c", {"x.c": "int x;\n"}, expect="local:*")
case("output is the source by another name", "CC -c x.c -o ./../tree/x.c", {"x.c": "int x;\n"}, expect={"clang/inplace": "local:*|executed|remote", "": "local:*"})
case("-o without a name", "CC -c x.c -o", PLAIN_C, expect="local:*|silent")
case("-o twice", "CC -c x.c -o one.o -o two.o", PLAIN_C, expect={"gcc": "remote|local:*", "clang": EITHER})
case("depfile over a symlink", "CC -MD -MF x.d -c x.c", {**PLAIN_C, "real.d": "old", "x.d": Link("real.d")},
     expect=SPECIAL)
case("depfile over a hard link", "CC -MD -MF x.d -c x.c", {**PLAIN_C, "x.d": "old", "other.d": Hard("x.d")},
     expect=SPECIAL)
case("split DWARF over an older file", "CC -g -gsplit-dwarf -c x.c -o x.o", {**PLAIN_C, "x.dwo": OLD})
case("a failing compilation and the older object", "CC -c x.c -o x.o", {"x.c": FAILS_SYNTAX, "x.o": OLD}, expect=FAILS)
case("a failing compilation and the older depfile", "CC -MD -c x.c -o x.o",
     {"x.c": FAILS_SYNTAX, "x.o": OLD, "x.d": "old"}, expect=FAILS)
case("umask 077", "CC -MD -c x.c -o x.o", PLAIN_C, umask=0o077)
case("umask 002", "CC -g -gsplit-dwarf -c x.c -o x.o", PLAIN_C, umask=0o002)
case("umask 0777", "CC -S x.c -o x.s", PLAIN_C, umask=0o777, expect=EITHER)
case("one source, other umasks", files=PLAIN_C,
     steps=[run("CC -c x.c -o x.o", umask=0o022), run("CC -c x.c -o y.o", umask=0o077, expect="hit")])
case("output directory with the set-group-id bit", "CC -c x.c -o out/x.o", {**PLAIN_C, "out": Dir(0o2755)}, expect=EITHER)

case("unprivileged: compile", "CC -MD -c x.c -o x.o", PLAIN_C, user=True)
case("unprivileged: source that can't be read", "CC -c x.c -o x.o", {"x.c": File("int x;\n", mode=0)}, user=True,
     expect="local:*")
case("unprivileged: header that can't be read", "CC -c x.c -o x.o", {**PLAIN_C, "x.h": File("", mode=0)}, user=True,
     expect="local:*")
case("unprivileged: header that can't be read, another on the path", "CC -Ione -Itwo -c x.c -o x.o",
     {"x.c": "#include <w.h>\nint w = W;\n", "one/w.h": File("#define W 1\n", mode=0), "two/w.h": "#define W 2\n"},
     user=True, expect="local:*")
case("unprivileged: include directory that can't be searched", "CC -Ione -Itwo -c x.c -o x.o",
     {"x.c": "#include <w.h>\nint w = W;\n", "one/w.h": "#define W 1\n", "one": Dir(0o600), "two/w.h": "#define W 2\n"},
     user=True, expect=EITHER)
case("unprivileged: include directory that can't be listed", "CC -Ione -Itwo -c x.c -o x.o",
     {"x.c": "#include <w.h>\nint w = W;\n", "one/w.h": "#define W 1\n", "one": Dir(0o311), "two/w.h": "#define W 2\n"},
     user=True, expect=EITHER)
case("unprivileged: a directory on PATH that can't be searched, and one in it", "CC -c x.c -o x.o",
     {**PLAIN_C, "closed/in/keep": "", "closed": Dir(0o600)}, user=True, path=["@ROOT@/closed", "@ROOT@/closed/in"])
case("unprivileged: output directory that can't be written", "CC -c x.c -o out/x.o",
     {**PLAIN_C, "out/keep": "", "out": Dir(0o555)}, user=True, expect="local:*")
case("unprivileged: working directory that can't be written", "CC -c ../x.c", {**PLAIN_C, "work/keep": "",
                                                                              "work": Dir(0o555)},
     user=True, cwd="work", expect="local:*")
case("unprivileged: read-only output in a directory that can't be written", "CC -c x.c -o out/x.o",
     {**PLAIN_C, "out/x.o": File(OLD, mode=0o444), "out": Dir(0o555)}, user=True, expect="local:*")
case("unprivileged: writable output in a directory that can't be written", "CC -c x.c -o out/x.o",
     {**PLAIN_C, "out/x.o": File(OLD, mode=0o644), "out": Dir(0o555)}, user=True, expect="local:*")
case("unprivileged: read-only output", "CC -c x.c -o x.o", {**PLAIN_C, "x.o": File(OLD, mode=0o444)}, user=True,
     expect="local:*")
case("unprivileged: read-only depfile", "CC -MD -c x.c -o x.o", {**PLAIN_C, "x.d": File("old", mode=0o444)}, user=True,
     expect="local:*")
case("unprivileged: a failing compilation", "CC -c x.c -o x.o", {"x.c": FAILS_SYNTAX}, user=True, expect=FAILS)
