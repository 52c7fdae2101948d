# SPDX-License-Identifier: MIT
"""Exact counts of malloc and free to hold a profile against: workloads/alloc_oracle.c tells them."""
import struct

import place
import recording


def library(python, name):
    return place.build_extension(python, name) + "/%s.so" % name


def record(python, work, program, behind=(), env=None, options=()):
    """The profile of a program that has alloc_ends.c's library as `ends`; counts by pid; its output.

    `behind`: libraries to preload behind Pillion. env(1) sets the variable, so that `record` itself runs
    without the oracle, and the oracle comes before the library that `record` puts first.
    """
    where = place.of(python)
    path = work / "out.pillion"
    preload = " ".join([library(python, "alloc_oracle"), where.library, *map(str, behind)])
    argv = [where.pillion, "record", "-o", path, *options, "--", "env", "LD_PRELOAD=" + preload,
            "ORACLE_FILE=%s" % (work / "oracle"), python.path, "-c",
            "import ctypes, os, sys\nends = ctypes.CDLL(sys.argv[1])\n" + program, library(python, "alloc_ends")]
    result = where.run(argv, cwd=work, env=env)
    assert result.returncode in (0, -9), (result.returncode, result.stderr)
    truth = {int(p.name.split(".")[1]): list(struct.unpack("<4Q", p.read_bytes())) for p in work.glob("oracle.*")}
    return recording.load(path), truth, result.stdout


def check(profile, truth):
    """0 error, of every process."""
    counted = {p["pid"]: p["heap"][recording.HEAP_MALLOC] for p in profile.processes}
    assert counted
    for pid, heap in counted.items():
        assert heap[0] > 1000
        assert heap == truth[pid], (pid, [a - b for a, b in zip(heap, truth[pid])])
