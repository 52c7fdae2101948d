# SPDX-License-Identifier: MIT
"""One run of a program whose truth is known: its stacks, sorted into the program's parts."""
import collections
import itertools

import shape
import stats


class Run:
    def __init__(self, program, told, clock, profile, sampled, length=1.0):
        self.file, self.told, self.sampled, self.length = program + ".py", told, sampled, length
        self.truth, self.lost, self.says = told["truths"][clock], profile.lost, profile.says
        self.parts = {part for parts in told["truths"].values() for part in parts}
        self.lines = {int(k): v for k, v in told.get("lines", {}).items()}
        self.weights, self.impossible, self.stacks, elsewhere = collections.Counter(), 0, 0, 0.0
        entries = []
        for stack, weight in profile.stacks:
            if weight > 0:
                self.stacks += 1
                self.impossible += not self.possible(stack)
                part = self.part(stack)
                if part is None:
                    elsewhere += weight
                else:
                    self.weights[part] += weight
                    entries.append((part, weight, 1) if profile.each == shape.ONE else (part, 1, weight))
        placed = sum(self.weights.values())
        self.unplaced = elsewhere / (placed + elsewhere) if elsewhere else 0.0
        self.taken = profile.samples or 0
        self.samples = self.taken * (1 - self.unplaced)  # that fell into parts
        self.pool = stats.Pool(entries) if profile.each else None

    def part(self, stack):
        if self.told["by"] == "line":
            return next((self.lines.get(f.line) for f in reversed(stack) if self.own(f, "lines")), None)
        if self.told["by"] == "native":
            return self.side(stack)
        return next((f.name for f in reversed(stack) if f.name in self.parts), None)

    def side(self, stack):
        """Is native code running below the innermost Python frame, other than the interpreter's own work?

        What the interpreter does for the call is the call's, as the clocks around it say: it
        makes room for the result, and where it is static, the library is in it.
        """
        if not any(self.own(f, self.told["inside"]) for f in stack):
            return None
        called = list(itertools.takewhile(lambda f: f.native, reversed(stack)))
        if called and len(called) < len(stack) and stack[-len(called) - 1].line in self.lines:
            return self.lines[stack[-len(called) - 1].line]
        return "python" if all(f.in_interpreter or f.in_runtime for f in called) else "native"

    def own(self, frame, name=None):
        return not frame.native and frame.file == self.file and name in (None, frame.name)

    def possible(self, stack):
        """Is every function of the program under one that calls it?"""
        names = [f.name for f in stack if self.own(f)]
        calls = self.told["calls"]
        if names and self.sampled and names[0] not in self.told["roots"]:
            return False
        return all(caller in calls[name] for caller, name in zip(names, names[1:]) if name in calls)

    def draw(self, rng, share):
        """{part: weight} of a share of the samples; of all, where they are not known one by one."""
        return self.pool.draw(rng, share) if self.pool else self.weights

    def redraw(self, rng, share):
        """The same with putting back: what another run might have given."""
        return self.pool.redraw(rng, share) if self.pool else self.weights


def pooled(runs):
    """Weights and truth of several runs, as if one run had seen it all."""
    found, truth = collections.Counter(), collections.Counter()
    for run in runs:
        found.update(run.weights)
        truth.update(run.truth)
    return found, truth


def distance(runs):
    return stats.total_variation(*pooled(runs))


def biases(runs):
    """{part: (by how much its share is too large, low, high)}, the mean of the runs with its 95 % interval."""
    pairs = [(stats.shares(run.weights), stats.shares(run.truth)) for run in runs]
    return {part: stats.mean_interval([found.get(part, 0) - truth.get(part, 0) for found, truth in pairs])
            for part in sorted({part for pair in pairs for shares in pair for part in shares})}


def distance_drawn(runs, share, rng):
    """Of a share of the samples of each run."""
    found, truth = collections.Counter(), collections.Counter()
    for run in runs:
        found.update(run.draw(rng, share))
        truth.update(run.truth)
    return stats.total_variation(found, truth)
