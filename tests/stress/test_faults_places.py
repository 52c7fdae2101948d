# SPDX-License-Identifier: MIT
"""Nothing is written but the profile, where it was asked for, for its owner's eyes alone; and
only those who may are let in at the collector's socket."""
import array
import mmap
import os
import re
import shutil
import socket
import struct
import subprocess

import place
import pytest
import recording
import segment
from prelude import PRELUDE
from test_faults import collect, finish, wait_for

BURN = PRELUDE + "burn(0.2)\nprint('whole')"
NOBODY = 65534
EXECUTABLE = 512  # in the segment, as wire.h asserts


def mode(path):
    return path.stat().st_mode & 0o7777


# ---------------------------------------------------------------------- files

@pytest.mark.parametrize("alone", [False, True], ids=["record", "environment"])
def test_a_profile_is_its_owners_alone(here, one_python, work, alone):
    path = work / "x.pillion"
    argv = [one_python.path, "-c", BURN]
    if alone:
        result = here.run(argv, env=here.preload(path))
        wait_for(path.exists, "no profile")
    else:
        result = here.run([here.pillion, "record", "-o", path, "--", *argv])
    assert (result.returncode, result.stdout) == (0, "whole\n")
    assert mode(path) == 0o600


def test_a_link_where_the_profile_should_be_is_not_written_through(here, one_python, work):
    precious, link = work / "precious", work / "x.pillion"
    precious.write_text("as it was")
    link.symlink_to(precious)
    argv = [one_python.path, "-c", BURN]
    for options in ([], ["--force"]):
        result = here.run([here.pillion, "record", *options, "-o", link, "--", *argv])
        assert result.returncode == 125 and "x.pillion" in result.stderr, result.stderr
    result = here.run(argv, env=here.preload(link))
    assert (result.returncode, result.stdout, result.stderr) == (0, "whole\n", "")
    wait_for((work / "x.2.pillion").exists, "no profile beside it")
    assert link.is_symlink() and precious.read_text() == "as it was"


WRITING = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(?:open|openat|openat2|creat|mkdir|mkdirat|rename\w*|link\w*|symlink\w*"
                     r"|unlink\w*|truncate|mknod\w*|chmod|fchmodat\w*)\((.*)")


def written(log):
    """Paths that were opened for writing, made or removed."""
    paths = set()
    for line in log.read_text(errors="replace").splitlines():
        call = WRITING.match(line)
        if not call or " = -1 " in line:
            continue
        if re.match(r"^(?:\S+ +)?open", line) and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", line):
            continue
        paths.update(re.findall(r'"((?:[^"\\]|\\.)*)"', call[1]))
    return {p for p in paths if not p.startswith(("/dev/null", "/dev/tty", "/proc/self/", "/proc/thread-self/"))}


@pytest.mark.full
@pytest.mark.parametrize("alone", [False, True], ids=["record", "environment"])
def test_nothing_else_is_written(here, one_python, work, alone):
    """By the program, the library in it, the collector and its workers: as strace sees them."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    if here.run(["strace", "-f", "-o", "/dev/null", "true"]).returncode:
        pytest.skip("strace may not trace here")
    (work / "out").mkdir()
    path, log = work / "out" / "x.pillion", work / "strace.log"
    argv = [one_python.path, "-B", "-c", PRELUDE + "import json, subprocess\nburn(0.3)\n"
            "subprocess.check_call([sys.executable, '-B', '-c', 'sum(range(10**6))'])"]
    argv = argv if alone else [here.pillion, "record", "-o", path, "--", *argv]
    trace = ["strace", "-f", "-e", "trace=%file", "-o", log, *argv]
    result = here.run(trace, cwd=work, env=here.preload(path) if alone else {"PYTHONDONTWRITEBYTECODE": "1"})
    assert result.returncode == 0, result.stderr
    assert recording.load(path).samples
    assert written(log) == {str(path)}


# --------------------------------------------------------------------- the socket

def hello_of(python, work):
    """A program that says hello to us: its message, its memory (an fd), and it."""
    where = place.of(python)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(work / "ours"))
        listener.listen()
        listener.settimeout(20)
        process = where.popen([python.path, "-c", PRELUDE + "burn(0.3)\ntime.sleep(30)"], stderr=subprocess.DEVNULL,
                              env={"LD_PRELOAD": where.library, "PILLION_SOCKET": work / "ours"})
        connection, _ = listener.accept()
        with connection:
            message, control, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
    return process, message, array.array("i", control[0][2])[0]


def say(address, message, fd):
    """Returns the status of the answer, and its text."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(20)
        connection.connect(str(address))
        connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        answer = connection.recv(512)
    status, = struct.unpack_from("<i", answer, 8)
    return status, answer[12:].split(b"\0")[0].decode()


