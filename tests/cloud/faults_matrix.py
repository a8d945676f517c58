#!/usr/bin/env python3
"""faults_matrix.py --build DIR [--full] [--redis TREE] [--only NAME]: builds through a test cloud in which a part of everything goes wrong, one kind of fault
at a time, and many at once; then one whose cloud is killed meanwhile, and one whose daemon is. Each has to succeed, in time, with the objects of a plain
build, and every command answered once. The last line is for scripts/check."""

import argparse
import filecmp
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTION_TIMEOUT_S = 15  # what hangs is at an end then
RETRIED = ("error=200:500", "error-after=200:500", "refuse=200", "lose-answer=200", "latency=300:400", "slow=200:20000", "cut=200", "corrupt=200",
           "truncate=200", "expired=100")
S3 = [f"s3.*.{fault}" for fault in ("throttle=200", *RETRIED)] + ["s3.GetObject.lost=100"]
LAMBDA = [f"lambda.Invoke.{fault}" for fault in ("throttle=300:ConcurrentInvocationLimitExceeded", "throttle=200:CallerRateLimitExceeded", *RETRIED,
                                                 "kill=150", "hang=100", "cold-start=1000:500")]
MIX = ["s3.*.throttle=50", "s3.*.error=50:503", "s3.*.cut=50", "s3.GetObject.corrupt=50", "s3.GetObject.lost=30",
       "lambda.Invoke.throttle=100:ConcurrentInvocationLimitExceeded", "lambda.Invoke.error=50:500", "lambda.Invoke.lose-answer=50",
       "lambda.Invoke.cut=50", "lambda.Invoke.corrupt=50", "lambda.Invoke.kill=50"]
SLICE = ("mix", "lambda.Invoke.kill=150", "cloud killed", "daemon killed")


class Failure(Exception):
    pass


def wait_until(what, condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"waited in vain until {what}")
        time.sleep(0.05)


