"""A small tree of C, C++ and assembler whose units reach their inputs by every way the compilers know.

Every header defines a variable named for itself and for the directory it lies in, with a number that each edit changes:
an object tells which files it was made of."""

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

GUARDED = "#ifndef GUARD_{id}\n#define GUARD_{id}\nint {id}_{where} = {value};\n{rest}#endif\n"
ONCE = "#pragma once\nint {id}_{where} = {value};\n{rest}"
REPEATED = "int {id}_{where} = {value};\n{rest}"
CHOICE = "#define CHOICE <c1.h>\n#define CHOOSE(x) <deep/x.h>\n/* c2.h {value} */\n"
ASSEMBLER = "#define A_VALUE {value}\n"
MACROS = "#define FORCED {value}\n"

SEARCH = ["-iquote", "inc/quote", "-Iinc/first", "-Iinc/second", "-Ilink", "-Igen", "-isystem", "inc/system",
          "-idirafter", "inc/after", "-idirafter", "inc/last"]
# Where headers may appear; and what a compiler asks for, whether there is anything in it or not.
ON_THE_PATH = ("src", "inc/quote", "inc/first", "inc/second", "inc/real1", "inc/real2", "gen", "inc/system",
               "inc/after")
DIRECTORIES = (*ON_THE_PATH, "link", "inc/optional", "inc/last")

# Base name → (template, what follows the variable). The same wherever a file of that name lies.
HEADERS = {
    "h1.h": (GUARDED, '#include "h3.h"\n'),
    "h2.h": (GUARDED, "#include <h4.h>\n"),
    "h3.h": (ONCE, ""),
    "h4.h": (GUARDED, ""),
    "h5.h": (GUARDED, '#include "deep/bottom.h"\n'),
    "next.h": (REPEATED, "#if __has_include_next(<next.h>)\n#include_next <next.h>\n#endif\n"),
    "opt1.h": (GUARDED, ""),
    "opt2.h": (GUARDED, ""),
    "opt3.h": (GUARDED, '#include "h3.h"\n'),
    "c1.h": (GUARDED, ""),
    "c2.h": (GUARDED, "#include <h4.h>\n"),
    "choice.h": (CHOICE, ""),
    "config.h": (GUARDED, ""),
    "force.h": (GUARDED, '#include "h4.h"\n'),
    "macros.h": (MACROS, ""),
    "l1.h": (GUARDED, ""),
    "l2.h": (GUARDED, ""),
    "s.h": (GUARDED, '#include "h3.h"\n'),
    "asm.h": (ASSEMBLER, ""),
    "deep/x/top.h": (GUARDED, '#include "../y/mid.h"\n'),
    "deep/y/mid.h": (GUARDED, '#include "../../deep/bottom.h"\n'),
    "deep/bottom.h": (GUARDED, ""),
    "deep/c3.h": (GUARDED, ""),
    "line.h": (REPEATED, "#define LINE __LINE__\nint line = __LINE__;\nconst char *line_file = __FILE__;\n"),
    "e.h": (GUARDED, ""),
}
TWINS = ("inc/first/twin1.h", "inc/second/twin2.h")
TWIN = ("#pragma once\n#define JOIN(a, b) a##b\n#define JOINED(a, b) JOIN(a, b)\n"
        "int JOINED(twin_, __COUNTER__) = {value};\n")

# Where they lie at first.
PLACES = """
inc/first/h1.h inc/first/h3.h inc/second/h2.h inc/second/h3.h inc/system/h4.h inc/after/h5.h inc/first/next.h
inc/second/next.h inc/after/next.h inc/second/opt1.h inc/second/c1.h inc/system/c2.h inc/first/choice.h gen/config.h
inc/first/force.h inc/second/macros.h inc/real1/l1.h inc/real2/l1.h inc/real2/l2.h inc/targets/s.h inc/targets2/s.h
src/asm.h inc/first/deep/x/top.h inc/first/deep/y/mid.h inc/first/deep/bottom.h inc/second/deep/c3.h
inc/after/deep/bottom.h inc/quote/line.h inc/environment/e.h
""".split()

