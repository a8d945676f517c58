"""The llama under test: its programs, and one isolated daemon for each mode and user."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from urllib.parse import unquote

PROGRAMS = ("llama", "llamacc", "llama-runner", "llama-interpose.so", "llama-runtime")
COMPILER_NAME = re.compile(r"([\w.]+-)*(gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(-[\d.]+)?")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOBODY = 65534
FINAL_DECISIONS = ("hit", "sandbox", "inplace", "lambda", "local")


def compiler_names():
    """The names of all gcc and clang compilers on PATH."""
    found = set()
    for directory in PATH.split(":"):
        if os.path.isdir(directory):
            found.update(name for name in os.listdir(directory) if COMPILER_NAME.fullmatch(name))
    return found


def explanation(fields):
    """Of a request that ran locally the reason; of one that the engine ran, why, and whether its result was not kept."""
    told = [f"{name} {fields[name]}" for name in ("miss", "unkept") if name in fields]
    return fields.get("reason") or ", ".join(told)


class Installation:
    """A private copy of the programs that every user can reach, with a masquerade directory."""

    def __init__(self, build, directory):
        self.bin = os.path.join(directory, "bin")
        self.masquerade = os.path.join(directory, "masquerade")
        os.makedirs(self.bin)
        os.makedirs(self.masquerade)
        for name in PROGRAMS:
            source = os.path.join(build, name)
            if os.path.exists(source):
                shutil.copy2(source, self.bin)
            elif name in ("llama", "llamacc"):
                raise FileNotFoundError(f"there is no {name} in {build}: build first, or give another --build")
        os.symlink("llamacc", os.path.join(self.bin, "llamac++"))
        for name in compiler_names():
            os.symlink("../bin/llamacc", os.path.join(self.masquerade, name))
        self.llama = os.path.join(self.bin, "llama")
        self.llamacc = os.path.join(self.bin, "llamacc")


class Service:
    """One daemon with directories of its own. Its log is where the decisions of its requests are read from. `settings`
    is its configuration, `variables` are more of its environment."""

    def __init__(self, installation, directory, mode, user=None, aslr=True, settings="", variables=None):
        self.installation, self.mode, self.user = installation, mode, user
        self.settings, self.variables = settings, variables or {}
        self.directory = directory
        self.prefix = [] if aslr else ["setarch", "-R"]
        self.lock = threading.Lock()
        self.offset, self.lines, self.partial = 0, [], b""

    def environment(self):
        return {
            "LLAMA_RUNTIME_DIR": os.path.join(self.directory, "run"),
            "LLAMA_CACHE_DIR": os.path.join(self.directory, "cache"),
            "LLAMA_CONFIG": os.path.join(self.directory, "config.ini"),
            "LLAMA_LOG": os.path.join(self.directory, "log"),
            "LLAMA_SANDBOX": "auto" if self.mode == "lambda" else self.mode,
        }

    def _llama(self, *arguments):
        identity = {"user": self.user, "group": self.user, "extra_groups": []} if self.user is not None else {}
        environment = {"PATH": PATH, "HOME": self.directory, **self.variables, **self.environment()}
        return subprocess.run([*self.prefix, self.installation.llama, *arguments], cwd="/", env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **identity)

    def start(self):
        os.makedirs(self.directory, mode=0o700)
        with open(os.path.join(self.directory, "config.ini"), "w", encoding="utf-8") as file:
            file.write(self.settings)
        if self.user is not None:
            for path in (self.directory, os.path.join(self.directory, "config.ini")):
                os.chown(path, self.user, self.user)
        self.run()

    def run(self):
        """Start the daemon in the directories that are there."""
        started = self._llama("daemon")
        if started.returncode != 0:
            raise RuntimeError(f"llama daemon ({self.mode}) ended with {started.returncode}: {started.stderr.decode()}")
        end = time.monotonic() + 20
        while self._llama("daemon", "--status").returncode != 0:
            if time.monotonic() > end:
                raise RuntimeError(f"llama daemon --status ({self.mode}) reports no daemon 20 s after its start")
            time.sleep(0.05)

    def stop(self):
        """Returns an error text, or None."""
        stopped = self._llama("daemon", "--stop")
        if stopped.returncode != 0:
            return f"llama daemon --stop ({self.mode}) ended with {stopped.returncode}: {stopped.stderr.decode()}"
        return None

    def stats(self):
        printed = self._llama("stats", "--json")
        if printed.returncode != 0:
            raise RuntimeError(f"llama stats --json ended with {printed.returncode}: {printed.stderr.decode()}")
        return json.loads(printed.stdout)

    def fresh_requests(self):
        """What was logged of the requests that ended since the last call, in order: the fields of each line."""
        try:
            with open(self.environment()["LLAMA_LOG"], "rb") as log:
                log.seek(self.offset)
                fresh = log.read()
        except FileNotFoundError:
            return []
        self.offset += len(fresh)
        *whole, self.partial = (self.partial + fresh).split(b"\n")
        requests = []
        for line in whole:
            pairs = (pair.split("=", 1) for pair in line.decode(errors="surrogateescape").split(" ") if "=" in pair)
            fields = {name: unquote(value, errors="surrogateescape") for name, value in pairs}
            if fields.get("decision") in FINAL_DECISIONS and "cwd" in fields:
                requests.append(fields)
        return requests

    def decisions(self):
        """(real path of the cwd with a final slash, decision, why so) of every request logged so far, in order."""
        with self.lock:
            self.lines += [(os.path.realpath(fields["cwd"]) + "/", fields["decision"], explanation(fields))
                           for fields in self.fresh_requests()]
            return list(self.lines)

    def decisions_below(self, root):
        root = os.path.realpath(root) + "/"
        return [(decision, reason) for cwd, decision, reason in self.decisions() if cwd.startswith(root)]
