# SPDX-License-Identifier: MIT
"""A reader of MOJO, austin's binary format: a stream of one-byte event numbers and their fields.

Strings end in a zero byte. Numbers have six bits and the sign in their first byte, then
seven a byte, least significant first, while the top bit is set. Frames and strings are told
once, under a key, and referred to afterwards.
"""
METADATA, STACK, FRAME, INVALID, FRAME_REF, KERNEL, GC, IDLE, TIME, MEMORY, STRING, STRING_REF = range(1, 13)


class Cut(Exception):
    """The file ends in the middle of an event: its writer died."""


class Reader:
    def __init__(self, data):
        if data[:3] != b"MOJ":
            raise ValueError("not a MOJO file")
        self.data, self.at = data, 3
        self.version = self.number()
        if self.version > 3:
            raise ValueError("MOJO version %d is not known" % self.version)
        self.metadata, self.strings, self.frames = {}, {1: "<unknown>"}, {}
        self.invalid, self.cut = 0, False

    def byte(self):
        if self.at >= len(self.data):
            raise Cut
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        byte = self.byte()
        value, shift, sign = byte & 0x3F, 6, -1 if byte & 0x40 else 1
        while byte & 0x80:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
        return sign * value

    def string(self):
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise Cut
        text = self.data[self.at:end].decode(errors="replace")
        self.at = end + 1
        return text

    def samples(self):
        """Yields (frames, time, memory); a frame is (file, function, line), or None when it was not readable."""
        stack, time, memory = None, 0, 0
        try:
            while self.at < len(self.data):
                event = self.byte()
                if event == STACK:
                    if stack is not None:
                        yield stack, time, memory
                    stack, time, memory = [], 0, 0
                    self.skip_identity()
                elif event == TIME:
                    time = self.number()
                elif event == MEMORY:
                    memory = self.number()
                else:
                    self.other(event, stack)
        except Cut:
            self.cut = True
            return
        if stack is not None:
            yield stack, time, memory

    def skip_identity(self):
        """Process, interpreter (from version 3 on), and thread."""
        self.number()
        if self.version >= 3:
            self.number()
        self.string()

    def other(self, event, stack):
        if event == METADATA:
            key = self.string()
            self.metadata[key] = self.string()
        elif event == STRING:
            key = self.number()
            self.strings[key] = self.string()
        elif event == FRAME:
            key, file, scope, line = (self.number() for _ in range(4))
            self.skip_columns()
            self.frames[key] = self.strings.get(file, "?"), self.strings.get(scope, "?"), line
        elif event == FRAME_REF:
            stack.append(self.frames.get(self.number()))
        elif event == KERNEL:
            stack.append(("<kernel>", self.string(), 0))
        elif event == STRING_REF:
            self.number()
        elif event == INVALID:
            self.invalid += 1
            stack.append(None)
        elif event not in (GC, IDLE):
            raise ValueError("MOJO event %d is not known, at byte %d" % (event, self.at))

    def skip_columns(self):
        """The line where the expression ends, and its columns: from version 2 on."""
        if self.version >= 2:
            for _ in range(3):
                self.number()
