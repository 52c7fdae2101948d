# SPDX-License-Identifier: MIT
"""The interpreters that are measured, and the peers installed for each of them.

An interpreter of this system gets a virtual environment in PLN_WORK/bench-venvs. One in
the Debian sid tree gets a directory of packages there, filled by this system's pip for that
version: nothing is installed in the tree itself, which is shared. Packages are installed one
by one; what pip said about one that could not be is kept, and shown in every table.
"""
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys

import interpreters
import place

VENVS = place.WORK / "bench-venvs"
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
# Least versions keep pip from falling back to ancient releases, from before binary wheels.
PEERS = {"py-spy": "py-spy>=0.4", "austin": "austin-dist>=4.0", "scalene": "scalene>=1.5", "memray": "memray>=1.17",
         "pyinstrument": "pyinstrument>=5.0", "yappi": "yappi>=1.7", "line_profiler": "line_profiler>=4.2"}
LIBRARIES = {"numpy": "numpy", "pandas": "pandas>=2", "django": "django>=4"}
WHEELS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64",
          "manylinux_2_12_x86_64", "manylinux2010_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64"]


@dataclasses.dataclass(frozen=True)
class Subject:
    interpreter: interpreters.Interpreter

    @property
    def id(self):
        return self.interpreter.id

    @property
    def place(self):
        return place.of(self.interpreter)

    @property
    def directory(self):
        return VENVS / self.id

    @property
    def python(self):
        """As seen from inside."""
        return self.interpreter.path if self.interpreter.root else str(self.directory / "bin" / "python")

    def tool(self, name):
        """A program that came with a package: any environment's, for pip puts none into a plain directory."""
        found = [self.directory / "bin" / name, *sorted(VENVS.glob("*/bin/" + name))]
        return next((path for path in found if path.exists()), found[0])

    def enter(self, argv, cwd):
        """The command that runs `argv` there, with the packages at hand."""
        if not self.interpreter.root:
            return [str(a) for a in argv]
        return interpreters.enter(self.interpreter.root, argv, cwd, {"PYTHONPATH": str(self.directory)})

    @functools.lru_cache(maxsize=None)
    def installed(self):
        """{package: "" or pip's message}"""
        record = self.directory / "installed.json"
        return json.loads(record.read_text()) if record.exists() else {}

    @functools.lru_cache(maxsize=None)
    def versions(self):
        """{distribution: version}, for the table."""
        code = "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name'].lower(): d.version " \
               "for d in m.distributions()}))"
        out = subprocess.run(self.enter([self.python, "-c", code], "/"), stdout=subprocess.PIPE,
                             env=place.clean_environment())
        return json.loads(out.stdout)


def _pip(subject, host, package):
    """What installs one package for the subject."""
    common = ["install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
    if not subject.interpreter.root:
        return [subject.python, "-m", "pip", *common, package]
    version = "%d.%d" % subject.interpreter.minor
    tag = "cp" + version.replace(".", "")
    platforms = [word for wheel in WHEELS for word in ("--platform", wheel)]
    return [host.python, "-m", "pip", *common, "--upgrade", "--target", str(subject.directory), "--python-version",
            version, "--implementation", "cp", "--abi", tag, "--abi", "abi3", "--abi", "none", *platforms, package]


def _install_one(subject, host, package):
    done = subprocess.run(_pip(subject, host, package), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, env=dict(place.clean_environment(), PIP_ROOT_USER_ACTION="ignore"))
    errors = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("ERROR")]
    if done.returncode == 0:
        return ""
    return "no wheel for CPython %d.%d: %s" % (*subject.interpreter.minor, (errors or ["pip failed"])[-1][:160])


def install(subject, host, again=False):
    """Idempotent: what is there, or was found not to be had, is left alone unless asked again."""
    record = subject.directory / "installed.json"
    known = {} if again or not record.exists() else json.loads(record.read_text())
    if not subject.interpreter.root and not os.path.exists(subject.python):
        subprocess.run([subject.interpreter.path, "-m", "venv", str(subject.directory)], check=True)
    subject.directory.mkdir(parents=True, exist_ok=True)
    for name, package in {**PEERS, **LIBRARIES}.items():
        if name not in known:
            known[name] = _install_one(subject, host, package)
            record.write_text(json.dumps(known, indent=1))
            print("%s: %s: %s" % (subject.id, name, known[name] or "installed"), flush=True)
    subject.installed.cache_clear()


def share_tree():
    """The work directory and the programs, seen from inside the sid tree under the same paths."""
    if interpreters.SID_TREE.exists() and os.geteuid() == 0:
        script = str(place.REPO / "tests" / "lib" / "sid.sh")
        subprocess.run([script, "show", str(interpreters.SID_TREE), str(place.REPO)], check=True)
        subprocess.run([script, "share", str(interpreters.SID_TREE), str(place.WORK)], check=True)


def default():
    """The newest that most peers run on, and the one that has a sampler of its own."""
    every = interpreters.supported()
    here = [i for i in every if not i.root]
    usual = [i for i in here if i.minor == (3, 12)] or here
    newest = [i for i in every if i.minor == (3, 15)]
    return [Subject(i) for i in usual[-1:] + newest[-1:]]


def named(ids):
    return [Subject(i) for i in interpreters.supported() if i.id in ids] if ids else default()


def plot(table, directory):
    """The pictures of a table, by matplotlib in an environment of its own; says so when there can be none."""
    venv, clean = VENVS / "plot", dict(place.clean_environment(), PIP_ROOT_USER_ACTION="ignore")
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
    try:
        if not (venv / "installed").exists():
            subprocess.run([default()[0].interpreter.path, "-m", "venv", str(venv)], check=True)
            subprocess.run([*pip, "matplotlib>=3.8"], check=True, env=clean)
            (venv / "installed").touch()
        script = str(pathlib.Path(__file__).resolve().parent / "plot.py")
        subprocess.run([python, script, str(table), str(directory)], check=True, env=clean)
    except (OSError, subprocess.CalledProcessError) as error:
        print("no pictures of %s: %s" % (table, error), file=sys.stderr)


def prepare(subjects, again=False):
    host = next((s for s in subjects if not s.interpreter.root), None) or default()[0]
    if any(s.interpreter.root for s in subjects):
        share_tree()
    for subject in [host, *(s for s in subjects if s is not host)]:
        install(subject, host, again)
