# SPDX-License-Identifier: MIT
"""What is wrong is said in one line: what, why, what to do. The program runs regardless."""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import place
import recording

OK, FAILURE, USAGE, NO_SAMPLES, WRAPPER, NOT_EXECUTABLE, NOT_FOUND = 0, 1, 2, 3, 125, 126, 127
BURN = "import time\nend = time.thread_time() + 0.3\nwhile time.thread_time() < end: pass\nprint('whole')\n"


SANITIZERS = {"gcc": "libasan.so", "clang": "libclang_rt.asan-x86_64.so"}


def own_lines(stderr):
    return [line for line in stderr.splitlines() if line.startswith("pillion")]


def check_one_clear_line(result, code, *words):
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert lines and lines[0].startswith("pillion"), result.stderr
    assert len(lines) <= 2, result.stderr  # the second may say where help is
    for word in words:
        assert word in result.stderr, (word, result.stderr)
    assert result.stdout == ""


@pytest.fixture(scope="module")
def profile_file(one_python, session_work):
    r = recording.record(one_python, ["-c", BURN], session_work, name="whole.pillion")
    assert r.returncode == 0, r.stderr
    return r.path


@pytest.mark.parametrize("verb", ["record", "report", "export", "info", "collect", "env"])
def test_an_unknown_option_is_refused(here, verb):
    check_one_clear_line(here.run([here.pillion, verb, "--no-such-option"]), USAGE, "--no-such-option")


def test_an_unknown_verb_is_refused(here):
    check_one_clear_line(here.run([here.pillion, "recrod"]), USAGE, "recrod")


def test_no_verb_shows_how_to_begin(here):
    result = here.run([here.pillion])
    assert result.returncode == USAGE and "record" in result.stdout + result.stderr


@pytest.mark.parametrize("value", ["0", "-1", "10001", "fast", "1e3", "99999999999999999999", ""])
def test_a_rate_out_of_range_is_refused(here, work, value):
    result = here.run([here.pillion, "record", "-F", value, "-o", work / "x.pillion", "--", "true"])
    check_one_clear_line(result, USAGE, "10000")
    assert not list(work.iterdir())


def test_a_missing_command_is_refused(here):
    check_one_clear_line(here.run([here.pillion, "record"]), USAGE)


def test_a_command_that_does_not_exist_is_127(here, work):
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", "no-such-command"])
    check_one_clear_line(result, NOT_FOUND, "no-such-command")


def test_a_command_that_cannot_be_executed_is_126(here, work):
    path = work / "plain.txt"
    path.write_text("just text")
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", path])
    check_one_clear_line(result, NOT_EXECUTABLE, "plain.txt")


def test_a_program_for_another_machine_is_126(here, work):
    """An ELF file for 64-bit ARM."""
    path = work / "arm64"
    elf = bytearray(open("/bin/true", "rb").read())
    elf[18:20] = b"\xb7\x00"
    path.write_bytes(elf)
    path.chmod(0o755)
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", path])
    check_one_clear_line(result, NOT_EXECUTABLE, "arm64")


@pytest.mark.parametrize("command", [["ls", "/"], ["sh", "-c", "echo out; exit 4"]], ids=["ls", "sh"])
def test_a_command_that_is_not_python_runs_and_the_user_is_told(here, work, command):
    plain = here.run(command)
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", *command])
    assert (result.returncode, result.stdout) == (plain.returncode, plain.stdout)
    assert len(own_lines(result.stderr)) in (1, 2) and "Python" in result.stderr, result.stderr


def test_a_static_program_runs_and_the_user_is_told(here, work):
    source = work / "static.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("static"); return 5; }\n')
    program = place.host_compile(source, work / "static-program", "-static")
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", program])
    assert (result.returncode, result.stdout) == (5, "static\n")
    assert "static" in " ".join(own_lines(result.stderr)), result.stderr


