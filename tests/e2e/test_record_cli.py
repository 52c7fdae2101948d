# SPDX-License-Identifier: MIT
"""`pillion record` is not there: for its command, for who started it, for the terminal.

And what the other verbs of the frame promise: help that fits, a man page, names of
profiles, `collect`.
"""
import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import threading
import time

import pytest

import place
import recording

BURN = "import time\nend = time.thread_time() + 0.2\nwhile time.thread_time() < end: pass\n"
SIGNAL_NAMES = ("SigBlk", "SigIgn", "SigCgt", "SigPnd")


def own_lines(stderr):
    return [line for line in stderr.splitlines() if line.startswith("pillion")]


def record(here, work, options, command, **how):
    return here.run([here.pillion, "record", *options, "--", *command], cwd=work, **how)


# ------------------------------------------------------------------- output

def test_one_result_line_and_the_next_command(here, one_python, work):
    result = record(here, work, [], [one_python.path, "-c", BURN + "print('out')"])
    assert (result.returncode, result.stdout) == (0, "out\n"), result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and own_lines(result.stderr) == lines, lines
    assert re.search(r"[1-9]\d* samples of 1 process, 1 thread; 0 dropped; "
                     r"overhead [\d.]+ [mun]?s of CPU \([\d.]+ % of its [\d.]+ m?s\)", lines[0])
    name, = os.listdir(str(work))
    assert re.fullmatch(r"pillion\.python[\d.]*\.\d+\.pillion", name)
    assert name in lines[0] and lines[1].endswith("pillion report " + name)
    assert here.run([here.pillion, *lines[1].split()[3:]], cwd=work).returncode == 0


def test_quiet_prints_nothing(here, one_python, work):
    result = record(here, work, ["-q"], [one_python.path, "-c", BURN])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert len(os.listdir(str(work))) == 1


def test_names_of_profiles(here, one_python, work):
    command = [one_python.path, "-c", BURN + "import os; print(os.getpid())"]
    pid = record(here, work, ["-q", "-o", "%p.%e.pillion"], command).stdout.strip()
    assert os.listdir(str(work)) == ["%s.%s.pillion" % (pid, os.path.basename(one_python.path))]
    (work / "sub").mkdir()
    record(here, work, ["-q", "-o", "sub"], command)
    assert len(os.listdir(str(work / "sub"))) == 1
    for _ in range(2):
        record(here, work, ["-q", "-o", "sub/%n"], command)
    assert {"1", "2"} < set(os.listdir(str(work / "sub")))


def test_force_overwrites(here, one_python, work):
    path = work / "x.pillion"
    path.write_text("old" * 100000)
    assert record(here, work, ["-q", "-f", "-o", path], [one_python.path, "-c", BURN]).returncode == 0
    assert recording.load(path).data["complete"]


def test_force_keeps_the_old_profile_when_the_command_does_not_start(here, work):
    path = work / "x.pillion"
    path.write_text("old")
    assert record(here, work, ["-f", "-o", path], ["no-such-command"]).returncode == 127
    assert path.read_text() == "old"


@pytest.mark.parametrize("options, command", [
    (["-o", "no/such/x"], ["touch", "ran"]), (["-o", "there"], ["touch", "ran"]), (["-o", "%q"], ["touch", "ran"]),
    (["-o", "-"], ["touch", "ran"])])
def test_a_name_that_cannot_be_used_is_an_error_before_the_command_runs(here, work, options, command):
    (work / "there").write_text("precious")
    result = record(here, work, options, command)
    assert result.returncode == 125 and len(result.stderr.splitlines()) == 1, result
    assert os.listdir(str(work)) == ["there"] and (work / "there").read_text() == "precious"


def test_a_device_that_is_full_does_not_change_the_run(here, one_python, work):
    result = record(here, work, ["-o", "/dev/full"], [one_python.path, "-c", BURN + "print('ran'); raise SystemExit(6)"])
    assert (result.returncode, result.stdout) == (6, "ran\n")
    assert "No space left" in result.stderr and "choose another place" in result.stderr, result.stderr
    strict = record(here, work, ["--strict", "-o", "/dev/full"], [one_python.path, "-c", BURN])
    assert strict.returncode == 125


