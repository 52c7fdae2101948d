# SPDX-License-Identifier: MIT
"""Runs check_walk.py and check_corners.py with harness.so on every CPython of the machine.

    run.py --harness PATH [--seconds S] [--only REGEX] [--corners] [--json FILE]

One line per interpreter; exit 1 when one differs from what Python says, 77 when there
is no interpreter to run.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "lib"))
import interpreters  # noqa: E402
import place  # noqa: E402

SKIP = 77
# ready or not; the GIL as seen by the finalizing thread, by one without a state, and by the
# finalizing one while it has released the GIL. Enum pln_gil.
AT_END = "end: 0 holds 21 released 1.\n"
SHIFTS = ["frame.code", "frame.previous", "frame.instr", "code.name", "code.filename",
          "thread.thread_id"]
CORNERS = [(name, {}) for name in ("names", "reused", "reads", "fork", "finalizing", "gil",
                                   "gil_of_native_threads", "tls", "subinterpreters", "greenlets")] + \
    [("check_in_" + name, {"HARNESS_LATE": "1"}) for name in (
        "c_calls", "recursion", "generators", "coroutines", "trace_function", "odd_names",
        "greenlet")] + \
    [("denied", {"HARNESS_DENY": "1"}), ("fork", {"HARNESS_DENY": "1"}),
     ("denied_all", {"HARNESS_NO_CHECKED_READ": "1"})] + \
    [("refused", {"HARNESS_SHIFT": field}) for field in SHIFTS]


def run(interpreter, harness, script, arguments, variables=None, timeout=300):
    env = {"LD_PRELOAD": harness, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore",
           **(variables or {})}
    argv = [interpreter.path, HERE / script, *arguments]
    return subprocess.run(interpreters.enter(interpreter.root, argv, env=env),
                          capture_output=True, text=True, errors="replace", timeout=timeout)


def walk(interpreter, options):
    """The figures of check_walk.py."""
    arguments = [str(options.seconds)]
    if interpreter.origin == "pyenv":  # one symbol for the whole of the C eval function
        arguments.append("--strict-evals")
    done = run(interpreter, options.harness, "check_walk.py", arguments)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"ok": False, "errors": ["exit %d: %s" % (done.returncode, done.stderr[-500:])]}


def corners(interpreter, options):
    """What went wrong in the corners, what was skipped, and how many of them there were."""
    errors, skipped, passed = [], [], 0
    greenlet = place.packages(interpreter, "greenlet")
    for name, variables in CORNERS:
        paths = {"PYTHONPATH": greenlet} if greenlet and "greenlet" in name else {}
        done = run(interpreter, options.harness, "check_corners.py", [name], {**variables, **paths}, 60)
        label = " ".join([name, *variables.values()])
        if done.returncode == SKIP:
            skipped.append("%s: %s" % (label, done.stdout.strip()))
        elif done.returncode:
            errors.append("%s: exit %d: %s" % (label, done.returncode,
                                               (done.stdout + done.stderr)[-300:]))
        elif name == "finalizing" and not re.fullmatch(AT_END, done.stdout):
            errors.append("while finalizing: " + done.stdout)
        passed += done.returncode == 0
    return errors, skipped, passed


def visible(interpreter, path):
    return os.path.exists(interpreter.root + str(path))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--harness", required=True)
    parser.add_argument("--seconds", type=float, default=0.05, help="of each of 25 workloads")
    parser.add_argument("--only", default="", help="interpreters whose name matches")
    parser.add_argument("--corners", action="store_true", help="the rare cases only")
    parser.add_argument("--json", help="write all figures there")
    options = parser.parse_args()
    options.harness = os.path.abspath(options.harness)
    figures, bad = {}, False
    for interpreter in interpreters.supported():
        if not re.search(options.only, interpreter.id):
            continue
        if not visible(interpreter, options.harness) or not visible(interpreter, HERE):
            print("%-14s skipped: the harness is not visible inside %s" %
                  (interpreter.id, interpreter.root))
            continue
        found = {"ok": True, "errors": []} if options.corners else walk(interpreter, options)
        errors, skipped, found["corners"] = corners(interpreter, options)
        errors = found.pop("errors") + errors
        figures[interpreter.id] = found
        print("%-14s %s %s" % (interpreter.id, "WRONG" if errors else "ok",
                               " ".join("%s=%s" % item for item in found.items())))
        for error in errors:
            print("    " + error)
        for corner in skipped:
            print("    %s %s" % (interpreter, corner))
        bad = bad or bool(errors)
        sys.stdout.flush()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1))
    if not figures:
        print("skipped: no CPython 3.8 to 3.15 to run")
        return SKIP
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
