#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Test suites of others, without Pillion and with it loaded and sampling: the same passes, the same failures.

    run.py                                   every suite, whole, on Debian's own interpreter
    run.py cpython numpy                     these suites
    run.py --python 3.13-pyenv cpython       on another interpreter, as tests/lib/interpreters.py names them
    run.py --sensitive cpython               of CPython's suite what deals with signals, threads, processes, memory
    run.py cpython:test_os cpython:test_gc   these parts
    run.py --warnings error                  every warning is an error
    run.py --results FILE                    keeps what is done in FILE, and goes on from there

Each part (a test module, mostly) is a command: it is run once on each side, at 1,000 samples a second. Where a
test differs, the part is run again, and again, on both sides: what differs only by accident is told as flaky,
with counts. Ends with a line for each suite; exits with 1 if there is a difference, or a suite with no test that
passes. Needs what tests/run.sh builds and installs.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import interpreters  # noqa: E402
import journal  # noqa: E402
import outcomes  # noqa: E402
import place  # noqa: E402
import suites  # noqa: E402

TIMED_OUT = -1000


class Part(typing.NamedTuple):
    suite: suites.Suite
    name: str
    directory: str  # of its packages


class Result(typing.NamedTuple):
    part: Part
    tests: int
    outcomes: collections.Counter
    differences: list
    samples: int
    processes: int
    seconds: tuple  # of the first runs, plain and loaded


class Runner:
    def __init__(self, python, hz=1000, warnings="default", again=3, timeout=900, variables=()):
        self.python, self.hz, self.warnings, self.again, self.timeout = python, hz, warnings, again, timeout
        self.where = place.of(python)
        # As a terminal, a locale and a home would change outcomes from one machine to the next.
        self.variables = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **dict(variables)}

    def _start(self, argv, part, directory):
        env = dict(self.variables, **dict(part.suite.variables), TMPDIR=str(directory))
        if part.directory:
            env["PYTHONPATH"] = part.directory
        # A session of its own, so that what it leaves running can be ended with it.
        return self.where.popen(argv, cwd=directory, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True)

    def _run(self, part, prefix, directory):
        junit = directory / "junit.xml"
        process = self._start([*prefix, *part.suite.command(self.python, part.name, junit, self.warnings)], part, directory)
        try:
            status = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            status = TIMED_OUT
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        return outcomes.read_junit(junit, status)

    def _in_new_directory(self, run, *arguments):
        base = place.WORK / "tmp"
        base.mkdir(parents=True, exist_ok=True)
        # Short, as tests bind sockets below it.
        directory = pathlib.Path(tempfile.mkdtemp(dir=str(base), prefix="t"))
        try:
            return run(*arguments, directory)
        finally:
            shutil.rmtree(str(directory), ignore_errors=True)

    def plain(self, part):
        return self._in_new_directory(self._run, part, [])

    def loaded(self, part):
        """Its outcomes, and how many samples of how many processes there were."""
        def run(directory):
            profile = directory / "out.pillion"
            prefix = [self.where.pillion, "record", "-q", "-F", str(self.hz), "-o", profile, "--"]
            found = self._run(part, prefix, directory)
            return found, *self._count(profile)
        return self._in_new_directory(run)

    def _count(self, profile):
        told = self.where.run([self.where.pillion, "info", "--json", profile])
        contents = json.loads(told.stdout)["contents"] if told.returncode == 0 else {}
        return contents.get("samples", 0), contents.get("processes", 0)

    def compare(self, part):
        begin = time.monotonic()
        plain_runs = [self.plain(part)]
        middle = time.monotonic()
        loaded, samples, processes = self.loaded(part)
        seconds = (middle - begin, time.monotonic() - middle)
        loaded_runs = [loaded]
        if outcomes.differing(plain_runs[0], loaded):
            for _ in range(self.again):
                plain_runs.append(self.plain(part))
                loaded_runs.append(self.loaded(part)[0])
        tests = [test for test in plain_runs[0] if test != outcomes.END]
        counts = collections.Counter(plain_runs[0][test] for test in tests)
        return Result(part, len(tests), counts, outcomes.compare(plain_runs, loaded_runs), samples,
                      processes, seconds)


def parts_of(suite, python, names=(), sensitive=False, quick=False):
    """None: the suite is not to be had for this interpreter."""
    directory = suites.install(suite, python)
    if directory is None or (not suite.packages and not suites.has_tests(python)):
        return None
    every = suite.parts(python, directory)
    if quick:
        every = [name for name in every if name in suite.quick]
    elif sensitive and not suite.packages:
        # What is a package in one version is a module in another: "test_ctypes.test_arrays", "test_ctypes".
        every = [name for name in every
                 if any((name + ".").startswith(s + ".") or (s + ".").startswith(name + ".") for s in suites.SENSITIVE)]
    return [Part(suite, name, directory) for name in (names or every)]


