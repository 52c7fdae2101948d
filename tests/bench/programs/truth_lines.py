# SPDX-License-Identifier: MIT
"""CPU time split between four lines of one function, each of which calls C code only."""
import time

import common

NUMBERS = [i * 7919 % 10007 for i in range(10_007)]
TEXT = "some words to count, " * 4000


def lines(truth):
    clock, cpu = time.thread_time, truth.cpu
    start = clock()
    sorted(NUMBERS)  # line: sort
    one = clock()
    sum(NUMBERS), sum(NUMBERS), sum(NUMBERS)  # line: sum
    two = clock()
    TEXT.replace("words", "letters").count("e")  # line: text
    three = clock()
    tuple(map(str, NUMBERS))  # line: map
    for part, spent in (("sort", one - start), ("sum", two - one), ("text", three - two), ("map", clock() - three)):
        cpu[part] = cpu.get(part, 0) + spent


def main():
    truth, end = common.Truth(), time.process_time() + common.parse_truth(__doc__).seconds
    while time.process_time() < end:
        lines(truth)
    common.tell(by="line", busy=True, truths={"cpu": truth.cpu}, lines=common.marked_lines(__file__),
                roots=["<module>"], calls={"main": ["<module>"], "lines": ["main"]})


if __name__ == "__main__":
    main()
