# SPDX-License-Identifier: MIT
"""Prints code objects of this interpreter's own library, and the line of each instruction.

    KIND FIRST_LINE TABLE_HEX LINES
    LINES = line,line,...  of offsets 0, 2, 4, ...; 0 where there is none

Run by test_linetable.c under every interpreter that it finds; the lines are what the
interpreter itself says (dis.findlinestarts, code.co_lines).
"""

import dis
import os
import sys
import types

LNOTAB, RANGES_310, LOCATIONS = 1, 2, 3
MODULES = ("argparse.py", "ast.py", "asyncio/base_events.py", "inspect.py", "typing.py")

# Lines that jump far, forward and back, and statements without a line of their own.
TRICKY = (
    "def far():\n    x = 1" + "\n" * 700 + "    return [x for x in range(3)]\n"
    "def back(a):\n    return (\n\n\n        a\n        .b(\n1,\n\n\n2)\n    )\n"
    "def closing(f):\n    with f() as g:\n        try:\n            pass\n"
    "        finally:\n            g()\n"
    "class C:\n    x: int = 1\n    async def m(self):\n        async with self as s:\n"
    "            yield s\n"
    "def matching(v):\n    while v:\n        v -= 1\n        if v:\n            continue\n"
    "        break\n"
)


def code_objects(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def lines_of(code):
    size = len(code.co_code)
    if sys.version_info < (3, 10):
        starts = dict(dis.findlinestarts(code))
        lines, line = [], code.co_firstlineno
        for offset in range(0, size, 2):
            line = starts.get(offset, line)
            lines.append(line)
        return lines
    lines = [0] * (size // 2)
    for start, end, line in code.co_lines():
        for offset in range(start, min(end, size), 2):
            lines[offset // 2] = line or 0
    return lines


def main():
    if sys.version_info < (3, 10):
        kind, table = LNOTAB, lambda code: code.co_lnotab
    elif sys.version_info < (3, 11):
        kind, table = RANGES_310, lambda code: code.co_linetable
    else:
        kind, table = LOCATIONS, lambda code: code.co_linetable
    library = os.path.dirname(os.__file__)
    sources = [("tricky", TRICKY)]
    for name in MODULES:
        path = os.path.join(library, name)
        if os.path.exists(path):
            with open(path, encoding="utf8") as file:
                sources.append((path, file.read()))
    for name, source in sources:
        for code in code_objects(compile(source, name, "exec")):
            lines = ",".join(map(str, lines_of(code)))
            print(kind, code.co_firstlineno, table(code).hex() or "-", lines)


main()
