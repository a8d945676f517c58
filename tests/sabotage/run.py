#!/usr/bin/env python3
"""Wrong predictions cost time and nothing else: Redis compiled while predicted inputs are left out at random.

    run.py --build DIR [--corpora DIR] [--all]

The daemon's test option dev_sabotage drops so many per mille of each job's predicted entries (headers, directories,
symlinks, files of the toolchain). For each of the rates a fresh daemon compiles the units, then delivers them again
from its cache; exit codes, messages and every file, dependency files included, must equal what plain compilations in
the same directory left. A rate at which no prediction was found wrong proves nothing and fails, as does a run in which
nothing came from the sandbox (at the highest rate hardly a job survives). Without --all a sample of the units is
compiled."""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "differential"))

import preconditions                                    # noqa: E402
from count import Count                                 # noqa: E402
from project import Project                             # noqa: E402
from service import Installation, Service               # noqa: E402

RATES = (2, 10, 50)                                     # per mille
SAMPLE = 40


class SabotagedService(Service):
    def __init__(self, installation, directory, rate):
        super().__init__(installation, directory, "namespaces", aslr=not preconditions.can_fix_addresses())
        self.rate = rate

    def environment(self):
        return {**super().environment(), "LLAMA_DEV_SABOTAGE": str(self.rate)}


def play(project, service, count):
    """All units twice; what is wrong is told by unit. The number of results that came from the sandbox."""
    details = collections.defaultdict(list)
    for label in ("executed", "again"):
        project.compare(label, project.replay(service), details)
    for unit in project.units:
        count.row(f"{service.rate}/{os.path.relpath(unit.output, project.tree)}", details.pop(unit.output, []))
    count.row(f"{service.rate}/the whole tree", [f"{path}: {line}" for path, found in details.items() for line in found])
    stats = service.stats()
    executed, local, hits = stats["executed"]["sandbox"], stats["local"]["reasons"], stats["hits"]["local"]
    print(f"{service.rate} per mille: {len(project.units)} units, twice: {executed} results from the sandbox, {hits} hits, "
          f"{stats['scan_miss']} jobs repeated for a missing file, local: {local or 0}")
    count.row(f"{service.rate}/predictions were wrong", [] if stats["scan_miss"] else [f"none was: {stats}"])
    return executed


def run(options, directory, count):
    fetched = subprocess.run([os.path.join(TESTS, "corpora", "fetch.sh"), "redis", options.corpora], check=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout.strip()
    installation = Installation(options.build, directory)
    project = Project("redis", fetched, "gcc", installation, directory, options.jobs, None if options.all else SAMPLE)
    broken = project.prepare()
    if broken:
        count.row("preparation", [broken])
        return
    executed = 0
    for rate in RATES:
        service = SabotagedService(installation, os.path.join(directory, f"rate-{rate}"), rate)
        try:
            service.start()
            executed += play(project, service, count)
        finally:
            error = service.stop()
            count.row(f"{rate}/the daemon stops", [error] if error else [])
    count.row("the sandbox was used", [] if executed else ["nothing was executed in it"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR", default="build", help="directory with the built programs")
    parser.add_argument("--corpora", metavar="DIR", default="build-corpora", help="where fetched sources are kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--all", action="store_true", help=f"every unit, not only {SAMPLE} of them")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="llama-sabotage-")
    count = Count()
    try:
        run(options, directory, count)
    finally:
        shutil.rmtree(directory)
    return count.finish()


if __name__ == "__main__":
    sys.exit(main())
