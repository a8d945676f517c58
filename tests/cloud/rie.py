#!/usr/bin/env python3
"""rie.py BUILD: our runtime under AWS's own emulator of Lambda, aws-lambda-rie: in the image's root, with the daemon's jobs posted to the emulator.

The emulator is a Go program: $LLAMA_RIE names one, else it is installed where Go is, into a temporary directory. The bucket is the test cloud's. Ends with
"N passed, N failed"; what isn't to be had is a skip with the reason."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
PACKAGE = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie"
INVOKE = "/2015-03-31/functions/function/invocations"   # the emulator's only function
UNITS = ("one", "two")


def skip(reason):
    print(f"skipped: {reason}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def install(directory):
    """The path of the emulator."""
    given = os.environ.get("LLAMA_RIE")
    if given:
        return given
    go = shutil.which("go")
    if not go:
        skip("there is no Go to install aws-lambda-rie with, nor is $LLAMA_RIE set")
    # Static, for the image has no C library in the usual place.
    result = subprocess.run([go, "install", f"{PACKAGE}@latest"], env={**os.environ, "GOBIN": directory, "CGO_ENABLED": "0"},
                            cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, check=False)
    if result.returncode != 0:
        skip("go installs no aws-lambda-rie: " + " ".join(result.stderr.split())[-400:])
    return os.path.join(directory, "aws-lambda-rie")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until(what, process, ready):
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start")
        time.sleep(0.05)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def run(command, **options):
    """Its output; a failure is shown with it."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180,
                            check=False, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {result.returncode}\n{result.stdout}")
    return result.stdout


class Place:
    """What a run has in its temporary directory, and the processes that live on it."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.processes, self.logs = [], []
        self.expected = []                              # objects of a plain build
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("AWS_", "LLAMA")) and not name.lower().endswith("_proxy")}
        self.environment |= {"HOME": directory, "LC_ALL": "C", "LLAMA_RUNTIME_DIR": self.path("run"), "LLAMA_CACHE_DIR": self.path("cache"),
                             "LLAMA_CONFIG": self.path("config.ini"), "PATH": f"{build}:/usr/bin:/bin:/usr/sbin:/sbin"}

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self, name, command, environment):
        self.logs.append(self.path(f"{name}.log"))
        with open(self.logs[-1], "wb") as log:
            self.processes.append(subprocess.Popen(command, env=environment, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log,
                                                   stderr=subprocess.STDOUT))
        return self.processes[-1]

    def start_cloud(self):
        """The test cloud, for its bucket; its endpoint and credentials enter the environment."""
        ready = self.path("ready")
        cloud = self.start("cloud", [os.path.join(self.build, "tests/cloud/llama-cloud"), f"--state={self.path('state')}", f"--ready={ready}"],
                           self.environment)
        wait_until("the test cloud", cloud, lambda: os.path.exists(ready))
        with open(ready, encoding="utf-8") as file:
            self.environment |= re.findall(r"^export (\w+)='?(.*?)'?$", file.read(), re.MULTILINE)
        answer = run(["/usr/bin/python3", os.path.join(HERE, "client.py"), "PUT", "/llama-judge"], env=self.environment)
        if not answer.startswith("200"):
            raise RuntimeError(f"no bucket: {answer}")

    def start_emulator(self, program):
        """The emulator in the image's root, as if it were part of the image; returns its port."""
        image, bundle = self.path("image"), self.path("bundle")
        run(["llama", "image", "--ca-bundle", self.environment["AWS_CA_BUNDLE"], "build", image], env=self.environment)
        run(["umoci", "unpack", "--rootless", "--image", f"{image}:latest", bundle], env=self.environment)
        root = os.path.join(bundle, "rootfs")
        shutil.copy(program, os.path.join(root, "aws-lambda-rie"))
        config = json.loads(run(["skopeo", "inspect", "--config", f"oci:{image}"], env=self.environment))["config"]
        function = dict(word.split("=", 1) for word in config["Env"])
        function |= {name: self.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
        port = free_port()
        emulator = self.start("emulator", [
            shutil.which("bwrap"), "--unshare-all", "--share-net", "--die-with-parent", "--uid", "993", "--gid", "993", "--ro-bind", root, "/",
            "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/", "/aws-lambda-rie",
            "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{free_port()}",
            *config["Entrypoint"]], function)
        wait_until("the emulator", emulator, lambda: listens(port))
        return port

    def compile(self, port):
        """A project of a unit after the other, for there is one environment; returns what llama says of it."""
        project = self.path("project")
        os.mkdir(project)
        for unit in UNITS:
            with open(os.path.join(project, f"{unit}.c"), "w", encoding="utf-8") as file:
                file.write(f"#include <stdio.h>\nint {unit}(void) {{ return puts(__FILE__); }}\n")
        with open(os.path.join(project, "Makefile"), "w", encoding="utf-8") as file:
            file.write(f"CFLAGS = -g -O2 -Wall\nall: {' '.join(unit + '.o' for unit in UNITS)}\n")
        with open(self.path("config.ini"), "w", encoding="utf-8") as file:
            file.write("bucket = llama-judge\nfunction = function\n")
        run(["make", "CC=gcc"], cwd=project, env=self.environment)
        self.expected = self.objects()
        for unit in UNITS:
            os.unlink(os.path.join(project, f"{unit}.o"))
        return run(["llama", "build", "--engine", "lambda", "make", "CC=gcc"], cwd=project,
                   env={**self.environment, "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}"})

    def objects(self):
        contents = []
        for unit in UNITS:
            with open(os.path.join(self.path("project"), f"{unit}.o"), "rb") as file:
                contents.append(file.read())
        return contents

    def stop(self):
        subprocess.run(["llama", "stop"], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def post(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", INVOKE, body)
    return connection.getresponse().read().decode(errors="replace")


def judge(place, emulator):
    """Yields (what, whether it is so, what was seen)."""
    place.start_cloud()
    port = place.start_emulator(emulator)
    said = place.compile(port)
    yield "every unit is compiled under the emulator", f"{len(UNITS)} compiled in Lambda" in said, said
    yield "its objects are those of a plain build", place.objects() == place.expected, "they differ"
    said = post(port, '{"no": "job"}')
    yield "what is no job is answered with an error", '"Llama.Request"' in said, said


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for program in ("bwrap", "umoci", "skopeo"):
        if not shutil.which(program):
            skip(f"{program} is not installed")
    if subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, check=False).returncode != 0:
        skip("this system allows bubblewrap nothing")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="llama-rie-") as directory:
        emulator = install(directory)
        place = Place(os.path.abspath(sys.argv[1]), directory)
        try:
            for what, good, seen in judge(place, emulator):
                passed, failed = passed + good, failed + (not good)
                print(f"{'ok' if good else 'FAILED'} {what}", *([] if good else [f"    {line}" for line in seen.splitlines()]), sep="\n")
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print("FAILED", *(f"    {line}" for line in str(error).splitlines()), sep="\n")
        finally:
            place.stop()
        for path in place.logs if failed else ():
            print(f"FAILED with this in {os.path.basename(path)}:")
            with open(path, encoding="utf-8", errors="replace") as file:
                print(*(f"    {line[:400]}" for line in file.read().splitlines()[-20:]), sep="\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
