# SPDX-License-Identifier: MIT
"""What `cmake --preset container` packs runs on any distribution: the archive is unpacked in the
oldest Debian that the mirror still has, beside its own interpreter and C library."""
import os
import re
import subprocess
import tarfile

import place
import pytest
import recording

SUITES = ["stretch", "buster", "bullseye", "bookworm"]
BURNS = """
import threading, time
def burns():
    end = time.thread_time() + 0.4
    while time.thread_time() < end: sum(range(200))
def waits():
    time.sleep(0.3)
burns(); waits()
thread = threading.Thread(target=burns); thread.start(); thread.join()
"""


def run(*argv, **options):
    return subprocess.run(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


@pytest.fixture(scope="module")
def archive():
    build = place.WORK / "build-container"
    for command in (["cmake", "--preset", "container", "-B", build], ["cmake", "--build", build, "-j", "2"]):
        result = run(*command, cwd=str(place.REPO))
        assert result.returncode == 0, result.stdout[-4000:]
    found, = build.glob("pillion-*-x86_64.tar.gz")
    return found


def mirror():
    said = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages").stdout
    return next((line.split()[0] for line in said.splitlines() if line.split()[1:] == ["Debian"]), None)


@pytest.fixture(scope="module")
def oldest():
    """A tree of the oldest suite, kept from run to run."""
    if os.geteuid():
        pytest.skip("needs root to make a tree")
    for suite in SUITES:
        tree = place.WORK / ("tree-" + suite)
        if (tree / "complete").exists():
            return tree
        result = run("debootstrap", "--variant=minbase", "--include=python3", suite, tree, mirror())
        if result.returncode == 0:
            (tree / "complete").touch()
            return tree
    pytest.skip("no mirror of an older Debian: " + result.stdout[-300:])


def inside(tree, *command):
    enter = 'mount --make-rprivate / && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    return run("unshare", "--mount", "--pid", "--fork", "sh", "-c", enter, tree, *command)


def check_profile(path):
    profile = recording.load(path)
    assert profile.data["complete"] and profile.data["symbolized"]
    assert profile.processes[0]["interpreter_status"] == recording.CHECKED
    assert profile.total("cpu_ns", profile.calling("burns")) > 0.7e9
    assert profile.total("offcpu_ns", profile.calling("waits")) > 0.25e9


@pytest.mark.full
def test_the_archive_has_a_static_program_and_the_library(archive):
    with tarfile.open(archive) as tar:
        assert sorted(m.name for m in tar if m.isfile()) == [
            "pillion/LICENSE", "pillion/libpillion.so", "pillion/pillion"]
    program = place.WORK / "build-container" / "bin" / "pillion"
    assert "INTERP" not in run("readelf", "-lW", program).stdout


@pytest.mark.full
def test_it_records_on_this_system(archive, one_python, work):
    with tarfile.open(archive) as tar:
        tar.extractall(work)
    command = [one_python.path, "-c", BURNS]
    said = place.HERE.run([work / "pillion" / "pillion", "record", "-o", work / "x.pillion", "--", *command])
    assert (said.returncode, said.stdout) == (0, ""), said.stderr
    check_profile(work / "x.pillion")
    report = place.HERE.run([work / "pillion" / "pillion", "report", work / "x.pillion"])
    assert report.returncode == 0 and "burns" in report.stdout, report.stderr


@pytest.mark.long
def test_it_records_in_the_oldest_debian(archive, oldest):
    version = inside(oldest, "ldd", "--version").stdout
    assert (2, 17) <= tuple(map(int, re.search(r"(\d+)\.(\d+)\s", version).groups()))
    (oldest / "profiles").mkdir(exist_ok=True)
    for path in (oldest / "profiles").iterdir():
        path.unlink()
    with tarfile.open(archive) as tar:
        tar.extractall(oldest)
    preload = ["env", "LD_PRELOAD=/pillion/libpillion.so", "PILLION_OUTPUT=/profiles/%n.pillion", "PILLION_LOG=error"]
    for plain in (["true"], ["sh", "-c", "ls / | sort | head -n 1"], ["perl", "-e", "print 1"]):
        said, expected = inside(oldest, *preload, *plain), inside(oldest, *plain)
        assert (said.returncode, said.stdout) == (expected.returncode, expected.stdout)
    assert not list((oldest / "profiles").iterdir())
    result = inside(oldest, *preload, "python3", "-c", BURNS)
    assert (result.returncode, result.stdout) == (0, "")
    check_profile(oldest / "profiles" / "1.pillion")


@pytest.mark.long
def test_it_launches_there(archive, oldest):
    with tarfile.open(archive) as tar:
        tar.extractall(oldest)
    result = inside(oldest, "/pillion/pillion", "record", "-f", "-o", "/profiles/record.pillion", "--", "python3", "-c",
                    BURNS)
    assert result.returncode == 0 and "2 threads" in result.stdout, result.stdout
    report = inside(oldest, "/pillion/pillion", "report", "/profiles/record.pillion")
    assert report.returncode == 0 and "burns" in report.stdout
