# SPDX-License-Identifier: MIT
"""A test suite that takes too long, for two reasons that `--durations` cannot tell apart.

    pillion record -o tests.pillion -- pytest -q examples/slow_tests
    pillion report --lines --view wall tests.pillion

pytest says which tests are slow. The profile says why: `test_retry` sleeps, in the code that it
tests, and `shop`, a fixture, builds the same shop anew for each test that wants one.
"""
import hashlib
import json
import time

import pytest


def price(key, rounds=60_000):
    return int.from_bytes(hashlib.pbkdf2_hmac("sha256", key.encode(), b"salt", rounds), "big") % 100


@pytest.fixture
def shop():
    """The mistake: with scope="module", it would be built once."""
    return {"book %d" % i: price("book %d" % i) for i in range(10)}


def fetch(answers):
    """Asks again, a little later each time: half a second goes by until the third answer."""
    for attempt, answer in enumerate(answers):
        if answer:
            return answer
        time.sleep(0.2 * (attempt + 1))


def test_retry():
    assert fetch([None, None, "here"]) == "here"


def test_cheapest(shop):
    assert min(shop.values()) < 50


def test_dearest(shop):
    assert max(shop.values()) < 100


def test_saved(shop):
    assert json.loads(json.dumps(shop)) == shop