SOURCES = {
    "plain.c": '#include "h1.h"\n#include <h2.h>\n#include "config.h"\n',
    "has.c": '#if __has_include(<opt1.h>)\n#include <opt1.h>\n#endif\n'
             '#if __has_include("opt2.h")\nint has_opt2 = 1;\n#else\nint has_opt2 = 0;\n#endif\n'
             '#if defined(__has_include) && __has_include(<deep/opt3.h>) || __has_include(<opt3.h>)\n'
             'int has_opt3 = 1;\n#endif\n'
             '#include "config.h"\n',
    "next.c": '#include "next.h"\n#include "config.h"\n',
    "once.c": '#include "twin1.h"\n#include "twin2.h"\n#include "h3.h"\n',
    "forced.c": "int forced = FORCED + FLAG;\n#include <h5.h>\n",
    "computed.c": '#include "choice.h"\n#include CHOICE\n#include CHOOSE(c3)\n#include "config.h"\n',
    "incbin.c": '__asm__(".data\\n\\t.incbin \\"data/blob.bin\\"\\n\\t.include \\"data/part.inc\\"\\n\\t.text\\n");\n'
                '#include "h4.h"\n',
    "nested.c": '#include "deep/x/top.h"\n#include <h5.h>\n#include "config.h"\n',
    "linked.c": '#include <l1.h>\n#if __has_include(<l2.h>)\n#include <l2.h>\n#endif\n#include "s.h"\n'
                '#include "config.h"\n',
    "plus.cc": '#include <h2.h>\n#include "next.h"\ntemplate <int n> struct S { static const int v = n; };\n'
               'int plus = S<sizeof(int)>::v;\n#include "config.h"\n',
    "text.c": '#include "h1.h"\n#include "line.h"\n#include "config.h"\n',
    "assembled.S": '#include "asm.h"\n\t.data\n\t.long A_VALUE\n\t.include "data/part.inc"\n',
    "environment.c": '#include <e.h>\n#include "h1.h"\n',
}


# Everything else that is there at first.
LINKS = {"inc/second/s.h": "../targets/s.h"}
TEXTS = {
    **{f"src/{name}": text + ("" if name.endswith(".S") else "int source = {value};\n") for name, text in SOURCES.items()},
    **{path: TWIN for path in TWINS},
    "data/blob.bin": "{value}\n",
    "data/part.inc": "\t.long {value}\n",
    "flags.rsp": "-DFLAG={value}\n",
}
BASE = (*PLACES, *LINKS, *TEXTS)


@dataclass
class Unit:
    """A compilation: the same words for the plain compiler and for llamacc."""
    name: str
    argv: list
    outputs: tuple                                      # in the tree
    environment: dict = field(default_factory=dict)
    reach: set = field(default_factory=set)             # base names of everything that its text can lead to


def units():
    def unit(source, *flags, output=None, depfile=None, environment=None):
        name = source.partition(".")[0]
        output = output or f"out/{name}.o"
        depfile = depfile or f"out/{name}.d"
        words = ["c++" if source.endswith(".cc") else "cc", *flags, *SEARCH]
        return Unit(name, [*words, *([] if "-S" in flags else ["-c"]), f"src/{source}", "-o", output],
                    (output, depfile), environment or {})

    return [
        unit("plain.c", "-MD", "-MF", "out/plain.dep", depfile="out/plain.dep"),
        unit("has.c", "-MMD", "-MP"),
        unit("next.c", "-MD", "-MT", "elsewhere.o"),
        unit("once.c", "-MD", "-MQ", "a$b"),
        unit("forced.c", "-MD", "-include", "force.h", "-imacros", "macros.h", "@flags.rsp"),
        unit("computed.c", "-MMD"),
        unit("incbin.c", "-MD"),
        unit("nested.c", "-g", "-MD"),
        unit("linked.c", "-MD", "-Wmissing-include-dirs", "-Iinc/optional"),
        unit("plus.cc", "-MD"),
        unit("text.c", "-S", "-MD", output="out/text.s"),
        unit("assembled.S", "-MD"),
        unit("environment.c", "-MD", environment={"C_INCLUDE_PATH": "inc/environment"}),
    ]


