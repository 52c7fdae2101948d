# SPDX-License-Identifier: MIT
"""What the page adds up by itself: files and lines by the chosen metric, the parts of the CPU clocks, libraries."""
import pytest

import browser
import place
import recording
from test_annotate import annotate
from test_html import VIEWS, added, driver, make_page, make_profile, told, usual_size  # noqa: F401

# One line each that is the hottest of a metric, so far apart that no two are seen at once.
FAR = "\n" * 150
PROGRAM = FAR.join(("""\
import ctypes, sys, time
one, other = (ctypes.CDLL(path) for path in sys.argv[1:])
def until(seconds):
    end = time.thread_time() + seconds
    return lambda: time.thread_time() < end
for more in [until(0.3)]:
    while more(): pass
assert ctypes.CDLL(None).pillion_start() == 0
""", """\
now = until(0.3)
while now(): sum(range(3000))  # holds the GIL
""", """\
now = until(0.6)
while now(): one.spin(1000000)  # has it not
""", """\
now = until(0.2)
while now(): other.spin(1000000)
""", """\
time.sleep(1.5)
""", """\
for _ in range(600): bytes(400000)  # freed at once
""", """\
kept = [bytes(4000000) for _ in range(20)]
"""))
# How long lines wait for a CPU, and so what is the hottest of all time, is up to the machine.
HOTTEST = {"cpu": "one.spin", "offcpu": "time.sleep", "gil": "holds the GIL",
           "allocated": "freed at once", "live": "kept =", "peak": "kept =", "temporary": "freed at once"}

SPIN = """
volatile unsigned long divisor = 3;
unsigned long spin(unsigned long n)
{
	unsigned long sum = 0;
	for (unsigned long i = 0; i < n; i++)
		sum = (sum + i) / divisor;
	return sum;
}
"""


@pytest.fixture(scope="module")
def profiles(session_work, one_python):
    """One of many files, and one of a program that begins unsampled and calls two libraries of one name."""
    folder = session_work / "sums"
    libraries = []
    for name in ("one", "other"):
        (folder / name).mkdir(parents=True)
        (folder / name / "spin.c").write_text(SPIN)
        libraries.append(place.host_compile(folder / name / "spin.c", folder / name / "libspin.so", "-shared", "-fPIC"))
    (folder / "app.py").write_text(PROGRAM)
    r = recording.record(one_python, [folder / "app.py", *libraries], folder, options=["-F", "250", "--no-start"])
    assert r.returncode == 0, r.stderr
    return {"synthetic": make_profile(session_work / "sums.pillion", "-n", 20000, "-m", 600, "-t", 7, "-p", 3, "-b", 3000),
            "real": r.path}


@pytest.fixture(scope="module")
def pages(here, profiles, session_work):
    return {name: make_page(here, path, session_work / ("sums-%s.html" % name)) for name, path in profiles.items()}


# ---------------------------------------------------------------- files, lines

def own_lines(report):
    """(file, line) -> what is spent in it: in Python, in native code that it calls, or in C of which it is a line."""
    unit = "bytes" if report["view"] in VIEWS[4:] else "ns"
    return added(((line["file"], line["line"]), [line["self_" + unit] + line["native_" + unit]])
                 for line in report["lines"] if line["file"])


@pytest.mark.parametrize("name", ["synthetic", "real"])
@pytest.mark.parametrize("view", VIEWS)
def test_files_are_ranked_by_the_metric(here, driver, profiles, pages, name, view):
    """Each file has its share of the metric's whole, and they come in the order of that."""
    report = told(here, "report", profiles[name], "--view", view, "--limit", "0")
    files = {}
    for (file, _), [weight] in own_lines(report).items():
        files[file] = files.get(file, 0) + weight
    whole = report["view_total"]["bytes" if view in VIEWS[4:] else "ns"]
    page = browser.Page(driver, pages[name], "#tab=source&metric=" + view)
    shown = page.run("return [...document.querySelectorAll('#files .file')].map(f => [f.title, f.querySelector('.number').textContent])")
    assert [files.get(file, 0) for file, _ in shown] == sorted((files.get(file, 0) for file, _ in shown), reverse=True)
    assert set(files) <= {file for file, _ in shown}
    for file, share in shown:
        expected = 100 * files.get(file, 0) / whole
        assert abs(float(share.split()[0].lstrip("<")) - expected) < 0.051, (file, share, expected)


@pytest.mark.parametrize("view", VIEWS)
def test_lines_are_those_of_annotate(here, driver, profiles, pages, view):
    """Blocked is not what only waits for a CPU; the columns of time, or that of memory, are of the metric."""
    report = told(here, "report", profiles["synthetic"], "--view", view, "--limit", "0")
    for file in sorted({file for file, _ in own_lines(report)})[:3]:
        page = browser.Page(driver, pages["synthetic"], "#tab=source&metric=%s&file=%s" % (view, file))
        shown = page.run("return [...document.querySelectorAll('#listing tr[data-line]')].map(r =>"
                         " [+r.dataset.line, [...r.children].slice(0, 4).map(c => +(c.dataset.value || 0))])")
        lines = annotate(here, file, profiles["synthetic"], "--view", view)["lines"]
        keys = ("self_ns", "native_ns", "wait_ns", "memory_bytes")
        assert added(shown) == added((line["line"], [line[key] for key in keys]) for line in lines), file


