# SPDX-License-Identifier: MIT
"""The table of pitfalls is whole: each has a test that is there, or says why not."""
import ast

import pitfalls
import place

TESTS = place.REPO / "tests"


def functions_of(path):
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_has_tests_or_says_why_not():
    for pitfall in pitfalls.PITFALLS:
        assert bool(pitfall.tests or pitfall.programs) != bool(pitfall.why_not), pitfall.what
        for test in pitfall.tests:
            path, name = test.split("::")
            assert name in functions_of(TESTS / path), "%s: no such test: %s" % (pitfall.what, test)
        for name in pitfall.programs:
            source = TESTS / "unit" / name.replace("unit.", "test_", 1)
            assert source.with_suffix(".c").exists(), "%s: no such test: %s" % (pitfall.what, name)


def test_each_is_there_once():
    names = [p.what for p in pitfalls.PITFALLS]
    assert len(names) == len(set(names))


def test_the_catalogue_is_covered():
    """Whole: a row that is renamed or added makes up for none that is missing."""
    assert {p.number for p in pitfalls.PITFALLS} - {None} == set(range(1, 78))
