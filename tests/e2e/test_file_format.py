# SPDX-License-Identifier: MIT
"""pillion-format(5) is what the source has, and enough to write a reader from."""
import os
import random
import re

import pytest

import place
import recording

pytest.importorskip("zstandard")
pytest.importorskip("xxhash")
import stranger  # noqa: E402

PROFILE = place.REPO / "collector/profile"
PROGRAM = """
import json, threading, time
def work(seconds):
    kept, end = [], time.thread_time() + seconds
    while time.thread_time() < end:
        kept.append(json.loads(json.dumps([len(kept)] * 500)))
    time.sleep(0.05)
thread = threading.Thread(target=work, args=(0.2,), name="worker")
thread.start()
work(0.4)
thread.join()
"""


@pytest.fixture(scope="module")
def page(here):
    return stranger.Page(here.prefix / "share/man/man5/pillion-format.5")


# ------------------------------------------------------------- the page and the source

def source_grammar():
    """The productions in writer.c: what stands above its encoders, without the words behind."""
    found = {}
    for comment in re.findall(r"/\*(.*?)\*/", (PROFILE / "writer.c").read_text(), re.S):
        text = re.sub(r"\n \*", "\n", comment)
        for name, body in re.findall(r"^ (\w+(?: entry)?) += (.*(?:\n {6,}.*)*)", text, re.M):
            body = re.split(r";|\.(?:\s|$)|    to the end|    by enum", body)[0]
            found[name] = re.findall(r"\([^)]*\)\S*|\S+", body)
    found.pop("bits")
    return found


def test_every_grammar_of_the_writer_is_in_the_page(page):
    ours = dict(page.grammar)
    assert ours.pop("SAMPLES") == "base_time rows columns column:part{columns}".split()
    assert ours.pop("SECTION") == "first_id count entry{count}".split()
    assert len(ours) >= 20 and ours == source_grammar()


def enum_of(path, name):
    text = re.sub(r"/\*.*?\*/", "", (place.REPO / path).read_text(), flags=re.S)
    body = re.search(r"enum %s \{(.*?)\}" % name, text, re.S).group(1)
    return re.findall(r"(\w+)(?: = ([^,]*?))? ?,", re.sub(r"\s+", " ", body) + ",")


def test_every_type_of_chunk_is_in_the_page(page):
    types = {int(value): name[len("PILLION_CHUNK_"):] for name, value in
             enum_of("collector/profile/format.h", "pln_chunk_type")}
    assert len(types) >= 17
    assert {number: name.split()[0] for number, name in page.types.items()} == types


def test_every_column_of_samples_is_in_the_page(page):
    columns = [name[len("PLN_COLUMN_"):] for name, _ in enum_of("collector/profile/samples.h", "pln_sample_column")]
    assert [name for name, _ in page.columns] == columns[:-1] and columns[-1] == "COUNT"
    told = dict(re.findall(r"^ \*   ([A-Z]+) +=\s+(\(.*?\)\*|[a-z]+(?:\{rows\}|\*))", (PROFILE / "samples.c").read_text(), re.M))
    ours = dict(page.columns)
    assert told.pop("THREAD").replace(":varint", "") == ours["THREAD"]
    assert len(told) >= 6 and told == {name: ours[name] for name in told}
    assert all(kind == "varint*" for name, kind in ours.items() if name not in told and name != "THREAD")
    shapes = {name[len("SHAPE_"):]: eval(value) for name, value in enum_of("collector/profile/samples.c", "shape")}
    assert page.shape == shapes


def test_the_version_and_the_bounds_are_those_of_the_source(here):
    text = (here.prefix / "share/man/man5/pillion-format.5").read_text()
    header = dict(re.findall(r"^#define (PILLION_\w+) (.*?)(?: /\*.*)?$", (PROFILE / "format.h").read_text(), re.M))
    assert "This is version %s.%s of the format." % (
        header["PILLION_FILE_VERSION_MAJOR"], header["PILLION_FILE_VERSION_MINOR"]) in text
    assert header["PILLION_FILE_MAGIC"].rstrip("u") in text
    assert header["PILLION_CHUNK_RAW_MAX"] == "(64u << 20)" and "at most 64 MiB" in text
    assert header["PILLION_CHUNK_RATIO_MAX"] == "128u" and "factor below 128" in text.replace("\n", " ")


