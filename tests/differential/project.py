"""Replays every compilation of a real project: plainly, then cold and as a hit through llamacc, in the same directory.

The project's own build runs first, with record.py in front of the compilers. The commands that compile (-c, -S) and
whose source is still there are then replayed in passes over the whole tree; what a pass leaves behind, every file
included, must equal what the plain pass left behind. A unit whose plain output differs between the build and the
replay is compared under -frandom-seed."""

import collections
import hashlib
import json
import os
import shutil
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import command
import preconditions
from model import ENGINE_OF_MODE
from player import LOG_WAIT_S, REAL_NAMES, Row
from service import PATH, compiler_names
from tree import first_difference, settle

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.path.join(HERE, "..", "corpora", "build.sh")
SOURCES = (".c", ".cc", ".cpp", ".cxx", ".C", ".i", ".ii", ".s", ".S", ".sx")
TAKES_VALUE = {"-o", "-MF", "-MT", "-MQ", "-I", "-D", "-U", "-include", "-imacros", "-isystem", "-iquote", "-idirafter",
               "-x", "-Xclang", "-Xassembler", "-Xpreprocessor", "-mllvm", "--param", "-isysroot", "-arch"}


@dataclass
class Unit:
    argv: list
    cwd: str
    output: str         # absolute
    want: command.Outcome = None


