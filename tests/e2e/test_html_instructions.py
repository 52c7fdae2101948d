# SPDX-License-Identifier: MIT
"""Instructions in the page: the numbers of annotate --json, the way to them and back, and what is left out."""
import re

import pytest

import browser
import place
import recording
from test_annotate import DIVISION_LINE, NATIVE, PROGRAM, annotate, instructions_by_objdump
from test_html import driver, make_page, make_profile, told, unpacked, usual_size  # noqa: F401


@pytest.fixture(scope="module")
def program(session_work, one_python):
    """A recording of what test_annotate.py has, and the folder with its sources and library."""
    folder = session_work / "instructions"
    folder.mkdir()
    (folder / "app.py").write_text(PROGRAM)
    (folder / "native.c").write_text(NATIVE)
    library = place.host_compile(folder / "native.c", folder / "libnative.so", "-shared", "-fPIC", "-Wl,--build-id")
    r = recording.record(one_python, [folder / "app.py", library], folder, options=["-F", "250"])
    assert r.returncode == 0, r.stderr
    return r.path


@pytest.fixture(scope="module")
def path(here, program, session_work):
    return make_page(here, program, session_work / "instructions.html")


def links(page):
    """Functions that have instructions, by name; names that several have are left out."""
    page.run("for (const d of document.querySelectorAll('#native-tree details')) d.open = true")
    page.wait(lambda: page.all("#native-tree summary.function"), 60)
    page.run("for (const d of document.querySelectorAll('#native-tree details')) d.open = true")
    page.wait(lambda: page.all("#native-tree button.instructions"), 60)
    found = page.run("return [...document.querySelectorAll('#native-tree button.instructions')].map(b =>"
                     " [b.closest('details').querySelector('summary').dataset.name, +b.dataset.fn])")
    names = [name for name, _ in found]
    return {name: fn for name, fn in found if names.count(name) == 1}


def shown(page):
    """Places by their start: own time, time with what is below, and the instructions that have any."""
    return page.run("""
        return [...document.querySelectorAll('#native-tree .place')].map(p => [+p.dataset.start, +p.dataset.self, +p.dataset.total,
          [...p.querySelectorAll('tr[data-address]')].map(r => [+r.dataset.address, +r.dataset.self, +r.dataset.below])
            .filter(r => r[1] || r[2])])""")


def annotated(data):
    return [[p["start"], p["self_ns"], p["total_ns"], [[i["address"], i["self_ns"], i["below_ns"]] for i in p["instructions"]]]
            for p in data["places"]]


def test_instructions_are_those_of_annotate(here, driver, program, path):
    page = browser.Page(driver, path, "#tab=native")
    found = links(page)
    unique = [f["function"] for f in told(here, "report", program)["functions"] if f["function"] in found]
    compared = [name for name in unique if unique.count(name) == 1][:6]
    assert "inner" in compared and len(compared) >= 3
    for name in compared:
        page.run("location.hash = arguments[0]", "tab=native&code=%d" % found[name])
        page.wait(lambda: page.all("#native-tree .place") and page.text("#native-tree h2") == name, 60)
        assert shown(page) == annotated(annotate(here, name, program)), name
    assert page.console() == [] and page.requests() == []


def test_code_stands_below_its_source(driver, program, path):
    page = browser.Page(driver, path, "#tab=native")
    fn = links(page)["inner"]
    page.run("document.querySelector('#native-tree button.instructions[data-fn=\"%d\"]').click()" % fn)
    assert page.fragment["code"] == str(fn)
    known = instructions_by_objdump(str(program.parent / "libnative.so"))
    rows = page.run("return [...document.querySelectorAll('#native-tree tr[data-address]')].map(r => [+r.dataset.address, r.querySelector('code').textContent])")
    assert len(rows) > 5
    for address, text in rows:
        assert known[address].rstrip("bwlq") == text.split()[0].rstrip("bwlq"), text
    [line] = {text for text in page.texts("#native-tree tr.of") if "native.c:%d" % DIVISION_LINE in text}
    assert "sum = (sum + i * 0x123456789abcul) / divisor;" in line


def test_the_way_there_and_back(driver, path):
    from selenium.webdriver.common.keys import Keys
    page = browser.Page(driver, path, "#tab=native")
    fn = links(page)["inner"]
    page = browser.Page(driver, path, "#tab=functions&fn=%d" % fn)
    page.run("[...document.querySelectorAll('#sandwich button')].find(b => b.textContent === 'Show instructions').click()")
    assert page.find("#native").is_displayed() and page.text("#native-tree h2") == "inner"
    page.press(Keys.ESCAPE)
    assert "code" not in page.fragment and page.all("#native-tree summary.library")
    page.press("s")
    page.run("[...document.querySelectorAll('#files .file')].find(f => f.textContent.includes('native.c')).click()")
    page.run("[...document.querySelectorAll('#listing button.instructions')].find(b => b.textContent === 'inner').click()")
    assert page.fragment["code"] == str(fn) and page.all("#native-tree .place")
    page.run("[...document.querySelectorAll('#native-tree button')].find(b => b.textContent.includes('all native code')).click()")
    assert "code" not in page.fragment
    page.run("location.hash = 'tab=native&code=99999'")
    page.wait(lambda: "99999" in page.run("return location.hash"))
    assert page.all("#native-tree summary.library") and page.console() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_instructions_fit_any_width(driver, path, width):
    page = browser.Page(driver, path, "#tab=native")
    fn = links(page)["inner"]
    browser.resize(driver, width, 900)
    page = browser.Page(driver, path, "#tab=native&theme=dark&code=%d" % fn)
    assert page.find("#native-tree .place").is_displayed()
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_without_source_there_are_none(here, driver, program, path, work):
    bare = make_page(here, program, work / "bare.html", "--no-source")
    page = browser.Page(driver, bare, "#tab=native")
    assert "left out" in page.text(".code-note") and not page.all("button.instructions")
    assert '"instructions":' in unpacked(path) and '"instructions":' not in unpacked(bare)


def test_what_is_left_out_is_told(here, driver, work):
    """Of many functions the hottest have instructions; where the files are not here, the page says so."""
    profile = make_profile(work / "many.pillion", "-n", 8000, "-m", 600)
    page = browser.Page(driver, make_page(here, profile, work / "many.html"), "#tab=native")
    native = [f for f in told(here, "report", profile)["functions"] if f["kind"] == "native" and f["self_ns"]]
    having, others, share = re.search(r"the (\d+) native functions .* the other (\d+) have ([\d.e-]+) % each", page.text(".code-note")).groups()
    assert int(having) == 24 and int(having) + int(others) == len(native)
    whole = told(here, "report", profile, "--limit", "1")["view_total"]["ns"]
    weights = sorted((f["self_ns"] for f in native), reverse=True)
    assert float(share) == pytest.approx(weights[24] / whole * 100, rel=0.1)
    fn = next(iter(links(page).values()))
    page.run("location.hash = arguments[0]", "tab=native&code=%d" % fn)
    page.wait(lambda: page.all("#native-tree .place"), 60)
    assert "Not decoded" in page.text("#native-tree .place .note")