WIRE, FORMAT = "include/pillion/wire.h", "collector/profile/format.h"


@pytest.mark.parametrize("what, path, name, prefix", [
    ("reason", WIRE, "pln_hello_reason", "PILLION_REASON_"),
    ("status", WIRE, "pln_interpreter_status", "PILLION_INTERPRETER_"),
    ("engine", WIRE, "pln_engine", "PILLION_ENGINE_"),
    ("drops", WIRE, "pln_drop", "PILLION_DROP_"),
    ("class", WIRE, "pln_heap_class", "PILLION_HEAP_"),
    ("bits of a block", WIRE, "pln_block_kind", "PILLION_BLOCK_"),
    ("cause", WIRE, "pln_cause", "PILLION_CAUSE_"),
    ("GIL state", WIRE, "pln_gil", "PILLION_GIL_"),
    ("bits of a thread", FORMAT, "pln_thread_bit", "PLN_THREAD_"),
    ("bits of a function", FORMAT, "pln_function_bit", "PLN_FUNCTION_"),
    ("bits of a frame", FORMAT, "pln_frame_bit", "PLN_FRAME_")])
def test_every_word_is_in_the_page(page, what, path, name, prefix):
    words = {word[len(prefix):]: eval(value) for word, value in enum_of(path, name)}
    words.pop("COUNT", None)
    words.pop("KINDS", None)
    assert page.values[what] == words


def test_every_flag_is_in_the_page(page):
    flags = {word[len("PILLION_SAMPLE_"):]: eval(value) for word, value in enum_of(WIRE, "pln_sample_flag")}
    rows = re.findall(r"#define PLN_ROW_(\w+) \(1u << (\d+)\)", (PROFILE / "model.h").read_text())
    flags.update((name, 1 << int(bit) - 24 + 12) for name, bit in rows)
    assert len(rows) == 2 and page.values["flags"] == flags


# ---------------------------------------------------------- a reader made from the page

@pytest.fixture(scope="module")
def profile(one_python, session_work):
    recording.record_ok(one_python, ["-c", PROGRAM], session_work, name="strange.pillion",
                        options=["-F", "200", "--alloc-interval", "65536", "--label", "zone=b"],
                        env={"PILLION_MAX_DEPTH": "nonsense"})
    return session_work / "strange.pillion"


def unpacked(flags):
    return flags & 0xFFF | flags >> 12 << 24


def row_of(row):
    """As dump_profile prints one."""
    return [row["TIME"], row["CPU"], row["OFFCPU"], row["RUNNABLE"], row["THREAD"], row["STACK"], row["SYSCALL"],
            unpacked(row["FLAGS"]), row["KIND"] & 15, row["KIND"] >> 4,
            row["ALLOC_CALLS"], row["ALLOC_BYTES"], row["FREE_CALLS"], row["FREE_BYTES"]]


def heap_of(heap):
    return [list(counts.values()) for counts in heap["class"]]


def check_processes(strange, data):
    for number, told in enumerate(data["processes"]):
        fields = {**strange.newest["counters_row"][number], **strange.newest["process_row"][number]}
        fields.update(heap=heap_of(fields["heap"]), interpreter_status=fields["status"],
                      layout_detail=strange.text(fields["detail"]))
        for name in ("executable", "command", "layout"):
            fields[name] = strange.text(fields[name])
        assert {name: fields[name] for name in told} == told


def check_threads(strange, data, page):
    bits = page.values["bits of a thread"]
    for number, told in enumerate(data["threads"]):
        fields = dict(strange.newest["thread_row"][number])
        fields.update({name.lower(): int(bool(fields["bits"] & bit)) for name, bit in bits.items()},
                      name=strange.text(fields["name"]), heap=heap_of(fields["heap"]))
        assert {name: fields[name] for name in told} == told


