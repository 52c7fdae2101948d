# SPDX-License-Identifier: MIT
"""A collector that goes mad takes no program with it, whatever it writes into the segment."""
import array
import mmap
import os
import socket
import struct
import time

import place
import pytest
from prelude import PRELUDE

# Offsets from wire.h, of what the program lays out and the collector only reads.
LAYOUT = {"size": 16, "slots_off": 56, "control_off": 64, "control_size": 72, "sampler_off": 80,
          "sampler_size": 88, "lanes_off": 96}
COLLECTOR_NS = 448
LANE_HEAD, LANE_TAIL = 64, 128


def accept_segment(listener):
    """The memory of the first process that says hello."""
    connection, _ = listener.accept()
    _, control, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
    fd, = array.array("i", control[0][2])
    connection.close()
    memory = mmap.mmap(fd, 0)
    os.close(fd)
    return memory


def lanes_of(memory):
    count, size = struct.unpack_from("<II", memory, 48)
    control, = struct.unpack_from("<Q", memory, LAYOUT["control_off"])
    sampler, = struct.unpack_from("<Q", memory, LAYOUT["sampler_off"])
    lanes, = struct.unpack_from("<Q", memory, LAYOUT["lanes_off"])
    return [control, sampler] + [lanes + i * size for i in range(min(count, 4))]


def stay_alive(memory):
    struct.pack_into("<Q", memory, COLLECTOR_NS, time.monotonic_ns())


def go_mad(process, memory, scribble):
    """Until the program ends, or for far longer than it should take."""
    lanes = lanes_of(memory)
    deadline = time.monotonic() + 60
    while process.poll() is None:
        scribble(memory, lanes)
        stay_alive(memory)
        time.sleep(0.001)
        if time.monotonic() > deadline:
            process.kill()


def break_layout(value):
    def scribble(memory, lanes):
        for offset in LAYOUT.values():
            struct.pack_into("<Q", memory, offset, value)
    return scribble


def break_lanes(value):
    """Head and tail close together, so that the lane looks empty."""
    def scribble(memory, lanes):
        for at in lanes:
            for offset in (LANE_HEAD, LANE_TAIL):
                struct.pack_into("<Q", memory, at + offset, value)
    return scribble


@pytest.mark.full
@pytest.mark.parametrize("scribble", [
    break_layout(0), break_layout(2**64 - 1), break_layout(2**40),
    break_lanes(2**32 - 1), break_lanes(2**64 - 5), break_lanes(3)],
    ids=["zeros", "ones", "far", "before a wrap", "before the end", "odd"])
def test_what_it_writes_over_our_words_changes_nothing(python, work, scribble):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        where = place.of(python)
        path = python.root + str(work / "socket")
        listener.bind(path)
        listener.listen()
        listener.settimeout(20)
        program = PRELUDE + "for i in range(5):\n    threads = [start(burn, 0.05) for i in range(4)]\n" \
            "    for t in threads: t.join()\nprint('done')"
        env = {"LD_PRELOAD": where.library, "PILLION_SOCKET": work / "socket", "PILLION_FREQ": "250"}
        with where.popen([python.path, "-c", program], env=env, stdout=-1, stderr=-1, text=True) as process:
            go_mad(process, accept_segment(listener), scribble)
            assert (process.returncode, process.stdout.read()) == (0, "done\n"), process.stderr.read()
