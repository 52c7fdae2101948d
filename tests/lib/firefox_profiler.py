# SPDX-License-Identifier: MIT
"""The Firefox Profiler's own loader, upgraders and sums, by its command line program.

It keeps a profile in a daemon, which is stopped at the end whatever happens.
"""
import json
import os
import subprocess
import time

import exports

DEADLINE_S = 60


class Session:
    def __init__(self, directory):
        self.script = exports.npm_package("@firefox-devtools/profiler-cli") / "dist" / "profiler-cli.js"
        directory.mkdir()
        self.environment = dict(os.environ, PROFILER_CLI_SESSION_DIR=str(directory))

    def call(self, *arguments):
        return subprocess.run(["node", str(self.script), *map(str, arguments)], env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def load(self, path):
        """Its patience with the daemon is half a second; ours is longer."""
        result = self.call("load", path)
        end = time.monotonic() + DEADLINE_S
        while result.returncode and "did not become ready" in result.stderr and time.monotonic() < end:
            result = self.call("status")
            if result.returncode:
                result.stderr += "did not become ready"
        assert result.returncode == 0, result.stderr + result.stdout

    def ask(self, *arguments):
        result = self.call(*arguments, "--json")
        assert result.returncode == 0, result.stderr + result.stdout
        return json.loads(result.stdout)

    def functions(self, thread, *options):
        return self.ask("thread", "functions", "--thread", thread, "--include-idle", "--limit", "0", *options)["functions"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("stop", "--all")
