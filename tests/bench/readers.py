# SPDX-License-Identifier: MIT
"""How each peer's output is read into a Profile, and how it tells what it lost.

A reader takes (subject, outcome): the files are in the outcome's directory, what the peer said in its
logs. It raises OSError or ValueError when there is nothing to read.
"""
import json
import marshal
import re
import subprocess

import mojo
import place
import recording
import shape

BURST = re.compile(r"burst: .*; (?P<rate>\d+) looks .*; (?P<samples>\d+) samples.*; (?P<torn>\d+) torn .*, "
                   r"(?P<full>\d+) without room")
FOLDED_FRAME = re.compile(r"^(?P<name>.*) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")


def one(outcome, pattern):
    found = sorted(outcome.directory.glob(pattern))
    if not found:
        raise FileNotFoundError("it wrote no %s" % pattern)
    return found


def said(outcome, pattern):
    """The last match of the pattern in what it printed, or None."""
    found = list(re.finditer(pattern, outcome.stderr + "\n" + outcome.stdout))
    return found[-1] if found else None


# ---------------------------------------------------------------- Pillion

def pillion(weight):
    def read(_, outcome):
        path = one(outcome, "*.pillion")[0]
        profile = recording.load(path)
        stacks = [(tuple(_own_frame(f) for f in reversed(s.stack)), getattr(s, weight)) for s in profile.samples]
        count = sum(s.on_cpu if weight == "cpu_ns" else getattr(s, weight) > 0 for s in profile.samples)
        drops = sum(profile.drops)
        return shape.Profile(stacks, count, drops, "%d dropped" % drops, shape.ONE)
    return read


def pillion_burst(_, outcome):
    """It counts samples in place: a row is the time of many. A note tells how many there were in all."""
    profile = recording.load(one(outcome, "*.pillion")[0])
    told = [match for match in map(BURST.search, profile.notes) if match]
    if not told:
        raise ValueError("its notes tell no burst")
    samples, without_room = (sum(int(m[name]) for m in told) for name in ("samples", "full"))
    each_ns = profile.total("cpu_ns") / max(1, samples)
    stacks = [(tuple(_own_frame(f) for f in reversed(s.stack)), round(s.cpu_ns / each_ns))
              for s in profile.samples if s.cpu_ns]
    lost = sum(profile.drops) + without_room
    words = "%d dropped, %d looks a second%s, %d torn" % (
        lost, max(int(m["rate"]) for m in told), " in the fastest process" * (len(told) > 1),
        sum(int(m["torn"]) for m in told))
    return shape.Profile(stacks, samples, lost, words, shape.COUNTED)


def _own_frame(frame):
    if frame.is_python:
        return shape.python_frame(frame.name, frame.file, frame.line)
    return shape.native_frame(frame.name, frame.module)


# ------------------------------------------------------------------ py-spy

def py_spy(_, outcome):
    stacks = []
    for line in one(outcome, "out.folded")[0].read_text().splitlines():
        names, _, count = line.rpartition(" ")
        frames = tuple(filter(None, map(_folded_frame, names.split(";"))))
        stacks.append((frames, int(count)))
    told = said(outcome, r"Samples: (\d+) Errors: (\d+)")
    behind = said(outcome, r"[\d.]+\w* behind in sampling")
    words = " ".join(m.group(0) for m in (told, behind) if m)
    return shape.Profile(stacks, sum(n for _, n in stacks), int(told.group(2)) if told else None, words, shape.COUNTED)


def _folded_frame(text):
    match = FOLDED_FRAME.match(text)
    if not match:
        return None  # a process or a thread
    if shape.is_python_file(match["file"]):
        return shape.python_frame(match["name"], match["file"], match["line"])
    return shape.native_frame(match["name"], "" if match["file"] == "?" else match["file"])


# ------------------------------------------------------------------ austin

def austin(_, outcome):
    stacks, invalid, cut = [], 0, ""
    for path in one(outcome, "out.mojo*"):
        reader = mojo.Reader(path.read_bytes())
        for frames, time, _ in reader.samples():
            stacks.append((tuple(_austin_frame(f) for f in frames if f), time))
        invalid, cut = invalid + reader.invalid, cut or ", its file is cut" * reader.cut
    told = said(outcome, r"(\d+)/(\d+)[^\n]*%")
    words = "error rate %s/%s" % told.groups() if told else "%d frames invalid" % invalid
    return shape.Profile(stacks, len(stacks), int(told.group(1)) if told else invalid, words + cut, shape.ONE)


