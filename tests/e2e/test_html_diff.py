# SPDX-License-Identifier: MIT
"""The page of a diff in a real browser: its rows are those of diff --json, its boxes add up to them, each control
does what it says, names are text, and nothing leaves it."""
import json
import re

import pytest

import browser
import recording
from test_html import (FAILURE, HOSTILE, HOSTILE_PROGRAM, OK, PAGE_BYTES_MAX, USAGE, click_row, driver, make_profile,  # noqa: F401
                       usual_size)

DIFFERENT = 4
WAYS = [["--view", "cpu"], ["--view", "wall", "--absolute"], ["--view", "allocated"]]


def make_page(here, pair, target, *options):
    result = here.run([here.pillion, "diff", "-f", "html", "-o", target, *options, *pair])
    assert (result.returncode, result.stdout) == (OK, ""), result.stderr
    return target


def told(here, pair, *options):
    result = here.run([here.pillion, "diff", "--json", *options, *pair])
    assert result.returncode == OK, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def pair(session_work):
    """Two of the same program, of which B runs calls that A does not, and lasts longer."""
    return [make_profile(session_work / ("pages-%s.pillion" % name), "-n", samples, "-m", stacks, "-t", 5, "-p", 2, "-b", 3000)
            for name, samples, stacks in (("a", 12000, 400), ("b", 20000, 700))]


@pytest.fixture(scope="module")
def path(here, pair, session_work):
    return make_page(here, pair, session_work / "pages.html")


@pytest.fixture
def page(driver, path):
    """Freshly opened; it must have been quiet when the test ends."""
    page = browser.Page(driver, path)
    yield page
    assert page.console() == []
    assert page.requests() == []


# ------------------------------------------------------------------- numbers

def shown_rows(page, tab):
    page.run("document.querySelector('[data-tab=%s]').click()" % tab)
    while page.all("#%s > .more" % tab):
        page.run("document.querySelector('#%s > .more').click()" % tab)
    rows = page.run("return [...document.querySelectorAll('#%s tbody tr')].map(r => ({...r.dataset}))" % tab)
    return [(r["name"], r["line"], r["has"], json.loads(r["self"]), json.loads(r["total"])) for r in rows]


def expected_rows(rows, lines):
    def amount(change):
        return {"weight": [change["a_weight"], change["b_weight"]], "samples": [change["a_samples"], change["b_samples"]],
                "change": change["change"], "noise": change["noise"], "real": change["beyond_noise"]}
    return [(r["function"], "%d %d" % ((r["a_line"] or 0, r["b_line"] or 0) if lines else (0, 0)),
             "%d %d" % (r["in_a"], r["in_b"]), amount(r["self"]), amount(r["total"])) for r in rows]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_tables_are_those_of_the_diff(here, driver, pair, work, way):
    data = told(here, pair, *way)
    page = browser.Page(driver, make_page(here, pair, work / "way.html", *way))
    named = expected_rows(data["functions"], False)
    shown = shown_rows(page, "functions")
    # Native code without symbols goes by its library.
    assert [row[1:] for row in shown] == [row[1:] for row in named]
    assert [a[0] for a, b in zip(shown, named) if a[0] != b[0] and not re.fullmatch(r"\(.* without symbols\)", a[0])] == []
    lines = [row for row in expected_rows(data["lines"], True) if row[1].split()[row[2].endswith("1")] != "0"]
    assert [row[1:] for row in shown_rows(page, "lines")] == [row[1:] for row in lines]
    assert page.texts("#facts dd")[3:] == [str(data["grew"]), str(data["shrank"]), str(len(data["functions"]))]
    assert page.run("return [...document.querySelectorAll('#facts data')].map(d => +d.value)") == [
        data["a"]["weight"], data["b"]["weight"]]


@pytest.mark.parametrize("way", WAYS[1:], ids=" ".join)
def test_calls_add_up_to_the_tables(here, driver, pair, work, way):
    data = told(here, pair, *way)
    page = browser.Page(driver, make_page(here, pair, work / "way.html", *way), "#frames=all&width=both")
    for row in [r for r in data["functions"] if r["total"]["a_weight"] != r["total"]["b_weight"]][:12]:
        page.run("const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
                 "^%s$" % re.escape(row["function"]).replace(r"\ ", " "))
        same = [r for r in data["functions"] if r["function"] == row["function"]]
        if len(same) == 1:
            assert page.text("#matched").endswith("matched")
            weights = page.run("return document.getElementById('matched').dataset.weights").split()
            assert list(map(int, weights)) == [row["total"]["a_weight"], row["total"]["b_weight"]], row["function"]