class World:
    """The tree below `root`. In its tools/, first on PATH, the compilers are symlinks; `prefix` gets a copy of gcc."""

    def __init__(self, root, prefix, rng):
        self.root, self.prefix, self.rng = root, prefix, rng
        self.compiler = copy_compiler(prefix)
        self.units = units()
        self.value = 100000
        self.undo = []                                  # (text, function) of changes that are to be taken back
        self.version = {}                               # of the copied compiler's programs
        self.linked = {}                                # path → another name of it, outside of the tree
        self.stash = os.path.join(os.path.dirname(root), "stash")
        self.serial = 0
        os.makedirs(self.stash)
        os.makedirs(root)
        for directory in ("out", "data", "tools", "inc/last", *ON_THE_PATH):
            os.makedirs(self.path(directory), exist_ok=True)
        for path in BASE:
            self.make(path)
        shutil.copyfile(*map(self.path, TWINS))
        os.utime(self.path(TWINS[0]), (1_600_000_000, 1_600_000_000))
        os.symlink("inc/real1", self.path("link"))
        for name, tool in (("cc", "gcc"), ("c++", "g++")):
            os.symlink(f"{prefix}/bin/{tool}", self.path(f"tools/{name}"))
        for path in ("inc/second/h2.h", "inc/system/h4.h", "src/plain.c"):
            self.linked[path] = os.path.join(self.stash, f"link-{os.path.basename(path)}")
            os.link(self.path(path), self.linked[path])
        for unit in self.units:
            unit.reach = self.reach(unit.argv)

    def path(self, relative):
        return os.path.join(self.root, relative)

    def next_value(self):
        """Six digits that were never used."""
        self.value += 1
        return self.value

    def make(self, path):
        """Make a file of BASE, with a fresh text."""
        if path in LINKS:
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            os.symlink(LINKS[path], self.path(path))
        elif path in TEXTS:
            self.write(path, TEXTS[path].replace("{value}", str(self.next_value())))
        else:
            self.write(path, self.header(path))

    def header(self, place):
        """A fresh text for a header at `place`."""
        name = next(key for key in HEADERS if place.endswith("/" + key))
        template, rest = HEADERS[name]
        ident = re.sub(r"\W", "_", name)
        where = re.sub(r"\W", "_", os.path.dirname(place))
        return template.format(id=ident, where=where, value=self.next_value(), rest=rest)

    def write(self, relative, text):
        os.makedirs(os.path.dirname(self.path(relative)), exist_ok=True)
        with open(self.path(relative), "w", encoding="utf-8") as out:
            out.write(text)

    def new_stash(self):
        self.serial += 1
        return os.path.join(self.stash, str(self.serial))

    def files(self):
        """The input files of the tree, by their paths in it; neither symlinks nor empty ones."""
        found = []
        for directory, names, others in os.walk(self.root):
            if directory == self.root:
                names[:] = [name for name in names if name in ("src", "inc", "gen", "data")]
            names.sort()
            found += [os.path.relpath(os.path.join(directory, name), self.root) for name in sorted(others)
                      if not os.path.islink(os.path.join(directory, name)) and
                      os.path.getsize(os.path.join(directory, name)) > 0]
        return found

    def states(self):
        """By the units' names, digests of all that can reach their outputs: where two are equal, so are the outputs."""
        entries = []
        for directory, names, others in os.walk(self.root, followlinks=True):
            if directory == self.root:
                names[:] = [name for name in names if name not in ("out", "tools")]
            names.sort()
            for name in [*names, *sorted(others)]:
                path = os.path.join(directory, name)
                entries.append((name.removesuffix(".gch"), path, os.path.realpath(path), content(path)))
        links = [self.path(path) for path in ("tools/cc", "tools/c++", *DIRECTORIES)]
        common = [[(os.path.realpath(path), os.path.exists(path), os.path.isdir(path)) for path in links], sorted(self.version.items()),
                  content(self.path("tools/as")), content(os.path.join(self.compiler, "specs"))]
        states = {}
        for unit in self.units:
            own = [entry for entry in entries if entry[0] in unit.reach]
            twins = same_files(path for name, path, _, _ in own if name.startswith("twin"))
            states[unit.name] = hashlib.sha256(repr([common, own, twins]).encode()).digest()
        return states

    @staticmethod
    def reach(argv):
        """The names, of directories too, that a command's words and texts can lead to, whichever files have them."""
        texts = {os.path.basename(name): rest for name, (template, rest) in HEADERS.items()}
        texts.update(SOURCES)
        texts["choice.h"] = CHOICE + " c3.h"
        words = " ".join(argv)
        found, queue = set(), [words.replace("@", " ")]
        while queue:
            for path in re.findall(r"[\w./]+\.(?:h|c|cc|S|bin|inc|rsp)\b", queue.pop()):
                for word in set(path.split("/")) - found:
                    found.add(word)
                    queue.append(texts.get(word, ""))
        return found


def content(path):
    """The bytes of a file; what else there is, or None."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except IsADirectoryError:
        return "directory"
    except FileNotFoundError:
        return None


def same_files(paths):
    """What decides, beside their content, whether a second header with #pragma once counts: which share inode or mtime."""
    found = [(os.stat(path).st_ino, int(os.stat(path).st_mtime)) for path in paths if os.path.isfile(path)]
    inodes, mtimes = zip(*found) if found else ((), ())
    return [(inodes.index(inode), mtimes.index(mtime)) for inode, mtime in found]


def copy_compiler(prefix):
    """A copy of gcc that finds its own cc1 and cc1plus below `prefix`, so that they can be upgraded. Returns their
    directory."""
    programs = {name: subprocess.run(["gcc", f"-print-prog-name={name}"], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout.strip() for name in ("cc1", "cc1plus")}
    home = os.path.dirname(programs["cc1"])             # …/lib/gcc/MACHINE/VERSION, wherever it is installed
    below = os.path.join(prefix, "lib/gcc", *home.split("/")[-2:])
    os.makedirs(os.path.join(prefix, "bin"))
    os.makedirs(below)
    for name in ("gcc", "g++"):
        shutil.copy2(os.path.realpath(shutil.which(name)), os.path.join(prefix, "bin", name))
    for name in os.listdir(home):
        if name in programs:
            shutil.copy2(programs[name], os.path.join(below, name))
        else:
            os.symlink(os.path.join(home, name), os.path.join(below, name))
    return below
