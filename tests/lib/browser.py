# SPDX-License-Identifier: MIT
"""A page in Debian's Chromium, without a window: what it shows, what it logs, what it asks the network for."""
import json
import pathlib
import shutil

import pytest

DRIVER, BROWSER = "/usr/bin/chromedriver", "/usr/bin/chromium"
LOG = {"browser": "ALL", "performance": "ALL"}


def start(width=1280, height=900):
    """A driver; quit() is due. Skips where the browser is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which(DRIVER) and shutil.which(BROWSER)):
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
                     "no-first-run", "disable-background-networking", "window-size=%d,%d" % (width, height)):
        options.add_argument("--" + argument)
    options.set_capability("goog:loggingPrefs", LOG)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def resize(driver, width, height):
    """The page's own size, whatever the window's least is."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})


class Page:
    """One profile's page, opened from its file."""

    def __init__(self, driver, path, fragment=""):
        self.driver = driver
        self.address = pathlib.Path(path).as_uri()
        # Not by the fragment alone: that would only move within the page.
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get(self.address + fragment)
        self.wait(lambda: self.run("return !document.getElementById('page').hidden"
                                   " || !document.getElementById('fatal').hidden"), 30)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, seconds=10):
        from selenium.webdriver.support.ui import WebDriverWait
        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: condition())

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def click(self, selector):
        self.find(selector).click()

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def press(self, keys, selector="body"):
        self.find(selector).send_keys(keys)

    @property
    def fragment(self):
        return dict(part.split("=", 1) for part in self.run("return location.hash").lstrip("#").split("&") if part)

    def pixels(self, selector):
        """The canvas as a text: equal pictures, equal texts."""
        return self.run("return document.querySelector(arguments[0]).toDataURL()", selector)

    def console(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses of everything that was asked for, but for the page and what it holds itself."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:")) and url.split("#")[0] != self.address]
