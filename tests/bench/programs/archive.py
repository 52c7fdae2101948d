# SPDX-License-Identifier: MIT
"""zlib, hashlib and zipfile: pack, check and unpack files in memory."""
import hashlib
import io
import zipfile
import zlib

import common


def make_files(count):
    return {"file%d.txt" % i: b"".join(b"line %d of file %d\n" % (j * j, i) for j in range(2500))
            for i in range(count)}


def pack(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer


def work(repeats):
    files = make_files(12)
    common.begin()
    for _ in range(repeats):
        with zipfile.ZipFile(pack(files)) as archive:
            for name in archive.namelist():
                hashlib.sha256(archive.read(name)).hexdigest()
        zlib.decompress(zlib.compress(b"".join(files.values()), 4))
        common.mark()


if __name__ == "__main__":
    common.run(work, 100, __doc__)
