#!/usr/bin/env python3
"""check.py ROOT: fail on an #include that points from a lower folder to a higher one.

The folders are layers (docs/ARCHITECTURE.md), lowest first; a file may include what lies in its own folder or in one
before it. The client may use only base/ and the frames, because it is linked statically and starts a thousand times.
A file named *_internal.h is for its own folder."""

import os
import re
import sys

LAYERS = ["base", "event", "wire", "store", "files", "compiler", "cache", "worker", "aws", "exec", "daemon", "client",
          "runtime", "setup", "cli"]
# What a folder may use when that is less than everything before it; whole folders end in a slash.
ONLY = {"client": ("client/", "base/", "wire/frame.h", "wire/endpoint.h")}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def violations(root):
    """Yield "file: what is wrong" for each bad arrow below root; a folder that isn't in the list is one too."""
    for folder in sorted(os.listdir(root)):
        for path in sources(os.path.join(root, folder)) if folder in LAYERS else ():
            name = os.path.relpath(path, root)
            with open(path, encoding="utf-8") as file:
                for target in INCLUDE.findall(file.read()):
                    problem = judge(folder, target)
                    if problem:
                        yield f"{name}: includes {target}: {problem}"


def sources(directory):
    for parent, _, names in os.walk(directory):
        yield from (os.path.join(parent, name) for name in sorted(names) if name.endswith((".c", ".h")))


def judge(folder, target):
    there = target.split("/")[0]
    if "/" not in target or there not in LAYERS:
        return "write the path from the root of the sources, beginning with a folder of the list"
    if there == folder:
        return None
    if folder in ONLY and not any(target == may or may.endswith("/") and target.startswith(may)
                                  for may in ONLY[folder]):
        return f"{folder}/ may use only {', '.join(ONLY[folder])}"
    if LAYERS.index(there) > LAYERS.index(folder):
        return f"{there}/ is above {folder}/"
    if target.endswith("_internal.h"):
        return f"this header is for {there}/ alone"
    return None


def main():
    found = list(violations(sys.argv[1]))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
