"""Servers that other people wrote, behind haldir and without it: upstreams.py BINARY PACKAGES NODE

Everything a server says is compared: handshake, lists, calls of all its tools with progress and log messages, prompts,
resources, completion, errors. Behind `haldir-mcp wrap` and behind /mcp/{upstream} (the server's own streamable HTTP) the
text of `result`, `error` and `params` must be what the server wrote, byte for byte, but that each line of a form's message
begins with the server's name; the message around it is written anew, with the same members in haldir's own order and with
nothing between them.
Prints `ok NAME` or `FAILED NAME: what was wrong` for each check.
"""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from checks import expect, run_check, summary

BINARY, PACKAGES, NODE = sys.argv[1:4]
SERVERS = Path(PACKAGES) / "@modelcontextprotocol"
QUIET = 1  # seconds
QUESTIONS = json.loads(Path(__file__).with_name("questions.json").read_text())
CLIENT = {
    "sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": True},
    "tasks": {"requests": {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}}},
}
CHANGES = re.compile(r'get-env|gzip|a\.gz|toggle-|move_file|"newText": "two"}\]}')
TIMES = re.compile(
    r"\w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \([\w ]*\)|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z|\d+:\d\d:\d\d [AP]M"
)
# Tools that a server offers only to a client that can be asked, as haldir's shared connection says of itself.
FOR_THE_ASKED = {
    "get-roots-list", "trigger-elicitation-request", "trigger-sampling-request", "trigger-url-elicitation",
}
TEXTS = ("result", "error", "params")
ORDER = ("jsonrpc", "id", "method", *TEXTS)
IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")


class Lines:
    """A server on standard input and output; what it says, line by line."""

    def __init__(self, command, environment=None):
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | (environment or {})
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        )
        self.said, self.id = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.said.put(line)
        self.said.put(None)

    def write(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params=None):
        """All lines up to the answer; what the server asks is answered as a client would."""
        self.id += 1
        self.write({"jsonrpc": "2.0", "id": self.id, "method": method} | ({"params": params} if params else {}))
        lines = []
        while True:
            line = self.said.get(timeout=30)
            if line is None:
                raise AssertionError(f"the server ended; it said {lines}")
            message = json.loads(line)
            if "method" in message and "id" in message:
                self.write({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)})
            lines.append(line)
            if "method" not in message and message.get("id") == self.id:
                return lines

    def begin(self):
        hello = {"protocolVersion": "2025-06-18", "capabilities": CLIENT, "clientInfo": {"name": "t", "version": "1"}}
        lines = self.ask("initialize", hello)
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.let_it_begin()
        return lines

    def let_it_begin(self):
        """Answers what a server asks by itself at its beginning, until it is quiet."""
        while True:
            try:
                message = json.loads(self.said.get(timeout=QUIET))
            except queue.Empty:
                return
            if "method" in message and "id" in message:
                self.write({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)})

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(15)
        expect(code == 0, f"exit code {code}")


