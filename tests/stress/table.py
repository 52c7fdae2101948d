#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs what shows that Pillion does no harm, and prints one row for each pitfall, fault and suite.

    table.py                     every row, with its figure
    table.py -k fork             only rows in whose name or tests the word is
    table.py --list              the rows and their tests; nothing is run
    table.py -- --long           what follows is for pytest

Rows of pitfalls are those of pitfalls.py. Each test of a file named in SECTIONS is a row of its own, as is
each test anywhere, or each case of one, that is marked `@pytest.mark.row("section", "what it is")`. A test
tells its figure by pytest's own record_property("figure", text). Needs what tests/run.sh builds and installs.
Exits with 1 when a row failed.
"""
import argparse
import collections
import contextlib
import fnmatch
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "stress"), str(TESTS / "lib")]

import pitfalls  # noqa: E402
import place  # noqa: E402

try:
    import pytest
except ImportError:
    # tests/run.sh installs it where it does not get in anyone's way.
    python = place.WORK / "venv" / "bin" / "python"
    if not python.exists() or pathlib.Path(sys.prefix) == python.parents[1]:
        sys.exit("table.py: there is no pytest; run tests/run.sh first")
    os.execv(str(python), [str(python), *sys.argv])

SECTIONS = {
    "stress/test_faults*.py": "Faults",
    "stress/test_crowds.py": "Faults",
    "e2e/test_containers*.py": "Containers",
    "e2e/test_first_process.py": "Containers",
    "e2e/test_portable.py": "Containers",
    "e2e/test_services.py": "Recipes",
}
FIGURES = 12  # of one row
ORDER = ["failed", "not run", "skipped", "passed", "why not"]


class Row:
    def __init__(self, section, what, tests=(), programs=(), why_not=""):
        self.section, self.what, self.tests, self.programs = section, what, tests, programs
        self.why_not = why_not
        self.outcomes = collections.Counter()
        self.figures = []
        self.reasons = []
        self.seconds = 0.0

    def add(self, outcome, seconds=0.0, figure=None, reason=None):
        self.outcomes[outcome] += 1
        self.seconds += seconds
        if figure:
            self.figures.append(figure)
        if reason:
            self.reasons.append(reason)

    @property
    def verdict(self):
        """Its worst case; skipped only if all are, as not every machine can do everything: the figure says how many."""
        if self.why_not:
            return "why not"
        if not self.outcomes:
            return "not run"
        if self.outcomes["passed"] and not self.outcomes["failed"]:
            return "passed"
        return min(self.outcomes, key=ORDER.index)

    @property
    def figure(self):
        if self.why_not:
            return self.why_not
        cases = "%d of %d" % (self.outcomes["passed"], sum(self.outcomes.values()))
        if self.outcomes["skipped"]:
            cases += ", %d skipped" % self.outcomes["skipped"]
        # Of who passed, the reasons are those of cases that were skipped.
        said = self.reasons if self.verdict in ("failed", "skipped") else self.reasons + self.figures
        return "; ".join([cases, *list(dict.fromkeys(said))[:FIGURES]])


def function_of(nodeid):
    """ "stress/test_x.py::test_y" of a case of it, wherever pytest was started."""
    path, _, name = nodeid.partition("::")
    return "%s::%s" % ("/".join(pathlib.PurePath(path).parts[-2:]), name.split("[")[0].split("::")[-1])


def in_words(function):
    return function.split("::")[1].replace("test_", "", 1).replace("_", " ")


class Table:
    """A plugin of pytest: knows the rows, and hears what becomes of their tests."""

    def __init__(self, word):
        self.word = word
        self.rows = [Row("Pitfalls: " + p.group, p.what, p.tests, p.programs, p.why_not) for p in pitfalls.PITFALLS]
        self.rows = [r for r in self.rows if self._is_wanted(r.what, *r.tests)]
        self.by_test = collections.defaultdict(list)
        for row in self.rows:
            for test in row.tests:
                self.by_test[test].append(row)
        self.by_case = {}  # of each test: the rows above, and its own

    def _is_wanted(self, *texts):
        return any(self.word in text for text in texts)

    def _section_of(self, item, function):
        marker = item.get_closest_marker("row")
        if marker:
            return marker.args
        for pattern, section in SECTIONS.items():
            if fnmatch.fnmatch(function.split("::")[0], pattern):
                return section, in_words(function)
        return None

    def _row_of(self, section, what, function):
        for row in self.rows:
            if (row.section, row.what) == (section, what):
                break
        else:
            row = Row(section, what)
            self.rows.append(row)
        if function not in row.tests:
            row.tests += (function,)
        return row

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        for item in items:
            function = function_of(item.nodeid)
            rows = self.by_case[item.nodeid] = list(self.by_test.get(function, ()))
            place_ = self._section_of(item, function)
            if place_ and self._is_wanted(place_[1], function):
                row = self._row_of(*place_, function)
                rows += [] if row in rows else [row]
        kept = [item for item in items if self.by_case[item.nodeid]]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def pytest_runtest_logreport(self, report):
        # What goes wrong before the test or after it is the test's, too. What is run again has yet to end.
        if (report.when != "call" and report.passed) or report.outcome == "rerun":
            return
        properties = dict(report.user_properties)
        reason = None
        if report.skipped:
            reason = report.longrepr[2].replace("Skipped: ", "", 1)
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = (crash.message if crash else report.longreprtext).strip().splitlines()[0]
        for row in self.by_case[report.nodeid]:
            row.add(report.outcome, report.duration, properties.get("figure"), reason)

    def run_programs(self):
        """The unit tests that rows name, by ctest."""
        wanted = sorted({name for row in self.rows for name in row.programs})
        if not wanted:
            return
        report = place.WORK / "tmp" / "programs.xml"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        subprocess.run(["ctest", "--test-dir", str(place.HERE.build), "-R", "^(%s)$" % "|".join(wanted),
                        "--output-junit", str(report)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cases = xml.etree.ElementTree.parse(report).iter("testcase") if report.exists() else ()
        outcomes = {case.get("name"): (case.get("status") == "run", float(case.get("time"))) for case in cases}
        for row in self.rows:
            for name in row.programs:
                passed, seconds = outcomes.get(name, (False, 0))
                row.add("passed" if passed else "failed", seconds, reason=None if passed else name)

    def print(self, file=sys.stdout):
        for section in dict.fromkeys(row.section for row in self.rows):
            rows = [row for row in self.rows if row.section == section]
            print("\n%s" % section, file=file)
            width = max(len(row.what) for row in rows)
            for row in rows:
                print("  %-8s %-*s %6.1f s  %s" % (row.verdict, width, row.what, row.seconds, row.figure), file=file)
        verdicts = collections.Counter(row.verdict for row in self.rows)
        partly = sum(row.verdict == "passed" and row.outcomes["skipped"] > 0 for row in self.rows)
        words = {"why not": "not possible", "passed": "passed" + (" (%d with cases skipped)" % partly if partly else "")}
        print("\n%d rows: %s" % (len(self.rows), ", ".join(
            "%d %s" % (verdicts[v], words.get(v, v)) for v in reversed(ORDER) if verdicts[v])), file=file)

    def list(self):
        for row in self.rows:
            print("%s: %s" % (row.section, row.what))
            print("    " + ("\n    ".join((*row.tests, *row.programs)) or row.why_not))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", dest="word", default="", metavar="WORD", help="only rows with this word")
    parser.add_argument("--list", action="store_true", help="print the rows and their tests, and run nothing")
    parser.add_argument("pytest", nargs="*", help="options for pytest, after --")
    options = parser.parse_args()
    table = Table(options.word)
    folders = [str(TESTS / name) for name in ("contract", "stress", "e2e", "transparency")]
    arguments = ["-q", "-p", "no:cacheprovider", "--rootdir", str(TESTS), *options.pytest, *folders]
    if options.list:
        with contextlib.redirect_stdout(sys.stderr):
            status = pytest.main(["--collect-only", "-qq", *arguments], plugins=[table])
        table.list()
        return status
    status = pytest.main(arguments, plugins=[table])
    table.run_programs()
    table.print()
    # A row that nothing ran for shows nothing.
    return int(any(row.verdict in ("failed", "not run") for row in table.rows) or status not in (0, 1, 5))


if __name__ == "__main__":
    sys.exit(main())
