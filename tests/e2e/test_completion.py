# SPDX-License-Identifier: MIT
"""The completion of each shell offers what the tables of options have: all of it, and no more."""
import re

import pytest

import shells


@pytest.fixture(scope="module", params=shells.ALL)
def complete(request, here, session_work):
    """The shell's own answers: complete(line...) gives a list for each line."""
    directory = session_work / ("completion-" + request.param)
    (directory / "folder").mkdir(parents=True)
    for name in ("new.pillion", "old.pillion", "notes.txt"):
        (directory / name).touch()
    return lambda *lines: shells.ALL[request.param](here, lines, directory)


@pytest.fixture(scope="module")
def verbs(here):
    text = here.run([here.pillion, "--help"]).stdout
    return re.findall(r"^  (\w+) ", text.partition("Verbs:\n")[2].partition("  help VERB")[0], re.M)


def options(here, verb):
    """(letter, name, metavar) as the table has them."""
    text = here.run([here.pillion, verb, "--help=all"]).stdout
    return re.findall(r"^  (?:-(\w), |    )--([a-z-]+)(?:[ =\[]+([^ \]\n]+))?", text, re.M)


def test_verbs(complete, verbs):
    assert len(verbs) >= 12
    every, some, several = complete("pillion ", "pillion rec", "pillion re")
    assert sorted(every) == sorted([*verbs, "help"])
    assert (some, sorted(several)) == (["record"], ["record", "report"])


def test_help_and_version(complete, verbs):
    own, verb = complete("pillion --", "pillion help ")
    assert sorted(own) == ["--help", "--version"]
    assert set(verbs) <= set(verb)


def test_every_option_of_every_verb(here, complete, verbs):
    offered = complete(*("pillion %s -" % verb for verb in verbs), *("pillion %s --" % verb for verb in verbs))
    for verb, all_of_them, long_ones in zip(verbs, offered, offered[len(verbs):]):
        rows = options(here, verb)
        assert rows or verb == "env"
        names = {"--" + name for _, name, _ in rows} | {"--help"}
        letters = {"-" + letter for letter, _, _ in rows if letter} | {"-h"}
        assert {o.rstrip("=") for o in long_ones} == names, verb
        # zsh says that letters may be put together.
        assert {o.rstrip("=") for o in all_of_them} - {"-"} == names | letters, verb


def words_of(here, verb, name, directory):
    """The words that the option takes, as it says itself when it gets another; None: it takes any."""
    result = here.run([here.pillion, verb, "--%s=?" % name], cwd=directory)
    told = re.search(r"wants one of (.*); not '\?'", result.stderr)
    return told.group(1).split(", ") if told else None


@pytest.fixture(scope="module")
def choices(here, verbs, session_work):
    rows = [(verb, letter, name, words_of(here, verb, name, session_work)) for verb in verbs
            for letter, name, metavar in options(here, verb) if metavar]
    return [row for row in rows if row[3]]


def test_values_out_of_a_fixed_set(complete, choices):
    assert len(choices) >= 12
    lines, expected = [], []
    for verb, letter, name, words in choices:
        spellings = ["--%s " % name, "--%s=" % name, *(["-%s " % letter] if letter else [])]
        lines += ["pillion %s %s" % (verb, spelling) for spelling in spellings]
        expected += [words] * len(spellings)
    for line, offered, words in zip(lines, complete(*lines), expected):
        # fish repeats what stands before the value.
        assert sorted(o.rpartition("=")[2] for o in offered) == sorted(words), line


def test_every_view_that_is_offered_is_taken(here, choices):
    """Not refused behind the back of the table: the profiles are what is missing."""
    operands = {"annotate": ["f", "/no.pillion"], "diff": ["/no.pillion", "/no.pillion"],
                "export": ["-f", "folded", "/no.pillion"]}
    views = {verb: words for verb, _, name, words in choices if name == "view"}
    assert {"report", "annotate", "diff", "export"} <= set(views) and "leaks" in views["report"]
    for verb, words in views.items():
        for word in words:
            result = here.run([here.pillion, verb, "--view", word, *operands.get(verb, ["/no.pillion"])])
            assert result.returncode == 1 and "No such file" in result.stderr, (verb, word, result)


def test_other_values(complete):
    rate, profile, output = complete("pillion record -F ", "pillion record -F 99 -o new", "pillion html --output n")
    assert not rate and profile == ["new.pillion"] and sorted(output) == ["new.pillion", "notes.txt"]


def test_profiles_come_first(complete):
    lines = ["pillion " + line for line in ("report ", "report --view cpu ", "diff new.pillion ", "merge new.pillion x y ",
                                            "annotate app.py ", "stat ", "rep -n5 ", "report -- ")]
    offered = complete(*lines, *(line + "not" for line in lines))
    for line, all_of_them, others in zip(lines, offered, offered[len(lines):]):
        assert sorted(all_of_them[:2]) == ["new.pillion", "old.pillion"], line
        assert {o.rstrip("/") for o in all_of_them[2:]} <= {"folder", "notes.txt"}, line
        assert others == ["notes.txt"], line


def test_enough_is_enough(complete):
    for offered in complete("pillion report new.pillion ", "pillion env ", "pillion ctl 1 stop "):
        # zsh goes on with options.
        assert not [o for o in offered if not o.startswith("-")]


def test_processes_and_what_to_do_with_them(complete):
    pids, whats, shortened = complete("pillion ctl ", "pillion ctl 1 ", "pillion ctl --socket x 1 ro")
    assert "1" in pids and all(pid.isdigit() for pid in pids)
    assert (sorted(whats), shortened) == (["rotate", "start", "stop"], ["rotate"])


def test_commands(complete):
    before = ["record ", "record -- ", "record -F 99 --memory=count -o y ", "rec -q -- ", "stat -f json -- "]
    offered = complete(*("pillion %sprintenv" % b for b in before), *("pillion %scat not" % b for b in before))
    for line, command, argument in zip(before, offered, offered[len(before):]):
        assert "printenv" in command and argument == ["notes.txt"], line


def test_the_options_of_a_command_are_its_own(complete):
    ours, theirs = complete("pillion record --ver", "pillion record env --ver")
    assert ours == ["--verbose"] and "--verbose" not in theirs


def test_commands_by_bash_completion(here, work):
    (work / "notes.txt").touch()
    (work / "Makefile").write_text("all:\nonly_this:\n")
    lines = ["pillion record -q -- printenv", "pillion record -o x cat not", "pillion stat -- make only"]
    assert shells.bash_completion(here, lines, work) == [["printenv"], ["notes.txt"], ["only_this"]]
