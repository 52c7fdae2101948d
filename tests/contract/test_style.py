# SPDX-License-Identifier: MIT
"""What a reader may rely on in every file of the repository."""
import re
import subprocess

import pytest

import place


def tracked():
    listed = subprocess.run(["git", "-C", str(place.REPO), "ls-files"], stdout=subprocess.PIPE, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [place.REPO / name for name in listed.stdout.splitlines() if (place.REPO / name).is_file()]


def c_files():
    return [p for p in tracked() if p.suffix in (".c", ".h")]


def test_every_file_names_its_licence():
    code = [p for p in tracked() if p.suffix in (".c", ".h", ".py", ".sh") or p.name == "CMakeLists.txt"]
    assert len(code) > 50
    missing = [p for p in code if "SPDX-License-Identifier: MIT" not in p.read_text()[:200]]
    assert not missing, missing


def test_every_c_file_says_what_lives_in_it():
    product = [p for p in c_files() if "tests" not in p.parts]
    missing = [p for p in product if not re.match(r"/\* SPDX[^\n]*\n/\*\n \* %s - " % re.escape(p.name), p.read_text())]
    assert not missing, missing


def test_no_file_is_too_long():
    limit = {True: 1000, False: 800}  # tests, product
    long = [(p, n) for p in c_files() if (n := len(p.read_text().splitlines())) > limit["tests" in p.parts]]
    assert not long, long


def functions(text):
    return re.findall(r"^[a-zA-Z][^;{}]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.M | re.S)


def test_no_function_is_too_long():
    long = [(p.name, name, lines) for p in c_files() for name, body in functions(p.read_text())
            if (lines := body.count("\n")) > (100 if "tests" in p.parts else 60)]
    assert not long, long


def test_nothing_is_left_to_do():
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    here = place.REPO / "tests" / "contract" / "test_style.py"
    found = [p for p in tracked() if p != here and p.suffix in (".c", ".h", ".py", ".sh", ".md") and words.search(p.read_text())]
    assert not found, found


def test_c_is_formatted():
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, c_files())], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr[:4000]


def test_shell_scripts_pass_shellcheck():
    scripts = [str(p) for p in tracked() if p.suffix == ".sh" or p == place.REPO / ".ci" / "run"]
    result = subprocess.run(["shellcheck", *scripts], stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stdout
