# SPDX-License-Identifier: MIT
"""In the collector's place: the shared memory of a program, to look at or to spoil."""
import array
import contextlib
import mmap
import os
import socket
import struct
import time

import place

# Offsets from wire.h, of what the program lays out and the collector only reads.
LAYOUT = {"size": 16, "slots_off": 56, "control_off": 64, "control_size": 72, "sampler_off": 80,
          "sampler_size": 88, "lanes_off": 96, "lane_count": 48, "period_ns": 104, "tick_ns": 112}
STATE, HANDLER_CALLS, COLLECTOR_NS = 200, 256, 448
LANE_SIZE, LANE_HEAD, LANE_TAIL = 4, 64, 128
SAMPLING, EXECED = 1, 4


def _accept(listener):
    connection, _ = listener.accept()
    with connection:
        _, control, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(8))
    fds = array.array("i", control[0][2])  # the segment, and the program's root directory
    try:
        return mmap.mmap(fds[0], 0)
    finally:
        for fd in fds:
            os.close(fd)


@contextlib.contextmanager
def of(python, program, work, **options):
    """Starts a program, and gives it and its segment."""
    where = place.of(python)
    env = {"LD_PRELOAD": where.library, "PILLION_SOCKET": work / "socket", "PILLION_FREQ": "250"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(python.root + str(work / "socket"))
        listener.listen()
        listener.settimeout(20)
        with where.popen([python.path, "-c", program], env=env, stdout=-1, stderr=-1, text=True,
                         **options) as process:
            try:
                yield process, _accept(listener)
            finally:
                process.kill()


def stay_alive(memory):
    """Else the program stops sampling after a while."""
    struct.pack_into("<Q", memory, COLLECTOR_NS, time.monotonic_ns())


def state(memory):
    return struct.unpack_from("<I", memory, STATE)[0]


def handler_calls(memory):
    return struct.unpack_from("<Q", memory, HANDLER_CALLS)[0]


def lanes(memory):
    count, size = struct.unpack_from("<II", memory, 48)
    control, sampler, first = (struct.unpack_from("<Q", memory, LAYOUT[name])[0]
                               for name in ("control_off", "sampler_off", "lanes_off"))
    return [control, sampler] + [first + i * size for i in range(min(count, 4))]
