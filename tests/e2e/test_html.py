# SPDX-License-Identifier: MIT
"""The page in a real browser: its numbers are the report's, each control does what it says, names are text,
and nothing leaves it."""
import json
import re

import pytest

import browser
import recording
from recording import make_profile

OK, FAILURE, USAGE, NO_SAMPLES = 0, 1, 2, 3
VIEWS = ["cpu", "wall", "offcpu", "gil", "allocated", "live", "peak", "temporary"]
PAGE_BYTES_MAX = 300 * 1024  # of the page without data

PROGRAM = recording.PACKS_AND_PARSES + """
kept = []
for i in range(10): recurse(8); kept.append(bytearray(700000))
for t in threads: t.join()
"""

# Each of these is a function's name, its file's, and its thread's.
HOSTILE = ['<img src=x onerror="document.title=1">', "</script><script>alert(1)</script>", "a\"b'c`d&amp;",
           "two\nlines", "\u202egnp.exe", "\u05d0\u05d1\u05d2\u05d3", "\U0001f40d\U0001f525"]

HOSTILE_PROGRAM = """
import threading, time
NAMES = %r
def spin():
    end = time.thread_time() + 0.12
    while time.thread_time() < end:
        pass
def renamed(name):
    more = {"co_qualname": name} if hasattr(spin.__code__, "co_qualname") else {}
    return type(spin)(spin.__code__.replace(co_name=name, co_filename="/tmp/" + name + ".py", **more), globals(), name)
for name in NAMES:
    t = threading.Thread(target=renamed(name), name=name)
    t.start()
    t.join()
""" % (HOSTILE,)


def make_page(here, profile, target, *options):
    result = here.run([here.pillion, "html", "-o", target, *options, profile])
    assert (result.returncode, result.stdout) == (OK, ""), result.stderr
    return target


def told(here, verb, profile, *options):
    result = here.run([here.pillion, verb, "--json", *options, profile])
    assert result.returncode in (OK, NO_SAMPLES), result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def driver():
    driver = browser.start()
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def usual_size(request):
    if "driver" in request.fixturenames:
        browser.resize(request.getfixturevalue("driver"), 1280, 900)


@pytest.fixture(scope="module")
def profiles(session_work, one_python):
    """A large one of many stacks, and one with the names that real programs have."""
    made = make_profile(session_work / "synthetic.pillion", "-n", 20000, "-m", 600, "-t", 7, "-p", 3, "-b", 3000)
    r = recording.record(one_python, ["-c", PROGRAM], session_work, name="page.pillion",
                         options=["--alloc-interval", "16384"])
    assert r.returncode == 0, r.stderr
    return {"synthetic": made, "real": r.path}


@pytest.fixture(scope="module")
def pages(here, profiles, session_work):
    return {name: make_page(here, path, session_work / (name + ".html")) for name, path in profiles.items()}


@pytest.fixture(params=["synthetic", "real"])
def both(request, driver, profiles, pages):
    return profiles[request.param], pages[request.param]


@pytest.fixture
def page(driver, pages):
    """The synthetic one's, freshly opened; it must have been quiet when the test ends."""
    page = browser.Page(driver, pages["synthetic"])
    yield page
    assert page.console() == []
    assert page.requests() == []


# ------------------------------------------------------------------- numbers

def all_functions(page):
    """Every row of the table: name -> self, total, native, summed over functions of one name."""
    while page.all("#function-table > button"):
        page.run("document.querySelector('#function-table > button').click()")
    rows = page.run("return [...document.querySelectorAll('#function-table tbody tr')].map(r =>"
                    " [r.dataset.name, +r.dataset.self, +r.dataset.total, +r.dataset.native])")
    return added((name, numbers) for name, *numbers in rows)


def added(pairs):
    sums = {}
    for name, numbers in pairs:
        sums[name] = [a + b for a, b in zip(sums.get(name, [0] * len(numbers)), numbers)]
    return {name: numbers for name, numbers in sums.items() if any(numbers)}


def reported_functions(report):
    unit = "bytes" if report["view"] in VIEWS[4:] else "ns"
    return added((f["function"], [f["%s_%s" % (key, unit)] for key in ("self", "total", "native")])
                 for f in report["functions"])


@pytest.mark.parametrize("view", VIEWS)
def test_functions_are_the_reports(here, driver, both, view):
    profile, path = both
    expected = reported_functions(told(here, "report", profile, "--view", view))
    page = browser.Page(driver, path, "#tab=functions&metric=" + view)
    if page.find("[data-metric=%s]" % view).get_attribute("disabled"):
        assert expected == {}
        return
    assert all_functions(page) == expected


