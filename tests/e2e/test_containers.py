# SPDX-License-Identifier: MIT
"""As a container would have it: no capability, no new privileges, a filter of system calls, another
user, a root file system that is read-only, namespaces of its own, Python as its first process.

There is no container engine on a test machine; what one does to a process, unshare, mount,
setpriv and a seccomp filter do here.
"""
import json
import os
import pathlib
import shlex
import subprocess

import place
import pytest
import recording

APP, OTHER, SIDECAR = 12345, 23456, 34567  # users; none of them has a name

BURNS = """
import os, threading, time
def burns():
    end = time.thread_time() + 0.4
    while time.thread_time() < end: sum(range(200))
def waits():
    time.sleep(0.3)
burns()
waits()
thread = threading.Thread(target=burns)
thread.start()
thread.join()
print(os.getpid(), os.getuid(), len(os.listdir('/proc')) < 400)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Runs commands as an engine does: engine(user, mounted, command) -> the command line for it."""
    if os.geteuid():
        pytest.skip("needs root to make namespaces")
    deny = place.host_compile(place.WORKLOADS / "deny.c", place.WORK / "helpers" / "deny")
    try:
        subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=True)
    except subprocess.CalledProcessError:
        pytest.skip("namespaces are not allowed here")

    def wrap(user, mounted, command, own_file=None):
        volume, root = shlex.quote(str(mounted)), ""
        lines = ["set -e", "mount --make-rprivate /", "mount -t tmpfs -o size=64k shm /dev/shm"]
        if own_file:  # an image of its own: /opt has a link, as of Debian's alternatives, to this file, and nobody else
            layers, root = shlex.quote(str(mounted.parent / "layers")), "chroot ."
            lines += ["mkdir -p %s && mount -t tmpfs layers %s" % (layers, layers),
                      "cd %s && mkdir upper work root" % layers,
                      "mount -t overlay image -o lowerdir=/,upperdir=upper,workdir=work root && cd root",
                      "mkdir -p opt/real && cp %s opt/real && ln -s /opt/real/%s opt" % (
                          shlex.quote(str(own_file)), shlex.quote(own_file.name)), "mount --rbind /dev dev",
                      "mount -t proc proc proc && mount --bind %s .%s" % (volume, volume)]
        else:
            lines += ["mount --bind %s %s" % (volume, volume), "mount -o remount,bind,ro /"]
        lines += ["exec %s setpriv --reuid %d --regid %d --clear-groups --no-new-privs --bounding-set=-all "
                  "--inh-caps=-all %s container %s" % (root, user, user, deny, shlex.join(map(str, command)))]
        return ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--net", "--ipc", "--uts",
                "--kill-child", "sh", "-c", "\n".join(lines)]
    return wrap


@pytest.fixture
def volume(work):
    """A directory that any user may write to, as a volume of a pod."""
    work.chmod(0o755)
    if not all(parent.stat().st_mode & 0o001 for parent in work.parents):
        pytest.skip("other users may not come here: choose another PLN_WORK")
    volume = work / "volume"
    volume.mkdir()
    volume.chmod(0o1777)
    return volume