def answer(message):
    if message["method"] == "roots/list":
        return {"roots": [{"uri": "file:///tmp", "name": "tmp"}]}
    if message["method"] == "sampling/createMessage":
        return {"role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "m"}
    if message["method"] == "elicitation/create":
        return {"action": "decline"}
    return {}


def asked_of(server, folder=""):
    """The questions of all clients but those whose answer is another the second time, since one folder is asked about by
    turns and one server by several clients; and some that only a raw client can put."""
    questions = json.loads(json.dumps(QUESTIONS[server]).replace("$FOLDER", str(folder)))
    questions = [question for question in questions if not CHANGES.search(json.dumps(question))]
    for _, params in questions:
        if params.get("name") == "trigger-long-running-operation":
            params["_meta"] = {"progressToken": "p"}
    if server == "everything":
        questions += [("logging/setLevel", {"level": "debug"}), ("ping", None), ("no/such-method", None)]
    return questions


def undrawn(text):
    """Without what differs between two runs of the same server: times, and ids that it draws."""
    return IDS.sub("ID", TIMES.sub("TIME", text))


def members(line):
    """The members of a JSON object, in their order, each with its value as it was written."""
    def skip(at):
        return re.compile(r"[ \t\r\n]*").match(line, at).end()

    found, decode, at = [], json.JSONDecoder().raw_decode, skip(0)
    expect(line[at] == "{", f"no object: {line[:300]!r}")
    while line[at] != "}":
        name, at = decode(line, skip(at + 1))
        at = skip(at)
        expect(line[at] == ":", f"no member: {line[:300]!r}")
        begin = skip(at + 1)
        at = decode(line, begin)[1]
        found.append((name, line[begin:at]))
        at = skip(at)
    expect(skip(at + 1) == len(line), f"more than an object: {line[:300]!r}")
    expect(len(dict(found)) == len(found), f"a member twice: {line[:300]!r}")
    return found


def comparable(line):
    """The message around as JSON, its members by name, and within it the server's own text byte for byte."""
    return json.dumps(sorted(
        (name, undrawn(value) if name in TEXTS else json.loads(value)) for name, value in members(line)
    ), ensure_ascii=False)


def named(line, server):
    """A form with its server's name before each line of the message."""
    message = json.loads(line)
    if message.get("method") != "elicitation/create":
        return line
    parts = message["params"]["message"].split("\n")
    message["params"]["message"] = "\n".join(f"[{server}] {part}" for part in parts)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def told_apart(lines):
    """The answer, and beside it, since they may overtake each other, all notifications and requests but those that a server sends
    in a time of its own, whatever it is asked meanwhile."""
    in_its_own_time = ("list_changed", "roots/list")
    method = lambda line: dict(members(line)).get("method", "")  # noqa: E731
    beside = [line for line in lines[:-1] if not any(name in method(line) for name in in_its_own_time)]
    return comparable(lines[-1]), sorted(map(comparable, beside))


def written_anew(line):
    """That a message has haldir's form: its members in one order, and nothing between them."""
    found = members(line)
    places = [ORDER.index(name) for name, _ in found]
    expect(places == sorted(places), f"in another order: {line[:300]!r}")
    expect(line.strip() == "{" + ",".join(f'"{name}":{value}' for name, value in found) + "}", f"not dense: {line[:300]!r}")


def compare_lines(name, script, server, questions):
    with tempfile.TemporaryDirectory() as scratch:
        wrapped = [BINARY, "--db", f"{scratch}/h.db", "wrap", "--name", name, "--", NODE, *server]
        direct, behind = Lines([NODE, *server]), Lines(wrapped)
        check = lambda what, method, params: run_check(  # noqa: E731
            f"{script}: {what}", lambda: same(direct.ask(method, params), behind.ask(method, params), name)
        )
        run_check(f"{script}: the handshake", lambda: same(direct.begin(), behind.begin(), name))
        for method, params in questions:
            what = (params or {}).get("name") or (params or {}).get("uri") or ""
            check(f"{method} {what}".strip(), method, params)
        for server in (direct, behind):
            run_check(f"{script}: it ends with its client", server.end)


def same(one, other, server):
    direct = [named(line, server) for line in one]
    (answer, beside), (behind, beside_behind) = told_apart(direct), told_apart(other)
    expect(answer == behind, f"direct {answer[:300]!r}, behind haldir {behind[:300]!r}")
    for line in other:
        written_anew(line)
    expect(beside == beside_behind, f"direct {beside!r}, behind haldir {beside_behind!r}")


class Http:
    """An MCP session over streamable HTTP; what the server says, event by event."""

    def __init__(self, url):
        self.url, self.session, self.id = url, None, 0

    def post(self, message):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.session:
            headers |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": "2025-06-18"}
        request = urllib.request.Request(self.url, json.dumps(message).encode(), headers)
        try:
            return urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            return error

    def ask(self, method, params=None):
        self.id += 1
        response = self.post({"jsonrpc": "2.0", "id": self.id, "method": method} | ({"params": params} if params else {}))
        with response:
            self.session = self.session or response.headers.get("Mcp-Session-Id")
            lines = []
            for line in response:
                line = line.decode()
                if "event-stream" not in response.headers["Content-Type"]:
                    lines.append(line)
                elif line.startswith("data: {"):
                    lines.append(line.removeprefix("data: "))
                    message = json.loads(lines[-1])
                    if "method" in message and "id" in message:
                        self.post({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}).close()
            return lines

    begin = Lines.begin

    def let_it_begin(self):
        """Without a stream of its own it is asked nothing."""

    def write(self, message):
        self.post(message).close()


def compare_http(script, server, questions):
    """server-everything serves HTTP itself, so it is asked with haldir in front and without."""
    with tempfile.TemporaryDirectory() as scratch:
        port = free_port()
        upstream = subprocess.Popen(
            [NODE, *server], env={"PATH": os.environ["PATH"], "PORT": str(port)}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        store = ["--db", f"{scratch}/h.db", "--allow-private", "127.0.0.1"]
        haldir = subprocess.Popen(
            [BINARY, *store, "serve", "--listen", "127.0.0.1:0", "--local-agent"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )
        try:
            for line in upstream.stderr:
                if "listening" in line or "port" in line.lower():
                    break
            base = haldir.stdout.readline().removeprefix("haldir listening on ").strip()
            url = f"http://127.0.0.1:{port}/mcp"
            client = Path(BINARY).with_name("haldir")
            done = subprocess.run(
                [client, *store, "call", "register-upstream", "--name", "everything", "--url", url],
                capture_output=True, text=True,
            )
            expect(done.returncode == 0, done.stderr)
            direct, behind = Http(url), Http(f"{base}/mcp/everything")
            run_check(f"{script}: the handshake", lambda: same(direct.begin(), behind.begin(), "everything"))
            for method, params in questions:
                what = (params or {}).get("name") or (params or {}).get("uri") or ""
                ask = lambda server: server.ask(method, params)  # noqa: B023, E731
                run_check(f"{script}: {method} {what}".strip(), lambda: same(ask(direct), ask(behind), "everything"))
        finally:
            for process in (upstream, haldir):
                process.send_signal(signal.SIGTERM)
                process.wait(15)


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    script = str(SERVERS / "server-everything/dist/index.js")
    compare_lines("everything", "everything, wrapped", [script, "stdio"], asked_of("everything"))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        (folder / "b.png").write_bytes(b"png")
        server = [str(SERVERS / "server-filesystem/dist/index.js"), str(folder)]
        compare_lines("filesystem", "filesystem, wrapped", server, asked_of("files", folder))
    # Over HTTP its sampling, elicitation and roots need the client's own stream, which this client does not open.
    asked = [question for question in asked_of("everything") if not (question[1] or {}).get("name", "").startswith("trigger-")]
    asked = [question for question in asked if (question[1] or {}).get("name") != "get-roots-list"]
    compare_http("everything, /mcp/everything", [script, "streamableHttp"], asked)
    return summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
