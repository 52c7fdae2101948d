# SPDX-License-Identifier: MIT
"""The one shape into which every profiler's output is read.

A profile is a list of (stack, weight). A stack is a tuple of frames, outermost first; a
weight is in the profiler's own unit, because only shares are compared. Nothing here knows
any profiler.
"""
import dataclasses
import os
import typing


RUNTIME = ("libc.so", "libc-", "ld-linux", "libm.so", "libpthread", "[vdso]")


class Frame(typing.NamedTuple):
    name: str  # without the class or the enclosing functions
    file: str  # base name of the source file; of the module, for a native frame; "": not known
    line: int  # 0: not known
    native: bool

    @property
    def in_interpreter(self):
        """The interpreter's own machine code: its time is that of the Python it runs."""
        module = self.file.startswith(("python", "libpython")) or not self.file and self.name.startswith(("Py", "_Py"))
        return self.native and module

    @property
    def in_runtime(self):
        """libc and the loader: their time is that of whoever calls them, be it the interpreter (__tls_get_addr).
        So is that of a bare address in no module."""
        nowhere = not self.file and self.name.startswith("0x")
        return self.native and (self.file.startswith(RUNTIME) or self.name == "__tls_get_addr" or nowhere)


ONE, COUNTED = "one", "counted"


def python_frame(name, file, line=0):
    return Frame(name.rsplit(".", 1)[-1], os.path.basename(file), int(line or 0), False)


def native_frame(name, module):
    return Frame(name, os.path.basename(module), 0, True)


def is_python_file(file):
    return file.endswith((".py", ".pyc")) or file.startswith("<")


@dataclasses.dataclass
class Profile:
    stacks: list  # of (tuple of Frame, weight)
    samples: typing.Optional[int] = None  # None: does not sample
    lost: typing.Optional[float] = None  # samples that it says it lost; None: it does not say
    says: str = ""  # its own words about what was lost
    each: str = ""  # what one entry of `stacks` is: ONE sample, as many as its weight (COUNTED), or unknown

    @property
    def total(self):
        return sum(weight for _, weight in self.stacks)
