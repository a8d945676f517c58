"""The directory of a case: made, photographed, compared, and put back as it was."""

import os
import shutil
import stat
import threading
import time
from dataclasses import dataclass, replace

from model import Dir, Fifo, File, Hard, Link

FIRST_MTIME = 1_600_000_000
SETTLE_NS = 25_000_000


@dataclass(frozen=True)
class Entry:
    """What is compared of a file. `names` are all names of its inode in the tree, when it has several."""
    kind: str
    mode: int
    uid: int
    content: object
    names: tuple = ()


@dataclass
class Photo:
    entries: dict       # path -> Entry
    mtimes: dict        # path -> ns, of regular files

    def blur(self, names):
        """Forget the bytes of these files."""
        for name in names:
            if name in self.entries:
                self.entries[name] = replace(self.entries[name], content=None)


def create(root, files, setup=None, owner=None):
    """Make the tree of a case. Every file has an old time of its own unless it asks for one."""
    os.makedirs(root)
    modes = []
    for number, (path, spec) in enumerate(files.items()):
        full = os.path.join(os.fsencode(root), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if isinstance(spec, (str, bytes)):
            spec = File(spec)
        if isinstance(spec, File):
            with open(full, "wb") as out:
                out.write(spec.text.encode() if isinstance(spec.text, str) else spec.text)
            mtime = FIRST_MTIME + number * 60 if spec.mtime is None else spec.mtime
            os.utime(full, (mtime, mtime))
            modes.append((full, spec.mode))
        elif isinstance(spec, Link):
            os.symlink(spec.target.replace("@ROOT@", root), full)
        elif isinstance(spec, Hard):
            os.link(os.path.join(os.fsencode(root), os.fsencode(spec.target)), full)
        elif isinstance(spec, Dir):
            os.makedirs(full, exist_ok=True)
            modes.append((full, spec.mode))
        elif isinstance(spec, Fifo):
            os.mkfifo(full)
    if setup:
        setup(root)
    if owner is not None:
        for directory, names, others in os.walk(root):
            for name in [".", *names, *others]:
                os.chown(os.path.join(directory, name), owner, owner, follow_symlinks=False)
    for full, mode in reversed(modes):
        os.chmod(full, mode)


def stamp_ns(directory):
    """What the clock that stamps files says now."""
    path = os.path.join(directory, f"stamp-{threading.get_ident()}")
    with open(path, "x", encoding="ascii") as file:
        stamp = os.fstat(file.fileno()).st_ctime_ns
    os.unlink(path)
    return stamp


def settle(directory):
    """Wait until everything done before is clearly older than what comes: results of runs in place whose inputs might
    have changed during the run are not kept, so the clock that stamps files (which can lag far behind) must advance by
    more than inputs.c takes for its grain. Returns what it says then."""
    start_ns = stamp_ns(directory)
    while (now_ns := stamp_ns(directory)) < start_ns + SETTLE_NS:
        time.sleep(0.01)
    return now_ns


def photograph(*roots):
    """Every entry below the directories, contents included."""
    entries, mtimes, inodes = {}, {}, {}
    for index, root in enumerate(roots):
        prefix = f"<{index}>/" if index else ""
        for path, status in _walk(root):
            name = prefix + os.path.relpath(path, root)
            inode = (status.st_dev, status.st_ino)
            inodes.setdefault(inode, []).append(name)
            entries[name] = (path, status, inode)
    photo = {}
    for name, (path, status, inode) in entries.items():
        kind, content = stat.S_IFMT(status.st_mode), None
        if stat.S_ISREG(kind):
            mtimes[name] = status.st_mtime_ns
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except PermissionError:
                content = None
        elif stat.S_ISLNK(kind):
            content = os.readlink(path)
        names = tuple(sorted(inodes[inode])) if len(inodes[inode]) > 1 else ()
        photo[name] = Entry(_KINDS.get(kind, "special"), stat.S_IMODE(status.st_mode), status.st_uid, content, names)
    return Photo(photo, mtimes)


_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}


def _walk(root):
    yield root, os.lstat(root)
    try:
        found = sorted(os.scandir(root), key=lambda entry: entry.name)
    except PermissionError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            yield entry.path, os.lstat(entry.path)


def restore(photo, *roots):
    """Put the directories back as they were. What is unchanged isn't touched, so that its times stay old. Returns
    whether anything had to be done."""
    now = photograph(*roots)
    changed = False
    for name in sorted(now.entries, reverse=True):
        if now.entries[name] != photo.entries.get(name) and not _same_but_mode(now, photo, name):
            _remove(_place(name, roots))
            changed = True
    for name in sorted(photo.entries):
        entry, path = photo.entries[name], _place(name, roots)
        if not os.path.lexists(path):
            changed = True
            first = next((other for other in entry.names if other != name and os.path.exists(_place(other, roots))),
                         None) if entry.kind == "file" else None
            if first:
                os.link(_place(first, roots), path)
            elif entry.kind == "file":
                with open(path, "wb") as out:
                    out.write(entry.content)
            elif entry.kind == "directory":
                os.mkdir(path)
            elif entry.kind == "symlink":
                os.symlink(entry.content, path)
            elif entry.kind == "fifo":
                os.mkfifo(path)
            os.chown(path, entry.uid, -1, follow_symlinks=False)
        if entry.kind != "symlink":
            status = os.lstat(path)
            if stat.S_IMODE(status.st_mode) != entry.mode:
                os.chmod(path, entry.mode)
                changed = True
            if name in photo.mtimes and status.st_mtime_ns != photo.mtimes[name]:
                os.utime(path, ns=(photo.mtimes[name], photo.mtimes[name]))
                changed = True
    return changed


def _same_but_mode(now, photo, name):
    """Directories, and files whose bytes are unchanged, stay; their mode is set again afterwards."""
    new, old = now.entries[name], photo.entries.get(name)
    return old is not None and (new.kind, new.uid, new.content) == (old.kind, old.uid, old.content) and \
        (new.kind == "directory" or new.names == old.names)


def _place(name, roots):
    if name.startswith("<"):
        index, _, name = name.partition("/")
        return os.path.join(roots[int(index[1:-1])], name)
    return os.path.join(roots[0], name)


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def differences(want, got):
    """Lines that say how the entries of two photographs differ."""
    lines = []
    for name in sorted(want.keys() | got.keys()):
        a, b = want.get(name), got.get(name)
        if a == b:
            continue
        if a is None:
            lines.append(f"{name}: exists ({b.kind}, {_size(b)}), the compiler makes no such file")
        elif b is None:
            lines.append(f"{name}: missing")
        elif a.kind != b.kind:
            lines.append(f"{name}: is a {b.kind}, not a {a.kind}")
        else:
            if a.content != b.content:
                lines.append(f"{name}: content differs: {first_difference(a.content, b.content)}")
            if a.mode != b.mode:
                lines.append(f"{name}: mode {b.mode:04o}, not {a.mode:04o}")
            if a.uid != b.uid:
                lines.append(f"{name}: owner {b.uid}, not {a.uid}")
            if a.names != b.names:
                lines.append(f"{name}: names of the inode {b.names}, not {a.names}")
    return lines


def _size(entry):
    return f"{len(entry.content)} bytes" if entry.content is not None else "no content"


def first_difference(a, b):
    if a is None or b is None or isinstance(a, str):
        return f"{b!r}, not {a!r}"
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    start = max(0, at - 40)
    return f"at byte {at} of {len(a)} (got {len(b)}): {b[start:at + 80]!r}, not {a[start:at + 80]!r}"