def test_summary_is_that_of_info(here, driver, both):
    profile, path = both
    info = told(here, "info", profile)
    page = browser.Page(driver, path, "#tab=summary")
    shown = page.run("return Object.fromEntries([...document.querySelectorAll('#summary .card:not(.wide) tr')]"
                     ".filter(r => r.querySelector('data')).map(r => [r.dataset.name, +r.querySelector('data').value]))")
    expected = {
        "Duration": info["recording"]["duration_ns"], "Samples": info["quality"]["samples"],
        "On a CPU": info["time"]["cpu_ns"], "Off-CPU": info["time"]["offcpu_ns"], "Wall": info["time"]["wall_ns"],
        "Waiting for a CPU": info["time"]["runnable_ns"], "GIL held": info["time"]["gil_hold_ns"],
        "GIL waited for": info["time"]["gil_wait_ns"], "Process CPU clocks": info["accounting"]["process_cpu_ns"],
        "of that sampled": info["accounting"]["sampled_cpu_ns"], "not sampled": info["accounting"]["unsampled_cpu_ns"],
        "Handler": info["cost"]["handler_ns"], "Sampling thread": info["cost"]["sampler_cpu_ns"],
        "Collector": info["cost"]["collector_cpu_ns"], "Peak": info["memory"]["peak_bytes"],
        "Live at the end": info["memory"]["live_bytes"]}
    assert {name: shown[name] for name in expected} == expected
    for thread in info["threads"]:
        cells = page.run("return [...document.querySelectorAll('#summary-threads tbody tr')].map(r => [...r.children]"
                         ".map(c => c.querySelector('data') ? +c.querySelector('data').value : c.textContent))"
                         ".find(r => r[0] === arguments[0])", str(thread["tid"]))
        assert cells[4:6] == [thread["time"]["cpu_ns"], thread["time"]["wall_ns"]]
    assert page.text("#facts .warn") if sum(info["quality"]["drops"].values()) else not page.all("#facts .warn")


ENDS = """
import os, signal, subprocess, sys, time
end = time.thread_time() + 0.15
while time.thread_time() < end: pass
if sys.argv[1:]:
    os.kill(os.getpid(), signal.SIGTERM)
kept = bytearray(3_000_000)
subprocess.run([sys.executable, "-c", "exec(%r, globals())" % open(sys.argv[0]).read(), "again"])
sys.exit(3)
"""


def test_summary_says_how_many_it_leaves_out(here, driver, work):
    path = make_profile(work / "many.pillion", "-n", 5000, "-t", 507, "-p", 203)
    page = browser.Page(driver, make_page(here, path, work / "many.html"), "#tab=summary")
    shown = page.run("return ['processes', 'threads'].map(id => document.getElementById(`summary-${id}`)).map(section =>"
                     " [section.querySelectorAll('tbody tr').length, section.lastChild.textContent])")
    assert shown == [[200, "and 3 more"], [500, "and 7 more"]]


def test_summary_says_how_processes_ended(here, driver, one_python, work):
    (work / "ends.py").write_text(ENDS)
    r = recording.record(one_python, [str(work / "ends.py")], work)
    assert r.returncode == 3, r.stderr
    page = browser.Page(driver, make_page(here, r.path, work / "ends.html"), "#tab=summary")
    ended = page.run("return [...document.querySelectorAll('#summary-processes tbody tr')].map(r => r.lastChild.textContent)")
    assert sorted(ended) == ["exit 3", "killed by SIGTERM"]
    assert "Exit statusexit 3" in page.text("#summary-recording")
    # What is live is summed over processes, peaks are not: both places say so.
    assert "Peak of one process" in page.text("#facts")
    shown = here.run([here.pillion, "info", r.path], env={"COLUMNS": "200"}).stdout
    assert re.search(r"live +.* in 2 processes, .*; at most .* in one, .* after its start", shown), shown


TURNS = """
import os, time
for i in range(2):
    pid = os.fork()
    if not pid:
        block = bytearray(64 << 20)
        time.sleep(0.8)
        os._exit(0)
    os.waitpid(pid, 0)
time.sleep(0.8)
"""


def live_at(page, share):
    """Bytes that the timeline says to be live then, to three digits."""
    told = page.run("""
        const canvas = document.getElementById('timeline-canvas'), { left, top, width } = canvas.getBoundingClientRect()
        canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: left + 140 + (width - 140) * arguments[0], clientY: top + 30 }))
        return document.getElementById('tooltip').textContent""", share)
    number, unit = re.search(r"in use([\d.]+) (\w+) live", told).groups()
    return float(number) * 1024 ** ["B", "KiB", "MiB", "GiB"].index(unit)


def test_memory_of_a_process_that_has_ended_is_not_live(here, driver, one_python, work):
    """Two children, one after the other: never is more live than one of them has."""
    r = recording.record(one_python, ["-c", TURNS], work)
    assert r.returncode == 0, r.stderr
    page = browser.Page(driver, make_page(here, r.path, work / "turns.html"))
    profile = r.load()
    start, end = profile.data["start_ns"], profile.data["end_ns"]
    children = [p for p in profile.processes if p["ppid"] == profile.processes[0]["pid"]]
    assert len(children) == 2
    for child in children:
        assert 64 << 20 <= live_at(page, (child["end_ns"] - 0.1e9 - start) / (end - start)) < 128 << 20
    assert live_at(page, (end - 0.1e9 - start) / (end - start)) < 64 << 20
    assert page.console() == []


