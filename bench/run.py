#!/usr/bin/env python3
"""run.py --build DIR --corpora DIR [--full]: the table of measurements.

Each row: what was measured, the peers at the same work in the same run, ours, the goal, and whether it is reached. The
figures are medians; they move with the machine, the ratios are what counts. Nothing here fails because it is slow: a
figure that is not reached is printed as such.

Projects that are not below the corpora's directory (Redis, LLVM, Linux; see tests/corpora) are left out and named.
"Replay" rows run no compiler: results recorded from the sandbox before answer after a fixed time (dev_replay), so that
what is measured is all that a remote compilation costs here."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import cloud                                            # noqa: E402
import measure                                          # noqa: E402
import peers                                            # noqa: E402
import units                                            # noqa: E402
from measure import Failure                             # noqa: E402

HIT_GOALS = {"LLVM": 1.0, "Redis": 0.6, "Linux": 1.2}   # ms
TREE_UNITS, TREE_WIDTH, TREE_LATENCY_MS = 2600, 1000, 1500
FUNCTIONS = 400


class Service:
    """A daemon of our own, with a directory of our own, whose costs can be read."""

    def __init__(self, build, directory, **settings):
        self.llama = os.path.join(build, "llama")
        self.llamacc = os.path.join(build, "llamacc")
        self.environment = {
            "LLAMA_RUNTIME_DIR": os.path.join(directory, "run"), "LLAMA_CACHE_DIR": os.path.join(directory, "cache"),
            "LLAMA_CONFIG": os.path.join(directory, "none.ini"),
            **{name if name.startswith(("AWS_", "LLAMA_")) else f"LLAMA_{name.upper()}": str(value) for name, value in settings.items()}}
        self.again = {**self.environment, "LLAMACC_RECACHE": "1"}       # compile although the result is known
        self.process = None
        os.makedirs(directory, exist_ok=True)

    def __enter__(self):
        self.process = subprocess.Popen([self.llama, "daemon", "--foreground"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **self.environment})
        for _ in range(100):
            if self.process.poll() is not None:
                raise Failure(f"the daemon ended: {self.process.stderr.read().decode(errors='replace').strip()[-200:]}")
            if self.call("daemon", "--status").returncode == 0:
                return self
            time.sleep(0.1)
        self.process.kill()
        self.process.wait()
        raise Failure("the daemon does not answer")

    def __exit__(self, *_):
        self.call("daemon", "--stop")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()

    @property
    def pid(self):
        return self.process.pid

    def call(self, *arguments):
        return subprocess.run([self.llama, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, **self.environment}, timeout=60)

    def stats(self):
        done = self.call("stats", "--json")
        if done.returncode:
            raise Failure(f"llama stats: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def expect(self, before, *keys, n):
        """Exactly `n` more requests than `before` ended under the dotted key, or the measurement says something else."""
        after, was = self.stats(), before
        for key in keys:
            after, was = after[key], was[key]
        if after - was != n:
            raise Failure(f"{n - after + was} of {n} requests went another way: {self.stats()['local']['reasons']}")

    def cpu_ms(self):
        """Of the daemon, and of what it had others do; nothing may be under way."""
        return measure.own_cpu_ms(self.pid), measure.children_cpu_ms(self.pid)

    def wrap(self, command):
        return [self.llamacc, *command]


class Table:
    """Rows are printed as they are measured."""

    WIDTHS = (52, 46, 20, 14)

    def __init__(self):
        self.line("what", "peers, same work, same run", "ours", "goal", "")
        print("-" * (sum(self.WIDTHS) + 20))

    def line(self, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, (*self.WIDTHS, 0))).rstrip(), flush=True)

    def row(self, what, others, value, goal, unit="ms", ratio=None):
        """One figure of ours against its goal; `value` None means that nothing could be measured yet. `ratio`: how many times
        less than a peer it is to be, that peer's figure, and its name."""
        if value is None:
            self.line(what, others, "-", goal if isinstance(goal, str) else f"{goal} {unit}", "not there yet")
            return
        verdict = "reached" if value <= goal else f"not reached: {value / goal:.1f} times the goal"
        if ratio and ratio[1]:
            verdict += f"; {ratio[1] / value:.1f} times less than {ratio[2]}" + \
                ("" if ratio[1] / value >= ratio[0] else f", should be {ratio[0]}")
        self.line(what, others, f"{value:.2f} {unit}", f"{goal} {unit}", verdict)

    def failed(self, what, why):
        self.line(what, "", f"could not be measured: {why}")


