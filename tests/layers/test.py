#!/usr/bin/env python3
"""test.py ROOT: the arrows between the folders of ROOT are right, and the checker sees one that isn't."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from check import violations                            # noqa: E402

BAD = {
    "base/up.c": ('#include "store/digest.h"\n', "store/ is above base/"),
    "client/heavy.c": ('#include "base/buf.h"\n  #  include "wire/reapi.pb-c.h"\n', "client/ may use only"),
    "cache/peek.h": ('#include "store/disk_internal.h"\n', "this header is for store/ alone"),
    "daemon/main.c": ('#include "base/buf.h"\n#include "cli/table.h"\n', "cli/ is above daemon/"),
    "daemon/near.c": ('#include "job.h"\n', "write the path from the root"),
}
GOOD = {
    "cli/stats.c": '#include <stdio.h>\n#include "base/buf.h"\n#include "daemon/stats.h"\n#include "cli/table.h"\n',
    "client/main.c": '#include "wire/frame.h"\n#include "base/buf.h"\n',
    "store/disk.c": '#include "store/disk_internal.h"\n',
}


def main():
    failures = list(violations(sys.argv[1]))
    with tempfile.TemporaryDirectory() as root:
        for name, text in [*((name, text) for name, (text, _) in BAD.items()), *GOOD.items()]:
            os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        found = list(violations(root))
        for name, (_, message) in BAD.items():
            if sum(line.startswith(name + ":") and message in line for line in found) != 1:
                failures.append(f"the checker missed {name}, which should fail with: {message}")
        failures += [f"the checker is wrong about {line}" for line in found if line.split(":")[0] in GOOD]
    print("\n".join(failures) or "the arrows between the folders are right")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