@pytest.mark.parametrize("view", VIEWS)
def test_the_hottest_line_is_that_of_the_metric(here, driver, profiles, pages, view):
    report = told(here, "report", profiles["real"], "--view", view, "--limit", "0")
    lines = {place: weight for place, weight in own_lines(report).items() if place[0].endswith("/app.py")}
    file, hottest = max(lines, key=lines.get)
    assert HOTTEST.get(view, "") in PROGRAM.splitlines()[hottest - 1], lines
    page = browser.Page(driver, pages["real"], "#tab=source&metric=%s&file=%s" % (view, file))
    seen = page.run("""
        const box = document.querySelector('#listing .scroll').getBoundingClientRect()
        return [...document.querySelectorAll('#listing tr[data-line]')].filter(row => {
          const { top, bottom } = row.getBoundingClientRect()
          return top >= box.top && bottom <= box.bottom
        }).map(row => +row.dataset.line)""")
    assert page.text("#listing h2") == file and hottest in seen


@pytest.mark.parametrize("view", VIEWS)
def test_a_narrow_page_has_the_columns_of_the_metric(driver, pages, view):
    browser.resize(driver, 390, 900)
    page = browser.Page(driver, pages["real"], "#tab=source&metric=" + view)
    shown = page.run("return [...document.querySelectorAll('#listing thead th')].filter(th => th.offsetWidth)"
                     ".map(th => th.firstChild.textContent)")
    parts = {"cpu": ["Python", "Native"], "gil": ["Python", "Native"], "wall": ["Python", "Native", "Waits"], "offcpu": ["Waits"]}
    assert shown == [*parts.get(view, [view.capitalize()]), "With calls", "Line", "Source"]


# --------------------------------------------------------------------- Summary

def test_the_parts_of_the_cpu_clocks_add_up(here, driver, profiles, pages):
    figures = ("return Object.fromEntries([...document.querySelectorAll('#summary-time tr')]"
               ".map(r => [r.dataset.name, +r.querySelector('data').value]))")
    for name in ("real", "synthetic"):
        sums = told(here, "info", profiles[name])["accounting"]
        shown = browser.Page(driver, pages[name], "#tab=summary").run(figures)
        parts = {"of that sampled": sums["sampled_cpu_ns"], "not sampled": sums["unsampled_cpu_ns"],
                 "in the sampling thread": sums["sampling_thread_cpu_ns"], "while it was stopped": sums["stopped_cpu_ns"],
                 "outside of sampling": sums["outside_cpu_ns"]}
        # Most programs never stop it: they have no such row.
        assert (name == "real") == (sums["stopped_cpu_ns"] > 0.2e9) == ("while it was stopped" in shown)
        assert {key: shown.get(key, 0) for key in parts} == parts
        assert sum(parts.values()) == shown["Process CPU clocks"]


# ------------------------------------------------------------------- libraries

def test_libraries_of_one_name_are_told_apart(here, driver, profiles, pages):
    report = told(here, "report", profiles["real"])
    expected = {library["library_path"]: library["self_ns"] for library in report["libraries"]
                if library["library_path"] and library["self_ns"]}
    assert len([path for path in expected if path.endswith("/libspin.so")]) == 2
    page = browser.Page(driver, pages["real"], "#tab=native")
    rows = page.run("return [...document.querySelectorAll('#native-tree summary.library')].map(s =>"
                    " [s.querySelector('bdi').title, s.querySelector('bdi').textContent, +s.dataset.weight])")
    assert {path: weight for path, _, weight in rows if path} == expected
    assert len({path for path, _, _ in rows}) == len(rows)
    assert all(name == path.rpartition("/")[2] for path, name, _ in rows if path)
    # Each opens by itself, and stays as it is.
    opened = "return [...document.querySelectorAll('#native-tree > details')].map(d => d.open)"
    before = page.run(opened)
    last = [path for path, _, _ in rows].index(min((path for path in expected if path.endswith("/libspin.so")), key=expected.get))
    page.run("document.querySelectorAll('#native-tree > details')[arguments[0]].open = true", last)
    page.wait(lambda: page.run("return document.querySelectorAll('#native-tree > details')[arguments[0]].children.length > 1", last))
    page.click("[data-tab=graph]")
    page.click("[data-tab=native]")
    assert page.run(opened) == [is_open or i == last for i, is_open in enumerate(before)]


def test_libraries_of_one_name_have_colors_of_their_own(driver, pages):
    page = browser.Page(driver, pages["real"], "#color=library&frames=all")
    items = page.run("return [...document.querySelectorAll('#graph-legend .item')].map(item => [item.title, item.textContent,"
                     " getComputedStyle(item.querySelector('.swatch')).backgroundColor])")
    spins = [(path, color) for path, name, color in items if name == "libspin.so"]
    assert len({path for path, _ in spins}) == len({color for _, color in spins}) == 2, items
