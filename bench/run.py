#!/usr/bin/env python3
"""run.py --build DIR --corpora DIR [--full]: the table of measurements.

Each row: what was measured, the peers at the same work in the same run, ours, the goal, and whether it is reached. The
figures are medians; they move with the machine, the ratios are what counts. Nothing here fails because it is slow: a
figure that is not reached is printed as such."""

import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import measure                                          # noqa: E402
import peers                                            # noqa: E402
from measure import Failure                             # noqa: E402

# How Redis' own Makefile compiles its files (MALLOC=libc), without the dependency file.
REDIS_FLAGS = ["-pedantic", "-DREDIS_STATIC=", "-std=c11", "-Wall", "-W", "-Wno-missing-field-initializers", "-O2", "-g",
               "-ggdb", "-fno-omit-frame-pointer", "-I../deps/hiredis", "-I../deps/linenoise", "-I../deps/lua/src",
               "-I../deps/hdr_histogram"]


class Unit:
    """One translation unit, compiled in its project's directory to a file elsewhere."""

    def __init__(self, cwd, source, output):
        self.cwd, self.source = cwd, source
        self.command = ["gcc", *REDIS_FLAGS, "-c", "-o", output, source]


class Service:
    """A daemon of our own, with a directory of our own, whose costs can be read."""

    def __init__(self, build, directory, **settings):
        self.llama = os.path.join(build, "llama")
        self.llamacc = os.path.join(build, "llamacc")
        self.environment = {
            "LLAMA_RUNTIME_DIR": os.path.join(directory, "run"), "LLAMA_CACHE_DIR": os.path.join(directory, "cache"),
            "LLAMA_CONFIG": os.path.join(directory, "none.ini"),
            **{f"LLAMA_{name.upper()}": value for name, value in settings.items()}}
        self.process = None

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

    def wrap(self, unit):
        return [self.llamacc, *unit.command]


class Table:
    """Rows are printed as they are measured."""

    WIDTHS = (48, 36, 20, 14)

    def __init__(self):
        self.line("what", "peers, same work, same run", "ours", "goal", "")
        print("-" * (sum(self.WIDTHS) + 20))

    def line(self, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, (*self.WIDTHS, 0))).rstrip(), flush=True)

    def row(self, what, others, value, goal, unit="ms"):
        """One figure of ours against its goal; `value` None means that nothing could be measured yet."""
        if value is None:
            self.line(what, others, "-", goal if isinstance(goal, str) else f"{goal} {unit}", "not there yet")
        else:
            self.line(what, others, f"{value:.2f} {unit}", f"{goal} {unit}",
                      "reached" if value <= goal else f"not reached: {value / goal:.1f} times the goal")

    def failed(self, what, why):
        self.line(what, "", f"could not be measured: {why}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, metavar="DIR")
    parser.add_argument("--corpora", required=True, metavar="DIR")
    parser.add_argument("--full", action="store_true", help="more runs and more units")
    options = parser.parse_args()
    for name in list(os.environ):                       # nothing of the user's may lead a measurement elsewhere
        if name.startswith(("LLAMA", "CCACHE_", "SCCACHE_", "DISTCC_")):
            del os.environ[name]
    directory = tempfile.mkdtemp(prefix="llama-bench-")
    try:
        bench(options, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def bench(options, directory):
    build = os.path.realpath(options.build)
    meter = os.path.join(build, "bench/bench-meter")
    source = os.path.join(os.path.realpath(options.corpora), "redis/src")
    unit = Unit(source, "t_zset.c", os.path.join(directory, "t_zset.o"))
    print(machine(), end="\n\n")
    table = Table()
    plain = measure.run(meter, 10 if options.full else 5, unit.command, unit.cwd)
    for step in (client_alone, cached_hits, scan, distributed, engines):
        try:
            step(table, options, build, meter, unit, plain, directory)
        except (Failure, subprocess.SubprocessError, OSError, KeyError) as error:
            table.failed(step.__doc__, error)
    for what, goal in (("client CPU per remote compilation: LLVM, kernel", "4 ms"),
                       ("uplink per remote compilation", "source + 2 KB"), ("runtime overhead per Lambda job", "10 ms"),
                       ("LLVM on 1,000 simulated functions", "30 s"), ("daemon's memory, 1,000 jobs of LLVM", "250 MB")):
        table.row(what, "", None, goal)
    print(f"\nunit: Redis t_zset.c (gcc -O2 -g); the plain compiler: {plain.wall_ms:.0f} ms wall, {plain.cpu_ms:.0f} ms CPU")


def machine():
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), "unknown processor")
    gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} × {model}, Linux {os.uname().release}, gcc {gcc}, load {load:.1f} at the start"


def client_alone(table, options, build, meter, unit, plain, directory):
    """llamacc alone"""
    runs = 5000 if options.full else 1500
    runtime = os.path.join(directory, "answer")
    server = subprocess.Popen([os.path.join(build, "bench/bench-answer"), runtime], stdout=subprocess.PIPE, text=True)
    try:
        socket = server.stdout.readline().strip()
        floor = measure.run(meter, runs, [os.path.join(build, "bench/bench-floor"), socket])
        ours = measure.run(meter, runs, [os.path.join(build, "llamacc"), *unit.command], unit.cwd,
                           {"LLAMA_RUNTIME_DIR": runtime})
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    table.row("llamacc alone, wall per call", f"floor {floor.wall_ms:.2f} ms; ratio {ours.wall_ms / floor.wall_ms:.2f}",
              ours.wall_ms, 0.25)
    table.row("llamacc alone, CPU per call", f"floor {floor.cpu_ms:.2f} ms; ratio {ours.cpu_ms / floor.cpu_ms:.2f}",
              ours.cpu_ms, 0.2)
    table.row("llamacc alone, resident set", f"floor {floor.rss_mb:.1f} MB; ratio {ours.rss_mb / floor.rss_mb:.2f}",
              ours.rss_mb, 1.5, "MB")


