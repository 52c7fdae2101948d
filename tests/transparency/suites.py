# SPDX-License-Identifier: MIT
"""The test suites that are run, in parts that are a command each.

CPython's own comes with the interpreter (Debian: libpython3.11-testsuite and the like). The others have native code, and bring
their tests along in their wheels; they are installed from the index, for each interpreter once.
"""
import pathlib
import typing

import place

# What of CPython's suite meets signals, threads, processes, memory, files and time: where a profiler could show.
SENSITIVE = """
    test_asyncio.test_base_events test_asyncio.test_events test_asyncio.test_subprocess test_asyncio.test_unix_events
    test_atexit test_cmd_line test_concurrent_futures test_coroutines test_ctypes test_eintr test_embed test_epoll
    test_exceptions test_faulthandler test_fcntl test_fork1 test_frame test_gc test_generators test_inspect
    test_interpreters test_io test_mmap test_multiprocessing_fork test_multiprocessing_forkserver
    test_multiprocessing_main_handling test_multiprocessing_spawn test_os test_poll test_popen test_posix test_pty
    test_queue test_resource test_select test_selectors test_signal test_socket test_socketserver test_ssl
    test_subprocess test_sys test_sys_setprofile test_sys_settrace test_thread test_threadedtempfile test_threading
    test_threading_local test_threadsignals test_time test_timeout test_traceback test_tracemalloc test_wait3
    test_wait4 test_weakref""".split()
# Of those, what has hardly a second of work and sees the most.
QUICK = "test_atexit test_epoll test_fork1 test_select test_threading_local test_threadsignals".split()
# For each interpreter: a second or two.
QUICKEST = "test_struct test_atexit test_threading_local".split()
# In a virtual machine whose host does not answer these wait for ever, with Pillion and without.
HANGS = "*VSOCK*"


class Suite(typing.NamedTuple):
    name: str
    packages: tuple  # to install, with pytest; none: the interpreter's own suite
    parts: typing.Callable  # (python, directory of the packages) -> names of the parts
    quick: tuple  # parts for every change
    variables: tuple = ()  # (name, value) of the environment, for both sides

    def command(self, python, part, junit, warnings):
        """What runs a part and writes its results; the same with Pillion and without."""
        strict = ["-W", "error"] if warnings == "error" else []
        if not self.packages:
            return [python.path, *strict, "-m", "test", "--ignore", HANGS, "--junit-xml", junit, part]
        return [python.path, *strict, "-m", "pytest", "-q", "-p", "no:cacheprovider", *strict,
                "--junit-xml", junit, "--pyargs", part]


def _cpython_parts(python, _):
    listed = place.of(python).run([python.path, "-m", "test", "--list-tests"])
    if listed.returncode:
        return []
    return [name for name in listed.stdout.split() if name.startswith("test")]


def _package(name):
    """The test modules below a package, each a part of its own."""
    def parts(_, directory):
        modules = sorted(pathlib.Path(directory, *name.split(".")).rglob("test_*.py"))
        return [".".join(m.relative_to(directory).with_suffix("").parts) for m in modules]
    return parts


SUITES = [
    Suite("cpython", (), _cpython_parts, tuple(QUICK)),
    # What wants more memory is skipped: two such parts at a time have been killed, as the machine had none left.
    Suite("numpy", ("numpy", "hypothesis"), _package("numpy"), ("numpy.fft.tests.test_pocketfft",),
          (("NPY_AVAILABLE_MEM", "4 GB"),)),
    Suite("greenlet", ("greenlet", "objgraph", "psutil"), _package("greenlet.tests"), ()),
    Suite("simplejson", ("simplejson",), _package("simplejson.tests"), ("simplejson.tests.test_decode",)),
    Suite("bitarray", ("bitarray",), _package("bitarray"), ("bitarray.test_bitarray",)),
    Suite("regex", ("regex",), _package("regex.tests"), ()),
    Suite("persistent", ("persistent",), _package("persistent.tests"), ()),
]


def find(names=()):
    known = {suite.name: suite for suite in SUITES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LookupError("no suite is called %s; there are %s" % (unknown[0], ", ".join(known)))
    return [known[name] for name in names] if names else SUITES


def install(suite, python):
    """The directory of a suite's packages, "" if it needs none; None: they cannot be had."""
    return place.packages(python, "pytest", *suite.packages) if suite.packages else ""


def has_tests(python):
    """Debian installs the interpreter's own suite apart."""
    return not place.of(python).run([python.path, "-c", "import test.test_os"]).returncode
