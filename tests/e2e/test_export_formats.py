# SPDX-License-Identifier: MIT
"""Call graphs, pictures, tables, V8's and the Firefox Profiler's format: each is read by the tool
that it is made for, and says what the report says, to the nanosecond or byte. Names arrive there
whatever is in them. (Folded stacks, pprof and speedscope are in test_export.py.)"""
import collections
import html
import json
import pathlib
import re
import subprocess
import sys

import pytest

import exports
import firefox_profiler
import place
import recording
import vscode_profile
from recording import export, make_profile, report
from test_waits import syscall_names

OK, FAILURE, USAGE, NO_SAMPLES = 0, 1, 2, 3
TIME_VIEWS = ["cpu", "wall", "offcpu", "gil"]
MEMORY_VIEWS = ["allocated", "live", "peak", "temporary"]
TEXT = ["svg", "callgrind", "cpuprofile", "lines", "csv"]
BINARY = ["firefox", "pstats"]
SCHEMA = place.REPO / "collector" / "export" / "lines.schema.json"

PROGRAM = """
import gc, json, threading, time, zlib
KEPT = []

def recurse(n):
    return time.sleep(0.02) if n == 0 else recurse(n - 1)

def even(n):
    return sum(i * i for i in range(60000)) if n <= 0 else odd(n - 1)

def odd(n):
    return even(n - 1)

def pack():
    end = time.thread_time() + 0.25
    while time.thread_time() < end:
        zlib.compress(b"spam;eggs" * 50000)

def keep():
    for i in range(60): KEPT.append(bytearray(400_000))
    for i in range(60): bytearray(300_000)

def collect():
    cycles = [[] for i in range(200_000)]
    for c in cycles: c.append(c)
    end = time.thread_time() + 0.15
    while time.thread_time() < end: gc.collect()

threads = [threading.Thread(target=f, name=f.__name__) for f in (pack, keep)]
for t in threads: t.start()
for i in range(10): recurse(8)
for i in range(30): even(6)
collect()
for t in threads: t.join()
"""

# Of Python functions: markup, quotes, a line's end, right to left, an emoji, half a surrogate pair.
NAMES = ["<script>alert(1)</script>&amp;", "a\"b'c`d", "two\nlines\ttab", "\u202eevil\u05d0\u05d1",
         "snake\U0001f40d", "half\ud800", "]]>--><!--", "comma,semi;colon 12", "(7) compressed", "=1+1"]
# The name of a file that VS Code would run as a command of its own, were it an address.
ADDRESS = "command:workbench.action.quit"
NAMED = """
import time
def spin():
    end = time.thread_time() + 0.06
    while time.thread_time() < end: pass
for name in %r:
    new = {"co_name": name, "co_filename": %r if name == "=1+1" else "/src/" + name + ".py"}
    if hasattr(spin.__code__, "co_qualname"): new["co_qualname"] = name
    spin.__code__ = spin.__code__.replace(**new)
    spin()
""" % (NAMES, ADDRESS)


@pytest.fixture(scope="module", params=["synthetic", "real"])
def profile(request, session_work, one_python):
    """A large one of many stacks, and one with the names that real programs have."""
    if request.param == "synthetic":
        return make_profile(session_work / "formats-synthetic.pillion", "-n", 20000, "-m", 600, "-t", 7, "-p", 3,
                            "-b", 3000)
    return record(session_work, one_python, PROGRAM, "formats-real.pillion")


@pytest.fixture(scope="module")
def real(session_work, one_python):
    return record(session_work, one_python, PROGRAM, "formats-one.pillion")


def record(work, python, program, name):
    result = recording.record(python, ["-c", program], work, name=name, options=["--alloc-interval", "65536"])
    assert result.returncode == OK, result.stderr
    return result.path


# ------------------------------------------------------------------ the numbers

