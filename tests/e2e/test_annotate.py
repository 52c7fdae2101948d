# SPDX-License-Identifier: MIT
"""annotate puts every sample at the line, and at the instruction, that it was taken at."""
import json
import os
import re
import shutil
import subprocess

import pytest

import place
import recording
from test_export import OK, NO_SAMPLES, USAGE, report
from test_report import ESCAPE

FAILURE = 1

PROGRAM = """\
import ctypes, sys, threading, time

native = ctypes.CDLL(sys.argv[1])

def numbers(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(i * i for i in range(2000))

def divides():
    native.outer(60000000)

def drops():
    for _ in range(20):
        bytes(4000000)

def sleeps():
    keep = [bytes(4000000) for _ in range(20)]
    time.sleep(0.4)
    return keep

thread = threading.Thread(target=sleeps)
thread.start()
drops()
numbers(0.5)
divides()
thread.join()
"""
LINE_OF = {text.strip(): number for number, text in enumerate(PROGRAM.splitlines(), 1)}

# A division takes dozens of cycles, and all else in the loop next to none.
NATIVE = """\
volatile unsigned long divisor = 3;

__attribute__((noinline)) unsigned long inner(unsigned long n)
{
	unsigned long sum = 0;
	for (unsigned long i = 0; i < n; i++)
		sum = (sum + i * 0x123456789abcul) / divisor;
	return sum;
}

__attribute__((noinline)) unsigned long outer(unsigned long n)
{
	unsigned long result = inner(n);
	return result + 1;
}
"""
DIVISION_LINE = 7
CALL_LINE = 13


@pytest.fixture(scope="module")
def program(session_work, one_python):
    """A recording of the program above, and the folder with its sources and library."""
    folder = session_work / "annotate"
    folder.mkdir()
    (folder / "app.py").write_text(PROGRAM)
    (folder / "native.c").write_text(NATIVE)
    library = place.host_compile(folder / "native.c", folder / "libnative.so", "-shared", "-fPIC",
                                 "-fno-optimize-sibling-calls", "-Wl,--build-id")
    r = recording.record(one_python, [folder / "app.py", library], folder, options=["-F", "250"])
    assert r.returncode == 0, r.stderr
    return r.path


def annotate(here, *options):
    result = here.run([here.pillion, "annotate", "--json", *options])
    assert result.returncode == OK, result.stderr
    data = json.loads(result.stdout)
    assert (data["schema"], data["schema_version"]) == ("pillion-annotate", 1)
    return data


def text(here, *options, columns=100):
    result = here.run([here.pillion, "annotate", *options], env={"COLUMNS": str(columns)})
    assert result.returncode == OK, result.stderr
    return result.stdout


def instructions_by_objdump(library):
    """Address to mnemonic, as binutils decode them."""
    shown = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    return {int(address, 16): name for address, name in re.findall(r"^ +([0-9a-f]+):\t(\S+)", shown, re.M)}


# --------------------------------------------------------------------- Python lines

def test_lines_have_the_time_the_waits_and_the_memory(here, program):
    data = annotate(here, "app.py", program)
    lines = {line["line"]: line for line in data["lines"]}
    summing = lines[LINE_OF["sum(i * i for i in range(2000))"]]
    assert 0.4e9 < summing["self_ns"] + summing["native_ns"] <= summing["total_ns"] < 0.65e9
    assert summing["source"].strip() == "sum(i * i for i in range(2000))"
    dividing = lines[LINE_OF["native.outer(60000000)"]]
    assert dividing["native_ns"] > 50 * dividing["self_ns"] and dividing["native_ns"] > 0.05e9
    sleeping = lines[LINE_OF["time.sleep(0.4)"]]
    assert 0.38e9 < sleeping["wait_ns"] < 0.6e9 and sleeping["total_ns"] < 0.05e9
    keeping = lines[LINE_OF["keep = [bytes(4000000) for _ in range(20)]"]]
    assert 0.75 * 80e6 < keeping["memory_bytes"] < 1.25 * 80e6
    called = lines[LINE_OF["numbers(0.5)"]]
    assert called["total_ns"] >= summing["total_ns"] and called["self_ns"] + called["native_ns"] < 0.05e9


