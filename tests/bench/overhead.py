# SPDX-License-Identifier: MIT
"""What does it cost? Real programs, with and without each profiler, in rounds (see rounds.py).

How much work each program does is set once for each interpreter, so that it takes about
--seconds alone; then it is the same for all.
"""
import peers
import rounds

PROGRAMS = ["linalg", "frames", "records", "documents", "logs", "queries", "archive", "web_django", "web_asyncio",
            "crawler", "processes", "recursion", "coroutines", "allocation"]
QUICK = ["linalg", "web_asyncio", "processes"]
WITH_CHILDREN = {"processes"}


def cell(subject, program, scale, options):
    return rounds.Cell(subject, program, ("--scale", str(scale)), options.rate, program in WITH_CHILDREN)


def scale_of(subject, program, options, report):
    """That of an earlier run, or calibrated. A program that cannot run shows so in its first round."""
    known = options.earlier.get("scales", {}).get(subject.id, {}).get(program)
    report("%s %s: how much work is %g s" % (subject.id, program, options.seconds))
    try:
        return known or rounds.calibrated(options.seconds, lambda scale: cell(subject, program, scale, options).run(
            None, options.limit).result["wall"])
    except peers.CannotRun:
        return 1.0


def measure(options, report):
    """Yields all rows, again and again."""
    programs = [p for p in PROGRAMS if p in (options.program or (QUICK if options.quick else PROGRAMS))]
    scales = options.about["scales"] = dict(options.earlier.get("scales", {}))
    for subject in options.subjects:
        scales[subject.id] = {p: scale_of(subject, p, options, report) for p in programs}
    cells = [cell(s, p, scales[s.id][p], options) for s in options.subjects for p in programs]
    yield from rounds.measure(cells, peers.chosen(options.peer), options, report, options.earlier.get("rows", ()))