def test_nothing_recorded_leaves_no_file(here, work):
    assert record(here, work, ["-o", "x.pillion"], ["true"]).returncode == 0
    assert record(here, work, ["--strict", "-o", "x.pillion"], ["true"]).returncode == 125
    assert record(here, work, ["-o", "x.pillion"], ["no-such-command"]).returncode == 127
    assert not os.listdir(str(work))


def test_a_recording_within_a_recording_is_no_python(here, one_python, work):
    inner = [here.pillion, "record", "-q", "-o", "inner", "--", one_python.path, "-c", BURN]
    result = record(here, work, ["-o", "outer"], inner)
    line, = result.stderr.splitlines()
    assert result.returncode == 0 and "is pillion itself" in line and "Python" not in line, result
    assert recording.load(work / "inner").samples and not (work / "outer").exists()


# --------------------------------------------------------------- exit status

@pytest.mark.parametrize("code", [0, 1, 2, 3, 77, 125, 126, 127, 128, 255])
def test_the_exit_code_is_the_commands(here, one_python, work, code):
    assert record(here, work, ["-q"], [one_python.path, "-c", "raise SystemExit(%d)" % code]).returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGINT])
def test_the_signal_is_the_commands(here, one_python, work, number):
    program = BURN + "import os, signal; signal.signal(%d, signal.SIG_DFL)\nos.kill(os.getpid(), %d)" % (
        (number, number) if number != signal.SIGKILL else (signal.SIGTERM, number))
    result = record(here, work, ["-o", "x.pillion"], [one_python.path, "-c", program])
    assert result.returncode == -number, result
    assert recording.load(work / "x.pillion").processes[0]["exit_status"] & 0x7f == number
    assert not [name for name in os.listdir(str(work)) if "core" in name and name != "core"]


def test_a_script_without_interpreter_line_runs(here, work):
    script = work / "script"
    script.write_text("echo from the shell; exit 9\n")
    script.chmod(0o755)
    result = record(here, work, [], [script])
    assert (result.returncode, result.stdout) == (9, "from the shell\n")


# -------------------------------------------------------- the command's world

def test_a_script_that_is_there_is_not_to_be_installed(here, work):
    """Of a name, PATH does not lead to it; of a path, the interpreter of its first line is missing."""
    script = work / "app.py"
    script.write_text("#!/no/such/python\nprint(1)\n")
    script.chmod(0o755)
    for command, advice in (("app.py", "needs its interpreter: "),
                            ("./app.py", "needs its interpreter, which its first line names: "),
                            ("none.py", "give its path, or install it")):
        result = record(here, work, [], [command])
        assert result.returncode == 127 and advice in result.stderr, result


def signal_state(here, work, prefix):
    script = "trap '' USR1; exec \"$@\" cat /proc/self/status"
    out = here.run(["sh", "-c", script, "sh", *prefix], cwd=work).stdout
    return [line for line in out.splitlines() if line.startswith(SIGNAL_NAMES)]


def test_signals_descriptors_and_limits_are_as_without(here, work):
    wrapper = [here.pillion, "record", "-q", "--"]
    assert signal_state(here, work, wrapper) == signal_state(here, work, []) != []
    for script in ["ls -l /proc/self/fd | wc -l", "ulimit -a", "umask", "pwd", "ps -o sid=,pgid= -p $$ | tr -d ' '"]:
        plain = here.run(["sh", "-c", script], cwd=work)
        wrapped = here.run([*wrapper, "sh", "-c", script], cwd=work)
        assert plain.stdout == wrapped.stdout != "", script


def test_the_environment_is_kept_and_the_library_comes_first(here, work):
    program = "env | grep -v -e ^_= -e ^PILLION_ | sort; env | grep ^PILLION_ | cut -d= -f1 | sort >&2"
    plain = here.run(["sh", "-c", program], cwd=work, env={"LD_PRELOAD": "libc.so.6"})
    wrapped = here.run([here.pillion, "record", "-q", "-F", "50", "--", "sh", "-c", program], cwd=work,
                       env={"LD_PRELOAD": "libc.so.6"})
    expected = plain.stdout.replace("LD_PRELOAD=libc.so.6", "LD_PRELOAD=%s:libc.so.6" % os.path.realpath(here.library))
    assert wrapped.stdout == expected
    names = [line for line in wrapped.stderr.splitlines() if line.startswith("PILLION_")]
    assert names == ["PILLION_FREQ", "PILLION_SOCKET", "PILLION_TOKEN"]


