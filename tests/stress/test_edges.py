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


def test_what_runs_on_a_stack_far_away_is_called_by_python(interpreter, work):
    """Its own functions are innermost, and what called it is below all of them."""
    profile, _ = run(interpreter, "def calls(): assert edges_ext.burn_far_away(0.4)\ncalls()", work, options=("-F", "250"))
    there = [s for s in profile.calling("calls") if any(f.name == "burn_on_far_stack" for f in s.stack)]
    assert len(there) > 40, len(there)
    for sample in there:
        kinds = [f.is_python for f in sample.stack]
        native = next(i for i, f in enumerate(sample.stack) if f.name == "burn_on_far_stack")
        assert not any(kinds[:native + 1]), sample.stack


@pytest.mark.parametrize("pages", [6, 16])
def test_a_thread_may_use_nearly_all_of_a_small_stack(python, work, pages):
    """
    What is left has room for the kernel's frame of a signal: more we must not take. So its samples are
    dropped, or where the processor has more registers than are in use, there is room.
    """
    profile, _ = run(python, "assert edges_ext.recurse(%d * 4096, 0.2) == 0" % pages, work)
    sampled = sum(s.on_cpu and not profile.thread(s)["is_main"] for s in profile.samples)
    assert sampled + profile.drops[recording.DROP_SMALL_STACK] > 0, "no signal came there"


def test_python_near_the_end_of_a_stack_is_sampled_where_there_is_room(python, work):
    """From no room at all to more than enough, on stacks of threads and, under a limit, the first one's: nobody falls off."""
    program = """
import resource, threading
def at(room): edges_ext.recurse_here(room, 0.05)
def everywhere(rooms): [at(room) for room in rooms]
threading.stack_size(256 * 1024)
thread = threading.Thread(target=everywhere, args=(range(600, 12000, 300),))
thread.start()
thread.join()
everywhere(range(600, 12000, 300))
"""
    profile, _ = run(python, program, work, options=("-F", "250"))
    near = profile.calling("at")
    assert {profile.thread(s)["is_main"] for s in near} == {True, False}
    assert len(near) + profile.drops[recording.DROP_SMALL_STACK] >= 200 and profile.drops[recording.DROP_SMALL_STACK] > 0


def test_an_interpreter_that_has_ended_is_left_alone(interpreter, work):
    """The main thread is first sampled when it burns CPU on its way out."""
    sampled = 0
    for _ in range(8):
        profile, _ = run(interpreter, "edges_ext.burn_at_exit(0.06)\ntime.sleep(0.1)", work, options=())
        sampled += sum(any(f.name == "burn_now" for f in s.stack) for s in profile.samples if s.on_cpu)
    assert sampled >= 8
