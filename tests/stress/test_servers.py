# SPDX-License-Identifier: MIT
"""Servers that fork their workers, from the index: all requests are answered, all workers are sampled."""
import collections
import http.client
import re
import signal
import subprocess
import time

import place
import pytest
import recording
import servers

APPLICATION = """
import hashlib, os
def works(text):
    for i in range(10000):
        text = hashlib.sha256(text).digest()
    return text
def application(environ, respond):
    respond('200 OK', [('X-Pid', str(os.getpid()))])
    return [works(environ['PATH_INFO'].encode()).hex().encode()]
"""
SERVERS = {
    "gunicorn": ["-m", "gunicorn", "-w", "2", "--log-level", "error", "-b", "127.0.0.1:PORT", "app"],
    "uwsgi": ["-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", "127.0.0.1:PORT", "--master", "--processes", "2",
              "--die-on-term", "--disable-logging", "--module", "app"],
}
PACKAGES = {"gunicorn": ["gunicorn", "packaging"], "uwsgi": ["pyuwsgi"]}


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(), int(answer.headers["X-Pid"])
    finally:
        connection.close()


def wait_until_it_listens(port, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return ask(port, "/")
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise AssertionError("the server does not answer: " + process.communicate()[1])


def serve(python, work, name, prefix, count):
    """Starts it, asks, has it start new workers in between, ends it; returns status, answers, and how many came from each worker."""
    port, where = servers.free_port(), place.of(python)
    directory = place.packages(python, *PACKAGES[name])
    if python.root or not directory:
        pytest.skip("%s cannot be installed for %s" % (name, python))
    (work / "app.py").write_text(APPLICATION)
    argv = [part.replace("PORT", str(port)) for part in SERVERS[name]]
    with where.popen([*prefix, python.path, *argv], cwd=work, env={"PYTHONPATH": "%s:%s" % (directory, work)},
                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_until_it_listens(port, process)
        master = servers.children(process.pid)[0] if prefix else process.pid
        answers, workers = [], collections.Counter()
        for i in range(count):
            if i == count // 2:
                servers.reload_workers(master)
            status, body, pid = ask(port, "/%d" % i)
            answers.append((status, body))
            workers[pid] += 1
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    return process.returncode, answers, workers, err


@pytest.mark.full
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_answers_reloads_and_ends_as_without_us(python, work, name, record_property):
    where, path = place.of(python), work / "out.pillion"
    plain = serve(python, work, name, [], 60)
    recorded = serve(python, work, name, [where.pillion, "record", "-q", "-F", "1000", "-o", path, "--"], 60)
    told = [line for line in recorded[3].splitlines() if re.search("error|exception|traceback|segfault", line, re.I)]
    assert recorded[0] == plain[0] and recorded[1] == plain[1] and not told, (recorded[0], plain[0], recorded[3])
    profile = recording.load(path)
    seen = {profile.process_of(s)["pid"] for s in profile.calling("works")}
    record_property("figure", "60 answers by %d workers, %d of them sampled" % (len(recorded[2]), len(seen & set(recorded[2]))))
    assert len(profile.processes) >= 5
    # Ten answers take dozens of periods.
    assert {pid for pid, answers in recorded[2].items() if answers >= 10} <= seen <= set(recorded[2]), (recorded[2], seen)
    assert profile.total("cpu_ns", profile.calling("works")) >= 0.15e9
