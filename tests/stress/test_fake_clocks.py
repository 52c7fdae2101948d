# SPDX-License-Identifier: MIT
"""Libraries that give a program another time: its profile has the kernel's, and no handler waits for their locks."""
import json
import shutil
import time

import place
import pytest
import recording
from prelude import PRELUDE

PROGRAM = PRELUDE + """
def burns(): burn(0.3)
def waits(): time.sleep(0.3)
def tells():  # it reads the clock, under a lock of the library, for nearly all of its time
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        for i in range(1000): year = time.gmtime().tm_year
    return year
burns()
waits()
print(tells())
"""


@pytest.mark.parametrize("of_record", [False, True], ids=["program", "record, too"])
@pytest.mark.parametrize("library", [[], ["-m"]], ids=["threads apart", "with locks"])
def test_under_libfaketime_the_profile_has_the_kernels_time(python, work, library, of_record):
    if not shutil.which("faketime"):
        pytest.skip("no faketime")
    if python.root:
        pytest.skip("it is not in %s" % python.root)
    where, path = place.of(python), work / "out.pillion"
    fake = ["faketime", *library, "2000-02-03 04:05:06"]
    record = [where.pillion, "record", "-q", "-F", "200", "-o", path, "--"]
    program = [python.path, "-c", PROGRAM]
    result = where.run([*fake, *record, *program] if of_record else [*record, *fake, *program], cwd=work)
    assert (result.returncode, result.stdout) == (0, "2000\n"), result
    profile = recording.complete(path)
    for name in ("burns", "tells"):
        assert 0.27e9 <= profile.total("cpu_ns", profile.calling(name)) <= 0.36e9, name
    assert 0.28e9 <= profile.total("offcpu_ns", profile.calling("waits")) <= 0.4e9
    told = json.loads(where.run([where.pillion, "report", "--json", path]).stdout)
    assert abs(time.time() - told["recording"]["start_unix_ns"] / 1e9) < 3600