@pytest.mark.parametrize("view", ["cpu", "wall", "offcpu", "gil"])
def test_lines_add_up_to_what_the_report_says(here, program, view):
    data = annotate(here, "--view", view, "app.py", program)
    functions = [f for f in report(here, program, "--view", view)["functions"]
                 if f["kind"] == "python" and f["file"] == data["file"]]
    costs = data["file_costs"]
    assert costs["self_ns"] == sum(f["self_ns"] for f in functions)
    assert costs["native_ns"] == sum(f["native_ns"] for f in functions)
    for key in ("self_ns", "native_ns", "wait_ns", "memory_bytes"):
        assert costs[key] == sum(line[key] for line in data["lines"]), key
    assert costs["total_ns"] <= data["whole_ns"] == report(here, program, "--view", view)["view_total"]["ns"]


@pytest.mark.parametrize("view", ["live", "peak", "temporary"])
def test_memory_of_lines_in_other_views(here, program, view):
    data = annotate(here, "--view", view, "app.py", program)
    functions = report(here, program, "--view", view)["functions"]
    expected = sum(f["self_bytes"] + f["native_bytes"] for f in functions
                   if f["kind"] == "python" and f["file"] == data["file"])
    assert data["memory_view"] == view and data["view"] == "cpu"
    assert data["file_costs"]["memory_bytes"] == expected
    assert data["file_costs"]["self_ns"] > 0


def test_a_python_function_is_its_lines(here, program):
    data = annotate(here, "numbers", program)
    assert (data["function"], data["kind"]) == ("numbers", "python")
    numbers = [line["line"] for line in data["lines"]]
    first = LINE_OF["def numbers(seconds):"]
    assert numbers and all(first <= n <= first + 3 for n in numbers)
    shown = text(here, "numbers", program)
    assert "def numbers(seconds):" in shown and "thread.join()" not in shown


def test_text_shows_source_around_samples_or_all_of_it(here, program):
    near = text(here, "--context", "0", "app.py", program)
    assert "sum(i * i for" in near and "def divides" not in near and " ..." in near
    whole = text(here, "--all", "app.py", program)
    for line in PROGRAM.splitlines():
        assert line.rstrip() in whole, (line, whole)


@pytest.mark.parametrize("what", ["app.py", "inner"])
@pytest.mark.parametrize("columns", [60, 80, 160])
def test_text_keeps_to_the_width_and_is_plain_in_a_pipe(here, program, what, columns):
    shown = text(here, "--all", what, program, columns=columns)
    assert max(len(line) for line in shown.splitlines()) <= columns and "\x1b" not in shown
    assert not re.search(r" +$", shown, re.M)
    colored = text(here, "--all", "--color", "always", what, program, columns=columns)
    assert colored != shown and ESCAPE.sub("", colored) == shown


def test_source_that_is_gone_or_was_changed(here, program, work):
    folder = program.parent
    shutil.copy2(str(folder / "app.py"), str(work / "app.py"))
    try:
        (folder / "app.py").write_text("# a line more\n" + PROGRAM)
        assert "changed since it was recorded" in text(here, "app.py", program)
        assert annotate(here, "app.py", program)["source_changed"]
        (folder / "app.py").unlink()
        shown = text(here, "app.py", program)
        assert "No such file" in shown and "def numbers" not in shown
        assert re.search(r"^ .* %d$" % LINE_OF["native.outer(60000000)"], shown, re.M), shown
    finally:
        shutil.copy2(str(work / "app.py"), str(folder / "app.py"))


# ---------------------------------------------------------------------- instructions

def place_of(data):
    assert data["kind"] == "native" and len(data["places"]) == 1, data["places"]
    return data["places"][0]


def test_samples_are_at_the_instructions_of_the_slow_line(here, program):
    data = annotate(here, "inner", program)
    where = place_of(data)
    known = instructions_by_objdump(str(program.parent / "libnative.so"))
    assert where["problem"] is None and not where["inlined"]
    for i in where["instructions"]:
        assert where["start"] <= i["address"] < where["end"]
        assert known[i["address"]].rstrip("bwlq") == i["text"].split()[0].rstrip("bwlq"), i
    assert data["self_ns"] == where["self_ns"] == sum(i["self_ns"] for i in where["instructions"])
    by_line = {}
    for i in where["instructions"]:
        by_line[i["line"]] = by_line.get(i["line"], 0) + i["self_ns"]
    # What was interrupted is the instruction behind the slow one, which may be of the next line.
    assert by_line.get(DIVISION_LINE, 0) + by_line.get(DIVISION_LINE - 1, 0) > 0.9 * data["self_ns"], by_line
    hottest = max(where["instructions"], key=lambda i: i["self_ns"])
    division = next(a for a, name in known.items() if name.startswith("div") and a >= where["start"])
    assert 0 <= hottest["address"] - division <= 16, (hottest, hex(division))


