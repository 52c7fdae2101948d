# SPDX-License-Identifier: MIT
"""Greenlets and gevent: C stacks that are cut out, kept on the heap and put back under samples."""
import place
import pytest
import recording
from prelude import PRELUDE

GREENLETS = PRELUDE + """
import greenlet
def recurse(depth, work):
    return work() if not depth else recurse(depth - 1, work)
def counts(done, number, total):
    for i in range(total):
        for j in range(300):
            sum((1, 2, 3))
        done[number] += 1
        greenlet.getcurrent().parent.switch()
def switches(depth, done):
    mine = [greenlet.greenlet(lambda i=i: recurse(depth + i, lambda: counts(done, i, 1500))) for i in range(8)]
    while any(not g.dead for g in mine):
        for g in mine:
            if not g.dead: g.switch()
# Each thread counts for itself: "+= 1" of two threads may lose one.
done = {3: [0] * 8, 60: [0] * 8}
for t in [start(switches, *its) for its in done.items()]: t.join()
print(done)
"""
GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, hashlib, socket, time
from gevent.server import StreamServer
def digests(text):
    for i in range(400):
        text = hashlib.sha256(text).digest()
    return text
def serve(connection, address):
    connection.sendall(digests(connection.recv(64)))
    connection.close()
server = StreamServer(('127.0.0.1', 0), serve)
server.start()
def ask(number):
    with socket.create_connection(('127.0.0.1', server.server_port)) as s:
        s.sendall(b'%d' % number)
        time.sleep(0.001)
        return s.recv(64) == digests(b'%d' % number)
print(sum(job.get() for job in [gevent.spawn(ask, i) for i in range(300)]))
server.stop()
"""


def run(python, work, program, package):
    directory = place.packages(python, package)
    if not directory or python.root:
        pytest.skip("%s cannot be installed for %s" % (package, python))
    plain = place.of(python).run([python.path, "-W", "error", "-c", program], env={"PYTHONPATH": directory})
    if plain.returncode:
        pytest.skip("it does not run without Pillion either: " + plain.stderr[-300:])
    profile, out = recording.record_ok(python, ["-W", "error", "-c", program], work, options=["-F", "1000"],
                                       env={"PYTHONPATH": directory}, timeout=60)
    assert out == plain.stdout
    return profile


def test_greenlets_switch_under_samples(python, work, record_property):
    profile = run(python, work, GREENLETS, "greenlet")
    inside = [s for s in profile.calling("counts") if s.on_cpu]
    # What is above a greenlet's own frames is its parent's, which is elsewhere meanwhile.
    own = [s for s in inside if s.python()[-1].name.rsplit(".", 1)[-1] in ("<lambda>", "_bootstrap")]
    record_property("figure", "%d samples in greenlets, %d of them whole" % (len(inside), len(own)))
    assert len(inside) >= 30 and len(own) >= 0.95 * len(inside)


def test_a_server_of_gevent_answers_as_without_us(python, work, record_property):
    profile = run(python, work, GEVENT, "gevent")
    inside = profile.calling("digests")
    record_property("figure", "300 answers, %d samples" % len(inside))
    assert len(inside) >= 30
