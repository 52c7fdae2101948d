# SPDX-License-Identifier: MIT
"""More processes, or containers, than a collector has descriptors: all are recorded, what was short is
told, and what ended holds nothing."""
import json
import os
import pathlib
import re
import subprocess

import place
import pytest
import recording
from prelude import PRELUDE
from recording import finish
from test_faults import wait_for

PATIENCE = 60  # seconds: generous, on a machine that has other work

# All are there at once, each with a wall of its own where that is asked for.
CROWD = PRELUDE + """
count, own_mounts = int(sys.argv[1]), sys.argv[2] == 'own mounts'
go, went = os.pipe()
pids = []
for i in range(count):
    assert not own_mounts or libc.unshare(0x20000) == 0  # CLONE_NEWNS
    pid = os.fork()
    if not pid:
        os.close(went)
        os.read(go, 1)
        os._exit(7)
    pids.append(pid)
print('there', flush=True)
input()
os.close(went)
print(all(os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 7 for pid in pids))
"""


def address(work):
    """Files are not the same everywhere."""
    return "@pillion-%d-%s" % (os.getpid(), work.name)


def collect(where, work, descriptors):
    """descriptors: how many it may have."""
    return recording.collect(where, address(work), work / "x.pillion",
                             wrap=["sh", "-c", 'ulimit -n "$0" && exec "$@"', descriptors])


def start(where, python, work, program, *arguments, wrap=(), **environment):
    return where.popen([*wrap, python.path, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={"LD_PRELOAD": where.library, "PILLION_SOCKET": address(work), "PILLION_LOG": "error",
                            **environment})


def descriptors_of(process):
    return len(os.listdir("/proc/%d/fd" % process.pid))


@pytest.fixture
def own_mounts():
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"]).returncode:
        pytest.skip("mount namespaces are not allowed here")


def let_in_and_out(here, python, work, count, kind):
    """Returns the profile, and the collector's last words."""
    path, collector = work / "x.pillion", collect(here, work, 64)
    crowd = start(here, python, work, CROWD, count, kind)
    assert crowd.stdout.readline() == "there\n"
    wait_for(lambda: len(recording.load(path).processes) == count + 1, "not all were let in", PATIENCE)
    assert descriptors_of(collector) < 64
    out, err = crowd.communicate("\n", timeout=PATIENCE)
    assert (crowd.returncode, out, err) == (0, "True\n", "")
    wait_for(lambda: all(p["end_ns"] for p in recording.load(path).processes), "their end is not seen", PATIENCE)
    said = finish(collector)
    assert collector.returncode == 0, said
    return recording.load(path), said


def test_more_processes_at_once_than_descriptors(here, one_python, work, times, record_property):
    profile, said = let_in_and_out(here, one_python, work, 200 if times > 1 else 100, "our mounts")
    assert profile.data["complete"] and profile.data["symbolized"]
    assert "refused" not in " ".join(profile.notes) and "could not" not in said and "ulimit" not in said
    record_property("figure", "%d processes by 64 descriptors" % len(profile.processes))


def test_more_containers_at_once_than_descriptors(here, one_python, work, own_mounts, record_property):
    """All are recorded; those whose files could not be kept in reach are counted."""
    profile, said = let_in_and_out(here, one_python, work, 80, "own mounts")
    assert profile.data["complete"] and "refused" not in " ".join(profile.notes)
    told = re.search(r"(\d+) processes have native frames without names: .*ulimit -n", said)
    assert told and 20 <= int(told[1]) <= 80, said
    record_property("figure", "80 containers by 64 descriptors, %s of them without names" % told[1])
    info = json.loads(here.run([here.pillion, "info", "--json", work / "x.pillion"]).stdout)
    note, = (n for n in profile.notes if "without names" in n)
    assert note.startswith(told[1] + " processes") and note in json.dumps(info)


# In an image of its own, as of a container: its /opt has a file that nobody else sees.
IMAGE = """
mount --make-rprivate / && mount -t tmpfs layers "$0" && cd "$0" && mkdir upper work root
mount -t overlay image -o lowerdir=/,upperdir=upper,workdir=work root && cd root
mkdir -p opt && cp "$1" opt && mount --rbind /dev dev && mount -t proc proc proc
shift
exec chroot . "$@"
"""
# Each child is in a mount namespace of its own.
SHORT = PRELUDE + """
sys.path.insert(0, '/opt')
import callback_ext
for i in range(int(sys.argv[1])):
    assert libc.unshare(0x20000) == 0
    pid = os.fork()
    if not pid:
        callback_ext.burn(0.03)
        os._exit(0)
    os.waitpid(pid, 0)
    print('one more', flush=True)
    input()
"""


def test_containers_that_have_ended_hold_no_descriptor(here, one_python, work, own_mounts, times, record_property):
    if not place.has_headers(one_python):
        pytest.skip("no headers of %s" % one_python)
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        pytest.skip("needs overlayfs")
    count, layers = 60 * times, work / "layers"
    layers.mkdir()
    extension = pathlib.Path(place.build_extension(one_python, "callback_ext")) / "callback_ext.so"
    collector = collect(here, work, 1024)
    first = most = descriptors_of(collector)
    program = start(here, one_python, work, SHORT, count, PILLION_FREQ=250,
                    wrap=["unshare", "--mount", "sh", "-c", IMAGE, layers, extension])
    for _ in range(count):
        assert program.stdout.readline() == "one more\n", program.communicate()[1]
        # Roots of 32 at most, a file and its writer, what symbols are just read from.
        wait_for(lambda: descriptors_of(collector) <= first + 44, "descriptors are kept", PATIENCE)
        most = max(most, descriptors_of(collector))
        program.stdin.write("\n")
        program.stdin.flush()
    out, err = program.communicate(timeout=PATIENCE)
    assert (program.returncode, out, err) == (0, "", "")
    said = finish(collector)
    assert collector.returncode == 0 and not os.listdir(str(layers)), said
    assert not os.path.exists("/opt/callback_ext.so"), "the test proves nothing"
    check_names(recording.load(work / "x.pillion"), count)
    record_property("figure", "%d containers, %d descriptors at most" % (count, most - first))


def check_names(profile, count):
    """Of the children, each of which may have been over before its first sample."""
    assert profile.data["complete"] and profile.data["symbolized"] and len(profile.processes) == count + 1
    burned = set()
    for sample in profile.samples:
        process = profile.thread(sample)["process"]
        native = [f for f in sample.stack if f.module == "callback_ext.so"]
        assert not process or not [f for f in native if "+0x" in f.name], native
        if any(f.name == "burn_round" and f.line for f in native):
            burned.add(process)
    assert len(burned - {0}) >= count / 2
