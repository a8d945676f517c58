"""What a row of the differential table is made of.

A case is a small tree of files and one or more steps in it. A step is a compiler command (or a change made to the tree
between two commands) with an expectation: where the compilation is to happen when it goes through llamacc.

Expectations are strings, alternatives separated by '|':

    remote          executed on the engine (sandbox, in place or Lambda), and a hit when the same command comes again
    executed        executed on the engine both times: a result that must not be reused
    inplace         executed in place, and then a hit, though there are namespaces: the sandbox can't have this toolchain
    home            executed in place both times, whatever the engine: what it reads is this machine's
    hit             a hit already the first time (an earlier step of the case made the result)
    local:REASON    run locally with that reason; REASON may hold the wildcards of fnmatch
    silent          no request reached the daemon: the client decided alone

A dictionary gives different expectations per compiler and mode; keys are tried in the order 'gcc/inplace', 'gcc',
'inplace', ''. A list gives one expectation for each request that a step makes.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

EITHER = "remote|local:*"
OTHER_TOOLS = "remote|inplace|local:*"      # where the tools are the user's, the sandbox may not have all of them
FAILS = "local:compile_error_retry|local:scan_failed"

ENGINE_OF_MODE = {"namespaces": "sandbox", "inplace": "inplace", "lambda": "lambda"}


@dataclass
class File:
    """A regular file; `mtime` in seconds, None for one that no other file of the tree has."""
    text: object = ""
    mode: int = 0o644
    mtime: int = None


@dataclass
class Link:
    """A symbolic link."""
    target: str


@dataclass
class Hard:
    """A second name of another file of the tree."""
    target: str


@dataclass
class Dir:
    """An empty directory (others come into being with their files); `mode` is set after everything is in it."""
    mode: int = 0o755


@dataclass
class Fifo:
    pass


@dataclass
class Step:
    argv: list = None           # command; 'CC' and 'CXX' at the front stand for the compiler
    sh: str = None              # or a shell script using $CC, $CXX
    expect: object = "remote"
    cwd: str = "."
    env: dict = field(default_factory=dict)     # a value of None removes the variable
    path: list = field(default_factory=list)    # directories put at the front of PATH (behind the masquerade)
    stdin: bytes = None
    pty: tuple = None           # (rows, columns): stderr is a terminal of that size
    fifo: str = None            # this FIFO is read while the command runs; its bytes are compared
    umask: int = 0o022
    via: str = "masquerade"     # or 'launcher', 'launcher-bare', 'cc', 'both'
    compiler: str = None        # by this name, when it isn't the usual one; for the launchers
    change: object = None       # or a function of the case's directory: no command, a change to the tree


@dataclass
class Case:
    name: str
    files: dict
    steps: list
    only: tuple = ("gcc", "clang")
    needs: tuple = ()
    user: bool = False          # run as an unprivileged user
    unstable: tuple = ()        # compilers known to differ from themselves here: under a fixed seed and layout at once
    loose: tuple = ()           # files of which only the existence is compared: no two plain runs make the same
    setup: object = None        # a function of the case's directory, run after `files` are there


CASES = []


def case(name, command=None, files=None, *, only=("gcc", "clang"), needs=(), user=False, unstable=(), loose=(),
         setup=None, steps=None, **step):
    """Add a row. `command` is an argv list, or a string split at white space; other arguments are those of Step."""
    assert all(other.name != name for other in CASES), f"two cases are named {name}"
    if steps is None:
        steps = [run(command, **step)]
    CASES.append(Case(name, dict(files or {}), steps, several(only), several(needs), user, several(unstable),
                      several(loose), setup))


def several(value):
    return (value,) if isinstance(value, str) else tuple(value)


def run(command=None, **step):
    if isinstance(command, str):
        command = command.split()
    return Step(argv=command, **step)


def change(function):
    return Step(change=function)


def expectation(expect, compiler, mode):
    """The expectations of a step, one for each request, for this compiler and mode."""
    if isinstance(expect, dict):
        for key in (f"{compiler}/{mode}", compiler, mode, ""):
            if key in expect:
                expect = expect[key]
                break
        else:
            expect = "remote"
    return expect if isinstance(expect, list) else [expect]


def expectation_met(expect, mode, cold, decision, reason, before):
    """Whether a request that ended as `decision` (None: no request) met one of its alternatives. `before` is the
    decision of the same request in the cold pass: what was executed there must be a hit now."""
    engine = ENGINE_OF_MODE[mode]
    for alternative in expect.split("|"):
        if alternative == "remote" and decision == (engine if cold else "hit") and (cold or before == engine):
            return True
        if alternative == "inplace" and decision == ("inplace" if cold else "hit") and (cold or before == "inplace"):
            return True
        if alternative == "home" and decision == "inplace":
            return True
        if alternative == "executed" and decision == engine:
            return True
        if alternative == "hit" and decision == "hit" and (cold or before == "hit"):
            return True
        if alternative == "silent" and decision is None:
            return True
        if alternative.startswith("local:") and decision == "local" and fnmatchcase(reason, alternative[6:]):
            return True
    return False
