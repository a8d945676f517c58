"""The changes that are made to a World. Each is a function of it that returns what it did, or None when it can't be
made now."""

import mmap
import os
import re
import shutil

from world import BASE, HEADERS, ON_THE_PATH, TWINS

CHANGES = []                                            # (weight, function)
OLD_NS = 1_600_000_000_000_000_000


def change(weight):
    def add(function):
        CHANGES.append((weight, function))
        return function
    return add


def any_file(world):
    return world.rng.choice(world.files())


def edited(world, text):
    """The text with another number of the same length; where it has none, with an equally long comment turned."""
    numbers = re.findall(r"\b\d{6}\b", text)
    return text.replace(numbers[0], str(world.next_value())) if numbers else text


def read(world, path):
    with open(world.path(path), encoding="utf-8") as file:
        return file.read()


def put_over(world, path, text, mtime_ns=None):
    """Replace a file by a new one."""
    fresh = world.new_stash()
    with open(fresh, "w", encoding="utf-8") as out:
        out.write(text)
    if mtime_ns is not None:
        os.utime(fresh, ns=(mtime_ns, mtime_ns))
    os.rename(fresh, world.path(path))


def overwrite(path, text):
    """Write a text of the same length where the old one is."""
    with open(path, "r+b", buffering=0) as file:
        file.write(text.encode())


def taken_back_later(world, text, function):
    world.undo.append((text, function))


# Files

@change(10)
def edit(world):
    path = any_file(world)
    overwrite(world.path(path), edited(world, read(world, path)))
    return f"edit {path}, same size"


@change(6)
def edit_longer(world):
    path = any_file(world)
    text = edited(world, read(world, path))
    comment = "/* longer */\n"
    text = text.replace(comment, "", 1) if comment in text else comment + text
    if path.endswith((".bin", ".inc", ".rsp")):
        text = edited(world, read(world, path)) + "\n"
    with open(world.path(path), "w", encoding="utf-8") as out:
        out.write(text)
    return f"edit {path}, other size"


@change(4)
def touch(world):
    path = any_file(world)
    os.utime(world.path(path))
    return f"touch {path}"


@change(5)
def replace_by_rename(world):
    path = any_file(world)
    text = read(world, path)
    same = world.rng.random() < 0.3
    put_over(world, path, text if same else edited(world, text))
    return f"replace {path} by rename, {'same' if same else 'other'} content"


@change(5)
def replace_keeping_mtime(world):
    path = any_file(world)
    put_over(world, path, edited(world, read(world, path)), os.stat(world.path(path)).st_mtime_ns)
    return f"replace {path} by rename, same size and mtime"


@change(6)
def edit_keeping_mtime(world):
    path = any_file(world)
    mtime_ns = os.stat(world.path(path)).st_mtime_ns
    overwrite(world.path(path), edited(world, read(world, path)))
    os.utime(world.path(path), ns=(mtime_ns, mtime_ns))
    return f"edit {path}, same size, mtime put back"


@change(4)
def edit_through_link(world):
    linked = [path for path, other in world.linked.items()
              if os.path.exists(world.path(path)) and os.path.samefile(world.path(path), other)]
    if not linked:
        return None
    path = world.rng.choice(linked)
    overwrite(world.linked[path], edited(world, read(world, path)))
    return f"edit {path} through another name of it"


