# SPDX-License-Identifier: MIT
"""Lines out of the line tables of CPython 3.8 to 3.15, by the offset that a walk gives.

The offset is that of the executing instruction: the entry that covers it is the one.
"""

LNOTAB, TABLE_310, LOCATIONS = 1, 2, 3
NO_INSTR = 0xffffffff


def signed(byte):
    return byte - 256 if byte >= 128 else byte


def line_of_lnotab(table, first_line, offset):
    line, address = first_line, 0
    for i in range(0, len(table), 2):
        address += table[i]
        if address > offset:
            break
        line += signed(table[i + 1])
    return line


def line_of_310(table, first_line, offset):
    line, end = first_line, 0
    for i in range(0, len(table), 2):
        start, end = end, end + table[i]
        if table[i + 1] != 128:
            line += signed(table[i + 1])
        if start <= offset < end:
            return None if table[i + 1] == 128 else line
    return None


class Varints:
    def __init__(self, table):
        self.table, self.at = table, 0

    def byte(self):
        self.at += 1
        return self.table[self.at - 1] if self.at <= len(self.table) else 0  # cut

    def unsigned(self):
        byte = self.byte()
        value, shift = byte & 63, 0
        while byte & 64:
            byte = self.byte()
            shift += 6
            value |= (byte & 63) << shift
        return value

    def signed(self):
        value = self.unsigned()
        return -(value >> 1) if value & 1 else value >> 1


def line_of_locations(table, first_line, offset):
    reader, line, address = Varints(table), first_line, 0
    while reader.at < len(table):
        head = reader.byte()
        kind, size = (head >> 3) & 15, ((head & 7) + 1) * 2
        if kind == 14:
            line += reader.signed()
            reader.unsigned(), reader.unsigned(), reader.unsigned()
        elif kind == 13:
            line += reader.signed()
        elif kind >= 10 and kind != 15:
            line += kind - 10
            reader.at += 2
        elif kind != 15:
            reader.at += 1
        if address <= offset < address + size:
            return None if kind == 15 else line
        address += size
    return None


DECODERS = {LNOTAB: line_of_lnotab, TABLE_310: line_of_310, LOCATIONS: line_of_locations}


def line_of(kind, table, first_line, offset):
    if offset == NO_INSTR:
        return first_line
    return DECODERS[kind](table, first_line, offset)
