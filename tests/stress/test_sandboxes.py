# SPDX-License-Identifier: MIT
"""Programs that shut themselves in while they are sampled: another root, another user, filters, no terminal."""
import os

import place
import pytest
import recording
from prelude import PRELUDE

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


def skip_unless_allowed(where, *command):
    result = where.run(command)
    if result.returncode:
        pytest.skip("not allowed here: " + result.stderr[-200:])


@needs_root
def test_another_root_directory_ends_nothing(python, work, record_property):
    """There is no /proc there: who runs is seen by its timer, also a thread that starts now."""
    (work / "root").mkdir()
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
wait_until(is_sampling)
burn(0.2)
os.chroot(sys.argv[1])
def afterwards(): burn(0.5)
start(afterwards).join()
time.sleep(0.5)
burn(0.2)
print(os.listdir('/'), is_sampling())
""", work / "root"], work)
    assert out == "[] True\n"
    burned = profile.total("cpu_ns", profile.calling("burn")) / 1e9
    record_property("figure", "%.2f s of 0.9 s sampled" % burned)
    assert burned >= 0.8
    assert profile.total("cpu_ns", profile.calling("afterwards")) >= 0.4e9


@needs_root
@pytest.mark.parametrize("rate", [100, 1000])
def test_who_becomes_another_user_stays_in_the_profile_with_its_children(python, work, rate, record_property):
    """As servers do once they listen. Its /proc files are root's from then on, and say who runs no more, as is asked
    before a signal is sent at rates above the kernel's tick."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
wait_until(is_sampling)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
def as_nobody(): burn(0.4)
start(as_nobody).join()
pid = os.fork()
if not pid:
    def in_child(): burn(0.4)
    in_child()
    os._exit(7)
print(os.waitpid(pid, 0)[1] >> 8, os.getresuid())
"""], work, options=["-F", str(rate)])
    assert out == "7 (65534, 65534, 65534)\n"
    seconds = [profile.total("cpu_ns", profile.calling(name)) / 1e9 for name in ("as_nobody", "in_child")]
    record_property("figure", "%.2f and %.2f s of 0.4 s sampled" % tuple(seconds))
    assert min(seconds) >= 0.35


FILTER = """
import struct
def statement(code, value, if_true=0, if_false=0):
    return struct.pack('<HBBI', code, if_true, if_false, value)
