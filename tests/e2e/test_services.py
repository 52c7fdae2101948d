# SPDX-License-Identifier: MIT
"""The recipes of examples/services, with the real servers behind them; of containers, what is asked of an
engine, done here with the paths that their volumes have here."""
import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import interpreters
import place
import pytest
import recording
import servers

SERVICES = place.REPO / "examples" / "services"
APP = """
import time
def works():
    end = time.thread_time() + 0.02
    while time.thread_time() < end: sum(range(200))
def application(environ, start_response):
    works()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'ok']
"""


def with_packages(*names):
    """An interpreter that packages from the index can be had for, and where they are."""
    for interpreter in reversed(interpreters.supported()):
        if interpreter.origin == "pyenv" and interpreter.minor in ((3, 10), (3, 11), (3, 12)):
            directory = place.packages(interpreter, *names)
            if directory:
                return interpreter, directory
    pytest.skip("%s cannot be installed here" % " ".join(names))


def environment(interpreter, packages, work, **more):
    path = os.pathsep.join([str(work), os.path.dirname(interpreter.path), os.environ["PATH"]])
    return {"PILLION": str(pathlib.Path(place.HERE.library).parent), "PROFILES": str(work), "PATH": path,
            "PYTHONPATH": packages, **more}


def ask(port, times):
    deadline = time.monotonic() + 30
    done = 0
    while done < times:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"ok"
            done += 1
        except (ConnectionError, socket.timeout):
            assert time.monotonic() < deadline, "nobody answers"
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.parametrize("server, package, arguments", [
    ("gunicorn", "gunicorn", ["--bind", "127.0.0.1:%d", "served:application"]),
    ("uwsgi", "pyuwsgi", ["--http-socket", "127.0.0.1:%d", "--module", "served"])])
