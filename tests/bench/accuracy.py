# SPDX-License-Identifier: MIT
"""Is it right? Profiles of programs whose truth is known, compared with that truth.

Each program under each profiler runs several times; the runs take turns, so that all share the
noise of the machine. The program's own thread clocks tell the truth of each run. The
profile's stacks are sorted into the program's parts; how far the shares are from the true ones is
the total variation distance, shown beside what as many perfect samples would have.
"""
import collections
import math
import random
import statistics

import peers
import place
import shape
import subjects

PROGRAMS = ["functions", "lines", "native", "wall_cpu", "offcpu", "short_long", "pingpong", "generator", "gil",
            "native_threads", "in_step"]
CLOCKS = (peers.CPU, peers.WALL, peers.OFFCPU)
NEEDS = {"line": peers.LINES, "native": peers.NATIVE}


class Sorted:
    """The stacks of one run, by the part that they show."""

    def __init__(self, peer, program, truth, profile):
        self.file, self.truth, self.check_roots = program + ".py", truth, peer.samples
        self.lines = {int(k): v for k, v in truth.get("lines", {}).items()}
        self.weights, self.unplaced, self.impossible, self.stacks = collections.Counter(), 0.0, 0, 0
        for stack, weight in profile.stacks:
            if weight > 0:
                self.add(stack, weight)

    def add(self, stack, weight):
        part = self.part(stack)
        if part is None:
            self.unplaced += weight
        else:
            self.weights[part] += weight
        self.stacks += 1
        self.impossible += not self.possible(stack)

    def part(self, stack):
        if self.truth["by"] == "line":
            return next((self.lines.get(f.line) for f in reversed(stack) if self.own(f, "lines")), None)
        if self.truth["by"] == "native":
            return self.side(stack)
        return next((f.name for f in reversed(stack) if f.name in self.parts), None)

    @property
    def parts(self):
        return {part for parts in self.truth["truths"].values() for part in parts}

    def side(self, stack):
        """Is the innermost frame native code of other than the interpreter?"""
        if not any(self.own(f, self.truth["inside"]) for f in stack):
            return None
        leaf = stack[-1]
        return "native" if leaf.native and not leaf.in_interpreter else "python"

    def own(self, frame, name=None):
        return not frame.native and frame.file == self.file and name in (None, frame.name)

    def possible(self, stack):
        """Is every function of the program under one that calls it?"""
        names = [f.name for f in stack if self.own(f)]
        calls = self.truth["calls"]
        if names and self.check_roots and names[0] not in self.truth["roots"]:
            return False
        return all(caller in calls[name] for caller, name in zip(names, names[1:]) if name in calls)


def library():
    """Native threads for truth_native_threads.py."""
    return place.host_compile(subjects.PROGRAMS / "burn.c", place.WORK / "bench-run" / "libburn.so", "-shared", "-fPIC",
                              "-fno-optimize-sibling-calls")


def launch(peer, subject, program, clock, options):
    arguments = ("--seconds", str(options.seconds), "--rate", str(options.rate), "--library", options.library)
    return peers.Launch(subject, (str(subjects.PROGRAMS / (program + ".py")), *arguments), options.rate, clock, False)


def clock_for(peer, truth, clock):
    """The peer's clock to use. A program that never waits can be measured by the wall clock too."""
    if clock in peer.clocks:
        return clock
    if clock == peers.CPU and truth.get("busy") and peers.WALL in peer.clocks:
        return peers.WALL
    raise peers.CannotRun("has no %s clock" % clock)


def one_run(peer, subject, program, clock, options, probe):
    """(Sorted, truth of the clock, profile)"""
    need = NEEDS.get(probe["by"])
    if need and need not in peer.yields:
        raise peers.CannotRun("shows no %s" % {"lines": "lines", "native": "native code"}[need])
    task = launch(peer, subject, program, clock_for(peer, probe, clock), options)
    outcome = peers.run(peer, task, place.WORK / "bench-run" / "accuracy")
    profile = peer.profile(task, outcome)
    return Sorted(peer, program, outcome.result, profile), outcome.result["truths"][clock], profile


# ----------------------------------------------------------------- what is told of the runs

def pooled(runs):
    found, truth = collections.Counter(), collections.Counter()
    for sorted_run, true, _ in runs:
        found.update(sorted_run.weights)
        truth.update(true)
    return found, truth


def distance(runs):
    return shape.total_variation(*pooled(runs))