def forbid(numbers, result):
    code = statement(0x20, 0)  # the number of the call
    for number in numbers:
        code += statement(0x15, number, 0, 1) + statement(0x06, result)
    code += statement(0x06, 0x7fff0000)
    held = ctypes.create_string_buffer(code)
    program = struct.pack('<HxxxxxxQ', len(code) // 8, ctypes.addressof(held))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.syscall(317, 1, 1, program) == 0  # seccomp(SET_MODE_FILTER, TSYNC): every thread, ours too
"""
# socket, connect, bind, listen, socketpair, fork, vfork, execve, ptrace, memfd_create, execveat
AT_THE_START = (41, 42, 49, 50, 53, 57, 58, 59, 101, 319, 322)
# pread64, process_vm_readv, rt_tgsigqueueinfo, timer_create
IN_BETWEEN = (17, 310, 297, 222)


@pytest.mark.parametrize("result", ["killed", "refused"])
def test_a_filter_that_a_program_puts_on_itself_is_not_run_into(python, work, result, record_property):
    """
    What only a start needs (a socket, a process, shared memory, a program) is not asked for
    again: a filter that kills is survived. Calls that each sample or thread needs, it may refuse.
    """
    numbers = AT_THE_START if result == "killed" else AT_THE_START + IN_BETWEEN
    profile, out = recording.record_ok(python, ["-c", PRELUDE + FILTER + """
wait_until(is_sampling)
forbid(%r, %d)
def filtered(): burn(0.4)
for t in [start(filtered) for i in range(2)]: t.join()
time.sleep(0.3)
print('done')
""" % (numbers, {"killed": 0x80000000, "refused": 0x00050001}[result])], work, options=["-F", "1000"])
    assert out == "done\n"
    sampled = profile.total("cpu_ns", profile.calling("filtered")) / 1e9
    stated = sum(t["unsampled_cpu_ns"] for t in profile.threads) / 1e9
    record_property("figure", "%.2f s of 0.8 s sampled, %.2f s stated" % (sampled, stated))
    assert sampled + stated >= 0.75
    assert result == "refused" or sampled >= 0.7


DAEMON = PRELUDE + """
def daemon():
    burn(0.4)
    with open(sys.argv[1], 'w') as f:
        f.write('%d %d' % (os.getppid() != parent, os.getpid()))
parent = os.getpid()
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir('/')
os.umask(0)
os.closerange(0, 65536)
for i in range(3):
    os.open('/dev/null', os.O_RDWR)
daemon()
os._exit(3)
"""


def test_a_daemon_forked_twice_with_all_files_closed_is_in_the_profile(python, work):
    profile, _ = recording.record_ok(python, ["-c", DAEMON, work / "daemon"], work, options=["--wait"])
    orphaned, pid = (work / "daemon").read_text().split()
    assert orphaned == "1"
    assert int(pid) in [p["pid"] for p in profile.processes]
    assert profile.total("cpu_ns", profile.calling("daemon")) >= 0.35e9


@needs_root
def test_a_thread_number_that_is_used_again_is_another_thread(python, work, times, record_property):
    """Samples that are sent by number, to threads which all have the same one."""
    where, path = place.of(python), work / "out.pillion"
    skip_unless_allowed(where, *NAMESPACES, "sh", "-c", "echo 20000 >/proc/sys/kernel/ns_last_pid")
    rounds = 40 * times
    program = PRELUDE + """
mine = []
def short():
    mine.append(threading.get_native_id())
    burn(0.03)
for i in range(%d):
    with open('/proc/sys/kernel/ns_last_pid', 'w') as f:
        f.write('20000')
    start(short).join()
print(len(mine), len(set(mine)))
""" % rounds
    result = where.run([where.pillion, "record", "-F", "1000", "-o", path, "--", *NAMESPACES, python.path, "-c", program],
                       timeout=60)
    assert result.returncode == 0, result.stderr
    threads, numbers = map(int, result.stdout.split())
    profile = recording.load(path)
    known = [t for t in profile.threads if not t["is_main"]]
    record_property("figure", "%d threads under %d numbers, %d told apart" % (threads, numbers, len(known)))
    assert numbers <= threads / 4 and len(known) >= threads
    own = profile.by_thread("cpu_ns")
    burned = [own[i] for i, t in enumerate(profile.threads) if not t["is_main"]]
    # None has a sample of its predecessor: they are all alike, but for the periods that a sample stands for.
    assert max(burned) <= 0.045e9 and sum(burned) >= 0.5 * threads * 0.03e9, burned


def listing(directory):
    return sorted(os.listdir(directory))


def test_nothing_is_left_behind_by_a_program_and_a_collector_that_are_killed(python, work):
    places = ["/dev/shm", "/tmp", str(work)]
    where, path = place.of(python), work / "out.pillion"
    before = {p: set(listing(p)) for p in places}
    program = PRELUDE + "wait_until(is_sampling)\nburn(0.1)\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)"
    where.run([where.pillion, "record", "-o", path, "--", python.path, "-c", program], cwd=work)
    ours = {p: [n for n in set(listing(p)) - before[p] if "pillion" in n] for p in places}
    assert ours == {"/dev/shm": [], "/tmp": [], str(work): ["out.pillion"]}


@needs_root
def test_a_small_dev_shm_is_no_matter(python, work):
    """64 KiB, as in containers; a file there that cannot grow would end who writes to it (SIGBUS)."""
    where, path = place.of(python), work / "out.pillion"
    program = PRELUDE + "burn(0.3)\nprint(os.statvfs('/dev/shm').f_blocks * 4 <= 64)"
    small = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"', "sh"]
    skip_unless_allowed(where, *small, "true")
    result = where.run([*small, where.pillion, "record", "-q", "-o", path, "--", python.path, "-c", program])
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr
    assert recording.load(path).total("cpu_ns") >= 0.25e9
