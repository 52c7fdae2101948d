# SPDX-License-Identifier: MIT
"""Every supported CPython is read by its own layout; others get native stacks and a word."""
import os

import pytest

import interpreters
import place
import recording

BURN = "import time\nend = time.thread_time() + 0.4\nwhile time.thread_time() < end: pass\n"
TOO_OLD = [i for i in interpreters.every() if i.minor < interpreters.OLDEST]
DEBUG = [i for i in interpreters.every() if "debug" in i.tags]


def test_enough_interpreters_are_on_this_machine():
    """In CI a minor that is missing is a failure; elsewhere the tests go by what is there."""
    missing = ", ".join(interpreters.missing())
    if missing and not os.environ.get("PLN_EVERY_MINOR"):
        pytest.skip("no CPython %s here: nothing is shown for it" % missing)
    assert not missing, "found only %s" % ", ".join(map(str, interpreters.supported()))


def test_the_interpreter_is_recognized(interpreter, work):
    profile, _ = recording.record_ok(interpreter, ["-c", BURN], work)
    process, = profile.processes
    assert process["python_version"] >> 8 == int("%02x%02x%02x" % interpreter.version, 16)
    assert process["interpreter_status"] == recording.CHECKED, process
    on_cpu = [s for s in profile.samples if s.on_cpu]
    assert len([s for s in on_cpu if s.python()]) >= 0.7 * len(on_cpu)


@pytest.mark.parametrize("old", TOO_OLD, ids=str)
def test_an_interpreter_that_is_too_old_runs_and_the_user_is_told(old, work):
    r = recording.record(old, ["-c", "print('ran')"], work)
    assert (r.returncode, r.stdout) == (0, "ran\n")
    told = [line for line in r.stderr.splitlines() if "older than CPython 3.8" in line]
    assert len(told) == 1, r.stderr


@pytest.mark.parametrize("debug", DEBUG, ids=str)
def test_a_debug_build_is_read_right_or_refused_with_a_word(debug, work):
    """Its structures differ from those of a release build of the same version."""
    burn = "def inner():\n" + "".join(" %s\n" % line for line in BURN.splitlines()) + "def outer(): inner()\nouter()"
    profile, _ = recording.record_ok(debug, ["-c", burn], work)
    if profile.processes[0]["interpreter_status"] == recording.REFUSED:
        assert profile.processes[0]["layout_detail"] and not any(s.python() for s in profile.samples)
    else:
        samples = profile.calling("inner")
        assert profile.total("cpu_ns", samples) >= 0.3e9
        assert all([f.name for f in s.python()] == ["inner", "outer", "<module>"] for s in samples)


def test_where_process_vm_readv_is_refused_python_frames_are_recorded(interpreter, work):
    """As on Docker before Linux 4.8: memory is read by way of a file then, in forked children too."""
    if interpreter.root:
        pytest.skip("the helper is not visible inside of %s" % interpreter.root)
    deny = place.host_compile(place.WORKLOADS / "deny.c", place.WORK / "helpers" / "deny")
    program = ("import os, time\ndef burn():\n" + "".join(" %s\n" % line for line in BURN.splitlines()) +
               "burn()\nif os.fork() == 0: burn()\nelse: os.wait()\n")
    path = work / "out.pillion"
    result = place.HERE.run([deny, "process_vm_readv", place.HERE.pillion, "record", "-o", path, "--",
                             interpreter.path, "-c", program])
    assert result.returncode == 0, result.stderr
    profile = recording.load(path)
    assert [p["interpreter_status"] for p in profile.processes] == [recording.CHECKED] * 2, profile.processes
    assert profile.total("cpu_ns", profile.calling("burn")) >= 0.6e9


def test_where_process_vm_readv_is_refused_a_number_that_the_program_took_stays_its_own(one_python, work):
    """It has closed all that it did not know, and uses the number of that file for another one, in children too."""
    deny = place.host_compile(place.WORKLOADS / "deny.c", place.WORK / "helpers" / "deny")
    program = ("import os\nown = os.open('/dev/null', os.O_RDONLY)\n"
               "ours = [int(n) for n in os.listdir('/proc/self/fd') if 'mem' in os.path.realpath('/proc/self/fd/' + n)]\n"
               "os.closerange(own + 1, 4096)\nfor n in ours: os.dup2(own, n)\npid = os.fork()\n"
               "print([os.path.sameopenfile(own, n) for n in ours], flush=True)\n"
               "if pid: raise SystemExit(os.waitpid(pid, 0)[1])\n")
    result = place.HERE.run([deny, "process_vm_readv", place.HERE.pillion, "record", "-o", work / "out.pillion", "--",
                             one_python.path, "-c", program])
    assert (result.returncode, result.stdout) == (0, "[True]\n[True]\n"), result.stderr
    assert recording.load(work / "out.pillion").processes


def test_an_embedded_interpreter_is_found(one_python, work):
    """The program is not called python and links or loads it: detection goes by _PyRuntime."""
    shared = next((i for i in interpreters.supported() if i.origin == "pyenv" and "shared" in i.tags), None)
    if shared is None:
        pytest.skip("no shared libpython here")
    source = work / "embed.c"
    source.write_text("""
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	usleep(200000); /* well after the library's constructor */
	void *lib = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
	void (*init)(void);
	int (*run)(const char *, void *);
	if (argc < 3 || !lib)
		return fprintf(stderr, "%s\\n", dlerror());
	init = dlsym(lib, "Py_Initialize");
	run = dlsym(lib, "PyRun_SimpleStringFlags");
	init();
	return run(argv[2], NULL);
}
""")
    host = place.host_compile(source, work / "host-program", "-ldl")
    argv = [place.HERE.pillion, "record", "-o", work / "out.pillion", "--", host, shared.code,
            "def embedded():\n" + "".join(" " + line + "\n" for line in BURN.splitlines()) + "embedded()"]
    home = shared.path.rsplit("/bin/", 1)[0]
    result = place.HERE.run(argv, env={"PYTHONHOME": home})
    assert result.returncode == 0, result.stderr
    profile = recording.load(work / "out.pillion")
    samples = profile.calling("embedded")
    assert profile.total("cpu_ns", samples) >= 0.3e9
    assert all(s.stack[-1].module == "host-program" for s in samples)
