"""Programs that stand in for llama and llamacc when the runner itself is tested: they compile with the real compiler,
pretend to have executed a compilation the first time and to have a hit the second time, and spoil what they are told."""

import os
import textwrap

SABOTAGES = {
    "none": "",
    "one byte of the object": """
        data = bytearray(open(output, "rb").read()); data[-1] ^= 1; open(output, "wb").write(data)
        """,
    "an extra file": 'open("unforeseen", "w").close()',
    "an extra temporary": 'open(os.environ["TMPDIR"] + "/left.s", "w").close()',
    "the object's mode": "os.chmod(output, 0o600)",
    "an object that is missing": "os.unlink(output)",
    "a line on stderr": 'os.write(2, b"llamacc: hello\\n")',
    "a line on stdout": 'os.write(1, b"hello\\n")',
    "the exit code": "code = 3",
    "an object with an old time": "os.utime(output, (1, 1))",
    "a second name of the object": 'os.link(output, "second.o")',
    "the header rewritten": 'open("x.h", "r+").write(open("x.h").read()); os.utime("x.h")',
    "only the hit": 'spoil = decision == "hit"; code = 9 if spoil else code',
    "a decision that isn't expected": 'decision, reason = "local", "engine_failed"',
    "no hit": 'decision = "sandbox" if decision == "hit" else decision',
    "a request too many": "write_log(decision, reason)",
    "no request at all": "decision = None",
}

LLAMACC = '''\
#!/usr/bin/env python3
import hashlib, json, os, shutil, subprocess, sys, urllib.parse

def write_log(decision, reason):
    with open(os.environ["LLAMA_LOG"], "a") as log:
        log.write(f"time=0 cwd={urllib.parse.quote(os.getcwd())} decision={decision} reason={reason}\\n")

name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
if name.startswith("llamac"):
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        name, arguments = os.path.basename(arguments[0]), arguments[1:]
    else:
        name = os.environ["LLAMACC_LOCAL_CXX" if name.endswith("+") else "LLAMACC_LOCAL_CC"]
me = os.path.realpath(sys.argv[0])
path = ":".join(d for d in os.environ["PATH"].split(":") if os.path.realpath(os.path.join(d, name)) != me)
real = shutil.which(name, path=path)
code = subprocess.run([real, *arguments], env={**os.environ, "PATH": path}).returncode
decision, reason = {"namespaces": "sandbox", "inplace": "inplace"}[os.environ["LLAMA_SANDBOX"]], "-"
output = arguments[arguments.index("-o") + 1] if "-o" in arguments else "x.o"
if code != 0:
    decision, reason = "local", "compile_error_retry"
elif "-c" not in arguments and "-S" not in arguments:
    decision, reason = "local", "link"
else:
    os.makedirs(os.environ["LLAMA_CACHE_DIR"], exist_ok=True)
    seen = os.path.join(os.environ["LLAMA_CACHE_DIR"], hashlib.sha256(repr([os.getcwd(), arguments]).encode()).hexdigest())
    if os.path.exists(seen):
        decision = "hit"
    open(seen, "w").close()
if code == 0:
    pass
@SABOTAGE@
if decision:
    write_log(decision, reason)
sys.exit(code)
'''

LLAMA = '''\
#!/usr/bin/env python3
import json, os, sys
if sys.argv[1:] == ["stats", "--json"]:
    try:
        log = open(os.environ["LLAMA_LOG"]).read()
    except FileNotFoundError:
        log = ""
    count = lambda decision: log.count(f"decision={decision} ")
    local = count("local")
    print(json.dumps({"requests": log.count("\\n"), "hits": {"local": count("hit") + @LIE@},
                      "executed": {"sandbox": count("sandbox"), "inplace": count("inplace")},
                      "local": {"total": local, "reasons": {"all": local} if local else {}}, "scan_miss": 0}))
'''


def install(directory, sabotage="none", lie=0):
    """Write llama and llamacc into `directory`; `lie` is added to the hits that llama reports."""
    os.makedirs(directory)
    spoil = textwrap.indent(textwrap.dedent(SABOTAGES[sabotage]).strip(), "    ")
    for name, text in (("llamacc", LLAMACC.replace("@SABOTAGE@", spoil)), ("llama", LLAMA.replace("@LIE@", str(lie)))):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, 0o755)
