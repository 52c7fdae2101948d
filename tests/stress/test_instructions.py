# SPDX-License-Identifier: MIT
"""What Pillion adds to calls that programs make all day, in instructions: the same on every machine.

Counted by callgrind, with hardly a sample in between.
"""
import re
import shutil

import place
import pytest
import recording


def counted(python, work, kind, count, recorded, options=("-F", "1")):
    """Instructions of one call of that kind."""
    if python.root or not shutil.which("valgrind"):
        pytest.skip("no valgrind here: tests/run.sh installs it")
    where, out, profile = place.of(python), work / ("%s.%d" % (kind, recorded)), work / (kind + ".pillion")
    prefix = [where.pillion, "record", "-q", *options, "-o", profile, "--"] if recorded else []
    result = where.run([*prefix, "valgrind", "-q", "--tool=callgrind", "--toggle-collect=storms_ext_counted",
                        "--callgrind-out-file=%s" % out, python.path, "-S", "-c",
                        "import storms_ext; print(storms_ext.repeat(%r, %d))" % (kind, count)],
                       env={"PYTHONPATH": place.build_extension(python, "storms_ext")})
    assert (result.returncode, result.stdout) == (0, "%d\n" % count), result.stderr
    assert not recorded or recording.load(profile).processes
    return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1)) / count


def test_an_exception_of_cplusplus_costs_what_it_costs_without_us(python, work, record_property):
    """Unwinders that take _Unwind_* or dl_iterate_phdr for themselves made it up to 30 times slower."""
    plain, recorded = (counted(python, work, "exception", 400, r) for r in (False, True))
    record_property("figure", "%+.2f %% instructions" % (100 * (recorded / plain - 1)))
    assert plain > 5000 and recorded <= 1.02 * plain


def test_a_malloc_and_its_free_cost_a_few_instructions_more(python, work, record_property):
    """Nothing that grows with threads or blocks, no system call, no lock."""
    plain, recorded = (counted(python, work, "small blocks", 2000, r) for r in (False, True))
    each = (recorded - plain) / 16
    record_property("figure", "%+.0f instructions for a malloc and a free" % each)
    assert 5 <= each <= 120  # with a sample or two that comes in between


def test_a_program_that_waits_to_be_sampled_costs_what_it_costs_without_us(python, work, record_property):
    """Switched on later, by `pillion ctl`: what it allocates is counted from the start."""
    plain, dormant = (counted(python, work, "documents", 200, r, ["--no-start"]) for r in (False, True))
    record_property("figure", "%+.2f %% instructions" % (100 * (dormant / plain - 1)))
    assert plain > 100000 and dormant <= 1.01 * plain
