#!/usr/bin/env python3
"""Proves that the differential runner sees what it is there to see: with stand-ins for llama and llamacc that do
everything right its rows pass, and with each kind of sabotage (a byte, a file, a mode, a message, …) they fail."""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import standin                                          # noqa: E402

GOOD_ROWS = ("compile C", "compile C, default output name", "-MD", "warnings", "syntax error", "launcher", "CC=llamacc",
             "several compilations of one shell", "terminal: warnings", "umask 077", "output over an older file",
             "closed descriptor 2", "unprivileged: compile")
# What the report must say, for the sabotages where a particular line is the point.
TELLS = {
    "one byte of the object": r"x\.o: content differs",
    "an extra file": r"unforeseen: exists",
    "an extra temporary": r"<1>/left\.s: exists",
    "the object's mode": r"x\.o: mode 0600, not 0644",
    "an object that is missing": r"x\.o: missing",
    "a line on stderr": r"stderr differs",
    "a line on stdout": r"stdout differs",
    "the exit code": r"exit code 3, not 0",
    "an object with an old time": r"x\.o: its time isn't that of this run",
    "a second name of the object": r"names of the inode",
    "the header rewritten": r"x\.h: was rewritten",
    "only the hit": r"hit: exit code 9",
    "a decision that isn't expected": r"expected remote, was: local engine_failed",
    "no hit": r"hit: expected remote, was: sandbox",
    "a request too many": r"2 requests, expected 1",
    "no request at all": r"no request was logged",
}


def run(directory, label, names, lie=0, options=()):
    build = os.path.join(directory, re.sub(r"\W", "-", f"{label}-{lie}"))
    standin.install(build, label, lie)
    only = [f"--only=={name}" for name in names]
    command = [sys.executable, os.path.join(HERE, "run.py"), "--build", build, "--compiler", "gcc", "--verbose",
               *options, *only]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def main():
    failures = []

    def expect(name, result, good, pattern=r"\d+ passed"):
        met = (result.returncode == 0) == good and re.search(pattern, result.stdout)
        print(f"{'passed' if met else 'FAILED'}   {name}", flush=True)
        if not met:
            failures.append(name)
            print(result.stdout[-3000:], result.stderr[-3000:])

    with tempfile.TemporaryDirectory(prefix="llama-selftest-") as directory:
        expect("a faithful stand-in passes", run(directory, "none", GOOD_ROWS), True)
        for label in standin.SABOTAGES:
            if label != "none":
                result = run(directory, label, ["launcher with a bare name"], options=("--mode", "namespaces"))
                expect(f"noticed: {label}", result, False, TELLS[label])
        expect("noticed: statistics that disagree with the log", run(directory, "none", ["compile C++"], lie=1), False,
               r"llama stats counts \d+ for hit")
        expect("noticed: no row matches", run(directory, "none", ["no such row"], lie=2), False, r"no case matches")
    print(f"{len(standin.SABOTAGES) + 2 - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
