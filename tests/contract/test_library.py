# SPDX-License-Identifier: MIT
"""What libpillion.so shows, needs and may call: a guest in other people's processes."""
import re
import subprocess

import place

MAP = place.REPO / "preload" / "preload.map"

# What would end the program that the library rides in, write for it, or unwind it. What a
# handler may call is a matter of its own: test_headers.py.
FORBIDDEN = {
    "exit", "_exit", "_Exit", "quick_exit", "abort", "__assert_fail", "raise", "atexit", "__stack_chk_fail",
    "printf", "fprintf", "puts", "putchar", "vprintf", "vfprintf", "perror", "syslog", "fopen", "fwrite",
    "__printf_chk", "__fprintf_chk", "__vfprintf_chk", "stdout", "stderr",
    "backtrace", "_Unwind_Backtrace", "system", "popen", "sleep", "usleep", "fork", "vfork",
}


def output(*argv):
    return subprocess.run(list(map(str, argv)), stdout=subprocess.PIPE, check=True).stdout.decode()


def names_in_map():
    text = re.sub(r"/\*.*?\*/", "", MAP.read_text(), flags=re.S)
    return set(re.findall(r"(\w+);", text.split("global:")[1].split("local:")[0]))


def undefined():
    lines = output("nm", "-D", "--undefined-only", place.HERE.library).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def test_it_exports_what_the_map_says_and_no_more():
    lines = output("nm", "-D", "--defined-only", place.HERE.library).splitlines()
    assert {line.split()[-1].split("@")[0] for line in lines} == names_in_map()


def needed_by(library):
    return set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", library)))


def test_it_needs_libc_only():
    """Not even the loader: see preload/glibc.h."""
    assert needed_by(place.HERE.library) == {"libc.so.6"}


def test_it_calls_nothing_that_harms_its_host():
    assert not undefined() & FORBIDDEN


def test_it_binds_at_load_and_keeps_its_relocations_read_only():
    dynamic = output("readelf", "-dW", place.HERE.library)
    assert "NOW" in dynamic and "NODELETE" in dynamic
    assert "GNU_RELRO" in output("readelf", "-lW", place.HERE.library)


def test_it_has_no_executable_stack_and_no_text_relocations():
    stack, = [line for line in output("readelf", "-lW", place.HERE.library).splitlines() if "GNU_STACK" in line]
    assert " RWE " not in stack
    assert "TEXTREL" not in output("readelf", "-dW", place.HERE.library)


def test_its_thread_local_storage_is_initial_exec():
    """Dynamic TLS allocates at first use: in a signal handler, under malloc's own lock."""
    relocations = output("readelf", "-rW", place.HERE.library)
    assert "R_X86_64_DTPMOD64" not in relocations and "R_X86_64_TLSDESC" not in relocations


def test_the_one_for_containers_asks_for_no_glibc_newer_than_2_17():
    """Theirs may be of any age. Before 2.34, threads and the loader's functions were in files of their own."""
    library = place.HERE.build / "portable/libpillion.so"
    assert needed_by(library) <= {"libc.so.6", "libpthread.so.0", "libdl.so.2"}
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", output("readelf", "-VW", library))
    assert versions and max((int(a), int(b)) for a, b in versions) <= (2, 17)
