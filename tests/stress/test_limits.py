# SPDX-License-Identifier: MIT
"""Under tight resource limits the program runs as before, and is sampled all the same."""
import pytest
import recording

HEAD = """
import resource, threading, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def limit(which, value):
    resource.setrlimit(which, (value, resource.getrlimit(which)[1]))
"""


def test_all_waits_are_seen_with_more_threads_than_descriptors(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", HEAD + """
def waits():
    done.wait()
limit(resource.RLIMIT_NOFILE, 16)
done = threading.Event()
threads = [threading.Thread(target=waits) for i in range(30)]
for t in threads:
    t.start()
time.sleep(1.5)
done.set()
for t in threads:
    t.join()
"""], work)
    totals = profile.by_thread("offcpu_ns")
    waited = [totals[i] for i, t in enumerate(profile.threads) if not t["is_main"]]
    assert len(waited) == 30 and min(waited) >= 1.3e9


def under_limits(python, directory, pillion, limits):
    """Four busy threads; the limits are not the collector's."""
    program = HEAD + "threads = [threading.Thread(target=burn, args=(0.05,)) for i in range(4)]\n" \
        "for t in threads: t.start()\nfor t in threads: t.join()\nprint('done')"
    shell = 'ulimit %s && exec "$@"' % limits
    result = pillion.run([pillion.pillion, "record", "-o", directory / "out.pillion", "--",
                          "bash", "-c", shell, "bash", python.path, "-c", program], cwd=directory)
    assert result.returncode == 0 and result.stdout == "done\n", result.stderr


@pytest.mark.parametrize("limits", [
    "-v 524288", "-n 16", "-i 0", "-s unlimited", "-l 0", "-f 65536", "-Sf 0"])
def test_a_limit_from_the_start_changes_nothing(one_python, work, here, limits):
    under_limits(one_python, work, here, limits)
    # Without room for a queued signal (-i 0) there are no timers: samples are forced.
    assert recording.load(work / "out.pillion").total("cpu_ns") >= 0.15e9


def test_where_the_segment_may_not_be_made_the_program_runs_unsampled(one_python, work, here):
    """Files of no bytes at all: SIGXFSZ would end who tries."""
    under_limits(one_python, work, here, "-f 0")
