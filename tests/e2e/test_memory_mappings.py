# SPDX-License-Identifier: MIT
"""mmap and its family do what they do without Pillion, and are counted exactly, whoever calls them when."""
import place
import recording


def driver(python):
    return place.build_extension(python, "alloc_driver") + "/alloc_driver.so"


def test_where_a_mapping_goes_is_as_without(here, one_python, work):
    """A hint alone, which mremap() has with MREMAP_DONTUNMAP. Old kernels know no such flag."""
    program = ["-c", "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).mremap_follows_hint())", driver(one_python)]
    plain = here.run([one_python.path, *program], cwd=work).stdout
    assert recording.record_ok(one_python, program, work)[1] == plain
