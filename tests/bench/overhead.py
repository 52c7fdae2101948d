# SPDX-License-Identifier: MIT
"""What does it cost? Real programs, with and without each profiler, in interleaved pairs.

Which side of a pair goes first alternates, and each ratio is of two neighbours in time: what
else the machine does hits both. The median ratio and its interval, by bootstrap over the pairs, are told.
"""
import statistics

import peers
import place
import shape
import subjects

PROGRAMS = ["linalg", "frames", "records", "documents", "logs", "queries", "archive", "web_django", "web_asyncio",
            "crawler", "processes", "recursion", "coroutines", "allocation"]
WITH_CHILDREN = {"processes"}


def launch(peer, subject, program, options):
    clock = peer.default_clock if peer else ""
    arguments = ("--scale", str(options.scale))
    return peers.Launch(subject, (str(subjects.PROGRAMS / (program + ".py")), *arguments), options.rate, clock,
                        program in WITH_CHILDREN)


def one_pair(peer, subject, program, options, first):
    """(outcome with, its profile, outcome without)"""
    directory, sides = place.WORK / "bench-run", {}
    for side in ([peer, None] if first else [None, peer]):
        task = launch(side, subject, program, options)
        sides[bool(side)] = peers.run(side, task, directory / ("with" if side else "without"))
    return sides[True], peer.profile(launch(peer, subject, program, options), sides[True]), sides[False]


class Kept:
    """The figures of one pair; profiles are not kept."""

    def __init__(self, peer, options, outcome, profile, alone):
        self.cpu = outcome.result["cpu"] / alone.result["cpu"]
        self.wall = outcome.result["wall"] / alone.result["wall"]
        self.start_cpu = _before_work(outcome) - _before_work(alone)
        self.profiler_cpu = max(0.0, outcome.outside_cpu_s - alone.outside_cpu_s)
        self.profiler_rss = outcome.profiler_rss_kib / 1024
        self.rss_added = (outcome.result["rss_kib"] - alone.result["rss_kib"]) / 1024
        self.written, self.stacks = outcome.bytes_written / 1024, len(profile.stacks)
        self.got, self.lost, self.says = profile.samples, profile.lost, profile.says
        cpu = outcome.result["process_cpu"] + outcome.result["children_cpu"]
        self.asked = options.rate * (cpu if peer.default_clock == peers.CPU and peer.name.startswith("pillion")
                                     else outcome.wall_s)
        self.alone_cpu = alone.result["cpu"]


def _before_work(outcome):
    """CPU of the interpreter's start and end, and of what a profiler adds to them in the process."""
    return outcome.result["process_cpu"] + outcome.result["children_cpu"] - outcome.result["cpu"]


def summarize(peer, pairs):
    def median(field):
        known = [v for v in (getattr(p, field) for p in pairs) if v is not None]
        return statistics.median(known) if known else None

    row = {field: median(field) for field in ("profiler_cpu", "profiler_rss", "rss_added", "written", "start_cpu",
                                              "got", "lost", "alone_cpu", "stacks")}
    row.update(pairs=len(pairs), says=pairs[-1].says, asked=median("asked") if peer.samples else None)
    for field in ("cpu", "wall"):
        row[field], row[field + "_low"], row[field + "_high"] = shape.bootstrap([getattr(p, field) for p in pairs])
    return row


def measure_cell(peer, subject, program, options, report):
    row = {"program": program, "interpreter": subject.id, "peer": peer.name}
    pairs, failed = [], []
    for number in range(options.pairs):
        report("%s %s %s, pair %d" % (subject.id, program, peer.name, number + 1))
        try:
            pairs.append(Kept(peer, options, *one_pair(peer, subject, program, options, number % 2)))
        except peers.CannotRun as error:
            failed.append(str(error))
        if not pairs and len(failed) == peers.TRIES:
            break
    if not pairs:
        return dict(row, message=failed[-1])
    row.update(summarize(peer, pairs))
    row["says"] += peers.failures_told(failed, options.pairs)
    return row


def measure(options, report):
    """Yields rows."""
    for subject in options.subjects:
        for program in [p for p in PROGRAMS if not options.program or p in options.program]:
            for peer in peers.chosen(options.peer):
                yield measure_cell(peer, subject, program, options, report)
