# SPDX-License-Identifier: MIT
"""Prints nanoseconds for a malloc with its free, the least of some turns.

pairs.py LIBRARY THREADS PAIRS TURNS
"""
import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
library.pairs_ns.restype = ctypes.c_double
library.pairs_ns.argtypes = [ctypes.c_uint, ctypes.c_ulong]
threads, pairs, turns = map(int, sys.argv[2:])
print(min(library.pairs_ns(threads, pairs) for _ in range(turns)))
