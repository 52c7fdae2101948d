# SPDX-License-Identifier: MIT
"""stat has the report's figures, and lets its command be."""
import json
import os
import re
import signal
import subprocess

import pytest

import recording
from test_export import OK, USAGE, make_profile, report

FAILURE, WRAPPER, NOT_FOUND = 1, 125, 127

PROGRAM = """
import sys, threading, time
keep = [bytes(1000000) for _ in range(30)]
thread = threading.Thread(target=time.sleep, args=(0.5,))
thread.start()
end = time.thread_time() + 0.4
while time.thread_time() < end:
    sum(range(2000))
thread.join()
print("out", *sys.argv[1:])
"""


@pytest.fixture(scope="module")
def real(session_work, one_python):
    r = recording.record(one_python, ["-c", PROGRAM], session_work, name="stat.pillion")
    assert r.returncode == 0, r.stderr
    return r.path


def figures(text):
    data = json.loads(text)
    assert (data["schema"], data["schema_version"]) == ("pillion-stat", 1)
    return data


def test_figures_are_those_of_the_report(here, real):
    result = here.run([here.pillion, "stat", "--json", real])
    assert result.returncode == OK, result.stderr
    data, expected = figures(result.stdout), report(here, real)
    for key in ("recording", "time", "quality", "cost"):
        assert data[key] == expected[key], key
    assert data["memory"]["counted"] and data["memory"]["peak_bytes"] > 30e6
    assert 0.35e9 < data["time"]["cpu_ns"] < 0.6e9 and data["threads"] == 2
    assert data["functions"][0]["self_ns"] == expected["functions"][0]["self_ns"]
    assert len(data["functions"]) <= 10
    sleeping = [w["offcpu_ns"] for w in data["off_cpu"] if w["kind"] == "syscall"]
    assert 0.45e9 < max(sleeping) < 1.2e9


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_text_for_people(here, real, columns):
    shown = here.run([here.pillion, "stat", real], env={"COLUMNS": str(columns)}).stdout
    assert max(len(line) for line in shown.splitlines()) <= columns and "\x1b" not in shown
    for name in ("wall time", "CPU time", "threads", "GIL held", "blocked", "peak of memory", "malloc",
                 "samples", "dropped", "overhead"):
        assert re.search(r"^  %s +\S" % name, shown, re.M), (name, shown)
    assert "Functions" in shown
    # A remark that is too long for its row goes on in the next, whole.
    assert re.search(r"CPUs used; samples stand for [\d.]+ % of it", " ".join(shown.split())), shown


# ------------------------------------------------------------------------- commands

def test_a_command_is_counted_and_left_alone(here, one_python, work):
    argv = [here.pillion, "stat", "-f", "json", "-o", work / "s.json", "--", one_python.path, "-c", PROGRAM, "-x", "--"]
    result = here.run(argv, env={"TMPDIR": str(work)})
    assert (result.returncode, result.stdout) == (OK, "out -x --\n"), result
    data = figures((work / "s.json").read_text())
    assert data["profile"] is None  # it was for this only
    assert 0.35e9 < data["time"]["cpu_ns"] < 0.7e9 and data["recording"]["exit_status"] == 0
    assert [p.name for p in work.iterdir()] == ["s.json"]


def test_stdout_is_the_commands(here, one_python, work):
    result = here.run([here.pillion, "stat", "--", one_python.path, "-c", PROGRAM], env={"TMPDIR": str(work)})
    assert result.stdout == "out\n" and "CPU time" in result.stderr and "pillion: next" not in result.stderr
    assert result.stderr.startswith("  command ") and "pillion-stat" not in result.stderr, result.stderr


def test_the_profile_can_be_kept(here, one_python, work):
    argv = [here.pillion, "stat", "--profile", work / "p.pillion", "--", one_python.path, "-c", PROGRAM]
    result = here.run(argv)
    assert result.returncode == OK and report(here, work / "p.pillion")["view_total"]["ns"] > 0
    assert result.stderr.startswith(str(work / "p.pillion") + "\n")
    again = here.run(argv)
    assert again.returncode == WRAPPER and "there already" in again.stderr and again.stdout == ""


