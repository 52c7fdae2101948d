# SPDX-License-Identifier: MIT
"""How does the cost grow? One program whose work stays the same, with more threads, deeper stacks,
more processes, and a higher rate; measured in rounds (see rounds.py), and drawn by plot.py. Those
that can sample threads on a CPU alone do so: samples are then as many as the work asks for.
"""
import peers
import rounds

PROGRAM = "load"
# What grows, and the points of it; at those in the second list, Pillion alone.
AXES = {
    "busy-threads": ([1, 10, 100, 1000], [3, 30, 300]),
    "idle-threads": ([1, 10, 100, 1000], [3, 30, 300]),
    "depth": ([10, 100, 1000], [30, 300]),
    "rate": ([10, 100, 1000, 10_000], [30, 300, 3000]),
    "processes": ([1, 4, 16, 64], [2, 8, 32]),
}
PEERS = ("pillion", "pillion --no-native", "pillion --burst", "py-spy", "austin", "profiling.sampling")
# Samplers that say they can go on, where others have long stopped.
FAST, FAST_RATES = ("pillion --burst", "profiling.sampling"), [100_000, 1_000_000]
DEPTH = 30  # of the stack, where it is the rate that grows


def own(names):
    return tuple(n for n in names if n.startswith("pillion"))


def points(axis, quick):
    """[(value, peers)], in order"""
    most, between = AXES[axis]
    if quick:
        return [(most[0], PEERS), (most[-1], PEERS)]
    found = [(value, PEERS) for value in most] + [(value, own(PEERS)) for value in between]
    if axis == "rate":
        found += [(value, FAST) for value in FAST_RATES]
    return sorted(found)


def cell(subject, axis, value, names, scale, options):
    kind, count, rate = (axis, value, options.rate) if axis != "rate" else ("depth", DEPTH, value)
    return rounds.Cell(subject, PROGRAM, (kind, str(count), "--scale", str(scale)), rate, axis == "processes",
                       "%s %d" % (axis, value), names, peers.CPU)


def cells(subject, scale, options):
    axes = [a for a in AXES if not options.program or a in options.program]
    return [cell(subject, axis, value, names, scale, options)
            for axis in axes for value, names in points(axis, options.quick)]


def chosen(names):
    return [p for p in peers.chosen(names) if p.name in PEERS]


def measure(options, report):
    """Yields all rows, again and again."""
    scales = options.about["scales"] = dict(options.earlier.get("scales", {}))
    every = []
    for subject in options.subjects:
        def alone(scale):
            return cell(subject, "depth", 10, (), scale, options).run(None, options.limit).result["wall"]

        if subject.id not in scales:
            scales[subject.id] = rounds.calibrated(options.seconds, alone)
        every += cells(subject, scales[subject.id], options)
    yield from rounds.measure(every, chosen(options.peer), options, report, options.earlier.get("rows", ()))
