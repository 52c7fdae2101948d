# SPDX-License-Identifier: MIT
"""mmap and its family do what they do without Pillion, and are counted exactly, whoever calls them when."""
import json

import place
import recording

DROP_FREE_LOST = 12


def driver(python):
    return place.build_extension(python, "alloc_driver") + "/alloc_driver.so"


def test_where_a_mapping_goes_is_as_without(here, one_python, work):
    """A hint alone, which mremap() has with MREMAP_DONTUNMAP. Old kernels know no such flag."""
    program = ["-c", "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).mremap_follows_hint())", driver(one_python)]
    plain = here.run([one_python.path, *program], cwd=work).stdout
    assert recording.record_ok(one_python, program, work)[1] == plain


def test_threads_that_unmap_parts_of_one(one_python, work):
    """At once, one page each. Where one could not wait for another any longer, that is told."""
    profile, out = recording.record_ok(
        one_python, [place.WORKLOADS / "allocations.py", driver(one_python), "neighbours"], work)
    truth = {int(tid): counts for tid, counts in json.loads(out)["neighbours"].items()}
    counted = {t["tid"]: t["heap"][recording.HEAP_MAPPING] for t in profile.threads if t["tid"] in truth}
    missed = sum(truth[tid][2] - counted[tid][2] for tid in truth)
    assert 0 <= missed <= profile.drops[DROP_FREE_LOST] < 10, (truth, counted, profile.drops)
    if not missed:
        assert counted == truth
