# SPDX-License-Identifier: MIT
"""Each example is run by the commands that README has for it, and its profile shows what README says one learns."""
import ast
import functools
import importlib.metadata
import json
import os
import pathlib
import re
import shutil

import pytest

import place

EXAMPLES = place.REPO / "examples"
PICTURE_BYTES_MAX = 120 * 1024
# The examples of README by their titles, and what each needs from the package index.
NEEDS = {
    "A Django page": ["django"], "A numpy program": ["numpy"], "An asyncio service": [], "Threads and the GIL": [],
    "A leak": [], "Waits": [], "A pytest run": ["pytest"], "A Jupyter kernel": ["ipykernel", "nbclient"], "VS Code": [],
}


@functools.lru_cache(maxsize=None)
def section():
    return (place.REPO / "README.md").read_text().split("\n## Examples\n")[1].split("\n## ")[0]


def commands(title):
    """What README tells to type: the lines of its blocks that begin with a prompt."""
    _, _, text = section().partition("\n### %s\n" % title)
    blocks = re.findall(r"^```\n(.*?)^```", text.partition("\n### ")[0], re.M | re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def write_script(path, text):
    path.write_text(text)
    path.chmod(0o755)


def write_commands(packages, target, python):
    """The commands of installed packages. pip leaves them out where a package has brought a bin/ before."""
    for distribution in importlib.metadata.distributions(path=[packages]):
        for entry in distribution.entry_points:
            if entry.group == "console_scripts":
                module, _, function = entry.value.partition("[")[0].strip().partition(":")
                write_script(target / entry.name, "#!%s\nimport sys\nimport %s as module\nsys.exit(module.%s())\n"
                             % (python.path, module, function))


class Shell:
    """A directory with the examples in it, where `pillion`, `python3` and the commands of packages are found."""

    def __init__(self, work, python, packages):
        self.work = work
        directory = place.packages(python, *packages) if packages else ""
        if directory is None:
            pytest.skip("%s cannot be installed here" % " ".join(packages))
        shutil.copytree(str(EXAMPLES), str(work / "examples"), ignore=shutil.ignore_patterns("*.pillion"))
        (work / "bin").mkdir()
        if directory:
            write_commands(directory, work / "bin", python)
            # Where packages are is what tells them from the program.
            (work / "site-packages").symlink_to(directory)
            directory = work / "site-packages"
        path = [work / "bin", place.HERE.prefix / "bin", os.path.dirname(python.path), "/usr/bin", "/bin"]
        self.env = {"PATH": os.pathsep.join(map(str, path)), "HOME": str(work), "PYTHONDONTWRITEBYTECODE": "1",
                    **({"PYTHONPATH": str(directory)} if directory else {})}

    def run(self, command, **more):
        result = place.HERE.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.work, env={**self.env, **more})
        assert result.returncode == 0, (command, result.stdout[-3000:], result.stderr[-3000:])
        return result.stdout

    def report(self, profile, *options):
        return json.loads(self.run(" ".join(["pillion", "report", "--json", *options, str(profile)])))


@pytest.fixture
def example(work, one_python):
    """Runs the commands of one; returns where they ran, and what each printed."""
    def run(title):
        shell = Shell(work, one_python, NEEDS[title])
        assert commands(title), "README has no commands for it"
        return shell, [shell.run(command) for command in commands(title)]
    return run


def of_file(rows, name):
    return [row for row in rows if row["kind"] == "python" and row["file"].endswith("/" + name)]


def line_of(rows, function):
    """The heaviest line of a Python function."""
    return max((row for row in rows if row["kind"] == "python" and row["function"] == function),
               key=lambda row: row["total_ns"])


def blocked(report, syscall, function):
    """Seconds off the CPU in a system call, below the lines of a function."""
    return sum(line["offcpu_ns"] for wait in report["off_cpu"] if wait.get("syscall") == syscall
               for line in wait["python_lines"] if line["function"].split(".")[0] == function) / 1e9


# ---------------------------------------------------------------- what README has

def test_readme_has_these_examples_and_no_other():
    assert re.findall(r"^### (.*)", section(), re.M) == list(NEEDS)
    for title in NEEDS:
        assert commands(title), title


def test_no_example_is_left_unmentioned():
    text = (place.REPO / "README.md").read_text()
    missing = [p.name for p in EXAMPLES.iterdir()
               if p.name not in ("pictures", "__pycache__") and p.suffix not in (".pillion", ".html")
               and "examples/" + p.name not in text]
    assert not missing, missing


