# SPDX-License-Identifier: MIT
"""Exports as the tools that they are made for read them.

Each reader returns Times: nanoseconds by function name, self and total, and their sum; or
bytes or blocks, of memory.
"""
import collections
import dataclasses
import functools
import json
import re
import subprocess

import place

# What flamegraph.pl and speedscope take for a line of folded stacks, and what the Firefox
# Profiler wants of the first.
FLAMEGRAPH_LINE = re.compile(r"^(.*)\s+?(\d+(?:\.\d*)?)$")
FLAMEGRAPH_DIFFERENTIAL = re.compile(r"^.*\s+?\d+(?:\.\d*)?$")
SPEEDSCOPE_LINE = re.compile(r"^(.*) (\d+)$")
FIREFOX_FIRST_LINE = re.compile(r"^[^;{][^;]*(?:;[^;]*)* [0-9]+$")


@dataclasses.dataclass
class Times:
    self_ns: collections.Counter
    total_ns: collections.Counter
    # Names of several functions, which may call each other: their totals do not add up.
    shared: frozenset = frozenset()

    @property
    def sum_ns(self):
        return sum(self.self_ns.values())

    def __eq__(self, other):
        shared = self.shared | other.shared
        return +self.self_ns == +other.self_ns and self.totals(shared) == other.totals(shared)

    def totals(self, without):
        return {name: ns for name, ns in self.total_ns.items() if ns > 0 and name not in without}


def of_stacks(stacks):
    """From (names from the root to the leaf, nanoseconds)."""
    times = Times(collections.Counter(), collections.Counter())
    for names, ns in stacks:
        times.self_ns[names[-1]] += ns
        for name in set(names):
            times.total_ns[name] += ns
    return times


def of_report(report):
    """From report --json. Functions of one name are one, as they are to the other tools."""
    uses = collections.Counter(f["function"] for f in report["functions"])
    times = Times(collections.Counter(), collections.Counter(),
                  frozenset(name for name, count in uses.items() if count > 1))
    for f in report["functions"]:
        times.self_ns[f["function"]] += f["self_ns"]
        times.total_ns[f["function"]] += f["total_ns"]
    return times


def folded_stacks(text):
    """Strictly: what any of the readers would skip or misread is an error."""
    assert text.endswith("\n") and "\r" not in text
    lines = text[:-1].split("\n")
    assert FIREFOX_FIRST_LINE.match(lines[0]), lines[0]
    for line in lines:
        flamegraph, speedscope = FLAMEGRAPH_LINE.match(line), SPEEDSCOPE_LINE.match(line)
        assert flamegraph and speedscope and flamegraph.groups() == speedscope.groups(), line
        assert not FLAMEGRAPH_DIFFERENTIAL.match(flamegraph.group(1)), line
        assert line.isprintable(), ascii(line)
        frames = speedscope.group(1).split(";")
        assert all(frames), line
        yield frames, int(speedscope.group(2))
    assert len(set(line.rpartition(" ")[0] for line in lines)) == len(lines), "a path occurs twice"


def bare(frame):
    """The name of "name (place)"."""
    return re.sub(r" \([^()]*\)$", "", frame)


def of_folded(text):
    return of_stacks([([bare(f) for f in frames], ns) for frames, ns in folded_stacks(text)])


def go_pprof(path, *options):
    result = subprocess.run(["go", "tool", "pprof", "-symbolize=none", *options, str(path)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@dataclasses.dataclass
class Pprof:
    types: list
    samples: list  # (values, location ids leaf first, labels)
    locations: dict  # id: [(function, line)], innermost first
    mappings: list
    text: str

    def times(self, type_name):
        column = [t.split("/")[0] for t in self.types].index(type_name)
        stacks = []
        for values, ids, _ in self.samples:
            names = [name for i in ids for name, _ in self.locations[i]]
            stacks.append((names[::-1], values[column]))
        return of_stacks(stacks)


def read_pprof(path):
    """By `go tool pprof -raw`."""
    text = go_pprof(path, "-raw")
    head, _, rest = text.partition("Samples:\n")
    samples_text, _, rest = rest.partition("Locations\n")
    locations_text, _, mappings_text = rest.partition("Mappings\n")
    lines = samples_text.splitlines()
    samples, locations, last = [], {}, None
    for line in lines[1:]:
        match = re.match(r"^\s*([\d ]+): ([\d ]*)$", line)
        if match:
            samples.append(([int(v) for v in match[1].split()], [int(i) for i in match[2].split()], {}))
        else:
            samples[-1][2].update(re.findall(r"([^:\[\]]+):\[([^\]]*)\]\s*", line.strip()))
    for line in locations_text.splitlines():
        match = re.match(r"^\s*(\d+): (?:0x[0-9a-f]+ )?(?:M=\d+ )?(.*) s=\d+$", line)
        if match:
            last = locations[int(match[1])] = []
            line = match[2]
        name, number, _ = re.sub(r" s=\d+$", "", line.strip()).rsplit(":", 2)
        # A file's name may hold a space: <frozen importlib._bootstrap>
        last.append((re.sub(r" (<[^<>]*>|[^ ]*)$", "", name), int(number)))
    return Pprof([t.replace("[dflt]", "") for t in lines[0].split()], samples, locations,
                 mappings_text.splitlines(), head)


@functools.lru_cache(maxsize=None)
def speedscope_package():
    """The package's directory, installed once from the index."""
    directory = place.WORK / "npm"
    wanted = (place.REPO / "tests" / "e2e" / "package.json").read_text()
    package = directory / "node_modules" / "speedscope"
    if not package.exists() or (directory / "package.json").read_text() != wanted:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text(wanted)
        result = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
                                cwd=str(directory), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        assert result.returncode == 0, result.stdout
    return package


def read_speedscope(path):
    """What speedscope itself makes of a file, in whatever format it is."""
    script = place.REPO / "tests" / "lib" / "speedscope_import.mjs"
    result = subprocess.run(["node", str(script), str(speedscope_package()), str(path)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def of_speedscope(imported, name=lambda frame: frame["name"]):
    """
    Sums over all profiles of the file. Total times are exact only where no two functions of
    one name are on one stack.
    """
    times = Times(collections.Counter(), collections.Counter())
    for profile in imported["profiles"]:
        for frame in profile["frames"]:
            times.self_ns[name(frame)] += frame["self"]
            times.total_ns[name(frame)] += frame["total"]
    return times