class Bench:
    """What all steps need. `projects` by name."""

    def __init__(self, options, directory):
        self.full, self.tree_units, self.directory = options.full, options.units, directory
        self.build = os.path.realpath(options.build)
        self.corpora = os.path.realpath(options.corpora)
        self.meter, self.swarm = self.tool("meter"), self.tool("swarm")
        self.output = os.path.join(directory, "out")
        os.makedirs(self.output, exist_ok=True)
        self.table = Table()
        self.projects, self.recorded = {}, {}
        for name, make in (("Redis", lambda: units.redis(self.corpora, self.output)),
                           ("LLVM", lambda: self.commands("LLVM", "llvm", "lib/IR/Value.cpp")),
                           ("Linux", lambda: self.commands("Linux", "linux", "kernel/fork.c"))):
            try:
                self.projects[name] = make()
            except (OSError, StopIteration) as error:
                self.table.line(f"{name} is left out", str(error))

    def commands(self, name, directory, chosen):
        return units.from_commands(name, os.path.join(self.corpora, directory + "-build"), self.output, chosen)

    def tool(self, name):
        return os.path.join(self.build, "bench/bench-" + name)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def service(self, name, **settings):
        return Service(self.build, self.path(name), **settings)

    def cost(self, runs, command, cwd=None, environment=None):
        return measure.run(self.meter, runs, command, cwd, environment)

    def compile_all(self, service, chosen, width, environment):
        jobs = [(unit.cwd, service.wrap(unit.with_depfile())) for unit in chosen]
        wall, cpu, failures = measure.swarm(self.swarm, width, jobs, self.directory, environment)
        if failures:
            raise Failure(f"{failures} of {len(chosen)} units do not compile")
        return wall, cpu

    def record(self, name, chosen):
        """Compile the units in the sandbox once: the directory with what came of them, and those that do compile (some want
        headers that their project generates). Of one name the first time alone."""
        if name in self.recorded:
            return self.recorded[name]
        directory = self.path(f"recorded-{name}")
        if not os.path.exists(directory):
            with self.service(f"record-{name}", sandbox="namespaces", dev_record=directory) as service:
                jobs = [(unit.cwd, service.wrap(unit.with_depfile())) for unit in chosen]
                measure.swarm(self.swarm, os.cpu_count(), jobs, self.directory, service.environment)
        self.recorded[name] = directory, [unit for unit in chosen if os.path.exists(unit.output)]
        return self.recorded[name]

    def record_tree(self):
        """(directory, recorded units, all usable units) of LLVM."""
        usable = [unit for unit in self.projects["LLVM"].units if not unit.uses_clock()]
        n = min(300 if self.full else 40, self.tree_units)
        return *self.record("tree", usable[::max(1, len(usable) // n)][:n]), usable


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, metavar="DIR")
    parser.add_argument("--corpora", required=True, metavar="DIR")
    parser.add_argument("--full", action="store_true", help="more runs and more units")
    parser.add_argument("--units", type=int, default=TREE_UNITS, metavar="N",
                        help="how many units of LLVM the tree has (default %(default)s)")
    parser.add_argument("--directory", metavar="DIR", help="work there, keep it, and use what was recorded there before")
    parser.add_argument("--only", metavar="STEP", choices=[name_of(step) for step in STEPS], help="one step alone")
    options = parser.parse_args()
    for name in list(os.environ):                       # nothing of the user's may lead a measurement elsewhere
        if name.startswith(("LLAMA", "CCACHE_", "SCCACHE_", "DISTCC_", "AWS_")):
            del os.environ[name]
    directory = options.directory or tempfile.mkdtemp(prefix="llama-bench-")
    os.makedirs(directory, exist_ok=True)
    try:
        print(machine(), end="\n\n")
        bench = Bench(options, directory)
        for step in STEPS:
            if options.only and options.only != name_of(step):
                continue
            try:
                step(bench)
            except (Failure, subprocess.SubprocessError, OSError, KeyError) as error:
                bench.table.failed(step.__doc__, error)
    finally:
        if not options.directory:
            shutil.rmtree(directory, ignore_errors=True)


def name_of(step):
    return step.__name__.rstrip("_")


def machine():
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), "unknown processor")
    versions = [subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True).stdout.strip()
                for compiler in ("gcc", "clang") if shutil.which(compiler)]
    load = os.getloadavg()[0]
    return (f"{os.cpu_count()} × {model}, Linux {os.uname().release}, gcc, clang {', '.join(versions)}, "
            f"load {load:.1f} at the start")