def placed_samples(runs):
    """Samples that fell into parts: what the noise is to be computed from."""
    count = 0
    for sorted_run, _, profile in runs:
        total = sum(sorted_run.weights.values()) + sorted_run.unplaced
        count += (profile.samples or 0) * (sum(sorted_run.weights.values()) / total if total else 0)
    return int(count)


def curve(runs):
    """[(samples, distance)] of 1, 2, 4... runs put together, averaged over which ones."""
    points, rng, size = [], random.Random(1), 1
    while size <= len(runs):
        draws = [rng.sample(runs, size) for _ in range(1 if size == len(runs) else 20)]
        points.append((statistics.mean(placed_samples(d) for d in draws), statistics.mean(map(distance, draws))))
        size = size * 2 if size * 2 <= len(runs) or size == len(runs) else len(runs)
    return points


def slope(points):
    """Of log error against log samples: -0.5 is 1/sqrt(n), 0 is a floor."""
    known = [(math.log(n), math.log(e)) for n, e in points if n > 0 and e > 0]
    if len(known) < 2 or known[0][0] == known[-1][0]:
        return None
    mean_x, mean_y = (statistics.mean(p[i] for p in known) for i in range(2))
    return sum((x - mean_x) * (y - mean_y) for x, y in known) / sum((x - mean_x) ** 2 for x, _ in known)


def summarize(peer, runs):
    found, truth = pooled(runs)
    _, low, high = shape.bootstrap(runs, distance, 300)
    samples, got = placed_samples(runs), [p.samples for _, _, p in runs]
    lost = [p.lost for _, _, p in runs if p.lost is not None]
    row = {"runs": len(runs), "distance": distance(runs), "low": low, "high": high,
           "distance_one_run": statistics.median(distance([r]) for r in runs), "truth": shape.shares(truth),
           "found": shape.shares(found), "impossible": sum(r[0].impossible for r in runs),
           "stacks": sum(r[0].stacks for r in runs), "says": runs[-1][2].says,
           "unplaced": statistics.mean(r[0].unplaced / max(1e-9, r[2].total) for r in runs)}
    if peer.samples:
        noise, noise_high = shape.sampling_noise(truth, samples)
        row.update(samples=samples, noise=noise, noise_high=noise_high, lost=sum(lost) if lost else None,
                   lost_share=sum(lost) / max(1, sum(lost) + sum(got)) if lost else None, curve=curve(runs))
        row["slope"] = slope(row["curve"])
    return row


def measure_program(chosen, subject, program, options, report):
    """Rows of all peers; the runs of all take turns."""
    try:
        probe = peers.run(None, launch(None, subject, program, peers.CPU, options),
                          place.WORK / "bench-run" / "accuracy").result
    except peers.CannotRun as error:
        return [{"program": program, "interpreter": subject.id, "peer": "(alone)", "clock": "-", "message": str(error)}]
    rows = []
    for clock in [c for c in CLOCKS if c in probe["truths"]]:
        runs, failed = all_runs(chosen, subject, program, clock, options, probe, report)
        for peer in chosen:
            row = {"program": program, "interpreter": subject.id, "peer": peer.name, "clock": clock}
            if runs[peer.name]:
                row.update(summarize(peer, runs[peer.name]), wall_instead=clock not in peer.clocks)
                row["says"] += peers.failures_told(failed[peer.name], options.runs)
            else:
                row["message"] = failed[peer.name][-1]
            rows.append(row)
    return rows


def all_runs(chosen, subject, program, clock, options, probe, report):
    """({peer: runs}, {peer: messages of the runs that failed})"""
    runs, failed = collections.defaultdict(list), collections.defaultdict(list)
    for number in range(options.runs):
        for peer in [p for p in chosen if runs[p.name] or len(failed[p.name]) < peers.TRIES]:
            report("%s %s %s %s, run %d" % (subject.id, program, clock, peer.name, number + 1))
            try:
                runs[peer.name].append(one_run(peer, subject, program, clock, options, probe))
            except peers.CannotRun as error:
                failed[peer.name].append(str(error))
    return runs, failed


def measure(options, report):
    """Yields rows. Peers that count memory have no part in it."""
    options.library = library()
    chosen = [p for p in peers.chosen(options.peer) if peers.MEMORY not in p.clocks]
    for subject in options.subjects:
        for program in ["truth_" + name for name in PROGRAMS if not options.program or name in options.program]:
            yield from measure_program(chosen, subject, program, options, report)