class Cloud:
    """With the function; a bucket for each build."""

    def __init__(self, build, directory):
        self.directory = directory
        os.mkdir(directory)
        ready = os.path.join(directory, "ready")
        self.log = open(os.path.join(directory, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen([os.path.join(build, "tests/cloud/llama-cloud"), f"--state={directory}/state", f"--ready={ready}"],
                                        stdout=self.log, stderr=self.log)
        wait_until("the cloud serves", lambda: os.path.exists(ready), 20)
        text = subprocess.run(["sh", "-c", f". '{ready}'; env -0"], capture_output=True, check=True, env={}, text=True).stdout
        self.environment = dict(pair.split("=", 1) for pair in text.split("\0") if pair.startswith(("AWS_", "LLAMA_CLOUD")))

    def request(self, method, target, body=b"", service="s3"):
        code = ("import sys, client; m, t, s = sys.argv[1:]; b = sys.stdin.buffer.read();"
                "r = client.Connection().send(m, t, client.sign(m, t, {}, b, service=s), b); print(r[0]); sys.stdout.write(r[2].decode())")
        run = subprocess.run([sys.executable, "-c", code, method, target, service], input=body, capture_output=True, timeout=60,
                             env={**os.environ, **self.environment, "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
        status, _, answer = run.stdout.decode().partition("\n")
        if not status.startswith("20"):
            raise Failure(f"{method} {target}: {status} {answer} {run.stderr.decode()}")
        return answer

    def create_function(self, image):
        functions = "/2015-03-31/functions"
        self.request("POST", functions, service="lambda", body=json.dumps({
            "FunctionName": "llama", "PackageType": "Image", "Code": {"ImageUri": f"oci:{image}"}, "Timeout": FUNCTION_TIMEOUT_S, "MemorySize": 1769,
            "Role": "arn:aws:iam::000000000000:role/llama"}).encode())
        wait_until("the function is active", lambda: '"Active"' in self.request("GET", functions + "/llama", service="lambda"), 20)

    def control(self, method, path, body=None):
        request = urllib.request.Request(f"{self.environment['LLAMA_CLOUD_CONTROL']}/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


class Generated:
    """A program of small units."""

    n_units = 60

    def __init__(self, directory):
        self.directory = directory
        os.mkdir(directory)
        for i in range(8):
            self.write(f"part{i}.h", "".join(f"#define P{i}_{k} {k}\n" for k in range(200)))
        for i in range(self.n_units):
            self.write(f"unit{i}.c", f'#include <stdio.h>\n#include "part{i % 8}.h"\n#include "part{i // 8}.h"\n'
                                     f'int f{i}(int x) {{ printf("%d\\n", x); return x + P{i % 8}_{i}; }}\n')
        self.write("Makefile", "OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))\nall: $(OBJECTS)\n%.o: %.c\n\tgcc -O1 -g -MD -c -o $@ $<\n"
                               "clean:\n\trm -f *.o *.d\n")
        self.build = ["make", "-C", directory, "-j8"]
        self.clean = ["make", "-C", directory, "clean"]

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(text)


class Redis:
    def __init__(self, directory, tree):
        self.directory = directory
        shutil.copytree(tree, directory, symlinks=True)
        step = [os.path.join(HERE, "../corpora/build.sh"), "redis", directory]
        self.build, self.clean = ["env", "JOBS=8", *step, "build"], [*step, "clean"]


def objects(directory):
    return {os.path.relpath(os.path.join(at, name), directory) for at, _, names in os.walk(directory) for name in names
            if name.endswith((".o", ".d"))}


class World:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.project = Redis(f"{directory}/project", options.redis) if options.redis else Generated(f"{directory}/project")
        os.mkdir(f"{directory}/home")
        path = f"{options.build}:/usr/local/bin:/usr/bin:/bin"
        self.plain = {"HOME": f"{directory}/home", "PATH": path, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1", "CC": "gcc",
                      "ASAN_OPTIONS": f"log_path={directory}/sanitizer:abort_on_error=0", "UBSAN_OPTIONS": f"log_path={directory}/sanitizer:halt_on_error=1"}
        before = time.monotonic()
        self.run(self.project.clean)
        self.run(self.project.build)
        self.plain_s = time.monotonic() - before
        shutil.copytree(self.project.directory, f"{directory}/expected", symlinks=True)
        self.cloud = None
        self.n = 0

    def run(self, argv, environment=None, seconds=1800):
        result = subprocess.run(argv, env=environment or self.plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                timeout=seconds, check=False, text=True, errors="replace")
        if result.returncode != 0:
            raise Failure(f"{' '.join(argv)}: status {result.returncode}\n{result.stdout[-2000:]}")
        return result.stdout

    def need_cloud(self):
        if self.cloud and self.cloud.process.poll() is None:
            return
        self.n += 1
        self.cloud = Cloud(self.options.build, f"{self.directory}/cloud{self.n}")
        image = f"{self.cloud.directory}/image"
        self.run(["llama", "image", "--ca-bundle", self.cloud.environment["AWS_CA_BUNDLE"], "build", image])
        self.cloud.create_function(image)

    def begin(self):
        """An empty machine and an empty bucket."""
        self.need_cloud()
        self.n += 1
        state = f"{self.directory}/machine{self.n}"
        os.mkdir(state)
        bucket = f"bucket{self.n}"
        self.cloud.request("PUT", "/" + bucket)
        with open(f"{state}/config.ini", "w", encoding="utf-8") as file:
            file.write(f"engine = lambda\nfunction = llama\nbucket = {bucket}\nshare = write\nlog = {state}/log\n")
        self.run(self.project.clean)
        return {**self.plain, **self.cloud.environment, "LLAMA_CACHE_DIR": f"{state}/cache", "LLAMA_RUNTIME_DIR": f"{state}/run",
                "LLAMA_CONFIG": f"{state}/config.ini"}

    def build(self, environment, meanwhile=None):
        build = subprocess.Popen(["llama", "build", *self.project.build], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, text=True, errors="replace")
        try:
            if meanwhile:
                meanwhile(environment)
            output, _ = build.communicate(timeout=120 + 20 * self.plain_s)
        except subprocess.TimeoutExpired:
            raise Failure("it takes too long") from None
        finally:
            if build.poll() is None:
                build.kill()
        if build.returncode != 0:
            raise Failure(f"the build failed: {output[-3000:]}")
        real, expected = objects(self.project.directory), objects(f"{self.directory}/expected")
        if real != expected:
            raise Failure(f"other files: {sorted(real ^ expected)[:10]}")
        _, differ, strange = filecmp.cmpfiles(self.project.directory, f"{self.directory}/expected", real, shallow=False)
        if differ or strange:
            raise Failure(f"files differ: {sorted(differ + strange)[:10]}")
        return output

    def statistics(self, environment):
        return json.loads(self.run(["llama", "stats", "--json"], environment))

    def end(self, environment):
        self.run(["llama", "daemon", "--stop"], environment, 60)
        for name in os.listdir(self.directory):
            if name.startswith("sanitizer"):
                with open(f"{self.directory}/{name}", encoding="utf-8", errors="replace") as file:
                    raise Failure(file.read())

    def with_faults(self, rules):
        if self.cloud and any("cold-start" in rule for rule in rules):
            self.cloud.kill()  # its environments have begun already
        environment = self.begin()
        self.cloud.control("POST", "faults", rules)
        try:
            self.build(environment)
            struck = sum(rule["struck"] for rule in self.cloud.control("GET", "faults"))
            stats = self.statistics(environment)
        finally:
            self.cloud.control("DELETE", "faults")
            self.end(environment)
        if not struck:
            raise Failure("no fault struck")
        remote, local, hits = stats["executed"]["lambda"], stats["local"]["total"], stats["hits"]["local"] + stats["hits"]["shared"]
        answered = remote + local + hits + stats["compile_errors"] + stats["executed"]["sandbox"] + stats["executed"]["inplace"]
        if answered != stats["requests"]:
            raise Failure(f"{stats['requests']} commands asked, {answered} were answered")
        return f"{struck} faults, {remote} in Lambda, {local} locally, {stats['lambda']['retries']} retries"

    def n_invocations(self):
        return self.cloud.control("GET", "counters").get("lambda", {}).get("Invoke", {}).get("requests", 0)

    def when_compiling(self, before):
        wait_until("some are compiled in Lambda", lambda: self.n_invocations() >= before + 10, 60)

    def cloud_killed(self):
        environment = self.begin()
        before = self.n_invocations()

        def kill(_):
            self.when_compiling(before)
            self.cloud.kill()
        self.build(environment, kill)
        stats = self.statistics(environment)
        if not stats["executed"]["lambda"] or not stats["local"]["total"]:
            raise Failure(f"it wasn't killed in the middle: {json.dumps(stats)}")
        self.end(environment)
        return f"{stats['executed']['lambda']} in Lambda, {stats['local']['total']} locally"

    def daemon_killed(self):
        environment = self.begin()
        before = self.n_invocations()

        def kill(_):
            self.when_compiling(before)
            os.kill(int(re.search(r"process +(\d+)", self.run(["llama", "daemon", "--status"], environment))[1]), signal.SIGKILL)
        self.build(environment, kill)
        # What that one had begun is nobody's secret: the next build finds what was published, and compiles the rest.
        self.run(self.project.clean)
        self.build(environment)
        stats = self.statistics(environment)
        self.end(environment)
        return f"{stats['executed']['lambda']} in Lambda, {stats['local']['total']} locally, {stats['hits']['local']} hits"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=os.path.abspath)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--redis", type=os.path.abspath)
    parser.add_argument("--only")
    options = parser.parse_args()
    try:
        import botocore as _
        subprocess.run(["unshare", "-Ur", "true"], check=True, capture_output=True)
    except (ImportError, subprocess.CalledProcessError) as error:
        print(f"no test cloud here: {error}\n0 passed, 0 failed, 1 skipped")
        return 0
    counts = {"passed": 0, "failed": 0}
    directory = tempfile.mkdtemp(prefix="llama-faults-")
    world = None
    try:
        world = World(options, directory)
        rows = {rule: lambda rule=rule: world.with_faults([rule]) for rule in S3 + LAMBDA}
        rows |= {"mix": lambda: world.with_faults(MIX), "cloud killed": world.cloud_killed, "daemon killed": world.daemon_killed}
        for name, row in rows.items():
            if options.only not in (None, name) or (not options.full and not options.only and name not in SLICE):
                continue
            before = time.monotonic()
            try:
                text, result = row(), "passed"
            except Failure as failure:
                text, result = str(failure), "failed"
            counts[result] += 1
            print(f"{result} {name}, {time.monotonic() - before:.1f} s: {text}", flush=True)
    finally:
        if world and world.cloud:
            world.cloud.kill()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