def test_lines_are_the_reports(here, driver, profiles, pages):
    profile = profiles["real"]
    cpu = told(here, "report", profile, "--view", "cpu")["lines"]
    expected = {(line["file"], line["line"]): [line["self_ns"], line["native_ns"]] for line in cpu
                if line["kind"] == "python" and line["self_ns"] + line["native_ns"]}
    totals = {(line["file"], line["line"]): line["total_ns"] for line in cpu if line["kind"] == "python"}
    page = browser.Page(driver, pages["real"], "#tab=source")
    shown, shown_totals = {}, {}
    for index in range(len(page.all("#files .file"))):
        page.run("document.querySelectorAll('#files .file')[arguments[0]].click()", index)
        name = page.text("#listing h2")
        rows = page.run("return [...document.querySelectorAll('#listing tr[data-line]')].map(r => [+r.dataset.line,"
                        " +(r.children[0].dataset.value || 0), +(r.children[1].dataset.value || 0), +(r.children[4].dataset.value || 0)])")
        shown.update({(name, line): [python, native] for line, python, native, _ in rows if python + native})
        shown_totals.update({(name, line): total for line, _, _, total in rows})
    assert {key: shown.get(key) for key in expected} == expected
    assert {key: shown_totals.get(key) for key in totals} == totals


def test_a_file_has_its_share_of_the_whole(here, driver, profiles, pages):
    """A cost may be of a line in Python and of one in C: what files have may be more than the whole."""
    report = told(here, "report", profiles["real"], "--view", "cpu")
    files = added((line["file"], [line["self_ns"] + line["native_ns"]]) for line in report["lines"] if line["kind"] == "python")
    page = browser.Page(driver, pages["real"], "#tab=source")
    shown = dict(page.run("return [...document.querySelectorAll('#files .file')].map(f => [f.title, f.querySelector('.number').textContent])"))
    checked = 0
    for name, [ns] in files.items():
        share = 100 * ns / report["view_total"]["ns"]
        if name in shown and share > 1:
            assert abs(float(shown[name].split()[0]) - share) < 0.06, (name, shown[name], share)
            checked += 1
    assert checked


def test_native_hotspots_are_the_reports(here, driver, both):
    profile, path = both
    hotspots = told(here, "report", profile)["native_hotspots"]
    expected = added((h["function"], [h["self_ns"]]) for h in hotspots)
    page = browser.Page(driver, path, "#tab=native")
    page.run("for (const d of document.querySelectorAll('#native-tree > details')) d.open = true")
    page.wait(lambda: len(page.all("#native-tree > details > details")) >= len(page.all("#native-tree > details")))
    shown = added((name, [weight]) for name, weight in page.run(
        "return [...document.querySelectorAll('#native-tree summary.function')].map(s => [s.dataset.name, +s.dataset.weight])"))
    most = dict(sorted(expected.items(), key=lambda item: -item[1][0])[:30])
    assert {name: shown.get(name) for name in most} == most
    top = hotspots[0]
    page.run("[...document.querySelectorAll('#native-tree summary.function')].find(s => s.dataset.name === arguments[0])"
             ".parentElement.open = true", top["function"])
    page.wait(lambda: page.all(".leads tr"))
    assert sorted(page.run("return [...document.querySelectorAll('.leads tr')].map(r => +r.dataset.weight)")) == sorted(
        lead["ns"] for lead in top["python_lines"])[-40:]


# ------------------------------------------------------------------ controls

def sum_of(page):
    return page.run("return [...document.querySelectorAll('#function-table tbody tr')].reduce((s, r) => s + +r.dataset.self, 0)")


def drag(page, start, end):
    """Across the timeline, by shares of the time."""
    from selenium.webdriver.common.action_chains import ActionChains
    canvas = page.find("#timeline-canvas")
    page.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
    width = canvas.size["width"]
    left = [140 + (width - 140) * share - width / 2 for share in (start, end)]
    ActionChains(page.driver, duration=20).move_to_element_with_offset(canvas, int(left[0]), 0).click_and_hold() \
        .move_to_element_with_offset(canvas, int(left[1]), 0).release().perform()


def test_a_drag_chooses_the_time(driver, pages):
    page = browser.Page(driver, pages["synthetic"], "#tab=functions")
    whole = sum(self for self, _, _ in all_functions(page).values())
    drag(page, 0.25, 0.5)
    page.wait(lambda: "range" in page.fragment)
    start, end = map(int, page.fragment["range"].split("."))
    moments = int(page.find("#timeline-canvas").get_attribute("data-moments"))
    assert abs(start / moments - 0.25) < 0.02 and abs(end / moments - 0.5) < 0.02
    part = sum(self for self, _, _ in all_functions(page).values())
    assert 0.2 < part / whole < 0.3
    # The parts add up to the whole, to the nanosecond.
    for stretch in ((0, start), (end, moments)):
        page.run("location.hash = arguments[0]", "tab=functions&range=%d.%d" % stretch)
        page.wait(lambda: page.run("return document.documentElement.dataset.range") == "%d.%d" % stretch)
        part += sum(self for self, _, _ in all_functions(page).values())
    assert part == whole
    page.click("#whole-time")
    assert "range" not in page.fragment
    assert sum(self for self, _, _ in all_functions(page).values()) == whole


