# SPDX-License-Identifier: MIT
"""Parts of other people's test suites pass as without Pillion; run.py runs the whole of them."""
import collections
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import journal  # noqa: E402
import outcomes  # noqa: E402
import run  # noqa: E402
import suites  # noqa: E402


def passes(python, parts, warnings, record_property, capsys):
    """How many tests pass, with us as without."""
    results = run.run(run.Runner(python, warnings=warnings), parts, jobs=2)
    record_property("figure", "%s, warnings: %s: %s" % (python, warnings, run.summary(parts[0].suite.name, results)))
    assert not [d for r in results for d in r.differences if not d.is_flaky], capsys.readouterr().out
    assert sum(r.samples for r in results) > 10, "it was not sampled"
    return sum(r.outcomes["passed"] for r in results)


def row_of(suite):
    marks = [pytest.mark.row("Suites", suite.name)]
    return pytest.param(suite.name, marks=marks if suite.quick else [*marks, pytest.mark.long])


@pytest.mark.parametrize("warnings", ["error", pytest.param("default", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [row_of(suite) for suite in suites.SUITES])
def test_a_suite_has_the_same_passes_and_failures_with_us(one_python, long, name, warnings, record_property, capsys):
    """Parts of it; with --long, all of it."""
    suite, = suites.find([name])
    parts = run.parts_of(suite, one_python, quick=not long)
    if not parts:
        pytest.skip("the suite of %s is not to be had for %s" % (name, one_python))
    passed = passes(one_python, parts, warnings, record_property, capsys)
    if long and warnings == "error" and not passed:
        pytest.skip("with every warning an error nothing of %s passes, without us either" % name)
    assert passed > 5


@pytest.mark.row("Suites", "cpython, a few parts on each interpreter")
def test_each_interpreter_passes_parts_of_its_own_suite(interpreter, one_python, long, record_property, capsys):
    if interpreter == one_python:
        pytest.skip("it has more parts in a test of its own")
    suite, = suites.find(["cpython"])
    parts = run.parts_of(suite, interpreter, suites.QUICK if long else suites.QUICKEST)
    if not parts:
        pytest.skip("%s has come without its tests" % interpreter)
    assert passes(interpreter, parts, "error", record_property, capsys) > 5


PASSED, FAILED, CRASHED, TIMED_OUT = "0", "2", "-11", str(run.TIMED_OUT)


@pytest.mark.parametrize("test, plain, loaded, flaky", [
    ("test", {"passed": 4}, {"failed": 4}, False),
    ("test", {"passed": 4}, {"failed": 2, "passed": 2}, False),
    ("test", {"passed": 4}, {"failed": 1, "passed": 3}, True),
    ("test", {"passed": 1}, {"failed": 1}, False),
    ("test", {"passed": 3, "failed": 1}, {"failed": 4}, True),
    ("test", {"failed": 4}, {"passed": 4}, False),
    (outcomes.END, {PASSED: 4}, {FAILED: 1, PASSED: 3}, True),
    (outcomes.END, {PASSED: 4}, {CRASHED: 1, PASSED: 3}, False),
    (outcomes.END, {PASSED: 4}, {TIMED_OUT: 1, PASSED: 3}, False),
    (outcomes.END, {PASSED: 3, FAILED: 1}, {CRASHED: 1, PASSED: 3}, False),
    (outcomes.END, {PASSED: 3, TIMED_OUT: 1}, {CRASHED: 1, PASSED: 3}, False),
    (outcomes.END, {PASSED: 3, CRASHED: 1}, {CRASHED: 1, PASSED: 3}, True)])
def test_what_is_flaky_and_what_is_our_doing(test, plain, loaded, flaky):
    difference = outcomes.Difference(test, collections.Counter(plain), collections.Counter(loaded))
    assert difference.is_flaky == flaky


def test_results_are_read_as_unittest_and_pytest_write_them(tmp_path):
    path = tmp_path / "junit.xml"
    path.write_text("""<testsuites><testsuite>
        <testcase name="test.test_os.A.test_x" status="run" result="completed"/>
        <testcase name="test.test_os.A.test_x" status="run"><failure/></testcase>
        <testcase name="test.test_os.A.test_y" status="run" result="completed"><skipped>why</skipped></testcase>
        <testcase classname="numpy.tests.test_a.B" name="test_z[1]"/>
        <testcase classname="numpy.tests.test_a" name="test_e"><error/></testcase>
        <testcase name="test.test_os.A.test_s (parse=&lt;object at 0x7f05aB&gt;)" status="run"><skipped>why</skipped></testcase>
        </testsuite></testsuites>""")
    assert outcomes.read_junit(path, 2) == {
        outcomes.END: "2", "test.test_os.A.test_x": "failed", "test.test_os.A.test_y": "skipped",
        "test.test_os.A.test_s (parse=<object at 0x>)": "skipped", "numpy.tests.test_a.B.test_z[1]": "passed", "numpy.tests.test_a.test_e": "failed"}


def test_a_run_that_ends_before_it_tells_anything_differs(tmp_path):
    died = outcomes.read_junit(tmp_path / "none.xml", -11)
    whole = {outcomes.END: "0", "a": "passed"}
    assert outcomes.differing(whole, died) == [outcomes.END, "a"]
    assert {d.test: d.is_flaky for d in outcomes.compare([whole], [died])} == {outcomes.END: False, "a": False}


def test_an_interrupted_comparison_goes_on_where_it_was(tmp_path):
    suite = suites.SUITES[0]
    first, second = run.Part(suite, "test_a", ""), run.Part(suite, "test_b", "")
    found = run.Result(first, 2, collections.Counter(passed=1, failed=1), [outcomes.Difference(
        "test_a.test_x", collections.Counter(passed=4), collections.Counter(failed=4))], 120, 1, [0.5, 0.6])
    journal.Journal(tmp_path / "done", {"hz": 1000}).keep(found)
    with (tmp_path / "done").open("a") as f:
        f.write('["cpython", "test_b", 3')  # it was killed while it wrote
    kept = journal.Journal(tmp_path / "done", {"hz": 1000})
    assert kept.results(run.Result, [first, second]) == {first: found}
    kept.keep(found._replace(part=second))
    kept = journal.Journal(tmp_path / "done", {"hz": 1000})
    assert kept.results(run.Result, [first, second]) == {first: found, second: found._replace(part=second)}
    with pytest.raises(journal.Other):
        journal.Journal(tmp_path / "done", {"hz": 100})
