# SPDX-License-Identifier: MIT
"""Every CPython that this machine offers to the tests, found in one place.

Four origins: pyenv's versions folder, Debian's own /usr/bin/python3, the Debian sid
tree that sid.sh makes (its interpreters run through chroot), and what free_threaded.sh
built. Run this file to see the list.
"""
import dataclasses
import functools
import glob
import json
import os
import pathlib
import subprocess
import sys

SID_TREE = pathlib.Path(os.environ.get("PLN_SID_TREE", "/var/tmp/pillion-sid"))
BUILT = pathlib.Path(os.environ.get("PLN_WORK", "/var/tmp/pillion-tests")) / "interpreters"
OLDEST, NEWEST = (3, 8), (3, 15)

# Runs inside the interpreter that is looked at, 2.7 included.
PROBE = r"""
import json, platform, struct, sys, sysconfig
get = sysconfig.get_config_var
code = sys.executable
for line in open("/proc/self/maps"):
    if "libpython" in line and " r-xp " in line:
        code = line.split()[-1]
def sections(path):
    with open(path, "rb") as f:
        elf = f.read()
    off, = struct.unpack_from("<Q", elf, 40)
    size, count, strings = struct.unpack_from("<HHH", elf, 58)
    base, = struct.unpack_from("<Q", elf, off + strings * size + 24)
    for i in range(count):
        name, = struct.unpack_from("<I", elf, off + i * size)
        yield elf[base + name:elf.index(b"\0", base + name)].decode()
tags = ["shared" if "libpython" in code else "static"]
if ".symtab" not in sections(code):
    tags.append("stripped")
if hasattr(sys, "gettotalrefcount"):
    tags.append("debug")
if get("Py_GIL_DISABLED"):
    tags.append("free-threaded")
print(json.dumps({"version": sys.version_info[:3], "tags": tags, "code": code,
    "implementation": platform.python_implementation(),
    "include": sysconfig.get_paths()["include"]}))
"""


@dataclasses.dataclass(frozen=True)
class Interpreter:
    path: str  # as seen from inside `root`
    root: str  # "" for this system, else the tree to chroot into
    origin: str  # "pyenv", "debian", "sid", "built"
    version: tuple
    tags: frozenset
    code: str  # the file that holds the interpreter's machine code
    include: str  # where Python.h is, or would be

    @property
    def minor(self):
        return self.version[:2]

    @property
    def id(self):
        name = "%d.%d-%s" % (*self.minor, self.origin)
        return name + "".join("-" + t for t in ("debug", "free-threaded") if t in self.tags)

    @property
    def supported(self):
        return OLDEST <= self.minor <= NEWEST and "debug" not in self.tags

    def __str__(self):
        return self.id


def enter(root, argv, cwd=None, env=None):
    """The command line that runs `argv` inside `root`, with variables of its own.

    A library to preload is set inside: one built in the tree may not suit the
    chroot(8) of this system.
    """
    settings = ["%s=%s" % item for item in (env or {}).items()]
    directory = ["-C", str(cwd)] if cwd else []
    prefix = ["chroot", root] if root else []
    return [*prefix, "env", *directory, *settings, *map(str, argv)]


def _candidates():
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for path in glob.glob(pyenv + "/versions/*/bin/python"):
        yield path, "", "pyenv"
    for path in filter(os.path.exists, ("/usr/bin/python3", "/usr/bin/python3-dbg")):
        yield path, "", "debian"
    for path in glob.glob(str(BUILT / "*/bin/python3.*t")):
        yield path, "", "built"
    for path in glob.glob(str(SID_TREE / "usr/bin/python3.*[0-9]")):
        yield path[len(str(SID_TREE)):], str(SID_TREE), "sid"


def _leave_out(path, root, why):
    print("interpreters: %s is left out: %s" % (root + path, why), file=sys.stderr)


def _probe(path, root, origin):
    try:
        out = subprocess.run(enter(root, [path, "-c", PROBE]), capture_output=True, timeout=60)
        found = json.loads(out.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _leave_out(path, root, error)
    except ValueError:
        said = out.stderr.decode(errors="replace").strip().splitlines()
        return _leave_out(path, root, "exit status %d: %s" % (out.returncode, said[-1] if said else "no word"))
    if found["implementation"] != "CPython":
        return _leave_out(path, root, "it is %s" % found["implementation"])
    return Interpreter(path, root, origin, tuple(found["version"]), frozenset(found["tags"]),
                       found["code"], found["include"])


@functools.lru_cache(maxsize=None)
def every():
    """All that run, the unsupported ones too, oldest first."""
    found = filter(None, (_probe(*c) for c in _candidates()))
    return sorted(found, key=lambda i: (i.version, i.origin))


def supported(minors=()):
    """Those of some minors only ("3.12"), if any are named."""
    return [i for i in every() if i.supported and (not minors or "%d.%d" % i.minor in minors)]


def missing():
    """The minors that README promises and this machine does not have: without them, a green run proves too little."""
    minors = {i.minor for i in supported()}
    promised = [(3, minor) for minor in range(OLDEST[1], NEWEST[1] + 1)]
    return ["%d.%d" % minor for minor in promised if minor not in minors]


def main():
    for i in every():
        version = ".".join(map(str, i.version))
        print("%-18s %-8s %-9s %-30s %s" % (i.id, version, "" if i.supported else "refused",
                                           " ".join(sorted(i.tags)), i.root + i.path))
    if missing():
        print("not here: CPython %s" % ", ".join(missing()))


if __name__ == "__main__":
    main()
