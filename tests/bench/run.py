#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pillion beside the profilers that people use: one command for all figures, or for one row.

    tests/bench/run.py overhead|turns|accuracy|bias|scaling|burst|memory|limits|all [--peer NAME] [--program NAME] [--quick] [--resume]
    tests/bench/run.py readme

Installs the peers, measures, and writes Markdown and JSON; whole tables also README.md's section on
them, which `readme` makes anew. Nothing here passes or fails.
Needs the build of tests/run.sh; see README.md here for how to read it.
"""
import argparse
import copy
import fcntl
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import accuracy  # noqa: E402
import bursts  # noqa: E402
import limits  # noqa: E402
import memory  # noqa: E402
import overhead  # noqa: E402
import peers  # noqa: E402
import place  # noqa: E402
import progress  # noqa: E402
import scaling  # noqa: E402
import subjects  # noqa: E402
import summary  # noqa: E402
import table  # noqa: E402
import turns  # noqa: E402

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def one_by_one(measure):
    """For what yields its rows one by one: all of them, after each."""
    def collect(options, report):
        rows = []
        for row in measure(options, report):
            rows.append(row)
            yield rows
    return collect


KINDS = {"overhead": overhead.measure, "turns": turns.measure_all, "accuracy": accuracy.measure, "bias": accuracy.measure_biases,
         "scaling": scaling.measure, "burst": bursts.measure, "memory": memory.measure_all, "limits": one_by_one(limits.measure)}
# (usual, with --quick). What a kind does not use, it does not have.
DEFAULTS = {
    "overhead": {"rate": (100, 100), "rounds": (10, 1), "seconds": (0.5, 0.1)},
    "turns": {"rate": (100, 100), "runs": (3, 1), "seconds": (6.0, 1.0)},
    "accuracy": {"rate": (200, 200), "runs": (6, 2), "seconds": (4.0, 0.5)},
    "bias": {"rate": (200, 200), "runs": (40, 3), "seconds": (4.0, 0.5)},
    "scaling": {"rate": (100, 100), "rounds": (5, 1), "seconds": (1.0, 0.3)},
    "burst": {"rounds": (6, 1), "seconds": (2.0, 0.3)},
    "memory": {"rate": (100, 100), "rounds": (10, 1), "seconds": (1.0, 0.1)},
    "limits": {},
}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=[*KINDS, "all", "readme"])
    parser.add_argument("--peer", action="append", default=[],
                        help="only this one, or all modes of this one; may be repeated")
    parser.add_argument("--program", action="append", default=[],
                        help="only this one, of scaling only what grows; may be repeated")
    parser.add_argument("--interpreter", action="append", default=[], help="as tests/lib/interpreters.py names it")
    parser.add_argument("--rate", type=int, help="samples a second that are asked for (default 100; accuracy, bias: 200)")
    parser.add_argument("--rounds", type=int, help="overhead, scaling, burst: runs of each (default 10, scaling 5, burst 6; quick: 1)")
    parser.add_argument("--runs", type=int, help="accuracy, turns, bias: runs of each (default 6, turns 3, bias 40; quick: 2, 1, 3)")
    parser.add_argument("--seconds", type=float, help="of work in a run (default 1, overhead 0.5, turns 6, accuracy and bias 4, burst 2; "
                        "quick: less)")
    parser.add_argument("--limit", type=float, help="seconds after which a run is ended (default 60; quick: 20)")
    parser.add_argument("--quick", action="store_true", help="to see that it works: the figures mean little")
    parser.add_argument("--resume", action="store_true", help="go on with the table that is there")
    parser.add_argument("--output", type=pathlib.Path,
                        help="directory for the tables (default: results, here, for whole tables; for quick ones "
                             "and single rows PLN_WORK/bench-results)")
    options = parser.parse_args(argv)
    options.limit = options.limit or (20 if options.quick else 60)
    whole = not (options.quick or options.peer or options.program or options.interpreter)
    options.output = (options.output or (RESULTS if whole else place.WORK / "bench-results")).resolve()
    return options


def options_of(kind, options):
    """What the kind is measured with: asked for, or usual."""
    found, settings = copy.copy(options), {}
    for name, (usual, quick) in DEFAULTS[kind].items():
        settings[name] = getattr(options, name) or (quick if options.quick else usual)
        setattr(found, name, settings[name])
    settings.update(peers=options.peer, programs=options.program)
    return found, settings


def earlier(kind, about, options):
    """The table to go on with; of the same interpreters, or of others, which it keeps."""
    path = options.output / (kind + ".json")
    if not options.resume or not path.exists():
        return {}
    data = json.loads(path.read_text())
    old = data["about"]
    if old["settings"] != about["settings"]:
        sys.exit("cannot resume %s: it was measured with %s, not %s" % (path, old["settings"], about["settings"]))
    for name in ("interpreters", "packages"):
        about[name] = {**old[name], **about[name]}
    for subject, when in old["measured"].items():
        now = about["measured"].get(subject)
        about["measured"][subject] = "; ".join(filter(None, [when, now and "gone on with " + now]))
    return dict(rows=data["rows"], scales=old.get("scales", {}))


def measure(kind, options, command):
    """The table as it stands is written again and again: hours of work are not lost."""
    options, settings = options_of(kind, options)
    about = options.about = table.circumstances(options, command, settings)
    options.earlier = earlier(kind, about, options)
    rows = options.earlier.get("rows", [])
    for rows in KINDS[kind](options, progress.Progress(kind)):
        table.write(kind, rows, about, options.output)
    if kind == "scaling":
        subjects.plot(options.output / "scaling.json", options.output)
    return table.write(kind, rows, about, options.output)


def alone():
    """Two runs at a time would measure each other. The lock ends with the process."""
    place.WORK.mkdir(parents=True, exist_ok=True)
    lock = open(str(place.WORK / "bench.lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another run is measuring in %s" % place.WORK)
    return lock


def command_of(argv):
    """What makes such a table again: where to it was written does not matter."""
    kept = [a for i, a in enumerate(argv) if not a.startswith("--output") and (not i or argv[i - 1] != "--output")]
    return " ".join(["tests/bench/run.py", *kept])


def main(argv):
    options = parse(argv)
    if options.kind == "readme":
        return summary.update(RESULTS)
    peers.chosen(options.peer)  # an unknown name is told before an hour of work
    known = [*overhead.PROGRAMS, *accuracy.PROGRAMS, *scaling.AXES, *bursts.PROGRAMS, *memory.ROWS, *limits.ROWS]
    for name in options.program:
        if name not in known:
            sys.exit("no such program: %s; there are: %s" % (name, ", ".join(known)))
    lock = alone()  # noqa: F841
    options.subjects = subjects.named(options.interpreter)
    if options.interpreter and len(options.subjects) < len(set(options.interpreter)):
        sys.exit("not all of these interpreters are here: %s" % ", ".join(options.interpreter))
    subjects.prepare(options.subjects)
    for kind in KINDS if options.kind == "all" else [options.kind]:
        print(measure(kind, options, command_of(argv)))
    print("written to %s" % options.output)
    if options.output == RESULTS:
        summary.update(RESULTS)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("interrupted: what was measured is kept, and --resume goes on")
