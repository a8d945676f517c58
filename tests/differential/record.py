#!/usr/bin/env python3
"""Stands in for a compiler during a real project's own build: notes the command in the file that RECORD names, one line
of JSON, and becomes the real compiler, the next of its name on PATH."""

import json
import os
import sys


def main():
    here = os.path.dirname(os.path.abspath(sys.argv[0]))
    name = os.path.basename(sys.argv[0])
    path = [entry for entry in os.environ["PATH"].split(":") if os.path.realpath(entry) != os.path.realpath(here)]
    line = json.dumps({"argv": [name, *sys.argv[1:]], "cwd": os.getcwd()}) + "\n"
    log = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, line.encode())
    os.close(log)
    os.environ["PATH"] = ":".join(path)
    os.execvpe(name, [name, *sys.argv[1:]], os.environ)


main()