def _austin_frame(frame):
    file, name, line = frame
    if file.startswith("native@"):  # the address, in the place of a module
        return shape.native_frame(name, "")
    return shape.python_frame(name, file, line) if shape.is_python_file(file) else shape.native_frame(name, file)


# ------------------------------------------------------ profiling.sampling

def sampling(_, outcome):
    stacks = []
    for path in one(outcome, "out*.folded*"):
        for line in path.read_text().splitlines():
            names, _, count = line.rpartition(" ")
            frames = tuple(_sampling_frame(f) for f in names.split(";") if not f.startswith("tid:"))
            stacks.append((frames, int(count)))
    captured, rate = said(outcome, r"Captured (\d+) samples"), said(outcome, r"Error rate: ([\d.]+)")
    missed = said(outcome, r"missed (\d+) samples")
    lost = int(missed.group(1)) if missed else 0
    if captured and rate:
        lost += int(captured.group(1)) * float(rate.group(1)) / 100
    words = ", ".join(m.group(0) for m in (rate, missed) if m)
    return shape.Profile(stacks, sum(n for _, n in stacks), lost, words, shape.COUNTED)


def _sampling_frame(text):
    parts = text.rsplit(":", 2)
    if len(parts) < 3:
        return shape.native_frame(text, "")  # <native>, <GC>
    return shape.python_frame(parts[1], parts[0], parts[2])


# ----------------------------------------------------------------- scalene

def scalene(_, outcome):
    data = json.loads(one(outcome, "out.json")[0].read_text())
    if not data.get("files"):
        raise ValueError("scalene wrote an empty profile")
    stacks, count = [], 0
    for frames, values in data["stacks"]:
        frames = tuple(_scalene_frame(f) for f in frames)
        stacks.append((frames, values["python_time"]))
        stacks.append((frames + (shape.native_frame("C", ""),), values["c_time"]))
        count += values["count"]
    return shape.Profile(stacks, count, None, "says nothing of losses")


def _scalene_frame(text):
    file, _, rest = text.rstrip(";").rpartition(" ")
    name, _, line = rest.rpartition(":")
    return shape.python_frame(name, file, line)


# ------------------------------------------------------------ pyinstrument

def pyinstrument(_, outcome):
    data = json.loads(one(outcome, "out.session")[0].read_text())
    stacks = [(tuple(filter(None, map(_session_frame, frames))), seconds) for frames, seconds in data["frame_records"]]
    return shape.Profile(stacks, data["sample_count"], None, "says nothing of losses", shape.ONE)


def _session_frame(text):
    identity, *attributes = text.split("\x01")
    name, file, first = identity.split("\0")
    if file == "<thread>" or name.startswith("["):
        return None  # thread names, and marks of its own as [self], [await]
    line = next((a[1:] for a in attributes if a.startswith("l")), first)
    return shape.python_frame(name, file, line)


# ----------------------------------------------------- cProfile and yappi

def pstats(_, outcome):
    """Flat: each function's own time, under each of its callers."""
    with open(one(outcome, "out.pstats")[0], "rb") as f:
        stats = marshal.load(f)
    stacks = []
    for function, (_, _, own, _, callers) in stats.items():
        frame, placed = _pstats_frame(function), 0.0
        for caller, values in callers.items():
            stacks.append(((_pstats_frame(caller), frame), values[2]))
            placed += values[2]
        if own > placed:
            stacks.append(((frame,), own - placed))
    return shape.Profile(stacks, None, None, "traces every call")


def _pstats_frame(function):
    file, line, name = function
    if file in ("~", "") or name.startswith("<built-in") or not shape.is_python_file(file):
        return shape.native_frame(name, "")
    return shape.python_frame(name, file, line)


# --------------------------------------------- line_profiler, memray, tracemalloc

def converted(kind, pattern):
    def read(subject, outcome):
        script = str(place.REPO / "tests" / "bench" / "convert.py")
        argv = subject.enter([subject.python, script, kind, one(outcome, pattern)[0]], outcome.directory)
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.clean_environment())
        if done.returncode:
            raise ValueError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
        return _plain(json.loads(done.stdout.decode()))
    return read


def tracemalloc(_, outcome):
    return _plain(json.loads(one(outcome, "out.json")[0].read_text()))


def _plain(data):
    def frame(name, file, line):
        return shape.python_frame(name, file, line) if shape.is_python_file(file) else shape.native_frame(name, file)

    return shape.Profile([(tuple(frame(*f) for f in frames), weight) for frames, weight in data["stacks"]],
                         None, None, "traces all")
