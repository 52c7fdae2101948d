#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pillion beside the profilers that people use: one command for all figures, or for one row.

    tests/bench/run.py overhead|accuracy|limits|all [--peer NAME] [--program NAME] [--quick]

Installs the peers, measures, and writes Markdown and JSON. Nothing here passes or fails.
Needs the build of tests/run.sh; see README.md here for how to read it.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import accuracy  # noqa: E402
import limits  # noqa: E402
import overhead  # noqa: E402
import peers  # noqa: E402
import place  # noqa: E402
import subjects  # noqa: E402
import table  # noqa: E402

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
KINDS = {"overhead": overhead.measure, "accuracy": accuracy.measure, "limits": limits.measure}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=[*KINDS, "all"])
    parser.add_argument("--peer", action="append", default=[],
                        help="only this one, or all modes of this one; may be repeated")
    parser.add_argument("--program", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--interpreter", action="append", default=[], help="as tests/lib/interpreters.py names it")
    parser.add_argument("--rate", type=int, default=100, help="samples a second that are asked for (default 100)")
    parser.add_argument("--pairs", type=int, help="overhead: pairs of runs (default 10; quick: 2)")
    parser.add_argument("--scale", type=float, help="overhead: times the usual work (default 1; quick: 0.2)")
    parser.add_argument("--runs", type=int, help="accuracy: runs of each (default 10; quick: 2)")
    parser.add_argument("--seconds", type=float, help="accuracy: length of a run (default 10; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="to see that it works: the figures mean little")
    parser.add_argument("--output", type=pathlib.Path,
                        help="directory for the tables (default: results, here, for whole tables; for quick ones "
                             "and single rows PLN_WORK/bench-results)")
    options = parser.parse_args(argv)
    defaults = (2, 0.2, 2, 2.0) if options.quick else (10, 1.0, 10, 10.0)
    for name, value in zip(("pairs", "scale", "runs", "seconds"), defaults):
        if getattr(options, name) is None:
            setattr(options, name, value)
    whole = not (options.quick or options.peer or options.program or options.interpreter)
    options.output = options.output or (RESULTS if whole else place.WORK / "bench-results")
    return options


def report(text):
    """Progress, on one line."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


def measure(kind, options, about):
    """The table as it stands is written after each row: hours of work are not lost."""
    rows, text = [], ""
    for row in KINDS[kind](options, report):
        rows.append(row)
        text = table.write(kind, rows, about, options.output)
    return text


def main(argv):
    options = parse(argv)
    peers.chosen(options.peer)  # an unknown name is told before an hour of work
    known = [*overhead.PROGRAMS, *accuracy.PROGRAMS, *limits.ROWS]
    for name in options.program:
        if name not in known:
            sys.exit("no such program: %s; there are: %s" % (name, ", ".join(known)))
    options.subjects = subjects.named(options.interpreter)
    subjects.prepare(options.subjects)
    about = table.circumstances(options, "tests/bench/run.py " + " ".join(argv))
    for kind in KINDS if options.kind == "all" else [options.kind]:
        print(measure(kind, options, about))
    print("written to %s" % options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