@pytest.mark.parametrize("compiler", [["gcc"], ["clang", "-shared-libasan"]], ids=lambda c: c[0])
def test_a_program_built_with_address_sanitizer_runs_and_the_user_is_told(here, work, compiler):
    """Its runtime ends it where another library comes first. Put first by the user, it does not, and nor do we."""
    runtime = subprocess.run([compiler[0], "-print-file-name=" + SANITIZERS[compiler[0]]], stdout=subprocess.PIPE,
                             text=True).stdout.strip()
    if "/" not in runtime:
        pytest.skip("%s has no %s here" % (compiler[0], SANITIZERS[compiler[0]]))
    source, program = work / "checked.c", work / "checked"
    source.write_text('#include <stdio.h>\nint main(void) { puts("checked"); return 5; }\n')
    rpath = "-Wl,-rpath," + os.path.dirname(os.path.realpath(runtime))
    subprocess.run([*compiler, "-fsanitize=address", source, "-o", program, rpath], check=True)
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", program])
    assert (result.returncode, result.stdout) == (5, "checked\n"), result.stderr
    assert "AddressSanitizer" in " ".join(own_lines(result.stderr)), result.stderr
    result = here.run([here.pillion, "record", "-o", work / "y.pillion", "--", program],
                      env={"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"})
    assert (result.returncode, result.stdout) == (5, "checked\n"), result.stderr
    assert "not Python" in " ".join(own_lines(result.stderr)), result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a privileged program")
@pytest.mark.parametrize("kind", ["setuid", "file capabilities"])
def test_a_setuid_program_runs_and_the_user_is_told(here, work, kind):
    """ld.so ignores LD_PRELOAD for it."""
    program = work / "privileged-python"
    shutil.copy(os.path.realpath("/usr/bin/python3"), str(program))
    os.chmod(str(work), 0o777)
    command = [here.pillion, "record", "-o", work / "x.pillion", "--", program, "-c", "print('ran')"]
    if kind == "setuid":
        os.chown(str(program), 65534, 65534)
        program.chmod(0o4755)
    else:  # root has them all: nothing is new to it, and the library is loaded
        subprocess.run(["setcap", "cap_net_raw+ep", str(program)], check=True)
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]
    result = here.run(command)
    assert (result.returncode, result.stdout) == (0, "ran\n"), result
    assert kind in " ".join(own_lines(result.stderr)), result.stderr


# ---------------------------------------------------------------- profiles

