#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A web service under load for as long as you like, recorded: what grows?

    tests/stress/soak.py --minutes 60

gunicorn (from the package index) serves a small application with forks in it, its workers
are replaced every half minute, a new file is begun every minute, and four clients never
rest. Half of what they ask goes to a server that is one process to the end, with a thread for
each request. Every few seconds memory and descriptors are read, of gunicorn's first process, of
that server and of the collector, and how long ago the profile last grew. A line a minute; at
the end what grew in the second half, and a row for README.md.
Exits with 1 when something did that should not. PLN_WORK is as for tests/run.sh.
"""
import argparse
import http.client
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import interpreters  # noqa: E402
import place  # noqa: E402
import recording  # noqa: E402
import servers  # noqa: E402

LOOK_S = 5
RELOAD_S = 30
CLIENTS = 4
WORKERS = 2
ROTATE_S, KEEP = 60, "512M"
# What may grow in the second half. A process that has ended keeps its row in the collector to
# the end of the file: where the two looks are in their files makes a difference.
MASTER_KIB_MAX, STEADY_KIB_MAX, COLLECTOR_KIB_MAX, FILES_MAX, LAG_S_MAX = 1024, 2048, 4096, 2, 5

APPLICATION = """
import json, os, threading, time
def work():
    return sum(len(json.dumps(json.loads(json.dumps(list(range(200)))))) for i in range(20))
def wait():
    time.sleep(0.005)
    return 1
def fork():
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return os.waitpid(pid, 0)[1]
def thread():
    t = threading.Thread(target=work)
    t.start()
    t.join()
    return 1
def allocate():
    return len([bytes(5000) for i in range(500)])
PAGES = {'/work': work, '/wait': wait, '/fork': fork, '/thread': thread, '/allocate': allocate}
def application(environ, start_response):
    body = str(PAGES[environ['PATH_INFO']]()).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
"""
# One process for as long as it takes, and a thread for each request.
STEADY = """
import os, signal, socketserver, threading, wsgiref.simple_server
from application import application
class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    request_queue_size = 64
class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass
server = wsgiref.simple_server.make_server('127.0.0.1', 0, application, Server, Handler)
signal.signal(signal.SIGTERM, lambda *args: threading.Thread(target=server.shutdown).start())
with open('steady.new', 'w') as file:
    file.write('%d %d' % (os.getpid(), server.server_port))
os.rename('steady.new', 'steady')
server.serve_forever()
server.server_close()
"""
PAGES = ["/work", "/wait", "/work", "/allocate", "/wait", "/thread", "/work", "/wait"]


def proc(pid, name):
    return pathlib.Path("/proc/%d/%s" % (pid, name)).read_text()


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", proc(pid, "status"))[1])


def files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Load:
    """Clients that ask for one page after the other, on a new connection each time."""

    def __init__(self, ports):
        self.ports, self.done, self.failed, self.over = ports, 0, 0, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]
        for t in self.threads:
            t.start()

    def run(self, offset):
        count = offset
        while not self.over.is_set():
            count += 1
            page = "/fork" if count % 50 == 0 else PAGES[count % len(PAGES)]
            port = self.ports[count // len(PAGES) % len(self.ports)]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", page)
                self.failed += connection.getresponse().status != 200
            except OSError:
                self.failed += 1
            finally:
                connection.close()
            self.done += 1

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()


class Service:
    """gunicorn and the other server under one `pillion record`, on ports of their own choice."""

    def __init__(self, work, python, packages):
        self.directory = work
        (work / "application.py").write_text(APPLICATION)
        (work / "steady.py").write_text(STEADY)
        self.log = work / "gunicorn.log"
        both = '"$0" steady.py & exec "$0" -m gunicorn.app.wsgiapp "$@"'
        argv = [place.HERE.pillion, "record", "--rotate", "%ds" % ROTATE_S, "--keep", KEEP, "-o", work / "soak.pillion",
                "--", "sh", "-c", both, python.path, "-w", str(WORKERS), "-b", "127.0.0.1:0",
                "--graceful-timeout", "10", "--log-file", self.log, "application:application"]
        self.process = place.HERE.popen(argv, cwd=work, env={"PYTHONPATH": packages}, stderr=subprocess.PIPE, text=True)
        self.collector = self.process.pid
        port = int(self.wait_for(self.log, r"Listening at: http://127.0.0.1:(\d+)")[1])
        self.wait_for(self.log, r"Booting worker")
        self.master, = [p for p in servers.children(self.collector) if "gunicorn" in proc(p, "cmdline")]
        self.steady, other_port = map(int, self.wait_for(work / "steady", r"(\d+) (\d+)").groups())
        self.ports = [port, other_port]

    def wait_for(self, path, pattern):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(pattern, path.read_text()) if path.exists() else None
            if found:
                return found
            time.sleep(0.05)
        raise SystemExit("the service does not start: see %s" % self.log)

    def profiles(self):
        """The files, oldest first."""
        return sorted(self.directory.glob("soak*.pillion"), key=lambda p: p.stat().st_mtime)

    def look(self):
        """One row of figures."""
        newest = self.profiles()[-1].stat()
        return {"time": time.monotonic(), "master_kib": rss_kib(self.master), "master_files": files(self.master),
                "steady_kib": rss_kib(self.steady), "steady_files": files(self.steady),
                "collector_kib": rss_kib(self.collector), "collector_files": files(self.collector),
                "workers": len(servers.children(self.master)), "profile": newest.st_size,
                "lag_s": time.time() - newest.st_mtime}

    def reload(self):
        os.kill(self.master, signal.SIGHUP)

    def stop(self):
        os.kill(self.steady, signal.SIGTERM)
        os.kill(self.master, signal.SIGTERM)
        _, err = self.process.communicate(timeout=120)
        return self.process.returncode, err


def pick_python():
    """Debian's own if it can have gunicorn, else another."""
    for python in sorted(interpreters.supported(), key=lambda i: i.origin != "debian"):
        if python.root:
            continue
        packages = place.packages(python, "gunicorn")
        if packages:
            return python, packages
    raise SystemExit("gunicorn cannot be installed for any interpreter")


