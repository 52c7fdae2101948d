# SPDX-License-Identifier: MIT
"""The contract between library and collector stands alone, and names every variable once."""
import re
import subprocess

import pytest

import place

INCLUDE = place.REPO / "include"
HEADERS = sorted((INCLUDE / "pillion").glob("*.h"))
WARNINGS = ["-Wall", "-Wextra", "-Wundef", "-Werror", "-fsyntax-only", "-I", str(INCLUDE)]


def compile_alone(compiler, language, standard, header):
    source = '#include <pillion/%s>\nint main(void);\n' % header.name
    return subprocess.run([compiler, "-x", language, "-std=" + standard, *WARNINGS, "-"],
                          input=source, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("header", HEADERS, ids=lambda h: h.name)
def test_a_header_compiles_alone(compiler, header):
    result = compile_alone(compiler, "c", "c11", header)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_public_header_is_cplusplus_too(standard):
    result = compile_alone("g++", "c++", standard, INCLUDE / "pillion" / "pillion.h")
    assert result.returncode == 0, result.stderr


def test_headers_include_only_their_siblings():
    for header in HEADERS:
        for name in re.findall(r'#include "(.*?)"', header.read_text()):
            assert (INCLUDE / "pillion" / name).exists(), (header, name)


def sources(*folders):
    for folder in folders:
        for path in sorted((place.REPO / folder).rglob("*.[ch]")):
            yield path, path.read_text()


def variables():
    return re.findall(r'X\(\w+, "(PILLION_\w+)", (\w+)', (INCLUDE / "pillion" / "env.h").read_text())


def test_every_variable_that_is_read_or_set_is_in_env_h():
    known = {name for name, _ in variables()}
    assert len(known) == len(variables()) > 10
    for path, text in sources("preload", "collector"):
        strings = set(re.findall(r'"(PILLION_[A-Z_]+)[="]', text))
        assert strings <= known, (path, strings - known)


def test_every_variable_is_in_the_manual_and_in_the_help():
    manual = "".join(p.read_text() for p in (place.REPO / "man").rglob("*") if p.is_file())
    shown = place.HERE.run([place.HERE.pillion, "env", "--help"])
    assert shown.returncode == 0
    for name, kind in variables():
        if kind == "SECRET":
            assert name not in shown.stdout
        else:
            assert name in shown.stdout and name in manual.replace("\\-", "-"), name


def test_library_and_collector_never_include_each_other():
    for path, text in sources("preload"):
        assert not re.search(r'#include "(ingest|stacks|symbols|profile|report|export|cli)/', text), path
        assert not re.search(r"#include <(libunwind|libdwarf|zstd|zlib)", text), path
    for path, text in sources("collector"):
        assert not re.search(r'#include "(sampling|native|python|process)/', text), path


@pytest.mark.parametrize("header,folder", [("libunwind", "stacks"), ("libdwarf", "symbols")])
def test_a_foreign_library_is_known_in_one_folder(header, folder):
    for path, text in sources("collector"):
        if re.search(r"#include <(lib\w+/)?%s" % header, text):
            assert path.parent.name == folder, path


def test_only_lane_h_moves_head_and_tail():
    for path, text in sources("preload", "collector"):
        assert not re.search(r"pln_store_\w+\(&\w+->(head|tail)\b", text), path


def definitions(text):
    """(name, body) of each function; the closing brace stands at the start of a line."""
    return re.findall(r"^[a-z][^;{}()]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.M | re.S)


def test_what_a_handler_runs_calls_only_what_is_safe_in_a_handler():
    """A function named _sigsafe calls functions named so, macros, builtins, and no others."""
    allowed = re.compile(r".*_sigsafe$|__builtin_\w+|__atomic_\w+|__sync_\w+|[A-Z_0-9]+|pln_(load|store|add|swap|cas)_\w+|"
                         r"pln_signal_fence|pln_syscall\d|mem(cpy|set|cmp|move|chr)|strlen|strnlen|"
                         r"pln_lane_data|atomic_\w+")
    keywords = {"if", "while", "for", "switch", "return", "sizeof", "offsetof", "typeof", "volatile", "__volatile__",
                "_Alignof", "__attribute__", "__asm__", "asm"}
    checked = 0
    for path, text in sources("preload"):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
        for name, body in definitions(text):
            if not name.endswith("_sigsafe"):
                continue
            checked += 1
            # A function pointer held in a variable is called as a member: x->read(...)
            calls = set(re.findall(r"(?<![\w>.])(\w+)\s*\(", body)) - keywords
            unsafe = {c for c in calls if not allowed.fullmatch(c)}
            assert not unsafe, "%s: %s calls %s" % (path.name, name, ", ".join(sorted(unsafe)))
    assert checked >= 10
