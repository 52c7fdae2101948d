# SPDX-License-Identifier: MIT
"""How much stress: a fixed part of a minute, with --long every interpreter and far more.

Tests take `python`, Debian's own unless --long or --minor asks for others, and multiply
what they repeat by `times`. Marked `full`, they are left out of `run.sh --quick`.
"""
import interpreters
import pytest


def _pythons(config):
    minors = config.getoption("--minor")
    found = interpreters.supported(minors)
    if config.getoption("--long") or minors:
        return found
    return sorted(found, key=lambda i: i.origin != "debian")[:1]


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        pythons = _pythons(metafunc.config)
        metafunc.parametrize("python", pythons, ids=[i.id for i in pythons], scope="session")


@pytest.fixture(scope="session")
def times(long):
    return 10 if long else 1
