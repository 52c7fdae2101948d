# SPDX-License-Identifier: MIT
"""Sampling pauses when the collector asks for it or goes silent, and goes on afterwards."""
import recording

HEAD = """
import ctypes, os, signal, threading, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
"""


def test_what_a_thread_does_after_the_end_of_sampling_is_nobodys(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", HEAD + "in_thread(lambda: burn(2))"], work,
                                     options=["--duration", "1"])
    assert 0.3e9 <= profile.total("cpu_ns") <= 1.2e9


def test_threads_that_started_meanwhile_are_sampled_when_the_collector_is_back(one_python, work):
    """Silent for longer than the library waits; it also steps aside and comes back meanwhile."""
    profile, _ = recording.record_ok(one_python, ["-c", HEAD + """
def meanwhile():
    back.wait()
    time.sleep(0.5)
    burn(1)
back = threading.Event()
os.kill(os.getppid(), signal.SIGSTOP)
time.sleep(6)
ctypes.CDLL(None).unshare(0)  # what makes the sampling thread step aside
thread = threading.Thread(target=meanwhile)
thread.start()
time.sleep(0.2)
os.kill(os.getppid(), signal.SIGCONT)
back.set()
thread.join()
burn(0.5)
"""], work)
    for function, seconds in (("meanwhile", 1), ("burn", 1.5)):
        cpu = profile.total("cpu_ns", profile.calling(function)) / 1e9
        assert 0.85 * seconds <= cpu <= 1.1 * seconds, function