class Project:
    timeout_s = command.TIMEOUT_S       # of one compilation

    def __init__(self, name, tree, compiler, installation, directory, jobs, sample=None):
        self.name, self.compiler, self.installation, self.jobs = name, compiler, installation, jobs
        self.sample = sample        # at most so many of its units, evenly spread; None: all
        self.directory = os.path.join(directory, "project", compiler)
        self.tree = os.path.join(self.directory, name)
        shutil.copytree(tree, self.tree, symlinks=True)
        self.units = self.want = None
        self.written = set()        # what the plain pass wrote
        self.broken = None

    def rows(self, service):
        """A row per unit, and one for the tree as a whole."""
        if self.units is None and self.broken is None:
            self.broken = self.prepare()
        if self.broken:
            yield Row(self.name, self.compiler, service.mode, "failed", [self.broken])
            return
        details = collections.defaultdict(list)
        before = len(service.decisions_below(self.tree))
        cold = self.replay(service)
        self.compare(f"{service.mode}, cold", cold, details)
        middle = self.logged(service, before + len(self.units))
        hit = self.replay(service)
        self.compare(f"{service.mode}, hit", hit, details)
        decisions = service.decisions_below(self.tree)[:self.logged(service, middle + len(self.units))]
        for unit in self.units:
            lines = details.pop(unit.output, [])
            yield Row(f"{self.name}: {os.path.relpath(unit.output, self.tree)}", self.compiler, service.mode,
                      "failed" if lines else "passed", lines)
        lines = [f"{path}: {line}" for path, found in details.items() for line in found]
        lines += self.judge(decisions[before:middle], decisions[middle:])
        yield Row(f"{self.name}: the whole tree", self.compiler, service.mode, "failed" if lines else "passed", lines)

    def logged(self, service, wanted):
        """The number of requests logged, after waiting for as many as wanted."""
        end = time.monotonic() + LOG_WAIT_S
        while (found := len(service.decisions_below(self.tree))) < wanted and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def judge(self, cold, hit):
        """Print where the units went; what was executed the first time must be a hit the second time."""
        lines = []
        executed = sum(decision in ENGINE_OF_MODE.values() for decision, _ in cold)
        hits = sum(decision == "hit" for decision, _ in hit)
        reasons = collections.Counter(reason for decision, reason in cold if decision == "local")
        again = collections.Counter(reason for decision, reason in hit if decision == "local")
        print(f"{self.name}, {self.compiler}: {len(self.units)} units; cold: {executed} remote, "
              f"{sum(decision == 'hit' for decision, _ in cold)} hits, local: {dict(reasons) or 0}; "
              f"again: {hits} hits, local: {dict(again) or 0}")
        for label, decisions in (("cold", cold), ("hit", hit)):
            if len(decisions) != len(self.units):
                lines.append(f"{label}: {len(decisions)} requests logged for {len(self.units)} units")
        if hits != len(self.units) - sum(again.values()) or again != reasons:
            lines.append(f"of {executed} units that were executed remotely, {hits} were hits the second time")
        return lines

    def prepare(self):
        """Build the project, collect its units, and make the plain pass. Returns an error text, or None."""
        shims, log = os.path.join(self.directory, "shims"), os.path.join(self.directory, "commands")
        os.makedirs(shims)
        for name in compiler_names():
            os.symlink(os.path.join(HERE, "record.py"), os.path.join(shims, name))
        for step, path in (("configure", PATH), ("build", f"{shims}:{PATH}")):
            environment = {**self.environment(), "PATH": path, "RECORD": log, **REAL_NAMES[self.compiler],
                           "JOBS": str(self.jobs)}
            built = subprocess.run([BUILD, self.name, self.tree, step], env=environment, cwd="/", check=False,
                                   stdin=subprocess.DEVNULL, capture_output=True, timeout=1800)
            if built.returncode != 0:
                return f"the plain {step} of {self.name} failed: {built.stderr[-2000:].decode(errors='replace')}"
        self.units = collect(log)
        if not self.units:
            return f"the build of {self.name} compiled nothing"
        if self.sample and self.sample < len(self.units):
            self.units = [self.units[i * len(self.units) // self.sample] for i in range(self.sample)]
        built = self.photograph()
        if not self.plain_pass():
            return "a compilation of the build fails when replayed"
        self.want = self.photograph()
        unstable = [unit for unit in self.units if self.want.get(unit.output) != built.get(unit.output)]
        if unstable:
            for unit in unstable:
                if self.compiler == "gcc":
                    unit.argv.insert(1, f"-frandom-seed={os.path.basename(unit.output)}")
            self.plain_pass()
            self.want = self.photograph()
            print(f"{self.name}, {self.compiler}: {len(unstable)} units differ between two plain runs, compared under "
                  "-frandom-seed")
        return None

    def plain_pass(self):
        start_ns = settle(self.directory)
        outcomes = self.replay(None)
        self.written = {path for path in self.photograph() if os.lstat(path).st_mtime_ns >= start_ns}
        for unit, outcome in zip(self.units, outcomes):
            unit.want = outcome
        return all(outcome.code == 0 for outcome in outcomes)

    def replay(self, service, **variables):
        """Run all units, with their outputs removed first. Their outcomes, in order."""
        environment = {**self.environment(), **variables}
        if service:
            environment.update(service.environment())
            environment["PATH"] = f"{self.installation.masquerade}:{PATH}"
        prefix = ["setarch", "-R"] if preconditions.can_fix_addresses() else []
        for path in {unit.output for unit in self.units} | self.written:
            if os.path.lexists(path):
                os.unlink(path)

        def one(unit):
            # What is named with its directory isn't found on PATH, and so gets a launcher.
            launcher = [self.installation.llamacc] if service and "/" in unit.argv[0] else []
            return command.execute([*prefix, *launcher, *unit.argv], cwd=unit.cwd, env={**environment, "PWD": unit.cwd},
                                   timeout_s=self.timeout_s)
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(one, self.units))

    def environment(self):
        temporary = os.path.join(self.directory, "tmp")
        os.makedirs(temporary, exist_ok=True)
        return {"PATH": PATH, "HOME": self.directory, "TMPDIR": temporary, "LANG": "C.UTF-8"}

    def compare(self, label, outcomes, details):
        for unit, got in zip(self.units, outcomes):
            for field in ("code", "stdout", "stderr"):
                a, b = getattr(unit.want, field), getattr(got, field)
                if a != b:
                    text = f"{b}, not {a}" if field == "code" else first_difference(a, b)
                    details[unit.output].append(f"{label}: {field} differs: {text}")
        photo = self.photograph()
        for path in sorted(self.want.keys() | photo.keys()):
            a, b = self.want.get(path), photo.get(path)
            if a != b:
                what = "missing" if b is None else "unforeseen file" if a is None else "bytes or mode differ"
                details[path].append(f"{label}: {what}")

    def photograph(self):
        """Digest, mode and kind of every file of the tree, and of the temporary directory."""
        found = {}
        for directory, names, others in os.walk(self.directory):
            if directory == self.directory:
                names[:] = [name for name in names if name in (self.name, "tmp")]
                others = []
            for name in others:
                path = os.path.join(directory, name)
                found[path] = look_at(path, os.lstat(path))
        return found


def look_at(path, status):
    """What is compared of a file."""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return status.st_mode, hashlib.file_digest(file, "sha256").digest()
    return status.st_mode, os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""


def collect(log):
    """The units of a recorded build: compilations whose source still exists; of two with one output, the last."""
    units = {}
    with open(log, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            argv, cwd = record["argv"], record["cwd"]
            if "-c" not in argv and "-S" not in argv:
                continue
            inputs, output = inputs_and_output(argv)
            if len(inputs) != 1 or not os.path.isfile(os.path.join(cwd, inputs[0])):
                continue
            suffix = ".s" if "-S" in argv else ".o"
            output = output or os.path.splitext(os.path.basename(inputs[0]))[0] + suffix
            path = os.path.normpath(os.path.join(cwd, output))
            if path.startswith("/dev/"):
                continue
            units.pop(path, None)
            units[path] = Unit(argv, cwd, path)
    return list(units.values())


def inputs_and_output(argv):
    inputs, output, words = [], None, iter(argv[1:])
    for word in words:
        if word == "-o":
            output = next(words, None)
        elif word in TAKES_VALUE:
            next(words, None)
        elif word.startswith("-o") and len(word) > 2:
            output = word[2:]
        elif not word.startswith("-") and word.endswith(SOURCES):
            inputs.append(word)
    return inputs, output
