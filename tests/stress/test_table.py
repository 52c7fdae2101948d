# SPDX-License-Identifier: MIT
"""What table.py makes of what it hears from pytest: each case counts in its own rows, and in no other."""
import importlib.util
import io
import pathlib
import types

import pytest

# By its path: tests/bench has a module of this name, too.
SPEC = importlib.util.spec_from_file_location("stress_table", str(pathlib.Path(__file__).with_name("table.py")))
table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(table)

HERE = "tests/transparency/test_suites.py::"


def item(nodeid, *row):
    marker = pytest.mark.row(*row).mark if row else None
    return types.SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: marker)


def report(nodeid, outcome, figure=None):
    skipped = outcome == "skipped"
    return types.SimpleNamespace(
        nodeid=nodeid, when="call", outcome=outcome, passed=outcome == "passed", failed=outcome == "failed",
        skipped=skipped, duration=1.0, user_properties=[("figure", figure)],
        longrepr=("file", 1, "Skipped: not here") if skipped else None, longreprtext="why\nwhere")


def table_of(items):
    made = table.Table("")
    hook = types.SimpleNamespace(pytest_deselected=lambda items: None)
    made.pytest_collection_modifyitems(types.SimpleNamespace(hook=hook), items)
    return made


def test_a_case_that_is_marked_has_a_row_of_its_own():
    cases = [item(HERE + "test_a_suite[%s]" % name, "Suites", name) for name in ("one", "two")]
    items = [*cases, item(HERE + "test_something_else")]
    made = table_of(items)
    assert items == cases
    made.pytest_runtest_logreport(report(cases[0].nodeid, "passed", "7 tests"))
    made.pytest_runtest_logreport(report(cases[1].nodeid, "failed", "8 tests"))
    rows = {row.what: (row.verdict, row.figure) for row in made.rows if row.section == "Suites"}
    assert rows == {"one": ("passed", "1 of 1; 7 tests"), "two": ("failed", "0 of 1; why")}


def test_a_case_counts_in_every_row_that_names_its_test():
    name = "stress/test_storms.py::test_nothing_stands_still"
    case = item("tests/%s[loader]" % name)
    made = table_of([case])
    made.pytest_runtest_logreport(report(case.nodeid, "passed"))
    rows = [row for row in made.rows if name in row.tests]
    assert len(rows) >= 2 and all(row.verdict == "passed" for row in rows)


def test_a_row_does_not_read_as_all_passed_if_some_was_skipped():
    cases = [item(HERE + "test_a_suite[%s]" % name, "Suites", "both") for name in ("one", "two")]
    made = table_of(list(cases))
    made.pytest_runtest_logreport(report(cases[0].nodeid, "passed", "7 tests"))
    made.pytest_runtest_logreport(report(cases[1].nodeid, "skipped"))
    row, = (row for row in made.rows if row.section == "Suites")
    assert (row.verdict, row.figure) == ("passed", "1 of 2, 1 skipped; not here; 7 tests")
    made.rows = [row]
    printed = io.StringIO()
    made.print(printed)
    assert printed.getvalue().splitlines()[-1] == "1 rows: 1 passed (1 with cases skipped)"


def test_what_is_run_again_counts_once():
    case = item(HERE + "test_a_suite[one]", "Suites", "one")
    made = table_of([case])
    for outcome in ("rerun", "rerun", "passed"):
        made.pytest_runtest_logreport(report(case.nodeid, outcome))
    row, = (row for row in made.rows if row.section == "Suites")
    assert (row.verdict, row.figure) == ("passed", "1 of 1")
