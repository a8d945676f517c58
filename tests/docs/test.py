#!/usr/bin/env python3
"""test.py ROOT: what the documents list is what the code has: reasons, statistics, configuration keys, image rules, folders, links."""

import os
import re
import sys


def read(*names):
    with open(os.path.join(*names), encoding="utf-8") as file:
        return file.read()


def section(text, begin):
    """The text from `begin` to the next heading."""
    return text[text.index(begin):].partition("\n## ")[0]


def table_words(text):
    """The words in backquotes in the first column of the text's tables."""
    found = set()
    for line in text.splitlines():
        if line.startswith("| `"):
            found.update(re.findall(r"`([^`]+)`", line.split("|")[1]))
    return found


def compare(what, documented, real):
    for name in sorted(documented - real):
        yield f"{what}: `{name}` is documented and does not exist"
    for name in sorted(real - documented):
        yield f"{what}: `{name}` is not documented"


def problems(root):
    interfaces = read(root, "docs/INTERFACES.md")
    statistics, _, reasons = section(interfaces, "## Statistics").partition("The reasons")
    macro = re.compile(r'X\(\w+, "([\w.]+)"')
    yield from compare("reasons", table_words(reasons), set(macro.findall(read(root, "compiler/reason.h"))))
    derived = {"local.reasons", "daemon.cpu_ms", "daemon.rss_bytes", "lambda.gb_seconds"}
    counters = derived | set(macro.findall(read(root, "daemon/stats.h")))
    yield from compare("statistics", table_words(statistics), counters)
    manual = read(root, "man/llama-stats.1.in").partition(".Sh KEYS")[2].partition(".Sh")[0]
    listed = {key for keys in re.findall(r"^\.It Cm (.+)$", manual, re.MULTILINE) for key in keys.split(" , ")}
    yield from compare("llama-stats(1)", listed, counters)
    options = set(re.findall(r'\{ \.name = "(\w+)"', read(root, "daemon/config.c")))
    yield from compare("configuration", {word for word in table_words(section(interfaces, "## Environment"))
                                         if not word.isupper() and not word.startswith("LLAMA")}, options)
    faults = set(re.findall(r'X\(\w+, "([\w-]+)"\)', read(root, "tests/cloud/faults.h")))
    yield from compare("faults of the test cloud", table_words(section(read(root, "docs/test-cloud.md"), "## Faults")), faults)
    image = section(read(root, "docs/IMAGE.md"), "## What Lambda demands")
    yield from compare("rules for images", table_words(image), set(re.findall(r'X\(\w+, "([\w-]+)"', read(root, "aws/image_lint.h"))))
    architecture = read(root, "docs/ARCHITECTURE.md")
    folders = {word.rstrip("/") for word in table_words(section(architecture, "## Folders"))}
    real = {name for name in os.listdir(root) if os.path.exists(os.path.join(root, name, "meson.build"))}
    yield from compare("folders", folders, real - {"tests", "bench", "man", "packaging"} - {name for name in real if "build" in name})
    for document in ("README.md", "HACKING.md", "docs/ARCHITECTURE.md", "docs/INTERFACES.md", "docs/IMAGE.md",
                     "docs/CI.md", "docs/test-cloud.md"):
        text = read(root, document)
        names = re.findall(r"\]\(([^):]+)\)", text)
        for name in names:
            if not os.path.exists(os.path.join(root, os.path.dirname(document), name)):
                yield f"{document}: link to {name}, which is not there"
        for name in re.findall(r"`([a-z]+/[\w./-]+\.(?:h|c|py|proto))`", text):
            if not os.path.exists(os.path.join(root, name)):
                yield f"{document}: names {name}, which is not there"


def main():
    found = list(problems(sys.argv[1]))
    print("\n".join(found) or "the documents say what is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