def walk(page, steps):
    """Details of the boxes that arrow keys lead to: down the largest calls, and once to the right."""
    from selenium.webdriver.common.keys import Keys
    found = []
    for key in [Keys.ARROW_DOWN] * steps + [Keys.ARROW_RIGHT]:
        page.press(key, "#graph-view")
        found.append((page.text("#graph-detail"), json.loads(page.find("#graph-detail").get_attribute("data-change"))))
    return found


@pytest.mark.parametrize("way", WAYS[:2], ids=" ".join)
def test_a_box_has_both_numbers_and_the_noise_of_its_change(here, driver, pair, work, way):
    data = told(here, pair, *way)
    page = browser.Page(driver, make_page(here, pair, work / "way.html", *way), "#frames=all")
    by_weight = {(r["total"]["a_weight"], r["total"]["b_weight"]): r["total"] for r in data["functions"]}
    whole = [1, 1] if "--absolute" in way else [data["a"]["weight"], data["b"]["weight"]]
    compared = 0
    for text, change in walk(page, 6):
        a, b = [w / of for w, of in zip(change["weight"], whole)]
        assert change["change"] == pytest.approx(b - a, abs=1e-9 * max(1, b))
        assert change["real"] == (abs(change["change"]) > change["noise"])
        assert "A " in text and "B " in text and ("beyond noise" in text) == change["real"]
        row = by_weight.get(tuple(change["weight"]))
        if row:  # all calls of a function: its noise is the table's
            assert change["noise"] == pytest.approx(row["noise"], rel=1e-3)
            compared += 1
    assert compared, "no box is the whole of a function"


# ------------------------------------------------------------------ controls

def test_what_one_side_alone_has(here, page, pair):
    data = told(here, pair)
    alone = [f for f in data["functions"] if f["in_b"] and not f["total"]["a_weight"]]
    assert alone and not [f for f in data["functions"] if not f["total"]["b_weight"]], "B alone has calls"
    name = max(alone, key=lambda f: f["total"]["b_weight"])["function"]
    fills = ("return (async () => { const p = CanvasRenderingContext2D.prototype, old = p.fillText, texts = [];"
             " p.fillText = function (t, ...r) { texts.push(t); return old.call(this, t, ...r) };"
             " const w = document.getElementById('width'); w.value = arguments[0]; w.dispatchEvent(new Event('change'));"
             " p.fillText = old; return texts.length })()")
    pictures, counts = {}, {}
    for width in ("a", "b", "both"):
        counts[width] = page.run(fills, width)
        pictures[width] = page.pixels("#graph-view .picture")
        assert page.fragment.get("width", "b") == width
    assert len(set(pictures.values())) == 3 and min(counts.values()) > 3
    # Inverted, a function is a box of its own wherever it is called.
    page.run("document.getElementById('invert').click()")
    page.press("^%s$" % re.escape(name), "#search")
    weights = [int(w) for w in page.run("return document.getElementById('matched').dataset.weights").split()]
    assert weights[0] == 0 < weights[1]


@pytest.mark.parametrize("box", ["invert", "upwards", "with-noise"])
def test_a_box_changes_the_picture_and_the_address(page, box):
    before = page.pixels("#graph-view .picture")
    page.click("#" + box)
    changed = page.pixels("#graph-view .picture")
    assert changed != before and "1" in page.fragment.values()
    address = page.run("return location.hash")
    assert browser.Page(page.driver, page.address[len("file://"):], address).pixels("#graph-view .picture") == changed
    page.click("#" + box)
    assert page.pixels("#graph-view .picture") == before and page.fragment == {}


def test_colours_are_those_of_the_change(here, driver, pair, work):
    """What did not change has no colour; the other way round, red is blue."""
    def hues(page):
        """Pixels of the picture that are redder than blue, and the other way round."""
        return page.run("""
            const c = document.querySelector('#graph-view .picture'), data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data
            let red = 0, blue = 0
            for (let i = 0; i < data.length; i += 4) {
              red += data[i + 3] > 200 && data[i] - data[i + 2] > 24 ? 1 : 0
              blue += data[i + 3] > 200 && data[i + 2] - data[i] > 24 ? 1 : 0
            }
            return [red, blue]""")
    same = browser.Page(driver, make_page(here, [pair[0], pair[0]], work / "same.html"), "#noise=1")
    assert hues(same) == [0, 0]
    there = hues(browser.Page(driver, make_page(here, pair, work / "there.html"), "#noise=1&width=both"))
    back = hues(browser.Page(driver, make_page(here, pair[::-1], work / "back.html"), "#noise=1&width=both"))
    assert min(there) > 500
    assert there == pytest.approx(back[::-1], rel=0.05)