def test_exit_statuses_are_the_commands(here, one_python, work):
    env = {"TMPDIR": str(work)}
    result = here.run([here.pillion, "stat", "--", one_python.path, "-c", "import os; os._exit(7)"], env=env)
    assert result.returncode == 7
    result = here.run([here.pillion, "stat", "--", one_python.path, "-c",
                       "import os, time; time.sleep(.2); os.kill(os.getpid(), 9)"], env=env)
    assert result.returncode == -signal.SIGKILL, result
    result = here.run([here.pillion, "stat", "--", work / "no-such-command"], env=env)
    assert result.returncode == NOT_FOUND and "no-such-command" in result.stderr
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_passed_on_to_the_command(here, one_python, work, signo):
    program = ("import signal, sys\n"
               "def on_signal(signo, frame):\n    print('got', signo, flush=True)\n    sys.exit(5)\n"
               "signal.signal(%d, on_signal)\n"
               "print('ready', flush=True)\n"
               "while True: signal.pause()\n" % signo)
    process = here.popen([here.pillion, "stat", "--", one_python.path, "-c", program],
                         env={"TMPDIR": str(work)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signo)
    out, err = process.communicate(timeout=60)
    assert out == "got %d\n" % signo and process.returncode == 5, err
    assert "exit 5" in err and list(work.iterdir()) == []


def test_all_of_a_command_is_counted_where_recordings_rotate(here, one_python, work):
    program = "import time\nfor i in range(24): time.sleep(0.1)"
    result = here.run([here.pillion, "stat", "--json", "--", one_python.path, "-c", program],
                      env={"TMPDIR": str(work), "PILLION_ROTATE": "1s"})
    assert result.returncode == OK and figures(result.stderr)["time"]["wall_ns"] > 2.3e9, result
    assert list(work.iterdir()) == []


def test_a_percent_sign_in_a_path_is_one(here, one_python, work):
    (work / "100%q").mkdir()
    command = ["--", one_python.path, "-c", PROGRAM]
    result = here.run([here.pillion, "stat", *command], env={"TMPDIR": str(work / "100%q")})
    assert result.returncode == OK and "CPU time" in result.stderr, result
    assert list((work / "100%q").iterdir()) == []
    result = here.run([here.pillion, "stat", "--profile", work / "%e.%p.pillion", *command])
    assert result.returncode == OK and "CPU time" in result.stderr, result
    assert sorted(p.name for p in work.iterdir()) == ["%e.%p.pillion", "100%q"]


# --------------------------------------------------------------------------- GitHub

def test_a_job_summary(here, real, work):
    target = work / "summary.md"
    target.write_text("before\n")
    result = here.run([here.pillion, "stat", "-f", "github", "-o", target, "--append", real])
    assert (result.returncode, result.stdout) == (OK, ""), result
    shown = target.read_text()
    assert shown.startswith("before\n### Pillion: <code>")
    tables = re.findall(r"^\|.*$", shown, re.M)
    assert len(tables) > 20 and all(row.count("|") in (4, 6) and row.endswith("|") for row in tables)
    assert re.search(r"^\| CPU time \| \d+ ms \| ", shown, re.M), shown
    # What is no table cell holds the command, quoted.
    assert "import sys" in shown and "\nimport" not in shown


def test_markup_in_names_stays_text(here, one_python, work):
    program = "x = '`<b>|*_[a](http://b)~#`'\n" + PROGRAM
    r = recording.record(one_python, ["-c", program], work)
    shown = here.run([here.pillion, "stat", "-f", "github", r.path]).stdout
    title = shown.splitlines()[0]
    assert "<b>" not in title and title.count("<") == 2 and "`" not in title and "[" not in title
    assert "&#96;&#60;b&#62;&#124;&#42;&#95;&#91;a&#93;" in title


def test_warnings_are_workflow_commands(here, one_python, work):
    program = "import time; t = time.time()\nwhile time.time() < t + .3: pass\nraise SystemExit(3)"
    r = recording.record(one_python, ["-c", program], work)
    result = here.run([here.pillion, "stat", "-f", "github", r.path])
    assert "::warning title=Pillion::the command ended with exit 3\n" in result.stderr
    assert "> the command ended with exit 3" in result.stdout


# --------------------------------------------------------------------------- output

def test_nothing_is_overwritten_unasked(here, real, work):
    target = work / "there.pillion"
    target.write_bytes(real.read_bytes())
    result = here.run([here.pillion, "stat", "-o", target, real])
    assert result.returncode == FAILURE and "--force" in result.stderr
    result = here.run([here.pillion, "stat", "-o", target, "--", "touch", work / "started"])
    assert result.returncode == WRAPPER and "--force" in result.stderr
    assert target.read_bytes() == real.read_bytes() and [p.name for p in work.iterdir()] == [target.name]
    result = here.run([here.pillion, "stat", "--json", "--force", "-o", target, real])
    assert (result.returncode, result.stdout) == (OK, ""), result
    assert figures(target.read_text())["threads"] == 2


@pytest.mark.parametrize("options", [[], ["--append"]], ids=" ".join)
def test_a_dash_is_stdout(here, one_python, real, work, options):
    argv = [here.pillion, "stat", "--json", "-o", "-", *options]
    result = here.run([*argv, real], cwd=work)
    assert (result.returncode, result.stderr) == (OK, "") and figures(result.stdout)["threads"] == 2
    result = here.run([*argv, "--", one_python.path, "-c", PROGRAM], cwd=work, env={"TMPDIR": str(work)})
    assert result.returncode == OK and result.stdout.startswith("out\n"), result
    assert figures(result.stdout[len("out\n"):])["threads"] == 2
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--append"], ["--force"]], ids=" ".join)
def test_a_place_that_cannot_be_written_to_is_told_before_the_command_runs(here, work, options):
    command = ["--", "touch", work / "started"]
    result = here.run([here.pillion, "stat", *options, "-o", work / "no" / "x", *command])
    assert result.returncode == WRAPPER and "No such file" in result.stderr, result
    # As of a variable that is not set.
    result = here.run([here.pillion, "stat", *options, "-o", "", *command])
    assert result.returncode == USAGE and "empty" in result.stderr, result
    assert list(work.iterdir()) == []


def test_figures_are_not_lost_with_the_place_for_them(here, one_python, work):
    argv = [here.pillion, "stat", "-o", "/dev/full", "--", one_python.path, "-c", PROGRAM]
    result = here.run(argv, env={"TMPDIR": str(work)})
    assert (result.returncode, result.stdout) == (OK, "out\n"), result
    assert "No space left" in result.stderr and "CPU time" in result.stderr, result.stderr


# ------------------------------------------------------------------------ bad input

@pytest.mark.parametrize("options", [["--"], ["a", "b"], ["a", "--", "true"], ["--append", "a"],
                                     ["--profile", "x", "a"], ["-f", "xml", "a"]])
def test_wrong_arguments_are_refused(here, options):
    result = here.run([here.pillion, "stat", *options])
    assert (result.returncode, result.stdout) == (USAGE, ""), result


def test_an_empty_profile_has_figures_too(here, work):
    path = make_profile(work / "empty.pillion", "-n", 0, "-t", 1)
    result = here.run([here.pillion, "stat", "--json", path])
    assert result.returncode == OK and figures(result.stdout)["functions"] == []
    assert here.run([here.pillion, "stat", work / "none.pillion"]).returncode == FAILURE
    result = here.run([here.pillion, "stat", "-o", work / "no" / "x", path])
    assert result.returncode == FAILURE and "No such file" in result.stderr
