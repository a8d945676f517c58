#!/usr/bin/env python3
"""Holds the look-up log against strace: every path that the processes of a compilation asked the kernel for must be in the log, or be
covered by the toolchain's own record (loader, locale, gconv), or be of no consequence (/proc/self, temporaries).

    test-trace-strace.py INTERPOSER SOURCE_ROOT

Compiles real sources with each compiler that is here, under strace and under the interposer at once. Exits 77 (skipped) where strace may
not trace."""
import mmap, os, re, shutil, struct, subprocess, sys, tempfile

MAGIC, SIZE = 0x6C747265, 32 << 20
HEADER = struct.Struct("=12I2Q")

C = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include "near.h"
#ifdef __has_include
# if __has_include("nowhere.h") || __has_include(<sys/nowhere.h>)
#  error nowhere
# endif
#endif
__asm__(".section .rodata\\n.incbin \\"blob.bin\\"\\n.text");
int main(int argc, char **argv) { int unused; printf("%d\\n", NEAR); return 0; }
"""
CXX = """#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <filesystem>
#include "near.h"
int main() { std::map<int, std::string> m; int unused; m[NEAR] = "x"; for (auto &p : m) std::cout << p.second; return 0; }
"""
ASM = '#include "near.h"\n.globl f\nf: .long NEAR\n.incbin "blob.bin"\n'

# name, compiler, arguments, environment
CASES = [
    ("gcc", ["gcc", "-c", "-O2", "-Wall", "x.c", "-o", "x.o"], {}),
    ("gcc -g -MD in a locale", ["gcc", "-c", "-g", "-MD", "-MF", "x.d", "x.c"], {"LC_ALL": "C.UTF-8", "LANGUAGE": "de"}),
    ("gcc many -I", ["gcc", "-c", "-Inone", "-I./inc/", "-I", "x.c", "-isystem", "inc", "-iquote", "inc/../inc", "x.c"], {}),
    ("gcc -pipe", ["gcc", "-c", "-pipe", "x.c"], {}),
    ("gcc -save-temps", ["gcc", "-c", "-save-temps", "x.c"], {}),
    ("gcc -gsplit-dwarf", ["gcc", "-c", "-g", "-gsplit-dwarf", "x.c"], {}),
    ("gcc --coverage -fstack-usage", ["gcc", "-c", "--coverage", "-fstack-usage", "x.c"], {}),
    ("gcc -flto", ["gcc", "-c", "-flto", "x.c"], {}),
    ("gcc -M", ["gcc", "-M", "x.c"], {}),
    ("gcc -finput-charset", ["gcc", "-c", "-finput-charset=iso-8859-15", "x.c"], {}),
    ("gcc assembler", ["gcc", "-c", "x.S"], {}),
    ("gcc @file", ["gcc", "@args"], {}),
    ("gcc with COMPILER_PATH and TMP", ["gcc", "-c", "x.c"], {"COMPILER_PATH": "inc", "CPATH": "inc"}),
    ("gcc error", ["gcc", "-c", "-include", "absent.h", "x.c"], {}),
    ("g++", ["g++", "-c", "-O1", "-std=c++17", "y.cc", "-o", "y.o"], {}),
    ("g++ -g -MMD", ["g++", "-c", "-g", "-MMD", "-std=c++17", "y.cc"], {}),
    ("clang", ["clang", "-c", "-O2", "-Wall", "x.c", "-o", "x.o"], {}),
    ("clang -fno-integrated-as", ["clang", "-c", "-no-integrated-as", "x.c"], {}),
    ("clang -g -MD -gsplit-dwarf", ["clang", "-c", "-g", "-MD", "-gsplit-dwarf", "x.c"], {}),
    ("clang -save-temps", ["clang", "-c", "-save-temps", "x.c"], {}),
    ("clang many -I", ["clang", "-c", "-Inone", "-I./inc/", "-isystem", "inc", "-iquote", "inc/../inc", "x.c"], {}),
    ("clang assembler", ["clang", "-c", "x.S"], {}),
    ("clang @file", ["clang", "@args"], {}),
    ("clang++", ["clang++", "-c", "-std=c++17", "y.cc", "-o", "y.o"], {}),
    ("clang++ -g -MMD", ["clang++", "-c", "-g", "-MMD", "-std=c++17", "y.cc"], {}),
    ("sh as compiler", ["sh", "-c", "cd inc && gcc -c -I.. ../x.c && test -e x.o && cat near.h >/dev/null"], {}),
]

# What libc does inside itself; the toolchain's record has it. (/usr/lib/lib: the $ORIGIN/../lib that libLLVM brings along.)
EXPLAINED = re.compile(
    r"^/etc/ld\.so\.(cache|preload|nohwcap)$"
    r"|/lib[^/]*\.so[.0-9]*$"  # the loader; what it found and kept is in the log as loaded
    r"|^/(usr/)?lib(64|32|x32|/lib)?(/(x86_64|aarch64)-linux-gnu)?(/(tls|glibc-hwcaps|x86-64-v\d|x86_64|aarch64|haswell|avx512_1))*$"
    r"|/locale(-archive|\.alias)?(/|$)|/locale-langpack/|/LC_[A-Z]+(/|$)|\.mo$|/gconv(/|$)|/charset\.alias$"
    r"|^/(proc/(self|sys|cpuinfo|meminfo|filesystems|stat|\d+|mounts)|sys/devices|sys/fs/cgroup|dev/(null|tty|urandom))"
)
# These must never be explained away, though they lie below /usr/lib.
NEVER = re.compile(r"/include(/|$)|\.(h|hpp|c|cc|i|ii|s|S|o|d|bin|a|spec|specs)$|/(cc1|cc1plus|as|specs|collect2|lto-wrapper|lto1|liblto_plugin\.so)$")

# A file that libc opened for itself and that is still mapped at the end is in the log all the same.
KEPT = re.compile(r'openat\(AT_FDCWD, "[^"]*(\.so[.0-9]*|/locale-archive|\.mo|/LC_(?!MESSAGES")\w+)", .*\) = \d+$')

CALL = re.compile(r"^(?:\d+\s+)?(?:\[pid +\d+\] )?(\w+)\((.*)$")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
PATH_CALLS = {"open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
              "readlinkat", "execve", "execveat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir",
              "chdir", "chmod", "fchmodat", "link", "linkat", "symlink", "symlinkat", "truncate", "utimensat", "statfs", "mknod"}


def unescape(text):
    return re.sub(rb"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)", lambda m: {b"n": b"\n", b"t": b"\t"}.get(m[1], m[1]) if not re.match(
        rb"x..|[0-7]", m[1]) else bytes([int(m[1][1:], 16) if m[1][:1] == b"x" else int(m[1], 8)]), text.encode("latin-1")).decode("utf-8", "replace")


def squeeze(path):
    return "/" + "/".join(p for p in path.split("/") if p not in ("", "."))


def plain(path):
    """Without `..`, folded the way the kernel does it, so that texts can be compared."""
    path = squeeze(path)
    if "/.." not in path:
        return path
    done = "/"
    for part in path.split("/")[1:]:
        done = os.path.dirname(os.path.realpath(done)) if part == ".." else os.path.join(done, part)
    return done


def traced_paths(directory, cwd):
    """Every path of strace -ff output: one file per process; a child starts where its parent was."""
    paths, cwds, files = {}, {}, {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), encoding="latin-1") as f:
            files[int(name.rsplit(".", 1)[1])] = f.read().splitlines()
    children = {}
    for pid, lines in files.items():
        for i, line in enumerate(lines):
            m = re.match(r"(v?fork|clone3?)\(.*= (\d+)$", line) or re.match(r"<\.\.\. (v?fork|clone3?) resumed.*= (\d+)$", line)
            if m:
                children[int(m[2])] = (pid, i)

    def cwd_at(pid, index):
        if pid in children:
            here = cwd_at(*children[pid])
        else:
            here = cwd
        for line in files[pid][:index]:
            m = re.match(r'chdir\("([^"]*)"\) += 0', line)
            if m:
                here = os.path.join(here, m[1])
        return here

    for pid, lines in files.items():
        for i, line in enumerate(lines):
            m = CALL.match(line)
            if not m or m[1] not in PATH_CALLS:
                continue
            strings = STRING.findall(m[2].rsplit(" = ", 1)[0])
            n = {"execve": 1, "execveat": 1, "rename": 2, "renameat": 2, "renameat2": 2, "link": 2, "linkat": 2}.get(m[1], 1)
            if m[1] in ("symlink", "symlinkat"):
                strings = strings[1:]
            if m[1] == "readlink":
                strings = strings[:1]
            at = re.match(r"(\d+)<?", m[2])
            for text in strings[:n]:
                path = unescape(text)
                if path == "" or (not path.startswith("/") and at and m[1].endswith("at")):
                    continue
                path = plain(os.path.join(cwd_at(pid, i), path))
                if " = -1 " not in line or path not in paths:
                    paths[path] = line
    return paths


def logged_paths(log):
    magic, size, used, overflow, started, executed, _, _, at, *_ = HEADER.unpack_from(log)
    assert magic == MAGIC and not overflow, "overflow"
    assert started == executed, f"{started} programs came up of {executed}"
    ops = {}
    while at < used:
        (word,) = struct.unpack_from("=I", log, at)
        op, n = word >> 16, word & 0xFFFF
        assert 0 < op < 9 and n > 0, f"malformed at {at}"
        path = os.fsdecode(log[at + 4 : at + 4 + n])
        assert path[0] == "/", path
        ops.setdefault(plain(path), set()).add(op)
        at += (4 + n + 3) & ~3
    return ops


def walked(logged):
    """Where libc's realpath passes on its way to the paths in the log: their directories, and the hops of their symlinks."""
    through = set()
    todo = list(logged)
    while todo:
        path = todo.pop()
        parent = os.path.dirname(path)
        if parent not in through:
            through.add(parent)
            todo.append(parent)
        if os.path.islink(path):
            hop = squeeze(os.path.normpath(os.path.join(os.path.realpath(parent), os.readlink(path))))
            if hop not in through:
                through.add(hop)
                todo.append(hop)
    return through


