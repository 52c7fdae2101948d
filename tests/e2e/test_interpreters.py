# SPDX-License-Identifier: MIT
"""Every supported CPython is read by its own layout; others get native stacks and a word."""
import pytest

import interpreters
import place
import recording

BURN = "import time\nend = time.thread_time() + 0.4\nwhile time.thread_time() < end: pass\n"
UNSUPPORTED = [i for i in interpreters.every() if not i.supported]


def test_enough_interpreters_are_on_this_machine():
    minors = {i.minor for i in interpreters.supported()}
    missing = [m for m in interpreters.REQUIRED if m not in minors]
    assert not missing, "found only %s" % ", ".join(map(str, interpreters.supported()))


def test_the_interpreter_is_recognized(interpreter, work):
    profile, _ = recording.record_ok(interpreter, ["-c", BURN], work)
    process, = profile.processes
    assert process["python_version"] >> 8 == int("%02x%02x%02x" % interpreter.version, 16)
    assert process["interpreter_status"] == recording.CHECKED, process
    on_cpu = [s for s in profile.samples if s.cause == recording.CAUSE_CPU]
    assert len([s for s in on_cpu if s.python()]) >= 0.7 * len(on_cpu)


@pytest.mark.parametrize("unsupported", UNSUPPORTED, ids=str)
def test_an_unsupported_interpreter_gets_native_stacks_and_one_clear_line(unsupported, work):
    burn = "import time\nend = time.clock() + 0.4 if hasattr(time, 'clock') else time.thread_time() + 0.4\n" \
           "while (time.clock if hasattr(time, 'clock') else time.thread_time)() < end: pass\n"
    r = recording.record(unsupported, ["-c", burn], work)
    assert r.returncode == 0, r.stderr
    profile = r.load()
    assert profile.total("cpu_ns") >= 0.3e9
    assert not any(s.python() for s in profile.samples)
    version = "%d.%d" % unsupported.minor
    said = [line for line in r.stderr.splitlines() + profile.notes if version in line or "debug" in line]
    assert said, r.stderr + "\n" + "\n".join(profile.notes)


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