def test_time_that_is_moved_has_the_sums_of_time_that_is_chosen(driver, pages):
    """A brush adds up what came in and went out: to the nanosecond what all of the range adds up to."""
    moved = browser.Page(driver, pages["synthetic"], "#tab=functions&metric=wall")
    moments = int(moved.find("#timeline-canvas").get_attribute("data-moments"))
    ranges = [(moments * a // 100, moments * b // 100) for a, b in ((20, 70), (25, 75), (10, 75), (15, 60), (15, 62))]
    found = []
    for place in ranges:
        moved.run("location.hash = arguments[0]", "tab=functions&metric=wall&range=%d.%d" % place)
        moved.wait(lambda: moved.run("return document.documentElement.dataset.range") == "%d.%d" % place)
        found.append(all_functions(moved))
    for place, sums in zip(ranges, found):
        page = browser.Page(driver, pages["synthetic"], "#tab=functions&metric=wall&range=%d.%d" % place)
        assert all_functions(page) == sums


def test_threads_and_processes_can_be_chosen(here, driver, profiles, pages):
    page = browser.Page(driver, pages["synthetic"], "#tab=functions&metric=wall")
    page.click("#threads > summary")
    threads = told(here, "info", profiles["synthetic"])["threads"]
    tid = max(threads, key=lambda t: t["time"]["wall_ns"])["tid"]
    page.run("document.querySelector('li[data-thread=\"0\"] > button').click()")
    assert page.fragment["threads"] == "0"
    report = told(here, "report", profiles["synthetic"], "--view", "wall", "--thread", str(tid))
    assert all_functions(page) == reported_functions(report)
    page.run("document.querySelector('li[data-pid=\"4001\"] .process button').click()")
    report = told(here, "report", profiles["synthetic"], "--view", "wall", "--process", "4001")
    assert all_functions(page) == reported_functions(report)
    page.click("#all-off")
    assert page.fragment["threads"] == ""
    address = page.run("return location.hash")
    page = browser.Page(driver, pages["synthetic"], address)
    assert all_functions(page) == {} and "No time" in page.text("#function-table")
    page.click("#threads > summary")
    page.click("#all-on")
    assert "threads" not in page.fragment


def test_processes_of_one_pid_are_chosen_each_by_itself(here, driver, profiles, work):
    """Parts of several containers, or of one recording: merged, they have pids again."""
    other = make_profile(work / "other.pillion", "-n", 5000, "-t", 2, "-p", 1, "-s", 7)
    merged = work / "merged.pillion"
    result = here.run([here.pillion, "merge", "-q", "-o", merged, profiles["synthetic"], other])
    assert result.returncode == OK, result.stderr
    page = browser.Page(driver, make_page(here, merged, work / "merged.html"), "#tab=functions&metric=wall")
    page.click("#threads > summary")
    groups = page.run("return [...document.querySelectorAll('#thread-list > li')].map(li => li.dataset.pid)")
    assert sorted(groups) == ["4000", "4000.2", "4001", "4002"]
    page.run("document.querySelector('li[data-pid=\"4000.2\"] .process button').click()")
    report = told(here, "report", other, "--view", "wall")
    assert all_functions(page) == reported_functions(report)
    # Of a page of some processes alone, `info` lists those alone.
    path = make_page(here, merged, work / "one.html", "--process", "4001")
    page = browser.Page(driver, path)
    page.click("#threads > summary")
    assert page.text("#threads-summary").startswith("All ")
    groups = page.run("return [...document.querySelectorAll('#thread-list > li')].map(li => li.dataset.pid)")
    assert groups == ["4001"]


def test_each_metric_button_changes_the_graph(page):
    pictures = set()
    for view in VIEWS:
        page.click("[data-metric=%s]" % view)
        assert page.find("[data-metric=%s]" % view).get_attribute("aria-checked") == "true"
        pictures.add(page.pixels("#graph-view .picture"))
    assert len(pictures) >= len(VIEWS) - 1  # here most is live at the end


@pytest.mark.parametrize("change", [
    "document.getElementById('invert').click()", "document.getElementById('upwards').click()",
    "document.getElementById('by-line').click()",
    "const s = document.getElementById('color-by'); s.value = 'library'; s.dispatchEvent(new Event('change'))",
    "const s = document.getElementById('frames'); s.value = 'python'; s.dispatchEvent(new Event('change'))",
    "const s = document.getElementById('frames'); s.value = 'all'; s.dispatchEvent(new Event('change'))",
    "document.getElementById('theme').click(); document.getElementById('theme').click()"])
def test_each_option_changes_the_picture_and_comes_back_with_the_address(page, change):
    before = page.pixels("#graph-view .picture")
    page.run(change)
    changed = page.pixels("#graph-view .picture")
    assert changed != before
    address = page.run("return location.hash")
    assert browser.Page(page.driver, page.address[len("file://"):], address).pixels("#graph-view .picture") == changed


def test_libraries_can_be_told_apart(driver, pages):
    import colorsys
    page = browser.Page(driver, pages["synthetic"], "#metric=cpu&color=library&frames=all")
    colors = page.run("return [...document.querySelectorAll('#graph-legend .swatch')].map(s =>"
                      " getComputedStyle(s).backgroundColor.match(/\\d+/g).map(Number))")
    hues = sorted(360 * colorsys.rgb_to_hls(*(c / 255 for c in color))[0] for color in colors)
    assert len(hues) > 3
    assert min(b - a for a, b in zip(hues, hues[1:] + [hues[0] + 360])) > 6, hues


def click_row(page, depth, share=0.1):
    from selenium.webdriver.common.action_chains import ActionChains
    graph = page.find("#graph-view")
    page.run("arguments[0].scrollIntoView({block: 'center'}); arguments[0].scrollTop = 0", graph)
    size = graph.size
    ActionChains(page.driver, duration=20).move_to_element_with_offset(
        graph, int(size["width"] * (share - 0.5)), int(19 * depth + 9 - size["height"] / 2)).click().perform()


def test_zoom_and_the_way_back(page):
    from selenium.webdriver.common.keys import Keys
    before = page.pixels("#graph-view .picture")
    click_row(page, 3)
    crumbs = page.texts("#crumbs > *")
    assert len(crumbs) == 4 and crumbs[0] == "all" and len(page.fragment["zoom"].split(".")) == 3
    assert page.pixels("#graph-view .picture") != before
    assert crumbs[-1] in page.text("#graph-detail") and "of all" in page.text("#graph-detail")
    page.run("document.querySelectorAll('#crumbs button')[1].click()")
    assert len(page.texts("#crumbs > *")) == 2
    page.press(Keys.ESCAPE)
    assert "zoom" not in page.fragment and page.texts("#crumbs > *") == ["all"]
    # By keys alone.
    page.press(Keys.ARROW_DOWN, "#graph-view")
    page.press(Keys.ARROW_DOWN, "#graph-view")
    page.press(Keys.ENTER, "#graph-view")
    assert len(page.texts("#crumbs > *")) == 3
    page.click("#reset-zoom")
    assert page.texts("#crumbs > *") == ["all"]


def test_nothing_jumps_while_one_zooms(page):
    """The graph keeps its height, whatever is left to be seen in it; boxes stand where they are pressed."""
    high = "return document.getElementById('graph-view').clientHeight"
    before = page.run(high)
    for upwards in (False, True):
        for _ in range(3):
            click_row(page, 5 if not upwards else before // 19 - 6)
            assert page.run(high) >= before
        assert len(page.texts("#crumbs > *")) == 6
        page.press("0")
        assert page.texts("#crumbs > *") == ["all"] and page.run(high) == before
        page.click("#upwards")


def test_the_pointer_is_told_what_it_is_on(page):
    from selenium.webdriver.common.action_chains import ActionChains
    graph = page.find("#graph-view")
    page.run("arguments[0].scrollIntoView({block: 'center'})", graph)
    ActionChains(page.driver).move_to_element_with_offset(graph, 0, int(19 * 2 + 9 - graph.size["height"] / 2)).perform()
    page.wait(lambda: page.find("#tooltip").is_displayed())
    assert "of all" in page.text("#tooltip") and "self" in page.text("#tooltip")
    ActionChains(page.driver).move_to_element(page.find("#timeline-canvas")).perform()
    page.wait(lambda: "CPUs in use" in page.text("#tooltip") or ":" in page.text("#tooltip"))
    # Three processes: a thread is told with its own.
    canvas = page.find("#timeline-canvas")
    ActionChains(page.driver).move_to_element_with_offset(canvas, 0, canvas.size["height"] // 2 - 9).perform()
    page.wait(lambda: re.search(r"pid 400[012]", page.text("#tooltip")))


def test_search_says_how_much_it_matches(here, page, profiles):
    before = page.pixels("#graph-view .picture")
    [top] = told(here, "report", profiles["synthetic"], "--sort", "total", "--limit", "1")["functions"]
    page.press("^%s$" % re.escape(top["function"]), "#search")
    weight = page.run("return +document.getElementById('matched').dataset.weight")
    assert weight == top["total_ns"]
    assert page.text("#matched").endswith("% matched") and page.pixels("#graph-view .picture") != before
    page.run("document.querySelector('[data-tab=functions]').click()")
    assert set(all_functions(page)) == {top["function"]}
    # What is no expression is looked for as it is, and a place by its line.
    for text in ("(", "app.py:1"):
        page.run("const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))", text)
        assert page.text("#matched").endswith("matched")


def test_the_sandwich_shows_callers_and_callees(page):
    page.click("[data-tab=functions]")
    page.run("document.querySelector('#function-table tbody tr:nth-child(3) td.name button').click()")
    row = page.run("const r = document.querySelector('#function-table tr.chosen'); return [r.dataset.name, +r.dataset.self, +r.dataset.total]")
    assert page.text("#sandwich h2") == row[0]
    callers, callees = [page.run("return [...document.querySelectorAll('#sandwich .%s tr')].map(r => +r.dataset.weight)" % side)
                        for side in ("callers", "callees")]
    # Callers add up to the total, when all of them are shown; callees may call it again.
    assert 0 < sum(callers) <= row[2] and (len(callers) == 30 or sum(callers) == row[2])
    assert callees and max(callees) <= row[2] - row[1]
    assert len(page.all("#sandwich .graph canvas")) == 4
    caller = page.run("return [...document.querySelectorAll('#sandwich .callers tr')].map(r => r.dataset.name).find(Boolean)")
    page.run("document.querySelector('#sandwich .callers button').click()")
    assert page.text("#sandwich h2") == caller
    page.run("[...document.querySelectorAll('#sandwich .bar button')].find(b => b.textContent.startsWith('Find')).click()")
    assert page.find("#graph").is_displayed() and page.text("#matched").endswith("matched")
    for key in ("name", "total", "native", "self"):
        page.run("document.querySelector('[data-tab=functions]').click()")
        page.click("[data-sort=%s]" % key)
        assert page.find("th[aria-sort=descending]").text != ""


def test_keys(page):
    page.press("?")
    assert page.find("#help").is_displayed() and len(page.all("#help-keys kbd")) > 8
    page.click("#help button")
    for key, tab in zip("fsnig", ("functions", "source", "native", "summary", "graph")):
        page.press(key)
        assert page.find("#" + tab).is_displayed()
    page.press("2")
    assert page.fragment["metric"] == "wall"
    page.press("v")
    assert page.find("#invert").is_selected()
    page.press("/")
    assert page.run("return document.activeElement.id") == "search"
    page.press("g2v", "#search")
    assert page.fragment["search"] == "g2v" and page.find("#graph").is_displayed()


def test_themes(driver, pages):
    def media(scheme):
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        media("dark")
        page = browser.Page(driver, pages["synthetic"])
        theme = "return document.documentElement.dataset.theme"
        assert page.run(theme) == "dark"
        media("light")
        page.wait(lambda: page.run(theme) == "light")
        page.click("#theme")
        page.click("#theme")
        assert page.run(theme) == "dark" and page.fragment["theme"] == "dark"
        assert browser.Page(driver, pages["synthetic"], "#theme=dark").run(theme) == "dark"
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_it_fits_any_width(driver, pages, width):
    browser.resize(driver, width, 900)
    page = browser.Page(driver, pages["real"])
    for tab in ("graph", "functions", "source", "native", "summary"):
        page.run("location.hash = arguments[0]", "tab=" + tab)
        page.wait(lambda: page.find("#" + tab).is_displayed())
        assert page.run("return document.documentElement.scrollWidth") <= width, tab
        # All tabs are there to be pressed, and code is to be read beside its costs.
        assert page.run("const t = document.getElementById('tabs'); return t.scrollWidth <= t.clientWidth")
        if tab == "source":
            left = page.run("return document.querySelector('#listing td.text').getBoundingClientRect().left")
            assert left < page.run("const s = document.querySelector('#listing .scroll').getBoundingClientRect(); return s.left + s.width * 0.6")


def test_an_address_that_makes_no_sense_does_no_harm(driver, pages):
    page = browser.Page(driver, pages["synthetic"], "#tab=x&metric=%00&range=9.3&threads=99.a&zoom=99999.1&fn=1e9&line=-1&q=%ff")
    assert page.find("#graph").is_displayed() and page.console() == []


def test_printing_leaves_the_controls_out(driver, pages):
    page = browser.Page(driver, pages["synthetic"], "#tab=functions")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.find("#controls").is_displayed() and page.find("#function-table").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# --------------------------------------------------------------------- safety

def test_names_are_text(here, driver, one_python, work):
    r = recording.record(one_python, ["-c", HOSTILE_PROGRAM], work, name="names.pillion")
    assert r.returncode == 0, r.stderr
    path = make_page(here, r.path, work / "names.html", "--title", HOSTILE[0])
    known = {f["function"] for f in told(here, "report", r.path)["functions"]}
    assert len([name for name in HOSTILE if name in known]) >= 5, known
    for tab in ("graph", "functions", "source", "native", "summary"):
        page = browser.Page(driver, path, "#frames=all&tab=" + tab)
        assert page.run("return document.title").startswith("<img") and page.text("h1") == HOSTILE[0]
        assert page.console() == [] and page.requests() == []
        assert page.run("return document.querySelectorAll('img, iframe, object, script:not([src])').length") == 1
        if tab == "functions":
            texts = page.texts("#function-table td.name bdi")
            for name in HOSTILE:
                if name in known:
                    assert name.replace("\n", "\\n").replace("\u202e", "\\u202e") in texts


def test_the_page_is_small_and_forbids_everything(driver, pages):
    text = pages["synthetic"].read_text()
    start, end = text.index('id="profile">'), text.index("</script>")
    assert len(text) - (end - start) <= PAGE_BYTES_MAX
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|new Function\(", text)
    assert not re.search(r"""(?:src|href)\s*=\s*["']?http""", text)
    # The policy holds: a script that is not the page's own does not run, and nothing is fetched.
    page = browser.Page(driver, pages["synthetic"])
    page.run("const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
             "const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i)")
    assert page.run("return window.ran") is None
    assert any("Content Security Policy" in message for message in page.console())


DEEP_PROGRAM = """
import sys, time
sys.setrecursionlimit(3000)
def down(n):
    if n:
        return down(n - 1)
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass
down(450)  # stacks are kept to 512 frames
"""


def test_deep_recursion_can_be_scrolled_and_zoomed(here, driver, one_python, work):
    from selenium.webdriver.common.keys import Keys
    r = recording.record(one_python, ["-c", DEEP_PROGRAM], work)
    assert r.returncode == 0, r.stderr
    page = browser.Page(driver, make_page(here, r.path, work / "deep.html"), "#frames=python")
    high, seen = page.run("const g = document.getElementById('graph-view'); return [g.scrollHeight, g.clientHeight]")
    assert high > 450 * 19 > seen
    top = page.pixels("#graph-view .picture")
    page.run("document.getElementById('graph-view').scrollTop = 4000")
    page.wait(lambda: page.pixels("#graph-view .picture") != top)
    page.run("document.getElementById('graph-view').scrollTop = 0")
    # On paper there is as much of it as a canvas can hold, and colours are part of what it says.
    paper = "const g = document.getElementById('graph-view'); return [g.clientHeight, getComputedStyle(g).printColorAdjust]"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        page.wait(lambda: page.run(paper) == [400 * 19 + 2, "exact"])
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.wait(lambda: page.run(paper)[0] == seen)
    for _ in range(5):
        page.press(Keys.ARROW_DOWN, "#graph-view")
    page.press(Keys.ENTER, "#graph-view")
    assert len(page.fragment["zoom"].split(".")) == 5
    [down] = [f for f in told(here, "report", r.path)["functions"] if f["function"] == "down"]
    page.press("f")
    [row] = [numbers for name, numbers in all_functions(page).items() if name == "down"]
    assert row[1] == down["total_ns"] and page.console() == []


def test_a_damaged_page_says_so(driver, pages, work):
    text = pages["synthetic"].read_text()
    at = text.index('id="profile">') + 4000
    (work / "damaged.html").write_text(text[:at] + "AAAABBBB" + text[at + 8:])
    page = browser.Page(driver, work / "damaged.html")
    assert page.find("#fatal").is_displayed() and "cannot be shown" in page.text("#fatal")


# ---------------------------------------------------------------- the command

def test_source_and_title(here, driver, work, one_python):
    script = work / "secret.py"
    script.write_text("import time\nend = time.thread_time() + 0.3\nwhile time.thread_time() < end:\n    password = 'hunter2'\n")
    r = recording.record(one_python, [str(script)], work)
    assert r.returncode == 0, r.stderr
    page = browser.Page(driver, make_page(here, r.path, work / "with.html"), "#tab=source")
    assert "password = 'hunter2'" in page.text("#listing")
    page = browser.Page(driver, make_page(here, r.path, work / "without.html", "--no-source", "--title", "Monday"), "#tab=source")
    assert "hunter2" not in page.run("return document.body.textContent") and "left out" in page.text("#listing .note")
    assert page.text("h1") == "Monday" and page.run("return document.title").startswith("Monday")
    script.write_text(script.read_text() + "# more\n")
    page = browser.Page(driver, make_page(here, r.path, work / "changed.html"), "#tab=source")
    assert "changed after the recording" in page.text("#listing .note")


COLORED = '''"""A text,
if it is long, and of # two lines."""
import time
half = 7 // 2  # not a comment before this
word = "\u202etext" ''' + "'if'" + '''
end = time.thread_time() + 0.3
while time.thread_time() < end:
    pass
'''


def test_words_of_source_are_told_apart(here, driver, work, one_python):
    script = work / "colored.py"
    script.write_text(COLORED)
    r = recording.record(one_python, [str(script)], work)
    assert r.returncode == 0, r.stderr
    page = browser.Page(driver, make_page(here, r.path, work / "colored.html"), "#tab=source&file=%s" % script)
    rows = page.run("return [...document.querySelectorAll('#listing tr[data-line]')].map(r => [r.querySelector('code').textContent,"
                    " ...['string', 'comment', 'word'].map(k => [...r.querySelectorAll('.' + k)].map(e => e.textContent))])")
    lines = COLORED.replace("\u202e", "\\u202e").splitlines()
    assert [row[0] for row in rows] == lines
    assert [row[1:] for row in rows[:4]] == [[[lines[0]], [], []], [[lines[1]], [], []], [[], [], ["import"]],
                                             [[], ["# not a comment before this"], []]]
    assert rows[4][1:] == [['"\\u202etext"', "'if'"], [], []] and rows[6][3] == ["while"]


def test_only_source_code_is_read(here, one_python, work):
    """A profile may name any file: what is not called like source stays where it is."""
    secret = work / "key.pem"
    secret.write_text("very secret\n" * 3)
    program = "exec(compile('import time\\nend = time.thread_time() + 0.2\\nwhile time.thread_time() < end: pass', %r, 'exec'))" % str(secret)
    r = recording.record(one_python, ["-c", program], work)
    assert r.returncode == 0, r.stderr
    page = make_page(here, r.path, work / "x.html")
    assert "key.pem" in json.dumps(told(here, "report", r.path)) and "very secret" not in unpacked(page)


def unpacked(path):
    import base64
    import gzip
    text = path.read_text()
    start = text.index('id="profile">') + len('id="profile">')
    return gzip.decompress(base64.b64decode(text[start:text.index("</script>", start)])).decode("utf-8", "replace")


def test_the_output(here, profiles, work):
    profile = work / "app.pillion"
    profile.write_bytes(profiles["synthetic"].read_bytes())
    result = here.run([here.pillion, "html", profile], cwd="/")
    assert (result.returncode, result.stdout) == (OK, ""), result.stderr
    assert (work / "app.html").exists() and "wrote" in result.stderr
    result = here.run([here.pillion, "html", profile])
    assert result.returncode == FAILURE and "--force" in result.stderr
    assert here.run([here.pillion, "html", "--force", profile]).returncode == OK
    result = here.run([here.pillion, "html", "-o", "-", profile])
    assert result.stdout == (work / "app.html").read_text()
    result = here.run([here.pillion, "html", "-o", work / "no" / "x.html", profile])
    assert result.returncode == FAILURE and "cannot write" in result.stderr
    result = here.run([here.pillion, "html", "--thread", "nobody", "-o", "-", profile])
    assert (result.returncode, result.stdout) == (NO_SAMPLES, "")
    assert here.run([here.pillion, "html", profile, profile]).returncode == USAGE


def test_a_filter_of_the_command_is_told(here, driver, profiles, work):
    path = make_page(here, profiles["synthetic"], work / "x.html", "--process", "4001")
    page = browser.Page(driver, path, "#tab=functions&metric=wall")
    assert all_functions(page) == reported_functions(
        told(here, "report", profiles["synthetic"], "--view", "wall", "--process", "4001"))
    page.click("[data-tab=summary]")
    assert '"4001"' in page.text("#summary-notes")


def test_a_page_of_one_thread_has_no_clock_of_its_process(here, driver, profiles, work):
    tid = str(told(here, "info", profiles["synthetic"])["threads"][0]["tid"])
    page = browser.Page(driver, make_page(here, profiles["synthetic"], work / "t.html", "--thread", tid), "#tab=summary")
    names = page.run("return [...document.querySelectorAll('#summary-time tr')].map(r => r.dataset.name)")
    assert "On a CPU" in names and "Process CPU clocks" not in names, names
    assert page.text("#summary-samples tr[data-name=Threads]") == "Threads1in one process"


# ----------------------------------------------------------------------- size

def frames_per_second(page):
    return page.driver.execute_async_script("""
        const done = arguments[0], view = document.getElementById('graph-view'), start = performance.now()
        let frames = 0
        const step = () => {
          view.scrollTop = frames++ * 7 % 300
          frames < 60 ? requestAnimationFrame(step) : done(1000 * frames / (performance.now() - start))
        }
        requestAnimationFrame(step)""")


def test_a_large_profile_opens_fast_and_says_what_is_left_out(here, driver, work, long):
    """Limits in seconds are those of a busy machine of two cores; the figures are printed."""
    samples, stacks = (10_000_000, 200_000) if long else (600_000, 60_000)
    profile = make_profile(work / "large.pillion", "-n", samples, "-m", stacks, "-t", 20, "-p", 2)
    path = make_page(here, profile, work / "large.html")
    page = browser.Page(driver, path)
    opened = page.run("return performance.now()") / 1000
    took = [float(page.run("location.hash = arguments[0]; return new Promise(done => requestAnimationFrame(() =>"
                           " setTimeout(() => done(document.documentElement.dataset.renderMs), 50)))", h))
            for h in ("metric=wall", "metric=wall&range=3.40", "metric=wall&threads=1", "metric=wall&inverted=1")]
    print("%d samples: %.1f MB, open after %.2f s, views after %s ms" % (samples, path.stat().st_size / 1e6, opened, took))
    assert opened < 6 and max(took) < 1000
    print("%.0f frames a second while it scrolls" % frames_per_second(page))
    assert "(small calls)" in page.text("#left-out")
    # What is left out is in the sums all the same.
    page.run("location.hash = 'tab=functions&metric=cpu'")
    page.wait(lambda: page.find("#functions").is_displayed())
    total = told(here, "report", profile, "--limit", "1")["view_total"]["ns"]
    assert sum(self for self, _, _ in all_functions(page).values()) == total
    assert page.console() == []