def test_lines_in_readme_are_those_of_the_sources():
    """`file.py:12  function`, however short the file's name was cut, and `12  source` as annotate has it."""
    sources = [p for p in EXAMPLES.rglob("*.py")]
    told = [(p, int(line), name) for end, line, name in re.findall(r"([\w/]+\.py):(\d+) +(?:\w+\.)*(\w+)", section())
            for p in sources if str(p).endswith(end)]
    assert len(told) >= 12
    for path, line, name in told:
        functions = [node for node in ast.walk(ast.parse(path.read_text()))
                     if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= line <= node.end_lineno]
        assert name in [node.name for node in functions], (path, line, name)
    lines = (EXAMPLES / "django_page.py").read_text().splitlines()
    annotated = re.findall(r"^[ \d.]+ (\d+)  ( +return .*)$", section(), re.M)
    assert len(annotated) == 2 and all(lines[int(number) - 1] == text for number, text in annotated), annotated


def test_pictures_are_there_and_small():
    shown = re.findall(r"!\[[^]]+\]\((examples/pictures/[^)]+)\)", section())
    kept = {p.name for p in (EXAMPLES / "pictures").glob("*.png")}
    assert kept and kept == {pathlib.Path(p).name for p in shown}
    for name in kept:
        data = (EXAMPLES / "pictures" / name).read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) <= PICTURE_BYTES_MAX, name


# ---------------------------------------------------------------- what they teach

def test_django(example):
    shell, said = example("A Django page")
    lines = of_file(shell.report("slow.pillion")["lines"], "django_page.py")
    view, label = line_of(lines, "slow"), line_of(lines, "Book.label" if qualified(lines) else "label")
    assert label["total_ns"] > 0.4 * view["total_ns"]
    first = said[1].partition("Lines of the program")[2].splitlines()[2]
    assert "django_page.py:%d" % label["line"] in first and "label" in first, said[1]
    assert "self.author.name" in said[2] and re.search(r"\d +\d+ +return sum", said[2]), said[2]
    changes = json.loads(shell.run("pillion diff --json --absolute slow.pillion fast.pillion"))
    assert changes["whole"]["change"] < 0 and changes["whole"]["beyond_noise"] and changes["shrank"] > 0
    [change] = [f["total"] for f in changes["functions"] if f["function"].endswith("label") and f["kind"] == "python"
                and f["file"].endswith("django_page.py")]
    assert change["change"] < 0 and change["beyond_noise"]


def qualified(lines):
    """CPython has told the names of classes since 3.11."""
    return any("." in line["function"] for line in lines)


def test_numpy(example):
    shell, _ = example("A numpy program")
    report = shell.report("blas.pillion")
    assert "blas" in report["libraries"][0]["library"], report["libraries"][:3]
    lines = of_file(report["lines"], "blas.py")
    assert max(lines, key=lambda line: line["self_ns"] + line["native_ns"])["function"] == "similarities"
    leads = {line["function"]: hotspot["library"] for hotspot in reversed(report["native_hotspots"])
             for line in hotspot["python_lines"][:1] if line["function"] in ("similarities", "together")}
    assert "blas" in leads["similarities"] and "umath" in leads["together"], leads


def test_asyncio(example):
    shell, said = example("An asyncio service")
    report = shell.report("loop.pillion", "--view", "wall", "--thread", "main")
    # Fifteen questions to a warehouse that takes 80 ms for each.
    assert blocked(report, "recvfrom", "ask_warehouse") > 0.6
    lines = of_file(report["lines"], "asyncio_service.py")
    assert line_of(lines, "summary")["total_ns"] > 0.1 * report["time"]["wall_ns"]
    assert "ask_warehouse" in said[1] and "summary" in said[1]


def test_gil(example):
    shell, said = example("Threads and the GIL")
    held, released = shell.report("held.pillion"), shell.report("released.pillion")
    for key in ("gil_hold_ns", "gil_wait_ns"):
        assert held["time"][key] > 3 * released["time"][key], key
    [waits] = [wait for wait in held["off_cpu"] if "GIL" in wait["name"]]
    assert waits["python_lines"][0]["function"] == "count"
    assert "waited for" in said[1] and "waited for" in said[3]


def test_leak(example):
    shell, _ = example("A leak")
    suspects = shell.report("leak.pillion", "--view", "leaks")["leaks"]
    assert suspects[0]["python_line"]["function"] == "render", suspects[:3]
    assert (shell.work / "leak.html").stat().st_size > 10000


