#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs real programs under the oracle, and prints where the two walkers agree.

    tests/oracle/run.py --oracle build/tests/oracle/libpillion_oracle.so --seconds 2

For every interpreter and program one line: samples, how many stacks were identical to
libunwind's, how many were guessed through code without unwind tables, went on through
code in no module (trampolines, a JIT) where libunwind ends, were left to the collector
(a table not built yet, or a rule that tables cannot hold), shorter, longer or different;
how many reached the root; how many walks with pc and sp alone, as for a blocked thread,
gave the same stack; time of a walk. Below it every cause of difference.

Exits with 1 when more than one stack in 10,000 differs, or fewer than 99 % of numpy's
reach the root (of those whose modules had their tables already: each is asked for by
the first sample that hits it, which matters in short runs); and when fewer stacks were
compared than a tenth of what one busy thread of each program has.
"""
import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
import interpreters  # noqa: E402
import place  # noqa: E402

PROGRAMS = ["json", "re", "sqlite3", "ssl", "zlib", "http", "calls", "imports", "waits",
            "numpy.linalg", "numpy"]
COUNTS = ["samples", "identical", "guessed_on", "guessed_same", "no_table", "no_row",
          "anonymous", "shorter", "longer", "different", "root", "guessed_root", "their_root", "blocked", "blocked_same",
          "blocked_guessed", "blocked_root"]

# Where ours goes on and libunwind's cannot; the first is not worth a line.
EXPECTED = ["no_table", "guessed_on", "anonymous"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", required=True, help="path of libpillion_oracle.so")
    parser.add_argument("--python", action="append", default=[], metavar="ID",
                        help="an interpreter, as lib/interpreters.py calls it; may be repeated "
                             "(default: Debian's and the newest of pyenv's)")
    parser.add_argument("--program", action="append", default=[], choices=PROGRAMS)
    parser.add_argument("--option", action="append", default=[], metavar="OPTION",
                        help="an option for the interpreters, such as -Xperf")
    parser.add_argument("--seconds", type=float, default=10, help="for each program (10)")
    parser.add_argument("--rate", type=int, default=1000, help="samples per second and thread")
    parser.add_argument("--causes", type=int, default=20, help="causes to print (20)")
    return parser.parse_args()


def choose_interpreters(names):
    """The oracle is built for this system, with its libunwind: nothing of a tree."""
    here = [i for i in interpreters.supported() if not i.root]
    if names:
        return [i for i in here if i.id in names]
    return [i for i in here if i.origin == "debian"] + [i for i in here if i.origin == "pyenv"][-1:]


def run_program(arguments, python, program):
    """The sum of the reports of the program's processes; None when it was skipped."""
    needed = program.split(".")[0] if program.startswith("numpy") else None
    packages = place.packages(python, needed) if needed else None
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, LD_PRELOAD=os.path.abspath(arguments.oracle),
                           PILLION_ORACLE=os.path.join(folder, "report"),
                           PILLION_ORACLE_RATE=str(arguments.rate), OPENBLAS_NUM_THREADS="2")
        if packages:
            environment["PYTHONPATH"] = packages
        command = [python.path, *arguments.option, os.path.join(HERE, "programs.py"), program,
                   str(arguments.seconds)]
        status = subprocess.run(command, env=environment).returncode
        reports = []
        for path in glob.glob(os.path.join(folder, "report.*.json")):
            with open(path) as report:
                reports.append(json.load(report))
    if status == 77:
        print("%s %s skipped: %s is not installed" % (python, program, needed))
        return None
    if status or not reports:
        sys.exit("%s %s: exit status %d, %d reports" % (python, program, status, len(reports)))
    return add_reports(reports)


def add_reports(reports):
    largest = max(reports, key=lambda report: report["samples"])
    total = {key: sum(report[key] for report in reports) for key in COUNTS}
    total["median_ns"], total["p99_ns"] = largest["median_ns"], largest["p99_ns"]
    total["causes"] = [cause for report in reports for cause in report["causes"]]
    return total


def differing(total):
    return total["shorter"] + total["longer"] + total["different"]


HEADINGS = ["interpreter", "program", "samples", "identical", "guessed", "no module", "to collector", "shorter",
            "longer", "different", "root %", "blocked same", "median ns", "p99 ns"]
FORMAT = "%-22s %-12s %8s %9s %7s %9s %12s %7s %6s %9s %7s %15s %9s %7s"


def print_line(python, program, total):
    print(FORMAT % (
        python, program, total["samples"], total["identical"],
        total["guessed_on"] + total["guessed_same"], total["anonymous"],
        total["no_table"] + total["no_row"],
        total["shorter"], total["longer"], total["different"],
        "%.2f" % (100 * total["root"] / max(1, total["samples"])),
        "%d/%d" % (total["blocked_same"], total["blocked"]),
        total["median_ns"] or "", total["p99_ns"] or ""), flush=True)


def print_causes(totals, limit):
    causes = collections.Counter()
    for total in totals:
        for cause in total["causes"]:
            key = tuple(cause[name] for name in ("class", "at", "ours", "theirs", "end"))
            causes[key] += cause["count"]
    shown = [item for item in causes.most_common() if item[0][0] not in EXPECTED]
    shown += [item for item in causes.most_common() if item[0][0] in EXPECTED[1:]]
    for (kind, at, ours, theirs, end), count in shown[:limit]:
        print("%6d %-10s at %s: ours %s (%s), libunwind %s" % (count, kind, at, ours, end, theirs))


def main():
    arguments = parse_arguments()
    totals = []
    failed = False
    least = 0.1 * arguments.rate * arguments.seconds
    print(FORMAT % tuple(HEADINGS))
    for python in choose_interpreters(arguments.python):
        for program in arguments.program or PROGRAMS:
            total = run_program(arguments, python, program)
            if not total:
                continue
            totals.append(total)
            print_line(python, program, total)
            walked = total["samples"] - total["no_table"]
            if walked < least:
                failed = True
                print("%s %s: too few walks to judge, %d of %d" % (python, program, walked, least))
            failed |= program.startswith("numpy") and total["root"] < 0.99 * walked
    everything = {key: sum(total[key] for total in totals) for key in COUNTS}
    everything["median_ns"] = everything["p99_ns"] = 0
    print_line("", "all", everything)
    print_causes(totals, arguments.causes)
    compared = everything["samples"] - sum(everything[name] for name in EXPECTED)
    share = 1 - differing(everything) / max(1, compared)
    print("%.4f %% of %d compared stacks are identical" % (100 * share, compared))
    if not totals or compared < least * len(totals):
        failed = True
        print("too few to judge")
    failed |= differing(everything) > max(1, compared // 10000)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