def heading():
    print("%6s %10s %9s %11s %6s %11s %6s %14s %6s %12s %8s" % (
        "minute", "requests/s", "failed", "master KiB", "files", "steady KiB", "files", "collector KiB", "files",
        "profile KiB", "lag s"))


def line(minute, rows, requests, seconds, failed):
    last = rows[-1]
    print("%6.1f %10.1f %9d %11d %6d %11d %6d %14d %6d %12d %8.1f" % (
        minute, requests / seconds, failed, last["master_kib"], last["master_files"], last["steady_kib"],
        last["steady_files"], last["collector_kib"], last["collector_files"], last["profile"] // 1024,
        max(r["lag_s"] for r in rows)), flush=True)


def run(service, load, minutes):
    """Looks until the time is over; returns all rows, and how often workers were replaced."""
    rows, start, reloads, since, requests = [], time.monotonic(), 0, 0, 0
    heading()
    while time.monotonic() - start < minutes * 60:
        time.sleep(LOOK_S)
        rows.append(service.look())
        age = rows[-1]["time"] - start
        if age >= (reloads + 1) * RELOAD_S:
            service.reload()
            reloads += 1
        if len(rows) % max(1, 60 // LOOK_S) == 0:
            line(age / 60, rows[since:], load.done - requests, 60, load.failed)
            since, requests = len(rows), load.done
    return rows, reloads


def growth(rows, key):
    """Between the middle and the end: medians of a tenth each, so that a moment does not count."""
    part = max(1, len(rows) // 10)
    middle = rows[len(rows) // 2:len(rows) // 2 + part]
    return statistics.median(r[key] for r in rows[-part:]) - statistics.median(r[key] for r in middle)


def judge(rows, load, result, profiles):
    status, err = result
    processes = [p for profile in profiles for p in profile.processes]
    lost = sum(p["lost_records"] for p in processes)
    whole = [p for p in profiles if p.data["complete"] and p.data["symbolized"] and not p.data["bad_bytes"]]
    checks = [
        ("gunicorn ended in order", status == 0, status),
        ("failed requests", load.failed == 0, load.failed),
        ("growth of gunicorn's first process, KiB", growth(rows, "master_kib") <= MASTER_KIB_MAX,
         growth(rows, "master_kib")),
        ("growth of its descriptors", growth(rows, "master_files") <= FILES_MAX, growth(rows, "master_files")),
        ("growth of the server that is one process, KiB", growth(rows, "steady_kib") <= STEADY_KIB_MAX,
         growth(rows, "steady_kib")),
        # Each client may have a connection there.
        ("growth of its descriptors", growth(rows, "steady_files") <= FILES_MAX + CLIENTS, growth(rows, "steady_files")),
        ("growth of the collector, KiB", growth(rows, "collector_kib") <= COLLECTOR_KIB_MAX,
         growth(rows, "collector_kib")),
        ("growth of its descriptors beyond live processes", growth(rows, "collector_files") <= 2 * FILES_MAX + 2 * WORKERS,
         growth(rows, "collector_files")),
        ("most seconds without a write", max(r["lag_s"] for r in rows) <= LAG_S_MAX,
         round(max(r["lag_s"] for r in rows), 1)),
        ("profiles that are not whole", len(whole) == len(profiles), len(profiles) - len(whole)),
        ("records that made no sense", lost == 0, lost),
        ("processes without an end", all(p["end_ns"] for p in profiles[-1].processes),
         sum(not p["end_ns"] for p in profiles[-1].processes)),
    ]
    print()
    for what, good, figure in checks:
        print("%-55s %12s  %s" % (what, figure, "ok" if good else "NOT OK"))
    print(err.strip())
    return all(good for _, good, _ in checks)


def readme_row(minutes, rows, load, reloads, profiles):
    # A process that goes on in the next file is in both.
    processes = sum(bool(p["end_ns"]) for profile in profiles for p in profile.processes)
    grown = ["%+d" % growth(rows, key) for key in ("master_kib", "master_files", "steady_kib", "steady_files",
                                                   "collector_kib", "collector_files")]
    print("\n| %g | %s | %d | %d | %d | %s | %s | %.1f |" % (
        minutes, format(load.done, ","), load.failed, reloads, len(profiles), format(processes, ","),
        " | ".join(grown), max(r["lag_s"] for r in rows)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    minutes = parser.parse_args().minutes
    python, packages = pick_python()
    work = pathlib.Path(tempfile.mkdtemp(prefix="pillion-soak-"))
    service = Service(work, python, packages)
    load = Load(service.ports)
    try:
        rows, reloads = run(service, load, minutes)
    finally:
        load.stop()
        result = service.stop()
    profiles = [recording.load(path) for path in service.profiles()]
    good = judge(rows, load, result, profiles)
    readme_row(minutes, rows, load, reloads, profiles)
    if good:
        shutil.rmtree(str(work))
    else:
        print("kept: %s" % work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
