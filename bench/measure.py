"""Measuring: what commands cost, run one by one, and what a tree of running processes has used."""

import os
import shutil
import statistics
import subprocess
import time

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


class Cost:
    """Medians over the runs of a command."""

    def __init__(self, rows):
        self.wall_ms = statistics.median(row[0] for row in rows) / 1e6
        self.cpu_ms = statistics.median(row[1] for row in rows) / 1e3
        self.rss_mb = statistics.median(row[2] for row in rows) / 1024
        self.runs = len(rows)


class Failure(Exception):
    """A measurement that could not be made; its text says why."""


def run(meter, runs, command, cwd=None, environment=None, timeout=300):
    """The median cost of `command` over `runs` runs, all of which must succeed."""
    done = subprocess.run([meter, str(runs), *command], cwd=cwd, env={**os.environ, **(environment or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    if done.returncode or len(rows) != runs or any(row[3] for row in rows):
        raise Failure(f"{' '.join(command)[:60]}: exit status {rows[-1][3] if rows else done.returncode} "
                      f"{done.stderr.strip()}")
    return Cost(rows)


def instructions(pid, meter, runs, command, cwd, environment):
    """Per run of `command`, of its processes and of `pid`; None without perf, or on a machine without counters."""
    if not shutil.which("perf"):
        return None
    counts = []
    for which in ([], ["-p", str(pid)]):
        done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions", *which, "--", meter, str(runs), *command],
                              cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=300)
        count = done.stderr.strip().rpartition("\n")[2].partition(",")[0]
        if done.returncode or not count.isdigit():
            return None
        counts.append(int(count) / runs)
    return counts


def swarm(program, width, jobs, directory, environment):
    """Run all of `jobs`, pairs of a working directory and a command, `width` at once: wall seconds, the CPU of each in
    ms, and how many failed."""
    path = os.path.join(directory, "swarm")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines("\t".join((cwd, *command)) + "\n" for cwd, command in jobs)
    done = subprocess.run([program, str(width), path], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise Failure(f"swarm: {done.stderr.strip()[-200:]}")
    commands, failures, wall_ns, cpu_us = map(int, done.stdout.split())
    return wall_ns / 1e9, cpu_us / 1e3 / commands, failures


def own_cpu_ms(pid):
    """CPU that the process itself (all threads, also ended ones) has used until now: its CPU clock, exact."""
    return time.clock_gettime((~pid << 3) | 2) * 1e3


def tree_cpu_ms(pid):
    """CPU of a process, of all below it that run, and of all those waited for. In ticks: for sums over many jobs."""
    parents, cpu = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue                                # it ended meanwhile
            parents[int(name)] = int(fields[1])
            cpu[int(name)] = sum(map(int, fields[11:15])) * TICK_MS
    total = 0
    for process in parents:
        ancestor = process
        while ancestor not in (pid, 0, 1) and ancestor in parents:
            ancestor = parents[ancestor]
        total += cpu[process] if ancestor == pid else 0
    return total


def children_cpu_ms(pid):
    """What a process has had others do, in ticks: without its own share, which own_cpu_ms knows exactly."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return tree_cpu_ms(pid) - sum(map(int, fields[11:13])) * TICK_MS


def status_mb(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise Failure(f"process {pid} has ended")
