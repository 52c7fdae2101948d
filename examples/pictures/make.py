#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the pictures that README shows: each is the page of a recording, in Debian's Chromium.

    "$PLN_WORK/venv/bin/pip" install pillow
    "$PLN_WORK/venv/bin/python" examples/pictures/make.py [NAME...]

Records the examples with the Pillion that tests/run.sh has installed in PLN_WORK, and Debian's
python3; opens each page at the place that README tells of, and writes NAME.png here. Look at
what comes out before you commit it: on a machine that is busy, all threads wait for a CPU.
(vscode.png is not of a page: see vscode.py.)
"""
import io
import pathlib
import shutil
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
    command: str  # what is recorded, from the folder above examples/
    address: str  # what of its page is shown, as the page itself writes it
    height: int = 700
    script: str = ""  # what an address cannot tell
    options: tuple = ()
    packages: tuple = ()  # that the program needs


PICTURES = {
    "django": Picture("python3 examples/django_page.py slow", "#tab=functions&search=django_page", 640,
                      "document.querySelector('[data-sort=total]').click();"
                      "document.querySelector('[data-name=\"Book.label\"] .name button').click()", packages=("django",)),
    "blas": Picture("python3 examples/blas.py", "#tab=native", 700,
                    "for (const d of [...document.querySelectorAll('#native-tree details')].slice(0, 2)) d.open = true",
                    packages=("numpy",)),
    "asyncio": Picture("python3 examples/asyncio_service.py", "#metric=wall&threads=0&frames=python", 690),
    "gil": Picture("python3 examples/gil.py count", "#metric=gil", 620),
    "leak": Picture("python3 examples/leak.py", "#metric=live&frames=python", 560, options=("--alloc-interval", "65536")),
    "waits": Picture("python3 examples/waits.py", "#metric=offcpu&frames=python", 660),
    "pytest": Picture("python3 -m pytest -q examples/slow_tests", "#metric=wall&tab=source", 560,
                      "document.getElementById('tabs').scrollIntoView();"
                      "document.querySelector('.code').closest('.scroll').scrollTop = 13 * 18.75", packages=("pytest",)),
}
# A kernel records itself: see examples/jupyter/kernel.
NOTEBOOK = Picture("", "#metric=wall&threads=0&tab=functions&search=ipykernel_%5Cd", 640,
                   "document.querySelector('[data-sort=total]').click();"
                   "document.querySelector('[data-name=\"load\"] .name button').click()",
                   packages=("ipykernel", "nbclient"))


def run(words, cwd, packages, **more):
    python = next(i for i in interpreters.supported() if i.origin == "debian")
    env = {"PATH": "%s:/usr/bin:/bin" % (place.HERE.prefix / "bin"), "PYTHONDONTWRITEBYTECODE": "1",
           **({"PYTHONPATH": place.packages(python, *packages)} if packages else {}), **more}
    result = place.HERE.run(words, cwd=cwd, env=env)
    assert result.returncode == 0, result.stderr


def record(name, picture, directory):
    profile = directory / (name + ".pillion")
    run([place.HERE.pillion, "record", "-q", *picture.options, "-o", profile, "--", *picture.command.split()],
        directory, picture.packages)
    return profile


def record_notebook(directory):
    """What README's commands do, in a home of its own."""
    work = directory / "notebook"
    shutil.copytree(str(HERE.parent / "jupyter"), str(work))
    shutil.copytree(str(work / "kernel"), str(work / ".local" / "share" / "jupyter" / "kernels" / "pillion"))
    run(["python3", "-c", "from nbclient.cli import main; main()", "--kernel_name=pillion", "notebook.ipynb"], work,
        NOTEBOOK.packages, HOME=str(work))
    [profile] = work.glob("kernel.*.pillion")
    return profile


def page_of(profile):
    run([place.HERE.pillion, "html", "-o", profile.with_suffix(".html"), profile], profile.parent, ())
    return profile.with_suffix(".html")


def shoot(driver, name, directory):
    picture = PICTURES.get(name, NOTEBOOK)
    profile = record(name, picture, directory) if name in PICTURES else record_notebook(directory)
    browser.resize(driver, WIDTH, picture.height)
    page = browser.Page(driver, page_of(profile), picture.address)
    page.run(picture.script)
    shot = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
    target = HERE / (name + ".png")
    shot.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(target, optimize=True)
    print("%s: %d bytes" % (target.name, target.stat().st_size), flush=True)


def main(names):
    driver = browser.start()
    try:
        with tempfile.TemporaryDirectory(prefix="pillion-") as directory:
            shutil.copytree(str(HERE.parent), directory + "/examples", ignore=shutil.ignore_patterns("*.pillion"))
            for name in names or [*PICTURES, "jupyter"]:
                shoot(driver, name, pathlib.Path(directory))
    finally:
        driver.quit()


if __name__ == "__main__":
    main(sys.argv[1:])
