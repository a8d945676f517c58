"""Translation units of real projects, each a command of its own that writes below a directory of ours."""

import glob
import json
import os
import shlex

# How Redis' own Makefile compiles its files (MALLOC=libc), without the dependency file.
REDIS_FLAGS = ["-pedantic", "-DREDIS_STATIC=", "-std=c11", "-Wall", "-W", "-Wno-missing-field-initializers", "-O2", "-g",
               "-ggdb", "-fno-omit-frame-pointer", "-I../deps/hiredis", "-I../deps/linenoise", "-I../deps/lua/src",
               "-I../deps/hdr_histogram"]


class Unit:
    """One translation unit, compiled in its project's directory to a file elsewhere."""

    def __init__(self, cwd, compiler, flags, source, output):
        self.cwd, self.source, self.output = cwd, source, output
        self.compile = [compiler, *flags]               # neither -c nor -o: for -M
        self.command = [compiler, *flags, "-c", "-o", output, source]

    def with_depfile(self):
        """The command as ninja runs it."""
        return [*self.command, "-MD", "-MT", self.output, "-MF", self.output + ".d"]

    def dependencies(self):
        return [*self.compile, "-M", self.source]

    def uses_clock(self):
        with open(os.path.join(self.cwd, self.source), "rb") as file:
            text = file.read()
        return any(word in text for word in (b"__DATE__", b"__TIME__", b"__TIMESTAMP__"))


class Project:
    """Its units, and the one that stands for it where a single one is measured."""

    def __init__(self, name, units, chosen):
        self.name, self.units = name, units
        self.unit = next(unit for unit in units if unit.source.endswith(chosen))

    def sample(self, n):
        """At most n units from all over it, the chosen one first."""
        rest = [unit for unit in self.units if unit is not self.unit]
        step = max(1, len(rest) // max(1, n - 1))
        return [self.unit, *rest[::step][:n - 1]]


def redis(directory, output):
    cwd = os.path.join(directory, "redis/src")
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(cwd, "*.c")))
    return Project("Redis", [Unit(cwd, "gcc", REDIS_FLAGS, name, os.path.join(output, f"redis-{name}.o"))
                             for name in names], "t_zset.c")


def from_commands(name, build, output, chosen):
    """The units of a compile_commands.json that exist, and aren't assembler: not all peers take that."""
    units = []
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    for number, entry in enumerate(entries):
        source = os.path.join(entry["directory"], entry["file"])
        words = shlex.split(entry["command"])
        flags, skip = [], False
        for word in words[1:]:
            if word in ("-o", "-c") or skip:
                skip = word == "-o"
            elif not word.startswith("-Wp,-MMD,") and os.path.join(entry["directory"], word) != source:
                flags.append(word)
        if os.path.exists(source) and not source.endswith(".S"):
            units.append(Unit(entry["directory"], words[0], flags, source, os.path.join(output, f"{name}-{number}.o")))
    return Project(name, units, chosen)