def test_a_path_that_ld_preload_cannot_hold(here, one_python, work):
    """The loader splits at spaces and colons: a link without them is made, and taken away."""
    prefix = work / "a place: with $odd name"
    shutil.copytree(str(here.prefix), str(prefix), symlinks=True)
    links = work / "links"
    links.mkdir()
    result = here.run([prefix / "bin" / "pillion", "record", "-o", work / "x.pillion", "--", one_python.path, "-c", BURN],
                      env={"XDG_RUNTIME_DIR": str(links)})
    assert result.returncode == 0 and "ERROR: ld.so" not in result.stderr, result.stderr
    assert recording.load(work / "x.pillion").samples
    assert not os.listdir(str(links))


# ------------------------------------------------------------------ signals

HANDLER = """
import os, signal, sys, time
def handler(number, frame):
    os.write(1, signal.Signals(number).name.encode() + b"\\n")
    raise SystemExit(5)
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
    signal.signal(s, handler)
print("ready", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2, signal.SIGINT])
def test_a_signal_for_record_reaches_the_command(here, one_python, work, number):
    process = here.popen([here.pillion, "record", "-o", "x.pillion", "--", one_python.path, "-c", HANDLER], cwd=work,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, number.name + "\n"), err
    assert recording.load(work / "x.pillion").data["complete"]


# Names each signal it gets, and takes its time to end after the first.
COUNTER = """
import os, signal, sys, time
end = time.monotonic() + 30
def handler(number, frame):
    global end
    os.write(1, signal.Signals(number).name.encode() + b"\\n")
    end = min(end, time.monotonic() + float(sys.argv[1]))
for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(s, handler)
print("ready", flush=True)
while time.monotonic() < end: time.sleep(0.01)
sys.exit(5)
"""


def pids_of_group(group):
    out = subprocess.run(["ps", "-eo", "pid=,pgid="], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [int(pid) for pid, pgid in (line.split() for line in out.splitlines()) if int(pgid) == group]


def kill_each_of_group(group, number):
    """As systemd ends a service."""
    for pid in pids_of_group(group):
        os.kill(pid, number)


@pytest.mark.parametrize("how", [os.kill, os.killpg, kill_each_of_group], ids=["alone", "group", "each"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_reaches_the_command_once(here, one_python, work, how, number):
    process = here.popen([here.pillion, "record", "-o", "x.pillion", "--", one_python.path, "-c", COUNTER, "0.7"], cwd=work,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    how(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, number.name + "\n"), (out, err)
    assert not pids_of_group(process.pid), "somebody was left behind"


def test_several_signals_one_after_the_other_all_arrive(here, one_python, work):
    """What the group got before says nothing of what comes to record alone."""
    process = here.popen([here.pillion, "record", "-q", "-o", "x.pillion", "--", one_python.path, "-c", COUNTER,
                          "3"], cwd=work,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    for how in (os.killpg, os.kill, os.killpg, os.kill):
        how(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        time.sleep(0.2)  # a second one within a handler's time would be merged by the kernel
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, "")


# How often it was asked, and an end that is its own business.
STUBBORN = """
import os, signal, sys, time
asked = 0
def handler(number, frame):
    global asked
    asked += 1
signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
while asked < 20: sum(range(1000))
print("asked", flush=True)
sys.exit(5)
"""


@contextlib.contextmanager
def asked_again_and_again(process, number=signal.SIGTERM):
    """As an impatient supervisor does, until nobody is there."""
    def ask():
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.02)
    impatient = threading.Thread(target=ask)
    impatient.start()
    try:
        yield
    finally:
        impatient.join()


@pytest.mark.parametrize("program, status, options", [
    (STUBBORN, 5, []), (STUBBORN, 5, ["--duration", "0.5"]),
    ("print('ready', flush=True)\nwhile True: sum(range(1000))", -signal.SIGTERM, [])],
    ids=["handled", "after its duration", "deadly"])
def test_a_signal_that_is_sent_without_end(here, one_python, work, program, status, options):
    """It is passed on each time, record ends as soon as its command does, and the profile is whole."""
    process = here.popen([here.pillion, "record", "-o", "x.pillion", *options, "--", one_python.path, "-c", program],
                         cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    with asked_again_and_again(process):
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "asked\n" if status == 5 else ""), err
    assert "samples of 1 process" in err
    profile = recording.load(work / "x.pillion")
    assert profile.data["complete"] and profile.data["symbolized"]


def test_a_signal_of_the_command_to_its_parent_does_not_come_back(here, one_python, work):
    program = BURN + "import os, signal\nos.kill(os.getppid(), signal.SIGUSR1)\n" + BURN + "print('whole')"
    result = record(here, work, ["-q"], [one_python.path, "-c", program])
    assert (result.returncode, result.stdout) == (0, "whole\n"), result


def read_until(fd, text, seconds=60):
    seen, deadline = "", time.monotonic() + seconds
    while text not in seen and time.monotonic() < deadline:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 4096).decode()
            except OSError:
                break
    return seen


def test_ctrl_c_at_a_terminal_is_the_commands(here, one_python, work):
    """Once: the terminal sends it to both, and record passes on only what is meant for it."""
    program = HANDLER.replace("raise SystemExit(5)", "time.sleep(0.5); raise SystemExit(5)")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(str(work))
        os.execv(here.pillion, [here.pillion, "record", "-o", "x.pillion", "--", one_python.path, "-c", program])
    assert "ready" in read_until(terminal, "ready")
    os.write(terminal, b"\x03")
    seen = read_until(terminal, "next:")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 5, (status, seen)
    assert seen.count("SIGINT") == 1, seen
    assert recording.load(work / "x.pillion").data["complete"]


# ----------------------------------------------------------------- duration

def test_duration_ends_the_recording_and_not_the_command(here, one_python, work):
    program = "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: sum(range(999))\nprint('whole')"
    process = here.popen([here.pillion, "record", "-d", "1", "-o", "x.pillion", "--", one_python.path, "-c", program],
                         cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stderr.readline()
    assert process.poll() is None, "the command was ended"
    assert "samples" in first and "next:" in process.stderr.readline()
    assert process.stderr.readline() == "pillion: sampling ended after 1 s as asked; the command runs on\n"
    profile = recording.load(work / "x.pillion")
    assert profile.data["complete"] and 0.1e9 <= profile.total("cpu_ns") <= 1.6e9
    shown = here.run([here.pillion, "report", work / "x.pillion"]).stdout
    assert "by the program: nothing" not in shown, shown[:1000]  # it was record that stopped it
    assert "the command ran on" in shown and "is not known" not in shown, shown[:1000]
    assert "ran on after the recording" in here.run([here.pillion, "info", work / "x.pillion"]).stdout
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "whole\n", "")
    # Its end is added once it is known.
    assert recording.load(work / "x.pillion").data["exit_status"] == 0
    assert "exit 0" in here.run([here.pillion, "report", work / "x.pillion"]).stdout


def test_processes_that_ran_on_are_told_so(here, one_python, work):
    program = "import os, time\nos.fork()\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: sum(range(999))"
    result = here.run([here.pillion, "record", "-q", "-d", "500ms", "-o", "x.pillion", "--", one_python.path, "-c", program],
                      cwd=work)
    assert result.returncode == 0, result.stderr
    shown = here.run([here.pillion, "report", work / "x.pillion"]).stdout
    table = shown[shown.index("\nProcesses"):]
    assert table.count("ran on") == 2 and "still running" not in shown, table[:1000]


def test_a_profile_that_somebody_changed_is_not_added_to(here, one_python, work):
    program = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: sum(range(999))"
    process = here.popen([here.pillion, "record", "-d", "0.5", "-o", "x.pillion", "--", one_python.path, "-c", program],
                         cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "samples" in process.stderr.readline()
    (work / "x.pillion").write_text("something else")
    assert process.wait(timeout=30) == 0
    assert (work / "x.pillion").read_text() == "something else"


@pytest.mark.parametrize("text, seconds", [("0.5", 0.5), (".5s", 0.5), ("500ms", 0.5)])
def test_a_duration_may_have_a_fraction_or_a_unit(here, one_python, work, text, seconds):
    program = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: sum(range(999))"
    for name, options, env in (("option", ["-d", text], {}), ("variable", [], {"PILLION_DURATION": text})):
        result = record(here, work, [*options, "-o", name], [one_python.path, "-c", program], env=env)
        assert result.returncode == 0, result.stderr
        data = recording.load(work / name).data
        assert abs((data["end_ns"] - data["start_ns"]) / 1e9 - seconds) < 0.4
        assert not recording.load(work / name).notes


@pytest.mark.parametrize("text", ["", ".", "0.5S", "-1", "1e3", "0x1", "31536001", "366d", "1,5"])
def test_what_is_no_duration_is_refused(here, work, text):
    result = record(here, work, ["-d", text, "-o", "x"], ["true"])
    assert result.returncode == 2 and "a time from 0 to" in result.stderr, result
    assert len(result.stderr.splitlines()) == 1


LEAVES_A_CHILD = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', %r], stdout=-3, stderr=-3)\n" % (
    "import os, time\nend = time.monotonic() + 2\n"
    "while time.monotonic() < end and not os.path.exists('stop'): sum(range(999))\nopen('ended', 'w')")


def test_a_child_left_behind_is_told(here, one_python, work):
    result = record(here, work, ["-o", "x"],
                    [one_python.path, "-c", LEAVES_A_CHILD.replace("+ 2", "+ 60") + "import time; time.sleep(0.5)"])
    assert not (work / "ended").exists()
    assert result.returncode == 0 and "1 process was left behind" in result.stderr and "--wait" in result.stderr
    (work / "stop").touch()
    recording.wait_for((work / "ended").exists)


def test_wait_goes_on_until_all_have_ended(here, one_python, work):
    result = record(here, work, ["--wait", "-o", "x"],
                    [one_python.path, "-c", LEAVES_A_CHILD + "raise SystemExit(7)"])
    assert (work / "ended").exists()
    assert result.returncode == 7 and "left behind" not in result.stderr, result
    profile = recording.load(work / "x")
    child = max(profile.processes, key=lambda p: p["end_ns"])
    assert profile.data["complete"] and child["end_ns"] - child["start_ns"] > 1.5e9


def test_a_signal_ends_waiting(here, one_python, work):
    process = here.popen([here.pillion, "record", "--wait", "-o", "x.pillion", "--", one_python.path, "-c",
                          LEAVES_A_CHILD.replace("+ 2", "+ 40") + "import os\nprint(os.getpid(), flush=True)\nraise SystemExit(7)"],
                         cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # It has its number until the end.
    status = pathlib.Path("/proc/%s/status" % process.stdout.readline().strip())
    recording.wait_for(lambda: "State:\tZ" in status.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 7 and not (work / "ended").exists()
    (work / "stop").touch()
    recording.wait_for((work / "ended").exists)
    process.stdout.close(), process.stderr.close()
    assert recording.load(work / "x.pillion").data["complete"]


def test_a_daemon_left_behind_does_not_keep_record(here, one_python, work):
    program = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    devnull = os.open(os.devnull, os.O_RDWR)
    for fd in range(3): os.dup2(devnull, fd)
    end = time.monotonic() + 8
    while time.monotonic() < end and not os.path.exists('stop'): time.sleep(0.05)
    open('daemon-ended', 'w').close()
    os._exit(0)
""" + BURN
    result = record(here, work, ["-o", "x.pillion"], [one_python.path, "-c", program])
    assert result.returncode == 0 and not (work / "daemon-ended").exists(), result
    assert recording.load(work / "x.pillion").data["complete"]
    (work / "stop").touch()
    recording.wait_for(lambda: (work / "daemon-ended").exists())


