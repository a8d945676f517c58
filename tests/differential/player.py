"""Plays a case: twice plainly, then cold and as a hit through llamacc in each mode, always at the same place."""

import os
import re
import shlex
import shutil
import time
from dataclasses import dataclass, field

import command
import preconditions
import tree
from model import CASES, expectation, expectation_met
from service import NOBODY, PATH

LOG_WAIT_S = 5
SILENCE_S = 0.25

REAL_NAMES = {"gcc": {"CC": "gcc", "CXX": "g++"}, "clang": {"CC": "clang", "CXX": "clang++"}}


@dataclass
class Shot:
    """What one step did: the outcome of its command, the tree after it, and where its requests were decided."""
    outcome: command.Outcome
    photo: tree.Photo
    rewritten: set
    decisions: list = field(default_factory=list)


@dataclass
class Row:
    """The verdict on one case with one compiler in one mode."""
    name: str
    compiler: str
    mode: str
    status: str         # 'passed', 'failed', 'skipped'
    details: list
    note: str = ""


class Player:
    def __init__(self, installation, services, directory):
        """`services` maps (mode, user) to a running Service."""
        self.installation, self.services, self.directory = installation, services, directory

    def play(self, case, compiler, modes):
        """Yields a Row for each mode."""
        for need in case.needs:
            reason = preconditions.missing(need, compiler)
            if reason:
                yield from (Row(case.name, compiler, mode, "skipped", [reason]) for mode in modes)
                return
        user = NOBODY if case.user and os.getuid() == 0 else None
        yield from _Stage(self, case, compiler, user).rows(modes)