def client_alone(bench):
    """llamacc alone"""
    runs = 5000 if bench.full else 1500
    runtime = bench.path("answer")
    unit = bench.projects["Redis"].unit
    server = subprocess.Popen([bench.tool("answer"), runtime], stdout=subprocess.PIPE, text=True)
    try:
        socket = server.stdout.readline().strip()
        floor = bench.cost(runs, [bench.tool("floor"), socket])
        ours = bench.cost(runs, [os.path.join(bench.build, "llamacc"), *unit.command], unit.cwd,
                          {"LLAMA_RUNTIME_DIR": runtime})
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    for what, field, goal, sign in (("wall per call", "wall_ms", 0.25, "ms"), ("CPU per call", "cpu_ms", 0.2, "ms"),
                                    ("resident set", "rss_mb", 1.5, "MB")):
        a, b = getattr(floor, field), getattr(ours, field)
        bench.table.row(f"llamacc alone, {what}", f"floor {a:.2f} {sign}; ratio {b / a:.2f}", b, goal, sign)


def cached_hits(bench):
    """cached hit"""
    runs = 500 if bench.full else 150
    for project in bench.projects.values():
        unit, others = project.unit, {}
        for name in ("ccache", "sccache"):
            try:
                others[name] = peers.cached_hit(name, bench.meter, runs if name == "ccache" else runs // 5, unit,
                                                bench.path(project.name))
            except (Failure, subprocess.SubprocessError, OSError) as error:
                others[name] = error
        with bench.service(f"hits-{project.name}") as service:
            command = service.wrap(unit.command)
            bench.cost(2, command, unit.cwd, service.environment)
            before, (daemon, _) = service.stats(), service.cpu_ms()
            ours = bench.cost(runs, command, unit.cwd, service.environment)
            daemon = (service.cpu_ms()[0] - daemon) / runs
            service.expect(before, "hits", "local", n=runs)
            counted = measure.instructions(service.pid, bench.meter, runs, command, unit.cwd, service.environment)
        told = "; ".join(f"{name} {other[0]:.1f} ms" if isinstance(other, tuple) else f"{name}: {other}"
                         for name, other in others.items())
        direct = others["ccache"][0] if isinstance(others["ccache"], tuple) else None
        bench.table.row(f"cached hit, client + daemon CPU, {project.name}", told, ours.cpu_ms + daemon,
                        HIT_GOALS[project.name], ratio=(3, direct, "ccache"))
        told = "; ".join(f"{name} {other[1]:.1f} ms" for name, other in others.items() if isinstance(other, tuple))
        bench.table.line("    client + daemon; wall", told, f"{ours.cpu_ms:.2f} + {daemon:.2f}; {ours.wall_ms:.2f} ms")
        if counted:
            bench.table.line("    instructions: client + daemon", "", " + ".join(f"{n / 1e6:.2f} M" for n in counted))


def remote(bench):
    """remote compilation, by replay"""
    rounds = 10 if bench.full else 4
    for project in bench.projects.values():
        chosen = [unit for unit in project.sample(30 if bench.full else 8) if not unit.uses_clock()]
        recorded, chosen = bench.record(project.name, chosen)
        scans = [bench.cost(3, unit.dependencies(), unit.cwd).cpu_ms for unit in chosen[:4]]
        try:
            distcc = peers.distcc_loopback(bench.meter, 2, chosen[:4], bench.path(project.name))
            told, least = f"distcc {distcc:.1f} ms; ", distcc
        except (Failure, subprocess.SubprocessError, OSError) as error:
            told, least = f"distcc: {error}; ", None
        with bench.service(f"remote-{project.name}", sandbox="namespaces", dev_replay=recorded) as service:
            for _ in range(2):                          # the daemon knows all files, as late in a build
                bench.compile_all(service, chosen, 2, service.again)
            before, cpu = service.stats(), service.cpu_ms()
            client = statistics.median(bench.compile_all(service, chosen, 2, service.again)[1] for _ in range(rounds))
            n = rounds * len(chosen)
            daemon, children = ((b - a) / n for a, b in zip(cpu, service.cpu_ms()))
            service.expect(before, "executed", "sandbox", n=n)
            scan = (service.stats()["predict_us"] - before["predict_us"]) / n / 1e3
        scan_cpu = statistics.mean(scans)
        total = client + daemon + children
        bench.table.row(f"remote compilation, client + daemon CPU, {project.name}", f"{told}-M {scan_cpu:.1f} ms",
                        total, 4, ratio=(15, min(least or scan_cpu, scan_cpu), "the lesser peer"))
        bench.table.line("    client + daemon + its scanning processes", "", f"{client:.2f} + {daemon:.2f} + {children:.2f}")
        bench.table.row(f"    scan, warm, {project.name}", f"-M {scan_cpu:.1f} ms", scan, 0.5)


