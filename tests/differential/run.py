#!/usr/bin/env python3
"""The differential runner: what llamacc does must equal what the plain compiler does, to the byte.

    run.py --build DIR                              the table, for gcc and clang, in both modes of the sandbox
    run.py --build DIR --mode lambda                … in functions of the test cloud (see --cloud)
    run.py --build DIR --project redis --tree DIR   every compilation of a real project

Each case gets a tree of its own. The plain compiler runs twice in it, then llamacc cold and once more as a hit; exit
code, stdout, stderr and every file (bytes, mode, owner, links, that it is fresh) must be equal, and each request must
have been decided where the case expects it. See model.py for how a case is written, cases/ for the table."""

import argparse
import fnmatch
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import cases                                            # noqa: E402  (fills model.CASES)
import cloud                                            # noqa: E402
import model                                            # noqa: E402
import preconditions                                    # noqa: E402
from player import Player, Row                          # noqa: E402
from project import Project                             # noqa: E402
from service import FINAL_DECISIONS, Installation, NOBODY, Service      # noqa: E402

SANDBOX_MODES = ("namespaces", "inplace")
MODES = (*SANDBOX_MODES, "lambda")
DETAIL_LINES = 6


def main():
    options = parse_arguments()
    selected = [case for case in model.CASES if wanted(case.name, options.only)]
    if options.sample and not options.project and options.sample < len(selected):
        selected = [selected[i * len(selected) // options.sample] for i in range(options.sample)]
    if options.list:
        for case in selected:
            print(case.name, "" if len(case.only) == 2 else f"({case.only[0]} only)")
        for compiler in ("gcc", "clang"):
            print(f"{compiler}: {sum(compiler in case.only for case in selected)} cases")
        return 0
    if not selected:
        print(f"no case matches {' '.join(options.only)}")
        return 1
    directory = tempfile.mkdtemp(prefix="llama-differential-", dir=options.workdir)
    os.chmod(directory, 0o755)
    report = Report(options.verbose)
    try:
        with_services(options, directory, selected, report)
    finally:
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory)
    return report.finish()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR", default="build", help="directory with llama and llamacc")
    parser.add_argument("--compiler", choices=("gcc", "clang", "all"), default="all")
    parser.add_argument("--mode", choices=(*MODES, "sandbox", "all"), default="sandbox",
                        help="sandbox: the first two")
    parser.add_argument("--cloud", metavar="PROGRAM", help="the test cloud's, for --mode lambda; else that of --build")
    parser.add_argument("--only", metavar="PATTERN", action="append", default=[],
                        help="cases whose name contains PATTERN or matches it; =NAME for that one alone")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    parser.add_argument("--verbose", action="store_true", help="a line for every row, and all details")
    parser.add_argument("--workdir", metavar="DIR", help="where to make the working directory")
    parser.add_argument("--project", metavar="NAME", help="replay the compilations of a project: lua, zstd, …")
    parser.add_argument("--tree", metavar="DIR", help="its unpacked source, for --project")
    parser.add_argument("--sample", type=int, metavar="N",
                        help="only N of the cases, or of the project's compilations, evenly spread")
    options = parser.parse_args()
    if (options.project is None) != (options.tree is None):
        parser.error("--project and --tree go together")
    options.modes = {"all": MODES, "sandbox": SANDBOX_MODES}.get(options.mode, (options.mode,))
    options.cloud = options.cloud or os.path.join(options.build, "tests/cloud/llama-cloud")
    options.compilers = ("gcc", "clang") if options.compiler == "all" else (options.compiler,)
    return options


def wanted(name, patterns):
    return not patterns or any(pattern == "=" + name or fnmatch.fnmatchcase(name, pattern) or pattern in name
                               for pattern in patterns)


def with_services(options, directory, selected, report):
    """Start the daemons, play everything, stop them."""
    installation = Installation(options.build, directory)
    users = [False] if options.project else [False, *([True] if any(case.user for case in selected) else [])]
    services = {}
    functions = None
    try:
        if "lambda" in options.modes:
            functions = cloud.Cloud(options.cloud, os.path.join(directory, "cloud"))
            functions.start(installation.llama)
        for mode in options.modes:
            remote = {"settings": cloud.SETTINGS, "variables": functions.variables} if mode == "lambda" else {}
            for other in users:
                user = NOBODY if other and os.getuid() == 0 else None
                if other and user is None:      # already unprivileged: the same daemon
                    services[(mode, True)] = services[(mode, False)]
                    continue
                service = Service(installation, os.path.join(directory, f"{mode}{'-nobody' if other else ''}"), mode,
                                  user, aslr=not preconditions.can_fix_addresses(), **remote)
                services[(mode, other)] = service
                service.start()
        if options.project:
            for compiler in options.compilers:
                project = Project(options.project, options.tree, compiler, installation, directory, options.jobs,
                                  options.sample)
                for mode in options.modes:
                    report.rows(project.rows(services[(mode, False)]))
        else:
            play_table(options, Player(installation, services, directory), selected, report)
            report.rows(totals(service) for service in services_once(services))
    finally:
        for service in services_once(services):
            error = service.stop()
            if error:
                report.rows([Row("daemon stops", "", service.mode, "failed", [error])])
        error = functions.stop() if functions else None
        if error:
            report.rows([Row("the cloud stops", "", "lambda", "failed", [error])])


def play_table(options, player, selected, report):
    work = [(case, compiler) for case in selected for compiler in options.compilers if compiler in case.only]
    for compiler in options.compilers:
        if not preconditions.version(compiler):
            report.rows(Row(case.name, compiler, mode, "skipped", [f"{compiler} isn't installed"])
                        for case, which in work if which == compiler for mode in options.modes)
            work = [item for item in work if item[1] != compiler]
    with ThreadPoolExecutor(options.jobs) as pool:
        for rows in pool.map(lambda item: list(player.play(*item, options.modes)), work):
            report.rows(rows)


def services_once(services):
    return list({id(service): service for service in services.values()}.values())


def totals(service):
    """The daemon's statistics must agree with what it logged."""
    decided = [decision for _, decision, _ in service.decisions()]
    stats = service.stats()
    details = []
    for name in FINAL_DECISIONS:
        counted = {"hit": stats["hits"]["local"], "local": stats["local"]["total"]}.get(name, stats["executed"].get(name, 0))
        if counted != decided.count(name):
            details.append(f"llama stats counts {counted} for {name}, the log has {decided.count(name)}")
    if sum(stats["local"]["reasons"].values()) != stats["local"]["total"]:
        details.append(f"local.reasons doesn't add up to local.total: {stats['local']}")
    who = " (unprivileged)" if service.user is not None else ""
    return Row(f"statistics agree with the log{who}", "", service.mode, "failed" if details else "passed", details)


class Report:
    def __init__(self, verbose):
        self.verbose = verbose
        self.count = {"passed": 0, "failed": 0, "skipped": 0}

    def rows(self, rows):
        for row in rows:
            self.count[row.status] += 1
            label = "/".join(part for part in (row.compiler, row.mode, row.name) if part)
            if row.status == "skipped":
                print(f"skipped  {label}: {row.details[0]}")
            elif row.status == "failed":
                print(f"FAILED   {label}" + (f" ({row.note})" if row.note else ""))
                for line in row.details if self.verbose else row.details[:DETAIL_LINES]:
                    print(f"             {line}")
                if not self.verbose and len(row.details) > DETAIL_LINES:
                    print(f"             … and {len(row.details) - DETAIL_LINES} more (--verbose)")
            elif self.verbose or row.note:
                print(f"passed   {label}" + (f" ({row.note})" if row.note else ""))
        sys.stdout.flush()

    def finish(self):
        line = f"{self.count['passed']} passed, {self.count['failed']} failed"
        print(line + (f", {self.count['skipped']} skipped" if self.count["skipped"] else ""))
        return 1 if self.count["failed"] or not self.count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
