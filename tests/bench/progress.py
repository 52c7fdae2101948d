# SPDX-License-Identifier: MIT
"""How far a run of hours has come: one line on a terminal, one for each step elsewhere."""
import sys
import time


class Progress:
    """Steps are of several kinds; one that was not yet seen is taken to last as long as the mean of the others."""

    def __init__(self, name, out=sys.stderr, clock=time.monotonic):
        self.name, self.out, self.clock = name, out, clock
        self.left, self.seconds, self.started = {}, {}, clock()

    def plan(self, left):
        """{kind of step: how many are to come}"""
        self.left = dict(left)

    def begin(self):
        self.started = self.clock()

    def done(self, kind):
        """A step that began with begin(), or with the end of the one before it."""
        now = self.clock()
        self.seconds[kind], self.started = now - self.started, now
        self.left[kind] = max(0, self.left.get(kind, 0) - 1)
        if not self.out.isatty():
            self.out.write("%s: %s: %s\n" % (self.name, kind, self.estimate()))
            self.out.flush()

    def seconds_left(self):
        """None before the first step has ended."""
        if not self.seconds:
            return None
        usual = sum(self.seconds.values()) / len(self.seconds)
        return sum(count * self.seconds.get(kind, usual) for kind, count in self.left.items())

    def estimate(self):
        seconds = self.seconds_left()
        return "..." if seconds is None else "%d:%02d h left" % divmod(round(seconds / 60), 60)

    def __call__(self, text):
        """What runs now."""
        if self.out.isatty():
            self.out.write("\r\033[K%s (%s): %s" % (self.name, self.estimate(), text))
            self.out.flush()
