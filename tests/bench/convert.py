# SPDX-License-Identifier: MIT
"""Runs inside the measured interpreter, for what only code from there can read or do.

    convert.py memray FILE             {"stacks": [[[name, file, line]..., bytes]...]} of the peak
    convert.py line_profiler FILE      the same, in seconds
    convert.py tracemalloc OUT PROGRAM [ARGUMENT...]    runs PROGRAM traced, writes the same

Stacks are outermost first.
"""
import json
import pickle
import runpy
import sys
import tracemalloc


def from_memray(path):
    import memray
    with memray.FileReader(path) as reader:
        for record in reader.get_high_watermark_allocation_records(merge_threads=True):
            try:
                trace = record.hybrid_stack_trace() if reader.metadata.has_native_traces else record.stack_trace()
            except NotImplementedError:  # freed memory has no stack
                trace = []
            yield [[name, file, line] for name, file, line in reversed(trace)], record.size


def from_line_profiler(path):
    with open(path, "rb") as f:
        stats = pickle.load(f)
    for (file, _, name), lines in stats.timings.items():
        for line, _, time in lines:
            yield [[name, file, line]], time * stats.unit


def write(stacks, out):
    json.dump({"stacks": [list(pair) for pair in stacks]}, out)


def run_traced(out, argv):
    tracemalloc.start()
    sys.argv = argv
    sys.path[0] = argv[0].rsplit("/", 1)[0]
    try:
        runpy.run_path(argv[0], run_name="__main__")
    finally:
        snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()
        with open(out, "w") as f:
            write((([["?", frame.filename, frame.lineno] for frame in trace.traceback], trace.size)
                   for trace in snapshot.traces), f)


def main(argv):
    if argv[0] == "tracemalloc":
        run_traced(argv[1], argv[2:])
    else:
        readers = {"memray": from_memray, "line_profiler": from_line_profiler}
        write(readers[argv[0]](argv[1]), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
