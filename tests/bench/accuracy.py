# SPDX-License-Identifier: MIT
"""Is it right? Profiles of programs whose truth is known, compared with that truth.

Each program under each profiler runs several times; the runs take turns, so that all share the
noise of the machine. The program's own thread clocks tell the truth of each run. The
profile's stacks are sorted into the program's parts (sorting.py); how far the shares are from the
true ones is the total variation distance, told beside what as many perfect samples would have,
by how it falls with the number of samples, and against the other samplers at the same number (compare.py).
"""
import collections
import statistics

import compare
import peers
import place
import sorting
import stats
import subjects

PROGRAMS = ["functions", "lines", "native", "wall_cpu", "offcpu", "short_long", "pingpong", "generator", "gil",
            "native_threads", "in_step"]
QUICK = ["native", "wall_cpu", "gil"]
CLOCKS = (peers.CPU, peers.WALL, peers.OFFCPU)
NEEDS = {"line": peers.LINES, "native": peers.NATIVE}
# Of runs under samplers that tell sums only, the first are shorter: their samples cannot be drawn from.
SHORTER = (0.25, 0.5)


def library():
    """Native threads for truth_native_threads.py."""
    return place.host_compile(subjects.PROGRAMS / "burn.c", place.WORK / "bench-run" / "libburn.so", "-shared", "-fPIC",
                              "-fno-optimize-sibling-calls")


def launch(peer, subject, program, clock, options, length=1.0):
    arguments = ("--seconds", str(options.seconds * length), "--rate", str(options.rate), "--library", options.library)
    return peers.Launch(subject, (str(subjects.PROGRAMS / (program + ".py")), *arguments), options.rate, clock, False)


def clock_for(peer, truth, clock):
    """The peer's clock to use. A program that never waits can be measured by the wall clock too."""
    if clock in peer.clocks:
        return clock
    if clock == peers.CPU and truth.get("busy") and peers.WALL in peer.clocks:
        return peers.WALL
    raise peers.CannotRun("has no %s clock" % clock, final=True)


def one_run(peer, subject, program, clock, options, probe, length):
    need = NEEDS.get(probe["by"])
    if need and need not in peer.yields:
        raise peers.CannotRun("shows no %s" % {"lines": "lines", "native": "native code"}[need], final=True)
    task = launch(peer, subject, program, clock_for(peer, probe, clock), options, length)
    outcome = peers.run(peer, task, place.WORK / "bench-run" / "accuracy", options.limit)
    return sorting.Run(program, outcome.result, clock, peer.profile(task, outcome), peer.samples, length)


def summarize(peer, runs):
    found, truth = sorting.pooled(runs)
    _, low, high = stats.bootstrap(runs, sorting.distance, 300)
    lost = [r.lost for r in runs if r.lost is not None]
    row = {"runs": len(runs), "distance": sorting.distance(runs), "low": low, "high": high,
           "distance_one_run": statistics.median(sorting.distance([r]) for r in runs), "truth": stats.shares(truth),
           "found": stats.shares(found), "impossible": sum(r.impossible for r in runs),
           "stacks": sum(r.stacks for r in runs), "says": runs[-1].says,
           "unplaced": statistics.mean(r.unplaced for r in runs), "biases": sorting.biases(runs)}
    if peer.samples:
        samples, taken = sum(r.samples for r in runs), sum(r.taken for r in runs)
        noise, noise_high = stats.sampling_noise(truth, samples)
        row.update(samples=round(samples), noise=noise, noise_high=noise_high, lost=sum(lost) if lost else None,
                   lost_share=sum(lost) / max(1, sum(lost) + taken) if lost else None, **compare.falling(runs))
    return row


def measure_program(chosen, subject, program, options, report):
    """Rows of all peers; the runs of all take turns."""
    base = {"program": program, "interpreter": subject.id}
    try:
        probe = peers.run(None, launch(None, subject, program, peers.CPU, options, 0.25),
                          place.WORK / "bench-run" / "accuracy").result
    except peers.CannotRun as error:
        return [dict(base, peer="(alone)", clock="-", message=str(error))]
    rows = []
    for clock in [c for c in CLOCKS if c in probe["truths"]]:
        runs, failed = all_runs(chosen, subject, program, clock, options, probe, report)
        verdicts = compare.verdicts({p.name: runs[p.name] for p in chosen if p.samples and runs[p.name]})
        for peer in chosen:
            row = dict(base, peer=peer.name, clock=clock)
            if runs[peer.name]:
                row.update(summarize(peer, runs[peer.name]), wall_instead=clock not in peer.clocks,
                           **verdicts.get(peer.name, {}))
                row["says"] += peers.failures_told(failed[peer.name], options.runs)
            else:
                row["message"] = failed[peer.name][-1]
            rows.append(row)
    return rows


def all_runs(chosen, subject, program, clock, options, probe, report):
    """({peer: runs}, {peer: messages of the runs that failed})"""
    runs, failed = collections.defaultdict(list), collections.defaultdict(list)
    given_up = set()
    for number in range(options.runs):
        for peer in [p for p in chosen if p.name not in given_up]:
            report("%s %s %s, run %d of %d: %s" % (subject.id, program, clock, number + 1, options.runs, peer.name))
            sums_only = runs[peer.name] and not runs[peer.name][0].pool
            length = SHORTER[number - 1] if sums_only and 0 < number <= len(SHORTER) else 1.0
            try:
                runs[peer.name].append(one_run(peer, subject, program, clock, options, probe, length))
            except peers.CannotRun as error:
                failed[peer.name].append(str(error))
                if error.final or not runs[peer.name] and len(failed[peer.name]) == peers.TRIES:
                    given_up.add(peer.name)
    return runs, failed


def measure(options, report):
    """Yields all rows after each program."""
    yield from rows_of(peers.chosen(options.peer), options, report)


def measure_biases(options, report):
    """The same of Pillion as it is by default, if no other is asked for, in so many runs that chance does little."""
    yield from rows_of([p for p in peers.chosen(options.peer) if options.peer or p.name == "pillion"], options, report)


def rows_of(chosen, options, report):
    """Peers that count memory have no part in it."""
    options.library = library()
    chosen = [p for p in chosen if peers.MEMORY not in p.clocks]
    rows = list(options.earlier.get("rows", ()))
    done = {(r["interpreter"], r["program"]) for r in rows}
    wanted = options.program or (QUICK if options.quick else PROGRAMS)
    programs = ["truth_" + name for name in PROGRAMS if name in wanted]
    todo = [(s, p) for s in options.subjects for p in programs if (s.id, p) not in done]
    report.plan({"%s %s" % (s.id, p): 1 for s, p in todo})
    report.begin()
    for subject, program in todo:
        rows += measure_program(chosen, subject, program, options, report)
        report.done("%s %s" % (subject.id, program))
        yield rows