def kept(line):
    return KEPT.match(line) is not None


def run_case(name, argv, extra, interposer, work):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work + "/inc")
    for path, text in (("x.c", C), ("y.cc", CXX), ("x.S", ASM), ("inc/near.h", "#define NEAR 1\n"), ("blob.bin", "blob"), ("near.h", "#include <inc/near.h>\n"),
                       ("args", "-c\n-I inc\n'x.c'\n")):
        with open(f"{work}/{path}", "w") as f:
            f.write(text.replace("<inc/near.h>", '"inc/near.h"'))
    os.makedirs(work + "/traces")
    os.makedirs(work + "/tmp")
    fd = os.memfd_create("trace", 0)
    os.ftruncate(fd, SIZE)
    log = mmap.mmap(fd, SIZE)
    log[: HEADER.size] = HEADER.pack(MAGIC, SIZE, HEADER.size, 0, 0, 1, 0, HEADER.size, HEADER.size, 0, 0, 0, 0, 0)
    os.set_inheritable(fd, True)
    env = {"PATH": "/nonexistent:" + os.environ["PATH"], "LC_MESSAGES": "C", "TMPDIR": work + "/tmp", "LLAMA_TRACE": str(fd), **extra}
    program = shutil.which(argv[0])
    # -E: for the traced command only, not for strace itself.
    command = ["strace", "-ff", "--seccomp-bpf", "-e", "trace=%file,%process,chdir,fchdir", "-s", "4096", "-o", work + "/traces/t", "-E", "LD_PRELOAD=" + interposer, program, *argv[1:]]
    done = subprocess.run(command, cwd=work, env=env, pass_fds=[fd], capture_output=True, timeout=120)
    wanted = 1 if "error" in name else 0
    problems = []
    if done.returncode != wanted:
        problems.append(f"exit {done.returncode}: {done.stderr.decode()}")
    logged = logged_paths(log)
    os.close(fd)
    traced = traced_paths(work + "/traces", work)
    through = walked(logged)
    missing = [p for p in traced if p not in logged and p != interposer and not p.startswith(work + "/tmp")
               and (NEVER.search(p) or not EXPLAINED.search(p) or kept(traced[p])) and p != squeeze(program)
               and not (traced[p].startswith("readlink(") and p in through)]
    for p in sorted(missing):
        problems.append(f"not in the log: {p}\n        {traced[p][:200]}")
    print(f"{'ok  ' if not problems else 'FAIL'} {name}: {len(traced)} paths of strace, {len(logged)} logged")
    for p in problems:
        print("    " + p)
    return not problems


def main():
    interposer = os.path.abspath(sys.argv[1])
    if not shutil.which("strace") or subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        print("skipped: strace is missing, or not allowed to trace here")
        return 77
    good = True
    with tempfile.TemporaryDirectory(prefix="llama-trace-") as top:
        for name, argv, extra in CASES:
            if not shutil.which(argv[0]):
                print(f"skip {name}: no {argv[0]} here")
                continue
            good &= run_case(name, argv, extra, interposer, os.path.join(os.path.realpath(top), "w"))
    return 0 if good else 1


sys.exit(main())
