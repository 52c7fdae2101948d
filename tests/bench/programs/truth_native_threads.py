# SPDX-License-Identifier: MIT
"""Two native threads that Python knows nothing of, beside one in Python: CPU time 2 : 1 : 1."""
import ctypes
import time

import common


def part_python(end):
    total = 0
    while time.thread_time() < end:
        for i in range(1000):
            total += i


def main():
    options = common.parse_truth(__doc__)
    library, spent = ctypes.CDLL(options.library), (ctypes.c_double * 2)()
    library.burn_start(ctypes.c_double(options.seconds / 2), ctypes.c_double(options.seconds / 4))
    truth = common.Truth()
    truth.timed(part_python, time.thread_time() + options.seconds / 4)
    library.burn_join(spent)
    common.tell(by="function", truths={"cpu": {**truth.cpu, "part_native_one": spent[0], "part_native_two": spent[1]}},
                roots=["<module>"], calls={"main": ["<module>"], "part_python": ["main"]})


if __name__ == "__main__":
    main()
