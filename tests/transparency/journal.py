# SPDX-License-Identifier: MIT
"""What a long comparison has found so far, a line of JSON for each part, so that another run can go on with it."""
import collections
import json
import pathlib

import outcomes
import place


class Other(Exception):
    """The file is of a comparison with other settings."""


class Journal:
    """
    The file's first line says what is compared: a run with other settings, or of another commit, is another
    comparison. A last line that was cut is not there.
    """

    def __init__(self, path, settings):
        self._path = pathlib.Path(path)
        self._about = {**settings, "commit": place.commit()}
        self.lines = self._read()
        self._write("w", self._about, *self.lines)

    def _read(self):
        if not self._path.exists():
            return []
        about, *lines = self._path.read_text().split("\n")[:-1]
        if json.loads(about) != self._about:
            raise Other("%s is of another comparison: %s" % (self._path, about))
        return [json.loads(line) for line in lines]

    def _write(self, mode, *lines):
        with self._path.open(mode) as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)

    def keep(self, result):
        part, *rest = result
        self._write("a", [part.suite.name, part.name, *rest])

    def results(self, kind, parts):
        """Those of `parts` that are known, by part; `kind` is what they are made into."""
        known = {(suite, part): rest for suite, part, *rest in self.lines}
        return {part: _restored(kind, part, *known[part.suite.name, part.name])
                for part in parts if (part.suite.name, part.name) in known}


def _restored(kind, part, tests, counts, differences, *rest):
    found = [outcomes.Difference(test, collections.Counter(plain), collections.Counter(loaded))
             for test, plain, loaded in differences]
    return kind(part, tests, collections.Counter(counts), found, *rest)
