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
    manual = (place.HERE.prefix / "share/man/man7/pillion-env.7").read_text()
    shown = place.HERE.run([place.HERE.pillion, "env", "--help"])
    assert shown.returncode == 0
    for name, kind in variables():
        if kind == "SECRET":
            assert name not in shown.stdout
        else:
            assert name in shown.stdout and name in manual, name


def test_library_and_collector_never_include_each_other():
    for path, text in sources("preload"):
        assert not re.search(r'#include "(ingest|stacks|symbols|profile|report|export|cli)/', text), path
        assert not re.search(r"#include <(libunwind|libdwarf|zstd|zlib)", text), path
    for path, text in sources("collector"):
        assert not re.search(r'#include "(sampling|native|python|process)/', text), path


@pytest.mark.parametrize("header,folder", [("libunwind", "stacks"), ("libdwarf", "symbols"), ("capstone", "annotate")])
def test_a_foreign_library_is_known_in_one_folder(header, folder):
    for path, text in sources("collector"):
        if re.search(r"#include <(lib\w+/)?%s" % header, text):
            assert path.parent.name == folder, path


def test_only_lane_h_moves_head_and_tail():
    for path, text in sources("preload", "collector"):
        assert not re.search(r"pln_store_\w+\(&\w+->(head|tail)\b", text), path


# Part of the language, of lane.h and atomic.h, or known to be safe in a handler.
SAFE = re.compile(r"if|while|for|switch|return|sizeof|offsetof|typeof|volatile|__volatile__|_Alignof|__asm__|"
                  r"__attribute__|__builtin_\w+|__atomic_\w+|atomic_\w+|[A-Z_0-9]+|"
                  r"pln_(load|store|add|swap|cas)_\w+|pln_signal_fence|pln_syscall\d|"
                  r"mem(cpy|set|cmp|move|chr)|strlen|strnlen|clock_gettime|pthread_self|pthread_getspecific")


def calls_by_function():
    """What each function of the library calls; pointers to functions are not followed."""
    calls = {}
    for _, text in sources("preload", "include"):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
        pointers = set(re.findall(r"\(\*(\w+)\)\(", text))
        # A definition's closing brace stands at the start of a line.
        for name, body in re.findall(r"^[a-z_][^;{}()]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.M | re.S):
            called = set(re.findall(r"(?<![\w>.])(\w+)\s*\(", body)) - pointers
            calls.setdefault(name, set()).update(c for c in called if not SAFE.fullmatch(c))
    return calls


def test_what_a_handler_runs_calls_only_what_is_safe_in_a_handler():
    """From a function named _sigsafe nothing else can be reached: by name, or by its own body."""
    calls = calls_by_function()
    roots = [name for name in calls if name.endswith("_sigsafe")]
    reached, violations = set(roots), []
    queue = list(roots)
    while queue:
        name = queue.pop()
        for called in calls[name] - reached:
            if called in calls:
                reached.add(called)
                queue.append(called)
            elif not called.endswith("_sigsafe"):
                violations.append("%s calls %s" % (name, called))
    assert len(roots) >= 50 and not violations, "\n".join(sorted(violations))
