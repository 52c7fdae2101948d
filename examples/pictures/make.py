#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the pictures that README shows: each is the page of a recording, in Debian's Chromium.

    "$PLN_WORK/venv/bin/pip" install pillow
    "$PLN_WORK/venv/bin/python" examples/pictures/make.py [NAME...]

Records the examples with the Pillion that tests/run.sh has installed in PLN_WORK, and Debian's
python3; opens each page at the place that README tells of, and writes NAME.png here. Look at
what comes out before you commit it: on a machine that is busy, all threads wait for a CPU.
"""
import io
import pathlib
import sys
import tempfile
import typing

from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "lib"))

import browser  # noqa: E402
import interpreters  # noqa: E402
import place  # noqa: E402

WIDTH = 1200


class Picture(typing.NamedTuple):
    command: str  # what is recorded, by its words below examples/
    address: str  # what of its page is shown, as the page itself writes it
    height: int = 700
    script: str = ""  # what an address cannot tell
    options: tuple = ()


PICTURES = {
    "django": Picture("django_page.py slow", "#tab=functions&search=django_page", 640,
                      "document.querySelector('[data-sort=total]').click();"
                      "document.querySelector('[data-name=\"Book.label\"] .name button').click()"),
    "blas": Picture("blas.py", "#tab=native", 700,
                    "for (const d of [...document.querySelectorAll('#native-tree details')].slice(0, 2)) d.open = true"),
    "asyncio": Picture("asyncio_service.py", "#metric=wall&threads=0&frames=python", 690),
    "gil": Picture("gil.py count", "#metric=gil", 620),
    "leak": Picture("leak.py", "#metric=live&frames=python", 560, options=("--alloc-interval", "65536")),
    "waits": Picture("waits.py", "#metric=offcpu&frames=python", 660),
}


def record(name, picture, directory):
    """The page of a recording."""
    python = next(i for i in interpreters.supported() if i.origin == "debian")
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": place.packages(python, "django", "numpy"), "PYTHONDONTWRITEBYTECODE": "1"}
    profile = directory / (name + ".pillion")
    command = ["python3", *("examples/" + picture.command).split()]
    for words in ([place.HERE.pillion, "record", "-q", *picture.options, "-o", profile, "--", *command],
                  [place.HERE.pillion, "html", profile]):
        result = place.HERE.run(words, cwd=HERE.parents[1], env=env)
        assert result.returncode == 0, result.stderr
    return directory / (name + ".html")


def main(names):
    driver = browser.start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            for name in names or PICTURES:
                picture = PICTURES[name]
                browser.resize(driver, WIDTH, picture.height)
                page = browser.Page(driver, record(name, picture, pathlib.Path(directory)), picture.address)
                page.run(picture.script)
                shot = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
                shot.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(HERE / (name + ".png"), optimize=True)
                print("%s.png: %d bytes" % (name, (HERE / (name + ".png")).stat().st_size))
    finally:
        driver.quit()


if __name__ == "__main__":
    main(sys.argv[1:])
