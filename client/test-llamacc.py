"""llamacc against a scripted daemon. Usage: test-llamacc.py LLAMACC [unittest arguments]

The "real compiler" is a link to /bin/sh: `llamacc -c COMMANDS` then says, when run locally, what it was given."""

import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

REQUEST, DONE, LOCAL, COMMITTED = 1, 2, 3, 4
NESTED = 1 << 5


def frame(kind, payload=b"", magic=b"llma", version=2):
    return magic + struct.pack("<HHI", version, kind, len(payload)) + payload


def blob(data):
    data = os.fsencode(data) if isinstance(data, str) else data
    return struct.pack("<I", len(data)) + data


def done(code=0, out=b"", err=b"", renames=()):
    names = b"".join(blob(temporary) + blob(target) for temporary, target in renames)
    return frame(DONE, struct.pack("<I", code) + blob(b"hit") + blob(out) + blob(err) + struct.pack("<I", len(renames)) + names)


def local(reason="link"):
    return frame(LOCAL, blob(reason))


class Request:
    """The fields of a REQUEST, in their order."""

    def __init__(self, payload):
        self.rest = payload
        self.compiler = self.string()
        self.cwd = self.string()
        self.argv = [self.string() for _ in range(self.number("<I"))]
        self.env = dict(self.string().split("=", 1) for _ in range(self.number("<I")))
        self.umask, self.stdio, self.columns, self.rows = (self.number("<I") for _ in range(4))
        self.root_dev, self.root_ino, self.mount_ns = (self.number("<Q") for _ in range(3))
        assert not self.rest

    def number(self, form):
        size = struct.calcsize(form)
        (value,), self.rest = struct.unpack(form, self.rest[:size]), self.rest[size:]
        return value

    def string(self):
        size = self.number("<I")
        value, self.rest = self.rest[:size], self.rest[size:]
        return os.fsdecode(value)


def receive(connection):
    """One frame's type and payload; None at the end."""
    header = connection.recv(12, socket.MSG_WAITALL)
    if len(header) < 12:
        return None
    assert header[:4] == b"llma" and header[4:6] == b"\2\0"
    kind, length = struct.unpack("<HI", header[6:])
    return kind, connection.recv(length, socket.MSG_WAITALL) if length else b""


def view_name():
    """The name that a view of the file system gives the socket, computed as wire/endpoint.c does."""
    mask = 2**64 - 1
    h = 0
    root = os.stat("/")
    for v in (root.st_dev, root.st_ino, os.stat("/proc/self/ns/mnt").st_ino):
        h = ((h ^ v) + 0x9E3779B97F4A7C15) & mask
        h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & mask
        h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & mask
        h ^= h >> 31
    return "%016x" % h


