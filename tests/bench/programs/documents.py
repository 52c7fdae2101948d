# SPDX-License-Identifier: MIT
"""json: write and read back documents, with the C encoder and with indentation in Python."""
import json

import common


def make_documents(count):
    return [{"id": i, "name": "document %d" % i, "tags": ["a", "b", str(i)], "size": i / 7,
             "owner": {"id": i % 50, "groups": list(range(i % 9))}} for i in range(count)]


def work(repeats):
    documents = make_documents(2000)
    common.begin()
    for _ in range(repeats):
        for _ in range(5):
            json.loads(json.dumps(documents, sort_keys=True))
        json.dumps(documents[:200], indent=1)
        common.mark()


if __name__ == "__main__":
    common.run(work, 45, __doc__)