def usable(python, user):
    """Whether another user may run it: one in somebody's home is not for them."""
    return subprocess.run(["setpriv", "--reuid", str(user), "--clear-groups", "--regid", str(user),
                           python.path, "-c", "pass"], stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture
def app(one_python):
    if not usable(one_python, APP):
        pytest.skip("other users may not run %s" % one_python.path)
    return one_python


def check_whole(profile):
    """Its figure."""
    assert profile.data["complete"] and profile.data["symbolized"]
    for process in profile.processes:
        assert process["interpreter_status"] == recording.CHECKED
    spent = profile.total("cpu_ns", profile.calling("burns"))
    assert spent >= 0.7e9 * len(profile.processes), spent
    assert profile.total("offcpu_ns", profile.calling("waits")) > 0.25e9 * len(profile.processes)
    named = [f for s in profile.samples for f in s.stack if not f.is_python]
    nameless = sum("+0x" in f.name for f in named)
    assert nameless < 0.02 * len(named)
    assert any(f.name.startswith("_PyEval") or "PyEval" in f.name for f in named)
    return "%d process(es), %.2f s of CPU in its function, %d of %d native frames without a name" % (
        len(profile.processes), spent / 1e9, nameless, len(named))


def preload(where, *settings):
    return ["env", "LD_PRELOAD=%s" % where.library, *settings]


def test_the_library_alone_as_first_process(engine, app, volume, record_property):
    """When the first process ends, the kernel ends the collector: the profile is whole before."""
    here = place.of(app)
    command = [*preload(here, "PILLION_OUTPUT=%s/%%p.pillion" % volume, "PILLION_LOG=error"), app.path, "-c", BURNS]
    result = here.run(engine(APP, volume, command), cwd="/")
    assert (result.returncode, result.stdout, result.stderr) == (0, "1 %d True\n" % APP, "")
    profile = recording.load(volume / "1.pillion")
    record_property("figure", check_whole(profile))
    assert (volume / "1.pillion").stat().st_uid == APP
    assert not profile.processes[0]["drops"][8]


class Sidecar:
    """A collector in a container of its own."""

    def __init__(self, engine, here, volume, *options):
        self.socket = volume / "sock"
        self.profile = volume / "side.pillion"
        self.process = here.popen(engine(SIDECAR, volume, [
            here.pillion, "collect", "--listen", self.socket, "-o", self.profile, *options]),
            cwd="/", stderr=subprocess.PIPE, text=True)
        assert "listening" in self.process.stderr.readline()

    def end(self):
        """unshare is our child, its first process the collector."""
        task = "/proc/%d/task/%d/children" % ((self.process.pid,) * 2)
        os.kill(int(open(task).read().split()[0]), 15)
        said = self.process.stderr.read()
        return self.process.wait(timeout=60), said


def test_a_sidecar_serves_containers_of_other_users(engine, app, volume, record_property):
    """Neither side sees the other's processes or files, nor shares its network."""
    here = place.of(app)
    sidecar = Sidecar(engine, here, volume, "--allow", "%d,%d" % (APP, OTHER))
    targets = [here.popen(engine(user, volume, [
        *preload(here, "PILLION_SOCKET=%s" % sidecar.socket, "PILLION_LOG=error", "DD_SERVICE=app%d" % user),
        app.path, "-c", BURNS]), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for user in (APP, OTHER)]
    for target, user in zip(targets, (APP, OTHER)):
        out, err = target.communicate(timeout=60)
        assert (target.returncode, out, err) == (0, "1 %d True\n" % user, "")
    status, said = sidecar.end()
    assert status == 0, said
    profile = recording.load(sidecar.profile)
    record_property("figure", check_whole(profile))
    assert all(p["end_ns"] for p in profile.processes)
    told = json.loads(here.run([here.pillion, "info", "--json", sidecar.profile]).stdout)
    assert [p["inner_pid"] for p in told["processes"]] == [1, 1]
    assert sorted(p["labels"]["service"] for p in told["processes"]) == ["app%d" % APP, "app%d" % OTHER]


def test_a_sidecar_tells_programs_of_one_process_apart(engine, app, volume):
    """It has no number for a process of another namespace; the kernel still knows which one it is."""
    here = place.of(app)
    sidecar = Sidecar(engine, here, volume, "--allow", "all")
    program = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', %r])" % BURNS
    command = [*preload(here, "PILLION_SOCKET=%s" % sidecar.socket, "PILLION_LOG=error"), app.path, "-c", program]
    result = here.run(engine(APP, volume, command), cwd="/")
    assert (result.returncode, result.stderr) == (0, "")
    assert sidecar.end()[0] == 0
    first, second = recording.load(sidecar.profile).processes
    assert 0 < first["end_ns"] < second["start_ns"] + 0.1e9 < second["end_ns"]


def test_symbols_come_from_files_that_only_the_target_sees(engine, app, volume, record_property):
    """An absolute link leads to where it does in the target, not to what the collector has there."""
    here = place.of(app)
    if not place.has_headers(app):
        pytest.skip("no headers of %s" % app)
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        pytest.skip("needs overlayfs")
    extension = pathlib.Path(place.build_extension(app, "callback_ext")) / "callback_ext.so"
    sidecar = Sidecar(engine, here, volume, "--allow", "all")
    program = "import sys; sys.path.insert(0, '/opt'); import callback_ext; callback_ext.burn(0.5)"
    command = [*preload(here, "PILLION_SOCKET=%s" % sidecar.socket, "PILLION_LOG=error"), app.path, "-c", program]
    result = here.run(engine(APP, volume, command, own_file=extension), cwd="/")
    assert (result.returncode, result.stderr) == (0, "")
    assert not os.path.exists("/opt/callback_ext.so"), "the test proves nothing"
    status, said = sidecar.end()
    assert status == 0, said
    profile = recording.load(sidecar.profile)
    inside = [s for s in profile.samples if any(f.name == "burn_round" and f.line for f in s.stack)]
    record_property("figure", "%.2f s of 0.5 s in lines of its file" % (profile.total("cpu_ns", inside) / 1e9))
    assert profile.total("cpu_ns", inside) > 0.4e9


@pytest.mark.parametrize("init", [False, True], ids=["first process", "under an init"])
def test_a_program_that_does_not_wait_leaves_names_behind(engine, app, volume, init, record_property):
    """With other threads at its end the first process does not wait for the collector; nor does one under
    an init, which ends with it. The image goes as well: what names are in the profile were looked up before.
    What is missing is what was not written yet: a second."""
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        pytest.skip("needs overlayfs")
    if not place.has_headers(app):
        pytest.skip("no headers of %s" % app)
    extension = pathlib.Path(place.build_extension(app, "callback_ext")) / "callback_ext.so"
    program = ("import sys, threading, time; sys.path.insert(0, '/opt'); import callback_ext\n"
               "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
               "end = time.monotonic() + 4\nwhile time.monotonic() < end: callback_ext.burn(0.1)")
    command = [*preload(place.of(app), "PILLION_OUTPUT=%s/%%n.pillion" % volume), app.path, "-c", program]
    if init:
        command = ["sh", "-c", shlex.join(map(str, command)) + "; exit $?"]
    result = place.of(app).run(engine(APP, volume, command, own_file=extension), cwd="/")
    assert (result.returncode, result.stderr) == (0, "")
    profile = recording.load(volume / "1.pillion")
    assert not profile.data["complete"]
    inside = [s for s in profile.samples if any(f.name == "burn_round" for f in s.stack)]
    assert profile.total("cpu_ns", inside) > 0.5 * profile.total("cpu_ns")
    times = [s.time_ns for s in profile.samples]
    record_property("figure", "%.1f s of 4 s" % ((max(times) - min(times)) / 1e9))
    assert max(times) - min(times) > 2.5e9


def test_a_sidecar_turns_away_users_that_it_was_not_told_of(engine, app, volume):
    here = place.of(app)
    sidecar = Sidecar(engine, here, volume, "--allow", str(OTHER))
    command = [*preload(here, "PILLION_SOCKET=%s" % sidecar.socket, "PILLION_LOG=error"), app.path, "-c", "pass"]
    result = here.run(engine(APP, volume, command), cwd="/")
    assert result.returncode == 0 and "not invited" in result.stderr
    status, said = sidecar.end()
    assert status == 1 and "not invited" in said
