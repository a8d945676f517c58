#!/usr/bin/env python3
"""A hit is never stale: a small tree is changed at random, and every object must equal a fresh local one.

    run.py --build DIR [--mode namespaces|inplace|all] [--steps N | --seconds S] [--seed SEED]

A step makes one to three changes (changes.py) and compiles all units through llamacc; exit code, messages, object and
dependency file must be what the plain compiler makes of the same command in the same directory. That one runs for units
in whose files and directories something is as it never was before (World.states), and for one other. A unit in the state
of the step before, whose result was in the cache then, must be a hit: nobody passes by missing everything. From time to
time a header changes while everything that includes it is compiled, or the daemon is started anew, by turns with a racy
rule of 60 ms, so that what it keeps is used at the pace of the steps, and with its own of 2 s.

The seed is printed; with --seed the changes are the same again, as far as they don't depend on time."""

import argparse
import collections
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "differential"))

from changes import CHANGES                             # noqa: E402
from count import Count                                 # noqa: E402
from service import Installation, PATH, Service         # noqa: E402
from tree import first_difference                       # noqa: E402
from world import World, content                        # noqa: E402

MODES = ("namespaces", "inplace")
RACY_MS = 60
UNDO_LIMIT = 4
REMEMBERED = 12                                         # changes told about when something fails
TIMEOUT_S = 120
LOG_WAIT_S = 20
TEMPORARY_NAME = re.compile(rb"cc\w{6}\.s")             # of gcc, in its assembler's messages
MUST_HIT = 0.4                                          # of all requests


class ChangingService(Service):
    """A daemon that can be started anew, with the other racy rule."""
    racy_ms = RACY_MS

    def environment(self):
        own = {"LLAMA_DEV_RACY_MS": str(self.racy_ms)} if self.racy_ms else {}
        return {**super().environment(), **own}

    def again(self):
        error = self.stop()
        if error:
            raise RuntimeError(error)
        self.racy_ms = None if self.racy_ms else RACY_MS
        self.run()


@dataclass(frozen=True)
class Result:
    """Everything that a compilation left."""
    code: int
    stdout: bytes
    stderr: bytes
    files: tuple

    def differences(self, got, unit):
        if self.code != got.code:
            return [f"exit code {got.code}, not {self.code}: {got.stderr[-300:]!r}, {self.stderr[-300:]!r}"]
        pairs = [("stdout", self.stdout, got.stdout), ("stderr", self.stderr, got.stderr),
                 *zip(unit.outputs, self.files, got.files)]
        return [f"{name} differs: {first_difference(want, have)}" for name, want, have in pairs if want != have]


class Failure(Exception):
    """Lines on what was wrong in a step."""


