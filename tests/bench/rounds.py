# SPDX-License-Identifier: MIT
"""Cost, measured in rounds: each profiler once, and runs of the program alone in between.

    alone, A, B, alone, C, D, alone, E, alone

Each figure is against its two neighbours alone, just before and just after: what else the machine
does hits both sides. CPU and wall time are of pieces of each run, of the same work, beside how fast
the CPU was before and after each: see stats.paced_ratio(). Every round has an order of its own, drawn
with a fixed seed, so that nobody always comes first, or always after the same other.
"""
import collections
import dataclasses
import math
import random
import statistics

import peers
import place
import stats
import subjects

SEED = 20261121
# Whose runs, start and end included, are so many times as long, or whose program takes so many times
# its CPU time, has only so many rounds.
SLOW, COSTLY, SLOW_ROUNDS = 5.0, 1.5, 3
STEADY = 1.1  # how far apart the pace before and after a piece may be
BIN = 0.05  # paces whose logarithms are so near are one
MEDIANS = ("profiler_cpu", "profiler_rss", "rss_added", "written", "start_cpu", "got", "asked", "lost", "alone_cpu",
           "alone_wall", "outcome_wall", "stacks")
IDENTITY = ("program", "interpreter", "peer", "point")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A program on an interpreter, with arguments that set the same amount of work for all sides."""
    subject: subjects.Subject
    program: str
    arguments: tuple
    rate: int
    children: bool = False
    point: str = ""  # tells cells of one program apart
    peers: tuple = ()  # of this cell only; empty: all that are chosen
    clock: str = ""  # for those that have it; else their default one

    @property
    def name(self):
        return " ".join(filter(None, [self.subject.id, self.program, self.point]))

    def launch(self, peer):
        script = str(subjects.PROGRAMS / (self.program + ".py"))
        clock = "" if peer is None else self.clock if self.clock in peer.clocks else peer.default_clock
        return peers.Launch(self.subject, (script, *self.arguments), self.rate, clock, self.children)

    def run(self, peer, limit):
        return peers.run(peer, self.launch(peer), place.WORK / "bench-run" / ("with" if peer else "without"), limit)


class Tally:
    """What one peer showed in one cell, so far."""

    def __init__(self, cell, peer, options):
        self.cell, self.peer, self.options = cell, peer, options
        self.rounds, self.failed, self.tried, self.given_up = [], [], 0, False
        self.reckoned = None  # the rounds, and what they come to

    @property
    def identity(self):
        return {"program": self.cell.program, "interpreter": self.cell.subject.id, "peer": self.peer.name,
                "point": self.cell.point}

    @property
    def slow(self):
        return bool(self.rounds) and (_median(self.rounds, "cpu") > COSTLY or statistics.median(
            r["outcome_wall"] / r["alone_wall"] for r in self.rounds) > SLOW)

    @property
    def due(self):
        return not (self.given_up or self.slow and len(self.rounds) >= min(SLOW_ROUNDS, self.options.rounds))

    def fail(self, error):
        self.failed.append(str(error))
        self.given_up = error.final or not self.rounds and len(self.failed) == peers.TRIES

    def row(self):
        row = dict(self.identity, rounds=self.rounds, failed=self.failed, tried=self.tried,
                   given_up=self.given_up)
        if not self.rounds:
            return dict(row, message=self.failed[-1] if self.failed else "not measured yet")
        if not self.reckoned or self.reckoned[0] != len(self.rounds):
            self.reckoned = len(self.rounds), self.figures()
        row.update(self.reckoned[1])
        fewer = ", slow: rounds up to %d only" % SLOW_ROUNDS if self.slow and len(self.rounds) < self.tried else ""
        told = peers.failures_told(self.failed, len(self.failed) + len(self.rounds))
        row["says"] = self.rounds[-1]["says"] + told + fewer
        return row

    def figures(self):
        found = {field: _median(self.rounds, field) for field in MEDIANS}
        for field in ("cpu", "wall"):
            pairs = [[unpack(r[field + side]) for side in ("_pieces", "_pieces_alone")] for r in self.rounds]
            found[field], found[field + "_low"], found[field + "_high"] = stats.paced_ratio(pairs)
        return found

    def take(self, row):
        """What an earlier run has written."""
        self.rounds, self.failed, self.tried = row["rounds"], row["failed"], row["tried"]
        self.given_up = row["given_up"]


def _median(rounds, field):
    known = [r[field] for r in rounds if r[field] is not None]
    return statistics.median(known) if known else None


def paced(results, field):
    """[(pace, how many pieces, the median time of each)], the time being that for the work that repeats.

    A virtual CPU has a neighbour now and then, who makes it half as slow again for some milliseconds or seconds. A
    fixed calculation before and after each piece tells: where they differ, it came or went meanwhile.
    """
    at = ("cpu", "wall").index(field)
    every = [(u[at] / u[2], u[3:]) for u in results["units"]] or [(results[field], results["pace"])]
    steady = [piece for piece in every if max(piece[1]) <= STEADY * min(piece[1])] or every
    by_pace = collections.defaultdict(list)
    for seconds, paces in steady:
        by_pace[round(math.log(statistics.mean(paces)) / BIN)].append(seconds)
    return [(math.exp(BIN * pace), len(some), statistics.median(some)) for pace, some in sorted(by_pace.items())]


# Kept as text, in microseconds: tens of thousands of numbers, a line for each round.
def pack(some):
    return " ".join("%.1f/%d/%.3f" % (1e6 * pace, count, 1e6 * seconds) for pace, count, seconds in some)


def unpack(text):
    fields = [one.split("/") for one in text.split()]
    return [(float(pace) / 1e6, int(count), float(seconds) / 1e6) for pace, count, seconds in fields]


def _before_work(outcome):
    """CPU of the interpreter's start and end, and of what a profiler adds to them in the process."""
    return outcome.result["process_cpu"] + outcome.result["children_cpu"] - outcome.result["cpu"]


