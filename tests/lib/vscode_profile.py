# SPDX-License-Identifier: MIT
"""A .cpuprofile as VS Code has it: read and shown by the extension that VS Code brings along.

It is not to be had by itself. code-server is VS Code as a package of npm; of that, the extension is
taken alone, and nothing else of it is installed.
"""
import functools
import json
import subprocess
import tarfile
import tempfile

import place

PACKAGE = "code-server@4.100.3"
EXTENSION = "package/lib/vscode/extensions/ms-vscode.vscode-js-profile-table/"


@functools.lru_cache(maxsize=None)
def extension():
    """Its directory, fetched once from the index."""
    directory = place.WORK / "vscode" / PACKAGE
    if directory.exists():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(directory.parent)) as part:
        result = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=part, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert result.returncode == 0, result.stderr
        with tarfile.open("%s/%s" % (part, result.stdout.split()[-1])) as archive:
            wanted = [m for m in archive.getmembers() if m.isfile() and m.name.startswith(EXTENSION)]
            assert wanted, "%s is without the extension" % PACKAGE
            archive.extractall(part, members=wanted)
        (directory.parent / part / EXTENSION).rename(directory)
    return directory


def read(path, page=None):
    """The places of its model, and in `page` what an editor shows: see vscode_profile.mjs."""
    script = place.REPO / "tests" / "lib" / "vscode_profile.mjs"
    result = subprocess.run(["node", str(script), str(extension()), str(path), *([str(page)] if page else [])],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
