# SPDX-License-Identifier: MIT
"""A container's environment reaches programs of musl, too: they run as without us, in Alpine and elsewhere."""
import re
import shutil
import subprocess

import pytest

import place

LIBC = "/usr/lib/x86_64-linux-musl/libc.so"


@pytest.fixture(scope="module")
def program(session_work):
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc here: musl-tools is not installed")
    path = session_work / "any-libc"
    subprocess.run(["musl-gcc", "-O1", "-Wall", "-Werror", place.WORKLOADS / "any_libc.c", "-o", path], check=True)
    return path


def libraries():
    return [place.HERE.library, str(place.HERE.build / "portable/libpillion.so")]


def output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize("library", libraries(), ids=["installed", "for containers"])
def test_a_program_of_musl_runs_as_without_us(program, work, library):
    plain = place.HERE.run([program])
    assert plain.returncode == 7 and "execve 42" in plain.stdout, (plain.stdout, plain.stderr)
    env = {"LD_PRELOAD": library, "PILLION_OUTPUT": str(work / "x.pillion"), "PILLION_LOG": "debug"}
    result = place.HERE.run([program], env=env)
    assert (result.returncode, result.stdout, result.stderr) == (7, plain.stdout, "")
    assert list(work.iterdir()) == []
    loaded = place.HERE.run(["/lib/ld-musl-x86_64.so.1", "--list", program], env=env).stdout
    assert "libpillion.so" in loaded  # and not merely left out


def test_record_runs_it_and_says_why_there_is_no_profile(program, work):
    result = place.HERE.run([place.HERE.pillion, "record", "-o", work / "x.pillion", "--", program])
    assert result.returncode == 7
    assert "musl" in result.stderr


def test_of_a_python_of_musl_the_log_says_why(work):
    """An interpreter is known by its functions; a program that has them stands in for one."""
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc here: musl-tools is not installed")
    source, program = work / "python.c", work / "python3"
    source.write_text('const char *Py_GetVersion(void) { return "3.12.1"; }\nint main(void) { return !*Py_GetVersion(); }\n')
    subprocess.run(["musl-gcc", "-rdynamic", source, "-o", program], check=True)
    env = dict(place.HERE.preload(work / "x.pillion"), PILLION_LOG="error")
    result = place.HERE.run([program], env=env)
    assert result.returncode == 0
    assert re.fullmatch(r"pillion\[\d+\]: not sampling: .*glibc\n", result.stderr)


@pytest.mark.parametrize("library", libraries(), ids=["installed", "for containers"])
def test_musl_has_all_that_must_be_there(library):
    """Its loader ends a program for a function that a preloaded library lacks, or for a file."""
    try:
        has = {line.split()[-1] for line in output("nm", "-D", "--defined-only", LIBC).splitlines()}
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no %s here: musl-dev is not installed" % LIBC)
    wanted = [line.split() for line in output("nm", "-D", "--undefined-only", library).splitlines()]
    missing = {name.split("@")[0] for kind, name in wanted if kind == "U"} - has
    assert wanted and not missing
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", library)))
    # By these names musl means itself.
    assert needed <= {"libc.so.6", "libpthread.so.0", "libdl.so.2"}