READERS = {
    "firefox": lambda path, view: exports.of_firefox(path),
    "pstats": lambda path, view: exports.of_pstats(path),
    "callgrind": lambda path, view: exports.read_callgrind(path).times(view),
    "cpuprofile": lambda path, view: exports.of_cpuprofile(path),
    "csv": exports.of_csv,
}


def of_view(form, view):
    """A file of all views takes no such option."""
    return [] if form == "csv" else ["--view", view]


@pytest.mark.parametrize("view", TIME_VIEWS)
@pytest.mark.parametrize("form", READERS)
def test_times_are_those_of_the_report(here, profile, work, form, view):
    path = export(here, profile, work / ("x." + form), form, *of_view(form, view))
    expected = report(here, profile, "--view", view)
    times = READERS[form](path, view)
    assert times.sum_ns == expected["view_total"]["ns"] > 0
    assert times == exports.of_report(expected)


@pytest.mark.parametrize("view", TIME_VIEWS)
def test_a_picture_has_the_times_of_the_report(here, profile, work, view):
    """But for what is too narrow to be seen, which it adds up."""
    svg = exports.read_svg(export(here, profile, work / "x.svg", "svg", "--view", view))
    expected = report(here, profile, "--view", view)
    assert svg.total == expected["view_total"]["ns"] == svg.times.sum_ns + svg.left_out
    assert svg.left_out < svg.total / 20
    all_of_it = exports.of_report(expected)
    if svg.left_out:
        assert svg.times.self_ns <= all_of_it.self_ns and svg.times.total_ns <= all_of_it.total_ns
    else:
        assert svg.times == all_of_it


def test_lines_are_those_of_the_report(here, profile, work):
    document = json.loads(export(here, profile, work / "x.json", "lines").read_text())
    totals = {v["name"]: v for v in document["views"]}
    for view in TIME_VIEWS:
        expected = report(here, profile, "--view", view)
        assert totals[view]["total"] == expected["view_total"]["ns"]
        own = exports.lines_by_place(document, view, "self")
        assert sum(own.values()) + totals[view]["no_stack"] == totals[view]["total"]
        for amount, key in (("self", "self_ns"), ("native", "native_ns"), ("total", "total_ns")):
            python = collections.Counter()
            for line in expected["lines"]:
                python[line["file"], line["line"] or 0, line["function"]] += line[key]
            found = exports.lines_by_place(document, view, amount)
            assert {k: v for k, v in found.items() if k in python} == +python, (view, amount)


@pytest.mark.parametrize("view", MEMORY_VIEWS)
def test_memory_is_that_of_the_report(here, real, work, view):
    expected = report(here, real, "--view", view)
    folded = exports.of_folded(export(here, real, work / "x.folded", "folded", "--view", view).read_text())
    assert folded.sum_ns == expected["view_total"]["bytes"] > 0
    assert folded == exports.of_report(expected, "bytes")
    svg = exports.read_svg(export(here, real, work / "x.svg", "svg", "--view", view))
    assert svg.total == folded.sum_ns == svg.times.sum_ns + svg.left_out
    assert exports.read_callgrind(
        export(here, real, work / "x.callgrind", "callgrind", "--view", view)).times("bytes").self_ns == folded.self_ns
    table = exports.of_csv(export(here, real, work / "x.csv", "csv"), view, "bytes")
    assert +table.self_ns == +folded.self_ns
    document = json.loads(export(here, real, work / "x.json", "lines").read_text())
    [total] = [v for v in document["views"] if v["name"] == view]
    assert total["unit"] == "bytes" and total["total"] == folded.sum_ns
    assert sum(exports.lines_by_place(document, view, "self").values()) + total["no_stack"] == folded.sum_ns


@pytest.mark.parametrize("form", sorted(READERS))
def test_filters(here, profile, work, form):
    one = max(report(here, profile)["threads"], key=lambda t: t["time"]["wall_ns"])
    path = export(here, profile, work / ("x." + form), form, "--thread", one["tid"], *of_view(form, "wall"))
    assert READERS[form](path, "wall").sum_ns == one["time"]["wall_ns"]


