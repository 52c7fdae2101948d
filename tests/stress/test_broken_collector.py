# SPDX-License-Identifier: MIT
"""A collector that goes mad takes no program with it, whatever it writes into the segment."""
import struct
import time

import pytest
import segment
from prelude import PRELUDE

PROGRAM = PRELUDE + """
for i in range(5):
    threads = [start(burn, 0.05) for i in range(4)]
    for t in threads: t.join()
print('done')
"""


def break_layout(value):
    def scribble(memory, lanes):
        for offset in segment.LAYOUT.values():
            struct.pack_into("<Q", memory, offset, value)
    return scribble


def break_lanes(value):
    """Head and tail close together, so that the lane looks empty."""
    def scribble(memory, lanes):
        for at in lanes:
            for offset in (segment.LANE_HEAD, segment.LANE_TAIL):
                struct.pack_into("<Q", memory, at + offset, value)
    return scribble


def break_sizes(memory, lanes):
    for at in lanes:
        struct.pack_into("<I", memory, at + segment.LANE_SIZE, 2**31)


@pytest.mark.full
@pytest.mark.parametrize("scribble", [
    break_layout(0), break_layout(2**64 - 1), break_layout(2**40),
    break_lanes(2**32 - 1), break_lanes(2**64 - 5), break_lanes(3), break_sizes],
    ids=["zeros", "ones", "far", "before a wrap", "before the end", "odd", "sizes"])
def test_what_it_writes_over_our_words_changes_nothing(python, work, scribble):
    with segment.of(python, PROGRAM, work) as (process, memory):
        lanes, before = segment.lanes(memory), segment.handler_calls(memory)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            scribble(memory, lanes)
            segment.stay_alive(memory)
            time.sleep(0.001)
        assert process.returncode is not None, "it hangs"
        assert (process.returncode, process.stdout.read()) == (0, "done\n"), process.stderr.read()
        assert segment.handler_calls(memory) > before, "it was not sampled meanwhile"


def test_it_cannot_cut_the_segment_short(python, work):
    """Who read behind its end would be ended (SIGBUS): the size is sealed."""
    with segment.of(python, PROGRAM, work) as (process, memory):
        size = len(memory)
        for change in (0, size // 2, 2 * size):
            with pytest.raises(PermissionError):
                memory.resize(change)
        segment.stay_alive(memory)
        assert process.communicate(timeout=60)[0] == "done\n"