def tree(bench):
    """a tree of 2,600 units, 1,000 in flight"""
    project = bench.projects.get("LLVM")
    if not project:
        bench.table.row(f"LLVM, {bench.tree_units} units, {TREE_WIDTH} in flight", "", None, "30 s")
        return
    recorded, sample, usable = bench.record_tree()
    chosen = (sample + [unit for unit in usable if unit not in set(sample)])[:bench.tree_units]
    with bench.service("tree", sandbox="namespaces", dev_replay=recorded, dev_replay_latency_ms=TREE_LATENCY_MS,
                       dev_replay_width=TREE_WIDTH) as service:
        tree_once(bench, service, chosen, len(sample), "first build, cold", service.environment, 12)
        tree_once(bench, service, chosen, len(sample), "again, all known", service.again, 4)
        bench.table.row("    the daemon's memory at its largest", "", measure.status_mb(service.pid, "VmHWM"), 250, "MB")


def tree_once(bench, service, chosen, n_recorded, what, environment, cpu_goal):
    before, cpu = service.stats(), service.cpu_ms()
    wall, client = bench.compile_all(service, chosen, TREE_WIDTH, environment)
    daemon, children = ((b - a) / len(chosen) for a, b in zip(cpu, service.cpu_ms()))
    after = service.stats()
    bench.table.row(f"LLVM, {len(chosen)} units, {TREE_WIDTH} in flight, {what}",
                    f"{n_recorded} recorded, {TREE_LATENCY_MS / 1e3} s each", wall, 30, "s")
    bench.table.row("    CPU per unit", f"client {client:.2f} + daemon {daemon:.2f} + scans {children:.2f} ms",
                    client + daemon + children, cpu_goal)
    elsewhere = len(chosen) - after["executed"]["sandbox"] + before["executed"]["sandbox"]
    missed = after["scan_miss"] - before["scan_miss"]
    if elsewhere or missed:
        bench.table.line("    not on the engine; not predicted", json.dumps(after["local"]["reasons"]),
                         f"{elsewhere}; {missed}")


def lambda_(bench):
    """Lambda, by the test cloud's replay"""
    if "LLVM" not in bench.projects:
        bench.table.row(f"Lambda, LLVM, {FUNCTIONS} functions", "", None, "30 s")
        return
    recorded, sample, usable = bench.record_tree()
    chosen = (sample + [unit for unit in usable if unit not in set(sample)])[:bench.tree_units]
    compressed = statistics.mean(len(zlib.compress(read(os.path.join(unit.cwd, unit.source)))) for unit in chosen) / 1e3
    with cloud.Cloud(bench.build, bench.path("cloud"), replay=recorded, rtt_ms=25, uplink_kbit_s=100000,
                     concurrency=FUNCTIONS) as there, bench.service("lambda", engine="lambda", **there.environment) as service:
        lambda_once(bench, service, chosen, len(sample), "first build, all cold", service.environment, 12)
        there.forget_workers()
        lambda_once(bench, service, chosen, len(sample), "again, cold workers", service.again, 4)
        before = there.received()
        lambda_once(bench, service, chosen, len(sample), "again, all known", service.again, 4)
        # What went up is jobs, and no worker asked the bucket for anything.
        bench.table.row("    uplink, all known", f"source {compressed:.1f} KB (zlib) + 2 KB",
                        (there.received() - before) / len(chosen) / 1e3, round(compressed + 2, 1), "KB")
        bench.table.row("    the daemon's memory at its largest", f"afterwards {measure.status_mb(service.pid):.0f} MB",
                        measure.status_mb(service.pid, "VmHWM"), 250, "MB")