def test_without_subprocesses(here, one_python, work):
    program = "import subprocess, sys\n%ssubprocess.check_call([sys.executable, '-c', %r])" % (BURN, BURN)
    record(here, work, ["-q", "-o", "one"], [one_python.path, "-c", program])
    record(here, work, ["-q", "--no-subprocesses", "-o", "other"], [one_python.path, "-c", program])
    assert len(recording.load(work / "one").processes) == 2
    assert len(recording.load(work / "other").processes) == 1


@pytest.mark.parametrize("word", ["0", "off", "No"])
def test_without_subprocesses_by_the_environment(here, one_python, work, word):
    """As with the option it is about the command: one that only starts Python is not recorded."""
    env = {"PILLION_SUBPROCESSES": word}
    program = "import subprocess, sys\n%ssubprocess.check_call([sys.executable, '-c', %r])" % (BURN, BURN)
    record(here, work, ["-q", "-o", "one"], [one_python.path, "-c", program], env=env)
    assert len(recording.load(work / "one").processes) == 1
    result = record(here, work, ["-q", "-o", "none"], ["sh", "-c", '"$1" -c pass; exit 3', "sh", one_python.path], env=env)
    assert result.returncode == 3 and "nothing was recorded" in result.stderr


# ------------------------------------------------------------------ collect