class Daemon:
    """Listens, and hands each connection's request to `script(request, connection)`, whose bytes it sends. Keeps what
    followed."""

    def __init__(self, runtime, script, backlog=128):
        self.script = script
        self.requests, self.peers, self.after = [], [], []
        self.ended = threading.Semaphore(0)  # once per finished conversation
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(runtime, view_name() + ".sock"))
        self.listener.listen(backlog)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        with connection:
            try:
                pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                kind, payload = receive(connection)
                assert kind == REQUEST
                self.requests.append(Request(payload))
                self.peers.append(pid)
                answer = self.script(self.requests[-1], connection)
                if answer is not None:
                    connection.sendall(answer)
                    self.after.append(receive(connection))
            except OSError:
                pass
        self.ended.release()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Llamacc(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="test-llamacc-")
        self.addCleanup(directory.cleanup)
        self.top = os.path.realpath(directory.name)
        for name in "bin", "compilers", "run", "src":
            os.mkdir(self.at(name), 0o700)
        os.chdir(self.at("src"))
        # A copy, because a daemon would be looked for beside it.
        self.llamacc = self.at("bin/llamacc")
        with open(LLAMACC, "rb") as source:
            self.write("bin/llamacc", source.read(), 0o755)
        os.symlink("/bin/sh", self.at("compilers/cc"))
        self.environment = {
            "PATH": self.at("bin") + ":" + self.at("compilers") + ":/usr/bin:/bin",
            "LLAMA_RUNTIME_DIR": self.at("run"),
            "LANG": "C",
            "HOME": self.top,
        }

    def at(self, name):
        return os.path.join(self.top, name)

    def write(self, name, data, mode=0o644):
        with open(self.at(name), "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        os.chmod(self.at(name), mode)

    def read(self, name):
        with open(self.at(name), "rb") as f:
            return f.read()

    def daemon(self, script):
        d = Daemon(self.at("run"), script)
        self.addCleanup(d.close)
        return d

    def run_llamacc(self, *arguments, program=None, env=(), **options):
        return subprocess.run([program or self.llamacc, *arguments], env={**self.environment, **dict(env)}, timeout=60,
                              stdout=options.pop("stdout", subprocess.PIPE), stderr=options.pop("stderr", subprocess.PIPE),
                              stdin=subprocess.DEVNULL, **options)

    def assert_ran_locally(self, result=None, **options):
        result = result or self.run_llamacc("-c", "echo ran; exit 7", **options)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (7, b"ran\n", b""))

    def test_done_is_committed_then_printed_then_acknowledged(self):
        self.write("src/x.o", "old")
        old = os.stat("x.o").st_ino

        def script(request, connection):
            self.write("src/.x.o.tmp", "new")
            self.write("src/.x.d.tmp", "deps")
            return done(3, b"to stdout\0", b"to stderr", [(self.at("src/.x.o.tmp"), self.at("src/x.o")),
                                                           (self.at("src/.x.d.tmp"), self.at("src/x.d"))])

        daemon = self.daemon(script)
        result = self.run_llamacc("-c", "x.c")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, b"to stdout\0", b"to stderr"))
        self.assertEqual((self.read("src/x.o"), self.read("src/x.d")), (b"new", b"deps"))
        self.assertNotEqual(os.stat("x.o").st_ino, old)
        self.assertEqual(sorted(os.listdir(".")), ["x.d", "x.o"])
        daemon.ended.acquire(timeout=10)
        self.assertEqual(daemon.after, [(COMMITTED, b"")])

    def test_the_request_says_what_a_compiler_could_know(self):
        daemon = self.daemon(lambda request, connection: done())
        self.run_llamacc("-c", "a b.c", "", "\udcff", env={"CPATH": "/x", "UNRELATED": "1", "LC_ALL": "C"}, umask=0o027)
        (request,) = daemon.requests
        self.assertEqual(request.compiler, self.at("compilers/cc"))
        self.assertEqual(request.argv, [self.at("compilers/cc"), "-c", "a b.c", "", "\udcff"])
        self.assertEqual(request.cwd, self.at("src"))
        self.assertEqual(request.env, {"PATH": self.environment["PATH"], "LANG": "C", "CPATH": "/x", "LC_ALL": "C"})
        self.assertEqual(request.umask, 0o027)
        self.assertEqual((request.stdio, request.columns, request.rows), (0, 0, 0))
        root = os.stat("/")
        self.assertEqual((request.root_dev, request.root_ino), (root.st_dev, root.st_ino))
        self.assertEqual(request.mount_ns, os.stat("/proc/self/ns/mnt").st_ino)

    def test_a_terminal_is_described(self):
        daemon = self.daemon(lambda request, connection: done())
        import fcntl, pty, termios
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, 132, 0, 0))
        self.run_llamacc("-c", "x.c", stderr=theirs)
        os.close(ours)
        os.close(theirs)
        self.assertEqual(daemon.requests[0].stdio, 1 << 4)
        self.assertEqual((daemon.requests[0].columns, daemon.requests[0].rows), (132, 50))

    def test_local_becomes_the_compiler(self):
        daemon = self.daemon(lambda request, connection: local())
        result = self.run_llamacc("-c", 'echo "$0 $$ $LLAMACC_NESTED $UNRELATED"; exit 7', env={"UNRELATED": "kept"})
        self.assertEqual(result.returncode, 7)
        # The same process: a core that the daemon lent it is taken until the compiler ends.
        self.assertEqual(result.stdout.decode(), "%s %d 1 kept\n" % (self.at("compilers/cc"), daemon.peers[0]))
        self.assertEqual(result.stderr, b"")
        daemon.ended.acquire(timeout=10)
        self.assertEqual(daemon.after, [None])
        self.assertEqual(daemon.requests[0].stdio & NESTED, 0)
        self.run_llamacc("-c", "exit", env={"LLAMACC_NESTED": "1"})
        self.assertEqual(daemon.requests[1].stdio & NESTED, NESTED)

    def test_a_daemon_that_hangs_up_is_no_obstacle(self):
        self.daemon(lambda request, connection: None)
        self.assert_ran_locally()

    def test_answers_that_make_no_sense_are_no_obstacle(self):
        answers = [frame(LOCAL, magic=b"HTTP"), frame(LOCAL, blob("x"), version=1), frame(DONE, b"short"), frame(COMMITTED),
                   frame(99), done()[:-1], local()[:5], b""]
        self.daemon(lambda request, connection: (connection.sendall(answers.pop(0)), connection.shutdown(socket.SHUT_WR))[:0] or b"")
        while answers:
            self.assert_ran_locally()

    def test_a_hung_daemon_is_noticed(self):
        release = threading.Event()
        self.addCleanup(release.set)
        self.daemon(lambda request, connection: release.wait(60) and None)
        # Stamped long ago, never stamped, stamped by another boot.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000000
        for stamp in struct.pack("=q", now - 5000), b"", None, struct.pack("=q", now + 10**9):
            if stamp is not None:
                self.write("run/%s.beat" % view_name(), stamp)
            else:
                os.unlink(self.at("run/%s.beat" % view_name()))
            start = time.monotonic()
            self.assert_ran_locally(env={"LLAMACC_DEV_STALE_MS": "1500"})
            self.assertLess(time.monotonic() - start, 6)

    def test_a_busy_daemon_is_waited_for(self):
        answer_at = time.monotonic() + 4
        beat = "run/%s.beat" % view_name()

        def now():
            return struct.pack("=q", time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000000)

        def script(request, connection):
            fd = os.open(self.at(beat), os.O_WRONLY)  # a word in place, as the daemon does: never an empty file
            while time.monotonic() < answer_at:
                os.pwrite(fd, now(), 0)
                time.sleep(0.05)
            os.close(fd)
            return done(5)

        self.write(beat, now())

        self.daemon(script)
        self.assertEqual(self.run_llamacc("-c", "echo ran", env={"LLAMACC_DEV_STALE_MS": "2500"}).returncode, 5)

    def test_a_daemon_stuck_in_the_middle_of_a_large_request_is_noticed(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.at("run/%s.sock" % view_name()))
        listener.listen(4)
        self.addCleanup(listener.close)
        arguments = ["x" * 100000] * 15
        result = self.run_llamacc("-c", "echo ran; exit 7", *arguments, env={"LLAMACC_DEV_STALE_MS": "500"})
        self.assert_ran_locally(result)

    def test_large_requests_and_answers_arrive_whole(self):
        text = os.urandom(1 << 20) * 8
        daemon = self.daemon(lambda request, connection: time.sleep(0.3) or done(0, text, text[::-1]))
        arguments = ["x" * 100000] * 15
        result = self.run_llamacc("-c", *arguments)
        self.assertEqual(daemon.requests[0].argv[2:], arguments)
        self.assertTrue(result.stdout == text and result.stderr == text[::-1])

    def test_output_reaches_a_pipe_that_does_not_block(self):
        text = b"x" * (1 << 20)
        self.daemon(lambda request, connection: done(0, text))
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        child = subprocess.Popen([self.llamacc, "-c", "x.c"], env=self.environment, stdout=writer)
        os.close(writer)
        time.sleep(0.2)
        with open(reader, "rb") as f:
            self.assertEqual(f.read(), text)
        self.assertEqual(child.wait(10), 0)

    def test_messages_without_a_reader_are_the_compilers_own_business(self):
        self.daemon(lambda request, connection: done(4, b"text", b"text"))
        reader, writer = os.pipe()
        os.close(reader)
        result = self.run_llamacc("-c", "exit 7", stdout=writer)
        os.close(writer)
        self.assertEqual(result.returncode, 7)

    def test_commits_that_fail_are_compiled_locally_and_leave_nothing(self):
        self.write("src/x.o", "old")
        os.link("x.o", "twin.o")

        def script(request, connection):
            self.write("src/.x.o.tmp", "new")
            return done(0, b"never seen", b"", [(self.at("src/.x.o.tmp"), self.at("src/x.o"))])

        daemon = self.daemon(script)
        self.assert_ran_locally()
        self.assertEqual(sorted(os.listdir(".")), ["twin.o", "x.o"])
        self.assertEqual(self.read("src/twin.o"), b"old")
        daemon.ended.acquire(timeout=10)
        self.assertEqual(daemon.after, [None])

    def test_closed_standard_descriptors_stay_closed(self):
        answers = []
        daemon = self.daemon(lambda request, connection: answers.pop(0))
        show = "ls -l /proc/$$/fd >fds 2>&1"
        for closed in (0,), (1,), (2,), (0, 1, 2):
            def close():
                for fd in closed:
                    os.close(fd)
            answers.append(done(9, b"out", b"err", [(self.at("src/t"), self.at("src/x.o"))]))
            self.write("src/t", "new")
            result = self.run_llamacc("-c", "x.c", preexec_fn=close)
            self.assertEqual(result.returncode, 9)
            self.assertEqual(daemon.requests[-1].stdio, sum(1 << fd for fd in closed))
            self.assertEqual(self.read("src/x.o"), b"new")
            self.assertEqual(result.stdout + result.stderr,
                             (b"" if 1 in closed else b"out") + (b"" if 2 in closed else b"err"))
            answers.append(local())
            # Descriptors of its own must not be what the compiler takes for its input or output.
            self.assertEqual(self.run_llamacc("-c", show, preexec_fn=close).returncode, 0)
            self.assertNotIn(b"socket", self.read("src/fds"))
            self.assertNotIn(b"run/", self.read("src/fds"))

    def test_only_when_asked_it_says_what_was_decided(self):
        self.daemon(lambda request, connection: local("stdin") if "-c" in request.argv else done(2))
        result = self.run_llamacc("-c", "exit", env={"LLAMACC_VERBOSE": "1"})
        self.assertEqual(result.stderr.decode(), "llamacc: %s: run locally: stdin\n" % self.at("compilers/cc"))
        result = self.run_llamacc("x.c", env={"LLAMACC_VERBOSE": "1"})
        self.assertEqual(result.stderr.decode(), "llamacc: %s: done by the daemon (hit), exit status 2\n" % self.at("compilers/cc"))
        self.assertEqual(self.run_llamacc("x.c", env={"LLAMACC_VERBOSE": "0"}).stderr, b"")

    def test_filtered_warnings_are_gone_wherever_it_runs(self):
        daemon = self.daemon(lambda request, connection: local())
        result = self.run_llamacc("-c", 'echo "$@"', "-Wall", "-Wno-x", "-Wy", env={"LLAMACC_FILTER_WARNINGS": "x,y"})
        self.assertEqual(result.stdout, b"\n")  # -Wall is $0
        self.assertEqual(daemon.requests[0].argv[1:], ["-c", 'echo "$@"', "-Wall"])

    def test_a_missing_compiler_is_named(self):
        result = self.run_llamacc("no-such-gcc", "-c", "x.c")
        self.assertEqual((result.returncode, result.stdout), (127, b""))
        self.assertIn(b"llamacc: cannot find a compiler: there is no `no-such-gcc` on PATH", result.stderr)
        result = self.run_llamacc("-c", "x.c", env={"LLAMACC_LOCAL_CC": "/none/cc"})
        self.assertEqual(result.returncode, 127)
        self.assertIn(b"LLAMACC_LOCAL_CC names /none/cc", result.stderr)

    def test_odd_compilers_run_as_a_shell_would_run_them(self):
        self.write("compilers/gcc", "echo script $1; exit 6", 0o755)  # no #!
        self.assertEqual(self.run_llamacc("gcc", "-v").stdout, b"script -v\n")
        self.write("compilers/gcc", "#!/no/such/shell\n", 0o755)
        result = self.run_llamacc("gcc", "-v")
        self.assertEqual(result.returncode, 127)
        self.assertIn(b"llamacc: cannot run " + self.at("compilers/gcc").encode(), result.stderr)

    def test_two_that_call_each_other_come_to_an_end(self):
        self.write("compilers/gcc", "#!/bin/sh\nexec %s gcc" % self.llamacc, 0o755)
        result = self.run_llamacc("gcc", env={"PATH": self.at("compilers") + ":/nowhere"})
        self.assertEqual(result.returncode, 126)
        self.assertIn(b"leads back to llamacc", result.stderr)

    def test_a_removed_current_directory_is_the_compilers_affair(self):
        daemon = self.daemon(lambda request, connection: done())
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        try:
            result = self.run_llamacc("-c", "echo ran")
        finally:
            os.chdir("/")
        self.assertEqual((result.returncode, result.stdout), (0, b"ran\n"))
        self.assertEqual(daemon.requests, [])

    def test_an_interrupt_kills_it_and_the_daemon_hears_of_it(self):
        asked = threading.Event()
        heard = []

        def script(request, connection):
            asked.set()
            heard.append(connection.recv(1))

        daemon = self.daemon(script)
        child = subprocess.Popen([self.llamacc, "-c", "x.c"], env=self.environment)
        self.assertTrue(asked.wait(10))
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(10), -signal.SIGINT)
        daemon.ended.acquire(timeout=10)
        self.assertEqual(heard, [b""])

    # Starting a daemon. `llama` is this file again, see llama_main.

    def install_llama(self, how):
        self.write("bin/llama", "#!/bin/sh\nexec '%s' '%s' --llama '%s' %s \"$@\"\n" % (
            sys.executable, os.path.abspath(__file__), self.top, how), 0o755)

    def stop_llamas(self):
        for name in os.listdir(self.top):
            if name.startswith("started."):
                os.kill(int(name.split(".")[1]), signal.SIGKILL)

    def test_the_first_of_many_starts_the_daemon(self):
        self.install_llama("serve")
        self.addCleanup(self.stop_llamas)
        inherited, writer = os.pipe()  # as make's job server
        children = [subprocess.Popen([self.llamacc, "-c", "x.c"], env=self.environment, pass_fds=[writer]) for _ in range(60)]
        self.assertEqual([c.wait(30) for c in children], [11] * 60)
        started = [name for name in os.listdir(self.top) if name.startswith("started.")]
        self.assertEqual(len(started), 1)
        facts = self.read(started[0]).decode().split("\n")
        self.assertEqual(facts[0], "daemon")
        self.assertEqual(facts[1], "/")
        self.assertEqual(facts[2], "/dev/null /dev/null /dev/null")
        self.assertEqual(facts[3], "leader")
        os.close(writer)
        os.set_blocking(inherited, False)
        self.assertEqual(os.read(inherited, 1), b"", "the daemon holds a pipe of the build")
        os.close(inherited)
        self.assertEqual(stat.S_IMODE(os.stat(self.at("run")).st_mode), 0o700)

    def test_a_start_that_fails_is_not_repeated_at_once(self):
        self.install_llama("fail")
        start = time.monotonic()
        self.assert_ran_locally()
        self.assertGreater(time.monotonic() - start, 1.9)
        start = time.monotonic()
        self.assert_ran_locally()
        self.assertLess(time.monotonic() - start, 1.0)
        # A minute later it is.
        mark = self.at("run/%s.start" % view_name())
        os.utime(mark, (time.time() - 61, time.time() - 61))
        self.install_llama("serve")
        self.addCleanup(self.stop_llamas)
        self.assertEqual(self.run_llamacc("-c", "x.c").returncode, 11)
        self.assertEqual(os.stat(mark).st_size, 0)

    def test_no_daemon_is_started_for_probes_or_when_told_to_stay_local(self):
        self.install_llama("serve")
        self.addCleanup(self.stop_llamas)
        self.assertEqual(self.run_llamacc("--version").returncode, 2)  # sh knows no such option
        self.assert_ran_locally(self.run_llamacc("-c", "echo ran; exit 7", "conftest.c"))
        self.assert_ran_locally(env={"LLAMACC_LOCAL": "1"})
        self.assertFalse([name for name in os.listdir(self.top) if name.startswith("started.")])
        # But one that listens is asked, and counts them.
        daemon = self.daemon(lambda request, connection: local())
        self.assert_ran_locally(self.run_llamacc("-c", "echo ran; exit 7", "conftest.c"))
        self.assert_ran_locally(env={"LLAMACC_LOCAL": "1"})
        self.assertEqual(len(daemon.requests), 2)
        self.assertEqual(daemon.requests[1].env["LLAMACC_LOCAL"], "1")

    def test_without_a_llama_beside_it_nothing_is_waited_for(self):
        start = time.monotonic()
        self.assert_ran_locally()
        self.assertLess(time.monotonic() - start, 1.0)


def llama_main(top, how, *arguments):
    """What `llama daemon` does in these tests: tell how it was started, then answer everybody with exit status 11."""
    if how == "fail":
        sys.exit(1)
    links = " ".join(os.readlink("/proc/self/fd/%d" % fd) for fd in range(3))
    leader = "leader" if os.getsid(0) == os.getpid() else "no leader"
    facts = "\n".join((" ".join(arguments), os.getcwd(), links, leader))
    with open("%s/started.%d" % (top, os.getpid()), "w") as f:
        f.write(facts)
    Daemon(os.path.join(top, "run"), lambda request, connection: done(11))
    time.sleep(60)


if __name__ == "__main__":
    if sys.argv[1] == "--llama":
        llama_main(*sys.argv[2:])
    else:
        LLAMACC = os.path.abspath(sys.argv.pop(1))
        unittest.main(verbosity=1)
