"""Servers that other people wrote, behind haldir and without it: upstreams.py BINARY PACKAGES NODE

Everything a server says over standard output is compared byte for byte: handshake, lists, calls of all its tools with
progress and log messages, prompts, resources, completion, errors. Behind `haldir-mcp wrap` and behind /mcp/{upstream}
(the server's own streamable HTTP) nothing may differ. The MCP Inspector sees no difference either.
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
CLIENT = {"sampling": {}, "elicitation": {}, "roots": {"listChanged": True}}
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z|\d+:\d\d:\d\d [AP]M|\(.*? GMT.*?\)")
VOLATILE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


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


def everything():
    """What is asked of server-everything."""
    meta = {"_meta": {"progressToken": "p"}}
    return [
        ("tools/list", None),
        ("prompts/list", None),
        ("resources/list", None),
        ("resources/templates/list", None),
        ("tools/call", {"name": "echo", "arguments": {"message": "ü \u2028 \\u0041 1.10"}}),
        ("tools/call", {"name": "get-sum", "arguments": {"a": 1.5, "b": 2}}),
        ("tools/call", {"name": "get-tiny-image", "arguments": {}}),
        ("tools/call", {"name": "get-annotated-message", "arguments": {"messageType": "error", "includeImage": True}}),
        ("tools/call", {"name": "get-structured-content", "arguments": {"location": "New York"}}),
        ("tools/call", {"name": "get-resource-reference", "arguments": {"resourceType": "Text", "resourceId": 1}}),
        ("tools/call", {"name": "get-resource-links", "arguments": {"count": 3}}),
        ("tools/call", {"name": "trigger-long-running-operation", "arguments": {"duration": 0.3, "steps": 3}} | meta),
        ("tools/call", {"name": "trigger-sampling-request", "arguments": {"prompt": "p", "maxTokens": 9}}),
        ("tools/call", {"name": "trigger-elicitation-request", "arguments": {}}),
        ("tools/call", {"name": "get-roots-list", "arguments": {}}),
        ("tools/call", {"name": "echo", "arguments": {}}),
        ("prompts/get", {"name": "simple-prompt"}),
        ("prompts/get", {"name": "args-prompt", "arguments": {"city": "Paris", "state": "TX"}}),
        ("prompts/get", {"name": "none"}),
        ("resources/read", {"uri": "demo://resource/dynamic/text/1"}),
        ("resources/read", {"uri": "demo://resource/none"}),
        ("completion/complete", {
            "ref": {"type": "ref/prompt", "name": "completable-prompt"}, "argument": {"name": "department", "value": "E"},
        }),
        ("logging/setLevel", {"level": "debug"}),
        ("ping", None),
        ("no/such-method", None),
    ]


def filesystem(folder):
    """What is asked of server-filesystem."""
    path = f"{folder}/a.txt"
    return [
        ("tools/list", None),
        ("tools/call", {"name": "list_allowed_directories", "arguments": {}}),
        ("tools/call", {"name": "write_file", "arguments": {"path": path, "content": "one\nzwei ü\n"}}),
        ("tools/call", {"name": "read_text_file", "arguments": {"path": path}}),
        ("tools/call", {"name": "edit_file", "arguments": {
            "path": path, "edits": [{"oldText": "one", "newText": "two"}], "dryRun": True}}),
        ("tools/call", {"name": "list_directory", "arguments": {"path": str(folder)}}),
        ("tools/call", {"name": "directory_tree", "arguments": {"path": str(folder)}}),
        ("tools/call", {"name": "search_files", "arguments": {"path": str(folder), "pattern": "*.txt"}}),
        ("tools/call", {"name": "read_text_file", "arguments": {"path": "/etc/passwd"}}),
        ("tools/call", {"name": "read_text_file", "arguments": {}}),
        ("tools/call", {"name": "read_media_file", "arguments": {"path": path}}),
    ]


def comparable(lines):
    """Without what differs between two runs of the same server: times, and ids that it draws."""
    return [VOLATILE.sub("UUID", TIMES.sub("TIME", line)) for line in lines]


def told_apart(lines):
    """The answer, and beside it, since they may overtake each other, the set of notifications and requests."""
    beside = [line for line in lines if '"method"' in line and '"list_changed"' not in line]
    return comparable(lines[-1:]), sorted(comparable(beside))


def compare_lines(name, script, server, questions):
    with tempfile.TemporaryDirectory() as scratch:
        wrapped = [BINARY, "--db", f"{scratch}/h.db", "wrap", "--name", name, "--", NODE, *server]
        direct, behind = Lines([NODE, *server]), Lines(wrapped)
        check = lambda what, method, params: run_check(  # noqa: E731
            f"{script}: {what}", lambda: same(direct.ask(method, params), behind.ask(method, params))
        )
        run_check(f"{script}: the handshake", lambda: same(direct.begin(), behind.begin()))
        for method, params in questions:
            what = (params or {}).get("name") or (params or {}).get("uri") or ""
            check(f"{method} {what}".strip(), method, params)
        for server in (direct, behind):
            run_check(f"{script}: it ends with its client", server.end)


def same(one, other):
    (answer, beside), (behind, beside_behind) = told_apart(one), told_apart(other)
    expect(answer == behind, f"direct {answer[0][:300]!r}, behind haldir {behind[0][:300]!r}")
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
            run_check(f"{script}: the handshake", lambda: same(direct.begin(), behind.begin()))
            for method, params in questions:
                what = (params or {}).get("name") or (params or {}).get("uri") or ""
                ask = lambda server: server.ask(method, params)  # noqa: B023, E731
                run_check(f"{script}: {method} {what}".strip(), lambda: same(ask(direct), ask(behind)))
        finally:
            for process in (upstream, haldir):
                process.send_signal(signal.SIGTERM)
                process.wait(15)


def inspector(target, method, *more):
    """One request of the MCP Inspector's command line; its exit code, and what it printed as JSON."""
    launcher = Path(PACKAGES) / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    command = [NODE, launcher, "--cli", "--format", "json", "--quiet", "--stored-auth-only", *target]
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        done = subprocess.run(
            [*command, "--method", method, *more], capture_output=True, text=True, timeout=60, env=environment
        )
    return done.returncode, json.loads(done.stdout) if done.stdout else TIMES.sub("TIME", done.stderr)