def test_a_caller_is_at_its_call_instruction(here, program):
    data = annotate(here, "outer", program)
    where = place_of(data)
    call, = [i for i in where["instructions"] if i["below_ns"]]
    assert call["text"].startswith("call") and call["target"] == "inner@plt" or call["target"] == "inner"
    assert call["line"] == CALL_LINE and call["self_ns"] == 0
    assert call["below_ns"] == annotate(here, "inner", program)["total_ns"]
    assert data["total_ns"] == where["total_ns"] >= call["below_ns"]


def test_code_is_shown_with_its_source(here, program):
    shown = text(here, "inner", program, columns=120)
    assert re.search(r"native\.c:7 +sum = \(sum \+ i \* 0x123456789abcul\) / divisor;", shown), shown
    assert re.search(r"^ +\d+\.\d +[0-9a-f]+ +\w+ .*%r", shown, re.M), shown
    intel = text(here, "--syntax", "intel", "--all", "inner", program, columns=120)
    assert "%r" not in intel and re.search(r" ret", intel)
    assert "without samples" not in intel and "behind the slow" in " ".join(intel.split())


def test_what_cpython_spends_is_found_in_its_functions(here, program):
    """Large functions, with code of others inlined into them, and cold parts elsewhere."""
    functions = [f for f in report(here, program)["functions"]
                 if f["kind"] == "native" and "python" in f["library"] and f["symbol_known"] and f["self_ns"]]
    assert functions
    for f in functions[:5]:
        data = annotate(here, f["function"], program)
        assert data["self_ns"] == f["self_ns"] and data["total_ns"] == f["total_ns"]
        below = sum(p["total_ns"] for p in data["places"])
        assert below >= data["total_ns"] and sum(p["self_ns"] for p in data["places"]) >= data["self_ns"]


def test_another_build_is_not_taken_for_the_one_that_ran(here, program, work):
    library = program.parent / "libnative.so"
    shutil.copy2(str(library), str(work / "kept.so"))
    try:
        (work / "other.c").write_text(NATIVE.replace("divisor = 3", "divisor = 5"))
        place.host_compile(work / "other.c", library, "-shared", "-fPIC", "-Wl,--build-id")
        shown = text(here, "inner", program)
        assert "another build" in shown and "native.c:" in shown and not re.search(r"divq? ", shown), shown
        where = place_of(annotate(here, "inner", program))
        assert where["problem"] and all(i["text"] is None for i in where["instructions"])
        assert sum(i["self_ns"] for i in where["instructions"]) == where["self_ns"] > 0
        library.unlink()
        assert "not on this machine" in text(here, "inner", program)
    finally:
        shutil.copy2(str(work / "kept.so"), str(library))


# -------------------------------------------------------------------------- names

@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_what_cannot_be_written_is_said_with_a_way_out(here, program, options):
    for argv in (["annotate", "inner", program], ["annotate", "app.py", program], ["diff", program, program]):
        with open("/dev/full", "w") as full:
            result = here.run([here.pillion, *argv, *options], stdout=full)
        line, = result.stderr.splitlines()
        assert result.returncode == FAILURE and "No space left" in line and "another place" in line, result


def test_names_that_mean_nothing_or_too_little(here, program):
    result = here.run([here.pillion, "annotate", "no_such_thing", program])
    assert result.returncode == NO_SAMPLES and "no_such_thing" in result.stderr
    for options in ([], [""], ["a", "b", "c"], ["--view", "leaks", "inner"], ["--syntax", "masm", "inner"]):
        result = here.run([here.pillion, "annotate", *options])
        assert (result.returncode, result.stdout) == (USAGE, ""), result
    assert here.run([here.pillion, "annotate", "inner", "/no/such.pillion"]).returncode == FAILURE


def test_nothing_to_show_is_no_success(here, program):
    for options in (["--thread", "nobody", "app.py"], ["--json", "--thread", "nobody", "app.py"],
                    ["--process", "1", "inner"]):
        result = here.run([here.pillion, "annotate", *options, program])
        assert (result.returncode, result.stdout) == (NO_SAMPLES, ""), result
        assert " ".join(options[-3:-1]) in result.stderr and "pillion info" in result.stderr, result


def test_several_of_one_name_are_told(here, program):
    """Some "run" or "__init__" is in every program; the whole name wins over a part of it."""
    assert annotate(here, "inner", program)["function"] == "inner"
    result = here.run([here.pillion, "annotate", "n", program])
    assert result.returncode == OK and "called like that" in result.stderr, result
