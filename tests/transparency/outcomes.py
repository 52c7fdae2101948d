# SPDX-License-Identifier: MIT
"""What became of each test of a run, and what differs between two kinds of runs.

A run is a dictionary from a test's name to "passed", "failed" or "skipped"; what the run as a whole
ended with is a test of its own, called END.
"""
import collections
import re
import typing
import xml.etree.ElementTree

END = "(exit status)"
# Of several results under one name (subtests, repeats), the worst.
ORDER = ["failed", "passed", "skipped"]
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")  # of an object in a name, as of a subtest's argument: another in each run


def read_junit(path, status):
    """`status`: what the command exited with. A run that wrote nothing has its end alone."""
    run = {END: "%d" % status}
    if not path.exists():
        return run
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = ADDRESS.sub("at 0x", ".".join(filter(None, (case.get("classname"), case.get("name")))))
        run[name] = min(run.get(name, "skipped"), _outcome(case), key=ORDER.index)
    return run


def _outcome(case):
    tags = {child.tag for child in case}
    if tags & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in tags or case.get("status") == "notrun" else "passed"


class Difference(typing.NamedTuple):
    test: str
    plain: collections.Counter  # outcomes, of all runs
    loaded: collections.Counter

    @property
    def is_killed_by_us(self):
        """Only with Pillion did the whole run end by a signal, or not end at all."""
        return self.test == END and any(status.startswith("-") for status in self.loaded.keys() - self.plain.keys())

    @property
    def is_flaky(self):
        """
        It has several outcomes without Pillion as well; or it differed once, and in no other run: what
        Pillion breaks it breaks again. All of it is told with its counts, for the reader to judge.
        A crash or a hang that only Pillion knows is never an accident: races come seldom.
        """
        if self.is_killed_by_us:
            return False
        if len(self.plain) > 1:
            return True
        expected, = self.plain
        others = sum(self.loaded.values()) - self.loaded[expected]
        return others == 1 and self.loaded[expected] >= 2

    def __str__(self):
        sides = [", ".join("%d x %s" % (n, outcome) for outcome, n in sorted(side.items())) for side in self[1:]]
        return "%s: without %s; with Pillion %s" % (self.test, *sides)


def differing(plain, loaded):
    """Names whose outcomes are not the same in two runs."""
    return sorted(test for test in {**plain, **loaded} if plain.get(test) != loaded.get(test))


def compare(plain_runs, loaded_runs):
    """The differences between runs of both sides, of tests that were not alike in all of them."""
    found = []
    for test in sorted({test for run in [*plain_runs, *loaded_runs] for test in run}):
        plain, loaded = (collections.Counter(run.get(test, "not there") for run in runs)
                         for runs in (plain_runs, loaded_runs))
        if len(plain + loaded) > 1:
            found.append(Difference(test, plain, loaded))
    return found