@pytest.mark.parametrize("kind", ["abstract", "path"])
def test_collect_serves_who_says_hello(here, one_python, work, kind):
    address = "@pillion-test-%d" % os.getpid() if kind == "abstract" else str(work / "socket")
    process = recording.collect(here, address, "all.pillion", cwd=work)
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": address}
    for _ in range(2):
        result = here.run([one_python.path, "-c", BURN + "print('ran')"], cwd=work, env=env)
        assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, ""), err
    profile = recording.load(work / "all.pillion")
    assert len(profile.processes) == 2 and profile.data["complete"]
    assert sorted(os.listdir(str(work))) == ["all.pillion"]


UNTIL_STOPPED = """
import os, time
end = time.monotonic() + 90
while not os.path.exists('stop') and time.monotonic() < end: time.sleep(0.01)
"""


def fill(pipe):
    """Who writes to it next has to wait until somebody reads."""
    own = os.open("/proc/self/fd/%d" % pipe, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(own, bytes(4096))
    os.close(own)


def is_complete(path):
    """Nor is one that has no header yet."""
    with contextlib.suppress(AssertionError):
        return recording.load(path).data["complete"]


@pytest.mark.parametrize("kind", ["abstract", "path"])
def test_the_place_of_a_collector_that_is_ending_is_free(here, one_python, work, kind):
    """Here it ends when somebody reads what it says. Programs that begin meanwhile are the next one's, and
    its end does that one no harm."""
    address = "@pillion-next-%d" % os.getpid() if kind == "abstract" else str(work / "socket")
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": address}
    target = [one_python.path, "-c", UNTIL_STOPPED]
    read_end, write_end = os.pipe()
    first = here.popen([here.pillion, "collect", "--listen", address, "-o", "first.pillion"], cwd=work, stderr=write_end)
    with os.fdopen(read_end, errors="replace") as said:
        assert "listening" in said.readline()
        targets = [here.popen(target, cwd=work, env=env)]
        assert "recording into" in said.readline()
        fill(write_end)
        os.close(write_end)
        first.send_signal(signal.SIGTERM)
        recording.wait_for(lambda: is_complete(work / "first.pillion"))
        targets.append(here.popen(target, cwd=work, env=env))
        second = recording.collect(here, address, "second.pillion", cwd=work)
        recording.wait_for((work / "second.pillion").exists)
        assert first.poll() is None
        assert "of 1 process" in said.read()
    assert first.wait(timeout=60) == 0
    assert here.run([one_python.path, "-c", "pass"], cwd=work, env=env).returncode == 0
    (work / "stop").touch()
    assert [target.wait(timeout=60) for target in targets] == [0, 0]
    second.send_signal(signal.SIGTERM)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0 and "of 2 processes" in err, err
    assert targets[1].pid in {p["pid"] for p in recording.load(work / "second.pillion").processes}
    assert sorted(os.listdir(str(work))) == ["first.pillion", "second.pillion", "stop"]


def has_unblocked(pid, signo):
    with open("/proc/%d/status" % pid) as f:
        blocked = next(line for line in f if line.startswith("SigBlk"))
    return not int(blocked.split()[1], 16) >> (signo - 1) & 1


def test_a_signal_while_it_ends_by_itself_is_the_first(here, one_python, work):
    """As the one of a container that ends with its first process: the profile is written whole."""
    address = str(work / "socket")
    process = recording.collect(here, address, work / "all.pillion", "-d", "0.3")
    target = here.popen([one_python.path, "-c", "import ssl, sqlite3\n" + BURN.replace("0.2", "1")],
                        env={"LD_PRELOAD": here.library, "PILLION_SOCKET": address})
    while process.poll() is None and not has_unblocked(process.pid, signal.SIGTERM):
        pass
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    profile = recording.load(work / "all.pillion")
    assert profile.data["complete"] and profile.data["symbolized"]
    assert target.wait(timeout=60) == 0


def test_collect_refuses_an_address_in_use(here, work):
    process = recording.collect(here, work / "socket", work / "x.pillion")
    second = here.run([here.pillion, "collect", "--listen", work / "socket"])
    assert second.returncode == 1 and len(second.stderr.splitlines()) == 1 and "in use" in second.stderr
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "no process said hello" in err


@pytest.mark.parametrize("name", ["no/such/x", "no/such/%p", "there", "there/x", "%q", "-"])
def test_collect_refuses_a_name_that_cannot_be_used_at_once(here, work, name):
    (work / "there").write_text("precious")
    result = here.run([here.pillion, "collect", "--listen", work / "socket", "-o", name], cwd=work, timeout=60)
    line, = result.stderr.splitlines()
    assert result.returncode == 1 and "listening" not in line
    assert os.listdir(str(work)) == ["there"] and (work / "there").read_text() == "precious"
    if "%p" not in name:
        assert record(here, work, ["-o", name], ["true"]).stderr == result.stderr


@pytest.mark.parametrize("options", [[], ["--listen"], ["--listen", "here"], ["--inherit", "0"],
                                     ["--listen", "@x", "--inherit", "3"], ["--listen", "@x", "operand"]])
def test_collect_says_what_is_wrong_with_its_options(here, work, options):
    result = here.run([here.pillion, "collect", *options], cwd=work)
    assert result.returncode in (1, 2) and len(result.stderr.splitlines()) == 1, result
    assert not os.listdir(str(work))


# ------------------------------------------------------------------ the frame

VERBS = ["record", "report", "html", "annotate", "diff", "stat", "merge", "export", "info", "collect", "ctl", "env"]


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"], *([v, "--help"] for v in VERBS)],
                         ids=" ".join)