def figures(cell, peer, outcome, profile, alone):
    """Of one run, against its neighbours alone."""
    def usual(value):
        return statistics.mean(value(a) for a in alone)

    cpu, wall = usual(lambda a: a.result["cpu"]), usual(lambda a: a.result["wall"])
    own = outcome.result["process_cpu"] + outcome.result["children_cpu"]
    asked = (peer.rate or cell.rate) * (own if peer.paced_by == peers.CPU else outcome.wall_s)
    own_pieces = {field + "_pieces": pack(paced(outcome.result, field)) for field in ("cpu", "wall")}
    alone_pieces = {field + "_pieces_alone": pack(p for a in alone for p in paced(a.result, field))
                    for field in ("cpu", "wall")}
    return {**own_pieces, **alone_pieces,
            "cpu": outcome.result["cpu"] / cpu, "wall": outcome.result["wall"] / wall,
            "start_cpu": _before_work(outcome) - usual(_before_work),
            "profiler_cpu": max(0.0, outcome.outside_cpu_s - usual(lambda a: a.outside_cpu_s)),
            "profiler_rss": outcome.profiler_rss_kib / 1024,
            "rss_added": (outcome.result["rss_kib"] - usual(lambda a: a.result["rss_kib"])) / 1024,
            "written": outcome.bytes_written / 1024, "stacks": len(profile.stacks), "got": profile.samples,
            "lost": profile.lost, "says": profile.says, "asked": asked if peer.samples else None,
            "alone_cpu": cpu, "alone_wall": wall, "outcome_wall": outcome.wall_s}


# ----------------------------------------------------------------- one round

def order(tallies, cell, number):
    """Those that have a turn in this round, shuffled."""
    due = [t for t in tallies if t.due]
    return random.Random("%d %s %d" % (SEED, cell.name, number)).sample(due, len(due))


def attempt(tally, limit, report):
    """(outcome, profile), or None when it failed."""
    report("%s, round %d of %d: %s" % (tally.cell.name, tally.tried, tally.options.rounds, tally.peer.name))
    try:
        outcome = tally.cell.run(tally.peer, limit)
        return outcome, tally.peer.profile(tally.cell.launch(tally.peer), outcome)
    except peers.CannotRun as error:
        tally.fail(error)
        return None


def sweep(cell, tallies, number, options, report):
    """One round of one cell."""
    turn = order(tallies, cell, number)
    for tally in tallies:
        tally.tried = number
    before = cell.run(None, options.limit) if turn else None
    for i in range(0, len(turn), 2):
        ran = [(tally, attempt(tally, options.limit, report)) for tally in turn[i:i + 2]]
        after = cell.run(None, options.limit)
        for tally, found in ran:
            if found:
                tally.rounds.append(figures(cell, tally.peer, *found, (before, after)))
        before = after


def check(tallies):
    """Who cannot run at all is told without a run."""
    for tally in tallies:
        try:
            tally.peer.argv(tally.cell.launch(tally.peer))
        except peers.CannotRun as error:
            tally.failed, tally.given_up = [str(error)], True


def measure(cells, chosen, options, report, earlier=()):
    """Yields all rows after every round of every cell; earlier ones of other cells stay."""
    board = {cell: [Tally(cell, peer, options) for peer in chosen if not cell.peers or peer.name in cell.peers]
             for cell in cells}
    kept = resume(board, earlier)
    done = {cell: max((t.tried for t in tallies), default=0) for cell, tallies in board.items()}
    for tallies in board.values():
        check([t for t in tallies if not t.tried])
    report.plan({cell.name: options.rounds - done[cell] for cell in cells})
    report.begin()
    for number in range(1, options.rounds + 1):
        for cell in [c for c in cells if done[c] < number]:
            try:
                sweep(cell, board[cell], number, options, report)
            except peers.CannotRun as error:
                for tally in board[cell]:
                    tally.fail(peers.CannotRun("alone, without any profiler: %s" % error))
            report.done(cell.name)
            yield kept + [tally.row() for tallies in board.values() for tally in tallies]
    if all(done[cell] >= options.rounds for cell in cells):  # an earlier run has all of it
        yield kept + [tally.row() for tallies in board.values() for tally in tallies]


def resume(board, earlier):
    """Gives each tally what it had; returns the rows that are nobody's."""
    known = {tuple(row.get(k) for k in IDENTITY): row for row in earlier}
    for tally in (t for tallies in board.values() for t in tallies):
        row = known.pop(tuple(tally.identity[k] for k in IDENTITY), None)
        if row:
            tally.take(row)
    return list(known.values())


# --------------------------------------------------------------- calibration

def calibrated(seconds, alone):
    """What `alone(scale)`, a run's wall time, is to be called with for it to take about so many seconds."""
    scale = 0.1
    for _ in range(2):
        scale = min(max(scale * seconds / max(alone(scale), 1e-3), scale / 20), scale * 20)
    return float("%.3g" % scale)
