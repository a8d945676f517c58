#!/usr/bin/env python3
"""large.py --build DIR --predict PROGRAM --project DIR --results FILE: a project of thousands of units.

The project is what tests/corpora/prepare.sh made ready, and its compile_commands.json says the units. For each,

  * what PROGRAM (`predict` of a build directory) foretells must hold every file that the compiler's own -M names;
  * it is compiled plainly, through llamacc in the sandbox, and as a hit: files, messages and exit code must be equal.

On this first build no more than 5 of 1,000 units may be run twice or need a -M of the daemon's (scan_miss,
scan_fallback), and of these none when it is compiled once more.

That takes hours. So units are taken in an order of which every beginning is spread evenly over the project, FILE keeps
what was found, and the next run of the same programs goes on where this one ended."""

import argparse
import collections
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import project
from player import LOG_WAIT_S, Row
from run import Report
from service import PROGRAMS, Installation, Service
from tree import settle

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "scan"))
import against_truth                                    # noqa: E402

BATCH = 16
SHORT_LIMIT = 0.005


class Prepared(project.Project):
    """A project that is ready: batches of its units are compiled where it lies."""

    timeout_s = 1800

    def __init__(self, tree, installation, directory, jobs):
        self.tree, self.installation, self.directory, self.jobs = tree, installation, directory, jobs
        self.units = self.want = None
        self.written, self.begun_ns = set(), 0

    def photograph(self):
        """Of what was written since the batch began; the rest of the tree is large."""
        found = {}
        for directory, _, names in os.walk(self.tree):
            for name in names:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                if status.st_ctime_ns >= self.begun_ns:
                    found[path] = project.look_at(path, status)
        return found

    def play(self, units, service):
        """Compile them plainly, cold and as hits. Returns, by output, where each was decided and what is wrong with it;
        what is wrong beside; and how often the prediction fell short, and did so again."""
        self.units, self.written, self.begun_ns = units, set(), settle(self.directory)
        self.plain_pass()
        self.want = self.photograph()
        wrong = collections.defaultdict(list)
        cold, short = self.through(service, "cold", wrong)
        hit, _ = self.through(service, "hit", wrong)
        again = self.through(service, "again", wrong, LLAMACC_RECACHE="1")[1] if short else 0
        found = {}
        for unit in units:
            decided = cold.get(unit.output), hit.get(unit.output)
            if unit.want.code != 0:
                wrong[unit.output].append("the plain compiler fails")
            elif decided != ("sandbox", "hit"):
                wrong[unit.output].append(f"not in the sandbox, or no hit then: {decided[0]}, {decided[1]}")
            found[unit.output] = {"decision": decided[0], "wrong": wrong.pop(unit.output, [])}
        return found, [f"{path}: {line}" for path, lines in wrong.items() for line in lines], short, again

    def through(self, service, label, wrong, **variables):
        """A pass through llamacc: by output where it was decided, and how many predictions fell short."""
        before = short_predictions(service)
        self.compare(label, self.replay(service, **variables), wrong)
        decided, end = {}, time.monotonic() + LOG_WAIT_S
        while len(decided) < len(self.units) and time.monotonic() < end:
            for fields in service.fresh_requests():
                decided[fields["output"]] = f"{fields['decision']} {fields.get('reason', '')}".strip()
            time.sleep(0.02)
        return decided, short_predictions(service) - before


def short_predictions(service):
    stats = service.stats()
    return stats["scan_miss"] + stats["scan_fallback"]


