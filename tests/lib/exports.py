# SPDX-License-Identifier: MIT
"""Exports as the tools that they are made for read them.

Each reader returns Times: nanoseconds by function name, self and total, and their sum; or
bytes or blocks, of memory.
"""
import collections
import csv
import dataclasses
import decimal
import functools
import gzip
import json
import pstats
import re
import subprocess
import xml.etree.ElementTree

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


def of_report(report, unit="ns"):
    """From report --json, in ns, or bytes or blocks. Functions of one name are one, as they are to the other tools."""
    uses = collections.Counter(f["function"] for f in report["functions"])
    times = Times(collections.Counter(), collections.Counter(),
                  frozenset(name for name, count in uses.items() if count > 1))
    for f in report["functions"]:
        times.self_ns[f["function"]] += f["self_" + unit]
        times.total_ns[f["function"]] += f["total_" + unit]
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
def npm_package(name):
    """The package's directory, installed once from the index."""
    directory = place.WORK / "npm"
    wanted = (place.REPO / "tests" / "e2e" / "package.json").read_text()
    package = directory / "node_modules" / name
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
    result = subprocess.run(["node", str(script), str(npm_package("speedscope")), str(path)],
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


# ------------------------------------------------------------------ call graphs

def read_pstats(path):
    """CPython's own reader: {(file, line, name): (calls, calls, self, total, callers)}."""
    return pstats.Stats(str(path)).stats


def pstats_name(key):
    """The function of a key; of one without a source file, "<name (library)>"."""
    file, _, name = key
    return re.match(r"^<(.*?)(?: \([^()]*\))?>$", name, re.S)[1] if file == "~" else name


def to_ns(seconds):
    return round(seconds * 1e9)


def of_pstats(path):
    times = Times(collections.Counter(), collections.Counter())
    for key, (_, _, own, total, _) in read_pstats(path).items():
        times.self_ns[pstats_name(key)] += to_ns(own)
        times.total_ns[pstats_name(key)] += to_ns(total)
    return times


@dataclasses.dataclass
class Callgrind:
    events: list
    summary: list
    functions: dict  # id: (object, file, name)
    lines: list  # (function id, line, costs)
    calls: list  # (caller id, line, callee id, count, costs)

    def times(self, event):
        """The total of a function is its own cost and that of its calls."""
        column = self.events.index(event)
        times = Times(collections.Counter(), collections.Counter())
        for function, _, costs in self.lines:
            times.self_ns[self.functions[function][2]] += costs[column]
            times.total_ns[self.functions[function][2]] += costs[column]
        for caller, _, _, _, costs in self.calls:
            times.total_ns[self.functions[caller][2]] += costs[column]
        return times


def read_callgrind(path):
    """Strictly as the format is documented, every name known from where it is first met."""
    read = Callgrind([], [], {}, [], [])
    names = {"ob": {}, "fl": {}, "fn": {}}
    at, callee, count = {}, {}, None
    lines = path.read_text().split("\n")
    assert lines[0] == "# callgrind format" and lines.pop() == ""
    for line in lines[1:]:
        named = re.match(r"^(c?)(ob|fl|fi|fn)=\((\d+)\)(?: (.+))?$", line)
        if named:
            kind = "fl" if named[2] == "fi" else named[2]
            known = names[kind].setdefault(int(named[3]), named[4])
            assert known is not None and named[4] in (None, known), line
            where = callee if named[1] else at
            where[kind] = int(named[3])
            if kind == "fn":
                function = tuple(names[k][where[k]] for k in ("ob", "fl", "fn"))
                assert read.functions.setdefault(where["fn"], function) == function
        elif line.startswith("calls="):
            count = int(re.match(r"^calls=(\d+) \d+$", line)[1])
            assert count > 0
        elif re.match(r"^\d", line):
            number, *costs = map(int, line.split(" "))
            assert len(costs) == len(read.events)
            if count is None:
                read.lines.append((at["fn"], number, costs))
            else:
                read.calls.append((at["fn"], number, callee["fn"], count, costs))
            count = None
        elif line:
            key, _, value = line.partition(": ")
            assert key in ("version", "creator", "cmd", "positions", "event", "events", "summary"), line
            if key == "events":
                read.events = value.split(" ")
            elif key == "summary":
                read.summary = [int(v) for v in value.split(" ")]
    return read


def callgrind_annotate(path, event, *options):
    """{"file:function [object]": cost} by valgrind's own reader."""
    result = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", "--show=" + event,
                             "--sort=" + event, *options, str(path)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    rows = re.findall(r"^ *([\d,]+) \([ \d.]+%\)  (.*)$", result.stdout, re.M)
    return {name: int(cost.replace(",", "")) for cost, name in rows if name != "PROGRAM TOTALS"}


# ------------------------------------------------------------------ V8

def of_cpuprofile(path):
    """Samples last until the next one, as VS Code and Chrome have it."""
    profile = json.loads(path.read_text(), parse_float=decimal.Decimal)
    nodes = {n["id"]: n for n in profile["nodes"]}
    parents = {child: n["id"] for n in profile["nodes"] for child in n["children"]}
    assert len(parents) == len(nodes) - 1 and len(profile["samples"]) == len(profile["timeDeltas"])
    ends = profile["timeDeltas"][1:] + [profile["endTime"] - profile["startTime"] - sum(profile["timeDeltas"])]
    stacks = collections.Counter()
    for sample, us in zip(profile["samples"], ends):
        stacks[sample] += us * 1000
    assert stacks.pop(1) == 0  # the root

    def path_of(node):
        names = []
        while node != 1:
            names.append(nodes[node]["callFrame"]["functionName"])
            node = parents[node]
        return names[::-1]

    return of_stacks([(path_of(node), int(ns)) for node, ns in stacks.items()])


# ------------------------------------------------------------------ pictures, tables

SVG = "{http://www.w3.org/2000/svg}"


@dataclasses.dataclass
class Svg:
    times: Times  # of what is shown
    total: int
    left_out: int
    texts: list
    titles: list


def read_svg(path):
    root = xml.etree.ElementTree.parse(str(path)).getroot()
    stacks, stack = [], []
    for g in root.iter(SVG + "g"):
        level = (int(g.find(SVG + "rect").get("y")) - 48) // 17
        begin, weight = int(g.get("data-from")), int(g.get("data-weight"))
        stack = stack[:level]
        assert len(stack) == level
        if stack:
            assert stack[-1][1] <= begin and begin + weight <= stack[-1][2], "a call stands outside of its caller"
        stack.append((g.get("data-name"), begin, begin + weight))
        stacks.append(([name for name, _, _ in stack], int(g.get("data-self"))))
    return Svg(of_stacks(stacks), int(root.get("data-total")),
               int(root.find("*[@id='rest']").get("data-left-out")),
               [t.text or "" for t in root.iter(SVG + "text")], [t.text for t in root.iter(SVG + "title")])


def read_csv(path):
    with open(str(path), newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, strict=True))


