# SPDX-License-Identifier: MIT
"""A reader of profiles that knows what pillion-format(5) says, and nothing else.

Grammars, columns, bits and words are taken out of the page itself: what the page has wrong, or does
not have, cannot be read.
"""
import re
import struct

import xxhash
import zstandard

MAGIC, HEADER = 0x4E4C4C50, struct.Struct("<IHHIIQ")
RAW_MAX, RATIO_MAX = 64 << 20, 128
PRIMITIVES = ("varint", "signed", "byte", "string", "text", "part")


class Page:
    """What the page says, as data."""

    def __init__(self, path):
        text = path.read_text()
        lines = "\n".join(re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.M | re.S)).replace("\n    ", " ")
        found = re.findall(r"^(?:(\d+) )?(\w+(?: entry)?) = (.*)$", lines, re.M)
        self.grammar = {name: re.findall(r"\([^)]*\)\S*|\S+", body) for _, name, body in found}
        self.types = {int(number): name for number, name, _ in found if number}
        columns = re.findall(r"^\.It ([A-Z_]+) Ta (\S+?|\(.*?\)\*) Ta ", text.partition(".Ss Samples")[2], re.M)
        self.columns = [(name, payload) for name, payload in columns if not payload.isdigit()]
        self.shape = {name: int(bit) for name, bit in re.findall(r"^\.It ([A-Z]+) Ta (\d+) Ta", text, re.M)}
        values = re.findall(r"^\.It (.*)\n((?:[^.].*\n)+)", text.partition(".Sh VALUES")[2], re.M)
        self.values = {what: {word: int(number) for word, number in re.findall(r"\b([A-Z_]+)\s(\d+)", words)}
                       for what, words in values}


class Damaged(Exception):
    """The payload is not what its grammar says."""


