#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes vscode.png: a real VS Code, in Debian's Chromium, runs the tasks of examples/vscode.

    npm install --ignore-scripts code-server@4.100.3    # with Node.js 20
    npm rebuild                         # in it and in its lib/vscode: argon2, node-pty, spdlog, native-watchdog
    "$PLN_WORK/venv/bin/pip" install pillow
    "$PLN_WORK/venv/bin/python" examples/pictures/vscode.py node_modules/code-server

code-server is VS Code with its window in a browser. What is not in it is Python's extension, by
which the first task finds the interpreter: a command of the same name stands in.
"""
import contextlib
import io
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "lib"))

import browser  # noqa: E402
import place  # noqa: E402

SIZE = 1200, 520
DEADLINE_S = 60
SETTINGS = {
    "workbench.colorTheme": "Default Light Modern", "workbench.startupEditor": "none", "workbench.tips.enabled": False,
    "telemetry.telemetryLevel": "off", "git.enabled": False, "editor.minimap.enabled": False,
    "window.commandCenter": False, "workbench.layoutControl.enabled": False, "workbench.activityBar.location": "hidden",
    "workbench.statusBar.visible": False, "breadcrumbs.enabled": False, "editor.fontSize": 12,
    "terminal.integrated.gpuAcceleration": "off",  # what it says is then in the page
}
INTERPRETER = {"name": "interpreter", "publisher": "stand-in", "version": "1.0.0", "main": "./main.js",
               "engines": {"vscode": "^1.60.0"}, "activationEvents": ["onCommand:python.interpreterPath"]}
INTERPRETER_JS = """exports.activate = context => context.subscriptions.push(
    require("vscode").commands.registerCommand("python.interpreterPath", () => "/usr/bin/python3"))"""


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def furnish(home, code_server):
    """A user's home, with a folder that has the example and the tasks; returns the folder."""
    folder = home / "examples"
    (folder / ".vscode").mkdir(parents=True)
    shutil.copy(str(EXAMPLES / "mixed.py"), str(folder))
    shutil.copy(str(EXAMPLES / "vscode" / "tasks.json"), str(folder / ".vscode"))
    write(home / "data" / "User" / "settings.json", json.dumps(SETTINGS))
    extension = home / "extensions" / "stand-in.interpreter-1.0.0"
    write(extension / "package.json", json.dumps(INTERPRETER))
    write(extension / "main.js", INTERPRETER_JS)
    command = code_server / "lib" / "vscode" / "bin" / "remote-cli" / "code-linux.sh"
    write(home / "bin" / "code", '#!/bin/sh\nNODE_EXEC_PATH=/usr/bin/node exec "%s" "$@"\n' % command, 0o755)
    write(home / ".profile", 'PATH="%s:%s:$PATH"\n' % (home / "bin", place.HERE.prefix / "bin"))
    return folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def until(condition):
    """A page that is being made anew may lose what was just found in it."""
    def holds(_):
        with contextlib.suppress(Exception):
            return condition()
    return WebDriverWait(None, DEADLINE_S, poll_frequency=0.1).until(holds)


@contextlib.contextmanager
def served(home, code_server):
    """The address of a server that runs meanwhile."""
    port = free_port()
    options = ["--auth", "none", "--bind-addr", "127.0.0.1:%d" % port, "--user-data-dir", home / "data",
               "--extensions-dir", home / "extensions", "--disable-telemetry", "--disable-update-check",
               "--disable-workspace-trust"]
    server = subprocess.Popen(["node", str(code_server / "out" / "node" / "entry.js"), *map(str, options)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
                                  "HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/bash", "LANG": "C.UTF-8"})
    try:
        until(lambda: urllib.request.urlopen("http://127.0.0.1:%d/healthz" % port))
        yield "http://127.0.0.1:%d" % port
    finally:
        server.terminate()
        server.wait()


class Window:
    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)
        until(lambda: self.row(".explorer-folders-view", "mixed.py"))

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def row(self, where, text):
        """A row of a list by its first line; None where it is not there (yet)."""
        rows = self.all(where + " .monaco-list-row")
        return next((row for row in rows if row.text.split("\n")[0].strip() == text), None)

    def keys(self, *keys, held=None):
        actions = ActionChains(self.driver)
        if held:
            actions.key_down(held).send_keys(*keys).key_up(held).perform()
        else:
            actions.send_keys(*keys).perform()

    def pick(self, text):
        until(lambda: self.all(".quick-input-widget input")[0].is_displayed())
        self.keys(text)
        until(lambda: self.row(".quick-input-list", text)).click()

    def run_task(self, name):
        self.keys(Keys.F1)
        self.pick("Tasks: Run Task")
        self.pick(name)

    def said(self):
        return self.driver.execute_script(
            "return [...document.querySelectorAll('.xterm-rows')].map(rows => rows.textContent).join('')")

    def enter_editor(self):
        """Into the page that the extension shows, two frames deep."""
        self.driver.switch_to.default_content()
        self.driver.switch_to.frame(self.all("iframe.webview")[0])
        self.driver.switch_to.frame(self.all("iframe#active-frame")[0])
        return self.all("[role=treeitem]")


def show(window):
    """Records mixed.py, opens its functions, and one of them beside."""
    file = until(lambda: window.row(".explorer-folders-view", "mixed.py"))
    ActionChains(window.driver).double_click(file).perform()
    until(lambda: window.all(".editor-instance .view-line"))
    window.run_task("Pillion: record the current file")
    until(lambda: "will be reused" in window.said())
    window.run_task("Pillion: open its functions here")
    until(window.enter_editor)
    function = until(lambda: next(a for a in window.all("[role=treeitem] a") if "mixed.py:28" in a.text))
    # As Alt and a click do, but that its row is not unfolded, nor the table moved.
    window.driver.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {altKey: true}))", function)
    window.driver.switch_to.default_content()
    until(lambda: window.all(".codelens-decoration"))
    for panel in "jb":
        window.keys(panel, held=Keys.CONTROL)
    until(lambda: not window.all(".part.panel")[0].is_displayed() and not window.all(".part.sidebar")[0].is_displayed())


def main(code_server):
    driver = browser.start()
    try:
        browser.resize(driver, *SIZE)
        with tempfile.TemporaryDirectory() as directory:
            home = pathlib.Path(directory)
            folder = furnish(home, code_server)
            with served(home, code_server) as address:
                show(Window(driver, "%s/?folder=%s" % (address, folder)))
                shot = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
        target = HERE / "vscode.png"
        shot.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(target, optimize=True)
        print("%s: %d bytes" % (target.name, target.stat().st_size))
    finally:
        driver.quit()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
