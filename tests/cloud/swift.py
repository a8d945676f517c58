#!/usr/bin/env python3
"""swift.py BUILD: our S3 client (BUILD/aws/test-s3-store) against an S3 that nobody here wrote: OpenStack Swift's, of the package python3-swift.

Its four servers are our child processes, on loopback ports and with one device in a temporary directory; nothing of the system's is touched. Ends with
"N passed, N failed"; where Swift isn't to be had, that is a skip with the reason."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PYTHON = "/usr/bin/python3"                             # the one that the distribution's packages are for
USER, SECRET = "test:tester", "testing"
REGION = "us-east-1"

RINGS = """
import sys
from swift.common.ring import RingBuilder
directory, *servers = sys.argv[1:]
for server in servers:
    name, port = server.split("=")
    builder = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(f"{directory}/{name}.ring.gz")
"""

# What the packages' own swift-*-server do, but for /etc/swift.
SERVER = """
import sys
from swift.common import utils
utils.SWIFT_CONF_FILE = sys.argv[1] + "/swift.conf"
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(f"{sys.argv[1]}/{sys.argv[2]}.conf", sys.argv[2] + "-server", verbose=True))
"""

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
fallocate_reserve = 0
workers = 0
user = {user}
"""

STORAGE = COMMON + """
[pipeline:main]
pipeline = healthcheck {name}-server

[app:{name}-server]
use = egg:swift#{name}

[filter:healthcheck]
use = egg:swift#healthcheck
"""

PROXY = COMMON + """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:s3api]
use = egg:swift#s3api
location = """ + REGION + """

# It insists on a memcached, and does without one that can't be reached.
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1

[filter:tempauth]
use = egg:swift#tempauth
user_""" + USER.replace(":", "_") + f" = {SECRET} .admin\n" + "".join(f"\n[filter:{name}]\nuse = egg:swift#{name}\n" for name in (
    "catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "copy", "slo", "dlo", "versioned_writes", "symlink"))


def skip(reason):
    print(f"skipped: {reason}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def directory_with_attributes():
    """A new directory where files take user attributes of the size that Swift needs; a tmpfs may take none."""
    for parent in (tempfile.gettempdir(), "/var/tmp"):
        place = tempfile.TemporaryDirectory(prefix="llama-swift-", dir=parent)
        try:
            os.setxattr(place.name, "user.swift.metadata", b"x" * 1000)
            return place
        except OSError:
            place.cleanup()
    skip("no file system here takes user attributes (xattr)")


def free_ports(n):
    """Ports that nothing listens on: held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(process, port):
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.05)


def start(directory, processes):
    """The port of the proxy; None: a server did not start."""
    names = ("account", "container", "object", "proxy")
    ports = dict(zip(names, free_ports(len(names))))
    os.mkdir(f"{directory}/devices")
    os.mkdir(f"{directory}/devices/disk")
    with open(f"{directory}/swift.conf", "w", encoding="utf-8") as file:
        file.write("[swift-hash]\nswift_hash_path_prefix = llama\nswift_hash_path_suffix = llama\n")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    for name, port in ports.items():
        with open(f"{directory}/{name}.conf", "w", encoding="utf-8") as file:
            file.write((PROXY if name == "proxy" else STORAGE).format(name=name, port=port, directory=directory, user=user))
    subprocess.run([PYTHON, "-I", "-c", RINGS, directory, *(f"{name}={ports[name]}" for name in names[:3])], check=True, timeout=60)
    for name in names:
        with open(f"{directory}/{name}.log", "wb") as log:
            processes[name] = subprocess.Popen([PYTHON, "-I", "-c", SERVER, directory, name], stdin=subprocess.DEVNULL, stdout=log,
                                               stderr=subprocess.STDOUT)
    return ports["proxy"] if all(wait_for(processes[name], ports[name]) for name in names) else None


def judge(program, port):
    """(passed, failed), and each line printed as scripts/check shows it."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
    environment |= {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
                    "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", "AWS_CONFIG_FILE": "/dev/null",
                    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    result = subprocess.run([program, "llama-judge"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    passed = failed = 0
    for line in result.stdout.splitlines():
        passed += line.startswith("ok ")
        failed += line.startswith("not ok ")
        print(line.replace("not ok ", "FAILED ", 1) if line.startswith("not ok ") else line)
    if result.returncode != 0 and not failed:
        print(f"FAILED test-s3-store: exit status {result.returncode}")
        failed = 1
    return passed, failed


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = os.path.join(os.path.abspath(sys.argv[1]), "aws/test-s3-store")
    if subprocess.run([PYTHON, "-I", "-c", "import swift.proxy.server"], capture_output=True, check=False).returncode != 0:
        skip("OpenStack Swift is not installed (package python3-swift)")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    processes = {}
    with directory_with_attributes() as directory:
        try:
            port = start(directory, processes)
            passed, failed = judge(program, port) if port else (0, 1)
            if failed:
                for name in processes:
                    print(f"FAILED with this from the {name} server:")
                    with open(f"{directory}/{name}.log", encoding="utf-8", errors="replace") as file:
                        print(*("    " + line[:400] for line in file.read().splitlines()[-10:]), sep="\n")
        finally:
            for process in processes.values():
                process.kill()
                process.wait()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