@change(4)
def edit_through_mmap(world):
    path = any_file(world)
    text = edited(world, read(world, path)).encode()
    with open(world.path(path), "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:] = text
    return f"edit {path} through mmap"


@change(3)
def exchange(world):
    headers = [path for path in world.files() if path.endswith(".h")]
    name = os.path.basename(world.rng.choice(headers))
    twins = [path for path in headers if os.path.basename(path) == name]
    if len(twins) < 2:
        return None
    one, other = world.rng.sample(twins, 2)
    aside = world.new_stash()
    os.rename(world.path(one), aside)
    os.rename(world.path(other), world.path(one))
    os.rename(aside, world.path(other))
    return f"exchange {one} and {other}"


@change(4)
def remove(world):
    path = any_file(world)
    aside = world.new_stash()
    os.rename(world.path(path), aside)
    way = world.rng.choice(("rename", "copy", "fresh"))

    def restore():
        if os.path.lexists(world.path(path)) or not os.path.isdir(os.path.dirname(world.path(path))):
            return
        if way == "rename":
            os.rename(aside, world.path(path))
        elif way == "copy":
            shutil.copy2(aside, world.path(path))
        else:
            shutil.copyfile(aside, world.path(path))
    taken_back_later(world, f"restore {path} ({way})", restore)
    return f"remove {path}"


# Names: what appears on the path

def free_place(world):
    """A place on the search path where a header of one of the names could be and nothing is."""
    directory, name = world.rng.choice(ON_THE_PATH), world.rng.choice(sorted(HEADERS))
    path = f"{directory}/{name}"
    if not os.path.isdir(world.path(directory)) or os.path.lexists(world.path(path)):
        return None
    return path if may_be_made(world, os.path.dirname(path)) else None


def may_be_made(world, directory):
    while not os.path.lexists(world.path(directory)):
        directory = os.path.dirname(directory)
    return os.path.isdir(world.path(directory))


def removal(world, path):
    def undo():
        full = world.path(path)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        elif os.path.lexists(full):
            os.unlink(full)
    taken_back_later(world, f"remove {path} again", undo)


@change(12)
def shadow(world):
    path = free_place(world)
    if not path:
        return None
    how = world.rng.choice(("file", "file", "renamed", "link", "hard link"))
    text = world.header(path)
    os.makedirs(os.path.dirname(world.path(path)), exist_ok=True)
    if how == "file":
        world.write(path, text)
    else:
        aside = world.new_stash()
        with open(aside, "w", encoding="utf-8") as out:
            out.write(text)
        os.utime(aside, ns=(OLD_NS, OLD_NS))
        {"renamed": os.rename, "link": os.symlink, "hard link": os.link}[how](aside, world.path(path))
    removal(world, path)
    return f"add {path} ({how})"


@change(2)
def shadow_by_nothing(world):
    """A directory, a dangling link or a precompiled header that is none: no compiler includes them."""
    path = free_place(world)
    if not path:
        return None
    how = world.rng.choice(("directory", "dangling link", "junk.gch"))
    os.makedirs(os.path.dirname(world.path(path)), exist_ok=True)
    target = os.path.join(world.stash, "nowhere.h")
    if how == "directory":
        os.mkdir(world.path(path))
    elif how == "dangling link":
        os.symlink(target, world.path(path))
    else:
        real = next((f"{d}/{os.path.basename(path)}" for d in ON_THE_PATH
                     if os.path.isfile(world.path(f"{d}/{os.path.basename(path)}"))), None)
        if not real or os.path.lexists(world.path(real + ".gch")):
            return None
        path = real + ".gch"
        world.write(path, "junk\n")
    removal(world, path)
    return f"add {path} ({how})"


@change(3)
def target_appears(world):
    """A dangling link finds its target: no directory on the path changes."""
    path = free_place(world)
    if not path:
        return None
    target = world.new_stash() + ".h"
    os.makedirs(os.path.dirname(world.path(path)), exist_ok=True)
    os.symlink(target, world.path(path))
    text = world.header(path)

    def appear():
        with open(target, "w", encoding="utf-8") as out:
            out.write(text)
        removal(world, path)
    taken_back_later(world, f"the target of {path} appears", appear)
    return f"add {path} (link to a file still to come)"


@change(5)
def optional_header(world):
    name = world.rng.choice(("opt1.h", "opt2.h", "opt3.h", "l2.h"))
    places = [f"{directory}/{name}" for directory in ON_THE_PATH if os.path.isdir(world.path(directory))]
    there = [path for path in places if os.path.lexists(world.path(path))]
    if there and all(os.path.isfile(world.path(path)) for path in there):
        for path in there:
            os.unlink(world.path(path))
        return f"remove {', '.join(there)}"
    if there:
        return None
    path = world.rng.choice(places)
    world.write(path, world.header(path))
    return f"add {path}"


@change(8)
def heal(world):
    """What later changes took away for good comes back."""
    lost = [path for path in BASE if not os.path.lexists(world.path(path))]
    path = world.rng.choice(lost) if lost else None
    if not path or not may_be_made(world, os.path.dirname(path)):
        return None
    world.make(path)
    return f"write {path} anew"


# Links and directories

@change(3)
def swap_file_link(world):
    path = world.path("inc/second/s.h")
    if not os.path.islink(path):
        return None
    old = os.readlink(path)
    new = "../targets2/s.h" if old == "../targets/s.h" else "../targets/s.h"
    relink(world, path, new)
    return f"inc/second/s.h -> {new}"


@change(4)
def swap_directory_link(world):
    path = world.path("link")
    new = "inc/real2" if os.readlink(path) == "inc/real1" else "inc/real1"
    relink(world, path, new)
    return f"link -> {new}"


def relink(world, path, target):
    if world.rng.random() < 0.5:
        os.unlink(path)
        os.symlink(target, path)
    else:
        fresh = world.new_stash()
        os.symlink(target, fresh)
        os.rename(fresh, path)


@change(3)
def exchange_directories(world):
    one, other = world.rng.choice((("inc/real1", "inc/real2"), ("inc/first", "inc/second"), ("inc/second", "inc/after"),
                                   ("inc/targets", "inc/targets2")))
    if not all(os.path.isdir(world.path(path)) and not os.path.islink(world.path(path)) for path in (one, other)):
        return None
    aside = world.new_stash()

    def swap():
        if os.path.isdir(world.path(one)) and os.path.isdir(world.path(other)):
            os.rename(world.path(one), aside)
            os.rename(world.path(other), world.path(one))
            os.rename(aside, world.path(other))
    swap()
    taken_back_later(world, f"exchange the directories {one} and {other} again", swap)
    return f"exchange the directories {one} and {other}"


@change(2)
def move_directory(world):
    """A directory goes, and stays away for a while or leaves a link behind."""
    path = world.rng.choice(("inc/first", "inc/second", "inc/system", "inc/quote", "inc/first/deep", "inc/first/deep/y",
                             "gen"))
    if os.path.islink(world.path(path)) or not os.path.isdir(world.path(path)):
        return None
    aside = world.new_stash()
    os.rename(world.path(path), aside)
    linked = world.rng.random() < 0.7
    if linked:
        os.symlink(aside, world.path(path))

    def back():
        if os.path.islink(world.path(path)):
            os.unlink(world.path(path))
        elif os.path.isdir(world.path(path)):
            shutil.rmtree(world.path(path))
        if os.path.isdir(os.path.dirname(world.path(path))):
            os.rename(aside, world.path(path))
    taken_back_later(world, f"{path} comes back", back)
    return f"move {path} away{', a link stays' if linked else ''}"


@change(2)
def optional_directory(world):
    """-Wmissing-include-dirs tells whether it is there, and what it is."""
    path = world.path("inc/optional")
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        os.rmdir(path)
    else:
        how = world.rng.choice(("directory", "file", "link", "dangling link"))
        if how == "directory":
            os.mkdir(path)
        elif how == "file":
            world.write("inc/optional", "")
        else:
            os.symlink("real2" if how == "link" else "nowhere", path)
        return f"add inc/optional ({how})"
    return "remove inc/optional"


@change(5)
def twins(world):
    """Whether a second header with #pragma once counts depends on equal content and mtime (gcc) or inode (clang)."""
    one, other = map(world.path, TWINS)
    if not (os.path.isfile(one) and os.path.isfile(other)):
        return None
    how = world.rng.choice(("equal times", "other time", "one inode", "two inodes", "equal content"))
    mtime_ns = os.stat(one).st_mtime_ns
    if how == "equal times":
        os.utime(other, ns=(mtime_ns, mtime_ns))
    elif how == "other time":
        os.utime(other, ns=(mtime_ns - 5_000_000_000, mtime_ns - 5_000_000_000))
    elif how == "one inode":
        os.unlink(other)
        os.link(one, other)
    else:
        os.unlink(other)
        (shutil.copy2 if how == "two inodes" else shutil.copyfile)(one, other)
    return f"twins: {how}"


# The compiler

@change(1)
def other_compiler(world):
    """The links on PATH lead to another compiler."""
    path = world.path("tools/cc")
    family = world.rng.choice((f"{world.prefix}/bin/gcc", f"{world.prefix}/bin/gcc", "/usr/bin/gcc", "/usr/bin/clang"))
    if os.readlink(path) == family:
        return None
    relink(world, path, family)
    relink(world, world.path("tools/c++"), family.replace("gcc", "g++").replace("clang", "clang++"))
    return f"cc is {family}"


@change(0.7)
def upgrade_compiler(world):
    """Another version text in cc1 reaches every object."""
    name = world.rng.choice(("cc1", "cc1plus"))
    path = os.path.join(world.compiler, name)
    in_place = world.rng.random() < 0.5
    with open(path, "rb") as file:
        content = file.read()
    old = re.search(rb"\([A-Z][a-z]+ \d+\.\d+\.\d+[^)\0]*\) \0", content)
    if not old:
        return None
    word = bytes([world.rng.choice(b"ABCDEFGH")])
    mtime_ns = os.stat(path).st_mtime_ns
    if in_place:
        with open(path, "r+b", buffering=0) as file:
            file.seek(old.start() + 1)
            file.write(word)
    else:
        fresh = world.new_stash()
        with open(fresh, "wb") as out:
            out.write(content[:old.start() + 1] + word + content[old.start() + 2:])
        os.chmod(fresh, 0o755)
        os.utime(fresh, ns=(mtime_ns, mtime_ns))
        os.rename(fresh, path)
    world.version[name] = word
    return f"upgrade {name} {'in place' if in_place else 'by rename, same size and mtime'}"


@change(1)
def specs(world):
    """A file beside cc1 that gcc reads when it is there."""
    path = os.path.join(world.compiler, "specs")
    if os.path.exists(path):
        os.unlink(path)
        return "remove the compiler's specs"
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"*cc1_options:\n+ -DFORCED_BY_SPECS={world.next_value()} -fno-ident\n\n")
    return "add the compiler's specs"


@change(0.7)
def assembler(world):
    """An assembler of the user's, before the real one on PATH. It is a script, which the sandbox can't have."""
    path = world.path("tools/as")
    if os.path.exists(path):
        return None
    real = shutil.which("as", path="/usr/bin:/bin")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'#!/bin/sh\nexec {real} --defsym upgraded={world.next_value()} "$@"\n')
    os.chmod(path, 0o755)
    taken_back_later(world, "remove tools/as", lambda: os.unlink(path))
    return "add tools/as"
