# SPDX-License-Identifier: MIT
"""However threads end, the process ends when it would without us, and no CPU time is lost."""
import place
import pytest
import recording
from prelude import PRELUDE


def run(python, program, directory):
    recorded = recording.record(python, ["-c", PRELUDE + program], directory, timeout=60)
    assert recorded.returncode == 0, recorded.stderr
    return recorded.load(), recorded.stdout


def test_a_process_ends_with_its_last_thread(python, work):
    """The first thread leaves early; what C code prints at exit still comes."""
    profile, out = run(python, """
def last():
    burn()
    libc.printf(b'written at exit')
start(last)
libc.pthread_exit(None)
""", work)
    assert out == "written at exit"
    last = [s for s in profile.samples if not profile.thread(s)["is_main"]]
    assert abs(profile.total("cpu_ns", last) - 0.3e9) <= 0.04e9


def test_a_process_ends_when_its_last_thread_is_cancelled(python, work):
    run(python, """
def last():
    wait_until(lambda: ') Z ' in task(os.getpid(), 'stat'))
    libc.pthread_cancel(ctypes.c_ulong(threading.get_ident()))
    libc.pthread_testcancel()
start(last)
libc.pthread_exit(None)
""", work)


@pytest.mark.full
def test_a_process_without_its_first_thread_is_read_like_any_other(interpreter, work):
    """The kernel says that its memory is gone, to who asks by the number of the process."""
    profile, _ = run(interpreter, """
def last():
    wait_until(lambda: ') Z ' in task(os.getpid(), 'stat'))
    start(waits)
    burn()
def waits():
    time.sleep(0.2)
start(last)
libc.pthread_exit(None)
""", work)
    assert profile.total("offcpu_ns", profile.calling("waits")) >= 0.15e9
    assert abs(profile.total("cpu_ns", profile.calling("burn")) - 0.3e9) <= 0.04e9
    assert not [s for s in profile.samples if s.flags & recording.FLAG_PYTHON_FAILED]


@pytest.mark.full
def test_a_child_ends_with_the_thread_that_forked_it(interpreter, work):
    """The thread's function returns in the child; another one of the child goes on."""
    profile, out = run(interpreter, """
import warnings
warnings.simplefilter('ignore')
def goes_on():
    burn(0.05)
    sampled.set()
    burn(0.25)
def forks():
    pid = os.fork()
    if not pid:
        start(goes_on)
        sampled.wait()
        return
    print(os.waitpid(pid, 0)[1])
sampled = threading.Event()
start(forks).join()
""", work)
    assert out == "0\n"
    assert abs(profile.total("cpu_ns", profile.calling("goes_on")) - 0.3e9) <= 0.04e9


@pytest.mark.full
@pytest.mark.parametrize("how", ["syscall(57)", "_Fork()"])
@pytest.mark.parametrize("what", [
    "libc.exit(0)", "start(burn).join()", "libc.fopen(b'/proc/self/stat', b'r')", "libc.unshare(0)"])
def test_a_child_that_no_fork_handler_ran_in_lives(python, work, how, what):
    _, out = run(python, """
pid = libc.%s
if not pid:
    %s
    os._exit(0)
print(os.waitpid(pid, 0)[1])
""" % (how, what), work)
    assert out == "0\n"


@pytest.mark.full
def test_threads_that_step_aside_at_once_all_come_back(python, work, times):
    """Without the GIL, so that the calls really overlap; each must not see a second thread."""
    profile, out = run(python, """
def unshares():
    end = time.time() + %d
    while time.time() < end:
        libc.unshare(0)
threads = [start(unshares) for i in range(4)]
for t in threads:
    t.join()
burn()
print('done')
""" % times, work)
    assert out == "done\n"
    assert profile.total("cpu_ns", profile.calling("burn")) >= 0.25e9


@pytest.mark.parametrize("name, kind", [("uts", 0x04000000), ("time", 0x80)])
def test_after_setns_sampling_goes_on(python, work, name, kind):
    """Of CPU time by the timers, of waits by the sampling thread, which had stepped aside."""
    enter = """
namespace = open('/proc/self/ns/%s')
print({libc.setns(namespace.fileno(), %d) for i in range(20)})
""" % (name, kind)
    if place.of(python).run([python.path, "-c", PRELUDE + enter]).stdout != "{0}\n":
        pytest.skip("setns() is not allowed here, or there is no such namespace")
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
def before(): burn(0.3)
def after(): burn(0.3)
def waits(): time.sleep(0.3)
wait_until(is_sampling)
before()""" + enter + """
print(is_sampling())
after()
waits()
"""], work)
    assert out == "{0}\nTrue\n"
    for function in ("before", "after"):
        assert profile.total("cpu_ns", profile.calling(function)) >= 0.28e9
    assert profile.total("offcpu_ns", profile.calling("waits")) >= 0.28e9


def test_a_cancelled_thread_keeps_what_its_samples_have_not_taken(python, work):
    """It blocks all signals before, and no word of its own tells of its end."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
def cancelled():
    burn(0.2)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    burn(0.4)
    waits.set()
    libc.pause()
waits = threading.Event()
wait_until(is_sampling)
thread = start(cancelled)
waits.wait()
time.sleep(0.1)
libc.pthread_cancel(ctypes.c_void_p(thread.ident))
wait_until(lambda: str(thread.native_id) not in os.listdir('/proc/self/task'))
time.sleep(0.3)
print('done', flush=True)
os._exit(0)
"""], work, options=["-F", "1000"])
    assert out == "done\n"
    thread, = (t for t in profile.threads if not t["is_main"])
    assert thread["unsampled_cpu_ns"] < 0.05e9, thread
    assert profile.total("cpu_ns", profile.calling("cancelled")) >= 0.55e9