def test_waits(example):
    shell, said = example("Waits")
    report = shell.report("waits.pillion", "--view", "offcpu")
    # What they sleep in all: 0.05 * 31, 0.4 * 4, and two seconds of questions with 50 ms each.
    expected = {("clock_nanosleep", "retry"): 1.2, ("read", "follow"): 1.2, ("recvfrom", "look_up"): 1,
                ("futex", "look_up"): 0.5}
    assert {key: s for key in expected if (s := blocked(report, *key)) < expected[key]} == {}
    assert {"recvfrom", "clock_nanosleep"} <= set(said[1].split())


def test_pytest(example):
    shell, said = example("A pytest run")
    assert "4 passed" in said[0]
    report = shell.report("tests.pillion", "--view", "wall")
    assert blocked(report, "clock_nanosleep", "fetch") > 0.4  # of 0.6
    totals = sorted(((f["total_ns"], f["function"]) for f in of_file(report["functions"], "test_shop.py")), reverse=True)
    assert {"price", "shop"} <= {name for _, name in totals[:5]}, totals
    summary = (shell.work / "summary.md").read_text()
    assert "| wall time |" in summary and "| waiting for the GIL |" in summary


# Interrupts a cell, as the button does: by a signal to the kernel's process group, `pillion record` included.
INTERRUPT = """
import os, time
import jupyter_client
manager = jupyter_client.KernelManager(kernel_name="pillion")
manager.start_kernel()
client = manager.client()
client.start_channels()
try:
    client.wait_for_ready(timeout=60)
    cell = client.execute("import time\\nopen('begun', 'w').close()\\ntime.sleep(300)")
    deadline = time.monotonic() + 60
    while not os.path.exists("begun") and time.monotonic() < deadline:
        time.sleep(0.05)
    manager.interrupt_kernel()
    # The first answers may be to the questions whether it is there.
    reply = client.get_shell_msg(timeout=60)
    while reply["parent_header"]["msg_id"] != cell:
        reply = client.get_shell_msg(timeout=60)
    print(reply["content"]["ename"])
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""


@pytest.mark.long
def test_jupyter(example):
    """Jupyter kills what has not ended after five seconds: on a busy machine, the profile may be without its end."""
    shell, _ = example("A Jupyter kernel")
    [profile] = (shell.work / "examples" / "jupyter").glob("kernel.*.pillion")
    report = shell.report(profile, "--view", "wall", "--thread", "main")
    assert blocked(report, "clock_nanosleep", "load") > 0.9
    totals = {f["function"]: f["total_ns"] for f in report["functions"] if "ipykernel_" in f["file"]}
    assert totals["squares"] > 0.5e9, totals
    (shell.work / "interrupt.py").write_text(INTERRUPT)
    assert shell.run("python3 interrupt.py").split() == ["KeyboardInterrupt"]
    [profile] = shell.work.glob("kernel.*.pillion")
    assert shell.report(profile)["time"]["samples"] > 0


def task_words(task, file, work):
    """A task as VS Code starts it: its words, with the variables filled in."""
    variables = {"file": file, "fileDirname": file.parent, "fileBasenameNoExtension": file.stem, "workspaceFolder": work,
                 "command:python.interpreterPath": "python3"}

    def filled(text):
        return re.sub(r"\$\{([\w:.]+)\}", lambda match: str(variables[match.group(1)]), text)
    env = {name: filled(value) for name, value in task.get("options", {}).get("env", {}).items()}
    words = [filled(word) for word in [task["command"], *task.get("args", [])]]
    if task["type"] == "process":
        words = ["'%s'" % word for word in words]
    return " ".join(words), env


def test_vscode(example):
    """`code` and `xdg-open` are told what to open; here they tell it."""
    shell, _ = example("VS Code")
    for name in ("code", "xdg-open"):
        write_script(shell.work / "bin" / name, '#!/bin/sh\necho "%s $*"\n' % name)
    file = shell.work / "a program.py"
    file.write_text("end = __import__('time').thread_time() + 0.3\nwhile __import__('time').thread_time() < end: pass\n")
    tasks = json.loads((shell.work / ".vscode" / "tasks.json").read_text())
    assert tasks["version"] == "2.0.0" and {task["type"] for task in tasks["tasks"]} == {"process", "shell"}
    said = []
    for task in tasks["tasks"]:
        assert task["label"] in " ".join(section().split()), "README does not name it"
        command, env = task_words(task, file, shell.work)
        said.append(shell.run(command, **env))
    assert said[1].splitlines()[-1] == "code --reuse-window %s" % file.with_suffix(".cpuprofile")
    assert said[2].splitlines()[-1] == "xdg-open %s" % file.with_suffix(".html")
    opened = json.loads(file.with_suffix(".cpuprofile").read_text())
    assert any(node["callFrame"]["url"] == file.as_uri() for node in opened["nodes"])
    assert file.with_suffix(".html").stat().st_size > 10000
