"""The test cloud (docs/test-cloud.md) with one function and one bucket, as an environment for a daemon; and what AWS would ask for what was done."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

from measure import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MEMORY_MB = 1769                                        # one whole processor
# Dollars, us-east-1, x86-64, 2026: a GB-second, an invocation, a PUT, a GET. The line out of AWS is not counted: answers are small.
GB_SECOND, INVOCATION, PUT, GET = 0.0000166667, 0.0000002, 0.000005, 0.0000004


class Cloud:
    """Serves while it is entered; `settings` are llama-cloud's options."""

    def __init__(self, build, directory, **settings):
        self.build, self.directory = build, directory
        options = {"state": os.path.join(directory, "state"), "ready": os.path.join(directory, "ready"), **settings}
        self.command = [os.path.join(build, "tests/cloud/llama-cloud"),
                        *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]
        self.process, self.environment, self.control = None, {}, None
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self.set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def set_up(self):
        ready = os.path.join(self.directory, "ready")
        self.wait(lambda: os.path.exists(ready) and os.path.getsize(ready), "does not begin to serve")
        shown = subprocess.run(["sh", "-c", f". '{ready}' && env -0"], capture_output=True, text=True, check=True, env={}).stdout
        told = dict(line.split("=", 1) for line in shown.split("\0") if line)
        self.environment = {name: value for name, value in told.items() if name.startswith("AWS_")}
        self.control = told["LLAMA_CLOUD_CONTROL"]
        image = os.path.join(self.directory, "image")
        subprocess.run([os.path.join(self.build, "llama"), "image", "--ca-bundle", self.environment["AWS_CA_BUNDLE"], "build", image],
                       stdout=subprocess.DEVNULL, check=True)
        function = os.path.join(self.directory, "function.json")
        with open(function, "w", encoding="utf-8") as file:
            json.dump({"FunctionName": "llama", "PackageType": "Image", "Code": {"ImageUri": "oci:" + image}, "Timeout": 900,
                       "MemorySize": MEMORY_MB, "Role": "arn:aws:iam::000000000000:role/llama"}, file)
        self.ask("PUT", "/llama-bench")
        self.ask("POST", "/2015-03-31/functions", "@" + function)
        self.wait(lambda: '"State":"Active"' in self.ask("GET", "/2015-03-31/functions/llama").replace(" ", ""), "has a function that stays pending")
        self.environment |= {"LLAMA_BUCKET": "llama-bench", "LLAMA_FUNCTION": "llama"}

    def ask_control(self, what, body=None):
        with urllib.request.urlopen(f"{self.control}/{what}", body and json.dumps(body).encode(), timeout=60) as answer:
            return json.load(answer)

    def received(self):
        """Bytes of the requests that came from home, as they came."""
        return sum(counter["received"] for service in self.ask_control("counters").values() for counter in service.values())

    def set(self, **settings):
        self.ask_control("settings", {name.replace("_", "-"): value for name, value in settings.items()})

    def forget_workers(self):
        """All environments end, so that the next jobs begin in new ones."""
        self.set(environment_idle_ms=0)
        self.wait(lambda: not self.ask_control("environments")["environments"], "does not end its environments")
        self.set(environment_idle_ms=3600 * 1000)

    def wait(self, condition, complaint):
        for _ in range(200):
            if self.process.poll() is not None:
                raise Failure(f"the test cloud ended: {self.process.stderr.read().decode(errors='replace').strip()[-200:]}")
            if condition():
                return
            time.sleep(0.1)
        raise Failure(f"the test cloud {complaint}")

    def ask(self, *words):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/cloud/client.py"), *words], capture_output=True, text=True,
                              env={**os.environ, **self.environment, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=60)
        if not done.stdout.startswith("20"):
            raise Failure(f"the test cloud refuses {words[0]} {words[1]}: {(done.stdout + done.stderr).strip()[-200:]}")
        return done.stdout


def difference(before, after):
    """What `lambda` and `s3` of the statistics have gained."""
    return {f"{group}.{name}": after[group][name] - before[group][name] for group in ("lambda", "s3") for name in after[group]}


def dollars(used):
    gb_seconds = used["lambda.billed_ms"] / 1000 * MEMORY_MB / 1024
    return gb_seconds * GB_SECOND + used["lambda.requests"] * INVOCATION + used["s3.puts"] * PUT + used["s3.gets"] * GET