class _Stage:
    """The directory of one case, with what is needed to play its steps there."""

    def __init__(self, player, case, compiler, user):
        self.player, self.case, self.compiler, self.user = player, case, compiler, user
        base = os.path.join(player.directory, compiler, f"{CASES.index(case)}-{re.sub('[^A-Za-z0-9]+', '-', case.name)}")
        self.root, self.temporary = os.path.join(base, "tree"), os.path.join(base, "tmp")
        self.base = base
        self.seeded = False
        tree.create(self.root, case.files, case.setup, user)
        tree.create(self.temporary, {}, None, user)
        self.pristine = tree.photograph(self.root, self.temporary)

    def rows(self, modes):
        plain, note = self.plain()
        for mode in modes:
            name = self.case.name
            if plain is None:
                yield Row(name, self.compiler, mode, "skipped" if note.startswith("setarch") else "failed", [note])
                continue
            service = self.player.services[(mode, self.case.user)]
            details = []
            try:
                cold = self.pass_through(service, details, plain, None)
                self.pass_through(service, details, plain, cold)
            except (OSError, TimeoutError) as error:
                details.append(str(error))
            yield Row(name, self.compiler, mode, "failed" if details else "passed", details, note)

    def plain(self):
        """The plain compiler's shots, and a note on how they were made reproducible. None if they can't be."""
        tree.settle(self.base)
        loose = f"the bytes of {', '.join(self.case.loose)} aren't compared" if self.case.loose else ""
        if self.compiler not in self.case.unstable:
            first, second = self.perform(None), self.perform(None)
            if not compare_passes(first, second):
                return second, loose
        if not preconditions.can_fix_addresses():
            return None, "setarch -R isn't permitted here, and the plain compiler differs from itself"
        self.seeded = True
        first, second = self.perform(None), self.perform(None)
        different = compare_passes(first, second)
        if different:
            return None, "the plain compiler differs from itself even so: " + "; ".join(different)
        seed = "-frandom-seed and setarch -R" if self.compiler == "gcc" else "setarch -R"
        note = f"compared under {seed}: the plain compiler differs from itself"
        return second, f"{note}; {loose}" if loose else note

    def pass_through(self, service, details, plain, cold):
        label = f"{service.mode}, {'hit' if cold else 'cold'}"
        shots = self.perform(service)
        steps = [step for step in self.case.steps if not step.change]
        for number, (step, want, got) in enumerate(zip(steps, plain, shots)):
            where = f"{label}, step {number + 1}" if len(steps) > 1 else label
            details += [f"{where}: {line}" for line in compare_shots(want, got)]
            before = cold[number].decisions if cold else None
            details += [f"{where}: {line}" for line in self.judge(step, service.mode, got.decisions, before)]
        return shots

    def judge(self, step, mode, decisions, before):
        """Lines on where the requests of a step were decided otherwise than expected."""
        wanted = expectation(step.expect, self.compiler, mode)
        if len(decisions) > len(wanted):
            return [f"{len(decisions)} requests, expected {len(wanted)}: {decisions}"]
        lines = []
        for index, expect in enumerate(wanted):
            decision, reason = decisions[index] if index < len(decisions) else (None, "")
            earlier = before[index][0] if before and index < len(before) else None
            if not expectation_met(expect, mode, before is None, decision, reason, earlier):
                found = f"{decision} {reason}".strip() if decision else "no request was logged"
                lines.append(f"expected {expect}, was: {found}")
        return lines

    def perform(self, service):
        """Play all steps from the pristine tree; `service` is None for the plain compiler."""
        if tree.restore(self.pristine, self.root, self.temporary):
            tree.settle(self.base)
        shots = []
        before = self.pristine
        for step in self.case.steps:
            if step.change:
                tree.settle(self.base)
                step.change(self.root)
                tree.settle(self.base)
                before = tree.photograph(self.root, self.temporary)
                continue
            logged = len(service.decisions_below(self.root)) if service else 0
            start_ns = tree.stamp_ns(self.base)
            outcome = self.execute(step, service)
            photo = tree.photograph(self.root, self.temporary)
            photo.blur(self.case.loose)
            rewritten = {name for name, mtime in photo.mtimes.items() if before.mtimes.get(name) != mtime}
            shot = Shot(outcome, photo, rewritten)
            if service:
                shot.decisions = self.new_decisions(service, step, logged)
                shot.rewritten = {name for name in rewritten if photo.mtimes[name] >= start_ns}
            shots.append(shot)
            before = photo
        return shots

    def new_decisions(self, service, step, logged):
        """The decisions logged since, waiting for as many as the step is expected to make."""
        wanted = expectation(step.expect, self.compiler, service.mode)
        loud = sum("silent" not in expect.split("|") for expect in wanted)
        start = time.monotonic()
        while True:
            found = service.decisions_below(self.root)[logged:]
            waited = time.monotonic() - start
            if len(found) >= len(wanted) or waited > LOG_WAIT_S or (len(found) >= loud and waited > SILENCE_S):
                return found
            time.sleep(0.005)

    def execute(self, step, service):
        names, installation = REAL_NAMES[self.compiler], self.player.installation
        environment = {
            "PATH": PATH, "HOME": self.temporary, "TMPDIR": self.temporary, "LANG": "C.UTF-8", "TERM": "xterm-256color",
            "PWD": os.path.normpath(os.path.join(self.root, step.cwd)),
        }
        path = [self.place(directory) for directory in step.path]
        fixed = [f"-frandom-seed={self.case.name}"] if self.seeded and self.compiler == "gcc" else []
        if service:
            environment.update(service.environment())
            if step.via in ("masquerade", "both"):
                path.insert(0, installation.masquerade)
            elif step.via == "cc":
                environment["LLAMACC_LOCAL_CC"], environment["LLAMACC_LOCAL_CXX"] = names["CC"], names["CXX"]
        if path:
            environment["PATH"] = ":".join([*path, PATH])
        start = {key: [*self.invocation(key, step, service), *fixed] for key in names}
        for key, value in step.env.items():
            if value is None:
                environment.pop(key, None)
            elif service or not key.startswith(("LLAMA_", "LLAMACC_")):
                environment[key] = self.place(value)
        if step.sh:
            environment.update({key: " ".join(map(shlex.quote, words)) for key, words in start.items()})
            argv = ["bash", "-c", self.place(step.sh)]
        else:
            argv = [self.place(word) for word in step.argv]
            argv = [*start.get(argv[0], argv[:1]), *argv[1:]]
        if self.seeded:
            argv = ["setarch", "-R", *argv]
        fifo = os.path.join(self.root, step.fifo) if step.fifo else None
        return command.execute(argv, cwd=os.path.join(self.root, step.cwd), env=environment, stdin=step.stdin,
                               pty=step.pty, fifo=fifo, umask=step.umask, user=self.user)

    def invocation(self, key, step, service):
        """The words that stand for the compiler."""
        name, via, installation = REAL_NAMES[self.compiler][key], step.via, self.player.installation
        if step.compiler:
            name = self.place(step.compiler)
        elif via in ("launcher", "both"):
            name = shutil.which(name, path=PATH)
        if not service or via == "masquerade":
            return [name]
        if via == "cc":
            return [installation.llamacc if key == "CC" else installation.llamacc[:-2] + "c++"]
        return [installation.llamacc, name]

    def place(self, text):
        return text.replace("@ROOT@", self.root).replace("@BIN@", self.player.installation.bin)


def compare_passes(first, second):
    return [line for one, other in zip(first, second) for line in compare_shots(one, other)]


def compare_shots(want, got):
    """Lines that say how what a step did differs from what the plain compiler did."""
    lines = []
    if want.outcome.code != got.outcome.code:
        lines.append(f"exit code {got.outcome.code}, not {want.outcome.code}: {got.outcome.stderr[-400:]!r}")
    for stream in ("stdout", "stderr", "fifo"):
        a, b = getattr(want.outcome, stream), getattr(got.outcome, stream)
        if a != b:
            lines.append(f"{stream} differs: {tree.first_difference(a, b)}")
    lines += tree.differences(want.photo.entries, got.photo.entries)
    lines += [f"{name}: its time isn't that of this run" for name in sorted(want.rewritten - got.rewritten)
              if name in got.photo.entries]
    lines += [f"{name}: was rewritten, the compiler leaves it alone" for name in sorted(got.rewritten - want.rewritten)
              if name in want.photo.mtimes]
    return lines