def units_of(tree):
    """All of them, in the order of their numbers with the bits mirrored."""
    with open(os.path.join(tree, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    bits = len(entries).bit_length()
    order = sorted(range(len(entries)), key=lambda number: f"{number:0{bits}b}"[::-1])
    return [unit_of(entries[number]) for number in order]


def unit_of(entry):
    argv, cwd = shlex.split(entry["command"]), entry["directory"]
    _, output = project.inputs_and_output(argv)
    if not any(word.startswith(("-MD", "-MMD", "-Wp,-M")) for word in argv):
        argv += ["-MD", "-MT", output, "-MF", output + ".d"]        # as ninja adds them
    return project.Unit(argv, cwd, os.path.normpath(os.path.join(cwd, output)))


def compared_with_truth(predict, unit):
    truth = against_truth.Unit(predict, unit.argv, unit.cwd, 0)
    return {"true": len(truth.truth), "predicted": len(truth.predicted), "unresolved": truth.unresolved,
            "missing": [truth.problem] if truth.problem else truth.missing()}


def go_on(options, todo, directory):
    """Work on `todo` while there is time, and note every batch."""
    installation = Installation(os.path.realpath(options.build), directory)
    service = Service(installation, os.path.join(directory, "namespaces"), "namespaces")
    prepared = Prepared(os.path.realpath(options.project), installation, directory, options.jobs)
    predict = os.path.abspath(options.predict)
    end = time.monotonic() + options.minutes * 60
    service.start()
    try:
        with open(options.results, "a", encoding="utf-8") as results, ThreadPoolExecutor(options.jobs) as pool:
            for start in range(0, len(todo), BATCH):
                if time.monotonic() > end:
                    break
                numbers, units = zip(*todo[start:start + BATCH])
                truths = pool.map(lambda unit: compared_with_truth(predict, unit), units)
                found = {unit.output: truth for unit, truth in zip(units, truths)}
                compiled = [unit for number, unit in zip(numbers, units) if number < options.compile]
                note = {"units": found}
                if compiled:
                    decided, note["stray"], note["short"], note["again"] = prepared.play(compiled, service)
                    for output, decision in decided.items():
                        found[output].update(decision)
                print(json.dumps(note), file=results, flush=True)
    finally:
        error = service.stop()
        if error:
            print(error)


def notes_of(path, programs):
    """The batches that these programs have worked off; what is noted of others is thrown away."""
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    if not lines or lines[0] != programs:
        lines = [programs]
        with open(path, "w", encoding="utf-8") as file:
            print(json.dumps(programs), file=file)
    return lines[1:]


def digests(*paths):
    return {os.path.basename(path): project.look_at(path, os.stat(path))[1].hex() for path in paths}


def rows(tree, n_all, notes):
    """A row per unit, and one per sum."""
    name = os.path.basename(tree)
    units = {output: found for note in notes for output, found in note["units"].items()}
    for output, found in units.items():
        lines = [f"not predicted: {path}" for path in found["missing"]] + found.get("wrong", [])
        yield Row(os.path.relpath(output, tree), "", name, "failed" if lines else "passed", lines)
    stray = [line for note in notes for line in note.get("stray", [])]
    yield Row("no other file changes", "", name, "failed" if stray else "passed", stray)
    decisions = collections.Counter(found["decision"] for found in units.values() if "decision" in found)
    short, again = (sum(note.get(key, 0) for note in notes) for key in ("short", "again"))
    compiled = decisions.total()
    yield Row("predictions suffice", "", name, "failed" if short > compiled * SHORT_LIMIT or again else "passed",
              [f"{short} of {compiled} units were run twice or asked -M, and {again} when compiled again"])
    true = sum(found["true"] for found in units.values())
    extra = [found["predicted"] / found["true"] for found in units.values() if found["true"]] or [0]
    missed, wrong = (sum(bool(found.get(key)) for found in units.values()) for key in ("missing", "wrong"))
    print(f"{name}: {len(units)} of {n_all} units; -M names {true} files, of {missed} units more than is predicted; "
          f"predicted are {statistics.median(extra):.2f} times as many (median; most {max(extra):.2f})")
    print(f"{name}: {compiled} units compiled: {dict(decisions)}; {wrong} wrong; scan_miss and scan_fallback {short}, "
          f"when compiled again {again}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR", required=True, help="directory with llama and llamacc")
    parser.add_argument("--predict", metavar="PROGRAM", required=True)
    parser.add_argument("--project", metavar="DIR", required=True, help="what prepare.sh printed")
    parser.add_argument("--results", metavar="FILE", required=True)
    parser.add_argument("--compile", type=int, metavar="N", default=sys.maxsize, help="compile only the first N units")
    parser.add_argument("--units", type=int, metavar="N", help="only the first N units")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="N", help="begin nothing after that")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--verbose", action="store_true", help="a line for every unit, and all details")
    options = parser.parse_args()
    tree = os.path.realpath(options.project)
    units = units_of(tree)
    programs = digests(options.predict, *(os.path.join(options.build, name) for name in PROGRAMS))
    done = {output for note in notes_of(options.results, programs) for output in note["units"]}
    todo = [(number, unit) for number, unit in enumerate(units[:options.units]) if unit.output not in done]
    directory = tempfile.mkdtemp(prefix="llama-large-")
    try:
        go_on(options, todo, directory)
    finally:
        shutil.rmtree(directory)
    report = Report(options.verbose)
    report.rows(rows(tree, len(units), notes_of(options.results, programs)))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
