# SPDX-License-Identifier: MIT
"""What has a command of its own, for as long as one likes: some minutes of it, as rows of the table."""
import pathlib
import re
import subprocess
import sys

import place
import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
MINUTES = 5


def run(*argv, timeout):
    argv = [str(a) for a in argv]
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.row("Soak", "a web service under load, with forks, reloads and rotation")
def test_nothing_grows_in_a_service(record_property):
    result = run(sys.executable, TESTS / "stress" / "soak.py", "--minutes", MINUTES, timeout=MINUTES * 60 + 300)
    told = re.findall(r"^(.*?) {2,}(\S+)  (ok|NOT OK)$", result.stdout, re.M)
    record_property("figure", "%d minutes; %s" % (MINUTES, ", ".join("%s: %s" % row[:2] for row in told)))
    assert result.returncode == 0, result.stdout
    assert told


@pytest.mark.long
@pytest.mark.row("Hostile input", "every fuzzer, for seconds")
def test_no_fuzzer_finds_anything(record_property):
    result = run(TESTS / "fuzz" / "run.sh", timeout=900)
    told = re.findall(r"^(\w+) +(\d+) executions", result.stdout, re.M)
    record_property("figure", ", ".join("%s %s" % row for row in told))
    assert result.returncode == 0, result.stdout
    targets = {path.stem[len("fuzz_"):] for path in (TESTS / "fuzz").glob("fuzz_*.c")}
    assert {name for name, _ in told} == targets, "not all ran; is clang there? %s" % place.WORK
