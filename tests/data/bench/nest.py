# SPDX-License-Identifier: MIT
"""What the sample files of this directory were made of: three calls, in Python and in C."""
import sys
import time
import zlib

DATA = bytes(range(256)) * 400


def leaf(end):
    while time.thread_time() < end:
        sum(range(2000))


def squeeze(end):
    while time.thread_time() < end:
        zlib.compress(DATA, 9)


def middle(seconds):
    leaf(time.thread_time() + seconds)
    squeeze(time.thread_time() + seconds)


def main():
    middle(float(sys.argv[1]))


main()