class Decoder:
    """`known`: how many ids there are of each kind, by the name that a field which refers to one has."""

    def __init__(self, page, data, known=lambda name: None):
        self.page, self.data, self.at, self.known = page, data, 0, known

    def left(self):
        return len(self.data) - self.at

    def bytes(self, size):
        if size > self.left():
            raise Damaged("ends early")
        self.at += size
        return self.data[self.at - size:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.bytes(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift >= 70:
                raise Damaged("a varint without end")

    text = varint

    def signed(self):
        value = self.varint()
        return -(value + 1) // 2 if value & 1 else value // 2

    def byte(self):
        return self.bytes(1)[0]

    def part(self):
        return self.bytes(self.varint())

    def string(self):
        return self.part().decode("utf-8", "replace")

    def one(self, core, kind, fields):
        if not kind and core in self.page.grammar:
            return self.sequence(self.page.grammar[core])
        if not kind and core.startswith("("):
            return self.group(core[1:-1], fields)
        value = getattr(self, kind or (core if core in PRIMITIVES else "varint"))()
        limit = self.known(kind or core)
        if limit is not None and value >= limit:
            raise Damaged("%s %d, of %d" % (core, value, limit))
        return value

    def group(self, body, fields):
        choices = body.split(" | ")
        native = fields.get("bits", 0) & self.page.values["bits of a frame"]["IS_NATIVE"]
        return self.sequence(choices[1 if native and len(choices) > 1 else 0].split())

    def sequence(self, tokens):
        fields = {}
        for token in tokens:
            core, kind, count, star = re.fullmatch(
                r"(\([^)]*\)|[\w+-]+)(?::(\w+))?(?:\{(\w+)\})?(\*)?", token).groups()
            if star:
                fields[core] = []
                while self.left():
                    fields[core].append(self.one(core, kind, fields))
            elif count:
                fields[core] = [self.one(core, kind, fields) for _ in range(fields[count])]
            else:
                fields[core] = self.one(core, kind, fields)
        return fields


def unpack(stored, size):
    payload = zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
    if len(payload) != size:
        raise Damaged("size")
    return payload


class Gap(Exception):
    """Definitions before this chunk are missing."""


# Where the ids are that a field refers to; "x+1" may be of none.
REFERENCES = {"text": "STRINGS", "function": "FUNCTIONS", "frame": "FRAMES", "stack+1": "STACKS",
              "module+1": "MODULES", "block": "BLOCKS", "process": "process_row", "process+1": "process_row",
              "thread": "thread_row"}


class Profile:
    """Everything in a file, under the names that the page has; what it could not use in bad_bytes."""

    def __init__(self, page, data):
        self.page, self.data = page, data
        self.file, self.end, self.lost_samples, self.bad_bytes = None, None, 0, 0
        self.sections, self.samples = {}, []
        self.newest = {"process_row": {}, "thread_row": {}, "counters_row": {}}
        self.read()

    def read(self):
        at = 0
        while at < len(self.data):
            header = self.header(at)
            if not header:
                break
            kind, compressed, stored_size, raw_size, checksum = header
            stored = self.data[at + HEADER.size:at + HEADER.size + stored_size]
            try:
                if xxhash.xxh3_64_intdigest(stored, kind | compressed << 16 | raw_size << 32) != checksum:
                    raise Damaged("checksum")
                self.take(kind, unpack(stored, raw_size) if compressed else stored)
            except (Damaged, zstandard.ZstdError):
                self.bad_bytes += HEADER.size + stored_size
            except Gap:
                break
            at += HEADER.size + stored_size
        self.bad_bytes += len(self.data) - at

    def header(self, at):
        """None: what can be read ends here."""
        if len(self.data) - at < HEADER.size:
            return None
        magic, kind, flags, stored, raw, checksum = HEADER.unpack_from(self.data, at)
        fits = raw == stored if not flags else 0 < stored < raw and raw // stored < RATIO_MAX
        if magic != MAGIC or flags & ~1 or stored > len(self.data) - at - HEADER.size or raw > RAW_MAX or not fits:
            return None
        return kind, flags & 1, stored, raw, checksum

    def known(self, field):
        where = REFERENCES.get(field)
        if where is None:
            return None
        return len(self.newest.get(where) or self.sections.get(where) or ()) + field.endswith("+1")

    def take(self, kind, payload):
        name = self.page.types.get(kind)
        decoder = Decoder(self.page, payload, self.known)
        if name is None:
            return
        if name.endswith(" entry"):
            self.take_section(name.split()[0], decoder)
        elif self.page.grammar[name][-1].endswith("*"):
            self.take_newest(self.page.grammar[name], decoder)
        elif name == "SAMPLES":
            self.samples += self.rows(decoder.sequence(self.page.grammar[name]))
        else:
            setattr(self, name.lower(), decoder.sequence(self.page.grammar[name]))

    def take_newest(self, tokens, decoder):
        for token in tokens[:-1]:
            setattr(self, token, decoder.varint())
        what = tokens[-1].rstrip("*")
        ids = self.newest["process_row" if what == "counters_row" else what]
        while decoder.left():
            entry = decoder.sequence(self.page.grammar[what])
            if entry["id"] >= len(ids) + (ids is self.newest[what]):
                raise Damaged("an id out of order")
            self.newest[what][entry["id"]] = entry

    def take_section(self, name, decoder):
        first, count = decoder.varint(), decoder.varint()
        known = self.sections.setdefault(name, [])
        time = 0
        if first != len(known):
            raise Gap(name)
        for _ in range(count):
            entry = decoder.sequence(self.page.grammar[name + " entry"])
            if "time" in entry:
                time = entry["time"] = time + entry["time"]
            known.append(entry)

    def rows(self, fields):
        columns = {name: Decoder(self.page, part) for (name, _), part in zip(self.page.columns, fields["column"])}
        kinds = dict(self.page.columns)
        rows = []

        def take(name):
            return getattr(columns[name], re.match(r"\w+", kinds[name]).group())()

        while columns["THREAD"].left():
            thread, count = columns["THREAD"].varint(), columns["THREAD"].varint()
            time, stack = fields["base_time"], -1
            for _ in range(count):
                row = {"THREAD": thread}
                shape = take("SHAPE")
                row["KIND"], row["FLAGS"], time = take("KIND"), take("FLAGS"), time + take("TIME")
                if shape & self.page.shape["STACK"]:
                    stack = take("STACK") - 1
                row.update(TIME=time, STACK=stack)
                for name in ("CPU", "OFFCPU", "RUNNABLE", "SYSCALL"):
                    row[name] = take(name) if shape & self.page.shape[name] else -1 if name == "SYSCALL" else 0
                for name in [name for name, _ in self.page.columns][-4:]:
                    row[name] = take(name) if shape & self.page.shape["MEMORY"] else 0
                rows.append(row)
                if thread >= self.known("thread") or stack + 1 >= self.known("stack+1"):
                    raise Damaged("a sample of nothing")
        if len(rows) != fields["rows"] or any(column.left() for column in columns.values()):
            raise Damaged("columns of different lengths")
        return rows

    def text(self, number):
        return self.sections["STRINGS"][number]["string"]
