# SPDX-License-Identifier: MIT
"""Where Pillion and a command run together: this system, or a tree to chroot into.

Each place has a Pillion that was built and installed in it. The repository and the
work directory are seen under the same paths in every place, so no path is ever
translated.
"""
import dataclasses
import fcntl
import os
import pathlib
import shutil
import subprocess

import interpreters

REPO = pathlib.Path(__file__).resolve().parents[2]
WORKLOADS = REPO / "tests" / "workloads"
WORK = pathlib.Path(os.environ.get("PLN_WORK", "/var/tmp/pillion-tests"))
# Whatever the caller has set must not reach the commands under test.
FOREIGN = ("PILLION_", "LD_PRELOAD", "PYTHON", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}


def _git(*argv):
    done = subprocess.run(["git", "-C", str(REPO), *argv], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()


def commit():
    """What the repository is at, and whether files were changed since."""
    dirty = _git("status", "--porcelain", "--untracked-files=no")
    return _git("rev-parse", "--short=12", "HEAD") + (" and changes" if dirty else "")


@dataclasses.dataclass(frozen=True)
class Place:
    root: str  # "" for this system
    build: pathlib.Path  # CMake's binary directory
    prefix: pathlib.Path  # where it was installed to

    @property
    def pillion(self):
        return str(self.prefix / "bin" / "pillion")

    @property
    def library(self):
        found = sorted(self.prefix.glob("lib*/**/libpillion.so"))
        if not found:
            raise FileNotFoundError("no libpillion.so under %s: run tests/run.sh" % self.prefix)
        return str(found[0])

    def popen(self, argv, cwd=None, env=None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(interpreters.enter(self.root, argv, cwd, env),
                                env=clean_environment(), **options)

    def run(self, argv, cwd=None, env=None, timeout=120, **options):
        """Runs to the end; stdout and stderr are captured as text."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        with self.popen(argv, cwd, env, text=True, errors="replace", **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError("still running after %d s: %s\n%s" % (timeout, argv, err))
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def preload(self, output):
        """The variables that record a command without the help of `pillion record`."""
        return {"LD_PRELOAD": self.library, "PILLION_OUTPUT": str(output)}


HERE = Place("", WORK / "build", WORK / "install")
SID = Place(str(interpreters.SID_TREE), WORK / "build-sid", WORK / "install-sid")


def of(interpreter):
    return SID if interpreter.root else HERE


def build_extension(interpreter, name):
    """Compiles workloads/<name>.c or .cpp against an interpreter; returns the directory to import from."""
    source = next(WORKLOADS.glob(name + ".c*"))
    directory = WORK / "extensions" / interpreter.id
    target, new = directory / (name + ".so"), directory / ("%s.%d.new" % (name, os.getpid()))
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        directory.mkdir(parents=True, exist_ok=True)
        # Frames of the extension are counted one by one: none may be merged or skipped.
        flags = ["-O2", "-g", "-fno-optimize-sibling-calls", "-fno-inline", "-Wall", "-Werror"]
        compiler = "gcc" if source.suffix == ".c" else "g++"
        result = of(interpreter).run([compiler, "-shared", "-fPIC", "-pthread", *flags,
                                      "-I", interpreter.include, source, "-o", new])
        assert result.returncode == 0, result.stderr
        new.rename(target)  # at once: another process may be loading it
    return str(directory)


def has_headers(interpreter):
    return os.path.exists(interpreter.root + interpreter.include + "/Python.h")


def host_compile(source, target, *flags):
    """A helper program in C, for this system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name("%s.%d.new" % (target.name, os.getpid()))
    subprocess.run(["gcc", "-O2", "-g", "-Wall", "-Werror", "-pthread", str(source), "-o", str(new), *flags], check=True)
    new.rename(target)  # at once: another process may be running it
    return str(target)


def packages(interpreter, *names):
    """A directory to put on PYTHONPATH with packages from the index, installed once; or None.

    One for each set: pip would let the parts of a namespace package replace each other.
    """
    directory = WORK / "pip" / interpreter.id / "-".join(names)
    if interpreter.root:
        return str(directory)
    WORK.mkdir(parents=True, exist_ok=True)
    with open(str(WORK / "pip.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        return str(directory) if directory.exists() or _install(interpreter, names, directory) else None


def _install(interpreter, names, directory):
    whole = directory.with_name(directory.name + ".part")
    shutil.rmtree(str(whole), ignore_errors=True)
    result = subprocess.run([interpreter.path, "-m", "pip", "install", "-q", "--only-binary=:all:",
                             "--target", str(whole), *names], stdin=subprocess.DEVNULL,
                            env=dict(clean_environment(), PIP_ROOT_USER_ACTION="ignore"))
    if result.returncode:
        return False
    whole.rename(directory)
    return True
