#!/usr/bin/env python3
"""fixtures.py PREDICT [WORD]: every case of fixtures.txt, whose form it explains, with gcc and with clang.

What is predicted must hold everything that the compiler's own -M names, and of the case's own files nothing beyond what
the case says. With a WORD only the cases whose name has it are run. Exits with 77 when a compiler is missing."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from rule import prerequisites

HERE = os.path.dirname(os.path.realpath(__file__))
COMPILERS = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}
TIMEOUT_S = 60


class Case:
    def __init__(self, name):
        self.name, self.command, self.only, self.environment, self.cwd = name, "cc -c m.c", COMPILERS, {}, "."
        self.also, self.may, self.entries, self.truth = set(), set(), [], True

    def setting(self, key, value):
        if key == "$":
            self.command = value
        elif key == "only":
            self.only = value.split()
        elif key == "env":
            name, _, text = value.partition("=")
            self.environment[name] = text
        elif key == "cwd":
            self.cwd = value
        elif key == "also":
            self.also.update(value.split())
        elif key == "may":
            self.may.update(value.split())
        elif key == "without-truth":
            self.truth = False
        else:
            raise ValueError(f"{self.name}: what is {key}?")


def cases(path):
    found, entry = [], None
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith("=== "):
                found.append(Case(line[4:].strip()))
                entry = None
            elif line.startswith("--- "):
                entry = [line[4:].strip(), ""]
                found[-1].entries.append(entry)
            elif entry:
                entry[1] += line
            elif found and line.strip():
                key, _, value = line.strip().partition(" ")
                found[-1].setting(key, value)
    return found


def make(directory, name, text):
    name, arrow, target = name.partition(" -> ")
    raw = name.endswith(" raw")
    path = os.path.join(directory, name.removesuffix(" raw"))
    if path.endswith("/"):
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if arrow:
        os.symlink(target, path)
        return
    text = text.replace("@HERE@", directory)
    body = text.rstrip("\n").encode().decode("unicode_escape").encode("latin-1") if raw else text.encode()
    with open(path, "wb") as file:
        file.write(body)


def run(argv, cwd, environment):
    return subprocess.run(argv, cwd=cwd, env={**os.environ, "LC_ALL": "C", **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="surrogateescape", timeout=TIMEOUT_S, check=False)


def examine(predict, case, compiler, scratch):
    """What is wrong, as text; None if nothing is."""
    directory = os.path.realpath(tempfile.mkdtemp(dir=scratch))
    for name, text in case.entries:
        make(directory, name, text)
    cwd = os.path.join(directory, case.cwd)
    cc, cxx = COMPILERS[compiler]
    argv = shlex.split(case.command.replace("@HERE@", directory))
    argv[0] = {"cc": cc, "c++": cxx}[argv[0]]
    environment = {name: text.replace("@HERE@", directory) for name, text in case.environment.items()}

    def real(name):
        return os.path.realpath(os.path.join(cwd, name))
    truth = set()
    if case.truth:
        told = run([argv[0], "-M", "-w", *[word for word in argv[1:] if word != "-c" and not word.startswith("-Wp,-M")]], cwd, environment)
        if told.returncode != 0:
            return f"-M fails: {told.stderr}"
        truth = {real(name) for name in prerequisites(told.stdout)}
    guessed = run([predict, "--real", *argv], cwd, environment)
    if guessed.returncode != 0:
        return guessed.stderr
    predicted = set(guessed.stdout.splitlines())
    also = {os.path.realpath(os.path.join(directory, name)) for name in case.also}
    may = {os.path.realpath(os.path.join(directory, name)) for name in case.may}
    own = {path for path in predicted if path.startswith(directory + "/")}
    source = {path for path in own if not truth and os.path.basename(path).startswith("m.")}
    lines = [f"missing {path}" for path in sorted((truth | also) - predicted)]
    lines += [f"needless {path}" for path in sorted(own - truth - also - may - source)]
    return "\n    ".join(lines) or None


def main():
    predict = os.path.abspath(sys.argv[1])
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    if not all(shutil.which(name) for names in COMPILERS.values() for name in names):
        return 77
    todo = [(case, compiler) for case in cases(os.path.join(HERE, "fixtures.txt")) if word in case.name
            for compiler in case.only]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pool:
        problems = list(pool.map(lambda one: examine(predict, *one, scratch), todo))
    failed = 0
    for (case, compiler), problem in zip(todo, problems):
        if problem:
            failed += 1
            print(f"{case.name} ({compiler}):\n    {problem}")
    print(f"{len({case.name for case, _ in todo})} cases, {len(todo)} runs, {failed} failed")
    return 1 if failed or not todo else 0


if __name__ == "__main__":
    sys.exit(main())
