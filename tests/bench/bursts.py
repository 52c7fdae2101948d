# SPDX-License-Identifier: MIT
"""How often can one look, and what does that cost? Samplers that say they can go up to a million times a second, on
programs that stay where they are and on those that do not; measured in rounds (see rounds.py).

CPython's own sampler reads another process: it is asked for several rates, for its best one is not the highest, and
in the way in which it is fastest, the main thread alone.
"""
import dataclasses

import peers
import rounds

DEPTH = 30  # of the stack
# A loop 30 frames deep; one that calls a function that returns at once, 25 million times a second; programs.
PROGRAMS = {"loop": ("load", ("depth-loop", str(DEPTH))), "calls": ("load", ("depth", str(DEPTH))),
            **{name: (name, ()) for name in ("documents", "logs", "records")}}
SHARED_RATE = 50_000  # which both reach, where the stack stays what it is
OWN_RATES = (SHARED_RATE, 1_000_000, 2_000_000)
OTHER_RATES = (SHARED_RATE, 100_000, 200_000, 500_000)


def fastest(peer):
    """The sampler that looks at the main thread alone."""
    def start(launch, options):
        return [a for a in peer.start(launch, options) if a != "-a"]
    return dataclasses.replace(peer, start=start)


def chosen(names):
    every = [p for p in peers.chosen(names) if p.name in ("pillion --burst", "profiling.sampling")]
    return [fastest(p) if p.name == "profiling.sampling" else p for p in every]


def cell(subject, name, scale, rate, who):
    program, arguments = PROGRAMS[name]
    return rounds.Cell(subject, program, (*arguments, "--scale", str(scale)), rate, False, "%s %d" % (name, rate), who)


def measure(options, report):
    """Yields all rows, again and again."""
    names = [n for n in PROGRAMS if not options.program or n in options.program]
    scales = options.about["scales"] = dict(options.earlier.get("scales", {}))
    cells = []
    for subject in options.subjects:
        known = scales.setdefault(subject.id, {})
        for name in names:
            report("%s %s: how much work is %g s" % (subject.id, name, options.seconds))
            if name not in known:
                known[name] = rounds.calibrated(options.seconds, lambda scale: cell(
                    subject, name, scale, 1, ()).run(None, options.limit).result["wall"])
            cells += [cell(subject, name, known[name], rate, ("pillion --burst",)) for rate in OWN_RATES]
            if subject.interpreter.minor >= (3, 15):
                cells += [cell(subject, name, known[name], rate, ("profiling.sampling",)) for rate in OTHER_RATES]
    yield from rounds.measure(cells, chosen(options.peer), options, report, options.earlier.get("rows", ()))


def per_second(row):
    """Samples that came, by the time that the work took."""
    return row["got"] / (row["alone_wall"] * row["wall"]) if row.get("got") else 0.0


def key_of(row):
    return row["interpreter"], row["point"].rsplit(" ", 1)[0], row["peer"]


def best(rows):
    """{(interpreter, program, sampler): the row at its best rate}"""
    found = {}
    for row in (r for r in rows if "message" not in r):
        if key_of(row) not in found or per_second(row) > per_second(found[key_of(row)]):
            found[key_of(row)] = row
    return found


def shared(rows):
    """The same at the rate that both reach."""
    return {key_of(r): r for r in rows if "message" not in r and r["point"].endswith(" %d" % SHARED_RATE)}