# ------------------------------------------------------------------ call graphs

def test_callers_are_true(here, real, work):
    path = export(here, real, work / "x.pstats", "pstats", "--view", "wall")
    stats = {exports.pstats_name(k): v for k, v in exports.read_pstats(path).items()}
    callers = {exports.pstats_name(k): v for k, v in stats["recurse"][4].items()}
    assert set(callers) == {"<module>", "recurse"}
    # All time in it came from the module, and all but that of the first call through itself.
    for _, _, own, total in callers.values():
        assert exports.to_ns(total) == exports.to_ns(stats["recurse"][3])
        assert exports.to_ns(own) <= exports.to_ns(stats["recurse"][2])
    assert {exports.pstats_name(k) for k in stats["odd"][4]} == {"even"}


def test_gprof2dot_and_snakeviz_open_pstats(here, profile, work):
    path = export(here, profile, work / "x.pstats", "pstats")
    dot = subprocess.run([sys.executable, "-m", "gprof2dot", "-f", "pstats", "-n", "0", "-e", "0", str(path)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert dot.returncode == 0 and dot.stdout.count("->") > 5, dot.stderr
    from pstats import Stats
    from snakeviz.stats import json_stats, table_rows
    stats = Stats(str(path))
    assert len(table_rows(stats)) == len(json_stats(stats)) == len(stats.stats)


@pytest.mark.parametrize("view", TIME_VIEWS)
def test_callgrind_annotate_reads_callgrind(here, profile, work, view):
    path = export(here, profile, work / "x.callgrind", "callgrind")
    read = exports.read_callgrind(path)
    column = read.events.index(view)
    own, outgoing, incoming = (collections.Counter() for _ in range(3))
    shown = {f: "%s:%s [%s]" % (file, name, library) for f, (library, file, name) in read.functions.items()}
    for function, _, costs in read.lines:
        own[shown[function]] += costs[column]
    for caller, _, callee, _, costs in read.calls:
        outgoing[shown[caller]] += costs[column]
        incoming[shown[callee]] += costs[column]
    assert read.summary[column] == sum(own.values())
    assert +collections.Counter(exports.callgrind_annotate(path, view)) == +own
    # What is called costs all of its calls there, whatever it cost where nobody called it.
    inclusive = exports.callgrind_annotate(path, view, "--inclusive=yes")
    called = {shown[callee] for _, _, callee, _, _ in read.calls}
    assert +collections.Counter(inclusive) == +collections.Counter(
        {name: incoming[name] if name in called else own[name] + outgoing[name] for name in shown.values()})


def test_gprof2dot_and_speedscope_open_callgrind(here, real, work):
    path = export(here, real, work / "x.callgrind", "callgrind")
    dot = subprocess.run([sys.executable, "-m", "gprof2dot", "-f", "callgrind", "-n", "0", "-e", "0", str(path)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert dot.returncode == 0 and "recurse" in dot.stdout, dot.stderr
    names = {f["name"] for p in exports.read_speedscope(path)["profiles"] for f in p["frames"]}
    assert {"recurse", "even", "pack"} <= names


# ------------------------------------------------------------------ V8

def test_speedscope_opens_cpuprofile(here, profile, work):
    path = export(here, profile, work / "x.cpuprofile", "cpuprofile", "--view", "wall")
    expected = report(here, profile, "--view", "wall")
    [read] = exports.read_speedscope(path)["profiles"]
    assert read["unit"] == "microseconds"
    assert round(read["weight"] * 1000) == expected["view_total"]["ns"]
    found = collections.Counter()
    for frame in read["frames"]:
        found[frame["name"]] += frame["self"]
    own = +exports.of_report(expected).self_ns
    # It calls what has no name of its own by its place, and adds up microseconds.
    same = [name for name in own if abs(found[name] * 1000 - own[name]) < 1]
    assert len(same) > 0.9 * len(own)


def test_cpuprofile_knows_files_and_lines(here, real, work):
    profile = json.loads(export(here, real, work / "x.cpuprofile", "cpuprofile").read_text())
    for name, start in (("even", "def even"), ("<genexpr>", "return sum(")):
        lines = {n["callFrame"]["lineNumber"] for n in profile["nodes"]
                 if n["callFrame"]["functionName"].endswith(name) and n["callFrame"]["url"] == "<string>"}
        assert lines == {PROGRAM[:PROGRAM.index(start)].count("\n")}
    ticking = [n for n in profile["nodes"] if n.get("positionTicks")]
    assert any(n["callFrame"]["functionName"].endswith("<genexpr>") for n in ticking)
    assert all(sum(t["ticks"] for t in n["positionTicks"]) == n["hitCount"] for n in ticking)
    urls = [n["callFrame"]["url"] for n in profile["nodes"]]
    assert any(re.match(r"^file:///.*/threading\.py$", url) for url in urls)


def report_places(expected):
    """{(function, file or library, first line): (self, total)} of what has a place for itself."""
    places = collections.defaultdict(list)
    for f in expected["functions"]:
        places[f["function"], f["file"] or f["library_path"], f["first_line"]].append((f["self_ns"], f["total_ns"]))
    return {place_: times[0] for place_, times in places.items() if len(times) == 1}


def ns_of(us):
    return round(us * 1000)


@pytest.mark.parametrize("view", ["cpu", "wall"])
def test_vscode_has_the_times_of_the_report(here, profile, work, view):
    """In the model of its own extension, by function, file and line."""
    read = vscode_profile.read(export(here, profile, work / "x.cpuprofile", "cpuprofile", "--view", view))
    expected = report(here, profile, "--view", view)
    places = {(p["function"], p["path"], p["line"]): p for p in read["places"]}
    assert ns_of(read["duration"]) == sum(ns_of(p["self"]) for p in read["places"]) == expected["view_total"]["ns"]
    own = {at: times for at, times in report_places(expected).items() if times != (0, 0)}
    assert own == {at: (ns_of(places[at]["self"]), ns_of(places[at]["total"])) for at in own} and len(own) > 20
    # What calls itself counts once for each of its calls there.
    assert all(ns_of(p["shown_total"]) >= ns_of(p["total"]) for p in read["places"])
    assert all(ns_of(p["shown_total"]) == ns_of(p["total"]) for p in read["places"] if p["function"] in ("pack", "collect"))


def vscode_rows(page, work, count):
    """(ms of its own, ms in total, function, place:line) of the table that VS Code shows, in a window for all of it."""
    rows = []
    for row in browse(page, work, 25 * count + 200).split("role=\"treeitem\"")[1:]:
        own, total = [float(ms.replace(",", "")) for ms in re.findall(r"</div>(-?[\d,.]+)ms</div>", row)]
        [name] = re.findall(r"<span[^>]*>([^<]+)</span>", row)
        at = re.search(r"<a[^>]*>([^<]*)</a>", row)
        rows.append((own, total, html.unescape(name), html.unescape(at[1]) if at else ""))
    return rows


def test_vscode_shows_the_heaviest_first(here, real, work):
    path = export(here, real, work / "x.cpuprofile", "cpuprofile", "--view", "wall")
    read = vscode_profile.read(path, work / "page.html")
    rows = vscode_rows(work / "page.html", work, len(read["places"]))
    heaviest = sorted((p["self"] for p in read["places"]), reverse=True)
    assert [own for own, _, _, _ in rows] == pytest.approx([us / 1000 for us in heaviest], abs=0.0051)
    shown = {(name, at): (own, total) for own, total, name, at in rows}
    for p in read["places"]:
        times = shown[p["function"], "%s:%d" % (p["path"], p["line"]) if p["path"] else ""]
        assert times == pytest.approx((p["self"] / 1000, p["shown_total"] / 1000), abs=0.0051), p


# ------------------------------------------------------------------ tables

def test_lines_follow_their_schema(here, profile, work):
    import jsonschema
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(export(here, profile, work / "x.json", "lines").read_text())
    jsonschema.validate(document, schema)
    assert {v["name"] for v in document["views"]} >= set(TIME_VIEWS)
    document["files"][0]["lines"][0]["cpu"] = {"self": 1.5, "native": 0, "total": 2}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_schema_is_installed(here):
    installed = pathlib.Path(here.pillion).parent.parent / "share" / "pillion" / "lines.schema.json"
    assert installed.read_text() == SCHEMA.read_text()


# ------------------------------------------------------------------ Firefox Profiler

def test_the_firefox_profiler_loads_it(here, real, work):
    """By its own upgraders and call trees, which read what the page reads."""
    path = export(here, real, work / "x.firefox.json.gz", "firefox", "--view", "wall")
    expected, times = report(here, real, "--view", "wall"), exports.Times(collections.Counter(), collections.Counter())
    allocated = 0
    with firefox_profiler.Session(work / "session") as session:
        session.load(path)
        meta = session.ask("profile", "meta")
        assert meta["importedFrom"].startswith("Pillion") and meta["symbolicated"]
        threads = [t for p in session.ask("profile", "info", "--all")["processes"] for t in p["threads"]]
        for thread in threads:
            for f in session.functions(thread["threadHandle"]):
                times.self_ns[f["name"]] += round(f["selfSamples"] * 1e6)
                times.total_ns[f["name"]] += round(f["totalSamples"] * 1e6)
        for f in session.functions(threads[0]["threadHandle"], "--strategy", "native-allocations"):
            allocated += f["selfSamples"]
        retained = sum(f["selfSamples"] for f in session.functions(
            threads[0]["threadHandle"], "--strategy", "native-retained-allocations"))
        markers = session.ask("thread", "markers", "--thread", threads[0]["threadHandle"])
    assert times == exports.of_report(expected)
    cpu_ns = {t["tid"]: t["time"]["cpu_ns"] for t in expected["threads"]}
    for thread in threads:
        # What the first sample of a thread used before, no graph shows.
        assert thread["cpuMs"] * 1e6 <= cpu_ns[thread["tid"]] + 1000
    assert {m["markerName"] for m in markers["byType"]} >= {"Has the GIL", "Blocked", "Garbage collection"}
    blocks = {view: exports.of_folded(export(here, real, work / view, "folded", "--view", view).read_text()).sum_ns
              for view in ("allocated", "live")}
    assert allocated == blocks["allocated"]
    assert 0 < retained < allocated


def test_firefox_tables_are_consistent(here, profile, work):
    read = exports.read_firefox(export(here, profile, work / "x.gz", "firefox"))
    shared, meta = read["shared"], read["meta"]
    for name, table in shared.items():
        if name != "stringArray":
            assert all(len(column) == table["length"] for key, column in table.items() if key != "length"), name
    assert all(p is None or p < i for i, p in enumerate(shared["stackTable"]["prefix"]))
    names = {c["name"] for c in meta["categories"]}
    used = {meta["categories"][c]["name"] for c in shared["frameTable"]["category"]}
    assert {"Python", "Interpreter"} <= used <= names
    schemas = {s["name"] for s in meta["markerSchema"]}
    cpu = {t["tid"]: t["time"]["cpu_ns"] for t in report(here, profile)["threads"]}
    for thread in read["threads"]:
        samples, markers = thread["samples"], thread["markers"]
        assert samples["length"] == len(samples["stack"]) == len(samples["weight"]) == len(samples["timeDeltas"]) > 0
        assert all(0 <= s < shared["stackTable"]["length"] for s in samples["stack"])
        assert min(samples["timeDeltas"]) >= 0 and sum(samples["threadCPUDelta"]) == cpu[thread["tid"]]
        assert {d["type"] for d in markers["data"]} <= schemas
        assert all(start <= end for start, end in zip(markers["startTime"], markers["endTime"]))
    assert len({t["pid"] for t in read["threads"]}) == sum(t["isMainThread"] for t in read["threads"])
    for counter in read["counters"]:
        assert read["threads"][counter["mainThreadIndex"]]["pid"] == counter["pid"]
        assert counter["samples"]["length"] == len(counter["samples"]["count"])


def test_markers_last_as_long_as_what_they_show(here, real, work):
    """Roughly: a sample tells how long, not from when. What overlaps is cut, and gaps of a tick are closed."""
    read = exports.read_firefox(export(here, real, work / "x.gz", "firefox"))
    strings, names = read["shared"]["stringArray"], syscall_names()
    shown, sampled = collections.Counter(), collections.Counter()
    for thread in read["threads"]:
        markers = thread["markers"]
        for name, start, end, data in zip(*(markers[c] for c in ("name", "startTime", "endTime", "data"))):
            shown[strings[name], strings[data["call"]] if "call" in data else ""] += float(end - start) * 1e6
    for s in recording.load(real).samples:
        if s.offcpu_ns:
            sampled["Blocked", names.get(s.syscall, "unknown")] += s.offcpu_ns
        if s.gil == recording.GIL_HOLDS:
            sampled["Has the GIL", ""] += s.cpu_ns + s.offcpu_ns
    assert {("Blocked", "clock_nanosleep"), ("Blocked", "futex"), ("Has the GIL", "")} <= set(sampled)
    for what, ns in sampled.items():
        assert abs(shown[what] - ns) <= 0.35 * ns + 30e6, (what, shown, sampled)


def test_the_memory_track_is_exact(here, real, work):
    read = exports.read_firefox(export(here, real, work / "x.gz", "firefox"))
    [counter] = read["counters"]
    rows = exports_timeline(export(here, real, work / "x.csv", "timeline"))
    assert sum(counter["samples"]["count"]) == rows[-1]
    assert max(running(counter["samples"]["count"])) == max(rows)


def exports_timeline(path):
    """Bytes of malloc and mmap at each moment."""
    moments = collections.defaultdict(int)
    for line in path.read_text().splitlines()[1:]:
        seconds, _, kind, *_, net, _ = line.split(",")
        if kind in ("malloc", "mmap"):
            moments[float(seconds)] += int(net)
    return [net for _, net in sorted(moments.items())]


def running(deltas):
    total = 0
    for delta in deltas:
        total += delta
        yield total


# ------------------------------------------------------------------ in a browser

def browse(path, work, height=600):
    """What a browser makes of a page, its scripts run, and those that wait for timers, too."""
    result = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                             "--window-size=1200,%d" % height, "--virtual-time-budget=5000",
                             "--user-data-dir=%s" % (work / "browser"), path.as_uri()],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def calls_of(dom):
    """(name, shown, width, marked) of the boxes."""
    found = []
    for g in re.findall(r"<g class=\"c.*?</g>", dom, re.S):
        head, width = g[:g.index(">")], re.search(r"width=\"([\d.]+)\"", g)[1]
        found.append((html.unescape(re.search(r"data-name=\"([^\"]*)\"", head)[1]), "display: none" not in head,
                      float(width), "class=\"c m\"" in head))
    return found


def with_script(path, target, script):
    text = path.read_text()
    assert "</svg>" in text
    target.write_text(text.replace("</svg>", "<script><![CDATA[%s]]></script></svg>" % script))
    return target


def test_a_browser_zooms_and_searches(here, real, work):
    path = export(here, real, work / "x.svg", "svg", "--view", "wall")
    plain = calls_of(browse(path, work))
    shown = exports.read_svg(path)
    assert len(plain) == len(shown.titles) - 1 and all(visible for _, visible, _, _ in plain)
    zoomed = calls_of(browse(with_script(path, work / "zoom.svg", """
        Array.from(document.querySelectorAll('g.c')).find(function (g) {
            return g.getAttribute('data-name') === 'even';
        }).dispatchEvent(new MouseEvent('click'));"""), work))
    assert ("even", True, 1200.0, False) in zoomed and ("<module>", True, 1200.0, False) in zoomed
    assert any(name == "recurse" and not visible for name, visible, _, _ in zoomed)
    dom = browse(with_script(path, work / "search.svg", """
        window.prompt = function () { return '^recurse$'; };
        document.getElementById('search').dispatchEvent(new MouseEvent('click'));"""), work)
    assert {name for name, _, _, marked in calls_of(dom) if marked} == {"recurse"}
    share = 100 * shown.times.total_ns["recurse"] / shown.total
    assert "^recurse$: %.2f %%" % share in html.unescape(dom)


# ------------------------------------------------------------------ names

@pytest.fixture(scope="module")
def named(session_work, one_python):
    return record(session_work, one_python, NAMED, "formats-names.pillion")


@pytest.fixture(scope="module")
def expected_names(named):
    """As they arrive: what is not UTF-8 is replaced."""
    found = {f["function"] for f in report(place.HERE, named)["functions"]}
    expected = {name for name in NAMES if "\ud800" not in name}
    assert expected <= found and any(name.startswith("half\ufffd") for name in found)
    return expected | {name for name in found if name.startswith("half\ufffd")}


@pytest.mark.parametrize("form", sorted(READERS))
def test_names_arrive_as_they_are(here, named, expected_names, work, form):
    found = READERS[form](export(here, named, work / ("x." + form), form), "cpu").total_ns
    if form == "cpuprofile":  # what would end a script has a sign in it that nobody sees
        found = {name.replace("\u2060", "") for name in found}
    if form == "callgrind":  # a name is on one line there
        expected_names = {re.sub(r"[\x00-\x1f]", " ", name) for name in expected_names}
    assert expected_names <= set(found)


def test_names_are_text_in_a_picture(here, named, expected_names, work):
    path = export(here, named, work / "x.svg", "svg")
    svg = exports.read_svg(path)
    shown = {re.sub(r"[\x00-\x1f]", "\ufffd", name) for name in expected_names}
    assert shown <= set(svg.times.total_ns) and svg.left_out == 0
    assert all(any(t.startswith(name) for t in svg.titles) for name in shown)
    calls = calls_of(browse(path, work))
    assert shown <= {name for name, _, _, _ in calls}
    # Were one taken for markup, it would have run, or cut the document short.
    assert path.read_text().count("<script>") == 1


def test_names_are_text_in_vscode(here, named, expected_names, work):
    """Where strings go into a script as they are, and where some names of files are commands."""
    read = vscode_profile.read(export(here, named, work / "x.cpuprofile", "cpuprofile"), work / "page.html")
    rows = vscode_rows(work / "page.html", work, len(read["places"]))
    assert expected_names <= {name.replace("\u2060", "") for _, _, name, _ in rows}
    paths = {p["path"].replace("\u2060", "") for p in read["places"]}
    assert {"/src/%s.py" % name for name in NAMES[:4]} < paths and "./" + ADDRESS in paths
    assert not [path for path in paths if re.match(r"\w+:", path)]


def test_names_are_values_in_lines(here, named, expected_names, work):
    document = json.loads(export(here, named, work / "x.json", "lines").read_text())
    assert expected_names <= {line["function"] for f in document["files"] for line in f["lines"]}


# ------------------------------------------------------------------ the file

@pytest.fixture
def copied(work):
    return make_profile(work / "app.pillion", "-n", 200, "-m", 20, "-t", 1)


@pytest.mark.parametrize("options, name", [
    (["svg"], "app.cpu.svg"), (["firefox", "-w", "wall"], "app.wall.firefox.json.gz"), (["pstats"], "app.cpu.pstats"),
    (["callgrind"], "app.callgrind"), (["cpuprofile"], "app.cpu.cpuprofile"), (["lines"], "app.lines.json"),
    (["csv"], "app.functions.csv")])
def test_the_output_stands_next_to_the_profile(here, copied, work, options, name):
    result = here.run([here.pillion, "export", "-f", *options, copied], cwd="/")
    assert (result.returncode, result.stdout) == (OK, "") and name in result.stderr, result.stderr
    assert sorted(p.name for p in work.iterdir()) == sorted(["app.pillion", name])


@pytest.mark.parametrize("form", TEXT + BINARY)
def test_a_dash_is_standard_output_and_a_full_disk_an_error(here, copied, work, form):
    target = export(here, copied, work / "x", form)
    with here.popen([here.pillion, "export", "-f", form, "-o", "-", copied],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (OK, target.read_bytes(), b"")
    result = here.run([here.pillion, "export", "-f", form, "-o", "/dev/full", copied])
    assert result.returncode == FAILURE and "space" in result.stderr, result.stderr


@pytest.mark.parametrize("form", BINARY + ["pprof"])
def test_what_is_binary_is_not_for_a_terminal(here, copied, form):
    result = subprocess.run(["script", "-qec", "%s export -f %s -o - %s" % (here.pillion, form, copied), "/dev/null"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert result.returncode == USAGE and "%s is binary" % form in result.stdout


@pytest.mark.parametrize("form", ["firefox", "pstats", "cpuprofile"])
def test_formats_of_time_have_no_views_of_memory(here, copied, form):
    result = here.run([here.pillion, "export", "-f", form, "--view", "live", copied])
    assert result.returncode == USAGE and "time" in result.stderr, result.stderr


@pytest.mark.parametrize("form", ["lines", "csv"])
def test_tables_of_all_views_are_of_bytes_and_of_threads_that_are_there(here, real, work, form):
    result = here.run([here.pillion, "export", "-f", form, "--blocks", real])
    assert result.returncode == USAGE and "bytes" in result.stderr, result.stderr
    result = here.run([here.pillion, "export", "-f", form, "-o", work / "x", "--thread", "999999999", real])
    assert result.returncode == NO_SAMPLES and "pillion info" in result.stderr, result.stderr
    assert not list(work.iterdir())


@pytest.mark.parametrize("options", [["folded", "--blocks"], ["timeline", "--blocks"], ["svg", "--blocks", "-w", "wall"],
                                     ["svg", "--annotate"], ["pprof", "--annotate", "-w", "live"],
                                     ["pstats", "--lines"], ["csv", "--lines"], ["timeline", "--lines"],
                                     ["csv", "--view", "live"], ["lines", "--view", "cpu"],
                                     ["timeline", "--view", "live", "--blocks"]], ids=" ".join)
def test_what_would_change_nothing_is_refused(here, real, work, options):
    result = here.run([here.pillion, "export", "-o", work / "x", "-f", *options, real])
    assert result.returncode == USAGE and options[1] + " is of " in result.stderr, result
    assert not list(work.iterdir())


@pytest.mark.parametrize("form", TEXT + BINARY)
def test_an_empty_profile_makes_no_file(here, work, form):
    path = make_profile(work / "empty.pillion", "-n", 0, "-t", 1)
    result = here.run([here.pillion, "export", "-f", form, path])
    assert result.returncode == NO_SAMPLES and "no sample" in result.stderr, result.stderr
    assert [p.name for p in work.iterdir()] == ["empty.pillion"]


def test_help_says_for_whom_each_format_is(here):
    short = " ".join(here.run([here.pillion, "export", "--help"]).stdout.split())
    for form in ["folded", "pprof", "speedscope", "timeline", *TEXT, *BINARY]:
        assert re.search(r"\b%s \(|\b%s," % (form, form), short), form
    wrong = here.run([here.pillion, "export", "-f", "nonesuch"])
    assert all(form in wrong.stderr for form in ["folded", "pprof", "speedscope", "timeline", *TEXT, *BINARY])
