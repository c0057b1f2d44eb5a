# SPDX-License-Identifier: MIT
"""Real servers for tests, as tests/clients/with_servers.py starts them."""
import contextlib
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

WITH_SERVERS = Path(__file__).resolve().parents[2] / "tests/clients/with_servers.py"
WAIT = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"


@contextlib.contextmanager
def server(name):
    """Runs the server. Returns its settings, as the environment of a client program. Skips the test if it is not installed."""
    if not WITH_SERVERS.exists():
        raise unittest.SkipTest("tests/clients is not here")
    command = [sys.executable, WITH_SERVERS, name, sys.executable, "-c", WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        if not line.startswith("{"):
            raise unittest.SkipTest(line.partition("SKIP ")[2].strip() or f"{name} does not start")
        settings = json.loads(line)
        before = dict(os.environ)
        os.environ.update(settings)
        try:
            yield settings
        finally:
            os.environ.clear()
            os.environ.update(before)
            process.stdin.close()