def test_search_sort_and_the_way_to_the_graph(here, page, pair):
    page.press("f")
    names = page.texts("#functions td.name button")
    page.run("document.querySelector('#functions [data-sort=name]').click()")
    assert page.fragment["sort"] == "name" and page.find("#functions th[aria-sort=descending]").text
    rows = shown_rows(page, "functions")
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    page.run("document.querySelector('#functions [data-sort=total]').click()")
    changes = [abs(row[4]["change"]) for row in shown_rows(page, "functions")]
    assert changes == sorted(changes, reverse=True)
    page.run("document.querySelector('#functions [data-sort=rank]').click()")
    assert page.texts("#functions td.name button")[:20] == names[:20] and "sort" not in page.fragment
    page.run("document.querySelector('#functions td.name button').click()")
    assert page.find("#graph").is_displayed() and page.text("#matched").endswith("of B matched")
    page.press("l")
    found = {row[0] for row in shown_rows(page, "lines")}
    assert len(found) == 1
    page.press("(", "#search")
    assert page.find("#lines").is_displayed() and page.console() == []


def test_zoom_keys_and_themes(page):
    from selenium.webdriver.common.keys import Keys
    click_row(page, 2)
    assert len(page.fragment["zoom"].split(".")) == 2 and len(page.texts("#crumbs > *")) == 3
    address = page.run("return location.hash")
    again = browser.Page(page.driver, page.address[len("file://"):], address)
    assert len(again.texts("#crumbs > *")) == 3
    page.press(Keys.ESCAPE)
    assert page.texts("#crumbs > *") == ["all"] and "zoom" not in page.fragment
    for key, tab in zip("flig", ("functions", "lines", "summary", "graph")):
        page.press(key)
        assert page.find("#" + tab).is_displayed()
    page.press("a")
    assert page.fragment["width"] == "a" and page.find("#width").get_attribute("value") == "a"
    page.press("b")
    page.press("v")
    assert page.find("#invert").is_selected()
    page.press("?")
    assert page.find("#help").is_displayed() and len(page.all("#help-keys kbd")) > 6
    page.click("#help button")
    page.click("#theme")
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "dark" and page.fragment["theme"] == "dark"


def test_the_pointer_is_told_what_it_is_on(page):
    from selenium.webdriver.common.action_chains import ActionChains
    graph = page.find("#graph-view")
    page.run("arguments[0].scrollIntoView({block: 'center'})", graph)
    ActionChains(page.driver).move_to_element_with_offset(graph, 0, int(19 * 2 + 9 - graph.size["height"] / 2)).perform()
    page.wait(lambda: page.find("#tooltip").is_displayed(), 60)
    assert all(text in page.text("#tooltip") for text in ("A ", "B ", "noise"))


def test_summaries_stand_side_by_side(here, page, pair):
    page.click("[data-tab=summary]")
    figures = page.run("return Object.fromEntries([...document.querySelectorAll('#summary :is(#summary-recording, #summary-samples,"
                       " #summary-time) tbody tr')].map(r =>"
                       " [r.dataset.name, [...r.querySelectorAll('data')].map(d => +d.value)]))")
    infos = [json.loads(here.run([here.pillion, "info", "--json", path]).stdout) for path in pair]
    assert figures["Samples"] == [i["quality"]["samples"] for i in infos]
    assert figures["On a CPU"] == [i["time"]["cpu_ns"] for i in infos]
    assert figures["Duration"] == [i["recording"]["duration_ns"] for i in infos]
    assert page.texts("#summary-recording thead th") == ["", "A", "B"]


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_any_width(driver, path, width):
    browser.resize(driver, width, 900)
    page = browser.Page(driver, path)
    for tab in ("graph", "functions", "lines", "summary"):
        page.run("location.hash = arguments[0]", "tab=" + tab)
        page.wait(lambda: page.find("#" + tab).is_displayed(), 60)
        assert page.run("return document.documentElement.scrollWidth") <= width, tab


