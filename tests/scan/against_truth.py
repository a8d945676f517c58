#!/usr/bin/env python3
"""against_truth.py PREDICT COMMANDS...: hold the predicted inputs of compile commands against the compiler's own -M.

PREDICT is the program `predict` of a build directory. COMMANDS are files as recorded by tests/differential/record.py (a
line of JSON per command: argv, cwd), or compile_commands.json; the sources must still be there. Per unit, the set that is
predicted must hold every file that -M names, by realpath; what it holds beyond that is counted. --compiler NAME replaces
the compilers of the commands (clang also stands for clang++), --sample N takes N units evenly spread, --time N adds the
median of N warm predictions per unit."""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from rule import prerequisites

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "differential"))
from project import inputs_and_output  # noqa: E402

WITHOUT_VALUE = {"-c", "-S", "-MD", "-MMD", "-MP", "-MG", "-save-temps"}
WITH_VALUE = {"-o", "-MF", "-MT", "-MQ"}
TIMEOUT_S = 120


def commands(path):
    """Yield (argv, cwd) of what compiles one source that exists."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    records = json.loads(text) if text.lstrip().startswith("[") else map(json.loads, text.splitlines())
    for record in records:
        argv = record.get("argv") or record.get("arguments") or shlex.split(record["command"])
        cwd = record.get("cwd") or record["directory"]
        inputs, _ = inputs_and_output(argv)
        if ("-c" in argv or "-S" in argv) and len(inputs) == 1 and os.path.isfile(os.path.join(cwd, inputs[0])):
            yield argv, cwd


def with_compiler(argv, name):
    if not name:
        return argv
    plus = os.path.basename(argv[0]).rstrip("0123456789.-").endswith("++")
    return [{"gcc": "g++", "clang": "clang++"}[name] if plus else name, *argv[1:]]


def scan_command(argv):
    """The command as a plain -M: nothing is written."""
    scan, words = [argv[0], "-M", "-w"], iter(argv[1:])
    for word in words:
        if word in WITH_VALUE:
            next(words, None)
        elif word not in WITHOUT_VALUE and not re.match(r"-(o|MF|MT|MQ)[^ ]|-Wp,-M", word):
            scan.append(word)
    return scan


def run(argv, cwd):
    return subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape",
                          timeout=TIMEOUT_S, check=False)


class Unit:
    def __init__(self, predict, argv, cwd, times):
        self.name = f"{cwd}: {shlex.join(argv)}"
        self.problem = None
        self.truth, self.predicted, self.warm_us, self.unresolved = set(), set(), None, 0
        scanned = run(scan_command(argv), cwd)
        if scanned.returncode != 0:
            self.problem = f"-M failed: {scanned.stderr[:300]}"
            return
        self.truth = {os.path.realpath(os.path.join(cwd, name)) for name in prerequisites(scanned.stdout)}
        guessed = run([predict, "--real", "--counts", *argv], cwd)
        if guessed.returncode != 0:
            self.problem = guessed.stderr.strip()
            return
        *paths, last = guessed.stdout.splitlines()
        self.predicted, self.unresolved = set(paths), int(last.split()[1])
        if times:
            self.warm_us = float(re.search(r"warm (\d+) us", run([predict, "--time", str(times), *argv], cwd).stdout)[1])

    def missing(self):
        return sorted(self.truth - self.predicted)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("predict")
    parser.add_argument("commands", nargs="+")
    parser.add_argument("--compiler", choices=["gcc", "clang"])
    parser.add_argument("--sample", type=int)
    parser.add_argument("--time", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()

    todo = [(with_compiler(argv, arguments.compiler), cwd) for path in arguments.commands for argv, cwd in commands(path)]
    if arguments.sample and arguments.sample < len(todo):
        todo = [todo[i * len(todo) // arguments.sample] for i in range(arguments.sample)]
    predict = os.path.abspath(arguments.predict)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        units = list(pool.map(lambda one: Unit(predict, *one, arguments.time), todo))

    failed = [unit for unit in units if unit.problem or unit.missing()]
    for unit in failed:
        print(unit.name)
        print("   ", unit.problem or "missing: " + " ".join(unit.missing()))
    good = [unit for unit in units if not unit.problem and unit.truth]
    if good:
        ratios = [len(unit.predicted) / len(unit.truth) for unit in good]
        print(f"{len(units)} units, {len(failed)} failed; predicted / true: median {statistics.median(ratios):.2f}, "
              f"most {max(ratios):.2f}; {sum(unit.unresolved > 0 for unit in good)} units with unresolved names"
              + (f"; warm: median {statistics.median(u.warm_us for u in good):.0f} us, "
                 f"most {max(u.warm_us for u in good):.0f} us" if arguments.time else ""))
    return 1 if failed or not good else 0


if __name__ == "__main__":
    sys.exit(main())
