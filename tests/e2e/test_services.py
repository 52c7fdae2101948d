# SPDX-License-Identifier: MIT
"""The recipes of examples/services, with the real servers behind them."""
import http.client
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


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


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


def whole(directory, pattern, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = sorted(directory.glob(pattern))
        profiles = [recording.load(p) for p in found if p.stat().st_size]
        if profiles and len(profiles) == len(found) and all(p.data["complete"] for p in profiles):
            return profiles
        time.sleep(0.05)
    raise AssertionError("nothing whole in %s" % os.listdir(str(directory)))


@pytest.mark.parametrize("server, package, arguments", [
    ("gunicorn", "gunicorn", ["--bind", "127.0.0.1:%d", "served:application"]),
    ("uwsgi", "pyuwsgi", ["--http-socket", "127.0.0.1:%d", "--module", "served"])])
def test_a_prefork_server(work, server, package, arguments):
    interpreter, packages = with_packages(package)
    (work / "served.py").write_text(APP)
    (work / "uwsgi").write_text("#!%s\nimport pyuwsgi\npyuwsgi.run()\n" % interpreter.path)
    (work / "uwsgi").chmod(0o755)
    port = free_port()
    words = [word % port if "%d" in word else word for word in arguments]
    process = place.HERE.popen([SERVICES / (server + ".sh"), *words], cwd=work,
                               env=environment(interpreter, packages, work),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        ask(port, 40)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[0]
    profiles = whole(work, "%s.*.pillion" % server)
    assert sum(len(p.processes) for p in profiles) >= 3, said
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
    profiles = whole(work, "celery.*.pillion")
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
    [profile] = whole(work, "app.*.pillion")
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


def test_the_variables_of_every_recipe_exist(here):
    """A name with a typo would be ignored in silence."""
    known = set(re.findall(r"PILLION_[A-Z_]+", here.run([here.pillion, "env", "--help"]).stdout))
    for recipe in SERVICES.iterdir():
        used = set(re.findall(r"\bPILLION_[A-Z_]+\b", recipe.read_text())) - {"PILLION_IMAGE"}
        assert used and used <= known, (recipe, used - known)
