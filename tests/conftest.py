# SPDX-License-Identifier: MIT
"""What every Python test shares: the interpreters, and how long tests may take.

A test that takes `interpreter` runs once for each supported CPython; one that takes
`one_python` runs once, with the system's own. --minor 3.12 keeps to one minor.

Tests may run in several processes (pytest-xdist). One that is marked `alone` says how fast
something goes, or how a CPU is shared: no other test runs meanwhile.
"""
import fcntl
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import interpreters  # noqa: E402
import place  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the full counts and durations")
    parser.addoption("--minor", action="append", help="only this CPython minor, such as 3.12")


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: no other test runs meanwhile")
    config.addinivalue_line("markers", "full: not in a quick run")
    config.addinivalue_line("markers", "long: only with --long")
    config.addinivalue_line("markers", "row(section, what): a row of its own in stress/table.py")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="only with --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


class Machine:
    """Held by every test that runs: by many, or by one that is alone. Who waits for it comes before who is next."""

    def __init__(self):
        place.WORK.mkdir(parents=True, exist_ok=True)
        self.door, self.room = (open(str(place.WORK / ("machine.%s.lock" % name)), "w") for name in ("door", "room"))

    def enter(self, alone):
        fcntl.flock(self.door, fcntl.LOCK_EX)
        fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self.door, fcntl.LOCK_UN)

    def leave(self):
        fcntl.flock(self.room, fcntl.LOCK_UN)


machine = Machine()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    machine.enter("alone" in item.keywords)
    try:
        return (yield)
    finally:
        machine.leave()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """What is run again, with --reruns, gets its recordings made again: one of them may be the cause.

    With session_work end all fixtures that keep something in it.
    """
    if getattr(item, "execution_count", 1) > 1:
        for definition in item._fixtureinfo.name2fixturedefs.get("session_work", ()):
            definition.finish(item._request)


def pytest_terminal_summary(terminalreporter):
    """What failed the first time, with --reruns: to be looked into like any other failure."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section("failed, and was run again: " + report.nodeid)
        terminalreporter.write_line(report.longreprtext)


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        chosen = interpreters.supported(metafunc.config.getoption("--minor"))
        metafunc.parametrize("interpreter", chosen, ids=[i.id for i in chosen], scope="session")


@pytest.fixture(scope="session")
def long(request):
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def one_python():
    """The interpreter for tests that need any: Debian's own, else the first found."""
    found = interpreters.supported()
    assert found, "no supported CPython on this machine"
    return next((i for i in found if i.origin == "debian"), found[0])


@pytest.fixture(scope="session")
def here():
    """This system's build of Pillion, installed."""
    assert pathlib.Path(place.HERE.pillion).exists(), "not installed: run tests/run.sh"
    return place.HERE


def _work_directory():
    base = place.WORK / "tmp"
    base.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(dir=str(base)))
    yield directory
    shutil.rmtree(str(directory), ignore_errors=True)


# An empty directory, seen under one path in every place: for one test, or for all.
work = pytest.fixture(_work_directory, name="work")
session_work = pytest.fixture(_work_directory, scope="session", name="session_work")