def test_help_fits_a_screen(here, argv):
    result = here.run([here.pillion, *argv])
    lines = result.stdout.splitlines()
    assert result.returncode == 0 and result.stderr == ""
    assert 5 < len(lines) <= 24, "\n".join(lines)
    assert max(map(len, lines)) <= 80, "\n".join(lines)
    assert "xamples" in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_what_the_help_leaves_out_is_named_and_shown_when_asked_for(here, verb):
    short = here.run([here.pillion, verb, "--help"]).stdout
    whole = here.run([here.pillion, verb, "--help=all"]).stdout
    named = re.search(r"^  And +((?:--|PILLION_)[^(]*)\(--help=all\)$", short, re.M | re.S)
    for name in named.group(1).split() if named else []:
        assert re.search(r"^  .{4}?%s\b|^  %s=" % (name, name), whole, re.M), (name, whole)
    assert "--help=all" not in whole and (named or whole == short)
    assert max(map(len, whole.splitlines())) <= 80


def test_help_is_the_same_by_every_road(here):
    expected = here.run([here.pillion, "record", "--help"]).stdout
    for argv in (["help", "record"], ["record", "-h"], ["rec", "-h"], ["help", "rec"]):
        assert here.run([here.pillion, *argv]).stdout == expected


def test_verbs_may_be_shortened_while_they_are_clear(here):
    assert here.run([here.pillion, "rec"]).returncode == 2
    assert "several" in here.run([here.pillion, "re"]).stderr
    assert here.run([here.pillion, "inf", "--help"]).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["env"], ["env", "--shell", "sh"], ["record", "--help"]],
                         ids=" ".join)
def test_what_cannot_be_printed_is_said(here, argv):
    closed = here.run(["sh", "-c", 'exec "$@" >&-', "sh", here.pillion, *argv])
    with open("/dev/full", "w") as full:
        result = here.run([here.pillion, *argv], stdout=full)
    assert result.returncode == closed.returncode == 1
    for told, why in ((result.stderr, "No space left"), (closed.stderr, "Bad file")):
        line, = told.splitlines()
        assert line.startswith("pillion: cannot write to stdout: " + why), told


def test_version(here):
    result = here.run([here.pillion, "--version"])
    assert result.returncode == 0 and re.match(r"pillion \d+\.\d+\.\d+ \(", result.stdout)


def variables_of_the_table():
    text = (place.REPO / "include/pillion/env.h").read_text()
    return re.findall(r'X\(\w+, "(PILLION_\w+)", (\w+),', text)


def test_env_lists_every_variable_and_no_secret(here):
    for argv in (["env"], ["env", "--help"]):
        out = here.run([here.pillion, *argv]).stdout
        for name, kind in variables_of_the_table():
            assert (name in out) == (kind != "SECRET"), name
