# SPDX-License-Identifier: MIT
"""Under tight resource limits the program runs as before, and is sampled all the same."""
import os

import place
import pytest
import recording
from prelude import PRELUDE


@pytest.mark.full
def test_all_waits_are_seen_with_more_threads_than_descriptors(python, work):
    profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
resource.setrlimit(resource.RLIMIT_NOFILE, (16, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
done = threading.Event()
threads = [start(done.wait) for i in range(30)]
time.sleep(1.5)
done.set()
for t in threads: t.join()
"""], work)
    totals = profile.by_thread("offcpu_ns")
    waited = [totals[i] for i, t in enumerate(profile.threads) if not t["is_main"]]
    assert len(waited) == 30 and min(waited) >= 1.3e9


def under_limits(python, directory, limits):
    """Four busy threads; the limits are not the collector's."""
    program = PRELUDE + "threads = [start(burn, 0.05) for i in range(4)]\n" \
        "for t in threads: t.join()\nprint('done')"
    pillion = place.of(python)
    shell = 'ulimit %s && exec "$@"' % limits
    result = pillion.run([pillion.pillion, "record", "-o", directory / "out.pillion", "--",
                          "bash", "-c", shell, "bash", python.path, "-c", program], cwd=directory)
    assert result.returncode == 0 and result.stdout == "done\n", result.stderr


@pytest.mark.full
@pytest.mark.parametrize("limits", [
    "-v 524288", "-n 16", "-i 0", "-s unlimited", "-l 0", "-f 65536", "-Sf 0"])
def test_a_limit_from_the_start_changes_nothing(python, work, limits):
    under_limits(python, work, limits)
    # Without room for a queued signal (-i 0) there are no timers: samples are forced.
    assert recording.load(work / "out.pillion").total("cpu_ns") >= 0.15e9


def test_where_the_segment_may_not_be_made_the_program_runs_unsampled(python, work):
    """Files of no bytes at all: SIGXFSZ would end who tries."""
    under_limits(python, work, "-f 0")


def test_a_process_with_no_descriptor_left_says_so_and_runs(python, work):
    """One is left, which the segment takes: none for the socket."""
    pillion = place.of(python)
    shell = 'ulimit -n 4 && PILLION_LOG=error exec "$@"'
    result = pillion.run([pillion.pillion, "record", "-o", work / "out.pillion", "--", "sh", "-c", shell, "sh",
                          python.path, "-S", "-c", "print('done')"], cwd=work)
    assert result.stdout == "done\n", result.stderr
    assert "not sampling: no descriptor is left to reach the collector with" in result.stderr, result.stderr


def test_locked_memory_and_core_dumps_do_not_fill_the_segment_in(python, work):
    """It is 130 MB large, of which lanes that are not used cost nothing."""
    if os.geteuid():
        pytest.skip("a user may not lock that much memory")
    _, out = recording.record_ok(python, ["-c", PRELUDE + """
assert libc.mlockall(3) == 0  # MCL_CURRENT | MCL_FUTURE
for t in [start(burn, 0.02) for i in range(20)]: t.join()
shared = [line.split()[1] for line in open('/proc/self/status') if line.startswith('RssShmem')]
ours = open('/proc/self/smaps').read().split('/memfd:pillion')[1:]
print(shared[0], all(' dd ' in part.split('VmFlags:')[1].splitlines()[0] + ' ' for part in ours), len(ours))
"""], work)
    shared_kib, not_dumped, mappings = out.split()
    assert int(shared_kib) <= 10 << 10
    assert not_dumped == "True" and int(mappings) > 0
