"""Why a row can't run on this machine."""

import functools
import os
import re
import shutil
import subprocess

from service import PATH


@functools.cache
def version(compiler):
    """The major version of a compiler, 0 if there is none."""
    found = shutil.which(compiler, path=PATH)
    if not found:
        return 0
    flag = "-dumpfullversion" if compiler == "gcc" else "-dumpversion"
    printed = subprocess.run([found, flag], capture_output=True, text=True, check=False).stdout
    match = re.match(r"(\d+)", printed)
    return int(match.group(1)) if match else 0


@functools.cache
def can_fix_addresses():
    return bool(shutil.which("setarch", path=PATH)) and \
        subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False).returncode == 0


@functools.cache
def accepts(compiler, flags):
    """Whether the compiler compiles an empty unit with these flags."""
    result = subprocess.run([compiler, *flags.split(), "-c", "-x", "c", "/dev/null", "-o", "/dev/null"],
                            capture_output=True, cwd="/", env={"PATH": PATH}, check=False)
    return result.returncode == 0


@functools.cache
def locales():
    return subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.lower().split()


@functools.cache
def llvm_profdata():
    """The llvm-profdata that belongs to clang, or None."""
    names = ("llvm-profdata", f"llvm-profdata-{version('clang')}")
    return next(filter(None, (shutil.which(name, path=PATH) for name in names)), None)


def missing(need, compiler):
    """The reason why `need` isn't met for this compiler, or None. Needs are: 'x86_64'; 'locale NAME'; 'command NAME';
    'file PATH'; 'profdata'; 'versioned name'; 'flags FLAGS' (accepted by the compiler); 'gcc>=N', 'clang>=N', 'gcc<N', … (about that compiler only)."""

    kind, _, value = need.partition(" ")
    compared = re.fullmatch(r"(gcc|clang)(>=|<)(\d+)", need)
    if compared:
        name, operator, number = compared.groups()
        have = version(name)
        met = have >= int(number) if operator == ">=" else have < int(number)
        return None if name != compiler or met else f"needs {need}, this is {have}"
    if kind == "x86_64":
        return None if os.uname().machine == "x86_64" else f"for x86-64 only, this is {os.uname().machine}"
    if kind == "profdata":
        return None if llvm_profdata() else "there is no llvm-profdata command"
    if kind == "versioned":
        name = f"{compiler}-{version(compiler)}"
        return None if shutil.which(name, path=PATH) else f"there is no {name} command"
    if kind == "locale":
        short = value.lower().replace("utf-8", "utf8")
        return None if short in locales() else f"locale {value} isn't installed"
    if kind == "command":
        return None if shutil.which(value, path=PATH) else f"there is no {value} command"
    if kind == "file":
        return None if os.path.exists(value) else f"there is no {value}"
    if kind == "flags":
        return None if accepts(compiler, value) else f"{compiler} here doesn't accept {value}"
    raise ValueError(f"unknown precondition {need}")