def one_line(result):
    counts = ", ".join("%d %s" % (n, outcome) for outcome, n in sorted(result.outcomes.items())) or "no tests"
    return "%s %s: %s; %d samples of %d processes; %.1f and %.1f s" % (
        result.part.suite.name, result.part.name, counts, result.samples, result.processes, *result.seconds)


def tell(result, file):
    print(one_line(result), file=file, flush=True)
    for difference in result.differences:
        print("    %s: %s" % ("flaky" if difference.is_flaky else "DIFFERENT", difference), file=file, flush=True)


def run(runner, parts, jobs=1, file=sys.stdout, keep=lambda result: None):
    """Compares each part; tells, and hands to `keep`, as it goes. Returns the results."""
    results = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(runner.compare, part) for part in parts]):
            results.append(done.result())
            keep(results[-1])
            tell(results[-1], file)
    return results


def go_on(kept, runner, parts, jobs):
    """What `kept`, a journal, knows of the parts, and then the others."""
    known = kept.results(Result, parts)
    for result in known.values():
        tell(result, sys.stdout)
    return [*known.values(), *run(runner, [part for part in parts if part not in known], jobs, keep=kept.keep)]


def summary(name, results):
    counts = sum((r.outcomes for r in results), collections.Counter())
    found = [d for r in results for d in r.differences]
    flaky = sum(d.is_flaky for d in found)
    return "%s: %d tests in %d parts (%s), %d samples; %d differ, %d flaky" % (
        name, sum(r.tests for r in results), len(results),
        ", ".join("%d %s" % (n, o) for o, n in sorted(counts.items())), sum(r.samples for r in results),
        len(found) - flaky, flaky)


def chosen_parts(wanted, python, options):
    """From words like "cpython" and "cpython:test_os"."""
    names = collections.defaultdict(list)
    for word in wanted:
        suite, _, part = word.partition(":")
        names[suite] += [part] if part else []
    for suite in suites.find(list(names)):
        parts = parts_of(suite, python, names.get(suite.name, ()), options.sensitive, options.quick)
        if parts is None:
            print("%s: not to be had for %s" % (suite.name, python), flush=True)
        elif parts:
            yield suite, parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE[:PART]")
    parser.add_argument("--python", default="", help="such as 3.13-pyenv; Debian's own if none is given")
    parser.add_argument("--sensitive", action="store_true", help="of CPython's suite what a profiler could show in")
    parser.add_argument("--quick", action="store_true", help="what tests/run.sh runs")
    parser.add_argument("--hz", type=int, default=1000, help="samples a second (1000)")
    parser.add_argument("--warnings", choices=["default", "error"], default="default", help="what python -W is given")
    parser.add_argument("--again", type=int, default=3, help="more runs of each side where there is a difference (3)")
    parser.add_argument("--timeout", type=int, default=900, help="seconds for a part (900)")
    parser.add_argument("--results", metavar="FILE", help="what is done is kept in FILE, and not run again")
    parser.add_argument("-j", type=int, default=1, dest="jobs", help="parts at the same time (1)")
    options = parser.parse_args()
    found = [i for i in interpreters.supported() if (i.id == options.python if options.python else i.origin == "debian")]
    if not found:
        sys.exit("run.py: no interpreter %s; see tests/lib/interpreters.py" % (options.python or "of Debian's own"))
    runner = Runner(found[0], options.hz, options.warnings, options.again, options.timeout)
    lines, failed = [], False
    try:
        chosen = list(chosen_parts(options.suites, found[0], options))
        kept = options.results and journal.Journal(options.results, {
            "python": str(found[0]), "hz": options.hz, "warnings": options.warnings})
    except (LookupError, journal.Other) as e:
        sys.exit("run.py: %s" % e)
    for suite, parts in chosen:
        results = go_on(kept, runner, parts, options.jobs) if kept else run(runner, parts, options.jobs)
        lines.append(summary(suite.name, results))
        failed |= not any(r.outcomes["passed"] for r in results)
        failed |= any(not d.is_flaky for r in results for d in r.differences)
    print("\n%s, %d Hz, warnings: %s" % (found[0], options.hz, options.warnings))
    print("\n".join(lines))
    return failed or not lines


if __name__ == "__main__":
    sys.exit(main())