@pytest.mark.parametrize("verb", [["report"], ["info"], ["export", "-f", "folded"]], ids=lambda v: v[0])
class TestUnreadable:
    def test_a_missing_file(self, here, work, verb):
        check_one_clear_line(here.run([here.pillion, *verb, work / "none.pillion"]), FAILURE, "none.pillion")

    @pytest.mark.parametrize("content", [b"", b"PILL", b"\x7fELF" * 300, b"\0" * 5000, b"name,value\n" * 100])
    def test_a_foreign_file(self, here, work, verb, content):
        path = work / "foreign.pillion"
        path.write_bytes(content)
        check_one_clear_line(here.run([here.pillion, *verb, path]), FAILURE, "foreign.pillion")

    def test_a_directory(self, here, work, verb):
        check_one_clear_line(here.run([here.pillion, *verb, work]), FAILURE, "name a .pillion file in it")

    def test_a_device(self, here, verb):
        check_one_clear_line(here.run([here.pillion, *verb, "/dev/null"]), FAILURE, "not a file", "give the .pillion")

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
    def test_a_file_of_somebody_else(self, here, verb, profile_file):
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            os.chmod(directory, 0o755)
            pillion, path = directory + "/pillion", directory + "/x.pillion"
            shutil.copy(here.pillion, pillion)
            shutil.copy(str(profile_file), path)
            os.chmod(path, 0)
            result = here.run(["setpriv", "--reuid", "65534", "--clear-groups", pillion, *verb, path])
        check_one_clear_line(result, FAILURE, "Permission denied", "chmod")

    def test_a_profile_of_a_newer_version(self, here, work, verb, profile_file):
        path = work / "newer.pillion"
        shutil.copy(str(profile_file), str(path))
        subprocess.run([newer_profile(), str(path)], check=True)
        check_one_clear_line(here.run([here.pillion, *verb, path]), FAILURE, "newer")

    def test_a_profile_cut_anywhere_opens_or_is_refused_clearly(self, here, work, verb, profile_file):
        """Whole chunks are read; what holds no sample yet is said to hold none."""
        whole = profile_file.read_bytes()
        path = work / "cut.pillion"
        opened = 0
        for size in [1, 16, 40, 100, *(len(whole) * i // 12 for i in range(1, 12)), len(whole) - 1]:
            path.write_bytes(whole[:size])
            result = here.run([here.pillion, *verb, path])
            assert result.returncode in (OK, FAILURE, NO_SAMPLES), (size, result.returncode, result.stderr)
            if result.returncode:
                assert own_lines(result.stderr), (size, result)
            opened += result.returncode != FAILURE
        assert opened >= 3

    def test_a_damaged_profile_is_survived(self, here, work, verb, profile_file):
        whole = profile_file.read_bytes()
        path = work / "damaged.pillion"
        for i in range(24):
            data = bytearray(whole)
            at = len(data) * (2 * i + 1) // 49
            data[at] ^= 0xff
            path.write_bytes(data)
            result = here.run([here.pillion, *verb, path])
            assert result.returncode in (OK, FAILURE, NO_SAMPLES), (at, result.returncode, result.stderr)


@pytest.mark.parametrize("option", ["--thread", "--process"])
def test_a_filter_that_matches_nothing_prints_no_half_report(here, profile_file, option):
    check_one_clear_line(here.run([here.pillion, "report", option, "nix", profile_file]), NO_SAMPLES, option + " nix",
                         "pillion info")


def newer_profile():
    return place.host_compile(place.REPO / "tests/lib/newer_profile.c", place.WORK / "helpers" / "newer_profile",
                              "-I", str(place.REPO / "include"), "-I", str(place.REPO / "collector"))


# ------------------------------------------------------------------ output

def run_to(here, python, output, *, env=None, prefix=()):
    return here.run([here.pillion, "record", "-o", output, "--", *prefix, python.path, "-c", BURN], env=env)


def check_target_untouched(result):
    assert (result.returncode, result.stdout) == (0, "whole\n"), (result.returncode, result.stderr)
    assert own_lines(result.stderr), "nothing was said"


# What cannot work is known before the command starts: it is not run for nothing.

def test_an_output_directory_that_is_missing(here, one_python, work):
    check_one_clear_line(run_to(here, one_python, work / "no" / "such" / "x.pillion"), WRAPPER, "no/such")


def test_an_output_where_no_file_can_be_made(here, one_python):
    check_one_clear_line(run_to(here, one_python, "/proc/x"), WRAPPER, "no file can be made there")


def test_an_output_that_keeps_nothing_has_no_report(here, one_python):
    result = run_to(here, one_python, "/dev/null")
    assert result.returncode == 0 and "samples" in result.stderr and "next:" not in result.stderr, result.stderr


def test_without_sockets_nothing_is_run_and_the_way_out_is_told(here, one_python, work, deny):
    result = here.run([deny, "socket", here.pillion, "record", "-o", work / "x", "--", one_python.path, "-c", BURN])
    check_one_clear_line(result, WRAPPER, "socket", "without pillion")


def test_an_output_that_exists_is_not_overwritten_unasked(here, one_python, work):
    path = work / "x.pillion"
    path.write_text("precious")
    check_one_clear_line(run_to(here, one_python, path), WRAPPER, "x.pillion", "--force")
    assert path.read_text() == "precious"


@pytest.fixture
def small_disk(work):
    """A file system of 64 KiB, to fill up."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = work / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(where)], check=True)
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_disk_that_fills_up_keeps_what_was_recorded_before(here, one_python, small_disk):
    """Samples find room, and the names of functions at the end do not."""
    (small_disk / "filler").write_bytes(bytes(44 * 1024))
    path = small_disk / "x.pillion"
    result = here.run([here.pillion, "record", "-F", "1000", "-o", path, "--", one_python.path, "-c",
                       "import sys; sys.path.insert(0, sys.argv[1]); import programs\n"
                       "for name in ('json', 're', 'sqlite', 'threads'): programs.PROGRAMS[name](8)\n"
                       "print('whole')", place.WORKLOADS])
    check_target_untouched(result)
    assert "space" in result.stderr.lower(), result.stderr
    assert recording.load(path).samples


LOUD = ("import json, threading, time\n"
        "def work():\n"
        "    end = time.monotonic() + 1.5\n"
        "    while time.monotonic() < end: json.loads(json.dumps(list(range(300))))\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "print('whole')")


LOST = r"(\d+) of (\d+) samples(?: and (\d+) sampled allocations and frees)? could not be written"


@pytest.mark.parametrize("options", [[], ["--alloc-interval", "1"]], ids=["time", "every allocation"])
def test_a_full_disk_gives_up_samples_counts_them_and_keeps_how_it_ended(here, one_python, small_disk, options):
    """What was buffered and never written counts; room for the end was kept from the start."""
    (small_disk / "filler").write_bytes(bytes(44 * 1024))
    path = small_disk / "x.pillion"
    result = here.run([here.pillion, "record", "-F", "1000", *options, "-o", path, "--", one_python.path, "-c", LOUD])
    check_target_untouched(result)
    lost, of, blocks = map(int, re.search(LOST, result.stderr).groups("0"))
    kept, = map(int, re.search(r"(\d+) samples of 1 process", result.stderr).groups())
    profile = recording.load(path)
    assert lost > 0 and kept == of - lost == len(profile.samples), result.stderr
    assert not options or blocks > 0, result.stderr
    assert profile.data["complete"] and profile.data["exit_status"] == 0
    shown = " ".join(here.run([here.pillion, "info", path]).stdout.split())
    assert "%s: could not be written (disk or memory full)" % format(lost + blocks, ",") in shown and "exit 0" in shown, shown[:2000]
    assert "unfinished" not in shown and "cannot be read" not in shown, shown[:2000]


def test_room_that_was_kept_for_the_end_is_given_back(here, one_python, work):
    path = work / "x.pillion"
    run_to(here, one_python, path)
    assert path.stat().st_blocks * 512 < path.stat().st_size + 4096


def test_a_disk_that_is_full_from_the_start(here, one_python, small_disk):
    with pytest.raises(OSError):
        (small_disk / "filler").write_bytes(bytes(128 * 1024))
    result = run_to(here, one_python, small_disk / "x.pillion")
    assert (result.returncode, result.stdout) in ((OK, "whole\n"), (WRAPPER, ""))
    assert "space" in " ".join(own_lines(result.stderr)).lower(), result.stderr


def test_a_collector_whose_disk_was_full_at_first_takes_the_next_process(here, one_python, small_disk, work):
    filler, path = small_disk / "filler", small_disk / "x.pillion"
    with pytest.raises(OSError):
        filler.write_bytes(bytes(128 * 1024))
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": str(work / "socket")}
    collector = here.popen([here.pillion, "collect", "--listen", work / "socket", "-o", path], stderr=subprocess.PIPE,
                           text=True)
    assert "listening" in collector.stderr.readline()
    assert here.run([one_python.path, "-c", BURN, "first"], env=env).stdout == "whole\n"
    filler.unlink()
    assert here.run([one_python.path, "-c", BURN, "second"], env=env).stdout == "whole\n"
    collector.send_signal(signal.SIGTERM)
    collector.communicate(timeout=60)
    profile = recording.load(path)
    assert len(profile.processes) == 1 and profile.samples
    assert profile.data["command"].endswith(" second")


def test_a_read_only_directory(here, one_python, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    check_one_clear_line(run_to(here, one_python, small_disk / "x.pillion"), WRAPPER, "Read-only")


def test_a_disk_that_fills_up_is_no_matter_to_a_program_that_is_recorded_unasked(here, one_python, small_disk):
    """With the environment alone nobody is there to be told: the program runs as ever."""
    (small_disk / "filler").write_bytes(bytes(44 * 1024))
    path = small_disk / "x.pillion"
    result = here.run([one_python.path, "-c",
                       "import sys; sys.path.insert(0, sys.argv[1]); import programs\n"
                       "for name in ('json', 're', 'sqlite', 'threads'): programs.PROGRAMS[name](8)\n"
                       "print('whole')", place.WORKLOADS], env=dict(here.preload(path), PILLION_FREQ="1000"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "whole\n", "")
    assert recording.load(path).samples


# ------------------------------------------------------------- the collector

def writers_of(path, seconds=10):
    """Pids of the processes that have the file open, once there are any."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pids = set()
        for fd in glob.glob("/proc/[0-9]*/fd/*"):
            try:
                if os.readlink(fd) == str(path):
                    pids.add(int(fd.split("/")[2]))
            except OSError:
                pass  # it was closed, or its process ended
        if pids:
            return pids
        time.sleep(0.05)
    raise AssertionError("nobody writes %s" % path)


@pytest.mark.parametrize("launched, signal_number", [
    (True, signal.SIGSEGV), (False, signal.SIGSEGV), (False, signal.SIGKILL)])
def test_a_collector_that_crashes_takes_nothing_with_it(here, one_python, work, launched, signal_number):
    """The program ends as it would have, and what was recorded until then can be read."""
    path, enough, done = work / "x.pillion", work / "enough", work / "done"
    program = ("import os, sys, time\nend = time.monotonic() + 60\n"
               "while time.monotonic() < end and not os.path.exists(sys.argv[1]): sum(range(1000))\n"
               "open(sys.argv[2], 'w').write('whole')")
    argv = [one_python.path, "-c", program, enough, done]
    if launched:
        argv = [here.pillion, "record", "-o", path, "--", *argv]
    with here.popen(argv, env=None if launched else here.preload(path),
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        (collector,) = writers_of(path)
        recording.wait_for_samples(path)
        os.kill(collector, signal_number)
        enough.touch()
        status = process.wait(timeout=30)
    assert status == (-signal_number if launched else 0)
    recording.wait_for(done.exists)
    profile = recording.load(path)
    assert profile.samples and not profile.data["complete"]
    shown = here.run([here.pillion, "report", path])
    assert shown.returncode == OK and "unfinished" in shown.stdout, shown


# --------------------------------------------------------------- the kernel

@pytest.fixture(scope="session")
def deny():
    return place.host_compile(place.WORKLOADS / "deny.c", place.WORK / "helpers" / "deny")


@pytest.mark.parametrize("call", ["memfd_create", "socket"])
def test_without_a_call_that_recording_needs_the_user_is_told(here, one_python, work, deny, call):
    result = run_to(here, one_python, work / "x.pillion", prefix=[deny, call])
    check_target_untouched(result)
    assert call.split("_")[0] in result.stderr or "Python" in result.stderr, result.stderr


def test_without_memfd_create_the_user_is_told_that_it_is_that(here, one_python, work, deny):
    result = run_to(here, one_python, work / "x.pillion", prefix=[deny, "memfd_create"])
    check_target_untouched(result)
    assert "memfd_create failed" in result.stderr and "seccomp" in result.stderr, result.stderr


@pytest.mark.parametrize("call", ["process_vm_readv", "timer_create", "pidfd_open"])
def test_without_a_call_that_can_be_replaced_a_profile_is_made(here, one_python, work, deny, call):
    result = run_to(here, one_python, work / "x.pillion", prefix=[deny, call])
    check_target_untouched(result)
    profile = recording.load(work / "x.pillion")
    assert 0.2e9 <= profile.total("cpu_ns") <= 0.6e9, (profile.total("cpu_ns") / 1e9, profile.drops)


@pytest.mark.parametrize("call", ["memfd_create", "socket"])
def test_with_the_environment_alone_the_program_sees_no_difference(here, one_python, work, deny, call):
    result = here.run([deny, call, one_python.path, "-c", BURN], cwd=work, env=here.preload(work / "%p.pillion"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "whole\n", "")


def test_malformed_variables_fall_back_and_are_noted(here, one_python, work):
    env = dict(here.preload(work / "%p.pillion"), PILLION_FREQ="fast", PILLION_MAX_DEPTH="3")
    result = here.run([one_python.path, "-c", BURN + "import os; print(os.getpid())"], cwd=work, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    profile = recording.complete(work / ("%s.pillion" % result.stdout.split()[-1]))
    assert profile.data["period_ns"] == 10_000_000
    assert any("PILLION_FREQ" in note for note in profile.notes), profile.notes