def of_csv(path, view, unit="ns"):
    times = Times(collections.Counter(), collections.Counter())
    for row in read_csv(path):
        times.self_ns[row["function"]] += int(row["%s_self_%s" % (view, unit)])
        times.total_ns[row["function"]] += int(row["%s_total_%s" % (view, unit)])
    return times


def lines_by_place(document, view, amount):
    """{(file or library, line, function): amount}."""
    found = collections.Counter()
    for file in document["files"]:
        for line in file["lines"]:
            place_ = file["path"] or file["library"] or "", line["line"] or 0, line["function"]
            found[place_] += line.get(view, {amount: 0})[amount]
    return +found


# ------------------------------------------------------------------ Firefox Profiler

def read_firefox(path):
    with gzip.open(str(path), "rt", encoding="utf-8") as f:
        return json.load(f, parse_float=decimal.Decimal)


def firefox_stacks(profile):
    """By index of stackTable: names from the root to the leaf."""
    shared = profile["shared"]
    names = []
    for frame, prefix in zip(shared["stackTable"]["frame"], shared["stackTable"]["prefix"]):
        function = shared["frameTable"]["func"][frame]
        name = shared["stringArray"][shared["funcTable"]["name"][function]]
        names.append((names[prefix] if prefix is not None else ()) + (name,))
    return names


def of_firefox(path):
    profile = read_firefox(path)
    names, stacks = firefox_stacks(profile), collections.Counter()
    for thread in profile["threads"]:
        for stack, ms in zip(thread["samples"]["stack"], thread["samples"]["weight"]):
            stacks[stack] += int(ms * 1000000)
    return of_stacks([(names[stack], ns) for stack, ns in stacks.items()])