def without_splits(calls, functions):
    """A function that is inlined into its own first line is one call, as the page says."""
    kept = []
    for call in calls:
        declared = functions[call["function"]]["first_line"]
        if not (kept and functions[kept[-1]["function"]] == functions[call["function"]] and
                declared and call["line"] == declared < kept[-1]["line"]):
            kept.append(call)
    return kept


def names_of_frames(strange, page):
    """(name, line) of each frame, innermost first."""
    native = page.values["bits of a frame"]["IS_NATIVE"]
    functions, symbols, names = strange.sections["FUNCTIONS"], {}, []
    for entry in strange.sections["SYMBOLS"]:
        symbols.setdefault(entry["frame"], without_splits(entry["(function line)"], functions))
    for number, frame in enumerate(strange.sections["FRAMES"]):
        calls = symbols[number] if frame["bits"] & native else [frame["(function line | module+1 address)"]]
        names.append([(strange.text(functions[call["function"]]["name"]), call["line"]) for call in calls])
    return names


def check_stacks(strange, data, page):
    nodes = [[number - node["back"] if node["back"] else -1, node["frame"]]
             for number, node in enumerate(strange.sections["STACKS"])]
    assert nodes == data["stacks"]
    told = [[(data["functions"][function]["name"], line) for function, line in frame["locations"]]
            for frame in data["frames"]]
    assert names_of_frames(strange, page) == told


def check_blocks(strange, data):
    freed = {entry["block"]: entry["time"] for entry in strange.sections["FREES"]}
    blocks = [[block["time"], freed.get(number, 0), block["size"], block["interval"], block["thread"],
               block["stack+1"] - 1, block["bits"] & 15, block["bits"] >> 4]
              for number, block in enumerate(strange.sections["BLOCKS"])]
    assert blocks == data["blocks"]


def check(strange, data, page):
    for name in ("start_ns", "period_ns", "tick_ns", "command", "pillion_version", "working_directory"):
        assert strange.file[name] == data[name]
    assert bool(strange.end) == data["complete"] and strange.bad_bytes == data["bad_bytes"]
    check_processes(strange, data)
    check_threads(strange, data, page)
    assert [row_of(row) for row in strange.samples] == data["samples"]
    assert [(note["level"], note["text"]) for note in strange.sections["NOTES"]] == [
        (note["level"], note["text"]) for note in data["notes"]]


def test_a_reader_made_from_the_page_reads_the_same(page, profile):
    strange, data = stranger.Profile(page, profile.read_bytes()), recording.load(profile).data
    assert all(data[what] for what in ("samples", "blocks", "heap_points", "notes"))
    check(strange, data, page)
    check_stacks(strange, data, page)
    check_blocks(strange, data)
    labels = [(strange.text(label["key"]), strange.text(label["value"])) for label in strange.sections["LABELS"]]
    assert labels == [("zone", "b")] and strange.end["exit_status"] == data["exit_status"] == 0
    points = [[p["time"], p["process"], heap_of(p["heap"]), p["brk_bytes"]] for p in strange.sections["HEAP"]]
    assert points == [[p["time_ns"], p["process"], p["heap"], p["brk_bytes"]] for p in data["heap_points"]]


def test_it_finds_the_same_end_of_what_is_cut_or_damaged(page, one_python, work):
    # Without native frames nobody looks for the symbols that a cut file lacks.
    recording.record_ok(one_python, ["-c", PROGRAM], work, options=["--no-native", "--memory", "off"])
    whole, seed = (work / "out.pillion").read_bytes(), int(os.environ.get("PLN_SEED", random.randrange(1 << 32)))
    behind_file = stranger.HEADER.size + stranger.HEADER.unpack_from(whole)[3]
    source = random.Random(seed)
    for case in range(16):
        data = bytearray(whole)
        place_of_it = source.randrange(behind_file, len(data))
        if case % 2:
            data[place_of_it] ^= 1 << source.randrange(8)
        else:
            del data[place_of_it:]
        (work / "bad.pillion").write_bytes(data)
        strange, told = stranger.Profile(page, bytes(data)), recording.load(work / "bad.pillion").data
        assert (strange.bad_bytes, len(strange.samples)) == (told["bad_bytes"], len(told["samples"])), (seed, case)
