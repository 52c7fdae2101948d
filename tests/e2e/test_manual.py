# SPDX-License-Identifier: MIT
"""The pages of the manual: clean, one for each verb, and of one mind with the help."""
import re
import subprocess

import pytest

import place

WIDTH = 78


@pytest.fixture(scope="module")
def pages(here):
    found = {p.name: p for p in (here.prefix / "share/man").glob("man?/pillion*")}
    assert all(path.parent.name == "man" + name[-1] for name, path in found.items())
    return found


@pytest.fixture(scope="module")
def verbs(here):
    text = here.run([here.pillion, "--help"]).stdout
    return re.findall(r"^  (\w+) ", text.partition("Verbs:\n")[2].partition("  help VERB")[0], re.M)


def page_of(pages, verb):
    return pages["pillion-env.7" if verb == "env" else "pillion-%s.1" % verb]


def shown(page):
    """As man shows it in a terminal of 80 columns, without bold and underlined."""
    result = subprocess.run(["mandoc", "-Tutf8", "-Owidth=%d" % WIDTH, str(page)], stdout=subprocess.PIPE, text=True)
    return re.sub(".\b", "", result.stdout)


def words(text):
    """Whatever the layout: mandoc spaces sentences its own way, and breaks lines."""
    return re.sub(r"\s+", " ", text)


def test_a_page_for_each_verb_and_no_other(pages, verbs):
    pages_of_verbs = {page_of(pages, verb).name for verb in verbs}
    assert set(pages) == pages_of_verbs | {"pillion.1", "pillion-format.5"}


def test_mandoc_finds_nothing_wrong(pages):
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *map(str, pages.values())], stdout=subprocess.PIPE,
                          text=True)
    assert lint.returncode == 0, lint.stdout
    for page in pages.values():
        assert not re.search(r"^@|@[A-Z]+@", page.read_text(), re.M), page


def test_nothing_is_wider_than_a_terminal(pages):
    for name, page in pages.items():
        wide = [line for line in shown(page).splitlines() if len(line) > 80]
        assert not wide, (name, wide)


def test_pages_that_are_referred_to_exist(pages):
    for page in pages.values():
        for name, section in re.findall(r"^\.Xr (pillion\S*) (\d)", page.read_text(), re.M):
            assert "%s.%s" % (name, section) in pages, (page, name)


def rows(text):
    """What the help has in its columns: {"-o, --output FILE|DIR": "what it does"}."""
    found = re.findall(r"^  ((?:-\w, |    )--\S.*?)(?:  +|\n {26})(\S.*(?:\n {26}\S.*)*)", text, re.M)
    return {left.strip(): words(right) for left, right in found}


def test_help_and_page_agree_on_every_option(here, pages, verbs):
    for verb in verbs:
        help_rows = rows(here.run([here.pillion, verb, "--help=all"]).stdout)
        text = words(shown(page_of(pages, verb)))
        assert help_rows or verb == "env"
        for left, right in help_rows.items():
            assert " %s %s." % (left, right) in text, (verb, left)
        told = re.findall(r"^\.It (?:Fl (\w) , )?Fl -([a-z-]+)", page_of(pages, verb).read_text(), re.M)
        assert [name for _, name in told[:-1]] == [left.split("--")[1].split(" ")[0].split("[")[0]
                                                   for left in help_rows], verb
        assert told[-1] == ("h", "help")


def test_help_and_page_agree_on_purpose_usage_and_examples(here, pages, verbs):
    overview = words(shown(pages["pillion.1"]))
    summaries = dict(re.findall(r"^  (\w+) +(.*)$", here.run([here.pillion, "--help"]).stdout, re.M))
    for verb in verbs:
        lines = here.run([here.pillion, "help", verb]).stdout.splitlines()
        text = words(shown(page_of(pages, verb)))
        assert " %s %s: pillion-" % (verb, summaries[verb]) in overview
        if verb == "env":
            continue
        assert " – %s SYNOPSIS %s DESCRIPTION %s" % (summaries[verb], lines[0].partition(": ")[2], lines[1]) in text
        for example in lines[lines.index("Examples:") + 1:]:
            command, _, comment = example.strip().partition("  # ")
            assert words(command.strip()) in text and comment in text, example


def variables_of_the_table():
    text = (place.REPO / "include/pillion/env.h").read_text()
    return re.findall(r'X\(\w+, "(PILLION_\w+)", (\w+),', text)


def test_variables_have_a_page(pages):
    told = re.findall(r"^\.It Ev (\w+) Ns = ", pages["pillion-env.7"].read_text(), re.M)
    assert told == [name for name, kind in variables_of_the_table() if kind != "SECRET"]


def test_variables_and_options_name_each_other(here, pages):
    """An option of record and its variable: each page has the other's name."""
    options = shown(pages["pillion-record.1"]).partition("\nOPTIONS\n")[2].partition("\nSIGNALS\n")[0]
    pairs = re.findall(r"\n {5}(?:-\w, )?--([a-z-]+)(?:(?!\n {5}-).)*?Variable:\s+(\w+)\.", options, re.S)
    variables = shown(pages["pillion-env.7"]).partition("\nVARIABLES\n")[2]
    told = re.findall(r"\n {5}(PILLION_\w+)=(?:(?!\n {5}PILLION).)*?Option:\s+--([a-z-]+)\.", variables, re.S)
    assert len(pairs) > 10 and sorted(pairs) == sorted((option, variable) for variable, option in told)


def test_exit_codes_are_those_of_the_verb(pages, verbs):
    """What a verb's source can return is in its page; all codes are in the overview."""
    codes = {name: int(value) for name, value in re.findall(
        r"(PLN_EXIT_\w+) = (\d+)", (place.REPO / "collector/cli/cli.h").read_text())}
    assert len(codes) >= 8

    def told(page):
        return {int(code) for code in re.findall(r"^\.It (\d+)$", page.read_text(), re.M)}

    assert told(pages["pillion.1"]) == set(codes.values())
    for verb in verbs:
        source = (place.REPO / "collector/cli" / (verb + ".c")).read_text()
        named = {codes[name] for name in re.findall(r"\bPLN_EXIT_\w+", source)}
        assert verb == "env" or named <= told(page_of(pages, verb)), verb
        assert verb == "env" or {0, 1, 2} <= told(page_of(pages, verb)), verb
