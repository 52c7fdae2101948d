# SPDX-License-Identifier: MIT
"""pillion ctl: a recording is switched from outside."""
import os
import socket
import struct
import subprocess
import threading

import place
import pytest
import recording

# Burns in a function of the name that it is told, until it is told no more.
PHASES = """
import sys, time
print('up', flush=True)
for line in sys.stdin:
    space = {'time': time}
    exec('def %s():\\n end = time.thread_time() + .3\\n while time.thread_time() < end: sum(range(200))' % line.strip(), space)
    space[line.strip()]()
    print('done', flush=True)
"""


class Program:
    def __init__(self, python, work, env, argv=()):
        self.here = place.of(python)
        self.process = self.here.popen([*argv, python.path, "-c", PHASES], cwd=work, env=env, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout.readline() == "up\n"

    def phase(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def ctl(self, *words, pid=None, status=0, before=()):
        result = self.here.run([*before, self.here.pillion, "ctl", str(pid or self.process.pid), *words])
        assert result.returncode == status, result.stderr
        return result.stderr

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0


def inside(profile, name):
    return profile.total("cpu_ns", profile.calling(name)) / 1e9


def test_switched_on_and_off_and_into_a_new_file(one_python, work):
    env = dict(place.of(one_python).preload(work / "out.pillion"), PILLION_START="off")
    program = Program(one_python, work, env)
    program.phase("dormant")
    assert program.ctl("start") == ""
    program.phase("wanted")
    program.ctl("stop")
    program.phase("unwanted")
    program.ctl("start")
    program.ctl("rotate")
    program.phase("later")
    program.end()
    first, second = recording.complete(work / "out.pillion"), recording.complete(work / "out.2.pillion")
    for profile, name in ((first, "wanted"), (second, "later")):
        assert 0.25 < inside(profile, name) < 0.36
        assert not inside(profile, "dormant") and not inside(profile, "unwanted")
    assert not inside(first, "later") and not inside(second, "wanted")


def test_a_recording_by_record(here, one_python, work):
    argv = [here.pillion, "record", "-q", "--no-start", "-o", work / "out.pillion", "--"]
    program = Program(one_python, work, {}, argv)
    child, = [int(p) for p in open("/proc/%d/task/%d/children" % ((program.process.pid,) * 2)).read().split()
              if open("/proc/%s/comm" % p).read() != "bystander\n"
              and "bystander" not in open("/proc/%s/cmdline" % p).read()][:1]
    program.phase("dormant")
    program.ctl("start", pid=child)
    program.phase("wanted")
    program.end()
    profile = recording.load(work / "out.pillion")
    assert inside(profile, "wanted") > 0.25 and not inside(profile, "dormant")


BECOMES_ANOTHER = """
import os, sys, time
child = os.fork()
if not child:
    os.execvp('sleep', ['sleep', '600'])
while open('/proc/%d/comm' % child).read() != 'sleep\\n': time.sleep(.01)
print(child, flush=True)
sys.stdin.read()
os.kill(child, 9)
os.wait()
"""


def test_a_process_that_became_another_program_holds_nobody_up(here, one_python, work):
    argv = [here.pillion, "record", "-q", "--no-start", "-o", work / "out.pillion", "--"]
    program = here.popen([*argv, one_python.path, "-c", BECOMES_ANOTHER], text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    child = program.stdout.readline().strip()
    try:
        for word in ("start", "stop"):  # in all that the collector records
            result = here.run([here.pillion, "ctl", str(program.pid), word])
            assert (result.returncode, result.stderr) == (0, "")
        gone = here.run([here.pillion, "ctl", child, "start"])
        assert gone.returncode == 1 and "records process " + child in gone.stderr
    finally:
        program.communicate()
    assert program.returncode == 0 and len(recording.load(work / "out.pillion").processes) == 2


def test_who_is_not_recorded_is_told_so(here):
    result = here.run([here.pillion, "ctl", str(os.getpid()), "stop"])
    assert result.returncode == 1 and "records process %d" % os.getpid() in result.stderr


def test_nobody_else_may(here, one_python, work):
    if os.geteuid():
        pytest.skip("needs root to become somebody else")
    program = Program(one_python, work, here.preload(work / "out.pillion"))
    someone = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    said = program.ctl("stop", status=1, before=someone)
    assert "user" in said
    program.phase("wanted")
    program.end()
    assert inside(recording.complete(work / "out.pillion"), "wanted") > 0.25


QUERY, START, STOP, ROTATE = range(4)


def answer_questions(listener, answers, asked):
    """Of one process that is sampled; an answer is how many files have ended, None: no answer at all."""
    for files in answers:
        connection, _ = listener.accept()
        with connection:
            magic, _, verb, _, _ = struct.unpack("<IHHII", connection.recv(64))
            asked.append(verb)
            if files is None:
                connection.recv(64)  # nothing comes, until who asked is out of patience
            else:
                connection.send(struct.pack("<IiIIII", magic, 0, 1, 1, files, 0))


def ctl_of_a_busy_collector(here, word, answers):
    name, asked = "busy-collector-%d" % os.getpid(), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("\0" + name)
        listener.listen()
        listener.settimeout(60)
        threading.Thread(target=answer_questions, args=(listener, answers, asked), daemon=True).start()
        return here.run([here.pillion, "ctl", "--socket", "@" + name, str(os.getpid()), word]), asked


def test_a_collector_that_is_busy_is_neither_absent_nor_over(here):
    result, asked = ctl_of_a_busy_collector(here, "rotate", [None, 0, 0, None, 0, 1])
    assert (result.returncode, result.stderr) == (0, "")
    assert asked == [QUERY, QUERY, ROTATE, QUERY, QUERY, QUERY]


def test_a_collector_that_gives_no_answer_has_not_obeyed(here):
    result, asked = ctl_of_a_busy_collector(here, "stop", [0, None])
    assert result.returncode == 1 and "does not answer" in result.stderr
    assert asked == [QUERY, STOP]


@pytest.mark.parametrize("words", [[], ["12"], ["x", "start"], ["12", "jump"], ["-1", "start"]], ids=str)
def test_usage(here, words):
    result = here.run([here.pillion, "ctl", *words])
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
