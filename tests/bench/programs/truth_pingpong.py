# SPDX-License-Identifier: MIT
"""Two functions of equal bodies that run in turn, microseconds each: one half of the CPU time each, by construction."""
import time

import common

BODY = """
def %s():
    total = 0
    for i in range(40):
        total += i * i
    return total
"""
for name in ("part_ping", "part_pong"):
    exec(compile(BODY % name, __file__, "exec"))


def rally(seconds):
    ping, pong, clock = part_ping, part_pong, time.process_time  # noqa: F821
    end = clock() + seconds
    while clock() < end:
        for _ in range(100):
            ping()
            pong()


def main():
    rally(common.parse_truth(__doc__).seconds)
    common.tell(by="function", busy=True, truths={"cpu": {"part_ping": 0.5, "part_pong": 0.5}}, roots=["<module>"],
                calls={"main": ["<module>"], "rally": ["main"], "part_ping": ["rally"], "part_pong": ["rally"]})


if __name__ == "__main__":
    main()
