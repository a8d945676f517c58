"""Runs one command as a build would, and keeps everything that can be observed of it."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import threading
from dataclasses import dataclass

TIMEOUT_S = 120


@dataclass
class Outcome:
    code: int
    stdout: bytes
    stderr: bytes
    fifo: bytes = b""


def execute(argv, *, cwd, env, stdin=None, pty=None, fifo=None, umask=0o022, user=None,
            timeout_s=TIMEOUT_S):
    """Run `argv`; with `pty` = (rows, columns) its stderr is a terminal of that size; the FIFO `fifo`, if any, is read
    until the command has ended. Raises TimeoutError after killing a command that takes too long."""
    identity = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    master = slave = None
    if pty:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *pty, 0, 0))
    reader = _FifoReader(fifo) if fifo else None
    process = subprocess.Popen(argv, cwd=cwd, env=env, umask=umask, start_new_session=True,
                               stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=slave if pty else subprocess.PIPE, **identity)
    terminal = _TerminalReader(master, slave) if pty else None
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise TimeoutError(f"no end after {timeout_s} s: {argv}")
    finally:
        if terminal:
            stderr = terminal.finish()
        drained = reader.finish() if reader else b""
    return Outcome(process.returncode, stdout, stderr or b"", drained)


class _TerminalReader:
    """Collects what is written to a pseudo-terminal."""

    def __init__(self, master, slave):
        os.close(slave)
        self.master, self.data = master, b""
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        try:
            while block := os.read(self.master, 65536):
                self.data += block
        except OSError:             # EIO: the last writer has gone
            pass

    def finish(self):
        self.thread.join()
        os.close(self.master)
        return self.data


class _FifoReader:
    """Reads a FIFO. Writers that come and go are all heard: the reader keeps a writing end open itself."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.stop, self.wake = os.pipe()
        self.data = b""
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        while True:
            ready, _, _ = select.select([self.fd, self.stop], [], [])
            if self.fd in ready:
                self.data += os.read(self.fd, 65536)
            elif self.stop in ready:
                return

    def finish(self):
        os.close(self.wake)
        self.thread.join()
        os.close(self.fd)
        os.close(self.stop)
        return self.data
