# SPDX-License-Identifier: MIT
"""What does it take while it goes on? The programs of overhead.py, each in one process, with the profiler and without it
in turns of some tens of milliseconds.

What two processes differ in (where memory lies, what else the machine does, how warm it is) is several percent, and
hides what a sampler costs. Two turns that follow each other in one process share all of that. Pillion is switched by the
program (pillion_start(), pillion_stop()); one that is a process of its own is stopped and let go on (SIGSTOP, SIGCONT).
Start and end are not in it: overhead.py has those.
"""
import math
import statistics

import measure
import overhead
import peers
import place
import rounds
import stats

PROGRAMS = [name for name in overhead.PROGRAMS if name != "processes"]  # whose work is not the first process's
OWN = ("pillion", "pillion --no-native", "pillion --burst")
OTHERS = ("py-spy", "py-spy --nonblocking", "py-spy --native", "austin", "austinp", "profiling.sampling",
          "profiling.sampling --blocking")
FEWEST = 10  # pairs


def cell(subject, program, scale, options, how=()):
    return rounds.Cell(subject, program, ("--scale", str(scale), *how), options.rate)


def turns_of(result):
    """[(with the profiler?, [CPU, wall] for the work that repeats, pace)]; pieces in which that may have changed are left out."""
    found, on = [], result["on"]
    for number, unit in enumerate(result["units"]):
        now = on[number] if result["exact"] or on[number] == on[number + 1] else None
        if now is None:
            found.append(None)
        elif found and found[-1] and found[-1][0] == now:
            found[-1][1].append(unit)
        else:
            found.append((now, [unit]))
    return [(now, [sum(u[i] for u in units) / sum(u[2] for u in units) for i in range(2)],
             statistics.mean(u[3] + u[4] for u in units)) for now, units in filter(None, found)]


def pairs_of(result):
    """[(log CPU ratio, log wall ratio, log pace ratio)], with ÷ without, of turns that follow each other."""
    found, before = [], None
    for turn in turns_of(result):
        if before and before[0] != turn[0]:
            one, other = (turn, before) if turn[0] else (before, turn)
            found.append((*(math.log(a / b) for a, b in zip(one[1], other[1])), math.log(one[2] / other[2])))
            before = None  # each turn is in one pair
        else:
            before = turn
    return found


def one_run(peer, task, options):
    """Pairs of turns. One that gave up at once and left the program alone has no profile, and costs nothing."""
    directory, launch = place.WORK / "bench-run" / "turns", task.launch(peer)
    outcome = peers.run(peer, launch, directory, options.limit, None if peer.name in OWN else measure.Turns(directory))
    peer.profile(launch, outcome)
    return pairs_of(outcome.result)


def row_of(peer, subject, program, scale, options, report):
    how = ("--turns", "self" if peer.name in OWN else "parent")
    task = cell(subject, program, scale, options, how)
    row = {"program": program, "interpreter": subject.id, "peer": peer.name}
    pairs, failed = [], []
    for number in range(options.runs):
        report("%s %s, run %d of %d: %s" % (subject.id, program, number + 1, options.runs, peer.name))
        try:
            pairs += one_run(peer, task, options)
        except peers.CannotRun as error:
            failed.append(str(error))
            if error.final:
                break
    if len(pairs) < FEWEST:
        return dict(row, message=failed[-1] if failed else "%d pairs of turns only" % len(pairs))
    row.update(pairs=len(pairs), says=peers.failures_told(failed, options.runs).lstrip(", "))
    for at, field in enumerate(("cpu", "wall")):
        row[field], row[field + "_low"], row[field + "_high"] = stats.paired_ratio([(p[at], p[2]) for p in pairs])
    return row


def measure_all(options, report):
    """Yields all rows after each program."""
    rows = list(options.earlier.get("rows", ()))
    done = {(r["interpreter"], r["program"]) for r in rows}
    chosen = [p for p in peers.chosen(options.peer) if p.name in OWN + OTHERS]
    todo = [(s, p) for s in options.subjects for p in PROGRAMS
            if (s.id, p) not in done and (not options.program or p in options.program)]
    report.plan({"%s %s" % (s.id, p): 1 for s, p in todo})
    report.begin()
    for subject, program in todo:
        scale = rounds.calibrated(options.seconds, lambda scale: cell(subject, program, scale, options).run(
            None, options.limit).result["wall"])
        for peer in chosen:
            rows.append(row_of(peer, subject, program, scale, options, report))
        report.done("%s %s" % (subject.id, program))
        yield rows