def test_a_program_cannot_choose_where_its_profile_goes_by_its_name(here, one_python, work):
    """It says what it is called; the profile's name has %e in it, its place has not."""
    (work / "out").mkdir()
    collector = collect(here, work / "socket", "%e.%p.pillion", cwd=work / "out")
    process, message, fd = hello_of(one_python, work)
    try:
        with mmap.mmap(fd, 0) as memory:
            name = b"../../../../../../../../../%s/evil/../" % str(work).encode().lstrip(b"/")
            memory[EXECUTABLE:EXECUTABLE + 256] = name.ljust(256, b"\0")
            segment.stay_alive(memory)
        assert say(work / "socket", message, fd) == (0, "")
    finally:
        os.close(fd)
        process.kill()
        process.wait()
    finish(collector)
    made, = (work / "out").iterdir()
    assert made.name.endswith(".pillion") and mode(made) == 0o600
    assert sorted(p.name for p in work.iterdir()) == ["ours", "out"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_another_user_is_not_let_in(here, one_python, work):
    """The kernel says who is there: a collector of nobody's takes nobody and root, and no third."""
    os.chmod(work, 0o777)
    result = here.run(["setpriv", "--reuid=%d" % NOBODY, "--clear-groups", here.pillion, "--version"])
    if result.returncode:
        pytest.skip("another user cannot run what is under test: %s" % result.stderr)
    where = place.of(one_python)
    collector = collect(here, "@pillion-test-%d" % os.getpid(), work / "x.pillion")
    env = {"LD_PRELOAD": where.library, "PILLION_SOCKET": "@pillion-test-%d" % os.getpid(), "PILLION_LOG": "error"}
    stranger = where.run(["setpriv", "--reuid=%d" % NOBODY, "--clear-groups", one_python.path, "-c", BURN], env=env)
    assert (stranger.returncode, stranger.stdout) == (0, "whole\n")
    assert "not invited" in stranger.stderr
    friend = where.run([one_python.path, "-c", BURN], env=env)
    assert (friend.returncode, friend.stdout, friend.stderr) == (0, "whole\n", "")
    said = finish(collector)
    profile = recording.load(work / "x.pillion")
    assert len(profile.processes) == 1 and "not invited" in said


def test_a_token_that_is_not_ours_is_refused(here, one_python, work):
    """A collector that has a token asks for it, and not for the user."""
    collector = collect(here, work / "socket", work / "x.pillion", env={"PILLION_TOKEN": "ab" * 16})
    process, message, fd = hello_of(one_python, work)
    try:
        status, why = say(work / "socket", message, fd)
        assert status < 0 and "not invited" in why
        right = message[:8] + b"\xab" * 16 + message[24:]
        assert say(work / "socket", right, fd)[0] == 0
    finally:
        os.close(fd)
        process.kill()
        process.wait()
    finish(collector)
    assert recording.load(work / "x.pillion").data["complete"]


def test_who_says_something_else_is_told_who_it_was(here, work):
    collector = collect(here, work / "socket", work / "x.pillion")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(20)
        connection.connect(str(work / "socket"))
        connection.send(b"GET")
        answer = connection.recv(512)
    told = "process %d sent 3 bytes that are no hello" % os.getpid()
    assert told in answer[12:].decode() and told in finish(collector)
    assert not (work / "x.pillion").exists()
