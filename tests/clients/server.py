"""Run one command against one fresh server: server.py BINARY COMMAND [ARG...]

The command finds the server in its environment: SERVER_BIN, SERVER_URL and SERVER_KEY, and an empty folder SCRATCH.
The names do not begin with HALDIR_, which would configure the binaries that the command itself starts.
The server's own manners are checks too: one line on stdout, the first key, exit code 0 at SIGTERM.
"""

import base64
import json
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from checks import expect, fits, run_check, summary

READY_SECONDS = 20
STOP_SECONDS = 15
LISTENING = re.compile(r"haldir listening on (http://127\.0\.0\.1:\d+)\n")


def store(path):
    """What `--db` is to be for a store that would be this file, and what a server needs in its environment to open it.

    Where HALDIR_TEST_POSTGRES names a server, as tests/postgres/run does, it is a new database there.
    """
    postgres = os.environ.get("HALDIR_TEST_POSTGRES")
    if not postgres:
        return str(path), {}
    name = f"haldir_clients_{secrets.token_hex(8)}"
    subprocess.run(["createdb", "--maintenance-db", postgres, name], check=True)
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return f"{postgres.rpartition('/')[0]}/{name}", {"HALDIR_ENCRYPTION_KEY": key, "XDG_DATA_HOME": str(path.parent)}


def first_line(server):
    if not select.select([server.stdout], [], [], READY_SECONDS)[0]:
        return ""
    return server.stdout.readline().decode()


def post_key(url):
    request = urllib.request.Request(
        f"{url}/v1/keys",
        data=b'{"name":"t","tier":"enterprise"}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, json.load(answer)


def check_first_key(status, body):
    expect(status == 201, f"status {status}")
    fits(body, name="t", tier="enterprise", prefix=body["key"][:12])
    expect(body["key"].startswith("hld_"), "a key begins with hld_")
    expect(body["message"], "a message tells that the key is shown once")


def stop(server):
    """SIGTERM, and the exit code with what else was on stdout."""
    server.send_signal(signal.SIGTERM)
    try:
        code = server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        code = f"not there after {STOP_SECONDS} s"
        server.kill()
    return code, server.stdout.read()


def run_command(command, environment):
    """In a process group of its own, so that nothing it started outlives it."""
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return child.wait()
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def main(binary, command):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HALDIR_")}
    with tempfile.TemporaryDirectory(prefix="haldir-clients-") as scratch:
        log = Path(scratch, "server.log")
        address, needed = store(Path(scratch, "served.db"))
        with log.open("wb") as stderr:
            server = subprocess.Popen(
                [binary, "serve", "--listen", "127.0.0.1:0", "--db", address, "--rate-limits", "off"]
                + ["--allow-private", "receiver.invalid"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=clean | needed,
            )
        try:
            status = drive(server, binary, command, clean, scratch)
        finally:
            server.kill()
            server.wait()
        text = log.read_text(errors="replace")
        run_check("the server does not panic", lambda: expect("panicked" not in text, "it did"))
        failed = summary()
        if failed:
            print("The end of the server's log:", text[-4000:], sep="\n")
        return status or failed


def drive(server, binary, command, environment, scratch):
    line = first_line(server)
    match = LISTENING.fullmatch(line)
    run_check("serve prints its address", lambda: expect(match, f"got {line!r}"))
    if not match:
        return 1
    url = match[1]
    status, body = post_key(url)
    run_check("an empty store gives the first key", lambda: check_first_key(status, body))
    environment = environment | {
        "SERVER_BIN": binary,
        "SERVER_URL": url,
        "SERVER_KEY": body["key"],
        "SCRATCH": scratch,
    }
    outcome = run_command(command, environment)
    code, rest = stop(server)
    run_check("SIGTERM ends the server with exit code 0", lambda: expect(code == 0, f"it is {code}"))
    run_check("serve prints nothing but its address", lambda: expect(rest == b"", f"got {rest[:200]!r}"))
    return outcome


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