def cached_hits(table, options, build, meter, unit, plain, directory):
    """cached hit"""
    runs = 500 if options.full else 150
    others = []
    for name in ("ccache", "sccache"):
        try:
            cpu, wall = peers.cached_hit(name, meter, runs if name == "ccache" else runs // 5, unit, directory)
            others.append((name, f"{name} {cpu:.1f} ms", f"{name} {wall:.1f} ms"))
        except (Failure, subprocess.SubprocessError, OSError) as error:
            others.append((name, f"{name}: {error}", f"{name}: {error}"))
    with Service(build, os.path.join(directory, "hits")) as service:
        measure.run(meter, 2, service.wrap(unit), unit.cwd, service.environment)
        hits, daemon = service.stats()["hits"]["local"], measure.own_cpu_ms(service.pid)
        ours = measure.run(meter, runs, service.wrap(unit), unit.cwd, service.environment)
        daemon = (measure.own_cpu_ms(service.pid) - daemon) / runs
        hits = service.stats()["hits"]["local"] - hits
        if hits != runs:
            raise Failure(f"{runs - hits} of {runs} requests were no hits")
    cpu = ours.cpu_ms + daemon
    table.row("cached hit, client + daemon CPU, Redis", "; ".join(row[1] for row in others), cpu, 0.6)
    table.line("    of which client, daemon", "", f"{ours.cpu_ms:.2f} + {daemon:.2f} ms")
    table.line("    wall", "; ".join(row[2] for row in others), f"{ours.wall_ms:.2f} ms")
    for project, goal in (("LLVM", 1.0), ("kernel", 1.2)):
        table.row(f"cached hit, client + daemon CPU, {project}", "", None, goal)


def scan(table, options, build, meter, unit, plain, directory):
    """scan of one unit"""
    command = [word for word in unit.command if word != "-c"]
    command[command.index("-o"):command.index("-o") + 2] = []
    dependencies = measure.run(meter, 30 if options.full else 10, [*command, "-M"], unit.cwd)
    table.row("scan of one unit (today: the compiler's own -M)", f"gcc -M {dependencies.cpu_ms:.1f} ms",
              dependencies.cpu_ms, 0.5)


def distributed(table, options, build, meter, unit, plain, directory):
    """distcc on this machine"""
    cpu = peers.distcc_loopback(meter, 10 if options.full else 5, unit, directory)
    table.line("client CPU per compilation: distcc, loopback", f"distcc {cpu:.1f} ms; plain {plain.cpu_ms:.0f} ms")


def engines(table, options, build, meter, unit, plain, directory):
    """the engine embedded here"""
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(unit.cwd, "*.c")))
    step = 1 if options.full else max(1, len(names) // 24)
    units = [Unit(unit.cwd, name, os.path.join(directory, name + ".o")) for name in names[::step]]
    for mode in ("namespaces", "inplace"):
        try:
            one_engine(table, mode, build, meter, units, directory)
        except Failure as error:
            table.failed(f"{mode}: overhead over the bare compiler", error)


def one_engine(table, mode, build, meter, units, directory):
    key = "sandbox" if mode == "namespaces" else "inplace"
    with Service(build, os.path.join(directory, mode), sandbox=mode) as service:
        environment = {**service.environment, "LLAMACC_RECACHE": "1"}
        costs = []
        for each in units:
            try:                                        # toolchain known, tree filled, once for all
                measure.run(meter, 1, service.wrap(each), each.cwd, service.environment)
            except Failure:
                continue                                # a file that isn't compiled on its own (generated headers)
            # One right after the other, because what else the machine does varies more than the overhead.
            bare = measure.run(meter, 1, each.command, each.cwd)
            before, tree = service.stats(), measure.tree_cpu_ms(service.pid)
            ours = measure.run(meter, 1, service.wrap(each), each.cwd, environment)
            tree, after = measure.tree_cpu_ms(service.pid) - tree, service.stats()
            if after["executed"][key] == before["executed"][key] + 1:
                job = (after["engine"]["cpu_us"] - before["engine"]["cpu_us"]) / 1e3
                costs.append((ours.wall_ms - bare.wall_ms, ours.cpu_ms + tree - job, bare.wall_ms))
        if len(costs) < len(units) / 2:
            raise Failure(f"only {len(costs)} of {len(units)} units ran on it: {after['local']['reasons']}")
        wall, _, bare = map(statistics.median, zip(*costs))
        cpu = statistics.mean(cost[1] for cost in costs)        # ticks of 10 ms: only their mean says anything
        table.row(f"{mode}: wall over the bare compiler", f"bare {bare:.0f} ms; {len(costs)} units", wall, 8)
        table.row(f"{mode}: CPU beside the compiler, per unit", "", cpu, 4)
        table.line(f"{mode}: the daemon's memory afterwards", "", f"{measure.rss_mb(service.pid):.0f} MB")


if __name__ == "__main__":
    main()
