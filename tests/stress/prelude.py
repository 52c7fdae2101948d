# SPDX-License-Identifier: MIT
"""What the programs under stress begin with. They wait for conditions, never for long."""

PRELUDE = """
import ctypes, os, resource, signal, sys, threading, time
libc = ctypes.CDLL(None)
SIGSTKFLT = 16  # the one that samples use; signal has it from 3.11 on
def burn(seconds=0.3):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, 'it did not happen'
        time.sleep(0.01)
def is_sampling():
    return bool(libc.pillion_is_sampling())
def task(tid, name):
    with open('/proc/self/task/%d/%s' % (tid, name)) as f:
        return f.read()
"""
