"""A test cloud of the runner's own (docs/test-cloud.md), with a bucket and a function that runs llama's image."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time

CLIENT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "cloud", "client.py")
FUNCTIONS = "/2015-03-31/functions"
NAME = "llama"              # of the function
BUCKET = "llama-differential"
PATIENCE_S = 60
# The daemon's configuration for it.
SETTINGS = f"engine = lambda\nregion = us-east-1\nbucket = {BUCKET}\nfunction = {NAME}\n"


class Cloud:
    """`program` is llama-cloud. What it is told and says is below `directory`, which everybody may read."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.process = None
        self.variables = {}     # how AWS's tools, and the daemon, find it

    def start(self, llama):
        """Start it, have `llama` build the image, and make bucket and function of it."""
        os.makedirs(self.directory)
        ready = self.path("ready")
        with open(self.path("log"), "wb") as log:
            self.process = subprocess.Popen([self.program, f"--state={self.path('state')}", f"--ready={ready}"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.wait("starts", lambda: os.path.exists(ready) and os.path.getsize(ready))
        with open(ready, encoding="utf-8") as file:
            lines = [shlex.split(line) for line in file]
        self.variables = dict(word.split("=", 1) for verb, *words in lines if verb == "export" for word in words)
        authority = self.path("ca.pem")         # the state directory is the cloud's alone
        shutil.copyfile(self.variables["AWS_CA_BUNDLE"], authority)
        self.variables["AWS_CA_BUNDLE"] = authority
        image = self.path("image")
        built = subprocess.run([llama, "image", "--ca-bundle", authority, "build", image],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if built.returncode != 0:
            raise RuntimeError(f"llama image build ended with {built.returncode}: {built.stderr}")
        self.request("PUT", f"/{BUCKET}")
        self.request("POST", FUNCTIONS, {
            "FunctionName": NAME, "PackageType": "Image", "Code": {"ImageUri": f"oci:{image}"}, "Timeout": 300,
            "MemorySize": 1769, "Role": "arn:aws:iam::000000000000:role/llama", "EphemeralStorage": {"Size": 4096},
        })
        self.wait("has the function", lambda: '"State":"Active"' in
                  self.request("GET", f"{FUNCTIONS}/{NAME}/configuration").replace('": ', '":'))

    def stop(self):
        """Returns an error text, or None."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"the test cloud doesn't end when told to; {self.said()}"
        return f"the test cloud ended with {status}; {self.said()}" if status != 0 else None

    def request(self, method, target, body=None):
        """The answer's body of a signed request, which must succeed."""
        words = []
        if body:
            with open(self.path("body"), "w", encoding="utf-8") as file:
                json.dump(body, file)
            words = ["Content-Type:application/json", "@" + self.path("body")]
        sent = subprocess.run([sys.executable, CLIENT, method, target, *words], env={**os.environ, **self.variables},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        status, _, answer = sent.stdout.partition(" ")
        if not status.startswith("2"):
            raise RuntimeError(f"{method} {target} of the test cloud: {sent.stdout}{sent.stderr}")
        return answer

    def wait(self, what, met):
        end = time.monotonic() + PATIENCE_S
        while not met():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the test cloud ends, or takes {PATIENCE_S} s, before it {what}; {self.said()}")
            time.sleep(0.05)

    def said(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return "it said: " + file.read()[-2000:]

    def path(self, name):
        return os.path.join(self.directory, name)
