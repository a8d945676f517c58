#!/usr/bin/env python3
"""terminal.py BUILD PROJECT: a newcomer's session in a real terminal (tmux), against a test cloud of its own, printed as the terminal
showed it: `llama bootstrap`, a build of PROJECT by make, `llama status`, `llama teardown`.

What is printed is what was on the screen: docs/session.txt is made so, from a release and Lua. Ends with 1, and the screen on stderr, when a command
does; nothing but what make made stays: home, cache, cloud and terminal lie below one temporary directory."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

COLUMNS, LINES = 160, 50
LIMIT_S = 540  # of the whole session; the caller's patience, not a measure


class Terminal:
    """A tmux server of its own with one shell, whose prompt is "$ "."""

    def __init__(self, directory, environment, cwd):
        self.socket = os.path.join(directory, "tmux")
        self.environment = environment
        rc = os.path.join(directory, "bashrc")
        with open(rc, "w", encoding="utf-8") as file:
            # Each prompt says that the command before it has ended, and how.
            file.write("PS1='$ '\nHISTFILE=\n"
                       f"PROMPT_COMMAND='echo $? >{shlex.quote(directory)}/status; tmux wait-for -S prompt'\n")
        self.status = os.path.join(directory, "status")
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "-c", cwd, "bash", "--rcfile", rc, "-i")
        self.tmux("set-option", "-g", "history-limit", "5000")
        self.wait_for_prompt()

    def tmux(self, *arguments, timeout=60):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], env=self.environment, check=True, timeout=timeout,
                              stdout=subprocess.PIPE, text=True).stdout

    def wait_for_prompt(self):
        self.tmux("wait-for", "prompt", timeout=LIMIT_S)
        self.wait_for_screen("\n$")

    def wait_for_screen(self, end):
        deadline = time.monotonic() + LIMIT_S
        while not ("\n" + self.screen().rstrip()).endswith(end):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the screen never ended with {end!r}")
            time.sleep(0.05)

    def screen(self):
        """All that was shown, without the blank lines at its end."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-").rstrip() + "\n"

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def run(self, command, answers=()):
        """Type it, and what it asks for when it asks: (end of the question, answer)."""
        self.type(command)
        for question, answer in answers:
            self.wait_for_screen(question)
            self.type(answer)
        self.wait_for_prompt()
        with open(self.status, encoding="utf-8") as file:
            status = file.read().strip()
        if status != "0":
            raise RuntimeError(f"{command}: exit status {status}")

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.environment, check=False)


def start_cloud(build, directory):
    """The cloud's process, and the variables it prints for whoever talks to it."""
    ready = os.path.join(directory, "ready")
    with open(os.path.join(directory, "cloud.log"), "w", encoding="utf-8") as log:
        cloud = subprocess.Popen([os.path.join(build, "tests/cloud/llama-cloud"), f"--state={directory}/cloud", f"--ready={ready}"],
                                 stdout=log, stderr=log)
    while not os.path.exists(ready) or not os.path.getsize(ready):
        if cloud.poll() is not None:
            raise RuntimeError(f"the test cloud ended: {open(log.name, encoding='utf-8').read()}")
        time.sleep(0.1)
    text = subprocess.run(["bash", "-c", f". {shlex.quote(ready)} && env -0"], env={"PATH": "/usr/bin:/bin"}, check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    pairs = dict(pair.split("=", 1) for pair in text.split("\0") if pair)
    return cloud, {name: value for name, value in pairs.items() if name.startswith(("AWS_", "LLAMA_"))}


def play(build, project, directory):
    cloud, variables = start_cloud(build, directory)
    home = os.path.join(directory, "home")
    environment = {
        "HOME": home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "SHELL": "/bin/bash", "TERM": "xterm",
        "PATH": f"{build}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LLAMA_RUNTIME_DIR": os.path.join(directory, "run"), **variables,
    }
    os.mkdir(home)
    terminal = None
    try:
        terminal = Terminal(directory, environment, project)
        terminal.run("llama bootstrap", [("[y/N]", "y")])
        terminal.run("llama build make -j64 >/dev/null")
        terminal.run("llama status")
        terminal.run("llama teardown", [("[y/N]", "y")])
        print(terminal.screen().rstrip().removesuffix("$").rstrip())
    except BaseException:
        if terminal:
            print(terminal.screen(), file=sys.stderr)
        raise
    finally:
        subprocess.run([os.path.join(build, "llama"), "daemon", "--stop"], env=environment, check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        if terminal:
            terminal.close()
        cloud.send_signal(signal.SIGTERM)
        cloud.wait()


def main():
    build, project = (os.path.abspath(path) for path in sys.argv[1:])
    # Home is below it, and the socket's name has to be short.
    directory = tempfile.mkdtemp(prefix="llama-terminal-")
    try:
        play(build, project, directory)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"terminal.py: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