class Run:
    """One mode: a tree, a daemon, and what the plain compiler is known to make of the units."""

    def __init__(self, installation, directory, mode, seed, verbose):
        self.installation, self.directory, self.verbose = installation, directory, verbose
        self.rng = random.Random(f"{seed}/{mode}")
        self.service = ChangingService(installation, os.path.join(directory, "service"), mode)
        self.world = World(os.path.join(directory, "tree"), os.path.join(directory, "prefix"), self.rng)
        self.temporary = os.path.join(directory, "tmp")
        os.makedirs(self.temporary)
        self.known = {}                                 # (unit name, state) → Result of the plain compiler
        self.states = {}                                # of the units when they were last compiled, by name
        self.kept = set()                               # names of units whose result must be in the cache
        self.decisions, self.kinds = collections.Counter(), collections.Counter()
        self.told = collections.deque(maxlen=REMEMBERED)

    def environment(self, unit, through_llama):
        path = f"{self.world.path('tools')}:{PATH}"
        environment = {"PATH": path, "HOME": self.temporary, "TMPDIR": self.temporary, "LANG": "C.UTF-8",
                       "PWD": self.world.root, **unit.environment}
        if through_llama:
            environment.update(self.service.environment(), PATH=f"{self.installation.masquerade}:{path}")
        return environment

    def begin(self, unit, through_llama):
        """Start the unit's command. The working directory of all is the tree's, ours too."""
        environment = self.environment(unit, through_llama)
        where = self.installation.masquerade if through_llama else self.world.path("tools")
        messages = [(os.POSIX_SPAWN_OPEN, fd, os.path.join(self.temporary, f"{unit.name}.{fd}"),
                     os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644) for fd in (1, 2)]
        return os.posix_spawn(os.path.join(where, unit.argv[0]), unit.argv, environment,
                              file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), *messages])

    def end(self, unit, pid):
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        messages = [os.path.join(self.temporary, f"{unit.name}.{fd}") for fd in (1, 2)]
        stdout, stderr, *files = map(content, [*messages, *map(self.world.path, unit.outputs)])
        return Result(code, stdout, TEMPORARY_NAME.sub(b"", stderr), tuple(files))

    def compile(self, units, through_llama, meanwhile=None):
        """The units' results by name; their old outputs are removed. `meanwhile` is called once all are started."""
        for unit in units:
            for path in unit.outputs:
                if os.path.lexists(self.world.path(path)):
                    os.unlink(self.world.path(path))
        signal.alarm(TIMEOUT_S)
        started = [(unit, self.begin(unit, through_llama)) for unit in units]
        if meanwhile:
            meanwhile()
        results = {unit.name: self.end(unit, pid) for unit, pid in started}
        signal.alarm(0)
        return results

    def decided(self, units):
        """The log's fields on the request of each unit just compiled through llamacc, by unit name."""
        requests, end = [], time.monotonic() + LOG_WAIT_S
        while len(requests) < len(units) and time.monotonic() < end:
            requests += self.service.fresh_requests()
            if len(requests) < len(units):
                time.sleep(0.0005)
        by_output = {fields["output"]: fields for fields in requests}
        unnamed = by_output.get("", {})                 # of a command whose source is gone, or can't be read
        if len(requests) != len(units) or len(by_output) != len(units) and not unnamed:
            raise Failure([f"of {len(units)} units these were logged: {[fields['output'] for fields in requests]}"])
        return {unit.name: by_output.get(self.world.path(unit.outputs[0]), unnamed) for unit in units}

    def tell(self, text):
        self.told.append(text)
        if self.verbose:
            print(f"    {text}", flush=True)

    def change(self):
        """One change to the tree, or one taken back."""
        undo = self.world.undo
        if len(undo) > UNDO_LIMIT or undo and self.rng.random() < 0.35:
            text, function = undo.pop(self.rng.randrange(len(undo)))
            function()
            self.kinds["undo"] += 1
            self.tell(text)
            return
        while True:
            (_, function), = self.rng.choices(CHANGES, [weight for weight, _ in CHANGES])
            done = function(self.world)
            if done:
                self.kinds[function.__name__] += 1
                self.tell(done)
                return

    def step(self, number):
        self.tell(f"--- step {number}")
        chance = self.rng.random()
        if chance < 0.008:
            self.service.again()
            self.tell(f"the daemon is started anew, racy rule: {self.service.racy_ms or 2000} ms")
        elif chance < 0.02:
            time.sleep(2.1)
            self.tell("a pause of 2.1 s")
        elif chance < 0.05:
            self.race()
        if self.rng.random() < 0.95:
            for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
                self.change()
        self.check()

    def plain(self, units):
        """What the plain compiler makes of the units as things are, by name. It runs for those whose state is new, and
        for one other: what is remembered must hold."""
        states = self.world.states()
        known = [unit for unit in units if (unit.name, states[unit.name]) in self.known]
        again = self.rng.sample(known, min(1, len(known)))
        fresh = self.compile([unit for unit in units if unit not in known or unit in again], False)
        for name, result in fresh.items():
            if self.known.setdefault((name, states[name]), result) != result:
                raise Failure([f"{name}: the test is wrong, two plain compilations of one state differ"])
        return {unit.name: self.known[(unit.name, states[unit.name])] for unit in units}

    def check(self):
        """Compile everything, and hold it against the plain compiler."""
        units, states = self.world.units, self.world.states()
        got = self.compile(units, True)
        decided = self.decided(units)
        want = self.plain(units)
        lines = []
        for unit in units:
            name, fields, unchanged = unit.name, decided[unit.name], self.states.get(unit.name) == states[unit.name]
            decision = fields.get("decision")
            self.decisions[f"local {fields.get('reason')}" if decision == "local" else decision] += 1
            said = f"{name}, {decision} {fields.get('reason') or fields.get('miss', '')}".strip()
            if self.verbose and decision != "hit":
                self.tell(f"    {said}")
            lines += [f"{said}: {line}" for line in want[name].differences(got[name], unit)]
            if unchanged and name in self.kept and decision != "hit":
                lines.append(f"{said}: nothing that concerns it has changed, it should be a hit")
            # What ran in place just after a change is not kept: the change might have been made while it ran.
            (self.kept.add if decision in ("hit", "sandbox") else self.kept.discard)(name)
        self.states = states
        if lines:
            raise Failure(lines)

    def race(self):
        """Change a header while everything that includes it is compiled: each result is of before or of after."""
        path = "gen/config.h"
        if not os.path.isfile(self.world.path(path)):
            return
        self.world.write(path, self.world.header(path))
        units = [unit for unit in self.world.units if "config.h" in unit.reach]
        before, text, delay = self.plain(units), self.world.header(path), self.rng.random() * 0.06

        def meanwhile():
            time.sleep(delay)
            fresh = self.world.new_stash()
            with open(fresh, "w", encoding="utf-8") as out:
                out.write(text)
            os.rename(fresh, self.world.path(path))
        self.tell(f"{path} was changed, and again {delay * 1000:.0f} ms after its users were started")
        got = self.compile(units, True, meanwhile)
        self.decided(units)
        after = self.plain(units)
        self.kinds["race"] += 1
        lines = [f"{unit.name}, compiled while {path} changed: {line}" for unit in units
                 if before[unit.name].differences(got[unit.name], unit)
                 for line in after[unit.name].differences(got[unit.name], unit)]
        if lines:
            raise Failure(lines)

    def play(self, steps, seconds, count):
        os.chdir(self.world.root)
        begin = time.monotonic()
        number = 0
        self.service.start()
        try:
            self.check()
            while number < steps if steps else time.monotonic() < begin + seconds:
                number += 1
                self.step(number)
                count.row(f"{self.service.mode}/step {number}", [])
        except (Failure, OSError, RuntimeError) as error:
            lines = error.args[0] if isinstance(error, Failure) else [repr(error)]
            count.row(f"{self.service.mode}/step {number}", [*lines, "the last changes were:", *self.told])
        finally:
            os.chdir("/")
            error = self.service.stop()
            count.row(f"{self.service.mode}/the daemon stops", [error] if error else [])
        requests, hits = sum(self.decisions.values()), self.decisions["hit"]
        count.row(f"{self.service.mode}/hits",
                  [] if hits >= MUST_HIT * requests else [f"of {requests} requests only {hits} were hits"])
        print(f"{self.service.mode}: {number} steps in {time.monotonic() - begin:.0f} s; {told(self.decisions)}")
        print(f"    changes: {told(self.kinds)}")


def told(counter):
    return ", ".join(f"{number} {name}" for name, number in counter.most_common())


def out_of_time(number, frame):
    raise Failure([f"no end after {TIMEOUT_S} s"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR", default="build", help="directory with the built programs")
    parser.add_argument("--mode", choices=(*MODES, "all"), default="all")
    parser.add_argument("--steps", type=int, metavar="N", help="so many in each mode, however long they take")
    parser.add_argument("--seconds", type=float, default=40, metavar="S", help="in each mode, without --steps")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--verbose", action="store_true", help="every change, and where it was compiled")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGALRM, out_of_time)
    os.umask(0o022)
    directory = tempfile.mkdtemp(prefix="llama-change-")
    count = Count()
    try:
        installation = Installation(options.build, directory)
        for mode in MODES if options.mode == "all" else (options.mode,):
            run = Run(installation, os.path.join(directory, mode), mode, options.seed, options.verbose)
            run.play(options.steps, options.seconds, count)
    finally:
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory)
    return count.finish()


if __name__ == "__main__":
    sys.exit(main())