def compare_inspector(script):
    """What the Inspector makes of a server is the same with haldir in front, be the server wrapped or registered."""
    questions = [
        ("tools/list",),
        ("tools/call", "--tool-name", "echo", "--tool-args-json", '{"message": "1.10"}'),
        ("tools/call", "--tool-name", "get-structured-content", "--tool-args-json", '{"location": "Chicago"}'),
        ("tools/call", "--tool-name", "get-sum", "--tool-args-json", '{"a": "x"}'),
        ("prompts/get", "--prompt-name", "args-prompt", "--prompt-args", "city=Paris"),
        ("resources/list",),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        direct = [NODE, script, "stdio"]
        wrapped = [BINARY, "--db", f"{scratch}/h.db", "wrap", "--name", "everything", "--", *direct]
        # A file, since the Inspector has options of its own on its command line.
        files = []
        for name, (command, *arguments) in (("direct", direct), ("wrapped", wrapped)):
            file = Path(scratch) / f"{name}.json"
            file.write_text(json.dumps({"mcpServers": {"everything": {"command": command, "args": arguments}}}))
            files.append(["--config", str(file), "--server", "everything"])
        for question in questions:
            what = " ".join(question[:3])
            run_check(f"Inspector, wrapped: {what}", lambda: alike(inspector(files[0], *question), inspector(files[1], *question)))  # noqa: B023


def alike(one, other):
    expect(one[0] in (0, 5), f"exit code {one[0]}: {one[1]!r}")  # 5: the tool said that it failed
    expect(one == other, f"direct {one!r}, behind haldir {other!r}")


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    script = str(SERVERS / "server-everything/dist/index.js")
    compare_lines("everything", "everything, wrapped", [script, "stdio"], everything())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        (folder / "b.txt").write_text("b")
        server = [str(SERVERS / "server-filesystem/dist/index.js"), str(folder)]
        compare_lines("filesystem", "filesystem, wrapped", server, filesystem(folder))
    # Over HTTP its sampling, elicitation and roots need the client's own stream, which this client does not open.
    asked = [question for question in everything() if not (question[1] or {}).get("name", "").startswith("trigger-")]
    asked = [question for question in asked if (question[1] or {}).get("name") != "get-roots-list"]
    compare_http("everything, /mcp/everything", [script, "streamableHttp"], asked)
    compare_inspector(script)
    return summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
