# SPDX-License-Identifier: MIT
"""A sample reads nothing that may be gone: not a fiber's stack, not an interpreter that has ended."""
import place
import pytest
import recording


def run(python, program, directory, options=("-F", "1000")):
    extension = place.build_extension(python, "edges_ext")
    return recording.record_ok(python, ["-c", "import time, edges_ext\n" + program], directory,
                               options=["-f", *options], env={"PYTHONPATH": extension}, timeout=60)


def test_stacks_that_come_and_go_are_walked(python, work, times):
    """
    A fiber's stack is below its thread's own, and what lies between may be mapped or not.
    Most is read of it by the first samples, which find no unwind tables yet: so many runs,
    and a main thread that waits elsewhere, lest its stack ask for them.
    """
    threads = inside = 0
    for _ in range(12 * times):
        profile, _ = run(python, "edges_ext.start_fibers(4)\ntime.sleep(0.1)", work)
        own = [s for s in profile.samples if s.on_cpu and not profile.thread(s)["is_main"]]
        threads += len(own)
        inside += sum(any(f.name == "burn_in_fiber" for f in s.stack) for s in own)
    assert inside >= max(100, 0.8 * threads), (inside, threads)


@pytest.mark.parametrize("pages", [6, 16])
def test_a_thread_may_use_nearly_all_of_a_small_stack(python, work, pages):
    """What is left has room for the kernel's frame of a signal: more we must not take."""
    run(python, "assert edges_ext.recurse(%d * 4096, 0.2) == 0" % pages, work)


def test_an_interpreter_that_has_ended_is_left_alone(interpreter, work):
    """The main thread is first sampled when it burns CPU on its way out."""
    for _ in range(8):
        run(interpreter, "edges_ext.burn_at_exit(0.06)\ntime.sleep(0.1)", work, options=())
