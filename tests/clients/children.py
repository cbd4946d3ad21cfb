"""A haldir that serves two servers of others as its children, for suites that ask it: children.py BINARY PACKAGES NODE FOLDER

Prints its address; ends with its input. Imported, `served` is a context with that address.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path


def commands(packages, folder):
    """The arguments of Node for each server."""
    servers = Path(packages) / "@modelcontextprotocol"
    return {
        "everything": [str(servers / "server-everything/dist/index.js"), "stdio"],
        "files": [str(servers / "server-filesystem/dist/index.js"), str(folder)],
    }


@contextlib.contextmanager
def served(binary, packages, node, folder):
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "haldir.toml"
        config.write_text("".join(
            f"[upstreams.{name}]\ncommand = {json.dumps(node)}\nargs = {json.dumps(arguments)}\n"
            for name, arguments in commands(packages, folder).items()
        ))
        haldir = subprocess.Popen(
            [binary, "--config", config, "--db", f"{scratch}/h.db", "serve", "--listen", "127.0.0.1:0", "--local-agent"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={"PATH": os.environ["PATH"], "HOME": scratch},
        )
        try:
            yield haldir.stdout.readline().removeprefix("haldir listening on ").strip()
        finally:
            haldir.send_signal(signal.SIGTERM)
            haldir.wait(20)


if __name__ == "__main__":
    with served(*sys.argv[1:5]) as address:
        print(address, flush=True)
        sys.stdin.read()