def lambda_once(bench, service, chosen, n_recorded, what, environment, cpu_goal):
    n, before, cpu = len(chosen), service.stats(), service.cpu_ms()
    wall, client = bench.compile_all(service, chosen, FUNCTIONS, environment)
    daemon, children = ((b - a) / n for a, b in zip(cpu, service.cpu_ms()))
    after = service.stats()
    used = cloud.difference(before, after)
    bench.table.row(f"Lambda, LLVM, {n} units, {FUNCTIONS} functions, {what}",
                    f"{n_recorded} recorded, {used['lambda.billed_ms'] / n / 1e3:.1f} s each; load {os.getloadavg()[0]:.0f}", wall, 30, "s")
    bench.table.row("    CPU per unit", f"client {client:.2f} + daemon {daemon:.2f} + scans {children:.2f} ms",
                    client + daemon + children, cpu_goal)
    up, down = ((used[f"lambda.bytes_{way}"] + used[f"s3.bytes_{way}"]) / n / 1e3 for way in ("out", "in"))
    bench.table.line("    up, down per unit", f"by the bucket {used['s3.bytes_out'] / n / 1e3:.1f}, {used['s3.bytes_in'] / n / 1e3:.1f} KB",
                     f"{up:.1f}, {down:.1f} KB")
    bench.table.row("    S3 requests per unit", f"{used['s3.puts']} put, {used['s3.gets']} got; {used['lambda.cold_starts']} cold starts",
                    (used["s3.puts"] + used["s3.gets"]) / n, 0.2, "")
    told = f"{used['lambda.requests']} invocations, {used['lambda.throttles']} throttled, {used['lambda.retries']} repeated"
    bench.table.line("    AWS would ask, for all", told, f"${cloud.dollars(used):.4f}")
    elsewhere = n - after["executed"]["lambda"] + before["executed"]["lambda"]
    if elsewhere:
        bench.table.line("    not on Lambda", json.dumps(after["local"]["reasons"]), str(elsewhere))
    return used


def runtime(bench):
    """what a function does around the compiler"""
    project, rounds = bench.projects["Redis"], 10 if bench.full else 4
    chosen = project.sample(30 if bench.full else 8)
    with cloud.Cloud(bench.build, bench.path("functions")) as there, \
            bench.service("functions", engine="lambda", **there.environment) as service:
        for unit in chosen:
            if os.path.exists(unit.output):
                os.unlink(unit.output)
        jobs = [(unit.cwd, service.wrap(unit.with_depfile())) for unit in chosen]
        measure.swarm(bench.swarm, 1, jobs, bench.directory, service.environment)
        chosen = [unit for unit in chosen if os.path.exists(unit.output)]       # some want headers that make generates
        bench.compile_all(service, chosen, 1, service.again)                    # what it needs is there
        before = service.stats()
        for _ in range(rounds):
            bench.compile_all(service, chosen, 1, service.again)
        service.expect(before, "executed", "lambda", n=rounds * len(chosen))
        used = cloud.difference(before, service.stats())
        n = rounds * len(chosen)
        if used["lambda.cold_starts"]:
            raise Failure("its functions did not stay warm")
        bench.table.row("runtime overhead per warm Lambda job", f"{project.name}; billed {used['lambda.billed_ms'] / n:.0f} ms each",
                        used["lambda.overhead_us"] / n / 1e3, 10)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def engines(bench):
    """the engine embedded here"""
    project = bench.projects["Redis"]
    chosen = project.units if bench.full else project.sample(16)
    for mode in ("namespaces", "inplace"):
        try:
            one_engine(bench, mode, chosen)
        except Failure as error:
            bench.table.failed(f"{mode}: overhead over the bare compiler", error)


def one_engine(bench, mode, chosen):
    key = "sandbox" if mode == "namespaces" else "inplace"
    with bench.service(mode, sandbox=mode) as service:
        costs = []
        for unit in chosen:
            try:                                        # toolchain known, tree filled, once for all
                bench.cost(1, service.wrap(unit.command), unit.cwd, service.environment)
            except Failure:
                continue                                # a file that isn't compiled on its own (generated headers)
            # One right after the other, because what else the machine does varies more than the overhead.
            bare = bench.cost(1, unit.command, unit.cwd)
            before, cpu = service.stats(), service.cpu_ms()
            ours = bench.cost(1, service.wrap(unit.command), unit.cwd, service.again)
            spent, after = sum(service.cpu_ms()) - sum(cpu), service.stats()
            if after["executed"][key] == before["executed"][key] + 1:
                job = (after["engine"]["cpu_us"] - before["engine"]["cpu_us"]) / 1e3
                costs.append((ours.wall_ms - bare.wall_ms, ours.cpu_ms + spent - job, bare.wall_ms))
        if len(costs) < len(chosen) / 2:
            raise Failure(f"only {len(costs)} of {len(chosen)} units ran on it: {after['local']['reasons']}")
        wall, _, bare = map(statistics.median, zip(*costs))
        cpu = statistics.mean(cost[1] for cost in costs)        # ticks of 10 ms: only their mean says anything
        bench.table.row(f"{mode}: wall over the bare compiler", f"bare {bare:.0f} ms; {len(costs)} units", wall, 8)
        bench.table.row(f"{mode}: CPU beside the compiler, per unit", "", cpu, 4)
        bench.table.line(f"{mode}: the daemon's memory afterwards", "", f"{measure.status_mb(service.pid):.0f} MB")


STEPS = (client_alone, cached_hits, remote, engines, tree, lambda_, runtime)

if __name__ == "__main__":
    main()
