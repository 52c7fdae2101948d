# SPDX-License-Identifier: MIT
"""What Pillion adds to calls that programs make all day, in instructions: the same on every machine.

Counted by callgrind, with hardly a sample in between.
"""
import re
import shutil

import place
import pytest


def counted(python, work, kind, count, recorded):
    if python.root or not shutil.which("valgrind"):
        pytest.skip("no valgrind here: tests/run.sh installs it")
    where, out = place.of(python), work / ("%s.%d" % (kind, recorded))
    prefix = [where.pillion, "record", "-q", "-F", "1", "-o", work / (kind + ".pillion"), "--"] if recorded else []
    result = where.run([*prefix, "valgrind", "-q", "--tool=callgrind", "--toggle-collect=storms_ext_counted",
                        "--callgrind-out-file=%s" % out, python.path, "-S", "-c",
                        "import storms_ext; print(storms_ext.repeat(%r, %d))" % (kind, count)],
                       env={"PYTHONPATH": place.build_extension(python, "storms_ext")})
    assert (result.returncode, result.stdout) == (0, "%d\n" % count), result.stderr
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
    assert 5 <= each <= 120