def test_a_prefork_server(work, server, package, arguments):
    interpreter, packages = with_packages(package)
    (work / "served.py").write_text(APP)
    (work / "uwsgi").write_text("#!%s\nimport pyuwsgi\npyuwsgi.run()\n" % interpreter.path)
    (work / "uwsgi").chmod(0o755)
    port = servers.free_port()
    words = [word % port if "%d" in word else word for word in arguments]
    process = place.HERE.popen([SERVICES / (server + ".sh"), *words], cwd=work,
                               env=environment(interpreter, packages, work),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        ask(port, 20)
        servers.reload_workers(process.pid, 2)
        ask(port, 20)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[0]
    profiles = recording.all_complete(work, "%s.*.pillion" % server)
    assert sum(len(p.processes) for p in profiles) >= 5, said
    spent = sum(p.total("cpu_ns", p.calling("works")) for p in profiles)
    assert 0.6e9 < spent < 1.2e9, (spent, said)


@pytest.mark.long
def test_a_task_queue(work):
    interpreter, packages = with_packages("celery")
    (work / "tasks.py").write_text("""
import time
from celery import Celery
app = Celery('tasks', broker='filesystem://', backend='file://' + %r)
app.conf.broker_transport_options = {k: %r for k in ('data_folder_in', 'data_folder_out', 'control_folder')}
@app.task
def works():
    end = time.thread_time() + 0.1
    while time.thread_time() < end: sum(range(200))
""" % (str(work), str(work)))
    env = environment(interpreter, packages, work)
    process = place.HERE.popen([SERVICES / "celery.sh", "-A", "tasks", "worker", "-c", "2", "-l", "WARNING"],
                               cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        call = "import tasks\nfor r in [tasks.works.delay() for i in range(6)]: r.get(timeout=30)"
        result = place.HERE.run([interpreter.path, "-c", call], cwd=work, env=env)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[0]
    assert result.returncode == 0, result.stderr + said
    profiles = recording.all_complete(work, "celery.*.pillion")
    spent = sum(p.total("cpu_ns", p.calling("works")) for p in profiles)
    assert 0.5e9 < spent < 0.8e9, (spent, said)
    assert sum(len(p.processes) for p in profiles) >= 3


def test_supervisord(work):
    interpreter, packages = with_packages("supervisor")
    (work / "app.py").write_text(APP + "for i in range(15): works()\ntime.sleep(60)\n")
    env = environment(interpreter, packages, work, APP="%s %s/app.py" % (interpreter.path, work))
    process = place.HERE.popen(["python3", "-m", "supervisor.supervisord", "-n", "-c", SERVICES / "supervisord.conf"], cwd=work, env=env,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 30
    while not any(p.stat().st_size > 4096 for p in work.glob("app.*.pillion")):
        assert time.monotonic() < deadline and process.poll() is None, "nothing is recorded"
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    [profile] = recording.all_complete(work, "app.*.pillion")
    assert len(profile.processes) == 1, said
    told = place.HERE.run([place.HERE.pillion, "info", next(work.glob("app.*.pillion"))]).stdout
    assert "service=app" in told


def test_systemd_takes_the_drop_in(work):
    """Where there is systemd: it must find nothing to complain of."""
    if place.HERE.run(["sh", "-c", "command -v systemd-analyze"]).returncode:
        pytest.skip("no systemd here")
    unit = work / "app.service"
    text = (SERVICES / "pillion.conf").read_text()
    unit.write_text(text.replace("[Service]\n", "[Service]\nExecStart=/bin/true\n"))
    result = place.HERE.run(["systemd-analyze", "verify", unit])
    assert not [line for line in result.stderr.splitlines() if "app.service" in line], result.stderr
    assert re.findall(r"%+", "".join(l for l in text.splitlines() if "OUTPUT" in l)) == ["%", "%%"]


# ------------------------------------------------------------------ containers

BURNS = APP + "for i in range(15): works()\n"


@pytest.fixture
def archive(work):
    """As the archive for containers, unpacked."""
    directory = work / "archive"
    directory.mkdir()
    (directory / "pillion").symlink_to(place.HERE.pillion)
    (directory / "libpillion.so").symlink_to(place.HERE.library)
    return directory


def outside(text, volumes):
    """What a container calls /pillion/x is in a directory here: volumes["/pillion"]."""
    inside = "|".join(sorted(map(re.escape, volumes), key=len, reverse=True))
    return re.sub(r"(?<![\w.-])(%s)(?=/|$)" % inside, lambda m: str(volumes[m[1]]), str(text))


class Container:
    """A command and its variables, as said inside."""

    def __init__(self, command, env, volumes):
        self.command = [outside(word, volumes) for word in command]
        self.env = {name: outside(value, volumes) for name, value in env.items()}

    def run(self):
        result = place.HERE.run(self.command, env=self.env)
        assert result.returncode == 0, result.stderr

    def serve(self, is_up, target):
        """A collector, from before the target begins until after its end."""
        process = place.HERE.popen(self.command, env=self.env, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        try:
            while place.HERE.run(is_up).returncode:
                assert time.monotonic() < deadline and process.poll() is None, "it does not listen"
                time.sleep(0.05)
            target.run()
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[1]
        assert process.returncode == 0, said


def check_recorded(directory):
    [profile] = recording.all_complete(directory, "*.pillion")
    assert profile.total("cpu_ns", profile.calling("works")) > 0.2e9
    told = place.HERE.run([place.HERE.pillion, "info", next(directory.glob("*.pillion"))]).stdout
    assert "service=app" in told


@pytest.fixture
def engine(work):
    """docker.sh, with a `docker` that tells what it was asked for."""
    (work / "docker").write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    (work / "docker").chmod(0o755)
    path = os.pathsep.join([str(work), os.environ["PATH"]])

    def asked(command, **env):
        result = place.HERE.run(command, cwd=work, env={"PATH": path, **env})
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)
    return asked


def container_of(words, work):
    """From the words of `docker run`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in ("--name", "--user", "--entrypoint"):
        parser.add_argument(option)
    for option in ("-d", "--rm"):
        parser.add_argument(option, action="store_true")
    for option in ("-v", "-e"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    assert words[0] == "run"
    asked = parser.parse_args(words[1:])
    volumes = {}
    for volume in asked.v:
        source, inside = volume.split(":")[:2]
        volumes[inside] = work / source  # a volume's name, or an absolute path
        volumes[inside].mkdir(exist_ok=True)
    entry = [asked.entrypoint] if asked.entrypoint else []
    return Container(entry + asked.command, dict(e.split("=", 1) for e in asked.e), volumes)


def test_docker_with_the_library_alone(one_python, work, archive, engine):
    profiles = work / "profiles"
    words = engine([SERVICES / "docker.sh", "alone", "IMAGE", one_python.path, "-c", BURNS], PILLION=str(archive),
                   PROFILES=str(profiles))
    container_of(words, work).run()
    check_recorded(profiles)


def test_docker_with_a_collector_that_others_share(one_python, work, archive, engine):
    paths = {"PILLION": str(archive), "PROFILES": str(work / "profiles")}
    collector = container_of(engine([SERVICES / "docker.sh", "collector", "IMAGE"], **paths), work)
    served = engine([SERVICES / "docker.sh", "served", "IMAGE", one_python.path, "-c", BURNS], **paths)
    served = container_of(served, work)
    collector.serve(["test", "-S", served.env["PILLION_SOCKET"]], served)
    check_recorded(work / "profiles")


def test_docker_is_asked_for_what_pillion_env_prints(work, archive, engine):
    """But for the place of the archive, which an installed pillion cannot know."""
    snippet = place.HERE.run([place.HERE.pillion, "env", "--shell", "docker"], env={"PILLION_LABELS": "service=app"})
    assert "-v PILLION:/pillion:ro" in snippet.stdout
    printed = engine(["sh", "-c", snippet.stdout.replace("-v PILLION:", "-v %s:" % archive)])
    recipe = engine([SERVICES / "docker.sh", "alone", "IMAGE"], PROFILES=os.path.realpath(str(work)) + "/profiles",
                    PILLION=str(archive))
    assert printed == recipe


def listed(key, text):
    found = re.search(key + r": \[(.*?)\]", text, re.M | re.S)
    return [word.strip() for word in found[1].split(",")] if found else []


def pod(text, image, work):
    """The containers of a recipe, and what says whether one is up, by their names."""
    volumes = {name: work / name for name in re.findall(r"\{ name: (\w+), emptyDir: ", text)}
    for directory in volumes.values():
        directory.mkdir()
    parts = re.split(r"^    - name: (\w+)$", text, flags=re.M)
    containers, probes = {}, {}
    for name, body in zip(parts[1::2], parts[2::2]):
        mounted = re.findall(r"\{ name: (\w+), mountPath: ([\w/]+)", body)
        inside = {"/pillion": image, **{path: volumes[volume] for volume, path in mounted}}
        env = dict(re.findall(r'\{ name: (\w+), value: "(.*?)" \}', body))
        containers[name] = Container(listed("^      command", body), env, inside)
        probes[name] = [outside(word, inside) for word in listed(r"startupProbe: \{ exec: \{ command", body)]
    return containers, probes


def test_a_pod_with_a_sidecar(one_python, work, archive):
    """Its containers one after the other, as Kubernetes starts them."""
    containers, probes = pod((SERVICES / "sidecar.yaml").read_text(), archive, work)
    containers["pillion"].run()
    app = containers["app"]
    assert app.env["LD_PRELOAD"] == str(work / "pillion" / "libpillion.so")
    app.command = [one_python.path, "-c", BURNS]
    containers["collector"].serve(probes["collector"], app)
    check_recorded(work / "profiles")


def test_the_variables_of_every_recipe_exist(here):
    """A name with a typo would be ignored in silence."""
    known = set(re.findall(r"PILLION_[A-Z_]+", here.run([here.pillion, "env", "--help"]).stdout))
    for recipe in SERVICES.iterdir():
        used = set(re.findall(r"\bPILLION_[A-Z_]+\b", recipe.read_text())) - {"PILLION_IMAGE"}
        assert used and used <= known, (recipe, used - known)
