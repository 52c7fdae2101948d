# SPDX-License-Identifier: MIT
"""What is longer than the screen goes through a pager, and nothing else does."""
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

import pytest

from test_export import OK, make_profile

MARK = "sed s/^/paged:/"


@pytest.fixture(scope="module")
def profile(session_work):
    return make_profile(session_work / "pager.pillion", "-n", 3000, "-m", 200, "-t", 3)


def on_terminal(here, argv, lines, env):
    """Standard output of a command on a terminal of so many lines."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 100, 0, 0))
    # Unlike the environment of these tests, a user's has a pager of its own.
    base = {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
    process = here.popen(argv, env=dict(base, **env), stdout=slave, stderr=subprocess.PIPE)
    os.close(slave)
    text = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # its last writer is gone
            break
        text += chunk
    error = process.stderr.read().decode()
    process.stderr.close()
    os.close(master)
    assert process.wait() == OK, error
    return text.decode().replace("\r\n", "\n")


def report(here, profile, lines, env, *options):
    return on_terminal(here, [here.pillion, "report", "--color", "never", *options, profile], lines, env)


def is_paged(text):
    lines = text.splitlines()
    assert len(lines) > 30 and len({line.startswith("paged:") for line in lines}) == 1
    return lines[0].startswith("paged:")


def test_a_pager_for_what_is_longer_than_the_screen(here, profile):
    assert is_paged(report(here, profile, 24, {"PILLION_PAGER": MARK}))
    assert not is_paged(report(here, profile, 1000, {"PILLION_PAGER": MARK}))
    assert not is_paged(report(here, profile, 24, {"PILLION_PAGER": MARK}, "--no-pager"))
    assert not is_paged(report(here, profile, 24, {"PILLION_PAGER": MARK, "TERM": "dumb"}))


def test_paged_text_is_the_same_text(here, profile):
    paged = report(here, profile, 24, {"PILLION_PAGER": MARK})
    plain = report(here, profile, 24, {}, "--no-pager")
    assert paged.replace("paged:", "") == plain


def test_whose_pager_it_is(here, profile):
    assert is_paged(report(here, profile, 24, {"PAGER": MARK}))
    assert not is_paged(report(here, profile, 24, {"PAGER": MARK, "PILLION_PAGER": ""}))
    assert not is_paged(report(here, profile, 24, {"PAGER": MARK, "PILLION_PAGER": "cat"}))
    options = report(here, profile, 24, {"PAGER": "cat >/dev/null; echo less is told $LESS; yes '' | head -40 #"})
    assert "less is told FRX" in options


@pytest.mark.parametrize("pager", ["no-such-pager-here", "head -n 3"])
def test_a_pager_that_is_missing_or_left_early(here, profile, pager):
    shown = report(here, profile, 24, {"PILLION_PAGER": pager})
    if pager.startswith("head"):
        assert len(shown.splitlines()) == 3
    else:
        assert "Python functions" in shown


def test_pipes_and_json_are_not_paged(here, profile):
    result = here.run([here.pillion, "report", profile], env={"PILLION_PAGER": MARK, "TERM": "xterm"})
    assert result.returncode == OK and not is_paged(result.stdout)
    assert on_terminal(here, [here.pillion, "report", "--json", profile], 24,
                       {"PILLION_PAGER": MARK}).startswith("{")


def test_other_verbs_page_as_well(here, profile):
    data = json.loads(here.run([here.pillion, "report", "--json", profile]).stdout)
    file = next(f["file"] for f in data["functions"] if f["kind"] == "python" and f["self_ns"])
    for verb in (["annotate", file, profile], ["diff", profile, profile], ["info", profile]):
        shown = on_terminal(here, [here.pillion, *verb], 5, {"PILLION_PAGER": MARK})
        assert shown and all(line.startswith("paged:") for line in shown.splitlines()), shown