def test_an_address_that_makes_no_sense_does_no_harm(driver, path):
    page = browser.Page(driver, path, "#tab=x&width=%00&zoom=99999.1&sort=y&constructor=1&q=%ff")
    assert page.find("#graph").is_displayed() and page.console() == []


# --------------------------------------------------------------------- safety

def test_names_are_text(here, driver, one_python, work):
    paths = []
    for name, program in (("a", HOSTILE_PROGRAM), ("b", HOSTILE_PROGRAM.replace("+ 0.12", "+ 0.2"))):
        r = recording.record(one_python, ["-c", program], work, name=name + ".pillion")
        assert r.returncode == 0, r.stderr
        paths.append(r.path)
    path = make_page(here, paths, work / "names.html", "--title", HOSTILE[0])
    known = {f["function"] for f in told(here, paths)["functions"]}
    assert len([name for name in HOSTILE if name in known]) >= 5, known
    for tab in ("graph", "functions", "lines", "summary"):
        page = browser.Page(driver, path, "#frames=all&tab=" + tab)
        assert page.run("return document.title").startswith("<img") and page.text("h1") == HOSTILE[0]
        assert page.console() == [] and page.requests() == []
        assert page.run("return document.querySelectorAll('img, iframe, object, script:not([src])').length") == 1
        if tab == "functions":
            shown_rows(page, tab)
            texts = page.texts("#functions td.name bdi")
            for name in HOSTILE:
                if name in known:
                    assert name.replace("\n", "\\n").replace("\u202e", "\\u202e") in texts


def test_the_page_is_small_and_forbids_everything(path):
    text = path.read_text()
    start, end = text.index('id="profile">'), text.index("</script>")
    assert len(text) - (end - start) <= PAGE_BYTES_MAX
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|new Function\(", text)


def test_a_damaged_page_says_so(driver, path, work):
    text = path.read_text()
    at = text.index('id="profile">') + 4000
    (work / "damaged.html").write_text(text[:at] + "AAAABBBB" + text[at + 8:])
    page = browser.Page(driver, work / "damaged.html")
    assert page.find("#fatal").is_displayed() and "cannot be shown" in page.text("#fatal")


def test_many_calls_are_put_together_without_a_loss(here, driver, work):
    pair = [make_profile(work / ("large%d.pillion" % n), "-n", n, "-m", 60000, "-t", 4) for n in (150000, 200000)]
    page = browser.Page(driver, make_page(here, pair, work / "large.html"))
    assert "(small calls)" in page.text("#left-out")
    data = told(here, pair, "--limit", "1")
    page.press(".", "#search")
    assert [int(w) for w in page.run("return document.getElementById('matched').dataset.weights").split()] == [
        data["a"]["weight"], data["b"]["weight"]]
    assert page.console() == []


# ---------------------------------------------------------------- the command

def test_the_output(here, pair, work):
    a, b = [work / (name + ".pillion") for name in ("before", "after")]
    for source, target in zip(pair, (a, b)):
        target.write_bytes(source.read_bytes())
    command = [here.pillion, "diff", "-f", "html", a, b]
    result = here.run(command, cwd="/")
    assert (result.returncode, result.stdout) == (OK, "") and "wrote" in result.stderr
    page = (work / "after.diff.html").read_text()
    result = here.run(command)
    assert result.returncode == FAILURE and "--force" in result.stderr
    assert here.run(command + ["--force"]).returncode == OK
    assert here.run(command + ["-o", "-"]).stdout == page
    result = here.run(command + ["-o", work / "no" / "x.html"])
    assert result.returncode == FAILURE and "cannot write" in result.stderr
    # The other formats go where they are told to, too; colours stay on terminals.
    for name in ("text", "json", "folded"):
        result = here.run([here.pillion, "diff", "-f", name, "-o", work / name, a, b])
        assert (result.returncode, result.stdout) == (OK, ""), result.stderr
        assert (work / name).read_text() == here.run([here.pillion, "diff", "-f", name, a, b]).stdout
    assert here.run([here.pillion, "diff", "-f", name, "-o", work / name, a, b]).returncode == FAILURE
    assert here.run([here.pillion, "diff", "--title", "x", a, b]).returncode == USAGE


def test_a_failure_is_told_beside_the_page(here, pair, work):
    result = here.run([here.pillion, "diff", "-f", "html", "-o", work / "x.html", "--absolute", "--fail-on", "1%", *pair])
    assert result.returncode == DIFFERENT and "--fail-on" in result.stderr and (work / "x.html").exists()
