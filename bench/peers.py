"""The peers, each measured at the same unit in the same run; one that isn't installed or doesn't work says so."""

import os
import shutil
import statistics
import subprocess
import time

import measure


def cached_hit(name, meter, runs, unit, directory):
    """Client + server CPU and wall of a hit, in ms, for ccache or sccache; raises Failure."""
    if not shutil.which(name):
        raise measure.Failure("not installed")
    home = os.path.join(directory, name)
    os.makedirs(home, exist_ok=True)
    environment = {"CCACHE_DIR": home, "CCACHE_CONFIGPATH": "/dev/null", "SCCACHE_DIR": home,
                   "SCCACHE_SERVER_PORT": "4387", "SCCACHE_CONF": "/dev/null", "SCCACHE_IDLE_TIMEOUT": "0"}
    command = [name, *unit.command]
    server = None
    try:
        if name == "sccache":
            subprocess.run(["sccache", "--start-server"], env={**os.environ, **environment}, check=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            server = newest("sccache")
        # ccache trusts only headers that are older than its run by a second or two; ours are. Twice: miss, then hit.
        measure.run(meter, 2, command, unit.cwd, environment)
        before = measure.tree_cpu_ms(server) if server else 0
        cost = measure.run(meter, runs, command, unit.cwd, environment)
        spent = (measure.tree_cpu_ms(server) - before) / runs if server else 0
        return cost.cpu_ms + spent, cost.wall_ms
    except subprocess.CalledProcessError as error:
        raise measure.Failure(f"its server did not start: {error.stderr.decode(errors='replace').strip()[-100:]}")
    finally:
        if server:
            subprocess.run(["sccache", "--stop-server"], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=60)


def newest(name):
    """The process of that name that started last."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        if text[text.index("(") + 1:text.rindex(")")] == name:
            found.append((int(text.rpartition(")")[2].split()[19]), int(pid)))
    if not found:
        raise measure.Failure("its server is not there")
    return max(found)[1]


def distcc_loopback(meter, runs, units, directory):
    """Client CPU per compilation of these units on a distccd of this machine, their mean, in ms; raises Failure."""
    if not shutil.which("distcc") or not shutil.which("distccd"):
        raise measure.Failure("not installed")
    port = "4386"
    os.makedirs(os.path.join(directory, "distcc"), exist_ok=True)
    log = os.path.join(directory, "distccd.log")
    command = ["distccd", "--no-detach", "--daemon", "--allow", "127.0.0.1", "--listen", "127.0.0.1", "--port", port,
               "--jobs", "2", "--log-file", log, "--enable-tcp-insecure"]
    if os.getuid() == 0:
        os.close(os.open(log, os.O_CREAT | os.O_WRONLY))
        os.chmod(log, 0o666)
        command += ["--user", "nobody"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        time.sleep(1)
        if server.poll() is not None:
            raise measure.Failure("distccd did not start")
        environment = {"DISTCC_HOSTS": f"127.0.0.1:{port}/2", "DISTCC_FALLBACK": "0",
                       "DISTCC_DIR": os.path.join(directory, "distcc")}
        return statistics.mean(measure.run(meter, runs, ["distcc", *unit.command], unit.cwd, environment).cpu_ms
                               for unit in units)
    finally:
        server.terminate()
        server.wait()
