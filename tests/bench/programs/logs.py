# SPDX-License-Identifier: MIT
"""re: find, group and rewrite in a web server's log."""
import collections
import random
import re

import common

LINE = re.compile(r'(?P<host>\d+(?:\.\d+){3}) - - \[(?P<when>[^\]]+)\] "(?P<verb>GET|POST) (?P<path>/[^ "]*)[^"]*" '
                  r"(?P<status>\d{3}) (?P<size>\d+)")


def make_log(lines):
    rng = random.Random(1)
    return "\n".join('10.%d.%d.%d - - [21/Nov/2026:10:%02d:%02d] "GET /shop/%d?q=%s HTTP/1.1" %d %d' % (
        rng.randrange(9), rng.randrange(99), rng.randrange(250), i % 60, i % 59, rng.randrange(500),
        rng.choice(("shoes", "hats", "gloves")), rng.choice((200, 200, 304, 404)), rng.randrange(90000))
        for i in range(lines))


def work(repeats):
    log = make_log(8000)
    common.begin()
    for _ in range(repeats):
        paths = collections.Counter()
        for match in LINE.finditer(log):
            if match.group("status") == "200":
                paths[match.group("path").split("?")[0]] += int(match.group("size"))
        re.sub(r"(\d+)\.(\d+)\.(\d+)\.(\d+)", r"\1.\2.x.x", log)
        re.findall(r"q=(shoes|hats)\b", log)
        common.mark()


if __name__ == "__main__":
    common.run(work, 85, __doc__)
